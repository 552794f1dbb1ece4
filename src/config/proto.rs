//! The binary form of a `google.protobuf.Struct`, which is what Envoy hands a
//! plugin whose configuration is one.
//!
//! Read by hand, because a message type would keep the last of two members of
//! the same name and say nothing. It is stricter than protobuf asks: what no
//! encoder writes (unknown fields, two kinds of one value) is malformed.

use core::fmt;

use crate::json::Json;

/// Reads `google.protobuf.Struct`, nested [`DEPTH`] levels at most.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, Malformed> {
    structure(bytes, DEPTH)
}

/// `message Struct { map<string, Value> fields = 1; }`
fn structure(bytes: &[u8], depth: u8) -> Result<Json, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let mut wire = Wire(bytes);
    let mut members = Vec::new();
    while let Some(field) = wire.field()? {
        let (1, Content::Bytes(entry)) = field else {
            return Err(Malformed);
        };
        members.push(member(entry, depth)?);
    }
    Ok(Json::Object(members))
}

/// `message FieldsEntry { string key = 1; Value value = 2; }`
fn member(bytes: &[u8], depth: u8) -> Result<(String, Json), Malformed> {
    let mut wire = Wire(bytes);
    let (mut key, mut content) = (None, None);
    while let Some(field) = wire.field()? {
        match field {
            (1, Content::Bytes(name)) if key.is_none() => key = Some(text(name)?),
            (2, Content::Bytes(inner)) if content.is_none() => {
                content = Some(value(inner, depth)?);
            }
            _ => return Err(Malformed),
        }
    }
    Ok((key.unwrap_or_default(), content.ok_or(Malformed)?))
}

/// `message Value { oneof kind { … } }`
fn value(bytes: &[u8], depth: u8) -> Result<Json, Malformed> {
    let mut wire = Wire(bytes);
    let value = match wire.field()?.ok_or(Malformed)? {
        (1, Content::Varint(0)) => Json::Null,
        (2, Content::Fixed64(bytes)) => {
            let number = f64::from_le_bytes(bytes);
            if !number.is_finite() {
                return Err(Malformed);
            }
            Json::Number(number)
        }
        (3, Content::Bytes(bytes)) => Json::String(text(bytes)?),
        (4, Content::Varint(value @ 0..=1)) => Json::Bool(value == 1),
        (5, Content::Bytes(bytes)) => structure(bytes, depth)?,
        (6, Content::Bytes(bytes)) => list(bytes, depth)?,
        _ => return Err(Malformed),
    };
    if wire.0.is_empty() {
        Ok(value)
    } else {
        Err(Malformed)
    }
}

/// `message ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: u8) -> Result<Json, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let mut wire = Wire(bytes);
    let mut items = Vec::new();
    while let Some(field) = wire.field()? {
        let (1, Content::Bytes(item)) = field else {
            return Err(Malformed);
        };
        items.push(value(item, depth)?);
    }
    Ok(Json::Array(items))
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    let text = core::str::from_utf8(bytes).map_err(|_| Malformed)?;
    Ok(text.to_owned())
}

/// What is still to be read of a message.
struct Wire<'a>(&'a [u8]);

/// What a field has, by wire type.
enum Content<'a> {
    Bytes(&'a [u8]),
    Fixed64([u8; 8]),
    Varint(u64),
}

impl<'a> Wire<'a> {
    /// Number and content of the next field, if there is one.
    fn field(&mut self) -> Result<Option<(u64, Content<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
                self.0 = rest;
                Content::Fixed64(*bytes)
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Content::Bytes(bytes)
            }
            _ => return Err(Malformed),
        };
        Ok(Some((tag >> 3, content)))
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value: u64 = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.checked_shl(shift).ok_or(Malformed)?;
            if shifted.checked_shr(shift) != Some(bits) {
                return Err(Malformed);
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

/// The bytes are no `google.protobuf.Struct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a google.protobuf.Struct")
    }
}

/// As deep as JSON may be.
const DEPTH: u8 = 127;

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A `Struct` as the protobuf library writes it.
    pub(crate) fn encode(object: &Json) -> Vec<u8> {
        let Json::Object(members) = object else {
            panic!("a struct is an object");
        };
        members
            .iter()
            .flat_map(|(key, value)| {
                let entry = [field(1, key.as_bytes()), field(2, &encode_value(value))];
                field(1, &entry.concat())
            })
            .collect()
    }

    fn encode_value(value: &Json) -> Vec<u8> {
        match value {
            Json::Null => vec![0x08, 0],
            Json::Number(number) => [vec![0x11], number.to_le_bytes().to_vec()].concat(),
            Json::String(text) => field(3, text.as_bytes()),
            Json::Bool(value) => vec![0x20, u8::from(*value)],
            Json::Object(_) => field(5, &encode(value)),
            Json::Array(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|one| field(1, &encode_value(one)))
                    .collect();
                field(6, &items.concat())
            }
        }
    }

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend_from_slice(content);
        bytes
    }

    fn tree() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            (-1e9..1e9).prop_map(Json::Number),
            ".{0,200}".prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
                prop::collection::vec((".{0,4}", inner), 0..5).prop_map(Json::Object),
            ]
        })
    }

    /// `{"name": {"k": ""}}` as protobuf writes it.
    #[test]
    fn a_struct_from_the_wire_is_read() {
        let bytes = b"\n\x13\n\x04name\x12\x0b*\x09\n\x07\n\x01k\x12\x02\x1a\x00";
        let inner = Json::Object(vec![("k".into(), Json::String(String::new()))]);
        assert_eq!(parse(bytes), Ok(Json::Object(vec![("name".into(), inner)])));
    }

    #[test]
    fn members_of_the_same_name_are_kept() {
        let twice = vec![("a".into(), Json::Null), ("a".into(), Json::Null)];
        let tree = parse(&encode(&Json::Object(twice))).unwrap();
        assert!(tree.duplicate());
    }

    #[test]
    fn what_no_encoder_writes_is_malformed() {
        for value in [
            b"".as_slice(),                                      // no kind
            b"\x08\x00\x08\x00",                                 // two kinds
            b"\x08\x01",                                         // a null that is not 0
            b"\x20\x02",                                         // a bool that is neither
            b"\x3a\x00",                                         // field 7
            b"\x1a\x01\xff",                                     // not UTF-8
            b"\x11\0\0\0\0\0\0\xf0\x7f",                         // infinity
            b"\x11\0\0",                                         // cut off
            b"\x1a\x05abc",                                      // cut off
            b"\x0d\0\0\0\0",                                     // wire type 5
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",     // over 64 bits
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", // over 10 bytes
        ] {
            let entry = [field(1, b"k"), field(2, value)].concat();
            assert_eq!(parse(&field(1, &entry)), Err(Malformed), "{value:?}");
        }
        assert_eq!(parse(&field(1, &field(1, b"k"))), Err(Malformed));
        assert_eq!(parse(&field(2, b"")), Err(Malformed));
    }

    #[test]
    fn deep_nesting_is_malformed() {
        let nested = |depth| {
            (1..depth).fold(Json::Object(vec![]), |inner, _| {
                Json::Object(vec![("k".into(), inner)])
            })
        };
        assert!(parse(&encode(&nested(127))).is_ok());
        assert!(parse(&encode(&nested(128))).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read(members in prop::collection::vec((".{0,9}", tree()), 0..5)) {
            let object = Json::Object(members);
            prop_assert!(parse(&encode(&object)) == Ok(object));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&field(1, &[field(1, b"k"), field(2, &bytes)].concat()));
        }
    }
}
