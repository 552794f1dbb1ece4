//! The head of a request, read once.

use crate::fields::{Field, percent_decode, trim};

/// What a header that may stand once has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Single<'a> {
    /// It is not there.
    Absent,
    /// One value, without the white space around it.
    One(&'a [u8]),
    /// It stands more than once.
    Several,
}

impl<'a> Single<'a> {
    fn meet(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::One(trim(value)),
            Self::One(_) | Self::Several => Self::Several,
        };
    }

    /// The value, where there is exactly one.
    pub(crate) fn one(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::Absent | Self::Several => None,
        }
    }
}

/// The methods that make a difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// DELETE.
    Delete,
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// Any other.
    Other,
    /// POST.
    Post,
    /// CONNECT or TRACE.
    Tunnel,
}

/// What the decision looks at in a request, borrowed from its fields.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    /// All fields, pseudo fields included.
    pub(crate) fields: &'a [Field],
    /// `:method`.
    pub(crate) method: Method,
    /// `:path`, with the query.
    pub(crate) path: &'a [u8],
    /// `:authority`.
    pub(crate) authority: &'a [u8],
    /// `Authorization`.
    pub(crate) authorization: Single<'a>,
    /// `Origin`.
    pub(crate) origin: Single<'a>,
    /// `Mcp-Session-Id`.
    pub(crate) session: Single<'a>,
    /// `MCP-Protocol-Version`.
    pub(crate) protocol_version: Single<'a>,
    /// `Mcp-Method`.
    pub(crate) mcp_method: Single<'a>,
    /// `Mcp-Name`.
    pub(crate) mcp_name: Single<'a>,
    /// `X-Request-Id`.
    pub(crate) request_id: Single<'a>,
    /// `Content-Type`.
    pub(crate) content_type: Single<'a>,
    /// Whether `Access-Control-Request-Method` is there.
    pub(crate) asks_for_method: bool,
    /// `Access-Control-Request-Headers`.
    pub(crate) asks_for_headers: Single<'a>,
}

impl<'a> Head<'a> {
    /// Reads the fields; they are in lower case, as Envoy hands them over.
    pub(crate) fn read(fields: &'a [Field]) -> Self {
        let mut head = Self {
            fields,
            method: Method::Other,
            path: b"",
            authority: b"",
            authorization: Single::Absent,
            origin: Single::Absent,
            session: Single::Absent,
            protocol_version: Single::Absent,
            mcp_method: Single::Absent,
            mcp_name: Single::Absent,
            request_id: Single::Absent,
            content_type: Single::Absent,
            asks_for_method: false,
            asks_for_headers: Single::Absent,
        };
        for (name, value) in fields {
            match name.as_str() {
                ":method" => head.method = Method::read(value),
                ":path" => head.path = value,
                ":authority" => head.authority = value,
                "authorization" => head.authorization.meet(value),
                "origin" => head.origin.meet(value),
                "mcp-session-id" => head.session.meet(value),
                "mcp-protocol-version" => head.protocol_version.meet(value),
                "mcp-method" => head.mcp_method.meet(value),
                "mcp-name" => head.mcp_name.meet(value),
                "x-request-id" => head.request_id.meet(value),
                "content-type" => head.content_type.meet(value),
                "access-control-request-method" => head.asks_for_method = true,
                "access-control-request-headers" => head.asks_for_headers.meet(value),
                _ => {}
            }
        }
        head
    }

    /// OPTIONS with which a browser asks whether it may call.
    pub(crate) fn is_preflight(&self) -> bool {
        self.method == Method::Options && self.asks_for_method && self.origin != Single::Absent
    }

