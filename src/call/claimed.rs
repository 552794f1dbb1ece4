//! What the headers of a request say of its body (SEP-2243).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reader::{Id, Member, Message};
use crate::head::{Head, Single};
use crate::rules;

/// What the headers say.
#[derive(Debug)]
pub(super) struct Claimed {
    /// Whether the revision asks for these headers: 2026-07-28 or later.
    modern: bool,
    version: Claim,
    method: Claim,
    name: Claim,
}

/// What one of them says.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    /// Nothing.
    Absent,
    /// This.
    Is(Box<[u8]>),
    /// Nothing that could be so.
    Never,
}

impl Claim {
    fn read(value: Single<'_>) -> Self {
        match value {
            Single::Absent => Self::Absent,
            Single::One(value) if is_plain(value) => Self::Is(value.into()),
            Single::One(_) | Single::Several => Self::Never,
        }
    }

    /// What is told in Base64 where it cannot be told plainly.
    fn decoded(self) -> Self {
        let Self::Is(value) = &self else {
            return self;
        };
        let inner = value
            .strip_prefix(b"=?base64?")
            .and_then(|rest| rest.strip_suffix(b"?="));
        match inner.map(|inner| STANDARD.decode(inner)) {
            None => self,
            Some(Ok(decoded)) => Self::Is(decoded.into()),
            Some(Err(_)) => Self::Never,
        }
    }

    fn is(&self, said: &str) -> bool {
        matches!(self, Self::Is(value) if **value == *said.as_bytes())
    }
}

/// The bytes that such a header may have.
fn is_plain(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

impl Claimed {
    pub(super) fn read(head: &Head<'_>) -> Self {
        Self {
            modern: head.is_sessionless_revision(),
            version: Claim::read(head.protocol_version),
            method: Claim::read(head.mcp_method),
            name: Claim::read(head.mcp_name).decoded(),
        }
    }

    /// Whether batches, and answers to the server's own requests, may be sent:
    /// up to revision 2025-11-25 a server may have asked for them.
    pub(super) fn allows_more_than_calls(&self) -> bool {
        !self.modern
    }

    /// Whether a message, for a tool, prompt or resource of this name, is what
    /// the headers say.
    pub(super) fn agrees(&self, message: &Message, name: Option<&str>) -> bool {
        let version = match (&message.version, &self.version) {
            (Member::Absent, claim) => *claim != Claim::Never,
            (Member::Text(version), claim) => claim.is(version),
            (Member::Other, _) => false,
        };
        // Revision 2026-07-28 does not say what a notification has to have.
        let needed = self.modern && message.id != Id::Absent;
        let method = match (&message.method, &self.method) {
            (_, Claim::Absent) => !needed,
            (Some(method), claim) => claim.is(method) && !message.in_batch,
            (None, Claim::Is(_) | Claim::Never) => false,
        };
        let is_named = message.method.as_deref().is_some_and(rules::has_header);
        let name = match (name, &self.name) {
            (Some(_), Claim::Absent) => !(needed && is_named),
            (Some(name), claim) => claim.is(name) && !message.in_batch,
            // Extensions may have uses of their own for it.
            (None, _) => true,
        };
        version && method && name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Field;

    fn claimed(fields: &[(&str, &str)]) -> Claimed {
        let fields: Vec<Field> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        Claimed::read(&Head::read(&fields))
    }

    fn message(method: &str) -> Message {
        Message {
            id: Id::Number("1".into()),
            method: Some(method.into()),
            ..Message::default()
        }
    }

    const MODERN: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

    /// MCP-NAME-b: the markers are in lower case, and what is between them is
    /// Base64 with its padding.
    #[test]
    fn names_in_base64_are_compared_decoded() {
        for (header, name) in [
            ("echo", "echo"),
            ("=?base64?ZMOpbMOqdGU=?=", "d\u{e9}l\u{ea}te"),
            ("=?base64?IHBhZGRlZCA=?=", " padded "),
            ("=?base64??=", ""),
            ("=?BASE64?ZWNobw==?=", "=?BASE64?ZWNobw==?="),
        ] {
            let claimed = claimed(&[MODERN, ("mcp-method", "tools/call"), ("mcp-name", header)]);
            let call = message("tools/call");
            assert!(claimed.agrees(&call, Some(name)), "{header}");
            assert!(!claimed.agrees(&call, Some("other")), "{header}");
        }
        for header in [
            "=?base64?ZWNobw?=",
            "=?base64?!?=",
            "d\u{e9}l\u{ea}te",
            "Echo",
        ] {
            let claimed = claimed(&[MODERN, ("mcp-method", "tools/call"), ("mcp-name", header)]);
            for name in ["echo", "d\u{e9}l\u{ea}te", header] {
                let agrees = claimed.agrees(&message("tools/call"), Some(name));
                assert_eq!(
                    agrees,
                    header == "Echo" && name == header,
                    "{header} {name}"
                );
            }
        }
    }

    #[test]
    fn from_2026_07_28_on_requests_have_the_headers() {
        let call = message("tools/call");
        assert!(!claimed(&[MODERN]).agrees(&call, Some("echo")));
        assert!(!claimed(&[MODERN, ("mcp-method", "tools/call")]).agrees(&call, Some("echo")));
        assert!(claimed(&[]).agrees(&call, Some("echo")));
        let list = message("tools/list");
        assert!(claimed(&[MODERN, ("mcp-method", "tools/list")]).agrees(&list, None));
        let subscribe = message("resources/subscribe");
        let headers = [MODERN, ("mcp-method", "resources/subscribe")];
        assert!(claimed(&headers).agrees(&subscribe, Some("file:///a")));
        let mut notification = message("notifications/x");
        notification.id = Id::Absent;
        assert!(claimed(&[MODERN]).agrees(&notification, None));
    }

    #[test]
    fn whatever_the_revision_headers_do_not_contradict_the_body() {
        let call = message("tools/call");
        for headers in [
            &[("mcp-method", "tools/list")][..],
            &[("mcp-method", "TOOLS/CALL")],
            &[("mcp-name", "other")],
            &[("mcp-name", "echo"), ("mcp-name", "echo")],
            &[("mcp-method", "tools/call"), ("mcp-method", "tools/call")],
            &[MODERN, MODERN],
        ] {
            assert!(!claimed(headers).agrees(&call, Some("echo")), "{headers:?}");
        }
        let mut versioned = message("tools/list");
        versioned.version = Member::Text("2026-07-28".into());
        assert!(!claimed(&[]).agrees(&versioned, None));
        let old = [("mcp-protocol-version", "2025-11-25")];
        assert!(!claimed(&old).agrees(&versioned, None));
        let headers = [MODERN, ("mcp-method", "tools/list")];
        assert!(claimed(&headers).agrees(&versioned, None));
        versioned.version = Member::Other;
        assert!(!claimed(&headers).agrees(&versioned, None));
    }

    #[test]
    fn in_a_batch_one_header_cannot_speak_for_all() {
        let mut call = message("tools/call");
        call.in_batch = true;
        assert!(claimed(&[]).agrees(&call, Some("echo")));
        assert!(!claimed(&[("mcp-method", "tools/call")]).agrees(&call, Some("echo")));
        assert!(!claimed(&[("mcp-name", "echo")]).agrees(&call, Some("echo")));
    }
}
