//! Envoy with the guard, where the clients' URL says.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mcp_token_guard_tests::client::{self, Protocol, Response};
use mcp_token_guard_tests::demo::mcp_server;
use mcp_token_guard_tests::demo::recording::{Recording, Request, find};
use mcp_token_guard_tests::envoy::pieces::{PLUGIN, cluster, guard, route, stopping_iteration};
use mcp_token_guard_tests::envoy::{Envoy, Setup};
use mcp_token_guard_tests::module;
use mcp_token_guard_tests::peers::runtime;
use mcp_token_guard_tests::scenario::{ENVIRONMENT, INTROSPECTION_CLUSTER, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::authority::{Authority, free};

/// How long an answer is held.
pub const TTL: Duration = Duration::from_secs(1);

/// Longer than any wait for something to have its effect.
const PATIENCE: Duration = Duration::from_secs(15);

/// The static credential, as the MCP server gets it.
const CREDENTIAL: &str = "Bearer kanarie-alpha-credential";

/// Envoy with the guard, before a real MCP server whose bytes are kept.
pub struct Gateway {
    /// Envoy.
    envoy: Envoy,
    /// The URL that is all a client knows.
    pub url: String,
    /// What the MCP server was sent.
    recording: Recording,
    /// The MCP server.
    server: JoinHandle<()>,
}

impl Gateway {
    /// Starts it in front of an MCP server, behind an authorization server.
    pub fn start(authority: &Authority) -> Self {
        Self::start_with(authority, |_| ())
    }

    /// The same with a change to the configuration.
    pub fn start_with(authority: &Authority, change: impl FnOnce(&mut Value)) -> Self {
        Self::start_through(authority.address, authority, change)
    }

    /// The same, with the authorization server asked at this address.
    pub fn start_through(
        address: SocketAddr,
        authority: &Authority,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let recording = Recording::default();
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let upstream = listener.local_addr().expect("its address");
        let listener = recording.over(listener);
        let server = runtime().spawn(async {
            axum::serve(listener, mcp_server::router())
                .await
                .expect("to serve");
        });
        let url = format!("http://{}/mcp", free());
        let mut configuration = json!({
            "authorization_server": authority.configuration(),
            "cache": {"ttl": "1s", "negative_ttl": "0s"},
            "servers": {"tools": {
                "resource": url,
                "required_scopes": ["mcp:read"],
                "default_headers": {"Authorization": "Bearer ${env:ALPHA_TOKEN}"},
            }},
            "identity_headers": {"x-mcp-subject": "sub"},
        });
        change(&mut configuration);
        let known: Vec<_> = ENVIRONMENT
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut filter = guard(module::path(), &configuration, &known);
        if configuration["servers"]["tools"]["rules"].is_array() {
            filter = stopping_iteration(filter);
        }
        let envoy = Setup::new()
            .filter(filter)
            .cluster(cluster(INTROSPECTION_CLUSTER, address, Protocol::Http1))
            .cluster(cluster("tools", upstream, Protocol::Http1))
            .route(route("/", "tools"))
            .patch(listen_where_the_resource_is)
            .start();
        Self {
            envoy,
            url,
            recording,
            server,
        }
    }

    /// What a ping with this token comes back as: the status, and `error`.
    pub fn ping(&self, token: &str) -> (u16, String) {
        let response = self.send(token);
        (response.status, response.error())
    }

    /// Sends a ping with this token.
    pub fn send(&self, token: &str) -> Response {
        let ping = post("/mcp")
            .to(&self.envoy.address().to_string())
            .header("Authorization", format!("Bearer {token}"))
            .header("MCP-Protocol-Version", "2025-11-25");
        client::send(self.envoy.address(), Protocol::Http1, &ping).expect("an answer")
    }

    /// Asserts that this token leads to the MCP server: it got the request with
    /// the static credential once, and no trace of the token.
    pub fn admits(&self, token: &str) {
        let before = self.requests().len();
        let response = self.send(token);
        let said = String::from_utf8_lossy(&response.body);
        let refused = [401, 403, 404, 500, 502, 503].contains(&response.status);
        assert!(!refused, "{}: {said}", response.status);
        assert_eq!(self.requests().len(), before + 1, "the MCP server got it");
        self.carries_only_the_credential(token);
    }

    /// Asserts that this token leads nowhere, with this answer.
    pub fn refuses(&self, token: &str, status: u16, error: &str) {
        let before = self.requests().len();
        assert_eq!(self.ping(token), (status, error.to_owned()));
        assert_eq!(self.requests().len(), before, "the MCP server got it");
    }

    /// Waits until this token is refused.
    pub fn comes_to_refuse(&self, token: &str, within: Duration) {
        let end = Instant::now() + within + PATIENCE;
        while self.ping(token) != (401, "invalid_token".to_owned()) {
            assert!(Instant::now() < end, "it is still accepted");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.refuses(token, 401, "invalid_token");
    }

    /// Asserts that each request at the MCP server had the static credential
    /// once, and that the token is nowhere in its bytes.
    pub fn carries_only_the_credential(&self, token: &str) {
        let requests = self.requests();
        assert!(!requests.is_empty(), "nothing has arrived");
        for request in &requests {
            let values: Vec<_> = request.values("authorization").collect();
            assert_eq!(values, [CREDENTIAL.as_bytes()]);
        }
        for bytes in self.recording.connections() {
            assert!(
                find(&bytes, token.as_bytes()).is_none(),
                "the token got through"
            );
        }
    }

    /// What has arrived at the MCP server.
    pub fn requests(&self) -> Vec<Request> {
        self.recording.requests()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Lets Envoy listen at the port of the resource, which clients are told, and
/// not at any that is free.
pub fn listen_where_the_resource_is(bootstrap: &mut Value) {
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    let filters = &listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"];
    let filters = filters.as_array().expect("filters");
    let filter = filters.iter().find(|filter| filter["name"] == PLUGIN);
    let filter = filter.expect("the guard");
    let configuration = &filter["typed_config"]["config"]["configuration"]["value"];
    let configuration: Value =
        serde_json::from_str(configuration.as_str().expect("text")).expect("JSON");
    let resource = configuration["servers"]["tools"]["resource"].as_str();
    let url = url::Url::parse(resource.expect("a resource")).expect("a URL");
    listener["address"]["socket_address"]["port_value"] = url.port().expect("a port").into();
}
