//! Names and values of header fields that may be set or removed.

use crate::fields::fold;

/// A field name in lower case (RFC 9113 section 8.2); the error is a sentence.
pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if text.starts_with(':') {
        return Err("is a pseudo header, which Envoy sets; remove it");
    }
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(is_token) {
        return Err("is not the name of a header; use letters, digits and `-`");
    }
    if RESERVED.contains(&fold(text).as_str()) {
        return Err("is a header that belongs to HTTP or MCP itself; remove it");
    }
    Ok(text.to_ascii_lowercase())
}

/// Whether this is the value of a field (RFC 9110 section 5.5) that every hop
/// reads in the same way; the error is a sentence.
pub(super) fn value(value: &[u8]) -> Result<(), &'static str> {
    let (Some(first), Some(last)) = (value.first(), value.last()) else {
        return Err("is empty; give it a value or remove it");
    };
    if value.len() > LONGEST_VALUE {
        return Err("is longer than 8 KiB; shorten it");
    }
    if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(
            "has a character that a header may not have; look for a line break, \
                    possibly at the end of a variable, and for letters that are not ASCII",
        );
    }
    if matches!(first, b' ' | b'\t') || matches!(last, b' ' | b'\t') {
        return Err("begins or ends with a space; remove it");
    }
    Ok(())
}

/// The credential in a value: what stands behind the scheme word, if there is
/// one.
pub(super) fn credential(value: &[u8]) -> &[u8] {
    let Some(space) = value.iter().position(|byte| *byte == b' ') else {
        return value;
    };
    value
        .get(space..)
        .map_or(value, |rest| rest.trim_ascii_start())
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Names that say how a message is framed or where it goes, that this filter
/// itself decides on, or that belong to the body. Folded.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "mcp-session-id",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Bytes in a name.
const LONGEST_NAME: usize = 128;

/// Bytes in a value.
const LONGEST_VALUE: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC9113-8.2-a.
    #[test]
    fn names_are_lowered_at_load() {
        assert_eq!(name("X-API-KEY"), Ok("x-api-key".into()));
        assert_eq!(name("Authorization"), Ok("authorization".into()));
        assert_eq!(name("X_Api_Key"), Ok("x_api_key".into()));
        assert_eq!(name("Cookie"), Ok("cookie".into()));
    }

    /// RFC9113-8.2.1-a.
    #[test]
    fn names_that_could_change_the_message_are_refused() {
        for text in [
            "",
            ":authority",
            ":path",
            "Host",
            "content-length",
            "Content_Length",
            "CONTENT-TYPE",
            "transfer-encoding",
            "transfer_encoding",
            "connection",
            "TE",
            "trailer",
            "upgrade",
            "keep-alive",
            "proxy-connection",
            "expect",
            "Mcp-Session-Id",
            "mcp_session_id",
            "x y",
            "x:y",
            "x\r\ny",
            "x\0",
            "é",
            "x\u{7f}",
            "x(y)",
            "\"x\"",
        ] {
            assert!(name(text).is_err(), "{text:?}");
        }
        assert!(name(&"a".repeat(129)).is_err());
    }

    /// RFC9113-8.2.1-a.
    #[test]
    fn values_that_could_split_a_message_are_refused() {
        for text in ["a", "Bearer abc", "a\tb", "~!\"\\", &"a".repeat(8_192)] {
            assert_eq!(value(text.as_bytes()), Ok(()), "{text:?}");
        }
        for text in [
            "",
            " ",
            " a",
            "a ",
            "\ta",
            "a\t",
            "a\r",
            "a\nb",
            "a\r\nX: y",
            "a\0b",
            "a\u{7f}",
            "é",
            "a\u{b}",
            &"a".repeat(8_193),
        ] {
            assert!(value(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_credential_stands_behind_its_scheme() {
        for (value, expected) in [
            ("Bearer xyz", "xyz"),
            ("Basic  abc=", "abc="),
            ("xyz", "xyz"),
            ("Token token=\"a\", b=\"c\"", "token=\"a\", b=\"c\""),
        ] {
            assert_eq!(credential(value.as_bytes()), expected.as_bytes());
        }
    }
}
