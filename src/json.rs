//! JSON as it came, with members that are there twice.
//!
//! RFC 8259 leaves open which of two members of one name counts. A reader that
//! takes the last one and a reader that takes the first one see two different
//! messages, so this tree keeps both and lets its users refuse them.

use core::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value (RFC 8259), or a `google.protobuf.Value`, which is the same.
#[derive(Clone, PartialEq)]
pub(crate) enum Json {
    /// `[…]`
    Array(Vec<Json>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// Any number; what does not fit is rounded.
    Number(f64),
    /// `{…}`, in the order of the text, members of the same name included.
    Object(Vec<(String, Json)>),
    /// `"…"`
    String(String),
}

/// Reads one JSON text, nested 127 levels at most.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    serde_json::from_slice(bytes).map_err(|error| JsonError {
        line: error.line(),
        column: error.column(),
    })
}

impl Json {
    /// The first member of this name, if this is an object that has one.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .find(|(member, _)| member == name)
            .map(|(_, value)| value)
    }

    /// Whether any object in here, at any depth, has two members of one name.
    pub(crate) fn duplicate(&self) -> bool {
        match self {
            Self::Array(items) => items.iter().any(Self::duplicate),
            Self::Object(members) => {
                let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                names.windows(2).any(|pair| pair.first() == pair.last())
                    || members.iter().any(|(_, value)| value.duplicate())
            }
            Self::Bool(_) | Self::Null | Self::Number(_) | Self::String(_) => false,
        }
    }

    /// The text, if this is a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The truth value, if this is one.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The number, if this is one.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self {
            Some(*number)
        } else {
            None
        }
    }
}

/// Shows the type only: the tree holds secrets and claims.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Array(_) => "Array(..)",
            Self::Bool(_) => "Bool(..)",
            Self::Null => "Null",
            Self::Number(_) => "Number(..)",
            Self::Object(_) => "Object(..)",
            Self::String(_) => "String(..)",
        })
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

/// Takes whatever comes.
struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(float(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        let magnitude = float(value.unsigned_abs());
        Ok(Json::Number(if value < 0 { -magnitude } else { magnitude }))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}

/// The nearest floating-point number: both halves are exact, so that the sum
/// is rounded once.
fn float(value: u64) -> f64 {
    let [a, b, c, d, low @ ..] = value.to_be_bytes();
    let high = u32::from_be_bytes([a, b, c, d]);
    f64::from(high) * 4_294_967_296.0 + f64::from(u32::from_be_bytes(low))
}

/// The number, if it is a whole one whose digits are all there: from 2^53 on,
/// different texts become the same number.
pub(crate) fn whole(number: f64) -> Option<i64> {
    let magnitude = number.abs();
    if number.fract() != 0.0 || magnitude >= 9_007_199_254_740_992.0 {
        return None;
    }
    // IEEE 754: 52 bits of fraction below an implicit one, and the exponent.
    let bits = magnitude.to_bits();
    let fraction = bits & 0x000f_ffff_ffff_ffff | 0x0010_0000_0000_0000;
    let shift = 1075_u64.checked_sub(bits >> 52)?.try_into().ok()?;
    let whole = i64::try_from(fraction.checked_shr(shift).unwrap_or(0)).ok()?;
    Some(if number < 0.0 {
        whole.saturating_neg()
    } else {
        whole
    })
}

/// Writes a JSON string (RFC 8259 section 7); what could break a line of a log
/// is escaped.
pub(crate) fn quote(json: &mut String, text: &str) {
    json.push('"');
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.bytes().all(plain) {
        json.push_str(text);
    } else {
        text.chars().for_each(|character| escape(json, character));
    }
    json.push('"');
}

#[inline(never)]
fn escape(json: &mut String, character: char) {
    match character {
        '"' => json.push_str("\\\""),
        '\\' => json.push_str("\\\\"),
        _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
            // Writing to a String does not fail.
            let _ = write!(json, "\\u{:04x}", u32::from(character));
        }
        _ => json.push(character),
    }
}

/// Where a text stops being JSON. What stands there is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonError {
    line: usize,
    column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not valid JSON at line {}, column {}",
            self.line, self.column
        )
    }
}