    /// Whether the body is a form, which can carry a token (RFC 6750 section
    /// 2.2); MCP has no use for one. Several content types count as one.
    pub(crate) fn is_form(&self) -> bool {
        match self.content_type {
            Single::Absent => false,
            Single::Several => true,
            Single::One(value) => value.split(|byte| *byte == b',').any(|one| {
                let media_type = one.split(|byte| *byte == b';').next().unwrap_or(b"");
                let media_type = trim(media_type);
                media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
                    || media_type.eq_ignore_ascii_case(b"multipart/form-data")
            }),
        }
    }

    /// Whether the query has a parameter named `access_token` (RFC 6750
    /// section 2.3), however it is escaped.
    pub(crate) fn has_query_token(&self) -> bool {
        let Some(question) = memchr::memchr(b'?', self.path) else {
            return false;
        };
        let query = self.path.get(question.saturating_add(1)..).unwrap_or(b"");
        query
            .split(|byte| matches!(byte, b'&' | b';' | b'?'))
            .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
            .any(|name| {
                name.len() >= ACCESS_TOKEN.len()
                    && trim(&percent_decode(name)).eq_ignore_ascii_case(ACCESS_TOKEN)
            })
    }

    /// Whether the path is that of OAuth or `OpenID` metadata, in any spelling
    /// that a server could take for it (RFC 8615, RFC 8414 section 3).
    pub(crate) fn is_oauth_well_known(&self) -> bool {
        let path = self.path.split(|byte| *byte == b'?').next().unwrap_or(b"");
        if memchr::memchr2(b'.', b'%', path).is_none() {
            return false;
        }
        let decoded = percent_decode(path).to_ascii_lowercase();
        let mut stack: Vec<&[u8]> = Vec::new();
        for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or(b"");
            match name {
                b"" | b"." => {}
                b".." => {
                    stack.pop();
                }
                other => {
                    let metadata =
                        other.starts_with(b"oauth-") || other.starts_with(b"openid-configuration");
                    if metadata && stack.last().is_some_and(|last| *last == b".well-known") {
                        return true;
                    }
                    stack.push(other);
                }
            }
        }
        false
    }

    /// Whether the request is of a revision without sessions: 2026-07-28 or
    /// later, said once and in the form of a date.
    pub(crate) fn is_sessionless_revision(&self) -> bool {
        let Some(version) = self.protocol_version.one() else {
            return false;
        };
        let is_date = version.len() == 10
            && version.iter().enumerate().all(|(place, byte)| {
                if place == 4 || place == 7 {
                    *byte == b'-'
                } else {
                    byte.is_ascii_digit()
                }
            });
        is_date && version >= &b"2026-07-28"[..]
    }
}

const ACCESS_TOKEN: &[u8] = b"access_token";

