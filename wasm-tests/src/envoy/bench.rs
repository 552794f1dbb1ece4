//! Envoy with the guard between a client, the upstreams of the scenarios and
//! their authorization server.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::pieces::{cluster, direct, guard, moved, route};
use super::sent::Sent;
use super::{Envoy, Setup};
use crate::client::{self, Over, Protocol, Response};
use crate::module;
use crate::peers::Peer;
use crate::scenario::{
    Answer, INTROSPECTION_CLUSTER, Message, Observed, ROUTES, Request, Scenario, To, Upstream,
    Vars, active, default_claims, percent_decoded,
};

/// Envoy with the guard, and everyone around it.
#[derive(Debug)]
pub struct Bench {
    /// Envoy. First, so that it ends before the peers that it talks to.
    pub envoy: Envoy,
    /// The authorization server.
    pub authorization_server: Peer,
    /// The upstreams, one for each cluster of [`ROUTES`]. `beta` is reached by
    /// HTTP/2, all others by HTTP/1.1.
    pub upstreams: Vec<Peer>,
    /// Whether the head of a request that was refused may still be on its way
    /// to an upstream.
    pub late: bool,
    /// The tokens that no upstream may get; none where there is no guard, or
    /// where it leaves other clusters alone.
    pub sent: Option<Sent>,
}

/// The peers of the scenarios, and an Envoy set up to reach them.
#[derive(Debug)]
pub struct Surroundings {
    /// Clusters and routes; the guard is still to come, behind the filters that
    /// are there already.
    pub setup: Setup,
    /// Filters behind the guard.
    pub behind: Vec<Value>,
    /// See [`Bench::authorization_server`].
    pub authorization_server: Peer,
    /// See [`Bench::upstreams`].
    pub upstreams: Vec<Peer>,
}

impl Surroundings {
    /// Starts the peers.
    pub fn new() -> Self {
        let authorization_server = Peer::start(INTROSPECTION_CLUSTER);
        let mut upstreams: Vec<Peer> = Vec::new();
        let mut setup = Setup::new();
        let address = authorization_server.address();
        setup
            .clusters
            .push(cluster(INTROSPECTION_CLUSTER, address, Protocol::Http1));
        for entry in ROUTES {
            setup.routes.push(match entry.to {
                To::Cluster(name) => route(entry.prefix, name),
                To::Direct => direct(entry.prefix),
                To::Redirect => moved(entry.prefix),
            });
            if let To::Cluster(name) = entry.to
                && !upstreams.iter().any(|peer| peer.name() == name)
            {
                let peer = Peer::start(name);
                let protocol = if name == "beta" {
                    Protocol::Http2
                } else {
                    Protocol::Http1
                };
                setup.clusters.push(cluster(name, peer.address(), protocol));
                upstreams.push(peer);
            }
        }
        Self {
            setup,
            behind: Vec::new(),
            authorization_server,
            upstreams,
        }
    }

