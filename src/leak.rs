//! The search for a client's token in what is about to leave.

use core::cell::OnceCell;

use memchr::memmem::{self, Finder};

use crate::fields::{percent_decode, trim};

/// From this length on a token is looked for anywhere in a value. A shorter
/// one would be found in innocent text, so it counts as a whole value only.
const SUBSTRING_FROM: usize = 16;

/// From this length on a value is worth a prepared search: in shorter ones
/// `memmem::find` compares rolling hashes, and prepares nothing.
const PREPARED_FROM: usize = 64;

/// Where a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the credential that it was exchanged for.
    Credential,
    /// In the value or the name of a header field.
    Header,
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a trailer field.
    Trailer,
}

impl Place {
    /// All of them.
    #[cfg(target_family = "wasm")]
    pub(crate) const ALL: [Self; 5] = [
        Self::Credential,
        Self::Header,
        Self::Path,
        Self::Query,
        Self::Trailer,
    ];

    /// Its word in the metric `leak_blocked`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Header => "header",
            Self::Path => "path",
            Self::Query => "query",
            Self::Trailer => "trailer",
        }
    }
}

/// One token to look for.
pub(crate) struct Search<'a> {
    token: &'a [u8],
    /// Made for the first value that is long enough: it costs as much as the
    /// whole search of a short one, and most requests have no long ones.
    finder: OnceCell<Finder<'a>>,
}

impl<'a> Search<'a> {
    /// The search for this token.
    pub(crate) fn new(token: &'a [u8]) -> Self {
        Self {
            token,
            finder: OnceCell::new(),
        }
    }

    /// Whether a field is long enough to carry the token.
    pub(crate) fn fits(&self, name: &str, value: &[u8]) -> bool {
        value.len().max(name.len()) >= self.token.len()
    }

    /// Whether a field carries the token, raw or percent-decoded, in its value
    /// or (in any case) in its name.
    pub(crate) fn in_field(&self, name: &str, value: &[u8]) -> bool {
        // A value that is shorter than the token cannot have it.
        (value.len() >= self.token.len() && self.in_value(value))
            || (name.len() >= self.token.len() && self.in_name(name))
    }

    /// Where `:path` has the token: in a segment or in the query.
    pub(crate) fn in_path(&self, path: &[u8]) -> Option<Place> {
        if path.len() < self.token.len() {
            return None;
        }
        let question = memchr::memchr(b'?', path).unwrap_or(path.len());
        let (path, query) = path.split_at_checked(question).unwrap_or((path, b""));
        if self.anywhere(path)
            || path
                .split(|byte| *byte == b'/')
                .any(|part| self.is_whole(part))
        {
            return Some(Place::Path);
        }
        let parts = || query.split(|byte| matches!(byte, b'?' | b'&' | b';' | b'='));
        (self.anywhere(query) || parts().any(|part| self.is_whole(part))).then_some(Place::Query)
    }

    /// Whether a value has the token, raw or percent-decoded.
    pub(crate) fn in_value(&self, value: &[u8]) -> bool {
        if self.token.len() < SUBSTRING_FROM {
            // Envoy joins the values of equal fields by commas.
            return value
                .split(|byte| *byte == b',')
                .any(|member| self.is_whole(member));
        }
        self.anywhere(value)
    }

    fn in_name(&self, name: &str) -> bool {
        let token = self.token.to_ascii_lowercase();
        let name = name.to_ascii_lowercase();
        if token.len() < SUBSTRING_FROM {
            name.as_bytes() == token
        } else {
            memmem::find(name.as_bytes(), &token).is_some()
        }
    }

    fn anywhere(&self, value: &[u8]) -> bool {
        if self.token.len() < SUBSTRING_FROM || value.len() < self.token.len() {
            return false;
        }
        self.is_in(value)
            || (memchr::memchr(b'%', value).is_some() && self.is_in(&percent_decode(value)))
    }

    fn is_in(&self, value: &[u8]) -> bool {
        if value.len() < PREPARED_FROM {
            return memmem::find(value, self.token).is_some();
        }
        let finder = self.finder.get_or_init(|| Finder::new(self.token));
        finder.find(value).is_some()
    }

