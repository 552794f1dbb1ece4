//! What is kept instead of a token.

use core::fmt;
use core::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};

use crate::issuers::IssuerId;

/// SHA-256 over the introspection endpoint, our client id there, and a token:
/// answers of two authorization servers, or for two clients, are never mixed
/// (RFC 7662 section 2.2). It knows which authorization server is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32], IssuerId);

impl TokenDigest {
    /// Whose token it stands for.
    pub(crate) fn issuer(&self) -> IssuerId {
        self.1
    }

    /// The first 12 hex digits, for the audit record.
    pub(crate) fn short(&self) -> String {
        let mut digits = String::with_capacity(12);
        for byte in self.0.iter().take(6) {
            for digit in [byte >> 4, byte & 0xf] {
                digits.extend(char::from_digit(digit.into(), 16));
            }
        }
        digits
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// By its first eight bytes: all of them are as good as random.
impl Hash for TokenDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
            eighth,
            ..,
        ] = self.0;
        state.write_u64(u64::from_le_bytes([
            first, second, third, fourth, fifth, sixth, seventh, eighth,
        ]));
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({})", self.short())
    }
}

/// Makes digests for one endpoint and client.
#[derive(Clone)]
pub(crate) struct Digester(Sha256, IssuerId);

impl Digester {
    /// The one for this introspection URL and this client.
    pub(crate) fn new(url: &str, client: &str) -> Self {
        let mut scope = Sha256::new();
        for part in [url, client] {
            scope.update(part.len().to_string());
            scope.update(":");
            scope.update(part);
        }
        // One whole block, so that a token costs no more than it would alone.
        let mut base = Sha256::new();
        base.update(scope.finalize());
        base.update([0; 32]);
        Self(base, IssuerId::default())
    }

    /// The same, for this authorization server.
    pub(crate) fn of_issuer(self, issuer: IssuerId) -> Self {
        Self(self.0, issuer)
    }

    /// The digest of a token.
    pub(crate) fn of(&self, token: &[u8]) -> TokenDigest {
        let mut digest = self.0.clone();
        digest.update(token);
        TokenDigest(digest.finalize().into(), self.1)
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC7662-2.2-pr: neither endpoint nor client nor token may be mixed up.
    #[test]
    fn a_digest_depends_on_every_part() {
        let all = [
            Digester::new("https://a/", "b").of(b"t"),
            Digester::new("https://a/", "c").of(b"t"),
            Digester::new("https://a/b", "").of(b"t"),
            Digester::new("https://c/", "b").of(b"t"),
            Digester::new("https://a/", "b").of(b"u"),
            // Two issuers may have one endpoint.
            Digester::new("https://a/", "b")
                .of_issuer(IssuerId::at(1).unwrap())
                .of(b"t"),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one));
        }
        assert_eq!(all[0], Digester::new("https://a/", "b").of(b"t"));
    }

    #[test]
    fn the_short_form_is_twelve_hex_digits() {
        let short = Digester::new("", "").of(b"t").short();
        assert_eq!(short.len(), 12);
        assert!(short.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
