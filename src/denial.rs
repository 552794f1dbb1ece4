//! Why a request is refused, and what the client is told of it.
//!
//! Every refusal of the crate is a [`Denial`]; its `match`es have no wildcard,
//! so a new one has to be given a status, a word and a text before it compiles.

use crate::access::Refusal;
use crate::credential::Unfetched;
use crate::introspection::Undetermined;
use crate::leak::Place;
use crate::reply::LocalReply;

/// Seconds after which a client may try again, where nobody else said.
pub(crate) const RETRY_AFTER: u32 = 2;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The body is longer than is read.
    BodyTooLarge,
    /// No rule of the server lets anybody call this.
    CallRefused,
    /// A claim that is to become a header could split one.
    ClaimRefused,
    /// The answer came from a cluster of another server.
    ClusterMismatch,
    /// The headers say of the body what it does not say.
    HeaderMismatch,
    /// The host failed us, or something that should not be possible happened.
    Internal,
    /// The token stands somewhere else in the request as well.
    Leak(Place),
    /// The body is not JSON-RPC that can be read in one way only.
    MalformedBody,
    /// Not token68, or longer than a token may be.
    MalformedToken,
    /// TRACE would show the credential to the client, CONNECT would tunnel; and
    /// what could call something by another method than POST.
    MethodRefused,
    /// The injector was reached without a verifier's mark.
    NoMark,
    /// Envoy has no cluster for the request.
    NoRoute,
    /// No token in the one place where we look.
    NoToken,
    /// `Origin` is not one of those that may call.
    OriginRefused,
    /// More waiting or in flight than one worker holds.
    Overloaded,
    /// The token is one of our own upstream credentials.
    OwnCredential,
    /// The authorization server says it is not good.
    Inactive,
    /// An active token that is not good here and now.
    Refused(Refusal),
    /// More than one `Authorization`.
    SeveralCredentials,
    /// A token in the header and by another method as well.
    TokenTwice,
    /// Nobody could say whether the token is good.
    Undetermined(Undetermined),
    /// The credential of the server could not be fetched.
    Unfetched(Unfetched),
    /// The token says that it is of an issuer that does not count here.
    UnknownIssuer,
    /// The cluster belongs to several servers, and the path to none of them.
    UnknownPath,
    /// The session id was not given to this caller on this server.
    UnknownSession,
    /// No server has this cluster.
    UnlistedCluster,
    /// The body is not said to be JSON as it is.
    UnsupportedBody,
    /// The upstream refused our credential.
    UpstreamCredentialRejected,
    /// Upstream's OAuth metadata.
    WellKnown,
    /// The mark names another server.
    WrongMark,
}

/// How the client is told: status, `error`, and a text that tells no more than
/// the row of the table.
struct Row {
    status: u16,
    error: &'static str,
    description: &'static str,
}

const INVALID_TOKEN: Row = Row {
    status: 401,
    error: "invalid_token",
    description: "The access token is not valid for this server",
};

const UNAVAILABLE: Row = Row {
    status: 503,
    error: "temporarily_unavailable",
    description: "The access token cannot be checked right now",
};

const MISMATCH: Row = Row {
    status: 502,
    error: "credential_cluster_mismatch",
    description: "The request went another way than it was checked for",
};

