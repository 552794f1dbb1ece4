//! Upstream credentials that are fetched: client credentials (RFC 6749 section
//! 4.4) and token exchange (RFC 8693).
//!
//! [`Fetches`] holds them and knows what is being fetched, for whom, and what
//! has just failed. What a token endpoint has given is an own credential like
//! any of the configuration: it comes in from nobody and gets out to nobody but
//! the server that it is for.

mod call;
mod fetches;
mod issued;

use core::cell::Cell;

use crate::denial::RETRY_AFTER;
use crate::digest::TokenDigest;
use crate::secret::Secret;
use crate::servers::ServerId;

pub(crate) use fetches::{Fetches, Known};

/// Which credential: a server's own, or the one of a caller on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The server that it is for.
    pub(crate) server: ServerId,
    /// Whose token it was exchanged for; none where it is the guard's own.
    pub(crate) caller: Option<TokenDigest>,
}

/// A credential that is held.
#[derive(Debug)]
pub(crate) struct Held {
    /// The value of `Authorization`: `Bearer` and the token.
    authorization: Secret,
    /// The digests of the token, made like those of clients' tokens: one for each
    /// authorization server.
    digests: Vec<TokenDigest>,
    /// On the steady clock: when it came.
    since: u64,
    /// From when on another one is fetched.
    refresh_at: u64,
    /// From when on it is not used any more.
    until: u64,
    /// Whether any request has gone with it.
    used: Cell<bool>,
    /// Whether the upstream has refused it.
    rejected: Cell<bool>,
}

/// Why there is no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfetched {
    /// What went wrong.
    pub(crate) fault: Fault,
    /// Seconds after which the client may try again.
    pub(crate) retry_after: u32,
}

/// What went wrong with a call to a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It refuses us: our credentials, or what we ask for on our own account.
    ClientRefused,
    /// It gave the client's own token back.
    Echoed,
    /// What it gave is over already.
    Expired,
    /// Not JSON, or not what RFC 6749 and RFC 8693 allow.
    Malformed,
    /// It does not exchange this token.
    Refused,
    /// Any status that says neither yes nor no.
    Status,
    /// 429.
    Throttled,
    /// Larger than an answer may be.
    TooLarge,
    /// It cannot be reached, or did not answer in time.
    Unreachable,
}

/// The word of the metric `credentials` for one that has come.
pub(crate) const FETCHED: &str = "fetched";

/// How long nothing is fetched after a failure, and how old a credential is at
/// least before another is fetched because the upstream refuses it.
const HOLD_OFF_MS: u64 = 1_000;

/// `Bearer` and the space behind it.
const SCHEME: &[u8] = b"Bearer ";

impl Key {
    /// Of the guard's own for this server.
    pub(crate) fn of_server(server: ServerId) -> Self {
        Self {
            server,
            caller: None,
        }
    }

    /// Of this caller on this server.
    pub(crate) fn of_caller(server: ServerId, caller: TokenDigest) -> Self {
        Self {
            server,
            caller: Some(caller),
        }
    }
}

impl Held {
    /// The value of `Authorization`.
    pub(crate) fn authorization(&self) -> &[u8] {
        self.authorization.expose()
    }

    /// The token alone.
    pub(crate) fn token(&self) -> &[u8] {
        let value = self.authorization.expose();
        value.strip_prefix(SCHEME).unwrap_or(value)
    }

    /// The upstream has refused it.
    pub(crate) fn reject(&self) {
        self.rejected.set(true);
    }

    /// Whether a request may go with it. One that was refused is kept for the
    /// shortest time, or each refusal would be a call to the token endpoint.
    pub(crate) fn is_good(&self, steady_ms: u64) -> bool {
        steady_ms < self.until
            && !(self.rejected.get() && steady_ms >= self.since.saturating_add(HOLD_OFF_MS))
    }

    /// Whether it is time to fetch another.
    pub(crate) fn is_due(&self, steady_ms: u64) -> bool {
        steady_ms >= self.refresh_at
    }
}

impl Fault {
    /// All of them.
    #[cfg(target_family = "wasm")]
    pub(crate) const ALL: [Self; 9] = [
        Self::ClientRefused,
        Self::Echoed,
        Self::Expired,
        Self::Malformed,
        Self::Refused,
        Self::Status,
        Self::Throttled,
        Self::TooLarge,
        Self::Unreachable,
    ];

    /// Its word in the metric `credentials`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ClientRefused => "client_refused",
            Self::Echoed => "echoed",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Status => "unexpected_status",
            Self::Throttled => "throttled",
            Self::TooLarge => "too_large",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether the operator has to act now.
    pub(crate) fn is_ours(self) -> bool {
        match self {
            Self::ClientRefused | Self::Echoed => true,
            Self::Expired
            | Self::Malformed
            | Self::Refused
            | Self::Status
            | Self::Throttled
            | Self::TooLarge
            | Self::Unreachable => false,
        }
    }
}

impl From<Fault> for Unfetched {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            retry_after: RETRY_AFTER,
        }
    }
}
