//! Pages of other origins: the `Origin` check, and answers to preflights.
//!
//! MCP requires the check against DNS rebinding; Fetch requires the answers
//! for browser clients to see a challenge at all (`standards.md` J).

use crate::config::{Config, Server};
use crate::head::{Head, Single};
use crate::reply::LocalReply;

/// What `Origin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// Nothing: not a page.
    Absent,
    /// A page that may call.
    Allowed(&'a str),
    /// One that may not, or nonsense.
    Refused,
}

impl<'a> Origin<'a> {
    /// Compares whole strings, with the configured list and the origin of the
    /// server that the request is for, where it is for one.
    pub(crate) fn of(head: &Head<'_>, config: &'a Config, server: Option<&'a Server>) -> Self {
        let given = match head.origin {
            Single::Absent => return Self::Absent,
            Single::Several => return Self::Refused,
            Single::One(given) => given,
        };
        server
            .map(|server| &server.resource.origin)
            .into_iter()
            .chain(&config.allowed_origins)
            .find(|origin| origin.as_bytes() == given)
            .map_or(Self::Refused, |origin| Self::Allowed(origin))
    }

    /// The origin, where it may read answers.
    pub(crate) fn allowed(self) -> Option<&'a str> {
        match self {
            Self::Allowed(origin) => Some(origin),
            Self::Absent | Self::Refused => None,
        }
    }
}

const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Accept, MCP-Protocol-Version, \
     Mcp-Session-Id, Last-Event-ID, Mcp-Method, Mcp-Name";

/// The longest list of header names that is allowed on request, in bytes.
const LONGEST_REQUEST: usize = 1_024;

/// The answer to a preflight from this origin. The names that the page asks
/// for are allowed as they are, because `Mcp-Param-*` is open-ended: what they
/// carry is judged when they come.
pub(crate) fn preflight(head: &Head<'_>, origin: &str) -> LocalReply {
    let mut reply = LocalReply::new(204);
    reply.header("access-control-allow-methods", "GET, POST, DELETE");
    let mut names = ALLOWED_HEADERS.to_owned();
    for name in requested_names(head) {
        let known = ALLOWED_HEADERS
            .split(", ")
            .any(|known| known.eq_ignore_ascii_case(name));
        if !known {
            names.push_str(", ");
            names.push_str(name);
        }
    }
    reply.header("access-control-allow-headers", &names);
    reply.header("access-control-max-age", "600");
    reply.header("cache-control", "no-store");
    reply.allow_origin(Some(origin));
    reply
}

fn requested_names<'a>(head: &Head<'a>) -> impl Iterator<Item = &'a str> {
    head.asks_for_headers
        .one()
        .filter(|names| names.len() <= LONGEST_REQUEST)
        .and_then(|names| core::str::from_utf8(names).ok())
        .into_iter()
        .flat_map(|names| names.split(','))
        .map(|name| name.trim_matches([' ', '\t']))
        .filter(|name| !name.is_empty() && name.bytes().all(is_token_byte))
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