impl Denial {
    /// One word for metrics, logs and the audit record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body_too_large",
            Self::CallRefused => "call_refused",
            Self::ClaimRefused => "claim_refused",
            Self::ClusterMismatch => "credential_cluster_mismatch",
            Self::HeaderMismatch => "header_mismatch",
            Self::Internal => "internal_error",
            Self::Leak(_) => "leak_blocked",
            Self::MalformedBody => "malformed_body",
            Self::MalformedToken => "malformed_token",
            Self::MethodRefused => "method_refused",
            Self::NoMark => "no_mark",
            Self::NoRoute => "no_route",
            Self::NoToken => "no_token",
            Self::OriginRefused => "origin_refused",
            Self::Overloaded => "overloaded",
            Self::OwnCredential => "own_credential",
            Self::Inactive => "inactive",
            Self::Refused(refusal) => match refusal {
                Refusal::Expired => "expired",
                Refusal::InsufficientScope => "insufficient_scope",
                Refusal::NotBound => "not_certificate_bound",
                Refusal::NotYetValid => "not_yet_valid",
                Refusal::SenderConstrained => "sender_constrained",
                Refusal::WrongAudience => "wrong_audience",
                Refusal::WrongCertificate => "wrong_certificate",
                Refusal::WrongIssuer => "wrong_issuer",
                Refusal::WrongTokenType => "wrong_token_type",
            },
            Self::SeveralCredentials => "several_credentials",
            Self::TokenTwice => "token_twice",
            Self::Undetermined(_) => "introspection_failed",
            Self::Unfetched(_) => "credential_unavailable",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownPath => "unknown_path",
            Self::UnknownSession => "unknown_session",
            Self::UnlistedCluster => "unlisted_cluster",
            Self::UnsupportedBody => "unsupported_body",
            Self::UpstreamCredentialRejected => "upstream_credential_rejected",
            Self::WellKnown => "well_known",
            Self::WrongMark => "wrong_mark",
        }
    }

    /// How loud it is in the log, by who has to act: the operator now, the
    /// operator if it goes on, nobody.
    pub(crate) fn level(self) -> log::Level {
        match self {
            Self::ClusterMismatch
            | Self::Internal
            | Self::OwnCredential
            | Self::UpstreamCredentialRejected => log::Level::Error,
            Self::Unfetched(unfetched) if unfetched.fault.is_ours() => log::Level::Error,
            Self::ClaimRefused
            | Self::Leak(_)
            | Self::NoMark
            | Self::Overloaded
            | Self::Undetermined(_)
            | Self::Unfetched(_)
            | Self::WrongMark => log::Level::Warn,
            Self::BodyTooLarge
            | Self::CallRefused
            | Self::HeaderMismatch
            | Self::MalformedBody
            | Self::MalformedToken
            | Self::MethodRefused
            | Self::NoRoute
            | Self::NoToken
            | Self::OriginRefused
            | Self::Inactive
            | Self::Refused(_)
            | Self::SeveralCredentials
            | Self::TokenTwice
            | Self::UnknownIssuer
            | Self::UnknownPath
            | Self::UnknownSession
            | Self::UnlistedCluster
            | Self::UnsupportedBody
            | Self::WellKnown => log::Level::Info,
        }
    }

    fn row(self) -> Row {
        let (status, error, description) = match self {
            Self::Inactive
            | Self::MalformedToken
            | Self::OwnCredential
            | Self::UnknownIssuer
            | Self::Refused(
                Refusal::Expired
                | Refusal::NotBound
                | Refusal::NotYetValid
                | Refusal::SenderConstrained
                | Refusal::WrongAudience
                | Refusal::WrongCertificate
                | Refusal::WrongIssuer
                | Refusal::WrongTokenType,
            ) => return INVALID_TOKEN,
            Self::Overloaded | Self::Undetermined(_) => return UNAVAILABLE,
            Self::ClusterMismatch => return MISMATCH,
            Self::BodyTooLarge => (
                413,
                "content_too_large",
                "The body is longer than is read here",
            ),
            Self::CallRefused => (403, "access_denied", "This may not be called here"),
            // A client of MCP is told by the code of its specification.
            Self::HeaderMismatch => (
                400,
                "header_mismatch",
                "Header mismatch: the headers say something else than the body",
            ),
            Self::MalformedBody => (
                400,
                "malformed_body",
                "The body must be JSON-RPC that can be read in one way only",
            ),
            Self::UnsupportedBody => (
                415,
                "unsupported_media_type",
                "The body must be application/json in UTF-8, not compressed",
            ),
            Self::ClaimRefused | Self::Internal => {
                (500, "server_error", "The request could not be processed")
            }
            Self::Leak(_) => (
                400,
                "invalid_request",
                "The access token may be in the Authorization header only",
            ),
            Self::NoMark | Self::WrongMark | Self::UnlistedCluster | Self::UnknownPath => {
                (403, "access_denied", "There is no such MCP server here")
            }
            Self::MethodRefused => (405, "method_not_allowed", "This method is not served here"),
            Self::NoRoute | Self::WellKnown => (404, "not_found", "There is nothing here"),
            Self::NoToken => (401, "unauthorized", "An access token is needed"),
            Self::OriginRefused => (403, "access_denied", "This origin may not call"),
            Self::Refused(Refusal::InsufficientScope) => (
                403,
                "insufficient_scope",
                "The access token lacks a scope that is needed",
            ),
            Self::SeveralCredentials => (
                400,
                "invalid_request",
                "There may be one Authorization header only",
            ),
            Self::TokenTwice => (
                400,
                "invalid_request",
                "The access token may be sent by one method only",
            ),
            Self::Unfetched(_) => (
                503,
                "temporarily_unavailable",
                "The gateway cannot reach the MCP server right now",
            ),
            Self::UnknownSession => (404, "not_found", "There is no such session"),
            Self::UpstreamCredentialRejected => (
                502,
                "upstream_credential_rejected",
                "The MCP server did not accept the gateway",
            ),
        };
        Row {
            status,
            error,
            description,
        }
    }

    /// What the client is told of it.
    pub(crate) fn description(self) -> &'static str {
        self.row().description
    }

    /// The answer to the client. `challenges` are those of the server that the
    /// request is for, where it is for one; `origin` is set where a page of
    /// that origin may read the answer.
    pub(crate) fn reply(self, challenges: Option<&Challenges>, origin: Option<&str>) -> LocalReply {
        let row = self.row();
        let mut reply = LocalReply::new(row.status);
        if let Some(challenge) = challenges.and_then(|all| all.for_denial(self)) {
            reply.header("www-authenticate", challenge);
        }
        if let Self::Undetermined(undetermined) = self {
            reply.header("retry-after", &undetermined.retry_after.to_string());
        } else if let Self::Unfetched(unfetched) = self {
            reply.header("retry-after", &unfetched.retry_after.to_string());
        } else if self == Self::Overloaded {
            reply.header("retry-after", &RETRY_AFTER.to_string());
        } else if self == Self::MethodRefused {
            reply.header("allow", "GET, POST, DELETE");
        }
        reply.allow_origin(origin);
        reply.error(row.error, row.description);
        reply
    }
}

