//! What the contexts of one generation share: events in, steps carried out.
//!
//! Nothing is decided here. Where the host fails, or something is not as it
//! should be, the request is answered with 500 and nothing of it goes on.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;

use proxy_wasm::types::{Action, MapType};

use crate::config::Config;
use crate::fields::Field;
use crate::flight::CallId;
use crate::guard::{Answer, Arrival, Ask, Audit, BodyStep, Guard, Step, Task, TrailersStep};
use crate::host::{self, Clock, HostError};
use crate::introspection::Reply;
use crate::metrics::Metrics;
use crate::passage::Forward;
use crate::reply::LocalReply;
use crate::stream::StreamId;
use crate::time::Now;

/// Requests that are settled in one callback of the host: each settlement is
/// run inside the one before, and a few hundred overflow the VM's stack.
const SETTLED_AT_ONCE: usize = 64;

/// Bytes of a body that are taken out of the host at once.
const PIECE: usize = 64 << 10;

/// Filter state of the audit record, and of the mark.
const AUDIT: &str = "mcp_token_guard";
const INJECTOR_AUDIT: &str = "mcp_token_guard_injector";
const MARK: &str = "mcp_token_guard_server";

/// What the contexts of one generation share.
pub(crate) struct Worker {
    guard: RefCell<Guard>,
    metrics: RefCell<Metrics>,
    config: Rc<Config>,
    clock: Clock,
    ticking: Cell<Duration>,
}

impl Worker {
    /// A fresh one, under this configuration.
    pub(crate) fn new(config: Config) -> Self {
        let guard = Guard::new(config);
        let config = Rc::clone(guard.config());
        Self {
            guard: RefCell::new(guard),
            metrics: RefCell::new(Metrics::watched(&config)),
            config,
            clock: Clock::start(),
            ticking: Cell::new(Duration::ZERO),
        }
    }

    /// Tells the guard something. It is not held while the host is called.
    pub(crate) fn tell<T>(&self, event: impl FnOnce(&mut Guard) -> T) -> Result<T, HostError> {
        let mut guard = self.guard.try_borrow_mut().map_err(|_| HostError)?;
        Ok(event(&mut guard))
    }

    fn now(&self) -> Result<Now, HostError> {
        self.clock.now()
    }

    /// A request's head has come.
    pub(crate) fn request(&self, id: u32, end: bool) -> Result<Action, HostError> {
        let fields = host::fields(MapType::HttpRequestHeaders)?;
        let cluster = host::cluster_name()?;
        let stream = StreamId(id);
        let (is_injector, fetches) =
            self.tell(|guard| (guard.is_injector(), guard.fetches_credentials()))?;
        let step = if is_injector {
            let mark = host::filter_state(MARK)?;
            let now = if fetches { Some(self.now()?) } else { None };
            let (cluster, mark) = (cluster.as_deref(), mark.as_deref());
            self.tell(|guard| guard.inject(stream, &fields, cluster, mark, now))?
        } else {
            let now = self.now()?;
            let cluster = cluster.as_deref();
            let certificate = if self.tell(|guard| guard.wants_certificate(&fields, cluster))? {
                host::peer_certificate()?
            } else {
                None
            };
            let arrival = Arrival {
                fields: &fields,
                cluster,
                certificate: certificate.as_deref(),
                ends: end,
            };
            self.tell(|guard| guard.arrived(stream, &arrival, now))?
        };
        match step {
            Step::Ask(ask) => {
                let now = self.now()?;
                self.ask(&ask, now)?;
                self.settle(SETTLED_AT_ONCE, now)?;
                Ok(Action::Pause)
            }
            Step::Forward(forward, audit) => {
                self.apply(&forward, &audit)?;
                Ok(Action::Continue)
            }
            Step::Ignore => Ok(Action::Continue),
            Step::Reply(reply, audit) => {
                self.reply(&reply, &audit)?;
                Ok(Action::Pause)
            }
            Step::Wait => Ok(Action::Pause),
        }
    }

    /// Makes a call. Where the host does not take it, those who wait for it
    /// are settled next.
    fn ask(&self, ask: &Ask, now: Now) -> Result<(), HostError> {
        match host::dispatch(&ask.callout) {
            Ok(call) => self.tell(|guard| guard.asked(ask, CallId(call), now)),
            Err(HostError) => self.tell(|guard| guard.not_sent(ask, now)),
        }
    }

