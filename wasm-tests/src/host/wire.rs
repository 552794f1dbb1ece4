//! How a header map crosses the border between host and guest.

use super::headers::Headers;

/// The serialized form of a map: count, lengths, then zero-ended names and
/// values. Nothing at all for an empty map, as Envoy has it.
pub(super) fn encode(headers: &Headers) -> Vec<u8> {
    if headers.is_empty() {
        return Vec::new();
    }
    let mut out = length(headers.len()).to_vec();
    for (name, value) in headers.iter() {
        out.extend(length(name.len()));
        out.extend(length(value.len()));
    }
    for (name, value) in headers.iter() {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

/// The fields of a serialized map, or `None` where it is not one.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (count, mut lengths) = number(bytes)?;
    let (_, mut data) = lengths.split_at_checked(count.checked_mul(8)?)?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let (name_length, rest) = number(lengths)?;
        let (value_length, rest) = number(rest)?;
        lengths = rest;
        let (name, rest) = zero_ended(data, name_length)?;
        let (value, rest) = zero_ended(rest, value_length)?;
        data = rest;
        fields.push((name.to_vec(), value.to_vec()));
    }
    Some(fields)
}

/// A little-endian length and what follows.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

/// So many bytes and what follows the zero after them.
fn zero_ended(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    let (0, rest) = rest.split_first()? else {
        return None;
    };
    Some((text, rest))
}

/// A length as the ABI writes it.
fn length(n: usize) -> [u8; 4] {
    u32::try_from(n).expect("a map below 4 GiB").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let headers = Headers::new([("a", "1"), ("long-name", ""), ("a", "\0\u{ff}")]);
        let fields = decode(&encode(&headers)).unwrap();
        assert_eq!(Headers::new(fields), headers);
        assert_eq!(decode(&encode(&headers)[..20]), None);
    }
}
