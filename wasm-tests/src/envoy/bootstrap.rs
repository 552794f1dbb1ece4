//! The bootstrap around the pieces: as `envoy/` recommends it to operators.

use serde_json::{Value, json};

use super::Setup;
use super::pieces::{native, server_of};

/// The listener of a set-up.
fn listener(setup: &Setup) -> Value {
    let mut filters = setup.filters.clone();
    filters.push(native(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
    ));
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "guarded",
        "codec_type": "AUTO",
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": 96,
        "stream_idle_timeout": setup.stream_idle_timeout,
        "http_protocol_options": {"enable_trailers": true},
        "http_filters": filters,
        "route_config": {
            "name": "guarded",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": setup.routes}],
        },
    });
    for (name, value) in setup.manager.as_object().expect("options") {
        manager[name] = value.clone();
    }
    let filters = json!([{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    }]);
    let mut listener = json!({
        "name": "guarded",
        "address": loopback(setup.port),
        "filter_chains": [{"filters": filters}],
    });
    if let Some(certificate) = &setup.certificate {
        listener["listener_filters"] = json!([native(
            "envoy.filters.listener.tls_inspector",
            "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        )]);
        let mut encrypted = listener["filter_chains"][0].clone();
        encrypted["filter_chain_match"] = json!({"transport_protocol": "tls"});
        encrypted["transport_socket"] = server_of(certificate);
        listener["filter_chains"]
            .as_array_mut()
            .expect("a list")
            .push(encrypted);
    }
    listener
}

/// The listener as a file that Envoy reads it from.
pub(super) fn discovery(setup: &Setup, version: &str) -> Value {
    let mut listener = listener(setup);
    listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    json!({"version_info": version, "resources": [listener]})
}

/// The bootstrap of a set-up.
pub(super) fn compose(setup: &Setup) -> Value {
    let mut bootstrap = json!({
        // Asked for by everything that can be updated.
        "node": {"id": "bench", "cluster": "bench"},
        "admin": {"address": loopback(0)},
        "static_resources": {"clusters": setup.clusters},
    });
    if let Some(file) = &setup.listener_file {
        bootstrap["dynamic_resources"] = json!({"lds_config": {
            "resource_api_version": "V3",
            "path_config_source": {"path": file},
        }});
    } else {
        bootstrap["static_resources"]["listeners"] = json!([listener(setup)]);
    }
    for patch in &setup.patches {
        patch(&mut bootstrap);
    }
    bootstrap
}

/// A port of loopback.
fn loopback(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
