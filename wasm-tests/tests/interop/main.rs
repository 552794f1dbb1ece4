//! The guard in real Envoy between what people run: three authorization servers
//! and the MCP clients of four languages. `make interop` runs it; it is no part
//! of `make test`, because its parts come from npm and `PyPI`.

mod authority;
mod browser;
mod gateway;
mod parts;
mod relay;

mod authorization_servers;
mod chromium;
mod clients;
mod conformance;
mod rust_client;