impl core::error::Error for JsonError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Json {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn every_type_is_read() {
        let tree = json(r#" {"a":[null,true,-1,2,0.5,"\u00e9"],"b":{}} "#);
        let items = vec![
            Json::Null,
            Json::Bool(true),
            Json::Number(-1.0),
            Json::Number(2.0),
            Json::Number(0.5),
            Json::String("é".into()),
        ];
        let members = vec![
            ("a".to_owned(), Json::Array(items)),
            ("b".to_owned(), Json::Object(vec![])),
        ];
        assert!(tree == Json::Object(members));
    }

    #[test]
    fn members_of_the_same_name_are_kept_and_the_first_is_found() {
        let tree = json(r#"{"a":1,"b":2,"a":3}"#);
        assert!(matches!(&tree, Json::Object(members) if members.len() == 3));
        assert_eq!(tree.get("a").and_then(Json::as_f64), Some(1.0));
        assert_eq!(tree.get("c"), None);
        assert_eq!(Json::Null.get("a"), None);
    }

    /// INTRO-size: also where the name is written in another way.
    #[test]
    fn duplicates_are_found_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"[1,[{"a":[{"b":1,"b":2}]}]]"#,
        ] {
            assert!(json(text).duplicate(), "{text}");
        }
        for text in [r#"{"a":1,"A":1}"#, r#"[{"a":1},{"a":1}]"#, "1", "[]", "{}"] {
            assert!(!json(text).duplicate(), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for text in [
            "", " ", "{", "nul", "{} x", "{a:1}", "[1,]", "'a'", "1e999", "\"\n\"",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&nested(127)).is_ok());
        assert!(parse(&nested(128)).is_err());
        assert!(parse(&nested(1_000_000)).is_err());
    }

    #[test]
    fn whole_numbers_become_the_nearest_float() {
        for (text, number) in [
            ("18446744073709551615", 18_446_744_073_709_551_615.0),
            ("-9223372036854775808", -9_223_372_036_854_775_808.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("4294967297", 4_294_967_297.0),
            ("1700000000", 1_700_000_000.0),
        ] {
            assert_eq!(json(text).as_f64(), Some(number), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_read_where_no_digit_is_lost() {
        for (number, read) in [
            (0.0, 0),
            (-0.0, 0),
            (1.0, 1),
            (-7.0, -7),
            (1_700_000_000.0, 1_700_000_000),
            (9_007_199_254_740_991.0, 9_007_199_254_740_991),
            (-9_007_199_254_740_991.0, -9_007_199_254_740_991),
        ] {
            assert_eq!(whole(number), Some(read), "{number}");
        }
        for number in [0.5, -1.25, 5e-324, 9_007_199_254_740_992.0, 1e300] {
            assert_eq!(whole(number), None, "{number}");
        }
        assert_eq!(whole(f64::NAN), None);
        assert_eq!(whole(f64::INFINITY), None);
    }

    #[test]
    fn accessors_do_not_convert() {
        assert_eq!(json("\"true\"").as_bool(), None);
        assert_eq!(json("\"1\"").as_f64(), None);
        assert_eq!(json("1").as_str(), None);
        assert_eq!(json("true").as_bool(), Some(true));
        assert_eq!(json("\"a\"").as_str(), Some("a"));
    }

    #[test]
    fn neither_debug_nor_an_error_shows_input() {
        let tree = json(r#"{"k":"canary"}"#);
        assert_eq!(format!("{tree:?}"), "Object(..)");
        let error = parse(b"{\"canary\":\n canary}").unwrap_err();
        assert_eq!(error.to_string(), "not valid JSON at line 2, column 2");
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(text in any::<String>()) {
            let mut quoted = String::new();
            quote(&mut quoted, &text);
            prop_assert!(!quoted.contains(char::is_control));
            prop_assert!(json(&quoted) == Json::String(text));
        }

        #[test]
        fn whole_numbers_keep_their_digits(number in -(1_i64 << 53) + 1..1 << 53) {
            prop_assert_eq!(json(&number.to_string()).as_f64().and_then(whole), Some(number));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(tree) = parse(&bytes) {
                tree.duplicate();
            }
        }
    }
}
