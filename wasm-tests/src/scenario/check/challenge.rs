//! A strict reading of `WWW-Authenticate` (RFC 6750 section 3, RFC 9110
//! section 11.6.1).

use super::text;

/// The parameters in the order in which they have to come: what clients read
/// first has to be first (INTEROP-WA-order).
const ORDER: &[&str] = &["resource_metadata", "scope", "error", "error_description"];

/// What is wrong with one challenge line. `None` when nothing is.
/// RFC6750-3-c, RFC9110-11.5-a (never a realm), INTEROP-WA-order,
/// INTEROP-WA-first.
pub(super) fn complaint(value: &[u8]) -> Option<String> {
    let wrong = |what: &str| Some(format!("challenge: {what}: {}", text(value)));
    let Some(mut rest) = value.strip_prefix(b"Bearer ") else {
        return wrong("does not begin with `Bearer `");
    };
    let mut place = 0;
    loop {
        let Some(equals) = rest.windows(2).position(|w| w == b"=\"") else {
            return wrong("a parameter without a quoted value");
        };
        let (name, quoted) = (&rest[..equals], &rest[equals + 2..]);
        let Some(end) = quoted.iter().position(|b| *b == b'"') else {
            return wrong("a quote that does not end");
        };
        let content = &quoted[..end];
        if content.is_empty()
            || !content
                .iter()
                .all(|b| matches!(b, 0x20..=0x7e) && *b != b'\\')
        {
            return wrong("a value with bytes that it must not have");
        }
        if name == b"error_description" && content.contains(&b'=') {
            return wrong("a description that clients could take for a parameter");
        }
        let Some(found) = ORDER[place..]
            .iter()
            .position(|known| known.as_bytes() == name)
        else {
            return wrong("a parameter that is unknown, repeated or out of order");
        };
        place += found + 1;
        rest = &quoted[end + 1..];
        if rest.is_empty() {
            return None;
        }
        let Some(next) = rest.strip_prefix(b", ") else {
            return wrong("parameters not separated by a comma and a space");
        };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn a_good_challenge_has_no_complaint() {
        for good in [
            &br#"Bearer resource_metadata="https://x/y""#[..],
            br#"Bearer resource_metadata="https://x/y", scope="a b", error="invalid_token""#,
            br#"Bearer resource_metadata="u", error="e", error_description="Some text.""#,
        ] {
            assert_eq!(complaint(good), None);
        }
    }

    #[test]
    fn a_bad_challenge_has_one() {
        for bad in [
            &b"Bearer"[..],
            b"Bearer ",
            br#"Basic realm="x""#,
            br"Bearer scope=mcp",
            br#"Bearer scope="a", scope="a""#,
            br#"Bearer scope="a", resource_metadata="u""#,
            br#"Bearer scope="a"; error="b""#,
            br#"Bearer scope="a\"b""#,
            br#"Bearer scope="a", error_description="x error=y""#,
            br#"Bearer scope="a", error="b"#,
            br#"Bearer scope="a", "#,
        ] {
            assert!(complaint(bad).is_some(), "{}", super::text(bad));
        }
    }
}
