//! Each danger, put into a sample: it is found, at its place, and nothing else.

use serde_json::{Value, json};

use crate::run::{SECRET, check};
use crate::sample::{GUARD, ROUTE, Sample, at, gateway_api, istio, simple, strict};

fn filter_off() -> Value {
    json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true})
}

#[test]
fn a_mirror() {
    let mirror = json!([{"cluster": "authorization-server"}]);
    let in_route = at(&format!("{ROUTE}/route/request_mirror_policies"));
    simple()
        .with(&in_route, mirror.clone())
        .warns("routes[0].route.request_mirror_policies", "sends a copy");
    simple()
        .with(
            &at(&format!("{ROUTE}/route/requestMirrorPolicies")),
            mirror.clone(),
        )
        .warns("routes[0].route.requestMirrorPolicies", "sends a copy");
    let in_host = at("/route_config/virtual_hosts/0/request_mirror_policies");
    simple()
        .with(&in_host, mirror.clone())
        .warns("virtual_hosts[0].request_mirror_policies", "sends a copy");
    // A shadow has no mark, so the injector sends it nothing.
    strict().with(&in_route, mirror).is_fine();
}

#[test]
fn a_mirror_in_manifests() {
    let host = json!({"host": "shadow.example.com"});
    istio()
        .within("VirtualService", "github-mcp", "/spec/http/0/mirror", host)
        .warns("spec.http[0].mirror", "sends a copy");
    let filter = json!([{"type": "RequestMirror", "requestMirror": {}}]);
    gateway_api()
        .within("HTTPRoute", "github", "/spec/rules/0/filters", filter)
        .warns("spec.rules[0].filters[0]", "sends a copy");
    let patch = json!({"route": {"request_mirror_policies": [{"cluster": "x"}]}});
    Sample::of(&["istio/gateway.yaml", "istio/envoy-filter.yaml"])
        .within(
            "EnvoyFilter",
            "mcp-token-guard",
            "/spec/configPatches/2/patch/value",
            patch,
        )
        .warns("patch.value.route.request_mirror_policies", "sends a copy");
}

#[test]
fn an_internal_redirect() {
    let place = at(&format!("{ROUTE}/route/internal_redirect_policy"));
    let policy = json!({"max_internal_redirects": 1});
    simple().with(&place, policy.clone()).warns(
        "routes[0].route.internal_redirect_policy",
        "through the guard again",
    );
    strict().with(&place, policy).is_fine();
}

#[test]
fn a_route_by_a_header_that_the_guard_changes() {
    let by =
        |name: &str| json!({"prefix": "/", "headers": [{"name": name, "present_match": true}]});
    let place = at(&format!("{ROUTE}/match"));
    for name in [
        "Authorization",
        "x_access_token",
        "x-mcp-subject",
        "mcp-session-id",
    ] {
        simple()
            .with(&place, by(name))
            .warns("routes[0].match.headers[0].name", "depends on the header");
    }
    // As an injected one of a server.
    strict()
        .with(&place, by("x-api-key"))
        .warns("routes[0].match.headers[0].name", "`x-api-key`");
    simple().with(&place, by("x-tenant")).is_fine();
    let action = at(&format!("{ROUTE}/route"));
    simple()
        .with(&action, json!({"cluster_header": "authorization"}))
        .warns("routes[0].route.cluster_header", "depends on the header");
}

#[test]
fn a_manifest_by_a_header_that_the_guard_changes() {
    let by = json!([{"headers": {"authorization": {"prefix": "Bearer"}}}]);
    istio()
        .within("VirtualService", "github-mcp", "/spec/http/0/match", by)
        .warns("spec.http[0].match[0].headers.authorization", "depends on");
    let by = json!([{"headers": [{"name": "Authorization", "value": "x"}]}]);
    gateway_api()
        .within("HTTPRoute", "github", "/spec/rules/0/matches", by)
        .warns("spec.rules[0].matches[0].headers[0]", "depends on");
}

#[test]
fn a_cluster_that_goes_where_the_client_says() {
    let cluster = "/static_resources/clusters/1";
    simple()
        .with(&format!("{cluster}/type"), json!("ORIGINAL_DST"))
        .warns(
            "static_resources.clusters[1]",
            "where the client's request says",
        );
    let forward = json!({"name": "envoy.clusters.dynamic_forward_proxy"});
    simple()
        .with(&format!("{cluster}/cluster_type"), forward)
        .warns(
            "static_resources.clusters[1]",
            "where the client's request says",
        );
    // Nothing is sent to it that matters.
    let other = json!({"name": "other", "type": "ORIGINAL_DST"});
    let both = simple().0[0]["static_resources"]["clusters"].clone();
    let mut all = both.as_array().expect("clusters").clone();
    all.push(other);
    simple()
        .with("/static_resources/clusters", json!(all))
        .is_fine();
    // By the name that Istio gives it.
    let clusters = json!(["outbound|443||mcp.github.example.com", "PassthroughCluster"]);
    let place = "/spec/pluginConfig/servers/github/cluster";
    istio()
        .within("WasmPlugin", "mcp-token-guard", place, clusters)
        .warns("spec.pluginConfig: servers", "PassthroughCluster");
    istio()
        .within(
            "ServiceEntry",
            "github-mcp",
            "/spec/resolution",
            json!("NONE"),
        )
        .warns("spec.resolution", "where the client's request says");
    let resolver = json!("DynamicResolver");
    gateway_api()
        .within("Backend", "github", "/spec/type", resolver.clone())
        // Both rules lead there.
        .found(2, "where the client's request says");
}

