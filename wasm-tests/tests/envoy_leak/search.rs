//! The search: any token of the run, raw, percent-decoded and in Base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_token_guard_tests::peers::Record;
use mcp_token_guard_tests::scenario::percent_decoded;
use memchr::memmem;

/// What long tokens begin and end with.
pub(crate) const MARK: &str = "kanarie-leak";

/// What short tokens begin with.
pub(crate) const SHORT_MARK: &str = "kanzle";

/// Everything that is wrong with these bytes: where a token is in them.
pub(crate) fn tokens(whose: &str, bytes: &[u8]) -> Vec<String> {
    let raw = bytes.to_ascii_lowercase();
    let decoded = percent_decoded(bytes).to_ascii_lowercase();
    let mut found = Vec::new();
    for mark in [MARK, SHORT_MARK] {
        for (how, text) in [("raw", &raw), ("percent-decoded", &decoded)] {
            found.extend(first(whose, how, text, mark.as_bytes()));
        }
        for encoded in in_base64(mark) {
            found.extend(first(whose, "in Base64", bytes, encoded.as_bytes()));
        }
    }
    found
}

/// Where these bytes have this secret.
pub(crate) fn secret(whose: &str, bytes: &[u8], secret: &str) -> Option<String> {
    let at = memmem::find(bytes, secret.as_bytes())?;
    Some(format!("{secret} is at {whose}: {}", around(bytes, at)))
}

/// All that a peer has received: the bytes of its connections, and what they
/// say, which is something else with HTTP/2.
pub(crate) fn received(record: &Record) -> Vec<u8> {
    let mut all = record.bytes.clone();
    for message in &record.messages {
        all.push(b'\n');
        all.extend(message.bytes());
    }
    all
}

/// All that the authorization server has received, but for the one place where
/// it has to have the token.
pub(crate) fn asked(record: &Record) -> Vec<u8> {
    let all = received(record);
    let mut rest = Vec::with_capacity(all.len());
    let mut from = 0;
    for at in memmem::find_iter(&all, b"token=") {
        let behind = at + "token=".len();
        // Its end, or the next request behind it.
        let token = all[behind..]
            .iter()
            .take_while(|byte| !b"& \r\n".contains(byte))
            .count();
        rest.extend_from_slice(&all[from..behind]);
        from = behind + token;
    }
    rest.extend_from_slice(&all[from..]);
    rest
}

fn first(whose: &str, how: &str, text: &[u8], needle: &[u8]) -> Option<String> {
    let mut places = memmem::find_iter(text, needle);
    let at = places.next()?;
    let more = places.count();
    let around = around(text, at);
    Some(format!(
        "the token is {how} at {whose}, and {more} times more: {around}"
    ))
}

/// What stands there, for a person to read.
fn around(text: &[u8], at: usize) -> String {
    let part = &text[at.saturating_sub(200)..text.len().min(at + 120)];
    part.escape_ascii().to_string()
}

/// The letters that stand for `text` in Base64 wherever it begins.
fn in_base64(text: &str) -> Vec<String> {
    let encode = |skip: usize| {
        let padded = [&vec![0; skip][..], text.as_bytes()].concat();
        let whole = padded.len() * 4 / 3;
        let begin = (skip * 4).div_ceil(3);
        STANDARD.encode(padded)[begin..whole].to_owned()
    };
    (0..3).map(encode).collect()
}

#[test]
fn it_finds_tokens_however_they_are_written() {
    for bytes in [
        &b"x: KANARIE-leak.7"[..],
        b"/%6banarie-lea%6B.7",
        b"kanzle1",
        STANDARD.encode("ab:kanarie-leak.7").as_bytes(),
        STANDARD.encode("kanarie-leak.7").as_bytes(),
        STANDARD.encode("a:bckanarie-leak.7").as_bytes(),
    ] {
        assert!(!tokens("x", bytes).is_empty(), "{}", bytes.escape_ascii());
    }
    assert!(tokens("x", b"kanarie leak").is_empty());
    let mut record = Record::default();
    record.bytes = b"token=kanarie-leak.1POST / \r\nx: kanzle1\r\n\r\ntoken=kanarie-leak&x".into();
    assert_eq!(tokens("x", &asked(&record)).len(), 2);
}
