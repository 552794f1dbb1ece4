//! The plugin configuration, parsed once into types that cannot be wrong.
//!
//! [`Config::parse`] is the only way to one. It reads JSON, or the binary form
//! of a `google.protobuf.Struct`, and reports every mistake at once, each with
//! its path and never with a value. All text that a reply needs later
//! (challenges, metadata documents, normal forms) is made here, so that nothing
//! has to be composed while a request waits.

#[cfg(not(target_family = "wasm"))]
mod around;
mod asked;
mod authorization_server;
mod authorization_servers;
mod budget;
mod client_auth;
mod credential;
mod cursor;
mod default_headers;
mod endpoint;
mod header;
mod names;
mod parse;
mod problem;
mod proto;
mod quantity;
mod rules;
#[cfg(not(target_family = "wasm"))]
mod schema;
mod scope;
mod server;
mod session_key;
mod template;
mod uri;

use core::time::Duration;
use std::rc::Rc;

use crate::access::Requirement;
use crate::client_auth::ClientAuth;
use crate::denial::Challenges;
use crate::digest::TokenDigest;
use crate::fields::NameSet;
use crate::issuers::{AuthorizationServers, IssuerId};
use crate::metadata::Documents;
use crate::rules::Rules;
use crate::secret::Secret;
use crate::servers::Servers;

pub use problem::{ConfigErrors, Problem};

/// One generation of the plugin configuration.
#[derive(Debug)]
pub struct Config {
    /// Whom to ask about tokens.
    pub(crate) authorization_servers: AuthorizationServers,
    /// How long answers are kept.
    pub(crate) cache: CachePolicy,
    /// What one worker holds at most.
    pub(crate) limits: Limits,
    /// The servers, and which cluster belongs to which.
    pub(crate) servers: Servers,
    /// The metadata document for each well-known URL.
    pub(crate) documents: Documents,
    /// Origins of browser pages that may call, as they are in `Origin`.
    pub(crate) allowed_origins: Vec<String>,
    /// Header to set, and the claim to set it from. Names are lower case.
    pub(crate) identity_headers: Vec<(String, String)>,
    /// What happens to a request to a cluster that no server names.
    pub(crate) unlisted_clusters: Unlisted,
    /// Which part of the work this instance does.
    pub(crate) role: Role,
    /// Keys for session ids; the first one signs, all of them verify.
    pub(crate) session_keys: Vec<Secret>,
    /// Which audit records are log lines as well.
    pub(crate) audit_log: AuditLog,
    /// Tolerance for `exp` and `nbf`.
    pub(crate) clock_skew: Duration,
    /// The first 12 hex digits of the SHA-256 of the configuration as it came,
    /// before any environment variable was put in.
    pub(crate) fingerprint: String,
}

impl Config {
    /// One line for the log: what was taken on, and no value of it.
    #[must_use]
    pub fn summary(&self) -> String {
        let role = match self.role {
            Role::Gateway => "gateway",
            Role::Injector => "injector",
            Role::Verifier => "verifier",
        };
        format!(
            "configuration {}, {} servers, role {role}",
            self.fingerprint,
            self.servers.iter().count()
        )
    }

    /// Whether a request with this cluster, or none, is none of ours and may
    /// pass untouched.
    pub(crate) fn lets_alone(&self, cluster: Option<&str>) -> bool {
        self.unlisted_clusters == Unlisted::Ignore
            && !cluster.is_some_and(|name| self.servers.lists(name))
    }

    /// The issuer of the authorization server that is asked about the token of
    /// this digest.
    pub(crate) fn issuer_of(&self, digest: &TokenDigest) -> Option<&str> {
        let asked = self.authorization_servers.of(digest)?;
        Some(&asked.issuer)
    }

    /// The most bytes of an introspection answer that are read.
    #[must_use]
    pub fn longest_answer(&self) -> usize {
        self.limits.answer
    }
}

/// An authorization server and its introspection endpoint.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    /// Its key under `authorization_servers`; none where it is the only one.
    pub(crate) name: Option<String>,
    /// The issuer identifier, compared with `iss` code point by code point.
    pub(crate) issuer: String,
    /// How its opaque tokens begin.
    pub(crate) token_prefix: Option<String>,
    /// The introspection endpoint.
    pub(crate) introspection: Endpoint,
}

