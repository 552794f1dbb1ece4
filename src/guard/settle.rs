//! What an introspection answer means for those who wait for it.

use std::rc::Rc;

use super::{About, Ask, Guard, Refused, Step, Verdict};
use crate::audit::Source;
use crate::cache::Kept;
use crate::denial::Denial;
use crate::digest::TokenDigest;
use crate::flight::{CallId, Flight};
use crate::introspection::{Cause, Claims, Introspection, Reply, Undetermined};
use crate::stream::{Closing, Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

/// A request that can be decided now.
#[derive(Debug)]
pub(super) enum Ready {
    /// Its token has been asked about.
    Answered(Answered),
    /// Its head has been held back in vain.
    Head(StreamId),
}

/// A request whose token has been asked about.
#[derive(Debug)]
pub(super) struct Answered {
    stream: StreamId,
    result: Result<Rc<Claims>, Denial>,
    source: Source,
    introspection_ms: u64,
}

impl Guard {
    /// The host has taken the call of an [`Ask`].
    pub fn asked(&mut self, ask: &Ask, call: CallId, now: Now) {
        let timeout = ask.callout.timeout.as_millis();
        let until = now
            .steady_ms
            .saturating_add(timeout.try_into().unwrap_or(u64::MAX));
        match ask.about {
            About::Token(digest) => self.flights.asked(&digest, call, until),
            About::Credential(key) => self.fetches.asked(&key, call, now.steady_ms, until),
        }
    }

    /// The host has not taken the call of an [`Ask`]: everybody who waits for
    /// it is ready to be settled.
    pub fn not_sent(&mut self, ask: &Ask, now: Now) {
        match ask.about {
            About::Token(digest) => {
                if let Some(flight) = self.flights.end(&digest) {
                    self.land(digest, flight, &Reply::NotSent, now);
                }
            }
            About::Credential(key) => self.fetched(key, &Reply::NotSent, now),
        }
    }

    /// An answer has come. Who waited for it is ready to be settled.
    pub fn answered(&mut self, call: CallId, reply: &Reply<'_>, now: Now) {
        // An answer to a call that nobody waits for any more changes nothing.
        if let Some((digest, flight)) = self.flights.answered(call) {
            self.land(digest, flight, reply, now);
        } else if let Some(key) = self.fetches.of_call(call) {
            self.fetched(key, reply, now);
        }
    }

    pub(super) fn land(
        &mut self,
        digest: TokenDigest,
        flight: Flight,
        reply: &Reply<'_>,
        now: Now,
    ) {
        let identity = &self.config.identity_headers;
        let answer = Introspection::read(reply, identity, flight.token.expose());
        let Some(flight) = self.authenticated(digest, flight, &answer) else {
            return;
        };
        let introspection_ms = now.steady_ms.saturating_sub(flight.asked.steady_ms);
        self.tally.introspection_ms.push(introspection_ms);
        self.tally.count(Count::Introspection(match &answer {
            Ok(Introspection::Active(_)) => "active",
            Ok(Introspection::Inactive) => "inactive",
            Err(undetermined) => undetermined.cause.word(),
        }));
        let mut source = None;
        let result = match answer {
            Ok(Introspection::Active(claims)) => {
                let kept = self.cache.keep_active(digest, &claims, now);
                self.count_kept(kept);
                Ok(claims)
            }
            Ok(Introspection::Inactive) => {
                let kept = self.cache.keep_inactive(digest, now);
                self.count_kept(kept);
                let revoked = flight.watching.iter().map(|id| (*id, Closing::Revoked));
                self.closing.extend(revoked);
                Err(Denial::Inactive)
            }
            Err(undetermined) => match stand_in(&flight, undetermined, now) {
                Some(claims) => {
                    let stale = Count::Cache(Source::Stale.word());
                    self.tally.count_times(stale, flight.waiting.len());
                    source = Some(Source::Stale);
                    Ok(claims)
                }
                None => Err(Denial::Undetermined(undetermined)),
            },
        };
        let sources = core::iter::once(Source::Miss).chain(core::iter::repeat(Source::Wait));
        for (stream, own) in flight.waiting.iter().zip(sources) {
            self.ready.push_back(Ready::Answered(Answered {
                stream: *stream,
                result: result.clone(),
                source: source.unwrap_or(own),
                introspection_ms,
            }));
        }
    }

    fn count_kept(&mut self, kept: Kept) {
        let inserted = usize::from(kept.inserted);
        self.tally.count_times(Count::Cache("insert"), inserted);
        self.tally.count_times(Count::Cache("evict"), kept.evicted);
    }

    /// The next request that is ready, and what to do with it. Each is named
    /// once; one that has gone is passed over.
    pub fn settle(&mut self, now: Now) -> Option<(StreamId, Step)> {
        while let Some(ready) = self.ready.pop_front() {
            let (stream, step) = match ready {
                Ready::Answered(answered) => (answered.stream, self.settle_one(answered, now)),
                Ready::Head(stream) => (stream, self.let_go(stream, now)),
            };
            if let Some(step) = step {
                return Some((stream, step));
            }
        }
        self.settle_fetched(now)
    }

    fn settle_one(&mut self, answered: Answered, now: Now) -> Option<Step> {
        let plan = match self.streams.remove(&answered.stream)? {
            Stream::Waiting(plan) => plan,
            other @ (Stream::Ignored | Stream::Open(_) | Stream::Fetching(_)) => {
                self.streams.insert(answered.stream, other);
                return None;
            }
        };
        let step = match answered.result {
            Ok(claims) => {
                let verdict = Verdict {
                    claims,
                    source: answered.source,
                    introspection_ms: Some(answered.introspection_ms),
                    at: now.steady_ms,
                };
                self.admit(answered.stream, verdict, || *plan, now)
            }
            Err(denial) => Err(Box::new(Refused {
                denial,
                server: Some(plan.server),
                origin: plan.origin,
                claims: None,
                digest: Some(plan.digest),
                context: plan.context,
                call: None,
                source: Some(answered.source),
                introspection_ms: Some(answered.introspection_ms),
            })),
        };
        Some(step.unwrap_or_else(|refused| self.deny(&refused)))
    }
}

/// The older answer that may be used while the authorization server is down.
fn stand_in(flight: &Flight, undetermined: Undetermined, now: Now) -> Option<Rc<Claims>> {
    let cause: Cause = undetermined.cause;
    let claims = flight.stale.as_ref().filter(|_| cause.is_outage())?;
    let live = claims.expires.is_none_or(|exp| now.unix_seconds() < exp);
    live.then(|| Rc::clone(claims))
}
