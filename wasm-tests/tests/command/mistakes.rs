//! Mistakes: each has its place, in the file and in the configuration.

use serde_json::{Value, json};

use crate::run::{SECRET, check, check_with, file, run};
use crate::sample::Sample;

/// A good plugin configuration alone.
fn plugin() -> Value {
    json!({
        "authorization_server": {
            "issuer": "https://auth.example.com",
            "introspection": {
                "url": "https://auth.example.com/introspect",
                "cluster": "as",
                "client_id": "gateway",
                "client_secret": "${env:CLIENT_SECRET}"
            }
        },
        "servers": {"github": {
            "resource": "https://gateway.example.com/github/mcp",
            "default_headers": {"Authorization": "Bearer ${env:GITHUB_TOKEN}"}
        }}
    })
}

/// The places and sentences of all mistakes in the file.
fn mistakes(name: &str, content: &str) -> Vec<String> {
    let found = check(&[&file(name, content)]);
    assert_eq!(found.status, 1, "{:#}", found.all);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = found.findings().iter();
    findings
        .map(|one| {
            assert_eq!(one["severity"], "mistake", "{one}");
            format!(
                "{}|{}|{}",
                text(&one["path"]),
                text(&one["configuration_path"]),
                text(&one["sentence"])
            )
        })
        .collect()
}

#[test]
fn a_plugin_configuration_is_checked_alone() {
    let good = file("plugin.json", plugin().to_string());
    let found = check(&[&good]);
    assert_eq!(found.status, 0, "{:#}", found.all);
    // Which variables the VM has to have.
    assert_eq!(
        found.guards()[0]["variables"],
        json!(["CLIENT_SECRET", "GITHUB_TOKEN"])
    );
    assert_eq!(found.guards()[0]["role"], "gateway");
}

/// Each of several authorization servers is reached by a cluster that is there.
#[test]
fn every_authorization_server_needs_its_cluster() {
    let sample = |cluster: &str| {
        let mut one = plugin();
        let members = one.as_object_mut().expect("an object");
        let corp = members.remove("authorization_server").expect("the one");
        let mut partner = corp.clone();
        partner["issuer"] = json!("https://partner.example");
        partner["introspection"]["cluster"] = json!(cluster);
        one["authorization_servers"] = json!({"corp": corp, "partner": partner});
        one["session_key"] = json!("${env:CLIENT_SECRET}");
        one["servers"]["github"]["authorization_servers"] = json!(["corp", "partner"]);
        one.to_string()
    };
    let good = check(&[&file("several.json", sample("as"))]);
    assert_eq!(good.status, 0, "{:#}", good.all);
    let filter = json!({"name": "guard", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "vm_config": {"environment_variables": {
                "host_env_keys": ["CLIENT_SECRET", "GITHUB_TOKEN"],
            }},
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": sample("elsewhere"),
            },
        },
    }});
    let address = json!({"pipe": {"path": "/run/there"}});
    let there = |name: &str| {
        json!({"name": name, "load_assignment": {"endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": address}}]}]}})
    };
    let envoy = json!({"static_resources": {
        "listeners": [{"filter_chains": [{"http_filters": [filter]}]}],
        "clusters": [there("as"), there("github")],
    }});
    let found = check(&[&file("several.yaml", envoy.to_string())]);
    let missing: Vec<_> = found
        .findings()
        .iter()
        .filter(|one| one["severity"] == "mistake")
        .map(|one| one["configuration_path"].clone())
        .collect();
    let path = "authorization_servers.partner.introspection.cluster";
    assert_eq!(missing, [path], "{:#}", found.all);
}

#[test]
fn all_mistakes_are_said_at_once_with_their_paths() {
    let mut bad = plugin();
    bad["surprise"] = json!(SECRET);
    bad["cache"] = json!({"ttl": "3 days"});
    bad["servers"]["github"]["resource"] = json!("http://gateway.example.com/#x");
    bad["servers"]["github"]["default_headers"]["Host"] = json!(SECRET);
    bad["servers"]["github"]["required_scopes"] = json!([SECRET, SECRET]);
    let said = mistakes("bad.json", &bad.to_string());
    for path in [
        "|surprise|is not a known key",
        "|cache.ttl|must be from",
        "|servers.github.resource|has a fragment",
        "|servers.github.default_headers.Host|is a header that belongs to HTTP",
        "|servers.github.required_scopes[1]|is in the list already",
    ] {
        assert!(
            said.iter().any(|one| one.contains(path)),
            "{path}: {said:?}"
        );
    }
    assert_eq!(said.len(), 5, "{said:?}");
    // The same from YAML.
    let yaml = yaml_serde::to_string(&bad).expect("YAML");
    assert_eq!(mistakes("bad.yaml", &yaml), said);
}

