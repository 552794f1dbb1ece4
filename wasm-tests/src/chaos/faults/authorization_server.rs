//! An authorization server that fails, at the level of bytes. Answers that are
//! well-formed HTTP and say nothing are in the scenarios.

use std::time::Duration;

use super::super::wild::Move::{self, Close, Drip, Hang, Repeat, Reset, Send, Wait};
use super::super::world::{SLACK, TIMEOUT, good, good_claims, inactive, json_response};
use super::{Fault, Faults, Got};

/// Nobody could say whether the token is good.
const UNAVAILABLE: &[Got] = &[Got::Status(503)];
/// The token is not good.
const REFUSED: &[Got] = &[Got::Status(401)];
/// The token is good.
const LET_IN: &[Got] = &[Got::Status(200)];

/// All of them.
pub(super) const FAULTS: Faults = Faults {
    who: "authorization server",
    key: "fault-",
    outcome: |fault| match fault.right {
        LET_IN => "allowed",
        REFUSED => "inactive",
        _ => "introspection_failed",
    },
    bound: TIMEOUT.saturating_add(SLACK),
    table: &[
        fault("resets before its head", || vec![Reset]),
        fault("closes before its head", || vec![Close]),
        fault("resets in its head", || send(b"HTTP/1.1 200 O", Reset)),
        fault("closes in its head", || {
            send(b"HTTP/1.1 200 OK\r\ncontent-ty", Close)
        }),
        fault("resets after its head", || {
            vec![Send(head()), Wait(SOON), Reset]
        }),
        fault("resets in its content", || {
            vec![Send(half()), Wait(SOON), Reset]
        }),
        fault("closes in its content", || {
            vec![Send(half()), Wait(SOON), Close]
        }),
        fault("leaves the end of its chunks out", || {
            vec![Send(chunked(&good_claims().to_string())), Wait(SOON), Close]
        }),
        fault("hangs", || vec![Hang]),
        fault("hangs after its head", || vec![Send(head()), Hang]),
        fault("hangs in its content", || vec![Send(half()), Hang]),
        fault("hangs before the last byte", || {
            let mut answer = good();
            answer.pop();
            vec![Send(answer), Hang]
        }),
        fault("trickles a good answer", || {
            vec![Drip(good(), Duration::from_millis(30))]
        }),
        fault("trickles its head for ever", || {
            vec![
                Send(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
                Repeat(b"y".to_vec(), Duration::from_millis(20)),
            ]
        }),
        fault("trickles white space for ever", || {
            vec![
                Send(chunked(" ")),
                Repeat(b"1\r\n \r\n".to_vec(), Duration::from_millis(20)),
            ]
        }),
        fault("floods with fields", || {
            vec![
                Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
                Repeat(b"x-a: b\r\n".repeat(10), Duration::from_millis(1)),
            ]
        }),
        fault("floods with content", || {
            vec![
                Send(chunked("{\"active\":")),
                Repeat(
                    [&b"2000\r\n"[..], &[b' '; 0x2000], b"\r\n"].concat(),
                    Duration::from_millis(4),
                ),
            ]
        }),
        fault("says 100 for ever", || {
            vec![Repeat(
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                Duration::from_millis(10),
            )]
        }),
        fault("switches protocols", || {
            let head =
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
            garbage(head)
        }),
        fault("speaks TLS", || {
            garbage(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n")
        }),
        fault("speaks HTTP/2", || {
            garbage(b"\0\0\0\x04\0\0\0\0\0\0\0\x07\x01\0\0\0\0\x02\x02\0\0\0\0")
        }),
        fault("speaks SSH", || garbage(b"SSH-2.0-OpenSSH_9.6\r\n")),
        fault("sends zeros", || vec![Send(vec![0; 4096])]),
        fault("has a field of a megabyte", || {
            let long = ["HTTP/1.1 200 OK\r\nx: ", &"y".repeat(1 << 20), "\r\n\r\n"];
            garbage(long.concat().as_bytes())
        }),
        fault("has a NUL in a field", || vec![Send(headed("x: a\0b"))]),
        fault("has a status of four digits", || {
            garbage(b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n")
        }),
        fault("has a negative length", || {
            garbage(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}")
        }),
        fault("has two lengths", || {
            vec![Send(headed("content-length: 16"))]
        }),
        fault("has a length and chunks", || {
            vec![Send(headed("transfer-encoding: chunked"))]
        }),
        fault("has a chunk without a size", || {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            vec![Send([&head[..], b"zz\r\n{}\r\n0\r\n\r\n"].concat())]
        }),
        fault("has a chunk of 2^64 bytes", || {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            vec![Send([&head[..], b"10000000000000000\r\n{}\r\n"].concat())]
        }),
        fault("compresses, unasked", || {
            let fields = ["content-type: application/json", "content-encoding: gzip"];
            let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\x56\x4a\x4c\x2e\xc9\x2c\x4b\x55\xb2\x2a\x29\x2a\x4d\xad\x05\0";
            vec![Send(load::response("200 OK", &fields, gzip))]
        }),
        fault("answers well, with 500", || {
            vec![Send(json_response("500 No", &good_claims()))]
        }),
        fault("answers well, with 429", || {
            vec![Send(json_response("429 Slow Down", &good_claims()))]
        }),
        fault("answers well, with 206", || {
            vec![Send(json_response("206 Partial Content", &good_claims()))]
        }),
        fault("answers 204", || {
            garbage(b"HTTP/1.1 204 No Content\r\n\r\n")
        }),
        Fault {
            what: "says no, and yes unasked right behind it",
            moves: || vec![Send([inactive(), good()].concat())],
            right: REFUSED,
        },
        Fault {
            what: "takes its time, within bounds",
            moves: || {
                vec![
                    Wait(Duration::from_millis(300)),
                    Drip(good(), Duration::from_micros(100)),
                ]
            },
            right: LET_IN,
        },
        Fault {
            what: "answers well and closes",
            moves: || vec![Send(headed("connection: close")), Close],
            right: LET_IN,
        },
    ],
};

/// A fault after which nobody knows whether the token is good.
const fn fault(what: &'static str, moves: fn() -> Vec<Move>) -> Fault {
    Fault {
        what,
        moves,
        right: UNAVAILABLE,
    }
}

/// Long enough for Envoy to read what was sent before.
const SOON: Duration = Duration::from_millis(30);

/// The head of a good answer.
fn head() -> Vec<u8> {
    let mut answer = good();
    let end = memchr::memmem::find(&answer, b"\r\n\r\n").map_or(0, |at| at + 4);
    answer.truncate(end);
    answer
}

/// The head of a good answer, and some of its content.
fn half() -> Vec<u8> {
    let mut answer = good();
    answer.truncate(answer.len() - 40);
    answer
}

/// This, and then the next request is read: where Envoy takes this for whole, it
/// is right to send one.
fn garbage(bytes: &[u8]) -> Vec<Move> {
    vec![Send(bytes.to_vec())]
}

/// This, and then that.
fn send(bytes: &[u8], then: Move) -> Vec<Move> {
    vec![Send(bytes.to_vec()), then]
}

/// A good answer with one more field.
fn headed(field: &str) -> Vec<u8> {
    let content = good_claims().to_string();
    let fields = ["content-type: application/json", field];
    load::response("200 OK", &fields, content.as_bytes())
}

/// The beginning of an answer in chunks, with this as the first.
fn chunked(first: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n",
        first.len()
    )
    .into_bytes()
}