    /// An answer has come, to whichever context.
    pub(crate) fn answered(
        &self,
        call: u32,
        num_headers: usize,
        body_size: usize,
    ) -> Result<(), HostError> {
        let now = self.now()?;
        let (fields, body);
        let reply = if num_headers == 0 {
            Reply::Broken
        } else if body_size > self.config.longest_answer() {
            Reply::TooLarge
        } else {
            fields = host::fields(MapType::HttpCallResponseHeaders)?;
            body = if body_size == 0 {
                Vec::new()
            } else {
                host::call_body(body_size)?
            };
            whole(&fields, &body)
        };
        self.tell(|guard| guard.answered(CallId(call), &reply, now))?;
        self.settle(SETTLED_AT_ONCE, now)
    }

    /// Settles requests that are ready, as many as one callback may.
    fn settle(&self, at_most: usize, now: Now) -> Result<(), HostError> {
        for _ in 0..at_most {
            let Some((stream, step)) = self.tell(|guard| guard.settle(now))? else {
                break;
            };
            // A context that is not there any more has nothing to settle.
            if host::act_for(stream.0).is_ok() && self.finish(step).is_err() {
                self.fail(stream.0);
            }
        }
        Ok(())
    }

    /// What was held back goes on or is answered.
    fn finish(&self, step: Step) -> Result<(), HostError> {
        match step {
            Step::Forward(forward, audit) => {
                self.apply(&forward, &audit)?;
                host::resume()
            }
            Step::Reply(reply, audit) => self.reply(&reply, &audit),
            // Until its body has come, or the credential of its server.
            Step::Wait => Ok(()),
            Step::Ask(_) | Step::Ignore => Err(HostError),
        }
    }

    /// Strips and injects.
    fn apply(&self, forward: &Forward, audit: &Audit) -> Result<(), HostError> {
        for (name, value) in forward.changes() {
            host::set_field(MapType::HttpRequestHeaders, name, value)?;
        }
        if let Some(mark) = forward.mark() {
            host::set_filter_state(MARK, mark.as_bytes())?;
        }
        self.report(audit, Decision::Forward)
    }

    fn reply(&self, reply: &LocalReply, audit: &Audit) -> Result<(), HostError> {
        self.report(audit, Decision::Reply)?;
        host::reply(reply)
    }

    /// Leaves the audit record where the access log finds it.
    fn report(&self, audit: &Audit, decision: Decision) -> Result<(), HostError> {
        if let Some(level) = audit.log {
            log::log!(level, "audit {}", audit.json);
        }
        match (self.tell(|guard| guard.is_injector())?, decision) {
            // The verifier's record says it all.
            (true, Decision::Forward) => Ok(()),
            (true, Decision::Reply) => {
                host::set_filter_state(INJECTOR_AUDIT, audit.json.as_bytes())
            }
            (false, _) => host::set_filter_state(AUDIT, audit.json.as_bytes()),
        }
    }

    /// Something unforeseen: nothing of the request goes on.
    pub(crate) fn fail(&self, id: u32) {
        let _ = self.tell(|guard| guard.gone(StreamId(id)));
        let failed = self.tell(Guard::internal_error);
        let replied = failed.and_then(|(reply, audit)| {
            host::act_for(id)?;
            // The host has failed already: it is answered, recorded or not.
            let _ = self.report(&audit, Decision::Reply);
            host::reply(&reply)
        });
        if replied.is_err() {
            log::error!("a request could not be answered and is held back for good");
        }
    }

    /// The trailers of a request have come.
    pub(crate) fn trailers(&self, id: u32) -> Result<Action, HostError> {
        let fields = host::fields(MapType::HttpRequestTrailers)?;
        let (names, action) = match self.tell(|guard| guard.trailers(StreamId(id), &fields))? {
            TrailersStep::Continue(names) => (names, Action::Continue),
            TrailersStep::Hold(names) => (names, Action::Pause),
            TrailersStep::Reply(reply, audit) => {
                self.reply(&reply, &audit)?;
                return Ok(Action::Pause);
            }
            TrailersStep::Reset(audit) => {
                self.report(&audit, Decision::Reply)?;
                host::reset()?;
                return Ok(Action::Pause);
            }
        };
        for name in names {
            host::set_field(MapType::HttpRequestTrailers, &name, None)?;
        }
        let stream = StreamId(id);
        if self.tell(|guard| guard.reads(stream))?.is_none() {
            return Ok(action);
        }
        // Trailers end the body.
        let now = self.now()?;
        let step = self.tell(|guard| guard.read(stream, b"", true, now))?;
        self.go_on(step)
    }

