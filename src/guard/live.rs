//! Requests that have gone on: body, trailers, answer, and their end in time.

use core::time::Duration;
use std::rc::Rc;

use super::{Ask, Audit, Guard, Refused, TASKS};
use crate::audit::{Context, Record};
use crate::config::{AuditLog, CachePolicy, Role};
use crate::credential::Held;
use crate::denial::Denial;
use crate::fields::Field;
use crate::flight::Waiter;
use crate::introspection::{Claims, Reply, Trace};
use crate::leak::Place;
use crate::passage::{Plan, Trailers};
use crate::reply::LocalReply;
use crate::response::{self, Edit};
use crate::stream::{Caller, Closing, Kind, Open, Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

/// What to do with the trailers of a request.
#[derive(Debug)]
#[must_use]
pub enum TrailersStep {
    /// Remove these, and let the rest go on.
    Continue(Vec<String>),
    /// Remove these, and hold the rest back with the request.
    Hold(Vec<String>),
    /// Answer the request so, which ends it at the upstream.
    Reply(LocalReply, Audit),
    /// The answer has begun: end the request.
    Reset(Audit),
}

/// What to do with an answer.
#[derive(Debug)]
#[must_use]
pub enum Answer {
    /// Change its head so, and let it go on.
    Pass(Vec<Edit>),
    /// Answer so instead.
    Replace(LocalReply, Audit),
}

/// Something for the root context to do.
#[derive(Debug)]
pub enum Task {
    /// Make this call.
    Ask(Ask),
    /// End this request: its token is no longer good.
    Close(StreamId, Audit),
}

/// When the root context has to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Now and then, while something could end.
    Later,
    /// There is nothing that time could change.
    Never,
    /// As soon as can be: somebody is ready.
    Soon,
}

impl Wake {
    /// The period of ticks; zero is none.
    #[must_use]
    pub fn period(self) -> Duration {
        match self {
            Self::Later => Duration::from_millis(500),
            Self::Never => Duration::ZERO,
            Self::Soon => Duration::from_millis(1),
        }
    }
}

impl Guard {
    /// Whether the body of a request may go on. `end` says that no more comes,
    /// trailers neither.
    #[must_use]
    pub fn body(&mut self, id: StreamId, end: bool) -> bool {
        match self.streams.get_mut(&id) {
            Some(Stream::Ignored) => true,
            Some(Stream::Open(open)) => {
                if end && open.recheck_at.is_none() {
                    open.token = None;
                }
                true
            }
            Some(Stream::Waiting(_) | Stream::Fetching(_)) | None => false,
        }
    }

    /// The trailers of a request have come.
    pub fn trailers(&mut self, id: StreamId, fields: &[Field]) -> TrailersStep {
        let config = Rc::clone(&self.config);
        let (server, token) = match self.streams.get(&id) {
            Some(Stream::Ignored) => return TrailersStep::Continue(Vec::new()),
            // Envoy loses the body that is held back behind a head that was held
            // back, when trailers let it go.
            Some(Stream::Open(open)) if open.call.is_some() => {
                return self.refuse_trailers(id, Denial::MalformedBody);
            }
            Some(Stream::Open(open)) => (open.server, open.token.as_ref()),
            Some(Stream::Waiting(plan)) => (plan.server, Some(&plan.token)),
            Some(Stream::Fetching(fetching)) => (fetching.server(), fetching.token()),
            None => return TrailersStep::Hold(Vec::new()),
        };
        let trailers = match config.servers.server(server) {
            Some(server) => Trailers::of(fields, server, token),
            None => Trailers::Leak,
        };
        match (self.streams.get_mut(&id), trailers) {
            (Some(Stream::Waiting(_) | Stream::Fetching(_)) | None, Trailers::Strip(names)) => {
                TrailersStep::Hold(names)
            }
            (_, Trailers::Strip(names)) => TrailersStep::Continue(names),
            (Some(Stream::Waiting(plan)), Trailers::Leak) => {
                plan.leak = Some(Place::Trailer);
                TrailersStep::Hold(fields.iter().map(|(name, _)| name.clone()).collect())
            }
            (Some(Stream::Fetching(fetching)), Trailers::Leak) => {
                fetching.leaks();
                TrailersStep::Hold(fields.iter().map(|(name, _)| name.clone()).collect())
            }
            (_, Trailers::Leak) => self.refuse_trailers(id, Denial::Leak(Place::Trailer)),
        }
    }

