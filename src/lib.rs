//! mcp-token-guard