impl Sample {
    /// The same danger is found so often.
    fn found(&self, count: usize, sentence: &str) {
        let found = check(&[&self.file()]);
        assert_eq!(found.findings().len(), count, "{:#}", found.all);
        for finding in found.findings() {
            let said = finding["sentence"].as_str().expect("a sentence");
            assert!(said.contains(sentence), "{said}");
        }
    }
}

#[test]
fn a_guard_that_fails_open() {
    let config = at(&format!("{GUARD}/typed_config/config"));
    simple()
        .with(&format!("{config}/failure_policy"), json!("FAIL_OPEN"))
        .warns("config.failure_policy", "when the VM dies");
    simple()
        .with(&format!("{config}/fail_open"), json!(true))
        .warns("config.fail_open", "when the VM dies");
    istio()
        .within(
            "WasmPlugin",
            "mcp-token-guard",
            "/spec/failStrategy",
            json!("FAIL_OPEN"),
        )
        .warns("spec.failStrategy", "when the VM dies");
    gateway_api()
        .within(
            "EnvoyExtensionPolicy",
            "mcp-token-guard",
            "/spec/wasm/0/failOpen",
            json!(true),
        )
        .warns("spec.wasm[0].failOpen", "when the VM dies");
    Sample::of(&["istio/traffic-extension.yaml"])
        .with("/spec/wasm/failStrategy", json!("FAIL_OPEN"))
        .warns("spec.wasm.failStrategy", "when the VM dies");
    let open = json!("FAIL_OPEN");
    let place = "/spec/jsonPatches/1/operation/value";
    gateway_api()
        .within("EnvoyPatchPolicy", "mcp-token-guard", place, open)
        .warns("spec.jsonPatches[1].operation.value", "when the VM dies");
}

#[test]
fn rules_without_the_body_before_the_head() {
    let rules = || Sample::of(&["rules.yaml"]);
    let needed = "allow_on_headers_stop_iteration";
    rules().is_fine();
    let place = at(&format!("{GUARD}/typed_config/config/{needed}"));
    for value in [json!(false), Value::Null] {
        rules()
            .with(&place, value)
            .warns("servers.demo.rules", needed);
    }
    let istio = [
        "istio/envoy-filter.yaml",
        "istio/gateway.yaml",
        "istio/authorization-server.yaml",
    ];
    Sample::of(&istio)
        .with(
            &format!("/spec/configPatches/0/patch/value/typed_config/config/{needed}"),
            Value::Null,
        )
        .warns("servers.github.rules", needed);
    let some = json!([{"methods": ["*"], "required_scopes": []}]);
    let place = "/spec/wasm/0/config/servers/github/rules";
    let with_rules = || {
        gateway_api().within(
            "EnvoyExtensionPolicy",
            "mcp-token-guard",
            place,
            some.clone(),
        )
    };
    with_rules().warns("servers.github.rules", needed);
    let place = "/spec/jsonPatches/1/operation/path";
    let is_true = "/spec/jsonPatches/1/operation/value";
    with_rules()
        .within("EnvoyPatchPolicy", "mcp-token-guard", place, json!(needed))
        .within("EnvoyPatchPolicy", "mcp-token-guard", is_true, json!(true))
        .is_fine();
}

#[test]
fn bound_tokens_where_no_client_is_asked_for_a_certificate() {
    const TLS: &str = "/static_resources/listeners/0/filter_chains/0/transport_socket";
    const BOUND: &str = "/servers/demo/certificate_bound_tokens";
    let with = |bound: &Value| simple().configured(BOUND, bound.clone());
    let socket = |context: Value| json!({"typed_config": context});
    for bound in [json!(true), json!("required")] {
        let place = "servers.demo.certificate_bound_tokens";
        let said = "asks no client for one";
        with(&bound).warns(place, said);
        let plain = json!({"common_tls_context": {"tls_certificates": []}});
        with(&bound).with(TLS, socket(plain)).warns(place, said);
        for context in [
            json!({"common_tls_context": {"validation_context": {"trusted_ca": {}}}}),
            json!({"common_tls_context": {"combinedValidationContext": {}}}),
            json!({"require_client_certificate": true}),
        ] {
            with(&bound).with(TLS, socket(context)).is_fine();
        }
    }
    with(&json!(false)).is_fine();
}

