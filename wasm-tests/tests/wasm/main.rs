//! The module as it is shipped, in a host that plays Envoy (see
//! [`mcp_token_guard_tests::host`]).

mod bench;
mod budget;
mod crowds;
mod faults;
mod life;
mod responses;
mod scenarios;
mod secrets;