    fn refuse_trailers(&mut self, id: StreamId, denial: Denial) -> TrailersStep {
        let (responding, refused) = match self.streams.remove(&id) {
            Some(Stream::Open(open)) => (open.responding, Refused::late(denial, *open)),
            Some(Stream::Ignored | Stream::Waiting(_) | Stream::Fetching(_)) | None => {
                (true, Refused::unknown(Denial::Internal))
            }
        };
        let (reply, audit) = self.refuse(&refused);
        if responding {
            TrailersStep::Reset(audit)
        } else {
            TrailersStep::Reply(reply, audit)
        }
    }

    /// Whether the head of an answer has to be looked at. It has not where the
    /// guard itself answers, and at an injector only if it has gone with a
    /// credential that was fetched.
    #[must_use]
    pub fn looks_at_answer(&self, id: StreamId) -> bool {
        match self.streams.get(&id) {
            Some(Stream::Open(open)) => {
                self.config.role != Role::Injector || open.credential.is_some()
            }
            Some(Stream::Ignored) => self.config.role != Role::Injector,
            Some(Stream::Waiting(_) | Stream::Fetching(_)) | None => false,
        }
    }

    /// The head of an answer has come, from this cluster.
    pub fn answer(&mut self, id: StreamId, fields: &[Field], cluster: Option<&str>) -> Answer {
        let config = Rc::clone(&self.config);
        if config.role == Role::Injector {
            return Answer::Pass(self.answer_to_injector(id, fields));
        }
        let edits = match self.streams.get_mut(&id) {
            Some(Stream::Ignored) => match cluster {
                // It was let by as none of ours, and went to one that is.
                Some(cluster) if config.servers.lists(cluster) => Err(Denial::ClusterMismatch),
                Some(_) | None => Ok(Vec::new()),
            },
            Some(Stream::Open(open)) => {
                open.responding = true;
                let gateway = config.role == Role::Gateway;
                let elsewhere = gateway
                    && cluster.is_some_and(|name| !config.servers.belongs(name, open.server));
                match config.servers.server(open.server) {
                    _ if elsewhere => Err(Denial::ClusterMismatch),
                    None => Err(Denial::Internal),
                    Some(server) => response::edits(open, &config, server, &self.sessions, fields),
                }
            }
            Some(Stream::Waiting(_) | Stream::Fetching(_)) | None => Ok(Vec::new()),
        };
        let denial = match edits {
            Ok(edits) => return Answer::Pass(edits),
            Err(denial) => denial,
        };
        let refused = match self.streams.remove(&id) {
            Some(Stream::Open(open)) => Refused::late(denial, *open),
            Some(Stream::Ignored | Stream::Waiting(_) | Stream::Fetching(_)) | None => {
                Refused::unknown(denial)
            }
        };
        let (reply, audit) = self.refuse(&refused);
        Answer::Replace(reply, audit)
    }

    /// A request has ended, in whatever way.
    pub fn gone(&mut self, id: StreamId) {
        match self.streams.remove(&id) {
            Some(Stream::Waiting(plan)) => {
                self.flights.leave(&plan.digest, id);
                self.left(&plan);
            }
            Some(Stream::Fetching(fetching)) => self.fetches.leave(&fetching.key, id),
            Some(Stream::Ignored | Stream::Open(_)) | None => {}
        }
    }

    /// What time has made due. Afterwards [`Guard::settle`] may have more.
    pub fn tick(&mut self, now: Now) -> Vec<Task> {
        self.flights.forget_lost(now);
        for digest in self.flights.overdue(now) {
            if let Some(flight) = self.flights.end(&digest) {
                self.land(digest, flight, &Reply::Broken, now);
            }
        }
        self.recheck(now);
        self.lose_patience(now);
        let bounds = self.bounds();
        let mut tasks: Vec<Task> = self
            .flights
            .unasked(bounds, now)
            .into_iter()
            .take(TASKS)
            .filter_map(|digest| self.ask(digest, now))
            .map(Task::Ask)
            .collect();
        self.fetch_due(&mut tasks, now);
        let due = self.streams.iter().filter_map(|(id, stream)| match stream {
            Stream::Open(open) => open
                .until
                .is_some_and(|until| now.wall_ms >= until)
                .then_some((*id, Closing::Expired)),
            Stream::Ignored | Stream::Waiting(_) | Stream::Fetching(_) => None,
        });
        if self.closing.is_empty() {
            self.closing.extend(due);
        }
        while tasks.len() < TASKS
            && let Some((id, why)) = self.closing.pop()
        {
            // Whatever comes of it, nothing more of it goes on.
            if let Some(stream) = self.streams.remove(&id) {
                tasks.push(Task::Close(id, self.closed(why, &stream)));
            }
        }
        tasks
    }

