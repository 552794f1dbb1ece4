//! `envoy/docker-compose.yaml` and the Dockerfile that it builds.

use std::fs;
use std::process::{Command, Stdio};

use mcp_token_guard_tests::module;
use serde_json::Value;

use crate::read::{documents, items};

fn read(name: &str) -> String {
    fs::read_to_string(module::project().join("envoy").join(name)).expect("the file")
}

#[test]
fn what_compose_builds_is_there() {
    let compose = &documents(&read("docker-compose.yaml"))[0];
    let dockerfile = read("Dockerfile");
    let services = compose["services"].as_object().expect("services");
    for (name, service) in services {
        let build = &service["build"];
        assert_eq!(build["context"], "..", "{name}");
        assert_eq!(build["dockerfile"], "envoy/Dockerfile", "{name}");
        let stage = format!(" AS {}\n", build["target"].as_str().expect("a stage"));
        assert!(dockerfile.contains(&stage), "{name}: no stage{stage}");
        // One loopback for all of them, and nothing published beyond this machine.
        let shares = service["network_mode"] == "service:envoy";
        assert!(shares || name == "envoy", "{name}");
        for port in items(&service["ports"]) {
            let port = port.as_str().expect("a text");
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    // What the Dockerfile changes in the sample is there, once.
    let listener = "{address: 127.0.0.1, port_value: 18000}";
    assert_eq!(read("envoy.yaml").matches(listener).count(), 1);
    assert!(dockerfile.contains(&format!("s/{listener}/")));
    // What the sample takes from its environment is given.
    let given = services["envoy"]["environment"].as_object().expect("names");
    let sample = read("envoy.yaml");
    for part in sample.split("${env:").skip(1) {
        let (name, _) = part.split_once('}').expect("a name");
        assert!(given.contains_key(name), "{name} is not given");
    }
}

/// With the real Compose (that of `make delivery`, `docker-compose`, or the
/// plug-in of docker), where one is: it knows every key, and every mistake.
#[test]
fn compose_takes_it() {
    let own = module::project().join(".tools/compose/bin/docker-compose");
    let own = own.to_string_lossy();
    let commands: &[&[&str]] = &[&[&own], &["docker-compose"], &["docker", "compose"]];
    let run = |command: &[&str], args: &[&str]| {
        Command::new(command[0])
            .args(&command[1..])
            .args(args)
            .env("INTROSPECTION_CLIENT_SECRET", "x")
            .env("MCP_SERVER_TOKEN", "x")
            .env("DEMO_CLIENT_SECRET", "x")
            .current_dir(module::project())
            .stdin(Stdio::null())
            .output()
    };
    let there = |command: &&&[&str]| {
        run(command, &["version"]).is_ok_and(|version| version.status.success())
    };
    let Some(command) = commands.iter().find(there) else {
        println!("not run: needs docker-compose or `docker compose`");
        return;
    };
    let file = [
        "-f",
        "envoy/docker-compose.yaml",
        "config",
        "--format",
        "json",
    ];
    let output = run(command, &file).expect("Compose starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        read["services"].as_object().map(serde_json::Map::len),
        Some(3)
    );
}
