//! `make demo`, on ports that are free.

use std::net::TcpListener;
use std::process::{Command, Output};

use mcp_token_guard_tests::module;

fn demo(port: u16) -> Output {
    module::path();
    Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--port", &port.to_string()])
        .output()
        .expect("the demonstration starts")
}

#[test]
fn all_goes_as_said() {
    let output = demo(0);
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{wrong}");
    for line in [
        "1. Refused",
        "2. Accepted",
        "3. Revoked",
        "All went as said.",
    ] {
        assert!(said.contains(line), "{line} is not in:\n{said}");
    }
}

#[test]
fn a_port_in_use_is_named_and_what_to_do_is_said() {
    // Some port with three more behind it: the second of them is taken.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let output = demo(port - 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("is in use") && said.contains("PORT="),
        "{said}"
    );
}