/// An OAuth endpoint: what stays the same in every call to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The URL as configured (part of the cache key).
    pub(crate) url: String,
    /// The Envoy cluster that reaches it.
    pub(crate) cluster: String,
    /// `:scheme` of the call.
    pub(crate) scheme: String,
    /// `:authority` of the call: host, and port where it is not the default.
    pub(crate) authority: String,
    /// `:path` of the call: path and query.
    pub(crate) path: String,
    /// How we authenticate.
    pub(crate) auth: Rc<ClientAuth>,
    /// For the whole call, connecting and reading the answer included.
    pub(crate) timeout: Duration,
}

/// How long answers are kept, and how many.
#[derive(Debug)]
pub(crate) struct CachePolicy {
    /// Longest reuse of an active answer.
    pub(crate) ttl: Duration,
    /// Reuse of an inactive one.
    pub(crate) negative_ttl: Duration,
    /// Entries per worker, of each of the two kinds.
    pub(crate) max_entries: usize,
    /// How long past `ttl` an active answer may serve while nobody can be asked.
    pub(crate) stale_if_error: Duration,
    /// How often the token of a live stream is asked about again; zero is never.
    pub(crate) recheck_streams: Duration,
    /// How long the answer to a call may go on after its token has expired.
    pub(crate) call_grace: Duration,
}

/// What one worker holds at most.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Introspection calls under way.
    pub(crate) in_flight: usize,
    /// Requests that wait for one.
    pub(crate) waiting: usize,
    /// Bytes of kept claims.
    pub(crate) cache_bytes: usize,
    /// Bytes of one introspection answer.
    pub(crate) answer: usize,
    /// Bytes of a request's body that is read.
    pub(crate) body: usize,
}

/// One MCP server behind the guard.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its key under `servers`: 1 to 64 of `A-Za-z0-9_-`.
    pub(crate) name: String,
    /// Its canonical URI.
    pub(crate) resource: Resource,
    /// Whose tokens count here, in the order in which they are listed.
    pub(crate) authorization_servers: Vec<IssuerId>,
    /// What a token has to have to be let in here.
    pub(crate) requirement: Requirement,
    /// Which calls need which scopes; none where all need the same.
    pub(crate) rules: Option<Rules>,
    /// Headers to set: lower-case name, value. Each name once.
    pub(crate) default_headers: Vec<(String, Secret)>,
    /// Where a credential is fetched that is set as well.
    pub(crate) credential: Option<Fetch>,
    /// What to look for in tokens that come in and in responses that go out:
    /// each credential of `default_headers` without its scheme word.
    pub(crate) credentials: Vec<Secret>,
    /// Request headers that never reach this server as they came.
    pub(crate) strip: NameSet,
    /// The challenges for requests to this server.
    pub(crate) challenges: Challenges,
}

/// `credential` of a server: a token that is fetched for it.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// By what right.
    pub(crate) grant: Grant,
    /// The token endpoint.
    pub(crate) endpoint: Endpoint,
    /// What the token is to be good for: `&scope=…&audience=…&resource=…`,
    /// form-encoded, to put behind what is there.
    pub(crate) targets: String,
    /// How long it lives where the answer does not say.
    pub(crate) default_expires_in: Duration,
}

/// `grant` of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// RFC 6749 section 4.4: the guard's own.
    ClientCredentials,
    /// RFC 8693: for the client's token.
    TokenExchange,
}

/// The canonical URI of an MCP server (RFC 8707 section 2), in parts.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The whole, as configured.
    pub(crate) uri: String,
    /// `scheme://authority`, lower case, without a default port: what a page
    /// of this server has in `Origin`.
    pub(crate) origin: String,
    /// Host, and port where it is not the scheme's default; lower case.
    pub(crate) authority: String,
    /// The path, without a lone `/`.
    pub(crate) path: String,
    /// `?` and the query, or nothing.
    pub(crate) query: String,
}

/// `unlisted_clusters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// 403.
    Deny,
    /// Leave the request as it is.
    Ignore,
}

/// `role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Validates, strips and injects.
    Gateway,
    /// Strips and injects what a verifier let through.
    Injector,
    /// Validates and strips.
    Verifier,
}

/// `audit_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditLog {
    /// Every decision.
    All,
    /// None.
    Off,
    /// Refusals.
    Refused,
}
