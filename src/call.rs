//! What a request calls, by its body.
//!
//! Headers say it too, but a header is the client's word: what counts is what
//! the server will read. So the body is read as it comes, without being kept,
//! and what the headers say has to be the same.

mod claimed;
mod lexeme;
mod reader;

use crate::audit::Context;
use crate::denial::Denial;
use crate::fields::{same_name, trim};
use crate::guard::Held;
use crate::head::{Head, Method, Single};
use crate::leak::Search;
use crate::rules::{self, Decision, Naming, Rules};
use crate::stream::Kind;

use claimed::Claimed;
use reader::{Member, Message, Reader};

pub(crate) use reader::Id;

/// Whether the body says that it is JSON as it is: one media type, UTF-8, and
/// not compressed.
fn is_json(head: &Head<'_>) -> bool {
    let Single::One(content_type) = head.content_type else {
        return false;
    };
    let mut parts = content_type.split(|byte| *byte == b';').map(trim);
    let is_json = parts
        .next()
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"application/json"));
    let mut parameters = parts.filter(|parameter| !parameter.is_empty());
    let is_utf8 = parameters.all(|parameter| {
        let (name, value) = split(parameter);
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let value = value.strip_suffix(b"\"").unwrap_or(value);
        !name.eq_ignore_ascii_case(b"charset") || value.eq_ignore_ascii_case(b"utf-8")
    });
    let mut encodings = head
        .fields
        .iter()
        .filter(|(name, _)| same_name("content-encoding", name));
    is_json && is_utf8 && encodings.all(|(_, value)| trim(value).eq_ignore_ascii_case(b"identity"))
}

fn split(parameter: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = parameter.splitn(2, |byte| *byte == b'=').map(trim);
    (parts.next().unwrap_or(b""), parts.next().unwrap_or(b""))
}

/// The reading of one request's body.
#[derive(Debug)]
pub(crate) struct Call {
    /// None where no body may come.
    reader: Option<Reader>,
    claimed: Claimed,
    /// Bytes that have come.
    read: usize,
    found: Found,
    /// Why it is not to be let through, where that is so.
    denial: Option<Denial>,
    done: bool,
    /// The verdict on the token, where it is known before the body is.
    pub(crate) held: Option<Held>,
    /// Whether the head has been held back for the body in vain.
    pub(crate) in_vain: bool,
}

/// What has been found.
#[derive(Debug, Default)]
struct Found {
    /// What stands against a message; of several, what is worst.
    denial: Option<Denial>,
    /// The rules that apply, by their places, in order.
    rules: Vec<usize>,
    /// The message that the record tells of: the one that is refused, or the
    /// first.
    described: bool,
    method: Option<Box<str>>,
    name: Option<Box<str>>,
    id: Id,
}

impl Call {
    /// Begins to read, or says why the body cannot be read.
    pub(crate) fn begin(head: &Head<'_>) -> Result<Self, Denial> {
        let reader = match head.method {
            Method::Post if is_json(head) => Some(Reader::new()),
            Method::Post => return Err(Denial::UnsupportedBody),
            // They call nothing, and have no body.
            Method::Get | Method::Head | Method::Delete => None,
            Method::Options | Method::Other | Method::Tunnel => return Err(Denial::MethodRefused),
        };
        Ok(Self {
            reader,
            claimed: Claimed::read(head),
            read: 0,
            found: Found::default(),
            denial: None,
            done: false,
            held: None,
            in_vain: false,
        })
    }

    /// How many bytes have come.
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// Whether there is nothing left to wait for: it is whole, or it is known
    /// already that it is not to be let through.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// More of the body has come, and with `end` its end. What comes of it does
    /// not depend on the pieces that it comes in.
    pub(crate) fn feed(&mut self, rules: &Rules, most: usize, bytes: &[u8], end: bool) {
        if self.done {
            return;
        }
        let room = most.saturating_sub(self.read);
        let within = bytes.get(..room).unwrap_or(bytes);
        self.read = self.read.saturating_add(bytes.len());
        let read = match self.take(rules, within, end && self.read <= most) {
            Ok(()) if self.read > most => Err(Denial::BodyTooLarge),
            read => read,
        };
        self.done = end || read.is_err();
        self.denial = read.err();
    }

