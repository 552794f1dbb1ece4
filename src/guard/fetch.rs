//! Requests to servers whose credential is fetched.
//!
//! A request is judged first, and waits then if the credential is not held. It
//! is judged again when it goes on: meanwhile its token may have expired, or the
//! answer about it grown too old. There
//! is no other credential for it; without this one it is refused.

use std::rc::Rc;

use super::{About, Ask, Guard, Refused, Step, TASKS, Task, Verdict};
use crate::cache::ms_until;
use crate::call::Call;
use crate::config::{Grant, Role, Server};
use crate::credential::{FETCHED, Fault, Held, Key, Known};
use crate::denial::Denial;
use crate::fields::Field;
use crate::introspection::{Claims, Reply};
use crate::leak::Place;
use crate::passage::{Forward, Plan};
use crate::response::{self, Edit};
use crate::secret::Secret;
use crate::servers::ServerId;
use crate::stream::{Open, Stream, StreamId};
use crate::tally::Count;
use crate::time::Now;

/// A request that waits for a credential.
#[derive(Debug)]
pub(crate) struct Fetching {
    /// For which.
    pub(super) key: Key,
    /// What it needs besides.
    pub(super) request: Judged,
}

/// A request on which there was a positive verdict.
#[derive(Debug)]
pub(super) enum Judged {
    /// At a gateway, which judges it once more.
    Here(Plan, Verdict),
    /// By the verifier before this injector.
    Before(Forward, Open),
}

impl Fetching {
    /// The server that it is for.
    pub(super) fn server(&self) -> ServerId {
        self.key.server
    }

    /// The client's token, where it is known.
    pub(super) fn token(&self) -> Option<&Secret> {
        match &self.request {
            Judged::Here(plan, _) => Some(&plan.token),
            Judged::Before(..) => None,
        }
    }

    /// The reading of its body, at a server with rules.
    pub(super) fn call(&self) -> Option<&Call> {
        match &self.request {
            Judged::Here(plan, _) => plan.call.as_deref(),
            Judged::Before(..) => None,
        }
    }

    /// The same, to go on with.
    pub(super) fn call_mut(&mut self) -> Option<&mut Call> {
        match &mut self.request {
            Judged::Here(plan, _) => plan.call.as_deref_mut(),
            Judged::Before(..) => None,
        }
    }

    /// The token stands in its trailers.
    pub(super) fn leaks(&mut self) {
        if let Judged::Here(plan, _) = &mut self.request {
            plan.leak = Some(Place::Trailer);
        }
    }
}

impl Guard {
    /// Gives a request that may go on the credential of its server, where that
    /// is fetched; or says which it has to wait for, from now on.
    pub(super) fn lacks_credential(
        &mut self,
        id: StreamId,
        server: &Server,
        plan: &mut Plan,
        claims: &Claims,
        now: Now,
    ) -> Result<Option<Key>, Denial> {
        let Some(fetch) = &server.credential else {
            return Ok(None);
        };
        if self.config.role == Role::Verifier || plan.credential.is_some() {
            return Ok(None);
        }
        // Nothing is fetched for what is not going to leave.
        if let Some(place) = plan.leak {
            return Err(Denial::Leak(place));
        }
        let (key, subject) = match fetch.grant {
            Grant::ClientCredentials => (Key::of_server(plan.server), None),
            Grant::TokenExchange => {
                let key = Key::of_caller(plan.server, plan.digest);
                let left = claims.expires.map(|exp| ms_until(exp, now.unix_seconds()));
                let not_after = left.map_or(u64::MAX, |left| now.steady_ms.saturating_add(left));
                (key, Some((&plan.token, not_after)))
            }
        };
        plan.credential = self.credential(id, key, subject, now)?;
        Ok(plan.credential.is_none().then_some(key))
    }

    /// Holds a request back that waits for its credential.
    pub(super) fn hold_for_credential(&mut self, id: StreamId, key: Key, request: Judged) -> Step {
        let fetching = Fetching { key, request };
        self.streams
            .insert(id, Stream::Fetching(Box::new(fetching)));
        Step::Wait
    }

