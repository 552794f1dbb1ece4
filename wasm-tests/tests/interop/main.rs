//! The guard in real Envoy between what people run: three authorization servers
//! and the MCP clients of three languages. `make interop` runs it; it is no part
//! of `make test`, because its parts come from npm and `PyPI`.

mod authority;
mod browser;
mod gateway;
mod parts;

mod authorization_servers;
mod clients;
