//! `envoy/tls.yaml` in real Envoy: the authorization server and the MCP server
//! have to prove their names before anything secret is sent to them.
//!
//! The clusters are the sample's own. What is changed is where they are and
//! which authority vouches for them, since both are of this test.

mod tls;

use std::fs;

use mcp_token_guard_tests::client::{self, Protocol, Response};
use mcp_token_guard_tests::envoy::{Envoy, Setup, now, pieces};
use mcp_token_guard_tests::module;
use mcp_token_guard_tests::peers::{Act, Peer};
use mcp_token_guard_tests::scenario::{active, post};
use serde_json::{Value, json};

use tls::{Authority, Front};

/// The client's token; nobody but the authorization server may see it.
const TOKEN: &str = "kanarie-token-of-the-client";

/// The secrets of the sample.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "INTROSPECTION_CLIENT_SECRET",
        "kanarie-introspection-secret",
    ),
    ("MCP_SERVER_TOKEN", "kanarie-mcp-server-token"),
];

/// The names that the sample asks for.
const AUTHORIZATION_SERVER: &str = "auth.example.com";
const MCP_SERVER: &str = "mcp.example.com";

/// Who vouches for a server, and for which name.
struct Certified<'a> {
    by: &'a Authority,
    name: &'a str,
}

/// Envoy by the sample, with its two servers behind TLS.
struct World {
    envoy: Envoy,
    authorization_server: Peer,
    mcp_server: Peer,
    fronts: [Front; 2],
}

impl World {
    /// `trusted` is the authority that the sample's clusters are given.
    fn start(trusted: &Authority, authorization: &Certified<'_>, mcp: &Certified<'_>) -> Self {
        let authorization_server = Peer::start("authorization-server");
        let mcp_server = Peer::start("mcp-server");
        let sample = sample();
        let configuration = configuration(&sample);
        let resource = configuration["servers"]["tools"]["resource"].clone();
        authorization_server.script(move |_| {
            Act::Answer(active(json!({
                "active": true, "aud": resource, "scope": "mcp:call", "client_id": "c", "sub": "s",
                "exp": now() + 600.0,
            })))
        });
        let fronts = [
            Front::start(authorization, authorization_server.address()),
            Front::start(mcp, mcp_server.address()),
        ];
        let mut setup = Setup::new().route(pieces::route("/", "mcp-server"));
        setup.environment = ENVIRONMENT
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, front) in ["authorization-server", "mcp-server"].iter().zip(&fronts) {
            setup = setup.cluster(cluster(&sample, name, trusted, front));
        }
        let filter = pieces::guard(module::path(), &configuration, &setup.environment);
        Self {
            envoy: setup.filter(filter).start(),
            authorization_server,
            mcp_server,
            fronts,
        }
    }

    /// A call with the token.
    fn call(&self) -> Response {
        let request = post("/mcp").header("Authorization", format!("Bearer {TOKEN}"));
        client::send(self.envoy.address(), Protocol::Http1, &request).expect("a response")
    }

    /// Asserts that this call was answered 503 because nobody could be asked,
    /// and that no byte came through to either server.
    fn refuses_to_ask(&self) {
        let response = self.call();
        let error = response.error();
        assert_eq!((response.status, &*error), (503, "temporarily_unavailable"));
        assert!(response.header("www-authenticate").is_none());
        assert!(self.fronts[0].hello() > 0, "Envoy did not even try");
        assert_eq!(self.authorization_server.record().bytes, b"");
        assert_eq!(self.mcp_server.record().bytes, b"");
    }

    /// Asserts that the token was asked about, and that the request got no
    /// further.
    fn refuses_to_forward(&self) {
        let response = self.call();
        assert_eq!(response.status, 503);
        assert_eq!(self.authorization_server.count(), 1);
        assert!(self.fronts[1].hello() > 0, "Envoy did not even try");
        assert_eq!(self.mcp_server.record().bytes, b"");
    }
}

