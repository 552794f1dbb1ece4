//! Bytes that nothing can print.

use core::fmt;

/// A token, a password or a credential.
///
/// There is no `Display`, `Serialize`, `Deref` or `PartialEq`; `Debug` shows
/// nothing. The only way to the bytes is [`Secret::expose`], so that a search
/// for `expose` lists every use.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes into safe keeping.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for sending them where they belong or comparing them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether these are the same bytes, in a time that does not tell where
    /// they differ.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(other).into()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_bytes() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2")), "Secret(..)");
    }

    #[test]
    fn matches_the_same_bytes_only() {
        let secret = Secret::new(b"abc");
        assert!(secret.matches(b"abc"));
        assert!(!secret.matches(b"abd"));
        assert!(!secret.matches(b"ab"));
        assert!(!secret.matches(b""));
    }
}