#[test]
fn a_member_that_is_there_twice_is_a_mistake() {
    let text = plugin()
        .to_string()
        .replacen('{', r#"{"role":"gateway","role":"injector","#, 1);
    let said = mistakes("twice.json", &text);
    assert_eq!(said, ["|role|is there more than once; keep one"]);
}

#[test]
fn what_the_vm_is_not_given_is_a_mistake() {
    let place = "/spec/vmConfig/env";
    let sample = Sample::of(&["istio/traffic-extension.yaml"]).with(
        "/spec/wasm/vmConfig/env",
        json!([{"name": "INTROSPECTION_CLIENT_SECRET", "valueFrom": "HOST"}]),
    );
    let text = std::fs::read_to_string(sample.file()).expect("the sample");
    let said = mistakes("env.yaml", &text);
    assert_eq!(said.len(), 1, "{place}: {said:?}");
    let expected = "spec.wasm.pluginConfig|servers.github.default_headers.Authorization|\
                    needs the environment variable `GITHUB_TOKEN`";
    assert!(said[0].starts_with(expected), "{said:?}");
}

#[test]
fn a_cluster_that_is_not_there_is_a_mistake() {
    let sample =
        Sample::of(&["envoy.yaml"]).with("/static_resources/clusters/0/name", json!("other"));
    let text = std::fs::read_to_string(sample.file()).expect("the sample");
    let said = mistakes("clusters.yaml", &text);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(
        "|authorization_server.introspection.cluster|names the cluster `authorization-server`"
    ));
}

#[test]
fn a_cluster_by_which_a_credential_is_fetched_has_to_be_there() {
    let configuration = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
                         /http_filters/0/typed_config/config/configuration";
    let sample = Sample::of(&["envoy.yaml"]);
    let text = std::fs::read_to_string(sample.file()).expect("the sample");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let text = document.pointer(&format!("{configuration}/value"));
    let text = text.and_then(Value::as_str).expect("a configuration");
    let mut plugin: Value = serde_json::from_str(text).expect("JSON");
    let server = &mut plugin["servers"]["demo"];
    server["default_headers"] = json!({});
    server["credential"] = json!({
        "grant": "client_credentials",
        "url": "https://auth.example.com/token",
        "cluster": "token-endpoint",
        "client_id": "guard",
        "client_secret": "${env:INTROSPECTION_CLIENT_SECRET}",
    });
    let sample = sample.with(&format!("{configuration}/value"), json!(plugin.to_string()));
    let text = std::fs::read_to_string(sample.file()).expect("the sample");
    let said = mistakes("credential.yaml", &text);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(".credential.cluster|names the cluster `token-endpoint`"));
}

#[test]
fn a_configuration_in_an_envoy_configuration_has_two_paths() {
    let place = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
                 /http_filters/0/typed_config/config/configuration";
    let text = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": "{\"authorization_server\": {}}",
    });
    let structure = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": {"authorization_server": {}},
    });
    for configuration in [text, structure] {
        let sample = Sample::of(&["envoy.yaml"]).with(place, configuration);
        let text = std::fs::read_to_string(sample.file()).expect("the sample");
        let said = mistakes("envoy.yaml", &text);
        let expected = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config\
                        .http_filters[0].typed_config.config.configuration.value\
                        |authorization_server.issuer|is missing; add it";
        assert_eq!(said.len(), 3, "{said:?}");
        assert_eq!(said[0], expected);
    }
}

/// Variables are taken to be there, unless one asks for a look at them.
#[test]
fn the_environment_is_looked_at_when_asked() {
    let good = file("plugin.json", plugin().to_string());
    let both = [("CLIENT_SECRET", SECRET), ("GITHUB_TOKEN", SECRET)];
    assert_eq!(check_with(&["--env"], &both, &[&good]).status, 0);
    let found = check_with(&["--env"], &both[..1], &[&good]);
    assert_eq!((found.status, found.findings().len()), (1, 1));
    let line = [
        ("CLIENT_SECRET", SECRET),
        ("GITHUB_TOKEN", "kanarie-0123456789-abcdefghij\n"),
    ];
    let found = check_with(&["--env"], &line, &[&good]);
    let said = found.findings()[0]["sentence"]
        .as_str()
        .expect("a sentence");
    assert!(said.contains("line break"), "{said}");
    // Without the option what is set here does not matter.
    assert_eq!(check_with(&[], &line, &[&good]).status, 0);
}

#[test]
fn text_is_a_line_for_each_and_standard_input_is_a_file() {
    let mut bad = plugin();
    bad["role"] = json!("proxy");
    let run = run(&["check", "-"], &[], &bad.to_string());
    assert_eq!(run.status, 1);
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(
        lines,
        [
            "-: mistake: role: must be one of \"gateway\", \"verifier\", \"injector\"",
            "-: mistakes: 1, warnings: 0"
        ]
    );
}
