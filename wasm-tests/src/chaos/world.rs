//! Envoy with the guard between clients, an authorization server and an
//! upstream that misbehave as told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use load::response;
use memchr::memmem::find;
use serde_json::{Value, json};

use super::wild::{Asked, Move, Wild};
use crate::client::Protocol;
use crate::envoy::pieces::{cluster, guard, route};
use crate::envoy::{Envoy, Setup, now};
use crate::module;
use crate::scenario::{INTROSPECTION_CLUSTER, Request, base, default_claims, post};

/// How every token here begins. No upstream may see it.
pub(super) const CANARY: &str = "kanarie-chaos-";

/// How long the guard waits for an answer, in [`configuration`].
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a stream may be idle, in [`setup`].
pub(super) const IDLE: Duration = Duration::from_secs(3);

/// What a machine with other work may add to any time.
pub(super) const SLACK: Duration = Duration::from_secs(4);

/// The parts. Envoy comes first: it ends before those that it talks to.
#[derive(Debug)]
pub(super) struct World {
    /// Envoy.
    pub(super) envoy: Envoy,
    /// The authorization server.
    pub(super) authorization_server: Wild,
    /// The upstream.
    pub(super) upstream: Wild,
    /// How often an upstream saw a client's token.
    pub(super) leaks: Arc<AtomicUsize>,
}

/// The base configuration, whose cache outlives every part.
pub(super) fn configuration() -> Value {
    let mut configuration = base();
    configuration["authorization_server"]["introspection"]["timeout"] = "2s".into();
    configuration["cache"] = json!({"ttl": "600s", "negative_ttl": "5m"});
    configuration["audit_log"] = "off".into();
    configuration
}

/// An Envoy in which `/github` leads to this upstream, without the guard.
pub(super) fn setup(authorization_server: &Wild, upstream: &Wild) -> Setup {
    let mut setup = Setup::new();
    setup.stream_idle_timeout = "3s";
    let mut route = route("/github", "alpha");
    route["route"]["idle_timeout"] = "3s".into();
    setup
        .route(route)
        .cluster(cluster(
            INTROSPECTION_CLUSTER,
            authorization_server.address(),
            Protocol::Http1,
        ))
        .cluster(cluster("alpha", upstream.address(), Protocol::Http1))
}

impl World {
    /// Starts all of it. `answers` says what the authorization server does when
    /// it is asked about a token, `serves` what the upstream does with a path.
    ///
    /// # Errors
    /// When Envoy does not start.
    pub(super) fn start(
        configuration: &Value,
        answers: impl Fn(&str) -> Vec<Move> + Send + Sync + 'static,
        serves: impl Fn(&str, &Asked) -> Vec<Move> + Send + Sync + 'static,
        change: impl FnOnce(&mut Setup, &mut Value),
    ) -> Result<Self, String> {
        let authorization_server = authorization_server(answers);
        let leaks = Arc::new(AtomicUsize::new(0));
        let upstream = upstream(&leaks, serves);
        let mut setup = setup(&authorization_server, &upstream);
        let mut filter = guard(module::path(), configuration, &setup.environment);
        change(&mut setup, &mut filter);
        Ok(Self {
            envoy: setup
                .filter(filter)
                .try_start()
                .map_err(|not| not.to_string())?,
            authorization_server,
            upstream,
            leaks,
        })
    }

    /// How often the guard has counted this outcome for the first server.
    pub(super) fn counted(&self, outcome: &str) -> u64 {
        let name = format!("wasmcustom.mcp_token_guard_requests.server.github.outcome.{outcome}");
        self.envoy.stat(&name)
    }

    /// How often an upstream saw a client's token.
    pub(super) fn leaks(&self) -> usize {
        self.leaks.load(Ordering::SeqCst)
    }

    /// Waits until Envoy has nothing under way any more.
    ///
    /// # Errors
    /// With what is left.
    pub(super) fn come_to_rest(&self) -> Result<(), String> {
        let names = [
            "http.guarded.downstream_rq_active",
            "cluster.alpha.upstream_rq_active",
            "cluster.authorization-server.upstream_rq_active",
        ];
        let end = std::time::Instant::now() + TIMEOUT + IDLE + SLACK;
        loop {
            let left: Vec<_> = names
                .iter()
                .map(|name| (name, self.envoy.stat(name)))
                .filter(|(_, active)| *active > 0)
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if std::time::Instant::now() > end {
                return Err(format!("still under way: {left:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// An authorization server that answers by token.
pub(super) fn authorization_server(
    answers: impl Fn(&str) -> Vec<Move> + Send + Sync + 'static,
) -> Wild {
    Wild::start(move |asked| {
        let form = String::from_utf8_lossy(&asked.content);
        let token = form.split('&').find_map(|pair| pair.strip_prefix("token="));
        answers(token.unwrap_or_default())
    })
}

/// An upstream that answers by path, and notices tokens of clients.
pub(super) fn upstream(
    leaks: &Arc<AtomicUsize>,
    serves: impl Fn(&str, &Asked) -> Vec<Move> + Send + Sync + 'static,
) -> Wild {
    let leaks = Arc::clone(leaks);
    Wild::start(move |asked| {
        let has = |bytes: &[u8]| find(bytes, CANARY.as_bytes()).is_some();
        if has(&asked.head) || has(&asked.content) {
            leaks.fetch_add(1, Ordering::SeqCst);
        }
        let head = String::from_utf8_lossy(&asked.head);
        serves(head.split(' ').nth(1).unwrap_or_default(), asked)
    })
}

/// A request with a token, to this path below the server's.
pub(super) fn with(token: &str, path: &str) -> Request {
    post(&format!("/github/mcp/{path}")).header("Authorization", format!("Bearer {CANARY}{token}"))
}

/// A JSON response.
pub(super) fn json_response(status: &str, content: &Value) -> Vec<u8> {
    let content = content.to_string();
    response(
        status,
        &["content-type: application/json"],
        content.as_bytes(),
    )
}

/// The answer by which a token is good, as JSON.
pub(super) fn good_claims() -> Value {
    let mut claims = default_claims(b"/github/mcp");
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds since 1970 are whole and small"
    )]
    let expiry = now() as i64 + 600;
    claims["exp"] = expiry.into();
    claims
}

/// The answer by which a token is good.
pub(super) fn good() -> Vec<u8> {
    json_response("200 OK", &good_claims())
}

/// The answer by which a token is good for nothing.
pub(super) fn inactive() -> Vec<u8> {
    json_response("200 OK", &json!({"active": false}))
}

/// What an upstream in order says: what it was asked for, so that an answer
/// which went to somebody else shows.
pub(super) fn echo(path: &str, asked: &Asked) -> Vec<Move> {
    let injected = find(
        &asked.head,
        b"\r\nauthorization: Bearer kanarie-alpha-credential\r\n",
    );
    let status = if injected.is_some() {
        "200 OK"
    } else {
        "418 Without The Credential"
    };
    vec![Move::Send(response(status, &[], path.as_bytes()))]
}