    /// So much of the body of a request has come, of which what is before `from`
    /// has been read.
    pub(crate) fn body(
        &self,
        id: u32,
        from: usize,
        size: usize,
        end: bool,
    ) -> Result<Action, HostError> {
        let now = self.now()?;
        let mut left = size.checked_sub(from).ok_or(HostError)?;
        let mut from = from;
        loop {
            let length = left.min(PIECE);
            let bytes = match length {
                0 => Vec::new(),
                _ => host::request_body(from, length)?,
            };
            from = from.saturating_add(length);
            left = left.saturating_sub(length);
            let end = end && left == 0;
            let step = self.tell(|guard| guard.read(StreamId(id), &bytes, end, now))?;
            if left == 0 || !matches!(step, BodyStep::Wait) {
                return self.go_on(step);
            }
        }
    }

    /// Does what a body has decided.
    fn go_on(&self, step: BodyStep) -> Result<Action, HostError> {
        match step {
            BodyStep::Continue => Ok(Action::Continue),
            BodyStep::Wait => Ok(Action::Pause),
            BodyStep::Forward(forward, audit) => {
                self.apply(&forward, &audit)?;
                Ok(Action::Continue)
            }
            BodyStep::Pass(audit) => {
                self.report(&audit, Decision::Forward)?;
                Ok(Action::Continue)
            }
            BodyStep::Reply(reply, audit) => {
                self.reply(&reply, &audit)?;
                Ok(Action::Pause)
            }
            BodyStep::Reset(audit) => {
                self.report(&audit, Decision::Reply)?;
                host::reset()?;
                Ok(Action::Pause)
            }
        }
    }

    /// The head of an answer has come.
    pub(crate) fn answer(&self, id: u32) -> Result<Action, HostError> {
        let stream = StreamId(id);
        if !self.tell(|guard| guard.looks_at_answer(stream))? {
            return Ok(Action::Continue);
        }
        let fields = host::fields(MapType::HttpResponseHeaders)?;
        let cluster = host::cluster_name()?;
        match self.tell(|guard| guard.answer(stream, &fields, cluster.as_deref()))? {
            Answer::Pass(edits) => {
                for (name, value) in edits {
                    host::set_field(MapType::HttpResponseHeaders, &name, value.as_deref())?;
                }
                Ok(Action::Continue)
            }
            Answer::Replace(reply, audit) => {
                self.reply(&reply, &audit)?;
                Ok(Action::Pause)
            }
        }
    }

    /// The root context is woken.
    pub(crate) fn tick(&self) -> Result<(), HostError> {
        let now = self.now()?;
        let mut left = SETTLED_AT_ONCE;
        for task in self.tell(|guard| guard.tick(now))? {
            match task {
                Task::Ask(ask) => self.ask(&ask, now)?,
                Task::Close(stream, audit) => {
                    left = left.saturating_sub(1);
                    if host::act_for(stream.0).is_ok() {
                        // It is closed, recorded or not.
                        let _ = self.report(&audit, Decision::Reply);
                        host::reset()?;
                    }
                }
            }
        }
        self.settle(left, now)
    }

    /// Counts what has happened, and has itself woken in time.
    pub(crate) fn close(&self, when: When) {
        if let (Ok(mut guard), Ok(mut metrics)) =
            (self.guard.try_borrow_mut(), self.metrics.try_borrow_mut())
        {
            for notice in guard.tally().notices.drain(..) {
                log::warn!("{notice}");
            }
            metrics.flush(guard.tally(), &self.config);
        }
        let Ok(period) = self.tell(|guard| guard.wake().period()) else {
            return;
        };
        let ticking = self.ticking.get();
        // Outside of a tick the period is only ever made shorter.
        let sooner = !period.is_zero() && (ticking.is_zero() || period < ticking);
        if period != ticking
            && (sooner || when == When::Tick)
            && host::set_tick_period(period).is_ok()
        {
            self.ticking.set(period);
        }
    }
}

#[derive(Clone, Copy)]
enum Decision {
    Forward,
    Reply,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Callback,
    Tick,
}

/// The parts of an answer that are looked at.
fn whole<'a>(fields: &'a [Field], body: &'a [u8]) -> Reply<'a> {
    let find = |wanted: &str| {
        let field = fields.iter().find(|(name, _)| name == wanted);
        field.map(|(_, value)| value.as_slice())
    };
    let status = find(":status")
        .and_then(|status| core::str::from_utf8(status).ok())
        .and_then(|status| status.parse().ok());
    Reply::Whole {
        status: status.unwrap_or_default(),
        content_type: find("content-type"),
        retry_after: find("retry-after"),
        body,
    }
}
