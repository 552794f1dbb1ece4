//! An upstream that fails. What comes of it is Envoy's own answer, and nothing
//! of the guard's may change or hang for it.

use std::time::Duration;

use super::super::wild::Move::{self, Close, Drip, Hang, Repeat, Reset, Send, Wait};
use super::super::world::{IDLE, SLACK};
use super::{Fault, Faults, Got};

/// Envoy says that nobody answers, or not in HTTP.
const BROKEN: &[Got] = &[Got::Status(503), Got::Status(502)];
/// The head had gone on before it broke.
const CUT: &[Got] = &[Got::Cut(200)];
/// Nothing came for as long as a stream may be idle.
const IDLED: &[Got] = &[Got::Status(504)];
/// All is well.
const SERVED: &[Got] = &[Got::Status(200)];

/// All of them.
pub(super) const FAULTS: Faults = Faults {
    who: "upstream",
    key: "broken-",
    outcome: |_| "allowed",
    bound: IDLE.saturating_add(SLACK),
    table: &[
        fault("resets before its head", BROKEN, || vec![Reset]),
        fault("closes before its head", BROKEN, || vec![Close]),
        fault("resets in its head", BROKEN, || {
            send(b"HTTP/1.1 200 O", Reset)
        }),
        fault("closes in its head", BROKEN, || {
            send(b"HTTP/1.1 200 OK\r\nx", Close)
        }),
        fault("resets after its head", CUT, || {
            vec![Send(HEAD.to_vec()), Wait(SOON), Reset]
        }),
        fault("closes in its content", CUT, || {
            vec![Send([HEAD, b"1234"].concat()), Wait(SOON), Close]
        }),
        fault("hangs", IDLED, || vec![Hang]),
        fault("hangs after its head", CUT, || send(HEAD, Hang)),
        fault("trickles all of it", SERVED, || {
            vec![Drip(
                [HEAD, b"1234567890"].concat(),
                Duration::from_millis(5),
            )]
        }),
        fault("trickles its head for ever", IDLED, || {
            vec![
                Send(b"HTTP/1.1 200 OK\r\nx: ".to_vec()),
                Repeat(b"y".to_vec(), Duration::from_millis(20)),
            ]
        }),
        fault("speaks SSH", BROKEN, || garbage(b"SSH-2.0-OpenSSH_9.6\r\n")),
        fault("speaks HTTP/2", BROKEN, || {
            garbage(b"\0\0\0\x04\0\0\0\0\0\0\0\x07\x01\0\0\0\0\x02\x02\0\0\0\0")
        }),
        fault("sends zeros", BROKEN, || vec![Send(vec![0; 4096])]),
        fault("has a field of a megabyte", BROKEN, || {
            let long = ["HTTP/1.1 200 OK\r\nx: ", &"y".repeat(1 << 20), "\r\n\r\n"];
            garbage(long.concat().as_bytes())
        }),
        fault("has a length and chunks", BROKEN, || {
            let both = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
            garbage(both)
        }),
        fault("has a chunk without a size", CUT, || {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
            vec![Send(head.to_vec()), Wait(SOON), Send(b"zz\r\n".to_vec())]
        }),
        fault("sends another response unasked", SERVED, || {
            let whole = [HEAD, b"1234567890"].concat();
            vec![Send(
                [
                    &whole[..],
                    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother",
                ]
                .concat(),
            )]
        }),
        fault(
            "refuses our credential and resets",
            &[Got::Status(502)],
            || {
                let head =
                    b"HTTP/1.1 401 No\r\nwww-authenticate: Bearer\r\ncontent-length: 10\r\n\r\n";
                vec![Send(head.to_vec()), Wait(SOON), Reset]
            },
        ),
    ],
};

const fn fault(what: &'static str, right: &'static [Got], moves: fn() -> Vec<Move>) -> Fault {
    Fault { what, moves, right }
}

/// A head, with content to come.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";

/// Long enough for Envoy to read what was sent before.
const SOON: Duration = Duration::from_millis(30);

/// This, and then the next request is read: where Envoy takes this for whole, it
/// is right to send one.
fn garbage(bytes: &[u8]) -> Vec<Move> {
    vec![Send(bytes.to_vec())]
}

/// This, and then that.
fn send(bytes: &[u8], then: Move) -> Vec<Move> {
    vec![Send(bytes.to_vec()), then]
}
