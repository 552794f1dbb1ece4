//! Sending the requests, and looking at what came of them.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::thread;

use mcp_token_guard_tests::client::{Http1, Http2, Protocol, encode};
use mcp_token_guard_tests::envoy::{Arrangement, Bench, Surroundings, now, pieces};
use mcp_token_guard_tests::peers::{Act, Peer};
use mcp_token_guard_tests::scenario::{
    Answer, ENVIRONMENT, Vars, active, base, default_claims, inactive, status,
};
use serde_json::{Value, json};

use crate::generate::{Case, Kind, case};
use crate::rng::Rng;
use crate::search::{self, asked, received};

/// Connections that are used at a time, for each protocol.
const CONNECTIONS: usize = 4;

/// What is sent.
pub(crate) struct Traffic {
    pub(crate) seed: u64,
    /// Requests for each protocol.
    pub(crate) each: usize,
    /// Whether the guard does all that it can: several authorization servers,
    /// bound tokens, and at one server rules and a token that is exchanged.
    pub(crate) all: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: usize,
    /// Answered by an upstream.
    pub(crate) clean: usize,
    /// Answered 4xx.
    pub(crate) refused: usize,
    pub(crate) problems: Vec<String>,
    kinds: HashMap<Kind, (usize, usize)>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            clean,
            refused,
            ..
        } = self;
        write!(
            f,
            "{sent} sent, {clean} arrived, {refused} refused; tried and arrived:"
        )?;
        let mut kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|(kind, n)| format!(" {kind:?} {n:?}"))
            .collect();
        kinds.sort();
        write!(f, "{}", kinds.concat())
    }
}

impl Outcome {
    /// Requests with a token in such a place.
    pub(crate) fn tried(&self, kind: Kind) -> usize {
        self.kinds.get(&kind).map_or(0, |(tried, _)| *tried)
    }

    /// Those of them that an upstream answered.
    pub(crate) fn arrived(&self, kind: Kind) -> usize {
        self.kinds.get(&kind).map_or(0, |(_, arrived)| *arrived)
    }

    fn add(&mut self, case: &Case, status: Result<u16, String>) {
        self.sent += 1;
        let clean = status == Ok(200);
        match status {
            Ok(200) => self.clean += 1,
            Ok(400..=499) => self.refused += 1,
            other => self.problems.push(format!("{other:?} to {}", case.shown())),
        }
        for kind in &case.kinds {
            let (tried, arrived) = self.kinds.entry(*kind).or_default();
            *tried += 1;
            *arrived += usize::from(clean);
        }
    }

    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.clean += other.clean;
        self.refused += other.refused;
        self.problems.extend(other.problems);
        for (kind, (tried, arrived)) in other.kinds {
            let all = self.kinds.entry(kind).or_default();
            all.0 += tried;
            all.1 += arrived;
        }
    }
}

impl Case {
    /// What goes over the wire in HTTP/1.1.
    fn bytes(&self) -> Vec<u8> {
        let bytes = encode(&self.request);
        let Some(extension) = &self.extension else {
            return bytes;
        };
        let head = memchr::memmem::find(&bytes, b"\r\n\r\n").expect("a head") + 4;
        let size = memchr::memmem::find(&bytes[head..], b"\r\n").expect("a chunk") + head;
        [&bytes[..size], extension.as_bytes(), &bytes[size..]].concat()
    }

    fn shown(&self) -> String {
        self.bytes().escape_ascii().to_string()
    }
}

