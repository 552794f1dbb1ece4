//! The tokens that tests have sent: no upstream may have got any of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memchr::memmem;

use crate::peers::Peer;
use crate::scenario::{ENVIRONMENT, Request, percent_decoded};

/// What is shorter is no token that could be told from other text.
const SHORTEST: usize = 8;

/// The tokens that were sent through a guard.
#[derive(Debug, Default)]
pub struct Sent(Mutex<BTreeSet<Vec<u8>>>);

impl Sent {
    /// Notes the tokens of a request, but for our own credentials, which go on
    /// with other requests.
    pub(super) fn note(&self, request: &Request) {
        for field in &request.headers {
            if !field.name.eq_ignore_ascii_case(b"authorization") {
                continue;
            }
            let token = field.value.rsplit(|byte| *byte == b' ').next();
            let token = token.unwrap_or_default();
            let is_ours = ENVIRONMENT
                .iter()
                .any(|(_, value)| value.as_bytes() == token);
            if token.len() >= SHORTEST && !is_ours {
                self.lock().insert(token.to_vec());
            }
        }
    }

    /// Where one of them is in what an upstream has got and not given away yet.
    pub(super) fn found(&self, upstream: &Peer) -> Option<String> {
        let sent = self.lock();
        if sent.is_empty() {
            return None;
        }
        let record = upstream.record();
        let mut got = record.bytes;
        // With HTTP/2 the bytes are something else than what they say.
        for message in &record.messages {
            got.push(b'\n');
            got.extend(message.bytes());
        }
        let decoded = percent_decoded(&got);
        let token = sent.iter().find(|token| {
            [&got, &decoded]
                .iter()
                .any(|bytes| memmem::find(bytes, token).is_some())
        })?;
        let token = String::from_utf8_lossy(token);
        Some(format!("LEAK: {token} has got to {}", upstream.name()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