    /// The credential, if it is held; else the request waits for it. With the
    /// client's token comes the moment at which that expires.
    pub(super) fn credential(
        &mut self,
        id: StreamId,
        key: Key,
        subject: Option<(&Secret, u64)>,
        now: Now,
    ) -> Result<Option<Rc<Held>>, Denial> {
        let (token, not_after) = subject.map_or((None, u64::MAX), |(token, not_after)| {
            (Some(token), not_after)
        });
        match self.fetches.find(&key, now) {
            Known::Held(held) => {
                // The guard's own are fetched ahead of time by the tick. For
                // that of a caller its token is needed, which is here now.
                if token.is_some()
                    && held.is_due(now.steady_ms)
                    && self.fetches.may_refresh(&key, now)
                    && self.has_room(now)
                {
                    self.fetches.begin(key, token.cloned(), not_after, None);
                }
                return Ok(Some(held));
            }
            Known::Failed(unfetched) => return Err(Denial::Unfetched(unfetched)),
            Known::Nothing => {}
        }
        if self.waiting() >= self.config.limits.waiting {
            return Err(Denial::Overloaded);
        }
        if !self.fetches.join(&key, id) {
            if !self.has_room(now) {
                return Err(Denial::Overloaded);
            }
            self.fetches.begin(key, token.cloned(), not_after, Some(id));
        }
        Ok(None)
    }

    /// How many requests wait for whatever call.
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.flights.waiting();
        waiting.saturating_add(self.fetches.waiting())
    }

    /// Whether one more call may be made.
    pub(super) fn has_room(&mut self, now: Now) -> bool {
        let made = self.flights.in_flight(now);
        made.saturating_add(self.fetches.in_flight()) < self.config.limits.in_flight
    }

    /// A call for a credential has ended.
    pub(super) fn fetched(&mut self, key: Key, reply: &Reply<'_>, now: Now) {
        let issuers = &self.issuers;
        let digests = |token: &[u8]| issuers.iter().map(|one| one.digest(token)).collect();
        let landed = self.fetches.land(key, reply, &self.config, &digests, now);
        self.tally.notices.extend(self.fetches.notices());
        let word = match landed {
            // It goes on.
            None => return,
            Some(Ok(())) => FETCHED,
            Some(Err(fault)) => {
                if fault == Fault::Echoed {
                    self.tally.count(Count::Leak(Place::Credential.word()));
                }
                fault.word()
            }
        };
        self.tally.count(Count::Credential(word));
    }

    /// The next request whose credential has come, or will not.
    pub(super) fn settle_fetched(&mut self, now: Now) -> Option<(StreamId, Step)> {
        loop {
            let (id, result) = self.fetches.ready()?;
            let fetching = match self.streams.remove(&id) {
                Some(Stream::Fetching(fetching)) => *fetching,
                Some(other) => {
                    self.streams.insert(id, other);
                    continue;
                }
                None => continue,
            };
            let result = match result {
                Ok(held) if held.is_good(now.steady_ms) => Ok(held),
                Ok(_) => Err(Denial::Unfetched(Fault::Expired.into())),
                Err(unfetched) => Err(Denial::Unfetched(unfetched)),
            };
            let step = match (fetching.request, result) {
                (Judged::Here(mut plan, verdict), Ok(held)) => {
                    plan.credential = Some(held);
                    self.renew(id, verdict, plan, now)
                }
                (Judged::Here(plan, verdict), Err(denial)) => {
                    Err(Box::new(Refused::judged(denial, plan, &verdict)))
                }
                (Judged::Before(forward, open), Ok(held)) => {
                    Ok(self.injected(id, forward.with(Rc::clone(&held)), open.with(held)))
                }
                (Judged::Before(_, open), Err(denial)) => {
                    Err(Box::new(Refused::late(denial, open)))
                }
            };
            return Some((id, step.unwrap_or_else(|refused| self.deny(&refused))));
        }
    }

    /// What time has made due.
    pub(super) fn fetch_due(&mut self, tasks: &mut Vec<Task>, now: Now) {
        for key in self.fetches.overdue(now) {
            self.fetched(key, &Reply::Broken, now);
        }
        let made = self.flights.in_flight(now);
        let made = made.saturating_add(self.fetches.in_flight());
        let room = self.config.limits.in_flight.saturating_sub(made);
        self.fetches.refresh(room, now);
        for key in self.fetches.unasked(TASKS.saturating_sub(tasks.len())) {
            match self.fetches.callout(&key, &self.config, now) {
                Some(callout) => tasks.push(Task::Ask(Ask {
                    callout,
                    about: About::Credential(key),
                })),
                None => self.fetched(key, &Reply::NotSent, now),
            }
        }
    }

    /// Whether any credential is fetched.
    #[must_use]
    pub fn fetches_credentials(&self) -> bool {
        self.fetches.is_configured()
    }

    /// At an injector, which is behind the verifier on the way back: the answer
    /// of an upstream that got a fetched credential. The verifier replaces one
    /// that refuses it.
    pub(super) fn answer_to_injector(&self, id: StreamId, fields: &[Field]) -> Vec<Edit> {
        let held = match self.streams.get(&id) {
            Some(Stream::Open(open)) => open.credential.as_ref(),
            Some(Stream::Ignored | Stream::Waiting(_) | Stream::Fetching(_)) | None => None,
        };
        held.map(|held| response::without(held, fields))
            .unwrap_or_default()
    }
}
