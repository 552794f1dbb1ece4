//! The server's side of HTTP/2, as far as an `ext_authz` service of one answer
//! needs it: header blocks are not read, only what the messages hold.

use std::collections::HashMap;
use std::sync::Arc;

/// What an authorization service says to whom.
#[derive(Clone, Debug)]
pub struct Grant {
    /// A check that has this in it is granted.
    pub needle: Vec<u8>,
    /// The answer then.
    pub granted: Arc<[u8]>,
    /// The answer to others.
    pub refused: Arc<[u8]>,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    begun: bool,
    /// Streams that have begun, and whether they are to be granted.
    checks: HashMap<u32, bool>,
}

impl Connection {
    /// Takes what has come and adds what is to be sent. How much was taken.
    pub(crate) fn take(&mut self, bytes: &[u8], grant: &Grant, out: &mut Vec<u8>) -> usize {
        let mut taken = 0;
        if !self.begun {
            if bytes.len() < PREFACE.len() {
                return 0;
            }
            self.begun = true;
            taken = PREFACE.len();
            frame(out, SETTINGS, 0, 0, &[]);
            // The window of a connection can only be made larger so.
            frame(out, WINDOW_UPDATE, 0, 0, &0x3fff_0000_u32.to_be_bytes());
        }
        while let Some(head) = bytes.get(taken..taken + 9) {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let Some(payload) = bytes.get(taken + 9..taken + 9 + length) else {
                break;
            };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            self.frame(head[3], head[4], stream, payload, grant, out);
            taken += 9 + length;
        }
        taken
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        grant: &Grant,
        out: &mut Vec<u8>,
    ) {
        match kind {
            SETTINGS if flags & ACK == 0 => frame(out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(out, PING, ACK, 0, payload),
            DATA => {
                let found = memchr::memmem::find(payload, &grant.needle).is_some();
                *self.checks.entry(stream).or_default() |= found;
                if !payload.is_empty()
                    && let Ok(length) = u32::try_from(payload.len())
                {
                    frame(out, WINDOW_UPDATE, 0, 0, &length.to_be_bytes());
                }
                if flags & END_STREAM != 0 {
                    let granted = self.checks.remove(&stream).unwrap_or_default();
                    let answer = if granted {
                        &grant.granted
                    } else {
                        &grant.refused
                    };
                    // `:status: 200`, `content-type: application/grpc`.
                    let mut block = vec![0x88, 0x0f, 0x10, 16];
                    block.extend_from_slice(b"application/grpc");
                    frame(out, HEADERS, END_HEADERS, stream, &block);
                    let mut message = vec![0];
                    let length = u32::try_from(answer.len()).expect("a short answer");
                    message.extend_from_slice(&length.to_be_bytes());
                    message.extend_from_slice(answer);
                    frame(out, DATA, 0, stream, &message);
                    let mut block = vec![0x00, 11];
                    block.extend_from_slice(b"grpc-status");
                    block.extend_from_slice(b"\x010");
                    frame(out, HEADERS, END_HEADERS | END_STREAM, stream, &block);
                }
            }
            _ => {}
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// An `envoy.service.auth.v3.CheckResponse` that sets `authorization` to this,
/// or refuses.
pub fn check_response(authorization: Option<&str>) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("a short field");
        assert!(length < 0x80, "a length of one byte");
        [&[number << 3 | 2, length], content].concat()
    };
    match authorization {
        // status {}, ok_response {headers {header {key, value}, append_action}}
        Some(value) => {
            let header = [field(1, b"authorization"), field(2, value.as_bytes())].concat();
            let option = [field(1, &header), vec![3 << 3, 2]].concat();
            [field(1, &[]), field(3, &field(2, &option))].concat()
        }
        // status {code: PERMISSION_DENIED}
        None => field(1, &[1 << 3, 7]),
    }
}
