//! The credentials that one worker holds, and those that are on their way.
//!
//! The root context makes every call. It is always there, so no answer is lost
//! with a request that leaves, and a credential that nobody waits for any more
//! is still good for the next. That costs the first request a tick of a
//! millisecond before the call of many.

use core::cell::Cell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use super::issued::Issued;
use super::{Fault, HOLD_OFF_MS, Held, Key, Unfetched, call};
use crate::cache::{Entry, Freshness, Shelf};
use crate::callout::Callout;
use crate::client_auth::{Authenticator, Turn};
use crate::config::{Config, Fetch};
use crate::digest::TokenDigest;
use crate::flight::CallId;
use crate::hash::Map;
use crate::introspection::Reply;
use crate::secret::Secret;
use crate::servers::ServerId;
use crate::stream::StreamId;
use crate::time::Now;

/// What is held, what is being fetched, and what has just failed.
#[derive(Debug)]
pub(crate) struct Fetches {
    authenticators: Map<ServerId, Authenticator>,
    /// The guard's own, one for each server.
    standing: Map<ServerId, Rc<Held>>,
    /// Those of callers.
    exchanged: Shelf<Key, Rc<Held>>,
    /// What is not tried again for a moment.
    failed: Shelf<Key, Unfetched>,
    flights: Map<Key, Flight>,
    by_call: Map<CallId, Key>,
    /// All that is held, or goes with a live request, by digest.
    ours: Map<TokenDigest, Weak<Held>>,
    /// How many of those there may be before the dead are counted out.
    most_ours: usize,
    waiting: usize,
    /// Lines for the log.
    notices: Vec<String>,
    /// Requests that have waited, in the order in which they are settled.
    ready: VecDeque<(StreamId, Result<Rc<Held>, Unfetched>)>,
}

/// One credential that is being fetched.
#[derive(Debug)]
struct Flight {
    /// The token of the client's that is exchanged.
    subject: Option<Secret>,
    /// On the steady clock: when that token expires.
    not_after: u64,
    waiting: Vec<StreamId>,
    /// Which of our credentials at the token endpoint the call is made with.
    turn: Turn,
    /// The one that was refused before.
    refused: Option<Turn>,
    /// When the call was made and until when it is answered; none while the
    /// root context still has to make it.
    asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    call: CallId,
    at: u64,
    until: u64,
}

/// What there is of a credential.
#[derive(Debug)]
pub(crate) enum Known {
    /// It is held.
    Held(Rc<Held>),
    /// It could not be had a moment ago.
    Failed(Unfetched),
    /// It has to be fetched.
    Nothing,
}

