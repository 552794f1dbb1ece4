//! `make chaos` in short: each part of it, with every row of its table right.

use mcp_token_guard_tests::chaos;

#[test]
fn faults_harm_nobody_else() {
    chaos::check("faults");
}

#[test]
fn floods_are_refused_quickly_and_stored_nowhere() {
    chaos::check("floods");
}

#[test]
fn new_configurations_lose_no_request() {
    chaos::check("updates");
}

#[test]
fn a_vm_that_dies_lets_nobody_through() {
    chaos::check("death");
}

#[test]
fn a_soak_ends_with_no_wrong_verdict() {
    chaos::check("soak");
}