/// Sends it all, with the shipped module or this one, and searches.
pub(crate) fn run(arrangement: Arrangement, module: Option<&Path>, traffic: &Traffic) -> Outcome {
    // What is exchanged is for the token endpoint, and is not searched there.
    let tokens = traffic.all.then(token_endpoint);
    let bench = start(arrangement, module, tokens.as_ref());
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, protocol) in [Protocol::Http1, Protocol::Http2].into_iter().enumerate() {
            for connection in 0..CONNECTIONS {
                let bench = &bench;
                let place = number * CONNECTIONS + connection;
                let rng = Rng(traffic.seed ^ ((place as u64) << 48));
                let numbers = (place..).step_by(2 * CONNECTIONS);
                let count = traffic.each.div_ceil(CONNECTIONS);
                let each = move || send_all(bench, protocol, rng, numbers.take(count));
                threads.push(scope.spawn(each));
            }
        }
        for thread in threads {
            outcome.merge(thread.join().expect("a client"));
        }
    });
    // The shadows are on their own: wait for as many as there were requests.
    let clean = outcome.clean;
    bench
        .upstream(pieces::BARE)
        .wait("the shadows", |seen| seen.complete + seen.broken >= clean);
    for cluster in [pieces::BARE, "alpha", "beta", "gamma-1", "shared", "zeta"] {
        let active = format!("cluster.{cluster}.upstream_rq_active");
        bench.envoy.wait_stat(&active, |active| active == 0);
    }
    outcome.problems.extend(found(&bench, arrangement));
    if let Some(tokens) = tokens {
        let called = tokens.take().messages.len();
        assert!(called > 0, "no token was exchanged");
    }
    outcome
}

/// Everything that is where it should not be.
fn found(bench: &Bench, arrangement: Arrangement) -> Vec<String> {
    let mut found = Vec::new();
    for peer in &bench.upstreams {
        let all = received(&peer.record());
        found.extend(search::tokens(peer.name(), &all));
        let shadow = [pieces::BARE, "zeta"].contains(&peer.name());
        if peer.name() != "alpha" && !shadow {
            found.extend(search::secret(peer.name(), &all, FETCHED));
        }
        for (name, value) in ENVIRONMENT {
            let own = match *name {
                "ALPHA_TOKEN" => peer.name() == "alpha",
                "BETA_KEY" => peer.name() == "beta",
                "TEAM_A_TOKEN" | "TEAM_B_TOKEN" => peer.name() == "shared",
                _ => false,
            };
            // The other arrangements cannot keep it from shadows.
            if !own && (arrangement == Arrangement::Strict || !shadow) {
                found.extend(search::secret(peer.name(), &all, value));
            }
        }
    }
    let asked = asked(&bench.authorization_server.record());
    found.extend(search::tokens("the authorization server", &asked));
    let log = bench.envoy.log();
    assert!(log.contains("\"outcome\":\"leak_blocked\""), "no audit log");
    assert!(log.contains("access {\"server\""), "no access log");
    let mut places = vec![("log", log)];
    for path in [
        "/stats",
        "/stats/prometheus",
        "/config_dump?include_eds",
        "/clusters",
    ] {
        places.push((path, bench.envoy.admin(path).expect("the admin interface")));
    }
    for (place, text) in &places {
        found.extend(search::tokens(place, text.as_bytes()));
        found.extend(search::secret(place, text.as_bytes(), FETCHED));
        for (_, value) in ENVIRONMENT {
            found.extend(search::secret(place, text.as_bytes(), value));
        }
    }
    found
}

fn send_all(
    bench: &Bench,
    protocol: Protocol,
    mut rng: Rng,
    numbers: impl Iterator<Item = usize>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut client = Client::Closed;
    for number in numbers {
        let case = case(&mut rng, number, protocol);
        let status = client.exchange(bench, protocol, &case);
        outcome.add(&case, status);
    }
    outcome
}

/// A connection that is opened again whenever Envoy has closed it.
enum Client {
    Closed,
    Http1(Http1),
    Http2(Http2),
}

