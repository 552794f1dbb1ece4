//! What no schema says: nothing in the manifests may give a credential away, or
//! leave a way round the guard.

use mcp_token_guard_tests::module;
use serde_json::{Value, json};

use crate::read::{Guard, Resource, added_clusters, documents, guards, items, text};

/// What is against the rules in the manifests of one folder.
pub fn broken(all: &[&Resource]) -> Vec<String> {
    let mut found = Vec::new();
    let stats_tags = sample_stats_tags();
    for resource in all {
        let mut say = |what: String| found.push(format!("{}: {what}", resource.place));
        match resource.kind() {
            "WasmPlugin" | "TrafficExtension" => placed(resource.spec(), &mut say),
            "VirtualService" => virtual_service(resource.spec(), &mut say),
            "HTTPRoute" => http_route(resource.spec(), &mut say),
            _ => {}
        }
        for guard in guards(resource) {
            guard_itself(&guard, all, &mut say);
        }
        for tags in stats_tags_in(&resource.value) {
            if tags != stats_tags {
                say("its stats_tags are not those of envoy.yaml".to_owned());
            }
        }
    }
    found
}

/// A policy reaches those proxies that it is meant for.
fn placed(spec: &Value, say: &mut dyn FnMut(String)) {
    let (selector, targets) = (&spec["selector"], &spec["targetRefs"]);
    if selector.is_object() && targets.is_array() {
        say("has selector and targetRefs".to_owned());
    }
    let matches = items(&spec["match"]);
    let mode = |mode: &str| matches.iter().all(|one| one["mode"] == mode);
    let wasm = spec.get("wasm").unwrap_or(spec);
    if selector.is_null() && targets.is_null() {
        if matches.is_empty() || !mode("CLIENT") {
            say("is for the whole mesh and not only for what leaves it".to_owned());
        }
        if wasm["pluginConfig"]["unlisted_clusters"] != "ignore" {
            say("is for the whole mesh and refuses other traffic".to_owned());
        }
    }
    for one in items(&wasm["vmConfig"]["env"]) {
        if one["valueFrom"] != "HOST" || one.get("value").is_some() {
            say(format!("{} is written in the manifest", one["name"]));
        }
    }
    if spec["phase"] != "AUTHZ" {
        say("is not in phase AUTHZ".to_owned());
    }
}

fn virtual_service(spec: &Value, say: &mut dyn FnMut(String)) {
    for route in items(&spec["http"]) {
        for name in ["mirror", "mirrors", "redirect", "delegate", "retries"] {
            if route.get(name).is_some() {
                say(format!("a guarded route has `{name}`"));
            }
        }
        for one in items(&route["match"]) {
            only(one, &["uri"], say);
        }
    }
}

fn http_route(spec: &Value, say: &mut dyn FnMut(String)) {
    let rules = items(&spec["rules"]);
    let matches: Vec<_> = rules
        .iter()
        .flat_map(|rule| items(&rule["matches"]))
        .collect();
    for one in &matches {
        // By path only: no method, no header.
        only(one, &["path"], say);
    }
    let of = |kind: &str| {
        let of_kind = matches.iter().filter(|one| one["path"]["type"] == kind);
        let paths = of_kind.filter_map(|one| text(&one["path"]["value"]));
        paths.collect::<Vec<_>>()
    };
    let exact = of("Exact");
    for path in of("PathPrefix") {
        let metadata = format!("/.well-known/oauth-protected-resource{path}");
        if !exact.contains(&metadata) {
            say(format!("does not match {metadata}"));
        }
    }
    for filter in rules.iter().flat_map(|rule| items(&rule["filters"])) {
        if filter["type"] != "URLRewrite" {
            say(format!("a guarded route has a {}", filter["type"]));
        }
    }
}

fn only(value: &Value, known: &[&str], say: &mut dyn FnMut(String)) {
    for name in value.as_object().expect("an object").keys() {
        if !known.contains(&name.as_str()) {
            say(format!("a guarded route matches on `{name}`"));
        }
    }
}

