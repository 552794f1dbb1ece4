//! What is remembered of a request from its head to its end.

use std::rc::Rc;

use crate::audit::Context;
use crate::call::Call;
use crate::credential::Held;
use crate::digest::TokenDigest;
use crate::guard::Fetching;
use crate::head::{Head, Method};
use crate::introspection::Claims;
use crate::passage::Plan;
use crate::secret::Secret;
use crate::servers::ServerId;

/// A request, by the number of its context in the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// Where a request stands. One that was refused is not remembered, and nothing
/// of a request that is not remembered goes on.
#[derive(Debug)]
pub(crate) enum Stream {
    /// It is held back until the credential of its server has come.
    Fetching(Box<Fetching>),
    /// It may pass untouched: its cluster is none of ours.
    Ignored,
    /// It has gone on to the upstream.
    Open(Box<Open>),
    /// It is held back until its token has been asked about.
    Waiting(Box<Plan>),
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Open {
    /// The server it was let through to.
    pub(crate) server: ServerId,
    /// Whose it is; none at an injector, which does not know.
    pub(crate) caller: Option<Caller>,
    /// The allowed origin of the page that sent it.
    pub(crate) origin: Option<String>,
    /// The token, for as long as trailers can come or it is asked about again.
    pub(crate) token: Option<Secret>,
    /// Milliseconds since 1970 after which it may not go on.
    pub(crate) until: Option<u64>,
    /// On the steady clock, when its token is asked about again.
    pub(crate) recheck_at: Option<u64>,
    /// Whether the answer has begun.
    pub(crate) responding: bool,
    /// What its audit records say of it.
    pub(crate) context: Context,
    /// The reading of its body, where that goes on behind the head.
    pub(crate) call: Option<Box<Call>>,
    /// The credential that it has gone with, where that was fetched.
    pub(crate) credential: Option<Rc<Held>>,
}

/// The caller of a request that was let through.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What the authorization server said.
    pub(crate) claims: Rc<Claims>,
    /// The digest of the token.
    pub(crate) digest: TokenDigest,
}

/// Why a live stream is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Its token has expired.
    Expired,
    /// Asked again, the authorization server says that its token is not good.
    Revoked,
}

impl Closing {
    /// Its word in the record and in the metric `requests`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Expired => "stream_expired",
            Self::Revoked => "stream_revoked",
        }
    }
}

/// What a request opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call, with an answer that belongs to it.
    Call,
    /// A stream of messages that lasts for as long as the token does.
    Subscription,
}

impl Kind {
    /// By method, and for POST by `Mcp-Method`, where the body is not read. A
    /// header is the client's word,
    /// but all it can gain by another is that its stream ends later or sooner.
    pub(crate) fn of(head: &Head<'_>) -> Self {
        match head.method {
            Method::Get | Method::Head => Self::Subscription,
            Method::Post if head.mcp_method.one() == Some(b"subscriptions/listen") => {
                Self::Subscription
            }
            Method::Delete | Method::Options | Method::Other | Method::Post | Method::Tunnel => {
                Self::Call
            }
        }
    }
}
