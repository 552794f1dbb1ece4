//! What Envoy does with configurations, bad and good (contract section 2).

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::{Setup, Surroundings, pieces};
use mcp_token_guard_tests::module;
use mcp_token_guard_tests::scenario::{CLIENT_SECRET, ENVIRONMENT, base, post};
use serde_json::{Value, json};

/// The log of an Envoy that does not start with this configuration.
fn refused(configuration: &Value) -> String {
    let setup = Setup::new();
    let guard = pieces::guard(module::path(), configuration, &setup.environment);
    let Err(not_started) = setup.filter(guard).try_start() else {
        panic!("Envoy started with {configuration:#}");
    };
    assert!(not_started.what.contains("ended"), "{not_started}");
    not_started.log
}

/// The log has each of these, and none of the secrets.
fn names(log: &str, expected: &[&str]) {
    // Our lines, without Envoy's own rendering of the bootstrap.
    let ours: String = log
        .lines()
        .filter(|line| line.contains("wasm log"))
        .collect();
    for one in expected {
        assert!(ours.contains(one), "no `{one}` in\n{ours}\n---\n{log}");
    }
    for (name, value) in ENVIRONMENT {
        assert!(!log.contains(value), "the value of {name} is in the log");
    }
}

#[test]
fn envoy_does_not_start_with_mistakes_and_its_log_names_all_of_them() {
    let mut bad = base();
    bad["surprise"] = json!(1);
    bad["authorization_server"]["introspection"]["url"] = json!("http://auth.example.com/x");
    bad["authorization_server"]["introspection"]["timeout"] = json!("1h");
    bad["servers"]["github"]["default_headers"]["Authorization"] = json!("Bearer ${env:ABSENT}");
    bad["servers"]["github"]["default_headers"]["X-Plain"] = json!("kanarie-in-configuration\r\n");
    bad["servers"]["linear"]["resource"] = json!("https://gateway.example.com/x#fragment");
    bad["servers"]["linear"]["required_scopes"] = json!(["a\"b"]);
    bad["servers"]["plain"]["cluster"] = json!("*");
    bad["servers"]["name with spaces"] = bad["servers"]["plain"].clone();
    bad["allowed_origins"] = json!(["*"]);
    bad["clock_skew"] = json!("1h");
    bad["cache"] = json!({"max_entries": "many"});
    let log = refused(&bad);
    names(
        &log,
        &[
            "surprise",
            "authorization_server.introspection.url",
            "authorization_server.introspection.timeout",
            "servers.github.default_headers.Authorization",
            "ABSENT",
            "servers.github.default_headers.X-Plain",
            "servers.linear.resource",
            "servers.linear.required_scopes",
            "servers.plain.cluster",
            "name with spaces",
            "allowed_origins",
            "clock_skew",
            "cache.max_entries",
        ],
    );
    assert!(
        !log.contains("kanarie-in-configuration"),
        "a value is in the log"
    );
}

#[test]
fn each_of_these_mistakes_alone_keeps_envoy_from_starting() {
    // Cases in which a lenient reader would go on; the parser's own tests have
    // the long list.
    let no_auth = json!({"url": "http://127.0.0.1/", "cluster": "x", "auth_method": "none"});
    let cases = [
        ("servers", "/servers", json!({})),
        ("issuer", "/authorization_server/issuer", json!("")),
        (
            "session_key",
            "/authorization_server/introspection",
            no_auth,
        ),
        (
            "required_scopes",
            "/servers/github/required_scopes",
            json!(["offline_access"]),
        ),
        ("cluster", "/servers/linear/cluster", json!("gamma*")),
        (
            "default_headers",
            "/servers/github/default_headers",
            json!({"Host": "x"}),
        ),
        ("strip_headers", "/strip_headers", json!(["not a name"])),
    ];
    for (name, place, value) in cases {
        let mut configuration = base();
        *configuration.pointer_mut(place).unwrap() = value;
        names(&refused(&configuration), &[name]);
    }
}

#[test]
fn text_that_is_no_configuration_keeps_envoy_from_starting() {
    for text in ["", "{", "[]", "null", "{}", "\u{feff}{}"] {
        let setup = Setup::new();
        let mut guard = pieces::guard(module::path(), &json!({}), &setup.environment);
        guard["typed_config"]["config"]["configuration"]["value"] = text.into();
        let Err(not_started) = setup.filter(guard).try_start() else {
            panic!("Envoy started with {text:?}");
        };
        assert!(not_started.what.contains("ended"), "{not_started}");
    }
}

#[test]
fn a_member_that_is_there_twice_keeps_envoy_from_starting() {
    let text = base()
        .to_string()
        .replacen('{', r#"{"clock_skew":"0s","clock_skew":"120s","#, 1);
    let setup = Setup::new();
    let mut guard = pieces::guard(module::path(), &json!({}), &setup.environment);
    guard["typed_config"]["config"]["configuration"]["value"] = text.into();
    let Err(not_started) = setup.filter(guard).try_start() else {
        panic!("Envoy started");
    };
    names(&not_started.log, &["clock_skew"]);
}

#[test]
fn a_struct_is_as_good_as_text() {
    let configuration = base();
    let as_struct = |guard| pieces::as_struct(guard, &configuration);
    let mut bench = Surroundings::new().start_with(&configuration, as_struct);
    bench.admit("/github/mcp");
    let good = post("/github/mcp").header("Authorization", "Bearer kanarie-struct");
    assert_eq!(bench.send(Protocol::Http1, &good).status, 200);
    assert_eq!(
        bench.send(Protocol::Http1, &post("/github/mcp")).status,
        401
    );
    let arrived = bench.arrived();
    let credential = (
        b"authorization".to_vec(),
        b"Bearer kanarie-alpha-credential".to_vec(),
    );
    assert!(arrived[0].headers.contains(&credential));
}

#[test]
fn a_bad_struct_keeps_envoy_from_starting() {
    let mut configuration = base();
    configuration["surprise"] = json!(true);
    let setup = Setup::new();
    let guard = pieces::guard(module::path(), &json!({}), &setup.environment);
    let guard = pieces::as_struct(guard, &configuration);
    let Err(not_started) = setup.filter(guard).try_start() else {
        panic!("Envoy started");
    };
    names(&not_started.log, &["surprise"]);
}

#[test]
fn an_empty_variable_keeps_envoy_from_starting() {
    let mut setup = Setup::new();
    for (name, value) in &mut setup.environment {
        if name == "INTROSPECTION_CLIENT_SECRET" {
            assert_eq!(value, CLIENT_SECRET);
            value.clear();
        }
    }
    let guard = pieces::guard(module::path(), &base(), &setup.environment);
    let Err(not_started) = setup.filter(guard).try_start() else {
        panic!("Envoy started");
    };
    names(&not_started.log, &["INTROSPECTION_CLIENT_SECRET"]);
}