#[test]
fn servers_that_prove_their_names_are_used() {
    let authority = Authority::new();
    let by = &authority;
    let world = World::start(
        by,
        &Certified {
            by,
            name: AUTHORIZATION_SERVER,
        },
        &Certified {
            by,
            name: MCP_SERVER,
        },
    );
    assert_eq!(world.call().status, 200);
    let asked = world.authorization_server.take().messages;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, b"/oauth2/introspect");
    let arrived = world.mcp_server.record();
    let credential = (
        b"authorization".to_vec(),
        b"Bearer kanarie-mcp-server-token".to_vec(),
    );
    assert!(arrived.messages[0].headers.contains(&credential));
    let token = TOKEN.as_bytes();
    assert!(!arrived.bytes.windows(token.len()).any(|part| part == token));
    // Each was asked for by its name.
    let asked_for = world.fronts.each_ref().map(Front::asked_for);
    assert_eq!(asked_for, [AUTHORIZATION_SERVER, MCP_SERVER]);
}

#[test]
fn an_authorization_server_of_another_name_is_not_asked() {
    let authority = Authority::new();
    let by = &authority;
    for name in [MCP_SERVER, "example.com", "auth.example.com.evil.example"] {
        World::start(
            by,
            &Certified { by, name },
            &Certified {
                by,
                name: MCP_SERVER,
            },
        )
        .refuses_to_ask();
    }
}

#[test]
fn an_authorization_server_of_an_unknown_authority_is_not_asked() {
    let (by, other) = (&Authority::new(), &Authority::new());
    World::start(
        by,
        &Certified {
            by: other,
            name: AUTHORIZATION_SERVER,
        },
        &Certified {
            by,
            name: MCP_SERVER,
        },
    )
    .refuses_to_ask();
}

#[test]
fn an_mcp_server_that_does_not_prove_its_name_gets_nothing() {
    let (by, other) = (&Authority::new(), &Authority::new());
    for mcp in [
        Certified {
            by,
            name: AUTHORIZATION_SERVER,
        },
        Certified {
            by: other,
            name: MCP_SERVER,
        },
    ] {
        World::start(
            by,
            &Certified {
                by,
                name: AUTHORIZATION_SERVER,
            },
            &mcp,
        )
        .refuses_to_forward();
    }
}

/// `envoy/tls.yaml`.
fn sample() -> Value {
    let path = module::project().join("envoy/tls.yaml");
    let text = fs::read_to_string(path).expect("the sample");
    let value: yaml_serde::Value = yaml_serde::from_str(&text).expect("YAML");
    serde_json::to_value(value).expect("JSON")
}

/// The plugin configuration of the sample.
fn configuration(sample: &Value) -> Value {
    let manager = &sample["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    let filter = &manager["typed_config"]["http_filters"][0]["typed_config"]["config"];
    let text = filter["configuration"]["value"].as_str().expect("a text");
    let mut configuration: Value = serde_json::from_str(text).expect("JSON");
    // The machine may have other work; nothing here is about time.
    configuration["authorization_server"]["introspection"]["timeout"] = json!("30s");
    configuration
}

/// A cluster of the sample, at this front, with this authority for the one that
/// the system has.
fn cluster(sample: &Value, name: &str, trusted: &Authority, front: &Front) -> Value {
    let clusters = sample["static_resources"]["clusters"].as_array();
    let mut found = clusters.expect("clusters").iter();
    let mut cluster = found
        .find(|one| one["name"] == name)
        .expect("the cluster")
        .clone();
    let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    *cluster.pointer_mut(endpoint).expect("an address") = json!({
        "address": front.address().ip().to_string(),
        "port_value": front.address().port(),
    });
    cluster["connect_timeout"] = json!("30s");
    let ca = "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca";
    *cluster.pointer_mut(ca).expect("an authority") = json!({"inline_string": trusted.pem()});
    cluster
}
