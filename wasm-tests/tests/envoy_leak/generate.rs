//! Requests with tokens in places.

use std::fmt::Write as _;

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::scenario::{Request, request};

use crate::rng::Rng;
use crate::search::{MARK, SHORT_MARK};

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A header that is always taken away.
    Stripped,
    /// Any other header.
    Header,
    /// The name of a header.
    HeaderName,
    /// A cookie.
    Cookie,
    /// A header that `Connection` names.
    Nominated,
    /// The query.
    Query,
    /// The path.
    Path,
    /// A trailer that is always taken away.
    StrippedTrailer,
    /// Any other trailer.
    Trailer,
    /// The name of a trailer.
    TrailerName,
    /// What stands behind the size of a chunk.
    ChunkExtension,
    /// The authority, or the user part of an absolute target.
    Authority,
    /// The method.
    Method,
    /// A form, which is not read.
    Form,
    /// A second `Authorization`.
    Twice,
}

/// All kinds.
pub(crate) const KINDS: &[Kind] = &[
    Kind::Stripped,
    Kind::Header,
    Kind::HeaderName,
    Kind::Cookie,
    Kind::Nominated,
    Kind::Query,
    Kind::Path,
    Kind::StrippedTrailer,
    Kind::Trailer,
    Kind::TrailerName,
    Kind::ChunkExtension,
    Kind::Authority,
    Kind::Method,
    Kind::Form,
    Kind::Twice,
];

impl Kind {
    /// Whether a request is not refused for it: what is there is taken away.
    pub(crate) fn may_arrive_clean(self) -> bool {
        matches!(
            self,
            Self::Stripped
                | Self::Cookie
                | Self::Nominated
                | Self::StrippedTrailer
                | Self::ChunkExtension
        )
    }
}

/// A request, and what is special about it.
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) kinds: Vec<Kind>,
    /// Behind the size of the first chunk.
    pub(crate) extension: Option<String>,
}

/// Names that are always taken away: the built-in ones, and those that the
/// configuration strips, sets, or fills from claims.
const STRIPPED: &[&str] = &[
    "Proxy-Authorization",
    "X-Authorization",
    "X-Forwarded-Authorization",
    "X-Original-Authorization",
    "X-Access-Token",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-Access-Token",
    "X-Id-Token",
    "DPoP",
    "X-Legacy-Token",
    "X-Mcp-Subject",
    "X-Mcp-Client-Id",
];

/// Names of which only some servers and proxies think something.
const OTHERS: &[&str] = &[
    "Accept",
    "Accept-Language",
    "Access-Control-Request-Headers",
    "Baggage",
    "Cache-Control",
    "Content-Type",
    "Forwarded",
    "From",
    "If-None-Match",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Param-Region",
    "Mcp-Session-Id",
    "Origin",
    "Range",
    "Referer",
    "Traceparent",
    "Tracestate",
    "User-Agent",
    "Via",
    "X-Api-Token",
    "X-B3-TraceId",
    "X-Envoy-Original-Path",
    "X-Envoy-Retry-On",
    "X-Envoy-Upstream-Alt-Stat-Name",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Request-Id",
    "X-Token",
    "X_Auth",
];

const PATHS: &[&str] = &["/github/mcp", "/linear/mcp", "/plain/mcp", "/shared/a/x"];

/// The next request.
pub(crate) fn case(rng: &mut Rng, number: usize, protocol: Protocol) -> Case {
    let token = token(rng, number);
    let method = rng.pick(&["GET", "POST", "POST", "DELETE"]);
    let mut case = Case {
        request: request(method, rng.pick(PATHS)),
        kinds: Vec::new(),
        extension: None,
    };
    if rng.one_in(2) {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        case.request = case
            .request
            .header("content-type", "application/json")
            .body(body);
    }
    if rng.one_in(4) {
        case.request = case.request.trailer("x-checksum", "1");
    }
    if !rng.one_in(12) {
        let scheme = rng.pick(&["Bearer", "Bearer", "bearer", "BEARER", "Bearer ", "Basic"]);
        let name = mixed(rng, "Authorization", protocol, false);
        case.request = case.request.header(&name, format!("{scheme} {token}"));
    }
    let count = rng.pick(&[0, 1, 1, 1, 1, 2, 3]);
    for _ in 0..count {
        let kind = rng.pick(KINDS);
        if place(rng, &mut case, kind, &token, protocol) {
            case.kinds.push(kind);
        }
    }
    case
}

/// A token; one in twenty is short, so that it counts as a whole value only.
fn token(rng: &mut Rng, number: usize) -> String {
    if rng.one_in(20) {
        return format!("{SHORT_MARK}{number:x}");
    }
    // What some fields cannot have is not in every token.
    let odd = rng.pick(&["", "", "+~", "/+x", ""]);
    let end = rng.pick(&["", "", "", "=="]);
    format!("{MARK}.{number}.{:x}{odd}.{MARK}{end}", rng.next())
}

