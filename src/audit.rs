//! One record a decision: who did what, where, and what came of it.

use core::fmt::Write as _;

use crate::digest::TokenDigest;
use crate::head::{Head, Single};
use crate::introspection::Claims;
use crate::json::quote;
use crate::leak::Search;

/// What a record says of the request itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// `X-Request-Id`.
    pub(crate) request_id: Option<Box<str>>,
    /// `Mcp-Method`.
    pub(crate) mcp_method: Option<Box<str>>,
    /// `Mcp-Name`.
    pub(crate) mcp_name: Option<Box<str>>,
}

/// The longest text of a client that gets into a record, in bytes.
const LONGEST: usize = 256;

impl Context {
    /// From a head whose token is known: nothing that has it gets in.
    pub(crate) fn of(head: &Head<'_>, search: &Search<'_>) -> Self {
        let text = |value: Single<'_>| {
            let value = value.one()?;
            let start = value.get(..LONGEST).unwrap_or(value);
            (!search.in_value(value)).then(|| String::from_utf8_lossy(start).into())
        };
        Self {
            request_id: text(head.request_id),
            mcp_method: text(head.mcp_method),
            mcp_name: text(head.mcp_name),
        }
    }

    /// With what is called, by the body; nothing that has the token gets in.
    pub(crate) fn called(&mut self, method: Option<&str>, name: Option<&str>, search: &Search<'_>) {
        let text = |text: Option<&str>| {
            text.filter(|text| !search.in_value(text.as_bytes()))
                .map(|text| cut(text).into())
        };
        self.mcp_method = text(method);
        self.mcp_name = text(name);
    }

    /// From a head whose token is not known: only what cannot be one.
    pub(crate) fn of_stranger(head: &Head<'_>) -> Self {
        let plain = |value: Single<'_>, longest: usize, allowed: fn(&u8) -> bool| {
            let value = value.one()?;
            (value.len() <= longest && value.iter().all(allowed))
                .then(|| String::from_utf8_lossy(value).into())
        };
        Self {
            request_id: plain(head.request_id, 36, |byte| {
                byte.is_ascii_hexdigit() || *byte == b'-'
            }),
            mcp_method: plain(head.mcp_method, 40, |byte| {
                byte.is_ascii_alphabetic() || *byte == b'/'
            }),
            mcp_name: None,
        }
    }
}

/// How the answer about the token was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the cache.
    Hit,
    /// By a call of this request's own.
    Miss,
    /// From the cache, past its time, because nobody could be asked.
    Stale,
    /// By the call of another request.
    Wait,
}

impl Source {
    /// Its word in the record and in the metric `cache`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Wait => "wait",
        }
    }
}

/// One decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// The name of the server.
    pub(crate) server: Option<&'a str>,
    /// The word for what came of it.
    pub(crate) outcome: &'static str,
    /// The status of the answer, where the guard gave it.
    pub(crate) status: Option<u16>,
    /// What the authorization server said.
    pub(crate) claims: Option<&'a Claims>,
    /// The digest of the token.
    pub(crate) digest: Option<&'a TokenDigest>,
    /// What was asked for.
    pub(crate) context: &'a Context,
    /// How the answer was come by.
    pub(crate) source: Option<Source>,
    /// How long the call took.
    pub(crate) introspection_ms: Option<u64>,
}

impl Record<'_> {
    /// The record as one line of JSON. What is not known is left out.
    ///
    /// `asked` is the authorization server, where there are several.
    pub(crate) fn to_json(self, asked: Option<&str>) -> String {
        let mut json = String::with_capacity(256);
        json.push('{');
        let mut text = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                member(&mut json, name);
                quote(&mut json, cut(value));
            }
        };
        text("server", self.server);
        text("outcome", Some(self.outcome));
        let claim = |pick: fn(&Claims) -> &Option<Box<str>>| {
            self.claims.and_then(|claims| pick(claims).as_deref())
        };
        text("sub", claim(|claims| &claims.subject));
        text("client_id", claim(|claims| &claims.client_id));
        text("jti", claim(|claims| &claims.token_id));
        text("token", self.digest.map(TokenDigest::short).as_deref());
        text("authorization_server", asked);
        text("request_id", self.context.request_id.as_deref());
        text("mcp_method", self.context.mcp_method.as_deref());
        text("mcp_name", self.context.mcp_name.as_deref());
        text("cache", self.source.map(Source::word));
        let mut number = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                member(&mut json, name);
                // Writing to a String does not fail.
                let _ = write!(json, "{value}");
            }
        };
        number("status", self.status.map(u64::from));
        number("introspection_ms", self.introspection_ms);
        json.push('}');
        json
    }
}

fn member(json: &mut String, name: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    json.push('"');
    json.push_str(name);
    json.push_str("\":");
}

/// What of a text gets into a record.
fn cut(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    (0..=LONGEST)
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MCP-AUDIT-a
    #[test]
    fn a_record_is_one_line_of_json_whatever_the_claims_say() {
        let claims = Claims {
            subject: Some("a\"b\\c\r\nd\u{2028}\u{0}é".into()),
            client_id: Some("x".repeat(10_000).into()),
            ..Claims::default()
        };
        let record = Record {
            server: Some("github"),
            outcome: "allowed",
            status: None,
            claims: Some(&claims),
            digest: None,
            context: &Context::default(),
            source: Some(Source::Hit),
            introspection_ms: Some(7),
        };
        let json = record.to_json(None);
        assert!(json.bytes().all(|byte| byte >= 0x20));
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["sub"], "a\"b\\c\r\nd\u{2028}\u{0}é");
        assert_eq!(read["client_id"].as_str().unwrap().len(), LONGEST);
        assert_eq!(read["introspection_ms"], 7);
        assert_eq!(read["cache"], "hit");
        assert!(read.get("status").is_none());
    }

    #[test]
    fn of_a_stranger_only_what_cannot_be_a_token_is_kept() {
        let field = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let fields = [
            field("x-request-id", "7f1d1b8e-0000-4000-8000-c0ffee000001"),
            field("mcp-method", "tools/call"),
            field("mcp-name", "echo"),
        ];
        let context = Context::of_stranger(&Head::read(&fields));
        assert_eq!(context.mcp_method.as_deref(), Some("tools/call"));
        assert!(context.request_id.is_some() && context.mcp_name.is_none());
        let fields = [
            field("x-request-id", "token-1"),
            field("mcp-method", "t0ken"),
        ];
        let context = Context::of_stranger(&Head::read(&fields));
        assert!(context.request_id.is_none() && context.mcp_method.is_none());
    }
}
