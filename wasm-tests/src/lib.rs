//! The test bench of `mcp-token-guard`.