    fn take(&mut self, rules: &Rules, bytes: &[u8], end: bool) -> Result<(), Denial> {
        let Some(reader) = &mut self.reader else {
            return if bytes.is_empty() {
                Ok(())
            } else {
                Err(Denial::MalformedBody)
            };
        };
        let (found, claimed) = (&mut self.found, &self.claimed);
        let read = reader.feed(bytes, &mut |message| found.meet(message, claimed, rules));
        read.map_err(|_| Denial::MalformedBody)?;
        if !end {
            return Ok(());
        }
        reader.end().map_err(|_| Denial::MalformedBody)?;
        found.denial.map_or(Ok(()), Err)
    }

    /// The rules that apply to it, once it is done.
    pub(crate) fn rules(&self) -> Result<&[usize], Denial> {
        match self.denial {
            Some(denial) => Err(denial),
            None if self.done => Ok(&self.found.rules),
            None => Err(Denial::Internal),
        }
    }

    /// The id to answer to.
    pub(crate) fn id(&self) -> &Id {
        &self.found.id
    }

    /// What it opens, where that is for the body to say.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.reader.as_ref()?;
        Some(match self.found.method.as_deref() {
            Some("subscriptions/listen") => Kind::Subscription,
            Some(_) | None => Kind::Call,
        })
    }

    /// Puts what is called in the place of what headers say of it. An id that
    /// has the token in it is forgotten: it would be in the answer.
    pub(crate) fn describe(&mut self, context: &mut Context, search: &Search<'_>) {
        if self.reader.is_some() {
            let (method, name) = (self.found.method.as_deref(), self.found.name.as_deref());
            context.called(method, name, search);
        }
        if let Id::Text(id) | Id::Number(id) = &self.found.id
            && search.in_value(id.as_bytes())
        {
            self.found.id = Id::Absent;
        }
    }
}

impl Found {
    /// A message has ended.
    fn meet(&mut self, message: Message, claimed: &Claimed, rules: &Rules) {
        let judged = judge(&message, claimed, rules);
        let is_worse = match (&judged, self.denial) {
            (Ok(_), _) => false,
            (Err(_), None) => true,
            (Err(new), Some(old)) => *new != Denial::CallRefused && old == Denial::CallRefused,
        };
        if is_worse || !self.described {
            self.described = true;
            self.name = target(&message).unwrap_or(None).map(Into::into);
            self.method = message.method;
            self.id = if message.in_batch {
                Id::Absent
            } else {
                message.id
            };
        }
        match judged {
            Ok(applying) => {
                for rule in applying {
                    if let Err(place) = self.rules.binary_search(&rule) {
                        self.rules.insert(place, rule);
                    }
                }
            }
            Err(denial) if is_worse => self.denial = Some(denial),
            Err(_) => {}
        }
    }
}

/// The rules that apply to a message, or why it may not be sent.
fn judge(message: &Message, claimed: &Claimed, rules: &Rules) -> Result<Vec<usize>, Denial> {
    let target = target(message)?;
    let Some(method) = message.method.as_deref() else {
        // It answers the server. From 2026-07-28 on there is nothing to answer.
        return if message.is_response && claimed.allows_more_than_calls() {
            claimed
                .agrees(message, None)
                .then(Vec::new)
                .ok_or(Denial::HeaderMismatch)
        } else {
            Err(Denial::MalformedBody)
        };
    };
    if message.is_response || (message.in_batch && !claimed.allows_more_than_calls()) {
        return Err(Denial::MalformedBody);
    }
    if !claimed.agrees(message, target) {
        return Err(Denial::HeaderMismatch);
    }
    match rules.decide(method, target) {
        Decision::Rules(applying) => Ok(applying),
        Decision::Refused => Err(Denial::CallRefused),
    }
}

/// The name of what a message is for: of a tool, a prompt or a resource, where
/// its method has one.
fn target(message: &Message) -> Result<Option<&str>, Denial> {
    let member = match rules::naming(message.method.as_deref().unwrap_or("")) {
        None => return Ok(None),
        Some(Naming::Name) => &message.name,
        Some(Naming::Uri) => &message.uri,
    };
    match member {
        Member::Text(text) => Ok(Some(text)),
        Member::Absent | Member::Other => Err(Denial::MalformedBody),
    }
}

#[cfg(test)]
mod tests;
