//! The test bench of `mcp-token-guard`.

pub mod bench;
pub mod certificate;
pub mod chaos;
pub mod client;
pub mod demo;
pub mod envoy;
pub mod host;
pub mod module;
pub mod peers;
pub mod scenario;