    /// The record of a stream that is ended.
    fn closed(&mut self, why: Closing, stream: &Stream) -> Audit {
        let config = Rc::clone(&self.config);
        let open = match stream {
            Stream::Open(open) => Some(open),
            Stream::Ignored | Stream::Waiting(_) | Stream::Fetching(_) => None,
        };
        let server = open.map(|open| open.server);
        let caller = open.and_then(|open| open.caller.as_ref());
        self.tally.count(Count::Request(server, why.word()));
        let name = server.and_then(|id| config.servers.server(id));
        let mut audit = self.audit(Record {
            server: name.map(|server| server.name.as_str()),
            outcome: why.word(),
            status: None,
            claims: caller.map(|caller| &*caller.claims),
            digest: caller.map(|caller| &caller.digest),
            context: open.map_or(&Context::default(), |open| &open.context),
            source: None,
            introspection_ms: None,
        });
        if config.audit_log == AuditLog::Refused {
            audit.log = Some(log::Level::Info);
        }
        audit
    }

    /// Begins to ask again about the tokens of live streams that are due.
    fn recheck(&mut self, now: Now) {
        let interval = self.config.cache.recheck_streams;
        if interval.is_zero() {
            return;
        }
        let room = self.flights.room(self.bounds(), now);
        for (id, stream) in &mut self.streams {
            let Stream::Open(open) = stream else { continue };
            let (Some(caller), Some(token)) = (&open.caller, &open.token) else {
                continue;
            };
            if open.recheck_at.is_none_or(|at| now.steady_ms < at) {
                continue;
            }
            if !self.flights.watch(&caller.digest, *id) {
                if room.is_none() {
                    break;
                }
                if !room.has(caller.digest.issuer()) {
                    continue;
                }
                let who = Waiter::Watcher(*id);
                self.flights.begin(
                    caller.digest,
                    token.clone(),
                    Trace::default(),
                    None,
                    who,
                    now,
                );
            }
            open.recheck_at = Some(later(now.steady_ms, interval));
        }
    }

    /// When [`Guard::tick`] has to be called next.
    #[must_use]
    pub fn wake(&self) -> Wake {
        let ready = !self.ready.is_empty() || self.fetches.has_ready();
        let to_ask = self.flights.has_to_ask() || self.fetches.has_to_ask();
        if ready || !self.closing.is_empty() || to_ask {
            Wake::Soon
        } else if self.streams.is_empty() && self.flights.is_idle() && self.fetches.is_idle() {
            Wake::Never
        } else {
            Wake::Later
        }
    }
}

fn later(now_ms: u64, by: Duration) -> u64 {
    now_ms.saturating_add(by.as_millis().try_into().unwrap_or(u64::MAX))
}

impl Open {
    /// With this credential, which was fetched.
    pub(super) fn with(self, credential: Rc<Held>) -> Self {
        Self {
            credential: Some(credential),
            ..self
        }
    }

    /// A request that goes on now, under these rules for its life.
    pub(super) fn new(plan: Plan, claims: Rc<Claims>, policy: &CachePolicy, now: Now) -> Self {
        let grace = match plan.kind {
            Kind::Call => policy.call_grace,
            Kind::Subscription => Duration::ZERO,
        };
        let until = claims.expires.and_then(|exp| {
            let exp = Duration::try_from_secs_f64(exp.clamp(0.0, 1e12)).ok()?;
            exp.saturating_add(grace).as_millis().try_into().ok()
        });
        let recheck = !policy.recheck_streams.is_zero();
        Self {
            server: plan.server,
            origin: plan.origin,
            token: Some(plan.token),
            until,
            recheck_at: recheck.then(|| later(now.steady_ms, policy.recheck_streams)),
            responding: false,
            context: plan.context,
            call: plan.call,
            credential: plan.credential,
            caller: Some(Caller {
                claims,
                digest: plan.digest,
            }),
        }
    }
}
