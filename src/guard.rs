//! The machine: what happens to each request, from what is told to it.
//!
//! A [`Guard`] holds one generation of the configuration and all that one
//! worker knows under it. It is told of requests, answers and the time, and
//! says what to do; it does nothing itself.

mod authenticate;
mod calls;
mod certificates;
mod fetch;
mod heads;
mod inject;
mod issuers;
mod live;
mod refused;
mod renew;
mod settle;
mod step;

use core::ops::ControlFlow;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::access::{Refusal, Verified};
use crate::audit::{Context, Record, Source};
use crate::bearer::{BearerToken, NoToken};
use crate::cache::{Cache, Known};
use crate::certificate::Thumbprint;
use crate::config::{AuditLog, Config, Role, Server, Unlisted};
use crate::credential::Fetches;
use crate::denial::Denial;
use crate::digest::TokenDigest;
use crate::fields::Field;
use crate::flight::Flights;
use crate::hash::Map;
use crate::head::{Head, Method};
use crate::introspection::Claims;
use crate::origin::{self, Origin};
use crate::passage::Plan;
use crate::reply::LocalReply;
use crate::servers::{Found, ServerId};
use crate::session::Sessions;
use crate::stream::{Closing, Open, Stream, StreamId};
use crate::tally::{Count, Tally};
use crate::time::Now;

use fetch::Judged;
use refused::Refused;

#[cfg(target_family = "wasm")]
pub(crate) use authenticate::SECRET_REFUSED;
pub use calls::BodyStep;
pub(crate) use fetch::Fetching;
pub(crate) use heads::Held;
pub use live::{Answer, Task, TrailersStep, Wake};
use step::About;
pub(crate) use step::Verdict;
pub use step::{Arrival, Ask, Audit, Step};

/// One worker's state under one configuration.
#[derive(Debug)]
pub struct Guard {
    config: Rc<Config>,
    issuers: Vec<issuers::Issuer>,
    /// Whether any server lets tokens in that are bound to a certificate.
    binds: bool,
    sessions: Sessions,
    cache: Cache,
    flights: Flights,
    /// Upstream credentials that are fetched.
    fetches: Fetches,
    streams: Map<StreamId, Stream>,
    /// Requests whose answer has come, in the order in which they are settled.
    ready: VecDeque<settle::Ready>,
    /// Live streams whose token is no longer good.
    closing: Vec<(StreamId, Closing)>,
    tally: Tally,
    /// Whether any server has rules.
    has_rules: bool,
    bodies: heads::Bodies,
    /// Requests with a good token whose body is still to come.
    held: usize,
}

/// Tasks of one tick: each can run callbacks inside one another in the host.
const TASKS: usize = 64;

/// Streams that one worker remembers at most.
const MAX_STREAMS: usize = 1 << 18;

