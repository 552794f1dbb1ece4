//! What the configuration of the proxy around the guard depends on, for tools
//! that look at both.

use super::Config;
use crate::fields::fold;

impl Config {
    /// Whether the cluster is a server's.
    #[must_use]
    pub fn lists(&self, cluster: &str) -> bool {
        self.servers.lists(cluster)
    }

    /// Whether a request may leave with another value of this header than it
    /// came with, or without it.
    #[must_use]
    pub fn changes(&self, header: &str) -> bool {
        // The session id is given back as the server's own, and a cookie may
        // have the token in it.
        matches!(fold(header).as_str(), "cookie" | "mcp-session-id")
            || self
                .servers
                .iter()
                .any(|server| server.strip.contains(header))
    }
}
