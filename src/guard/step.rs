//! What the guard is told of a request, and what it says to do.

use std::rc::Rc;

use crate::audit::Source;
use crate::callout::Callout;
use crate::credential::Key;
use crate::digest::TokenDigest;
use crate::fields::Field;
use crate::introspection::Claims;
use crate::passage::Forward;
use crate::reply::LocalReply;
use crate::time::Now;

/// The head of a request, and what the host says with it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its fields.
    pub fields: &'a [Field],
    /// The cluster of its route.
    pub cluster: Option<&'a str>,
    /// The certificate of the client at the other end of the connection, where
    /// [`Guard::wants_certificate`](super::Guard::wants_certificate) asked for it: the hex digits of its SHA-256.
    pub certificate: Option<&'a [u8]>,
    /// Whether the head is all there is of it.
    pub ends: bool,
}

/// What to do with a request now.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Make this call, say with [`Guard::asked`](super::Guard::asked) or
    /// [`Guard::not_sent`](super::Guard::not_sent) what
    /// came of it, and hold the request back.
    Ask(Ask),
    /// Change it so, and let it go on.
    Forward(Forward, Audit),
    /// Let it go on as it is: it is none of ours.
    Ignore,
    /// Answer it so.
    Reply(LocalReply, Audit),
    /// Hold it back.
    Wait,
}

/// A call to make.
#[derive(Debug)]
pub struct Ask {
    /// The call.
    pub callout: Callout,
    pub(super) about: About,
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    /// A token of a client's.
    Token(TokenDigest),
    /// A credential that is fetched.
    Credential(Key),
}

/// The audit record of one decision.
#[derive(Debug)]
pub struct Audit {
    /// One line of JSON, for filter state.
    pub json: String,
    /// Where it is a line of the log as well: how loud.
    pub log: Option<log::Level>,
}

/// An active answer, and how it was come by.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(super) claims: Rc<Claims>,
    pub(super) source: Source,
    pub(super) introspection_ms: Option<u64>,
    /// On the steady clock: when the answer came, or was found.
    pub(super) at: u64,
}

impl Ask {
    pub(super) fn of_token(callout: Callout, digest: TokenDigest) -> Self {
        let about = About::Token(digest);
        Self { callout, about }
    }
}

impl Verdict {
    /// From the cache.
    pub(super) fn kept(claims: Rc<Claims>, now: Now) -> Self {
        Self {
            claims,
            source: Source::Hit,
            introspection_ms: None,
            at: now.steady_ms,
        }
    }
}