/// The `WWW-Authenticate` values for one server, ready to send.
///
/// The order of parameters is that in which the MCP SDKs look for them with
/// regular expressions; no description has a `=` in it (INTEROP-WA-order).
#[derive(Debug)]
pub(crate) struct Challenges {
    metadata_url: String,
    insufficient_scope: String,
    invalid_request: String,
    invalid_token: String,
    no_token: String,
}

impl Challenges {
    /// Those of the server with this metadata URL and these required scopes.
    pub(crate) fn new(metadata_url: &str, scopes: &[&str]) -> Self {
        let base = challenge(metadata_url, scopes);
        let with = |denial: Denial| with_error(&base, denial);
        Self {
            metadata_url: metadata_url.to_owned(),
            insufficient_scope: with(Denial::Refused(Refusal::InsufficientScope)),
            invalid_request: with(Denial::SeveralCredentials),
            invalid_token: with(Denial::Inactive),
            no_token: base,
        }
    }

    /// The one for a call that needs these scopes.
    pub(crate) fn insufficient_scope(&self, scopes: &[&str]) -> String {
        let base = challenge(&self.metadata_url, scopes);
        with_error(&base, Denial::Refused(Refusal::InsufficientScope))
    }

    fn for_denial(&self, denial: Denial) -> Option<&str> {
        match denial.row().error {
            "unauthorized" => Some(&self.no_token),
            "invalid_token" => Some(&self.invalid_token),
            "insufficient_scope" => Some(&self.insufficient_scope),
            "invalid_request" => Some(&self.invalid_request),
            _ => None,
        }
    }
}

fn challenge(metadata_url: &str, scopes: &[&str]) -> String {
    let base = format!(r#"Bearer resource_metadata="{metadata_url}""#);
    if scopes.is_empty() {
        base
    } else {
        format!(r#"{base}, scope="{}""#, scopes.join(" "))
    }
}

fn with_error(base: &str, denial: Denial) -> String {
    let row = denial.row();
    format!(
        r#"{base}, error="{}", error_description="{}""#,
        row.error, row.description
    )
}