    /// Starts Envoy with the guard under this configuration.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(self, configuration: &Value) -> Bench {
        self.start_with(configuration, |filter| filter)
    }

    /// As [`Surroundings::start`], with a change to the guard's filter.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start_with(
        mut self,
        configuration: &Value,
        change: impl FnOnce(Value) -> Value,
    ) -> Bench {
        let filter = guard(module::path(), configuration, &self.setup.environment);
        self.setup.filters.push(change(filter));
        self.setup.filters.append(&mut self.behind);
        Bench {
            envoy: self.setup.start(),
            authorization_server: self.authorization_server,
            upstreams: self.upstreams,
            late: false,
            sent: (configuration["unlisted_clusters"] != "ignore").then(Sent::default),
        }
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// Envoy with the guard under this configuration, and the peers.
    ///
    /// # Panics
    /// When Envoy does not come up.
    pub fn start(configuration: &Value) -> Self {
        Surroundings::new().start(configuration)
    }

    /// The upstream that stands for a cluster.
    ///
    /// # Panics
    /// When there is none.
    pub fn upstream(&self, cluster: &str) -> &Peer {
        let found = self.upstreams.iter().find(|peer| peer.name() == cluster);
        found.unwrap_or_else(|| panic!("no upstream stands for {cluster}"))
    }

    /// Lets the authorization server answer this, made for the present.
    pub fn answer(&mut self, vars: &Vars, answer: &Answer) {
        self.authorization_server.answer(vars.answer(answer, now()));
    }

    /// Lets the authorization server find every token good for the server that
    /// `path` leads to.
    pub fn admit(&mut self, path: &str) {
        self.answer(&Vars::default(), &active(default_claims(path.as_bytes())));
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Panics
    /// When there is no response.
    pub fn send(&self, protocol: Protocol, request: &Request) -> Response {
        self.send_over(Over::Tcp, protocol, request)
    }

    /// As [`Bench::send`], over TCP or TLS.
    ///
    /// # Panics
    /// When there is no response.
    pub fn send_over(&self, over: Over<'_>, protocol: Protocol, request: &Request) -> Response {
        if let Some(sent) = &self.sent {
            sent.note(request);
        }
        let sent = client::send_over(self.envoy.address(), over, protocol, request);
        sent.unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Every request that has arrived at any upstream, which are then forgotten.
    ///
    /// # Panics
    /// When a token that [`Bench::send`] has sent is in what has arrived.
    pub fn arrived(&self) -> Vec<Message> {
        self.search();
        self.upstreams
            .iter()
            .flat_map(|peer| peer.take().messages)
            .collect()
    }

    /// Searches what the upstreams have got and not given away for the tokens
    /// that were sent.
    fn search(&self) {
        let found = |sent: &Sent| self.upstreams.iter().find_map(|peer| sent.found(peer));
        if let Some(leak) = self.sent.as_ref().and_then(found) {
            panic!("{leak}");
        }
    }

    /// Runs a scenario. Returns what broke its rule.
    pub fn run(&mut self, scenario: &Scenario, protocol: Protocol) -> Vec<String> {
        self.run_over(scenario, Over::Tcp, protocol)
    }

    /// As [`Bench::run`], over TCP or TLS.
    pub fn run_over(
        &mut self,
        scenario: &Scenario,
        over: Over<'_>,
        protocol: Protocol,
    ) -> Vec<String> {
        let run = match (over, protocol) {
            (Over::Tcp, Protocol::Http1) => '1',
            (Over::Tcp, Protocol::Http2) => '2',
            (Over::Tls(_) | Over::Mutual(..), Protocol::Http1) => '3',
            (Over::Tls(_) | Over::Mutual(..), Protocol::Http2) => '4',
        };
        let mut vars = scenario.vars_of_run(run);
        let mut found = Vec::new();
        for (number, step) in scenario.steps.iter().enumerate() {
            let complaint = |text: String| format!("step {}: {text}", number + 1);
            // Time is part of the rule here: there is no event to wait for.
            sleep(step.after);
            self.answer(&vars, &step.introspection);
            for upstream in &mut self.upstreams {
                upstream.answer(Answer::Reply(vars.reply(&step.upstream, now())));
            }
            for message in self.arrived() {
                let text = String::from_utf8_lossy(&message.bytes()).into_owned();
                if !self.late || has_token(&message) {
                    found.push(complaint(format!("before it, late at an upstream: {text}")));
                }
            }
            let late = self.late;
            self.late = matches!(step.expect.upstream, Upstream::NoToken);
            self.authorization_server.take();
            let mut request = vars.request(&step.request);
            let mark = format!("{} {run} {number}", scenario.name);
            if late {
                request = request.header(AFTER, &*mark);
            }
            let sent = client::send_over(self.envoy.address(), over, protocol, &request);
            let seen = match sent {
                Ok(response) => {
                    let mut seen = self.observed(response);
                    if late {
                        seen.upstream
                            .retain(|one| has_token(one) || has_mark(one, &mark));
                    }
                    seen
                }
                Err(error) => {
                    found.push(complaint(format!("no response: {error}")));
                    continue;
                }
            };
            found.extend(step.complaints(&vars, &seen).into_iter().map(complaint));
            step.keep(&mut vars, &seen);
        }
        found
    }

    /// What everyone has seen, the client this response.
    fn observed(&self, response: Response) -> Observed {
        let mut seen = Observed {
            status: response.status,
            headers: response.headers,
            body: response.body,
            introspections: self.authorization_server.take().messages,
            ..Observed::default()
        };
        for upstream in &self.upstreams {
            let record = upstream.take();
            seen.upstream.extend(record.messages);
            seen.upstream_bytes.extend(record.bytes);
        }
        seen
    }
}

/// A test that does not ask what has arrived is searched at its end.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.search();
        }
    }
}

/// Marks the request after one whose head may still be on its way to an
/// upstream: that may get there first.
const AFTER: &str = "x-after-a-refusal";

fn has_mark(message: &Message, mark: &str) -> bool {
    let mut fields = message.headers.iter();
    fields.any(|(name, value)| name == AFTER.as_bytes() && value == mark.as_bytes())
}

/// Whether a message has the token of any scenario in it.
fn has_token(message: &Message) -> bool {
    let bytes = message.bytes();
    [percent_decoded(&bytes), bytes].iter().any(|bytes| {
        ["kanarie-T-", "kanarie-U-"]
            .iter()
            .any(|token| memchr::memmem::find(bytes, token.as_bytes()).is_some())
    })
}

/// Seconds since 1970.
pub fn now() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs_f64()
}