impl Method {
    fn read(method: &[u8]) -> Self {
        match method {
            b"DELETE" => Self::Delete,
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"POST" => Self::Post,
            b"CONNECT" | b"TRACE" => Self::Tunnel,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(name: &str, value: &str) -> Field {
        (name.to_owned(), value.as_bytes().to_vec())
    }

    fn path_of(path: &str) -> [Field; 1] {
        [field(":path", path)]
    }

    /// OAUTH21-5.1-q2: percent-encoded names included.
    #[test]
    fn a_query_token_is_seen_in_any_spelling() {
        for path in [
            "/?access_token=x",
            "/mcp?x=1&access%5Ftoken=Z",
            "/mcp?a;ACCESS_TOKEN",
            "/mcp?access_token",
            "/mcp??access_token=",
        ] {
            assert!(Head::read(&path_of(path)).has_query_token(), "{path}");
        }
        for path in [
            "/access_token",
            "/?x=access_token",
            "/?my_access_token=x",
            "/",
        ] {
            assert!(!Head::read(&path_of(path)).has_query_token(), "{path}");
        }
    }

    /// RFC8414-compat, PRM-local, PATH-norm.
    #[test]
    fn oauth_metadata_is_seen_in_any_spelling() {
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/github/mcp?x",
            "/github/.well-known/openid-configuration",
            "//.well-known//oauth-protected-resource/x",
            "/.well-known/x/../oauth-x",
            "/%2ewell-known%2foauth-protected-resource",
            "/.WELL-KNOWN;x/OAuth-x",
            "/.%77ell-known/oauth-x",
        ] {
            assert!(Head::read(&path_of(path)).is_oauth_well_known(), "{path}");
        }
        for path in [
            "/.well-known/other",
            "/oauth-x",
            "/well-known/oauth-x",
            "/mcp?/.well-known/oauth-x",
        ] {
            assert!(!Head::read(&path_of(path)).is_oauth_well_known(), "{path}");
        }
    }

    #[test]
    fn only_a_date_from_2026_07_28_on_is_without_sessions() {
        for (version, expected) in [
            ("2026-07-28", true),
            ("2027-01-01", true),
            ("2025-11-25", false),
            ("2026-07-28x", false),
            ("9999", false),
            ("draft-2027", false),
        ] {
            let fields = [field("mcp-protocol-version", version)];
            assert_eq!(
                Head::read(&fields).is_sessionless_revision(),
                expected,
                "{version}"
            );
        }
        let twice = [
            field("mcp-protocol-version", "2026-07-28"),
            field("mcp-protocol-version", "2026-07-28"),
        ];
        assert!(!Head::read(&twice).is_sessionless_revision());
    }

    /// RFC6750-2.2-b.
    #[test]
    fn a_form_is_known_by_its_media_type() {
        for value in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            "application/json, application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ] {
            assert!(
                Head::read(&[field("content-type", value)]).is_form(),
                "{value}"
            );
        }
        assert!(!Head::read(&[field("content-type", "application/json")]).is_form());
        assert!(!Head::read(&[]).is_form());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            path in proptest::collection::vec(any::<u8>(), 0..60),
            value in proptest::collection::vec(any::<u8>(), 0..30)
        ) {
            let fields: Vec<Field> = [":path", "content-type", "mcp-protocol-version", "origin"]
                .into_iter()
                .map(|name| {
                    let value = if name == ":path" { &path } else { &value };
                    (name.to_owned(), value.clone())
                })
                .collect();
            let head = Head::read(&fields);
            let _ = (head.is_form(), head.is_sessionless_revision(), head.is_preflight());
            let _ = (head.has_query_token(), head.is_oauth_well_known());
        }

        /// However a query token is spelt, it is seen.
        #[test]
        fn an_escaped_query_token_is_seen(escape in proptest::collection::vec(any::<bool>(), 12), before in "[a-z=&]{0,6}") {
            let name: String = "access_token"
                .bytes()
                .zip(escape)
                .map(|(byte, escape)| if escape { format!("%{byte:02x}") } else { char::from(byte).to_string() })
                .collect();
            let path = format!("/mcp?{before}&{name}=x");
            prop_assert!(Head::read(&path_of(&path)).has_query_token());
        }
    }

    #[test]
    fn a_method_is_read_as_it_is_written() {
        for (text, method) in [
            ("DELETE", Method::Delete),
            ("GET", Method::Get),
            ("HEAD", Method::Head),
            ("OPTIONS", Method::Options),
            ("POST", Method::Post),
            ("CONNECT", Method::Tunnel),
            ("TRACE", Method::Tunnel),
            ("PUT", Method::Other),
            ("post", Method::Other),
        ] {
            let fields = [field(":method", text)];
            assert_eq!(Head::read(&fields).method, method, "{text}");
        }
    }

    #[test]
    fn a_preflight_is_options_of_an_origin_that_asks_for_a_method() {
        let all = [
            field(":method", "OPTIONS"),
            field("origin", "https://app.example.com"),
            field("access-control-request-method", "POST"),
        ];
        assert!(Head::read(&all).is_preflight());
        for without in 0..all.len() {
            let mut some = all.to_vec();
            some.remove(without);
            assert!(!Head::read(&some).is_preflight(), "without {without}");
        }
    }
}
