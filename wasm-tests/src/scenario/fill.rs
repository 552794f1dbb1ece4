//! Placeholders in scenarios, and what they stand for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{Answer, Body, Field, Reply, Request, Scenario};

/// What the placeholders of one run of one scenario stand for.
#[derive(Clone, Debug, Default)]
pub struct Vars(BTreeMap<String, Vec<u8>>);

impl Scenario {
    /// The placeholders that are known before the first step.
    #[must_use]
    pub fn vars(&self) -> Vars {
        self.vars_of_run('0')
    }

    /// As [`Scenario::vars`], with tokens that differ for each `run`, so that
    /// one scenario can be run more than once in one VM.
    #[must_use]
    pub fn vars_of_run(&self, run: char) -> Vars {
        let mut vars = Vars(BTreeMap::new());
        vars.set("R", run.to_string().into());
        for token in ["T", "U"] {
            let text = format!("kanarie-{token}-{run}-{}+/~==", self.name);
            vars.set(
                &format!("{token}%"),
                percent_encoded(text.as_bytes()).into(),
            );
            let segments = text.split('/').map(|part| percent_encoded(part.as_bytes()));
            let segments = segments.collect::<Vec<_>>().join("/");
            vars.set(&format!("{token}%/"), segments.into());
            vars.set(&format!("{token}+"), form_encoded(text.as_bytes()).into());
            vars.set(token, text.into());
        }
        vars
    }
}

impl Vars {
    /// Lets `{name}` stand for `value`.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        self.0.insert(format!("{{{name}}}"), value);
    }

    /// The tokens of this run, raw.
    #[must_use]
    pub fn tokens(&self) -> Vec<&[u8]> {
        ["{T}", "{U}"]
            .iter()
            .filter_map(|name| self.0.get(*name))
            .map(Vec::as_slice)
            .collect()
    }

    /// `bytes` with every known placeholder replaced.
    #[must_use]
    pub fn fill(&self, bytes: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        'next: while let Some(at) = memchr::memchr(b'{', rest) {
            filled.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            for (placeholder, value) in &self.0 {
                if let Some(behind) = rest.strip_prefix(placeholder.as_bytes()) {
                    filled.extend_from_slice(value);
                    rest = behind;
                    continue 'next;
                }
            }
            filled.push(b'{');
            rest = &rest[1..];
        }
        filled.extend_from_slice(rest);
        filled
    }

    /// Fields with every known placeholder replaced.
    #[must_use]
    pub fn fields(&self, fields: &[Field]) -> Vec<Field> {
        let fill = |f: &Field| Field {
            name: self.fill(&f.name),
            value: self.fill(&f.value),
        };
        fields.iter().map(fill).collect()
    }

    /// A request with every known placeholder replaced.
    #[must_use]
    pub fn request(&self, request: &Request) -> Request {
        Request {
            method: self.fill(&request.method),
            path: self.fill(&request.path),
            authority: self.fill(&request.authority),
            headers: self.fields(&request.headers),
            body: self.fill(&request.body),
            trailers: self.fields(&request.trailers),
        }
    }

    /// A reply as bytes, at `now` in seconds since 1970.
    #[must_use]
    pub fn reply(&self, reply: &Reply, now: f64) -> Reply {
        Reply {
            status: reply.status,
            headers: self.fields(&reply.headers),
            body: Body::Bytes(match &reply.body {
                Body::Bytes(bytes) => self.fill(bytes),
                Body::Json(value) => self.fill(at(value, now).to_string().as_bytes()),
            }),
            trailers: self.fields(&reply.trailers),
        }
    }

    /// As [`Vars::reply`], for what an authorization server does.
    #[must_use]
    pub fn answer(&self, answer: &Answer, now: f64) -> Answer {
        match answer {
            Answer::Reply(reply) => Answer::Reply(self.reply(reply, now)),
            Answer::Refused
            | Answer::ResetBeforeHeaders
            | Answer::ResetAfterHeaders
            | Answer::Hang
            | Answer::Trickle => answer.clone(),
        }
    }
}

impl Body {
    /// The bytes of a body that has been filled in.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Json(value) => value.to_string().into_bytes(),
        }
    }
}

/// `value` with strings such as `@now+300` replaced by numbers.
fn at(value: &Value, now: f64) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("@now") {
            Some(offset) => {
                let seconds = now + offset.parse::<f64>().unwrap_or(0.0);
                // Whole numbers are what authorization servers send.
                if offset.contains('.') {
                    seconds.into()
                } else {
                    whole(seconds)
                }
            }
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| at(item, now)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (k.clone(), at(v, now)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A number without its fraction, as JSON without a point.
fn whole(seconds: f64) -> Value {
    serde_json::from_str(&format!("{:.0}", seconds.floor())).unwrap_or(Value::Null)
}

/// Every byte as `%XX`.
fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

/// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
pub(super) fn form_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                text.push(byte.into());
            }
            b' ' => text.push('+'),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}
