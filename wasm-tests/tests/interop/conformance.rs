//! Transparency: MCP's own conformance suite says the same of a server behind the
//! guard as of the server itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::demo::recording::find;
use mcp_token_guard_tests::envoy::pieces::{cluster, guard, route};
use mcp_token_guard_tests::envoy::{Envoy, Setup};
use mcp_token_guard_tests::module;
use mcp_token_guard_tests::peers::Peer;
use mcp_token_guard_tests::scenario::{ENVIRONMENT, INTROSPECTION_CLUSTER, Vars, active};
use serde_json::{Value, json};

use crate::authority::{Folder, free, listens};
use crate::gateway::listen_where_the_resource_is;
use crate::parts::{self, Part};
use crate::relay::Relay;

/// The token that the suite, which has no option for one, is given on the way.
const TOKEN: &str = "kanarie-conformance";

/// What the guard sets in its place.
const CREDENTIAL: &[u8] = b"Bearer kanarie-alpha-credential";

/// A check that was passed.
const PASSED: &str = "SUCCESS";

/// What a suite said: the status of each check, by scenario, name and how often
/// it had come before.
type Verdicts = BTreeMap<String, String>;

/// An MCP server that has what the suite asks for.
fn fixture() -> (SocketAddr, Part) {
    let address = free();
    let mut command = parts::python_script("fixture.py");
    command.arg(address.port().to_string());
    let part = Part::start(command);
    listens(address, &part);
    (address, part)
}

/// npm's `server-everything`.
fn everything() -> (SocketAddr, Part) {
    let address = free();
    let mut command =
        parts::node_on_loopback("@modelcontextprotocol/server-everything/dist/index.js");
    command
        .arg("streamableHttp")
        .env("PORT", address.port().to_string())
        .stdin(Stdio::null());
    let part = Part::start(command);
    listens(address, &part);
    (address, part)
}

/// Envoy with the guard before a server. A filter in front adds the token.
fn gateway(server: &Relay) -> (Envoy, Peer, String) {
    let url = format!("http://{}/mcp", free());
    let configuration = json!({
        "authorization_server": {
            "issuer": "https://auth.example.com",
            "introspection": {
                "url": "http://127.0.0.1/introspect",
                "cluster": INTROSPECTION_CLUSTER,
                "client_id": "gateway",
                "client_secret": "${env:INTROSPECTION_CLIENT_SECRET}",
                "timeout": "20s",
            },
        },
        "servers": {"tools": {
            "resource": url,
            "default_headers": {"Authorization": "Bearer ${env:ALPHA_TOKEN}"},
        }},
    });
    let mut authority = Peer::start(INTROSPECTION_CLUSTER);
    let claims = json!({"active": true, "sub": "suite", "aud": url});
    authority.answer(Vars::default().answer(&active(claims), 0.0));
    let known: Vec<_> = ENVIRONMENT
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let adds = json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [{"append": {
                "header": {"key": "authorization", "value": format!("Bearer {TOKEN}")},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }}]},
        },
    });
    let envoy = Setup::new()
        .filter(adds)
        .filter(guard(module::path(), &configuration, &known))
        .cluster(cluster(
            INTROSPECTION_CLUSTER,
            authority.address(),
            Protocol::Http1,
        ))
        .cluster(cluster("tools", server.address, Protocol::Http1))
        .route(route("/", "tools"))
        .patch(listen_where_the_resource_is)
        .start();
    (envoy, authority, url)
}

/// What a version of the suite says of the server there.
fn verdicts(version: &str, options: &[&str], url: &str) -> Verdicts {
    let folder = Folder::new();
    let mut command: Command = parts::conformance(version);
    command
        .args(["server", "--url", url, "--output-dir"])
        .arg(&folder.0)
        .args(options)
        .stdin(Stdio::null());
    let part = Part::start(command);
    let said = part.ended();
    assert!(said.contains("Total: "), "it came to no end: {said}");
    let mut all = Verdicts::new();
    collect(&folder.0, &folder.0, &mut all);
    all
}

/// Adds the checks in the files below a folder.
fn collect(root: &Path, folder: &Path, all: &mut Verdicts) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, all);
        } else if path.file_name().is_some_and(|name| name == "checks.json") {
            let text = fs::read_to_string(&path).expect("checks");
            let checks: Vec<Value> = serde_json::from_str(&text).expect("checks");
            let name = folder.strip_prefix(root).expect("a folder below the root");
            let name = name.display().to_string();
            // Without the time at its end.
            let scenario = name.split("-20").next().unwrap_or_default();
            for check in checks {
                let id = check["id"].as_str().unwrap_or_default();
                let status = check["status"].as_str().unwrap_or_default();
                let key = (0..).map(|count| format!("{scenario} {id} {count}"));
                let key = key.into_iter().find(|key| !all.contains_key(key));
                all.insert(key.expect("a number"), status.to_string());
            }
        }
    }
}

/// Asserts that a suite says the same of a server and of the gateway before it,
/// but for these checks, which only the gateway passes; and that it says
/// something: so many checks at least are passed by the server.
fn same(
    server: fn() -> (SocketAddr, Part),
    version: &str,
    options: &[&str],
    passed: usize,
    better: &[&str],
) {
    let (address, _part) = server();
    let direct = verdicts(version, options, &format!("http://{address}/mcp"));
    let server = Relay::to(address);
    let (_envoy, _authority, url) = gateway(&server);
    let guarded = verdicts(version, options, &url);
    let got = server.recording.connections().concat();
    assert!(find(&got, CREDENTIAL).is_some(), "nothing went to it");
    assert!(find(&got, TOKEN.as_bytes()).is_none(), "the token went on");
    let mut different = Vec::new();
    for (check, status) in &direct {
        let behind = guarded.get(check).map_or("nothing", String::as_str);
        let is_better = behind == PASSED && better.contains(&check.as_str());
        if behind != status && !is_better {
            different.push(format!(
                "{check}: {status} directly, {behind} behind the guard"
            ));
        }
    }
    for check in guarded.keys().filter(|check| !direct.contains_key(*check)) {
        different.push(format!("{check}: only behind the guard"));
    }
    let good = direct.values().filter(|status| *status == PASSED).count();
    let all = direct.len();
    println!("{version} {options:?}: {all} checks, {good} passed");
    assert!(good >= passed, "only {good} checks passed: {direct:#?}");
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// MCP-FWD-b: the era with sessions.
#[test]
fn what_2025_11_25_requires_is_the_same_behind_the_guard() {
    let options = ["--requirements", "2025-11-25"];
    same(fixture, "0.2.0-alpha.12", &options, 60, &[]);
}

/// MCP-FWD-b: the era without.
#[test]
fn what_2026_07_28_requires_is_the_same_behind_the_guard() {
    let options = ["--requirements", "2026-07-28"];
    same(fixture, "0.2.0-alpha.12", &options, 120, &[]);
}

#[test]
fn the_suite_of_the_older_era_says_the_same_behind_the_guard() {
    same(fixture, "0.1.16", &[], 25, &[]);
}

/// MCP-ORIGIN-a: it lets foreign origins in, and the guard does not.
#[test]
fn server_everything_is_the_same_behind_the_guard_but_for_foreign_origins() {
    let options = ["--requirements", "2025-11-25"];
    let better = ["server-dns-rebinding-protection localhost-host-rebinding-rejected 0"];
    same(everything, "0.2.0-alpha.12", &options, 40, &better);
}