/// Puts the token there. False where this cannot be sent.
fn place(rng: &mut Rng, case: &mut Case, kind: Kind, token: &str, protocol: Protocol) -> bool {
    let short = token.starts_with(SHORT_MARK);
    let named = token.bytes().all(|b| b != b'/' && b != b'=');
    let http1 = protocol == Protocol::Http1;
    let mut request = case.request.clone();
    match kind {
        Kind::Stripped => {
            let name = mixed_pick(rng, STRIPPED, protocol);
            request = request.header(&name, value(rng, token, false));
        }
        Kind::Header => {
            let name = mixed_pick(rng, OTHERS, protocol);
            request = request.header(&name, value(rng, token, short));
        }
        Kind::HeaderName | Kind::TrailerName => {
            if !named {
                return false;
            }
            let name = if short {
                token.to_owned()
            } else {
                format!("x-{token}")
            };
            let name = mixed(rng, &name, protocol, false);
            request = if kind == Kind::HeaderName {
                request.header(&name, "1")
            } else {
                request.trailer(&name, "1")
            };
        }
        Kind::Cookie => request = request.header("Cookie", cookie(rng, token)),
        Kind::Nominated => {
            if !http1 {
                return false;
            }
            let value = value(rng, token, short);
            let connection = rng.pick(&["X-Nominated", "keep-alive, x-nominated"]);
            request = request
                .header("Connection", connection)
                .header("X-Nominated", value);
        }
        Kind::Query => {
            let spelled = escaped(rng, token);
            let query = match rng.below(if short { 3 } else { 6 }) {
                0 => spelled,
                1 => format!(
                    "{}={spelled}",
                    rng.pick(&["access_token", "q", "token", "a%5Bb"])
                ),
                2 => format!("x=1&{spelled}=2"),
                3 => format!("x=1;y=%2F{spelled}%2F&z"),
                4 => format!("a=1&next=http://x.example.com/%3Ft={spelled}"),
                _ => format!("x=Bearer%20{spelled}"),
            };
            let joint = if request.path.contains(&b'?') {
                "&"
            } else {
                "?"
            };
            request.path.extend(format!("{joint}{query}").as_bytes());
        }
        Kind::Path => {
            if request.path.contains(&b'?') {
                return false;
            }
            let spelled = escaped(rng, token);
            let tail = match rng.below(if short { 1 } else { 4 }) {
                0 => format!("/{spelled}"),
                1 => format!("/x;t={spelled}"),
                2 => format!("/{spelled}/../y;{spelled}"),
                _ => format!("/a%20{spelled}b"),
            };
            request.path.extend(tail.as_bytes());
        }
        Kind::StrippedTrailer => {
            let more = ["Authorization", "Cookie", "Mcp-Session-Id"];
            let name = mixed_pick(rng, &[STRIPPED, &more[..]].concat(), protocol);
            request = request.trailer(&name, value(rng, token, false));
        }
        Kind::Trailer => {
            let name = mixed_pick(rng, &["X-Checksum", "X-Trailer", "Server-Timing"], protocol);
            request = request.trailer(&name, value(rng, token, short));
        }
        Kind::ChunkExtension => {
            if !http1 {
                return false;
            }
            request = request.trailer("x-checksum", "2");
            case.extension = Some(format!(";t=\"{token}\""));
        }
        Kind::Authority => {
            if token.contains(['/', '=', '~', '+']) || (short && http1) {
                return false;
            }
            if http1 && rng.one_in(2) {
                let target = format!("http://user:{token}@gateway.example.com");
                request.path = [target.as_bytes(), &request.path].concat();
            } else {
                request.authority = token.into();
            }
        }
        Kind::Method => {
            if !named {
                return false;
            }
            request.method = token.into();
        }
        Kind::Form => {
            request
                .headers
                .retain(|f| !f.name.eq_ignore_ascii_case(b"content-type"));
            let form = rng.pick(&[
                "application/x-www-form-urlencoded",
                "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            ]);
            request = request
                .header("content-type", form)
                .body(format!("access_token={}", escaped(rng, token)));
        }
        Kind::Twice => request = request.header("Authorization", format!("Bearer {token}")),
    }
    case.request = request;
    true
}

/// The token as a value, alone or (unless it has to be `whole`) among others.
fn value(rng: &mut Rng, token: &str, whole: bool) -> String {
    let spelled = escaped(rng, token);
    match rng.below(if whole { 1 } else { 6 }) {
        0 | 1 => spelled,
        2 => format!("Bearer {spelled}"),
        3 => format!("a, \"{spelled}\", b"),
        4 => format!("https://x.example.com/?t={spelled}#x"),
        _ => format!("x{spelled}y%"),
    }
}

/// The token as it is, or with some or all of its bytes percent-encoded.
fn escaped(rng: &mut Rng, token: &str) -> String {
    let how = rng.below(4);
    let mut text = String::new();
    for byte in token.bytes() {
        if how == 0 || (how == 1 && rng.one_in(3)) {
            let _ = if rng.one_in(2) {
                write!(text, "%{byte:02x}")
            } else {
                write!(text, "%{byte:02X}")
            };
        } else {
            text.push(byte.into());
        }
    }
    text
}

fn cookie(rng: &mut Rng, token: &str) -> String {
    let spelled = escaped(rng, token);
    match rng.below(5) {
        0 => format!("access_token={spelled}"),
        1 => format!("a=1; session={spelled}; b=2"),
        2 => format!("a=1;Access-Token=\"{spelled}\""),
        3 => format!("{spelled}=1; c=3"),
        _ => spelled,
    }
}

fn mixed_pick(rng: &mut Rng, names: &[&str], protocol: Protocol) -> String {
    let name = rng.pick(names);
    mixed(rng, name, protocol, true)
}

/// The name in another case, where that can be sent, and with `_` for `-`.
fn mixed(rng: &mut Rng, name: &str, protocol: Protocol, underscores: bool) -> String {
    let how = rng.below(4);
    let replace = underscores && rng.one_in(4);
    let letter = |letter: char| match letter {
        '-' if replace => '_',
        letter if protocol == Protocol::Http2 || how == 0 => letter.to_ascii_lowercase(),
        letter if how == 1 => letter.to_ascii_uppercase(),
        letter => letter,
    };
    name.chars().map(letter).collect()
}
