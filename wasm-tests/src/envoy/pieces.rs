//! Pieces of an Envoy configuration.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::certificate::{self, Certificate};
use crate::client::Protocol;

/// The name by which the plugin is known in stats.
pub const PLUGIN: &str = "mcp_token_guard";

/// A cluster that no arrangement of the guard gives an injector.
pub const BARE: &str = "bare";

/// The guard as an HTTP filter with this plugin configuration.
/// `allow_on_headers_stop_iteration` and the rest can be set in the value.
pub fn guard(module: &Path, configuration: &Value, environment: &[(String, String)]) -> Value {
    let names: Vec<_> = environment.iter().map(|(name, _)| name).collect();
    json!({
        "name": PLUGIN,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": PLUGIN,
                "root_id": PLUGIN,
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": PLUGIN,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": module}},
                    "environment_variables": {"host_env_keys": names},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
            },
        },
    })
}

/// [`guard`], paused with plain `StopIteration`: body callbacks run while the
/// request waits.
#[must_use]
pub fn stopping_iteration(mut guard: Value) -> Value {
    guard["typed_config"]["config"]["allow_on_headers_stop_iteration"] = true.into();
    guard
}

/// [`guard`], its configuration as a `Struct` and not as text.
#[must_use]
pub fn as_struct(mut guard: Value, configuration: &Value) -> Value {
    guard["typed_config"]["config"]["configuration"] = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct",
        "value": configuration,
    });
    guard
}

/// A native filter that looks the route up again.
pub fn cors() -> Value {
    native(
        "envoy.filters.http.cors",
        "envoy.extensions.filters.http.cors.v3.Cors",
    )
}

/// A filter or upstream filter without configuration.
pub fn native(name: &str, message: &str) -> Value {
    json!({
        "name": name,
        "typed_config": {"@type": format!("type.googleapis.com/{message}")},
    })
}

/// Where a cluster has its HTTP options.
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Gives a cluster these upstream filters, the codec left out.
pub fn upstream_filters(cluster: &mut Value, filters: &[Value]) {
    let mut chain = filters.to_vec();
    chain.push(native(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    ));
    cluster["typed_extension_protocol_options"][HTTP_OPTIONS]["http_filters"] = chain.into();
}

/// A cluster with one endpoint, with circuit breakers out of the way.
pub fn cluster(name: &str, address: SocketAddr, protocol: Protocol) -> Value {
    let explicit = match protocol {
        Protocol::Http1 => json!({"http_protocol_options": {"enable_trailers": true}}),
        Protocol::Http2 => json!({"http2_protocol_options": {}}),
    };
    let options = json!({
        "@type": format!("type.googleapis.com/{HTTP_OPTIONS}"),
        "explicit_http_config": explicit,
    });
    let many = 100_000;
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": many,
            "max_pending_requests": many,
            "max_requests": many,
            "max_retries": many,
        }]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                "address": address.ip().to_string(),
                "port_value": address.port(),
            }}}}]}],
        },
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: options,
        },
    })
}

/// [`cluster`], reached by TLS and only if it has this certificate.
#[must_use]
pub fn trusting(mut cluster: Value, certificate: &Certificate) -> Value {
    cluster["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": certificate::NAME,
            "common_tls_context": {"validation_context": {
                "trusted_ca": {"inline_string": certificate.chain},
                "match_typed_subject_alt_names": [
                    {"san_type": "DNS", "matcher": {"exact": certificate::NAME}},
                ],
            }},
        },
    });
    cluster
}

/// TLS of a server that has this certificate.
pub(super) fn server_of(certificate: &Certificate) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": {"inline_string": certificate.chain},
                    "private_key": {"inline_string": certificate.key},
                }],
            },
        },
    })
}

/// A route of everything below `prefix` to a cluster, fit for streams: no
/// timeout of the whole, a finite one of idleness.
pub fn route(prefix: &str, cluster: &str) -> Value {
    json!({
        "match": {"prefix": prefix},
        "route": {"cluster": cluster, "timeout": "0s", "idle_timeout": "30s"},
    })
}

/// [`route`], with a copy of each request to another cluster.
#[must_use]
pub fn mirrored(mut route: Value, shadow: &str) -> Value {
    route["route"]["request_mirror_policies"] = json!([{"cluster": shadow}]);
    route
}

/// A route to a response of Envoy's own.
pub fn direct(prefix: &str) -> Value {
    json!({
        "match": {"prefix": prefix},
        "direct_response": {"status": 200, "body": {"inline_string": "direct"}},
    })
}

/// A route to a redirect of Envoy's own.
pub fn moved(prefix: &str) -> Value {
    json!({"match": {"prefix": prefix}, "redirect": {"path_redirect": "/elsewhere"}})
}
