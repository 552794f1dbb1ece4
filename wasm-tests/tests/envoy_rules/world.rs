//! A server with rules in Envoy, with and without heads held back.

use std::cell::Cell;

use mcp_token_guard_tests::client::{Protocol, Response};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::scenario::{Message, Request, Vars, active, base, default_claims, post};
use serde_json::{Value, json};

/// Bytes of a body that are read.
pub(crate) const MOST: usize = 64 << 10;

pub(crate) fn configuration() -> Value {
    let mut configuration = base();
    configuration["limits"] = json!({"body": "64KiB"});
    configuration["servers"]["github"]["rules"] = json!([
        {"methods": ["tools/call"], "names": ["delete_*"], "required_scopes": ["tools:delete"]},
        {"methods": ["tools/call"], "names": ["shell"], "deny": true},
        {"methods": ["tools/call"], "required_scopes": ["tools:call"]},
        {"methods": ["resources/read"], "names": ["file:///open/*"], "required_scopes": []},
        {"methods": ["*/list"], "required_scopes": []},
    ]);
    configuration
}

/// The bench, and tokens of its own.
pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) tokens: Cell<usize>,
    /// Whether heads are held back until the body has come.
    pub(crate) holding: bool,
}

impl World {
    pub(crate) fn start(holding: bool) -> Self {
        let change = if holding {
            pieces::stopping_iteration
        } else {
            |guard| guard
        };
        Self {
            bench: Surroundings::new().start_with(&configuration(), change),
            tokens: Cell::new(0),
            holding,
        }
    }

    /// A token that has these scopes.
    pub(crate) fn token(&mut self, scope: &str) -> String {
        let mut claims = default_claims(b"/github/mcp");
        claims["scope"] = scope.into();
        self.bench.answer(&Vars::default(), &active(claims));
        self.tokens.set(self.tokens.get() + 1);
        format!("Bearer kanarie-rules-token-{}", self.tokens.get())
    }

    /// What comes of a request whose token has these scopes.
    pub(crate) fn send(&mut self, protocol: Protocol, scope: &str, request: &Request) -> Response {
        let request = request.clone().header("Authorization", self.token(scope));
        self.bench.send(protocol, &request)
    }

    /// It is let through as it is.
    pub(crate) fn passes(&mut self, protocol: Protocol, scope: &str, request: &Request) {
        let response = self.send(protocol, scope, request);
        let body = shown(request);
        assert_eq!(response.status, 200, "{body} {:?}", response.error());
        let mut arrived = self.bench.arrived();
        // The head of a request that was refused may come late.
        if !self.holding {
            arrived.retain(|one| one.body == request.body);
            arrived.truncate(1);
        }
        assert_eq!(arrived.len(), 1, "{body}");
        assert_eq!(arrived[0].body, request.body);
    }

    /// It is refused, and nothing of its body has left.
    pub(crate) fn refuses(
        &mut self,
        protocol: Protocol,
        scope: &str,
        request: &Request,
    ) -> Response {
        let response = self.send(protocol, scope, request);
        let body = shown(request);
        assert!((400..500).contains(&response.status), "{body}");
        self.nothing_left(&body);
        response
    }

    /// No body has left; and where heads are held back, no head.
    pub(crate) fn nothing_left(&self, what: &str) {
        let arrived: Vec<Message> = self.bench.arrived();
        assert!(arrived.iter().all(|one| one.body.is_empty()), "{what}");
        assert!(!self.holding || arrived.is_empty(), "{what}");
    }
}

/// The beginning of its body.
pub(crate) fn shown(request: &Request) -> String {
    let body = &request.body[..request.body.len().min(120)];
    String::from_utf8_lossy(body).into_owned()
}

/// A call by an older revision, told by the body alone.
pub(crate) fn call(method: &str, params: &Value) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    post("/github/mcp").body(message.to_string())
}

pub(crate) fn tool(name: &str) -> Request {
    call(
        "tools/call",
        &json!({"name": name, "arguments": {"name": "inner"}}),
    )
}

/// A call by revision 2026-07-28, with these headers.
pub(crate) fn modern(name: &str, headers: &[(&str, &str)]) -> Request {
    let version = "2026-07-28";
    let meta = json!({"io.modelcontextprotocol/protocolVersion": version});
    let params = json!({"name": name, "_meta": meta});
    let mut request = call("tools/call", &params).header("MCP-Protocol-Version", version);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
}

pub(crate) fn challenge(response: &Response) -> String {
    let challenge = response.header("www-authenticate").unwrap_or_default();
    String::from_utf8_lossy(challenge).into_owned()
}

/// With and without heads held back, over both versions of HTTP.
pub(crate) fn everywhere(run: impl Fn(&mut World, Protocol)) {
    for holding in [true, false] {
        let mut world = World::start(holding);
        for protocol in [Protocol::Http1, Protocol::Http2] {
            run(&mut world, protocol);
        }
    }
}

pub(crate) const ALL: &str = "mcp:read tools:call tools:delete";
