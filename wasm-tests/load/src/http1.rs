//! Just enough of HTTP/1.1: where a message ends, and what its status is.

use memchr::memmem::find;

/// The length of the message at the beginning of `bytes`, head and content,
/// once all of it is there.
pub(crate) fn message(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let fields = &bytes[..head];
    if let Some(length) = content_length(fields) {
        return (bytes.len() >= head + length).then_some(head + length);
    }
    if find(fields, b"\r\ntransfer-encoding: chunked").is_some() {
        // No content of the benchmark has this in it.
        return find(&bytes[head - 2..], b"\r\n0\r\n\r\n").map(|end| head - 2 + end + 7);
    }
    Some(head)
}

/// The status of a response.
pub(crate) fn status(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether the connection ends with this response.
pub(crate) fn closes(bytes: &[u8]) -> bool {
    let head = find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    find(&bytes[..head], b"\r\nconnection: close").is_some()
}

/// Envoy writes names in lower case.
fn content_length(fields: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let value = &fields[find(fields, NAME)? + NAME.len()..];
    let end = value.iter().position(|byte| !byte.is_ascii_digit())?;
    core::str::from_utf8(&value[..end]).ok()?.parse().ok()
}

/// A response with this status, these field lines and this content.
pub fn response(status: &str, lines: &[&str], content: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", content.len()).as_bytes());
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_it_says() {
        let whole = response("200 OK", &["server: x"], b"abc");
        assert_eq!(message(&whole), Some(whole.len()));
        assert_eq!(message(&whole[..whole.len() - 1]), None);
        assert_eq!(status(&whole), Some(200));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(message(chunked), Some(chunked.len()));
        assert_eq!(message(&chunked[..chunked.len() - 3]), None);
        let empty = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(message(empty), Some(empty.len()));
        assert!(closes(b"HTTP/1.1 401 x\r\nconnection: close\r\n\r\n"));
    }
}