impl Fetches {
    /// Holding nothing.
    pub(crate) fn new(config: &Config) -> Self {
        let ids = config.servers.ids();
        let authenticators = ids.filter_map(|id| {
            let fetch = fetch(config, id)?;
            Some((id, Authenticator::new(&fetch.endpoint.auth)))
        });
        let entries = config.cache.max_entries;
        Self {
            authenticators: authenticators.collect(),
            standing: Map::default(),
            exchanged: Shelf::new(entries, config.limits.cache_bytes),
            failed: Shelf::new(entries, usize::MAX),
            flights: Map::default(),
            by_call: Map::default(),
            ours: Map::default(),
            most_ours: FEW,
            waiting: 0,
            notices: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// Whether there is anything to fetch in this configuration.
    pub(crate) fn is_configured(&self) -> bool {
        !self.authenticators.is_empty()
    }

    /// How many calls are under way or about to be.
    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a token that comes in is one of those held here.
    pub(crate) fn holds(&self, digest: &TokenDigest) -> bool {
        let held = self.ours.get(digest);
        held.is_some_and(|held| held.strong_count() > 0)
    }

    /// What there is for this key now. What is given out counts as used.
    pub(crate) fn find(&mut self, key: &Key, now: Now) -> Known {
        let held = match key.caller {
            None => self.standing.get(&key.server),
            Some(_) => match self.exchanged.find(key, now.steady_ms) {
                Some((Freshness::Fresh, held)) => Some(held),
                Some((Freshness::Stale, _)) | None => None,
            },
        };
        if let Some(held) = held.filter(|held| held.is_good(now.steady_ms)) {
            held.used.set(true);
            return Known::Held(Rc::clone(held));
        }
        match self.failed.find(key, now.steady_ms) {
            Some((Freshness::Fresh, unfetched)) => Known::Failed(*unfetched),
            Some((Freshness::Stale, _)) | None => Known::Nothing,
        }
    }

    /// Lets a request wait for what is being fetched; false where it is not.
    pub(crate) fn join(&mut self, key: &Key, stream: StreamId) -> bool {
        let Some(flight) = self.flights.get_mut(key) else {
            return false;
        };
        flight.waiting.push(stream);
        self.waiting = self.waiting.saturating_add(1);
        true
    }

    /// Has it fetched, for a request that waits or ahead of time.
    pub(crate) fn begin(
        &mut self,
        key: Key,
        subject: Option<Secret>,
        not_after: u64,
        stream: Option<StreamId>,
    ) {
        let waiting: Vec<StreamId> = stream.into_iter().collect();
        self.waiting = self.waiting.saturating_add(waiting.len());
        let flight = Flight {
            subject,
            not_after,
            waiting,
            turn: Turn::default(),
            refused: None,
            asked: None,
        };
        self.flights.insert(key, flight);
    }

    /// Whether it would be fetched ahead of time now: nobody does so, and it
    /// has not just failed.
    pub(crate) fn may_refresh(&mut self, key: &Key, now: Now) -> bool {
        !self.flights.contains_key(key) && self.failed.find(key, now.steady_ms).is_none()
    }

    /// Has the guard's own credentials fetched ahead of time, as many as there
    /// is room for. One that no request has gone with is left to run out.
    pub(crate) fn refresh(&mut self, room: usize, now: Now) {
        self.standing.retain(|_, held| now.steady_ms < held.until);
        let due = |held: &Held| held.used.get() && held.is_due(now.steady_ms);
        let due: Vec<Key> = self
            .standing
            .iter()
            .filter(|(_, held)| due(held))
            .map(|(server, _)| Key::of_server(*server))
            .collect();
        let mut left = room;
        for key in due {
            if left > 0 && self.may_refresh(&key, now) {
                self.begin(key, None, u64::MAX, None);
                left = left.saturating_sub(1);
            }
        }
    }

    /// What the root context has to fetch, as many as there is room for.
    pub(crate) fn unasked(&self, room: usize) -> Vec<Key> {
        let unasked = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.asked.is_none());
        unasked.map(|(key, _)| *key).take(room).collect()
    }

    /// Whether there is any of that.
    pub(crate) fn has_to_ask(&self) -> bool {
        self.flights.values().any(|flight| flight.asked.is_none())
    }

    /// Whether somebody is ready to be settled.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether nothing is under way that time could end or make due.
    pub(crate) fn is_idle(&self) -> bool {
        self.flights.is_empty() && !self.standing.values().any(|held| held.used.get())
    }

    /// The call that fetches it.
    pub(crate) fn callout(&mut self, key: &Key, config: &Config, now: Now) -> Option<Callout> {
        let flight = self.flights.get_mut(key)?;
        let authenticator = self.authenticators.get_mut(&key.server)?;
        let other = flight.refused.and_then(|turn| authenticator.other(turn));
        flight.turn = other.unwrap_or(authenticator.first());
        let proof = authenticator.prove(flight.turn, now);
        let fetch = fetch(config, key.server)?;
        Some(call::call(fetch, flight.subject.as_ref(), proof))
    }

    /// The host has taken the call.
    pub(crate) fn asked(&mut self, key: &Key, call: CallId, at: u64, until: u64) {
        if let Some(flight) = self.flights.get_mut(key) {
            flight.asked = Some(Asked { call, at, until });
            self.by_call.insert(call, *key);
        }
    }

    /// Which of them this call fetches.
    pub(crate) fn of_call(&self, call: CallId) -> Option<Key> {
        self.by_call.get(&call).copied()
    }

    /// Calls that the host has forgotten: past their time and a margin.
    pub(crate) fn overdue(&self, now: Now) -> Vec<Key> {
        let is_over =
            |asked: Asked| now.steady_ms >= asked.until.saturating_add(crate::flight::MARGIN_MS);
        let flights = self.flights.iter();
        let overdue = flights.filter(|(_, flight)| flight.asked.is_some_and(is_over));
        overdue.map(|(key, _)| *key).collect()
    }

    /// A waiting request has gone. What is being fetched is so all the same.
    pub(crate) fn leave(&mut self, key: &Key, stream: StreamId) {
        if let Some(flight) = self.flights.get_mut(key) {
            let before = flight.waiting.len();
            flight.waiting.retain(|other| *other != stream);
            let left = before.saturating_sub(flight.waiting.len());
            self.waiting = self.waiting.saturating_sub(left);
        }
    }

    /// The reply to a call has come, or there will be none. Everybody who waits
    /// for it is ready to be settled.
    pub(crate) fn land(
        &mut self,
        key: Key,
        reply: &Reply<'_>,
        config: &Config,
        digests: &dyn Fn(&[u8]) -> Vec<TokenDigest>,
        now: Now,
    ) -> Option<Result<(), Fault>> {
        let mut flight = self.flights.remove(&key)?;
        if let Some(asked) = flight.asked {
            self.by_call.remove(&asked.call);
        }
        let fetched = fetch(config, key.server)
            .ok_or(Fault::Malformed.into())
            .and_then(|fetch| hold(fetch, &flight, reply, digests, now));
        let refused = |unfetched: &Unfetched| unfetched.fault == Fault::ClientRefused;
        if let Some(authenticator) = self.authenticators.get_mut(&key.server) {
            if fetched.as_ref().is_err_and(refused)
                && flight.refused.is_none()
                && authenticator.other(flight.turn).is_some()
            {
                // The root context calls once more, with the other one.
                flight.refused = Some(flight.turn);
                flight.asked = None;
                self.flights.insert(key, flight);
                return None;
            }
            if fetched.is_ok() {
                self.notices.extend(authenticator.taken(flight.turn));
            }
        }
        self.waiting = self.waiting.saturating_sub(flight.waiting.len());
        let result = match fetched {
            Ok(held) => Ok(self.keep(key, held, now)),
            Err(unfetched) => {
                self.fail(key, unfetched, now);
                Err(unfetched)
            }
        };
        if let Ok(held) = &result {
            held.used.set(!flight.waiting.is_empty());
        }
        let waiting = flight.waiting.into_iter();
        self.ready
            .extend(waiting.map(|stream| (stream, result.clone())));
        Some(result.map(drop).map_err(|unfetched| unfetched.fault))
    }

    /// Lines for the log since this was last called.
    pub(crate) fn notices(&mut self) -> impl Iterator<Item = String> {
        self.notices.drain(..)
    }

    /// The next request that is ready, with what it waited for.
    pub(crate) fn ready(&mut self) -> Option<(StreamId, Result<Rc<Held>, Unfetched>)> {
        self.ready.pop_front()
    }

    fn keep(&mut self, key: Key, held: Held, now: Now) -> Rc<Held> {
        let held = Rc::new(held);
        if self.ours.len() >= self.most_ours {
            self.ours.retain(|_, held| held.strong_count() > 0);
            self.most_ours = self.ours.len().saturating_mul(2).max(FEW);
        }
        for digest in &held.digests {
            self.ours.insert(*digest, Rc::downgrade(&held));
        }
        self.failed.remove(&key);
        if key.caller.is_none() {
            self.standing.insert(key.server, Rc::clone(&held));
        } else {
            let weight = held.authorization().len().saturating_add(size_of::<Held>());
            let entry = Entry {
                key,
                value: Rc::clone(&held),
                fresh_until: held.until,
                kept_until: held.until,
                weight,
                used: false,
            };
            self.exchanged.put(entry, now.steady_ms);
        }
        held
    }

    fn fail(&mut self, key: Key, unfetched: Unfetched, now: Now) {
        let off = match unfetched.fault {
            Fault::Throttled => u64::from(unfetched.retry_after).saturating_mul(1_000),
            Fault::ClientRefused
            | Fault::Echoed
            | Fault::Expired
            | Fault::Malformed
            | Fault::Refused
            | Fault::Status
            | Fault::TooLarge
            | Fault::Unreachable => HOLD_OFF_MS,
        };
        let until = now.steady_ms.saturating_add(off.max(HOLD_OFF_MS));
        let entry = Entry {
            key,
            value: unfetched,
            fresh_until: until,
            kept_until: until,
            weight: 0,
            used: false,
        };
        self.failed.put(entry, now.steady_ms);
    }
}

/// How a server's credential is fetched.
fn fetch(config: &Config, server: ServerId) -> Option<&Fetch> {
    config.servers.server(server)?.credential.as_ref()
}

/// The credential that a reply gives. Its life is counted from when it was asked
/// for, and ends a little early: what leaves has to arrive in time.
fn hold(
    fetch: &Fetch,
    flight: &Flight,
    reply: &Reply<'_>,
    digests: &dyn Fn(&[u8]) -> Vec<TokenDigest>,
    now: Now,
) -> Result<Held, Unfetched> {
    let issued = Issued::read(reply, fetch.grant, flight.subject.as_ref())?;
    let life = match issued.expires_in {
        None => fetch.default_expires_in,
        Some(seconds) => core::time::Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST_LIFE))
            .unwrap_or_default(),
    };
    let life: u64 = life.as_millis().try_into().unwrap_or(u64::MAX);
    let asked = flight.asked.map_or(now.steady_ms, |asked| asked.at);
    let early = (life / 10).min(LONGEST_MARGIN_MS);
    let until = asked.saturating_add(life.saturating_sub(early));
    let until = until.min(flight.not_after);
    if until <= now.steady_ms {
        return Err(Fault::Expired.into());
    }
    // The last fifth of its life, but no more than half a minute of it.
    let ahead = (life / 5).min(LONGEST_AHEAD_MS);
    let held = Held {
        digests: digests(issued.token()),
        authorization: issued.authorization,
        since: now.steady_ms,
        refresh_at: asked.saturating_add(life.saturating_sub(ahead)),
        until,
        used: Cell::new(false),
        rejected: Cell::new(false),
    };
    Ok(held)
}

/// Seconds that a credential is taken to live at most: some thirty years.
const LONGEST_LIFE: f64 = 1e9;

/// How much of its life is not used at most.
const LONGEST_MARGIN_MS: u64 = 5_000;

/// How long before its end another is fetched at most.
const LONGEST_AHEAD_MS: u64 = 30_000;

/// So many dead entries cost nothing.
const FEW: usize = 64;

#[cfg(test)]
mod tests;