    fn is_whole(&self, value: &[u8]) -> bool {
        let value = trim(value);
        !self.token.is_empty()
            && (value == self.token
                || (memchr::memchr(b'%', value).is_some() && percent_decode(value) == self.token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"0123456789abcdef+/Z=";

    fn found(value: &[u8]) -> bool {
        Search::new(TOKEN).in_field("x-name", value)
    }

    #[test]
    fn a_long_token_is_found_anywhere_raw_or_escaped() {
        assert!(found(b"0123456789abcdef+/Z="));
        assert!(found(b"Bearer 0123456789abcdef+/Z=, more"));
        assert!(found(b"%30123456789abcdef%2B%2fZ%3D"));
        assert!(found(b"\xff0123456789abcdef+/Z="));
        assert!(!found(b"0123456789abcdef+/Z"));
        assert!(!found(b""));
    }

    #[test]
    fn a_short_token_is_found_as_a_whole_value_only() {
        let search = Search::new(b"abc");
        assert!(search.in_field("x-name", b"abc"));
        assert!(search.in_field("x-name", b" a%62c "));
        assert!(search.in_field("ABC", b""));
        assert!(search.in_field("x-name", b"text/plain, a%62c"));
        assert!(!search.in_field("x-name", b"xabcx"));
        assert_eq!(search.in_path(b"/x/abc/y"), Some(Place::Path));
        assert_eq!(search.in_path(b"/x?q=abc"), Some(Place::Query));
        assert_eq!(search.in_path(b"/x?abc"), Some(Place::Query));
        assert_eq!(search.in_path(b"/xabc?q=abcd"), None);
    }

    #[test]
    fn a_path_tells_segment_and_query_apart() {
        let search = Search::new(TOKEN);
        assert_eq!(
            search.in_path(b"/a/0123456789abcdef%2b%2FZ%3d/b"),
            Some(Place::Path)
        );
        assert_eq!(
            search.in_path(b"/a?b=x0123456789abcdef+/Z=x"),
            Some(Place::Query)
        );
        assert_eq!(search.in_path(b"/a?b=c"), None);
    }

    #[test]
    fn a_field_that_can_carry_the_token_is_looked_at() {
        let search = Search::new(TOKEN);
        assert!(search.fits("x", TOKEN) && search.fits("0123456789abcdef+/Z=", b""));
        assert!(!search.fits("x", b"0123456789abcdef+/Z"));
    }

    #[test]
    fn a_token_may_be_all_of_a_path() {
        let search = Search::new(b"/0123456789abcdef");
        assert_eq!(search.in_path(b"/0123456789abcdef"), Some(Place::Path));
        assert_eq!(search.in_path(b"/0123456789abcde"), None);
    }

    #[test]
    fn sixteen_bytes_are_a_long_token_and_fifteen_a_short_one() {
        let long = Search::new(b"0123456789abcdef");
        let short = Search::new(b"0123456789abcde");
        assert!(long.in_value(b"x0123456789abcdefx"));
        assert!(!short.in_value(b"x0123456789abcdex"));
        assert!(long.in_field("x-0123456789abcdef", b""));
        assert!(!short.in_field("x-0123456789abcde", b""));
        assert_eq!(long.in_path(b"/x0123456789abcdef"), Some(Place::Path));
        assert_eq!(short.in_path(b"/x0123456789abcde"), None);
    }

    #[test]
    fn a_long_value_is_searched_like_a_short_one() {
        for length in [0, 30, 60, 64, 100, 1_000] {
            let other = [b"%".as_slice(), &b"x%20y".repeat(length)].concat();
            assert!(!found(&other), "{length}");
            assert!(found(&[&other, TOKEN, b"%"].concat()), "{length}");
            let escaped = b"%30123456789abcdef%2B%2fZ%3D";
            assert!(found(&[&other, escaped.as_slice()].concat()), "{length}");
        }
        assert!(!Search::new(b"abc").in_value(b"a%62d, %"));
    }

    #[test]
    fn no_token_is_found_nowhere() {
        let search = Search::new(b"");
        assert!(!search.in_field("x", b"") && !search.in_field("x", b"y"));
        assert_eq!(search.in_path(b"/?a="), None);
    }

    #[test]
    fn a_name_is_searched_in_any_case() {
        let search = Search::new(b"0123456789ABCDEFgh");
        assert!(search.in_field("x-0123456789abcdefgh", b""));
        assert!(!search.in_field("x-0123456789abcdefg", b""));
    }
}
