//! The client's token: exactly one `Bearer` credential, or why not.

use core::fmt;

use crate::head::Single;

/// The longest token that is looked at, in bytes.
pub(crate) const LONGEST: usize = 8 * 1024;

/// A token as RFC 6750 section 2.1 writes it, still in the request's head.
#[derive(Clone, Copy)]
pub(crate) struct BearerToken<'a>(&'a [u8]);

/// Why there is no token to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// None, an empty one, or another scheme: no authentication information.
    Absent,
    /// Not token68, or too long.
    Malformed,
    /// More than one credential, in several fields or joined in one.
    Several,
}

impl<'a> BearerToken<'a> {
    /// Reads `Authorization`. Envoy joins several fields into one value with
    /// commas, so that is looked for as well (ENVOY-dup-a).
    pub(crate) fn read(authorization: Single<'a>) -> Result<Self, NoToken> {
        let value = match authorization {
            Single::Absent => return Err(NoToken::Absent),
            Single::Several => return Err(NoToken::Several),
            Single::One(value) => value,
        };
        if is_several(value) {
            return Err(NoToken::Several);
        }
        let (scheme, rest) = split_scheme(value);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(NoToken::Absent);
        }
        let token = skip_spaces(rest);
        if token.is_empty() {
            return Err(NoToken::Absent);
        }
        if token.len() > LONGEST || !is_token68(token) {
            return Err(NoToken::Malformed);
        }
        Ok(Self(token))
    }

    /// The bytes: for the digest, the introspection call and the search in
    /// what leaves.
    pub(crate) fn expose(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// Scheme and the rest, which begins with the space between them.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', value).unwrap_or(value.len());
    value.split_at_checked(end).unwrap_or((value, b""))
}

fn skip_spaces(value: &[u8]) -> &[u8] {
    let mut rest = value;
    while let [b' ', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

/// Whether a value is several credentials joined by commas. A comma is in no
/// token68; other schemes have commas between their parameters, which are
/// told from credentials by their `=`.
fn is_several(value: &[u8]) -> bool {
    if memchr::memchr(b',', value).is_none() {
        return false;
    }
    if split_scheme(value).0.eq_ignore_ascii_case(b"bearer") {
        return true;
    }
    value
        .split(|byte| *byte == b',')
        .skip(1)
        .map(crate::fields::trim)
        .any(|part| {
            let (scheme, rest) = split_scheme(part);
            scheme.eq_ignore_ascii_case(b"bearer")
                || (!scheme.contains(&b'=') && !matches!(skip_spaces(rest), [] | [b'=', ..]))
        })
}

/// RFC 9110 section 11.2: `=` at the end only, and something before it.
pub(crate) fn is_token68(token: &[u8]) -> bool {
    let mut rest = token;
    while let [head @ .., b'='] = rest {
        rest = head;
    }
    !rest.is_empty()
        && rest.iter().all(|byte| {
            matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields::trim;

    fn read(value: &[u8]) -> Result<Vec<u8>, NoToken> {
        BearerToken::read(Single::One(value)).map(|token| token.expose().to_vec())
    }

    /// RFC6750-2.1-a, RFC6750-2.1-b, RFC9110-11.1-a.
    #[test]
    fn one_bearer_token_is_read() {
        for value in [
            "Bearer a-._~+/9==",
            "bearer  a-._~+/9==",
            "bEaReR a-._~+/9==",
        ] {
            assert_eq!(
                read(value.as_bytes()),
                Ok(b"a-._~+/9==".to_vec()),
                "{value}"
            );
        }
    }

    /// RFC9110-11.2-a, RFC6750-3.1-m.
    #[test]
    fn what_is_not_token68_is_malformed() {
        for value in [
            &b"Bearer a=b"[..],
            b"Bearer a b",
            b"Bearer \"a\"",
            b"Bearer a%20",
            b"Bearer \xe9",
            b"Bearer =",
            b"Bearer a\0",
            b"Bearer a\tb",
        ] {
            assert_eq!(
                read(value),
                Err(NoToken::Malformed),
                "{}",
                value.escape_ascii()
            );
        }
    }

    /// RFC9110-5.4-a.
    #[test]
    fn a_token_has_8_kib_at_most() {
        let of = |length: usize| read(&[b"Bearer ".to_vec(), vec![b'a'; length]].concat());
        assert!(of(8_192).is_ok());
        assert_eq!(of(8_193), Err(NoToken::Malformed));
    }

    /// RFC6750-2.1-c, RFC6750-3.1-u.
    #[test]
    fn nothing_empty_or_another_scheme_is_no_token() {
        for value in [
            &b""[..],
            b"Bearer",
            b"Basic Zm9v",
            b"DPoP abc",
            b"Bearer\tT",
            b"BearerT",
            b"Bearer-x T",
            b"Digest username=\"a\", realm=\"b\", nc = 1",
        ] {
            assert_eq!(
                read(value),
                Err(NoToken::Absent),
                "{}",
                value.escape_ascii()
            );
        }
        assert_eq!(
            BearerToken::read(Single::Absent).err(),
            Some(NoToken::Absent)
        );
    }

    /// RFC9110-5.3-a, ENVOY-dup-a.
    #[test]
    fn two_authorization_fields_are_refused_joined_or_not() {
        for value in [
            &b"Bearer T,Bearer X"[..],
            b"Basic abc,Bearer T",
            b"Basic abc, bearer",
            b"Basic a,Basic b",
            b"Bearer T,",
            b"Bearer ,T",
        ] {
            assert_eq!(
                read(value),
                Err(NoToken::Several),
                "{}",
                value.escape_ascii()
            );
        }
        assert_eq!(
            BearerToken::read(Single::Several).err(),
            Some(NoToken::Several)
        );
    }

    proptest! {
        /// What is read is what stands behind the one `Bearer`, and nothing
        /// else is read.
        #[test]
        fn any_bytes_are_one_token_or_none(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            check(&value)?;
        }

        #[test]
        fn nearly_right_bytes_are_one_token_or_none(
            value in "[bB]earer[ \t]{0,2}[a-z=,.~+/ -]{0,12}(,[ ]?[bB]earer [a-z]{0,3})?"
        ) {
            check(value.as_bytes())?;
        }
    }

    fn check(value: &[u8]) -> Result<(), TestCaseError> {
        if let Ok(token) = read(value) {
            prop_assert!(is_token68(&token) && !value.contains(&b','));
            prop_assert!(value.ends_with(&token));
            let scheme = value.strip_suffix(token.as_slice()).unwrap();
            prop_assert!(trim(scheme).eq_ignore_ascii_case(b"bearer"));
            prop_assert!(scheme.ends_with(b" ") && !scheme.contains(&b'\t'));
        }
        Ok(())
    }
}
