//! Header fields as bytes, with names compared as servers compare them.
//!
//! A name is the same in any case, and with `_` for `-`: CGI-like servers turn
//! both into the same variable (CVE-2025-64484 was a proxy that did not).

/// One field as the host gives it: Envoy refuses names that are not tokens,
/// values may be any bytes.
pub type Field = (String, Vec<u8>);

/// Request headers and trailers that can carry a client's token and are never
/// forwarded as they came (contract section 4). Folded.
pub(crate) const BUILT_IN_STRIP: &[&str] = &[
    "authorization",
    "dpop",
    "proxy-authorization",
    "x-access-token",
    "x-auth-request-access-token",
    "x-authorization",
    "x-forwarded-access-token",
    "x-forwarded-authorization",
    "x-id-token",
    "x-original-authorization",
];

/// The name in lower case with `-` for `_`.
pub(crate) fn fold(name: &str) -> String {
    name.bytes()
        .map(|byte| char::from(fold_byte(byte)))
        .collect()
}

fn fold_byte(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

/// Whether `name` folds to `folded`.
pub(crate) fn same_name(folded: &str, name: &str) -> bool {
    folded.len() == name.len()
        && folded
            .bytes()
            .zip(name.bytes())
            .all(|(left, right)| left == fold_byte(right))
}

/// A set of field names, by folded name.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameSet {
    /// The names of each length; most fields of a request are told apart from
    /// all of them by their length.
    by_length: Vec<Vec<String>>,
}

impl NameSet {
    /// The set of these names.
    pub(crate) fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut by_length: Vec<Vec<String>> = Vec::new();
        for name in names {
            let folded = fold(name.as_ref());
            let length = folded.len();
            if by_length.len() <= length {
                by_length.resize_with(length.saturating_add(1), Vec::new);
            }
            if let Some(same_length) = by_length.get_mut(length)
                && !same_length.contains(&folded)
            {
                same_length.push(folded);
            }
        }
        Self { by_length }
    }

    /// Whether a field of this name is meant.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.by_length
            .get(name.len())
            .is_some_and(|names| names.iter().any(|folded| same_name(folded, name)))
    }
}

/// Without the spaces and tabs around it (RFC 9110 section 5.5).
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let mut rest = value;
    while let [b' ' | b'\t', tail @ ..] = rest {
        rest = tail;
    }
    while let [head @ .., b' ' | b'\t'] = rest {
        rest = head;
    }
    rest
}

/// Percent-decoding of what can be decoded; anything else stays as it is.
pub(crate) fn percent_decode(value: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        if let [high, low, after @ ..] = tail
            && *first == b'%'
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push((high << 4) | low);
            rest = after;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_with_underscores() {
        let set = NameSet::new(["X-Access-Token", "dpop"]);
        for name in ["x-access-token", "X_ACCESS_token", "x-access_token", "DPoP"] {
            assert!(set.contains(name), "{name}");
        }
        for name in ["x-access-tokens", "xaccesstoken", "", "dpo"] {
            assert!(!set.contains(name), "{name}");
        }
    }

    #[test]
    fn the_built_in_names_are_folded() {
        for name in BUILT_IN_STRIP {
            assert_eq!(fold(name), *name);
        }
    }

    #[test]
    fn percent_decoding_leaves_what_is_not_an_escape() {
        assert_eq!(percent_decode(b"a%5Fb%5f"), b"a_b_");
        assert_eq!(percent_decode(b"%"), b"%");
        assert_eq!(percent_decode(b"%4"), b"%4");
        assert_eq!(percent_decode(b"%zz%41"), b"%zzA");
    }

    #[test]
    fn only_space_and_tab_are_trimmed() {
        assert_eq!(trim(b" \ta b\t "), b"a b");
        assert_eq!(trim(b" "), b"");
        assert_eq!(trim(b"\na"), b"\na");
    }
}
