//! The test bench of `mcp-token-guard`.

pub mod scenario;