#[test]
fn a_certificate_that_is_to_prove_who_asks_and_is_not_there() {
    const OURS: &str = "/static_resources/clusters/0/transport_socket/typed_config";
    const ENDPOINT: &str = "/authorization_server/introspection";
    let by_certificate = || {
        Sample::of(&["tls.yaml"])
            .configured(&format!("{ENDPOINT}/auth_method"), json!("tls_client_auth"))
            .configured(&format!("{ENDPOINT}/client_secret"), Value::Null)
            .configured("/session_key", json!("${env:INTROSPECTION_CLIENT_SECRET}"))
    };
    by_certificate().warns("static_resources.clusters[0]", "who it is");
    for name in ["tls_certificates", "tls_certificate_sds_secret_configs"] {
        let place = format!("{OURS}/common_tls_context/{name}");
        by_certificate().with(&place, json!([{}])).is_fine();
    }
}

#[test]
fn a_guard_that_is_off() {
    let place = at(&format!("{ROUTE}/typed_per_filter_config"));
    simple()
        .with(&place, json!({"mcp_token_guard": filter_off()}))
        .warns(
            "typed_per_filter_config.mcp_token_guard",
            "turns the guard off",
        );
    let place = at("/route_config/typed_per_filter_config");
    let all = json!({"mcp_token_guard": filter_off()});
    simple().with(&place, all).warns(
        "typed_per_filter_config.mcp_token_guard",
        "turns the guard off",
    );
    // Of another filter.
    simple()
        .with(&place, json!({"cors": filter_off()}))
        .is_fine();
    simple()
        .with(&at(&format!("{GUARD}/disabled")), json!(true))
        .warns("http_filters[0]", "is disabled, and not enabled");
    let on =
        json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}});
    simple()
        .with(&at(&format!("{GUARD}/disabled")), json!(true))
        .with(&place, json!({"mcp_token_guard": on}))
        .is_fine();
    let other = &simple().0[0]["static_resources"]["listeners"][0].clone();
    let mut unguarded = other.clone();
    let filters = "/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = unguarded.pointer_mut(filters).expect("filters");
    filters.as_array_mut().expect("a list").remove(0);
    simple()
        .with("/static_resources/listeners", json!([other, unguarded]))
        .warns("listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route", "no guard is in this listener");
}

#[test]
fn a_way_that_others_can_read() {
    for place in [0, 1] {
        let address = format!(
            "/static_resources/clusters/{place}/load_assignment/endpoints/0/lb_endpoints/0\
             /endpoint/address/socket_address/address"
        );
        simple().with(&address, json!("mcp.example.com")).warns(
            &format!("static_resources.clusters[{place}]"),
            "without TLS",
        );
        simple().with(&address, json!("::1")).is_fine();
    }
    let tls = "/static_resources/clusters/1/transport_socket";
    let socket = |context: Value| {
        let mut context = context;
        let kind =
            "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        context["@type"] = json!(kind);
        json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
    };
    simple()
        .with(tls, socket(json!({"sni": "mcp.example.com"})))
        .warns(
            "clusters[1].transport_socket.typed_config",
            "does not check the certificate",
        );
    let trusted = json!({"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}});
    let context = json!({"common_tls_context": {"validation_context": trusted}});
    simple().with(tls, socket(context)).warns(
        "clusters[1].transport_socket.typed_config",
        "takes any certificate",
    );
    istio()
        .without("DestinationRule", "github-mcp")
        .warns("spec.hosts[0]", "without TLS");
    istio()
        .without("DestinationRule", "authorization-server")
        .warns("spec.hosts[0]", "without TLS");
    gateway_api()
        .without("BackendTLSPolicy", "github")
        .found(2, "without TLS");
    gateway_api()
        .within(
            "EnvoyPatchPolicy",
            "mcp-token-guard",
            "/spec/jsonPatches/0/operation/value/transport_socket",
            Value::Null,
        )
        .warns("spec.jsonPatches[0].operation.value", "without TLS");
}

#[test]
fn a_secret_that_is_written_down() {
    let place = "/spec/pluginConfig/authorization_server/introspection/client_secret";
    istio()
        .within("WasmPlugin", "mcp-token-guard", place, json!(SECRET))
        .warns(
            "spec.pluginConfig: authorization_server.introspection.client_secret",
            "is written in the configuration",
        );
    let inline = json!({"name": "GITHUB_TOKEN", "valueFrom": "INLINE", "value": SECRET});
    istio()
        .within(
            "WasmPlugin",
            "mcp-token-guard",
            "/spec/vmConfig/env/1",
            inline.clone(),
        )
        .warns("spec.pluginConfig", "`GITHUB_TOKEN` written in the file");
}
