//! Rules and a fetched credential at one server, in real Envoy: a request waits
//! for its token, its body and its credential, whichever comes last.

use std::sync::mpsc;
use std::thread;

use mcp_token_guard_tests::client::{Protocol, Response};
use mcp_token_guard_tests::envoy::pieces::{BARE, cluster, stopping_iteration};
use mcp_token_guard_tests::envoy::{Bench, Surroundings};
use mcp_token_guard_tests::peers::{Act, Peer};
use mcp_token_guard_tests::scenario::{
    Answer, Request, Vars, active, base, default_claims, post, status,
};
use serde_json::{Value, json};

const FETCHED: &str = "Bearer kanarie-fetched-for-the-call";

/// Envoy and its peers, with a token endpoint.
struct World {
    bench: Bench,
    tokens: Peer,
    /// Whether heads are held back until the body has come.
    holding: bool,
}

impl World {
    fn start(grant: &str, holding: bool) -> Self {
        let mut tokens = Peer::start(BARE);
        tokens.answer(Answer::Reply(status(200).json(json!({
            "access_token": FETCHED.strip_prefix("Bearer "),
            "token_type": "Bearer",
            "expires_in": 300,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }))));
        let mut surroundings = Surroundings::new();
        let near = cluster(BARE, tokens.address(), Protocol::Http1);
        surroundings.setup.clusters.push(near);
        let change: fn(Value) -> Value = if holding {
            stopping_iteration
        } else {
            |guard| guard
        };
        let mut bench = surroundings.start_with(&configuration(grant), change);
        let mut claims = default_claims(b"/github/mcp");
        claims["scope"] = "mcp:read tools:call".into();
        bench.answer(&Vars::default(), &active(claims));
        Self {
            bench,
            tokens,
            holding,
        }
    }

    /// How often the token endpoint was called.
    fn calls(&self) -> usize {
        self.tokens.take().messages.len()
    }

    fn send(&self, client: &str, tool: &str) -> Response {
        self.bench.send(Protocol::Http1, &call(client, tool))
    }

    /// It goes on with the credential, and its body as it is.
    fn passes(&self, client: &str) {
        let response = self.send(client, "echo");
        assert_eq!(response.status, 200, "{}", response.error());
        let arrived = self.bench.arrived();
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].body, call(client, "echo").body);
        let set: Vec<_> = arrived[0]
            .headers
            .iter()
            .filter(|(name, _)| name == b"authorization")
            .map(|(_, value)| value.as_slice())
            .collect();
        assert_eq!(set, [FETCHED.as_bytes()]);
    }

    /// It is refused with this, and nothing of its body has left.
    fn refuses(&self, client: &str, tool: &str, with: u16) {
        assert_eq!(self.send(client, tool).status, with);
        let arrived = self.bench.arrived();
        assert!(arrived.iter().all(|one| one.body.is_empty()));
        assert!(!self.holding || arrived.is_empty());
    }
}

fn configuration(grant: &str) -> Value {
    let mut configuration = base();
    let github = &mut configuration["servers"]["github"];
    github["default_headers"] = json!({});
    github["credential"] = json!({
        "grant": grant,
        "url": "http://127.0.0.1/token",
        "cluster": BARE,
        "client_id": "guard",
        "client_secret": "${env:BETA_KEY}",
        "timeout": "20s",
    });
    github["rules"] = json!([
        {"methods": ["tools/call"], "names": ["shell"], "deny": true},
        {"methods": ["tools/call"], "required_scopes": ["tools:call"]},
    ]);
    configuration
}

fn call(client: &str, tool: &str) -> Request {
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
    post("/github/mcp")
        .header("Authorization", format!("Bearer kanarie-together-{client}"))
        .body(message.to_string())
}

/// All of them.
fn everywhere(run: impl Fn(&mut World, &str)) {
    for grant in ["client_credentials", "token_exchange"] {
        for holding in [true, false] {
            run(&mut World::start(grant, holding), grant);
        }
    }
}

#[test]
fn a_call_that_its_rule_allows_goes_on_with_the_credential() {
    everywhere(|world, grant| {
        world.passes("first");
        world.passes("first");
        assert_eq!(world.calls(), 1);
        world.passes("second");
        assert_eq!(world.calls(), usize::from(grant == "token_exchange"));
    });
}

#[test]
fn nothing_is_fetched_for_a_call_that_is_refused() {
    everywhere(|world, _| {
        if world.holding {
            // Envoy has shown that it gives bodies out before their heads.
            world.passes("first");
            world.calls();
        }
        world.refuses("other", "shell", 403);
        assert!(!world.holding || world.calls() == 0);
        world.passes("other");
    });
}

#[test]
fn without_its_credential_nothing_of_a_call_goes_on() {
    everywhere(|world, _| {
        world.tokens.answer(Answer::Reply(status(500)));
        world.refuses("failure", "echo", 503);
    });
}

#[test]
fn a_body_that_has_come_waits_for_the_credential() {
    everywhere(|world, _| {
        let (asked, called) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(gone);
        world.tokens.script(move |_| {
            let _ = asked.send(());
            let _ = gone.lock().map(|gone| gone.recv());
            Act::Answer(Answer::Reply(status(200).json(json!({
                "access_token": FETCHED.strip_prefix("Bearer "),
                "token_type": "Bearer",
                "expires_in": 300,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            }))))
        });
        thread::scope(|scope| {
            let world = &*world;
            scope.spawn(|| world.passes("waiting"));
            called.recv().expect("a call of the token endpoint");
            assert_eq!(world.bench.arrived().len(), 0);
            go.send(()).expect("an endpoint that waits");
        });
    });
}