impl Guard {
    /// A fresh one: nothing of an older configuration is known to it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let has_rules = config.servers.iter().any(|server| server.rules.is_some());
        Self {
            issuers: issuers::all(&config),
            binds: certificates::any(&config),
            sessions: Sessions::new(&config.session_keys),
            cache: Cache::new(&config.cache, &config.limits),
            flights: Flights::default(),
            fetches: Fetches::new(&config),
            streams: Map::default(),
            ready: VecDeque::new(),
            closing: Vec::new(),
            tally: Tally::default(),
            has_rules,
            bodies: heads::Bodies::default(),
            held: 0,
            config: Rc::new(config),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Rc<Config> {
        &self.config
    }

    /// The head of a request has come, for this cluster of Envoy's, from a client
    /// without a certificate.
    pub fn request(
        &mut self,
        id: StreamId,
        fields: &[Field],
        cluster: Option<&str>,
        now: Now,
    ) -> Step {
        let arrival = Arrival {
            fields,
            cluster,
            certificate: None,
            ends: false,
        };
        self.arrived(id, &arrival, now)
    }

    /// The head of a request has come.
    pub fn arrived(&mut self, id: StreamId, arrival: &Arrival<'_>, now: Now) -> Step {
        let head = Head::read(arrival.fields);
        match self.decide(id, &head, arrival, now) {
            Ok(step) => step,
            Err(refused) => self.deny(&refused),
        }
    }

    /// The decisions that need no call, in the order of the contract's table.
    fn decide(
        &mut self,
        id: StreamId,
        head: &Head<'_>,
        arrival: &Arrival<'_>,
        now: Now,
    ) -> Result<Step, Box<Refused>> {
        let config = Rc::clone(&self.config);
        let cluster = arrival.cluster;
        let foreign = || config.lets_alone(cluster);
        if let Some(reply) = config.documents.answer(head, foreign) {
            return Ok(self.serve("metadata", reply, None, head));
        }
        let origin = Origin::of(head, &config, None);
        let refuse = |denial| Box::new(Refused::early(denial, None, origin.allowed(), head));
        let (server_id, server) = match cluster.map(|name| config.servers.find(name, head.path)) {
            None | Some(Found::Unlisted) if config.unlisted_clusters == Unlisted::Ignore => {
                return Ok(self.ignore(id));
            }
            None => return Err(refuse(Denial::NoRoute)),
            Some(Found::Unlisted) => return Err(refuse(Denial::UnlistedCluster)),
            Some(Found::UnknownPath) => return Err(refuse(Denial::UnknownPath)),
            Some(Found::Server(id, server)) => (id, server),
        };
        let origin = Origin::of(head, &config, Some(server));
        let early = |denial| Refused::early(denial, Some(server_id), origin.allowed(), head);
        let refuse = |denial| Box::new(early(denial));
        if head.is_oauth_well_known() {
            return Err(refuse(Denial::WellKnown));
        }
        match origin {
            Origin::Refused => return Err(refuse(Denial::OriginRefused)),
            Origin::Allowed(page) if head.is_preflight() => {
                let reply = origin::preflight(head, page);
                return Ok(self.serve("preflight", reply, Some(server_id), head));
            }
            Origin::Absent | Origin::Allowed(_) => {}
        }
        if head.method == Method::Tunnel {
            return Err(refuse(Denial::MethodRefused));
        }
        let token = match BearerToken::read(head.authorization) {
            Err(NoToken::Several) => return Err(refuse(Denial::SeveralCredentials)),
            Err(NoToken::Absent) => return Err(refuse(Denial::NoToken)),
            Ok(_) | Err(NoToken::Malformed) if head.has_query_token() || head.is_form() => {
                return Err(refuse(Denial::TokenTwice));
            }
            Err(NoToken::Malformed) => return Err(refuse(Denial::MalformedToken)),
            Ok(token) => token.expose(),
        };
        if self.streams.len() >= MAX_STREAMS {
            return Err(refuse(Denial::Overloaded));
        }
        let call = calls::begin(server, head, arrival.ends, config.limits.body).map_err(refuse)?;
        let digest = self
            .digest(server, token)
            .map_err(|(denial, digest)| Box::new(early(denial).with(digest)))?;
        let refuse = |denial| Box::new(early(denial).known(digest, Source::Hit));
        if self.fetches.holds(&digest) {
            return Err(refuse(Denial::OwnCredential));
        }
        let plan = || {
            let origin = origin.allowed();
            let mut plan = Plan::new(&config, (server_id, server), head, token, digest, origin);
            plan.call = call;
            plan.certificate = arrival.certificate.and_then(Thumbprint::from_hex);
            plan
        };
        let stale = match self.cache.find(&digest, now) {
            Known::Active(claims) => {
                self.tally.count(Count::Cache(Source::Hit.word()));
                return self.admit(id, Verdict::kept(claims, now), plan, now);
            }
            Known::Inactive => {
                self.tally.count(Count::Cache(Source::Hit.word()));
                return Err(refuse(Denial::Inactive));
            }
            Known::Unknown(stale) => stale,
        };
        if self.is_own(&digest) {
            return Err(refuse(Denial::OwnCredential));
        }
        if !self.flights.may_wait(digest.issuer(), self.bounds()) {
            return Err(refuse(Denial::Overloaded));
        }
        if self.flights.join(&digest, id) {
            self.tally.count(Count::Cache(Source::Wait.word()));
            self.streams.insert(id, Stream::Waiting(Box::new(plan())));
            return Ok(Step::Wait);
        }
        let bounds = self.bounds();
        if !self.flights.may_ask(digest.issuer(), bounds, now) {
            return Err(refuse(Denial::Overloaded));
        }
        let asked = self.ask_for(id, plan(), head.fields, stale, now);
        asked.ok_or_else(|| refuse(Denial::Internal))
    }

    /// An active answer is known: the verdict on this request, now.
    fn admit(
        &mut self,
        id: StreamId,
        verdict: Verdict,
        plan: impl FnOnce() -> Plan,
        now: Now,
    ) -> Result<Step, Box<Refused>> {
        let config = Rc::clone(&self.config);
        let mut plan = plan();
        if plan.call.as_ref().is_some_and(|call| !call.is_done()) {
            return self.hold_for_body(id, verdict, plan, now);
        }
        plan.describe();
        let claims = &verdict.claims;
        let judged = config
            .servers
            .server(plan.server)
            .ok_or(Denial::Internal)
            .and_then(|server| {
                let judged = self.judge(server, &plan.digest, plan.certificate, claims, now)?;
                calls::permit(server, plan.call.as_deref(), claims, judged)
                    .map(|verified| (server, verified))
            })
            .and_then(|(server, verified)| {
                if let Some(key) = self.lacks_credential(id, server, &mut plan, claims, now)? {
                    return Ok(ControlFlow::Break(key));
                }
                let forward = plan.forward(verified, &config, &self.sessions, claims)?;
                Ok(ControlFlow::Continue((server, forward)))
            });
        let (server, forward) = match judged {
            Ok(ControlFlow::Continue(found)) => found,
            Ok(ControlFlow::Break(key)) => {
                return Ok(self.hold_for_credential(id, key, Judged::Here(plan, verdict)));
            }
            Err(denial) => return Err(Box::new(Refused::judged(denial, plan, &verdict))),
        };
        let audit = self.audit(Record {
            server: Some(&server.name),
            outcome: ALLOWED,
            status: None,
            claims: Some(claims),
            digest: Some(&plan.digest),
            context: &plan.context,
            source: Some(verdict.source),
            introspection_ms: verdict.introspection_ms,
        });
        self.tally.count(Count::Request(Some(plan.server), ALLOWED));
        let open = Open::new(plan, verdict.claims, &config.cache, now);
        self.streams.insert(id, Stream::Open(Box::new(open)));
        Ok(Step::Forward(forward, audit))
    }

    /// The verdict on the token of this digest, by what was said of it. It is
    /// that of the authorization server that was asked, so of its issuer:
    /// whatever the token itself says.
    fn judge(
        &self,
        server: &Server,
        digest: &TokenDigest,
        certificate: Option<Thumbprint>,
        claims: &Claims,
        now: Now,
    ) -> Result<Result<Verified, Refusal>, Denial> {
        let asked = self.config.authorization_servers.of(digest);
        let issuer = &asked.ok_or(Denial::Internal)?.issuer;
        let skew = self.config.clock_skew;
        Ok(server
            .requirement
            .judge(claims, certificate, issuer, skew, now))
    }

    /// Remembers a request that is none of ours.
    fn ignore(&mut self, id: StreamId) -> Step {
        self.streams.insert(id, Stream::Ignored);
        Step::Ignore
    }

    /// An answer that is no refusal.
    fn serve(
        &mut self,
        outcome: &'static str,
        reply: LocalReply,
        server: Option<ServerId>,
        head: &Head<'_>,
    ) -> Step {
        let name = server.and_then(|id| self.config.servers.server(id));
        let audit = self.audit(Record {
            server: name.map(|server| server.name.as_str()),
            outcome,
            status: Some(reply.status),
            claims: None,
            digest: None,
            context: &Context::of_stranger(head),
            source: None,
            introspection_ms: None,
        });
        self.tally.count(Count::Request(server, outcome));
        Step::Reply(reply, audit)
    }

    fn deny(&mut self, refused: &Refused) -> Step {
        let (reply, audit) = self.refuse(refused);
        Step::Reply(reply, audit)
    }

    /// The only place where a refusal becomes an answer.
    fn refuse(&mut self, refused: &Refused) -> (LocalReply, Audit) {
        let config = Rc::clone(&self.config);
        let server = refused.server.and_then(|id| config.servers.server(id));
        let challenges = server.map(|server| &server.challenges);
        let mut reply = refused.denial.reply(challenges, refused.origin.as_deref());
        if let (Some(call), Some(server)) = (&refused.call, server) {
            calls::tell(&mut reply, refused.denial, call, server);
        }
        let mut audit = self.audit(Record {
            server: server.map(|server| server.name.as_str()),
            outcome: refused.denial.word(),
            status: Some(reply.status),
            claims: refused.claims.as_deref(),
            digest: refused.digest.as_ref(),
            context: &refused.context,
            source: refused.source,
            introspection_ms: refused.introspection_ms,
        });
        audit.log = match config.audit_log {
            AuditLog::All | AuditLog::Refused => Some(refused.denial.level()),
            // What an operator has to act upon is not to be switched off.
            AuditLog::Off => {
                Some(refused.denial.level()).filter(|level| *level == log::Level::Error)
            }
        };
        let outcome = Count::Request(refused.server, refused.denial.word());
        self.tally.count(outcome);
        if let Denial::Leak(place) = refused.denial {
            self.tally.count(Count::Leak(place.word()));
        }
        (reply, audit)
    }

    fn audit(&self, record: Record<'_>) -> Audit {
        Audit {
            json: record.to_json(Self::asked_of(&self.config, record.digest).as_deref()),
            log: (self.config.audit_log == AuditLog::All).then_some(log::Level::Info),
        }
    }

    /// The answer where the host has failed, or anything else unforeseen.
    #[must_use]
    pub fn internal_error(&mut self) -> (LocalReply, Audit) {
        self.refuse(&Refused::unknown(Denial::Internal))
    }

    /// What has been counted since this was last called.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Whether this instance injects what a verifier has marked.
    #[must_use]
    pub fn is_injector(&self) -> bool {
        self.config.role == Role::Injector
    }
}

/// The word for a request that was let through.
const ALLOWED: &str = "allowed";

#[cfg(test)]
mod tests;