fn guard_itself(guard: &Guard<'_>, all: &[&Resource], say: &mut dyn FnMut(String)) {
    if guard.failure.as_deref() != Some("FAIL_RELOAD") {
        say(format!("fails by {:?}", guard.failure));
    }
    let configuration: Value = serde_json::from_str(&guard.configuration).expect("JSON");
    let introspection = &configuration["authorization_server"]["introspection"];
    let asked = text(&introspection["cluster"]).expect("a cluster");
    if !fixed(&asked, all) {
        say(format!(
            "{asked} is no cluster of these manifests with its TLS checked"
        ));
    }
    let servers = configuration["servers"].as_object().expect("servers");
    for server in servers.values() {
        let cluster = text(&server["cluster"]).expect("one cluster");
        if !fixed(&cluster, all) {
            say(format!(
                "{cluster} is no cluster of these manifests with its TLS checked"
            ));
        }
    }
}

/// Whether a cluster leads to one known place, and proves it. Everything else is
/// refused: with a dynamic one the client's Host would choose who gets the
/// credential.
fn fixed(cluster: &str, all: &[&Resource]) -> bool {
    let of = |kind: &'static str| all.iter().filter(move |one| one.kind() == kind);
    if let Some(route) = cluster.strip_prefix("httproute/") {
        let route = route.strip_suffix("/rule/*");
        return of("HTTPRoute").any(|one| Some(one.name().as_str()) == route);
    }
    match cluster.split('|').collect::<Vec<_>>()[..] {
        // In the same pod, or by the mesh's own TLS.
        ["inbound", port, "", ""] => port.parse::<u16>().is_ok(),
        ["inbound-vip", port, "http", host] => {
            port.parse::<u16>().is_ok() && host.ends_with(".svc.cluster.local")
        }
        ["outbound", port, "", host] => {
            let port = port.parse::<u16>().ok();
            let entry = of("ServiceEntry").map(|one| one.spec()).any(|entry| {
                let ports = items(&entry["ports"]);
                entry["hosts"] == json!([host])
                    && entry["resolution"] == "DNS"
                    && ports.iter().any(|one| json!(port) == one["number"])
            });
            let tls = of("DestinationRule").map(|one| one.spec()).any(|rule| {
                let tls = &rule["trafficPolicy"]["tls"];
                rule["host"] == host
                    && tls["mode"] == "SIMPLE"
                    && tls["sni"] == host
                    && tls["subjectAltNames"] == json!([host])
            });
            entry && tls && !host.contains('*')
        }
        [_] => all.iter().flat_map(|one| added_clusters(one)).any(|added| {
            let tls = &added["transport_socket"]["typed_config"];
            let checked = &tls["common_tls_context"]["validation_context"];
            let names = &checked["match_typed_subject_alt_names"];
            added["name"] == cluster
                && added["type"] == "STRICT_DNS"
                && tls["sni"] == names[0]["matcher"]["exact"]
                && tls["sni"].is_string()
                && checked["trusted_ca"].is_object()
        }),
        _ => false,
    }
}

fn sample_stats_tags() -> Value {
    let path = module::project().join("envoy/envoy.yaml");
    let sample = std::fs::read_to_string(path).expect("envoy.yaml");
    documents(&sample)[0]["stats_config"]["stats_tags"].clone()
}

/// Every list of stats tags in there, also in a bootstrap that is a text.
fn stats_tags_in(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let own = members.get("stats_tags").cloned();
            let inner = members.values().flat_map(stats_tags_in);
            own.into_iter().chain(inner).collect()
        }
        Value::Array(items) => items.iter().flat_map(stats_tags_in).collect(),
        Value::String(text) if text.contains("stats_tags") => {
            documents(text).iter().flat_map(stats_tags_in).collect()
        }
        _ => Vec::new(),
    }
}
