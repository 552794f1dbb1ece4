//! The module as it is shipped, in a host that plays Envoy (see
//! [`mcp_token_guard_tests::host`]).

mod audit;
mod bench;
mod budget;
mod crowds;
mod faults;
mod interleavings;
mod life;
mod observed;
mod responses;
mod scenarios;
#[path = "../observed/schema.rs"]
mod schema;
mod secrets;
