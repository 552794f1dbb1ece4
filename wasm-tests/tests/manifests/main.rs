//! The manifests in `envoy/istio` and `envoy/envoy-gateway`: resources that the
//! API server would take, configurations that the guard takes, and nothing in
//! them that gives a credential away. And `envoy/docker-compose.yaml`.
//!
//! The schemas are those of the custom resource definitions in `crds/` of the
//! folder that `SHARED` names, or of `../shared`. They are not in the project:
//! where they are missing that one test says that it was not run, and fails in
//! CI (`CI=true`).

mod compose;
mod others;
mod read;
mod rules;
mod schema;

use std::fs;
use std::path::PathBuf;

use mcp_token_guard::Config;
use mcp_token_guard_tests::module;
use serde_json::{Value, json};

use read::{documents, guards, items, resources};

/// Kinds of which there is no schema here, so only `rules` looks at them.
const WITHOUT_SCHEMA: &[(&str, &str)] = &[
    ("apps/v1", "Deployment"),
    ("gateway.envoyproxy.io/v1alpha1", "Backend"),
    ("gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy"),
    ("gateway.envoyproxy.io/v1alpha1", "EnvoyPatchPolicy"),
    ("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy"),
    ("gateway.networking.k8s.io/v1", "BackendTLSPolicy"),
    ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "GatewayClass"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
];

/// One version of one kind.
struct Definition {
    file: String,
    api_version: String,
    kind: String,
    schema: Value,
}

/// The definitions, where they are to be had.
fn definitions() -> Option<Vec<Definition>> {
    let shared = std::env::var_os("SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| module::project().join("../shared"));
    let mut found = Vec::new();
    for entry in fs::read_dir(shared.join("crds")).ok()? {
        let path = entry.expect("a definition").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("the definitions");
        for document in documents(&text) {
            let spec = &document["spec"];
            for version in items(&spec["versions"]) {
                let word = |value: &Value| value.as_str().expect("a word").to_owned();
                found.push(Definition {
                    file: path.file_name()?.to_string_lossy().into_owned(),
                    api_version: format!("{}/{}", word(&spec["group"]), word(&version["name"])),
                    kind: word(&spec["names"]["kind"]),
                    schema: version["schema"]["openAPIV3Schema"].clone(),
                });
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

#[test]
fn the_api_server_takes_them() {
    let Some(definitions) = definitions() else {
        let sentence = "the schemas need the custom resource definitions in ../shared/crds \
                        (or in crds/ of the folder that SHARED names)";
        assert!(std::env::var_os("CI").is_none(), "{sentence}");
        println!("not run: {sentence}");
        return;
    };
    let mut checked = 0;
    for resource in resources() {
        let mut value = resource.value.clone();
        // The API server knows these of every kind.
        let members = value.as_object_mut().expect("an object");
        for name in ["apiVersion", "kind", "metadata"] {
            members.remove(name).expect("what every resource has");
        }
        let (api_version, kind) = (resource.api_version(), resource.kind());
        let mut known = 0;
        for definition in &definitions {
            if definition.api_version != api_version || definition.kind != kind {
                continue;
            }
            known += 1;
            let complaints = schema::complaints(&definition.schema, &value);
            let (place, file) = (&resource.place, &definition.file);
            assert!(complaints.is_empty(), "{place} by {file}: {complaints:#?}");
        }
        checked += usize::from(known > 0);
        assert!(
            known > 0 || WITHOUT_SCHEMA.contains(&(api_version, kind)),
            "{}: there is no {kind} of {api_version}",
            resource.place
        );
    }
    println!("{checked} resources checked against their schemas");
    assert!(checked > 10);
}

#[test]
fn the_schemas_are_closed() {
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "free": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        }},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }}});
    let count = |value| schema::complaints(&schema, &value).len();
    assert_eq!(count(json!({"spec": {"a": "x", "free": {"b": 1}}})), 0);
    assert_eq!(count(json!({"spec": {"a": "x", "unknown": 1}})), 1);
    assert_eq!(count(json!({"spec": {"a": 1}})), 1);
    assert_eq!(count(json!({"spec": {}})), 1);
}

#[test]
fn the_guard_takes_their_configurations() {
    let all = resources();
    let mut count = 0;
    for guard in all.iter().flat_map(guards) {
        let place = &guard.resource.place;
        let value = "a-secret-of-more-than-thirty-two-bytes".to_owned();
        let known = |name: &str| guard.variables.iter().any(|one| one == name);
        let env = |name: &str| known(name).then(|| value.clone());
        if let Err(errors) = Config::parse(guard.configuration.as_bytes(), &env) {
            panic!("{place}: {errors}");
        }
        for name in &guard.variables {
            let used = guard.configuration.contains(&format!("${{env:{name}}}"));
            assert!(used, "{place}: nothing uses {name}");
        }
        count += 1;
    }
    assert_eq!(count, 7, "guards in the manifests");
}

#[test]
fn they_keep_the_rules() {
    let all = resources();
    let mut broken = Vec::new();
    for folder in read::FOLDERS {
        let within: Vec<_> = all.iter().filter(|one| one.folder == *folder).collect();
        broken.extend(rules::broken(&within));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