impl Client {
    fn exchange(&mut self, bench: &Bench, protocol: Protocol, case: &Case) -> Result<u16, String> {
        let mut last = String::new();
        // Envoy may close a kept connection at any time: once more on a new one.
        for _ in 0..2 {
            if matches!(self, Self::Closed) {
                let to = bench.envoy.address();
                *self = match protocol {
                    Protocol::Http1 => Self::Http1(Http1::connect(to).expect("a connection")),
                    Protocol::Http2 => Self::Http2(Http2::connect(to).expect("a connection")),
                };
            }
            let answer = match self {
                Self::Http1(client) => client
                    .write(&case.bytes())
                    .and_then(|()| client.response(false)),
                Self::Http2(client) => client.exchange(&case.request),
                Self::Closed => unreachable!("it has just been opened"),
            };
            let kept = answer.as_ref().is_ok_and(|answer| {
                answer.whole && answer.header("connection").is_none_or(|c| c != b"close")
            });
            if !kept {
                *self = Self::Closed;
            }
            match answer {
                Ok(answer) => return Ok(answer.status),
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }
}

/// Envoy, with a shadow of every request at a cluster without an injector and
/// at one that is no server's.
fn start(arrangement: Arrangement, module: Option<&Path>, tokens: Option<&Peer>) -> Bench {
    let mut surroundings = Surroundings::new();
    let bare = Peer::start(pieces::BARE);
    let cluster = pieces::cluster(pieces::BARE, bare.address(), Protocol::Http1);
    surroundings.setup.clusters.push(cluster);
    surroundings.upstreams.push(bare);
    for route in &mut surroundings.setup.routes {
        if route["route"].is_object() {
            let shadows = [pieces::BARE, "zeta"].map(|name| json!({"cluster": name}));
            route["route"]["request_mirror_policies"] = shadows.into();
        }
    }
    surroundings.setup.component_log_levels = Some("wasm:trace");
    surroundings.setup.patches.push(with_access_log);
    let mut configuration = base();
    configuration["audit_log"] = "all".into();
    if let Some(tokens) = tokens {
        let near = pieces::cluster(TOKENS, tokens.address(), Protocol::Http1);
        surroundings.setup.clusters.push(near);
        switch_on(&mut configuration);
    }
    let bench = match module {
        None if tokens.is_some() => {
            surroundings.start_with(&configuration, pieces::stopping_iteration)
        }
        None => surroundings.start_as(arrangement, &configuration),
        Some(module) => surroundings.start_with(&configuration, |mut filter| {
            let vm = &mut filter["typed_config"]["config"]["vm_config"];
            vm["code"]["local"]["filename"] = json!(module);
            filter
        }),
    };
    let mut claims = default_claims(b"/github/mcp");
    claims["aud"] = ["github/mcp", "linear/mcp", "plain/mcp", "shared/a"]
        .map(|path| format!("https://gateway.example.com/{path}"))
        .into();
    let good = Vars::default().answer(&active(claims), now());
    bench.authorization_server.script(move |message| {
        // Some are not good, for the other half of the code.
        let bad = message
            .body
            .iter()
            .map(|byte| usize::from(*byte))
            .sum::<usize>()
            % 23
            == 0;
        Act::Answer(if bad { inactive() } else { good.clone() })
    });
    bench
}

/// The credential that is fetched.
const FETCHED: &str = "kanarie-by-exchange-credential";

const TOKENS: &str = "tokens";

/// Exchanges any token for the credential.
fn token_endpoint() -> Peer {
    let mut peer = Peer::start(TOKENS);
    peer.answer(Answer::Reply(status(200).json(json!({
        "access_token": FETCHED,
        "token_type": "Bearer",
        "expires_in": 300,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }))));
    peer
}

/// Everything that the configuration can switch on besides.
fn switch_on(configuration: &mut Value) {
    let members = configuration.as_object_mut().expect("an object");
    let one = members.remove("authorization_server").expect("the one");
    let mut other = one.clone();
    other["issuer"] = "https://other.example".into();
    other["token_prefix"] = "other-".into();
    configuration["authorization_servers"] = json!({"one": one, "other": other});
    configuration["session_key"] = "${env:BETA_KEY}".into();
    let servers = configuration["servers"].as_object_mut().expect("servers");
    for server in servers.values_mut() {
        server["authorization_servers"] = json!(["one", "other"]);
        server["certificate_bound_tokens"] = true.into();
    }
    let github = &mut configuration["servers"]["github"];
    github["default_headers"] = json!({});
    github["rules"] = json!([{"methods": ["tools/call"], "required_scopes": []}]);
    github["credential"] = json!({
        "grant": "token_exchange",
        "url": "http://127.0.0.1/token",
        "cluster": TOKENS,
        "client_id": "guard",
        "client_secret": "${env:BETA_KEY}",
    });
}

/// The audit trail, as the samples write it.
fn with_access_log(bootstrap: &mut Value) {
    let manager =
        &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    manager["typed_config"]["access_log"] = json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string":
                "access %FILTER_STATE(wasm.mcp_token_guard:PLAIN)% %FILTER_STATE(wasm.mcp_token_guard_injector:PLAIN)% %RESPONSE_CODE%\n",
            }},
        },
    }]);
}
