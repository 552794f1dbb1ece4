//! What is to be counted, until the edge counts it.

use crate::servers::ServerId;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// A word of `mcp_token_guard_cache`.
    Cache(&'static str),
    /// A word of `mcp_token_guard_credentials`.
    Credential(&'static str),
    /// A word of `mcp_token_guard_introspections`.
    Introspection(&'static str),
    /// A place of `mcp_token_guard_leak_blocked`.
    Leak(&'static str),
    /// A server, where there is one, and a word of `mcp_token_guard_requests`.
    Request(Option<ServerId>, &'static str),
}

/// Counts and durations that have not been handed over yet.
#[derive(Debug, Default)]
pub struct Tally {
    /// Each adds one.
    pub counts: Vec<Count>,
    /// Milliseconds of introspection calls.
    pub introspection_ms: Vec<u64>,
    /// What the operator has to be told, in the log.
    pub notices: Vec<String>,
}

impl Tally {
    /// One more.
    pub(crate) fn count(&mut self, count: Count) {
        self.counts.push(count);
    }

    /// As many more.
    pub(crate) fn count_times(&mut self, count: Count, times: usize) {
        self.counts.extend(core::iter::repeat_n(count, times));
    }
}
