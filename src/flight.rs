//! One call per token, however many requests wait for its answer.

mod share;

use std::rc::Rc;

use crate::client_auth::Turn;
use crate::digest::TokenDigest;
use crate::hash::Map;
use crate::introspection::{Claims, Trace};
use crate::issuers::IssuerId;
use crate::secret::Secret;
use crate::stream::StreamId;
use crate::time::Now;

pub(crate) use share::Bounds;

/// A call of the host, by the number that the host gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// All calls under way, and who waits for which.
///
/// The host cannot cancel a call, and drops the answer to one whose stream is
/// gone. So a call that nobody waits for any more still counts, until it must
/// have timed out.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    by_digest: Map<TokenDigest, Flight>,
    by_call: Map<CallId, TokenDigest>,
    /// When each call whose answer will not come must have ended, and to whom
    /// it was made.
    lost: Vec<(u64, IssuerId)>,
    waiting: usize,
}

/// The call about one token.
#[derive(Debug)]
pub(crate) struct Flight {
    /// For asking again when the answer is lost.
    pub(crate) token: Secret,
    /// Tracing headers for the call.
    pub(crate) trace: Trace,
    /// Who waits; the first to come is the first to be settled.
    pub(crate) waiting: Vec<StreamId>,
    /// An older answer that may stand in if this call fails.
    pub(crate) stale: Option<Rc<Claims>>,
    /// When it was made.
    pub(crate) asked: Now,
    /// Live streams whose token is asked about again.
    pub(crate) watching: Vec<StreamId>,
    /// Our credential that its call has.
    pub(crate) turn: Turn,
    /// Our credential that was refused in an earlier call.
    pub(crate) refused: Option<Turn>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Decided, not yet made. It is made for this stream, which gets the
    /// answer; none is the root context, which is always there.
    ToAsk(Option<StreamId>),
    /// Made.
    Asked {
        call: CallId,
        by: Option<StreamId>,
        until: u64,
    },
}

impl Flights {
    /// How many calls count against the bound: those that are made or about to
    /// be, and those that are lost but not over.
    pub(crate) fn in_flight(&mut self, now: Now) -> usize {
        self.forget_lost(now);
        let made = self
            .by_digest
            .values()
            .filter(|flight| flight.state != State::ToAsk(None))
            .count();
        made.saturating_add(self.lost.len())
    }

    /// Lets go of lost calls that are over.
    pub(crate) fn forget_lost(&mut self, now: Now) {
        self.lost.retain(|(until, _)| now.steady_ms < *until);
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether anything is under way that time could end.
    pub(crate) fn is_idle(&self) -> bool {
        self.by_digest.is_empty() && self.lost.is_empty()
    }

    /// Lets a request wait for the call that is under way for its token; false
    /// where there is none.
    pub(crate) fn join(&mut self, digest: &TokenDigest, stream: StreamId) -> bool {
        let Some(flight) = self.by_digest.get_mut(digest) else {
            return false;
        };
        flight.waiting.push(stream);
        self.waiting = self.waiting.saturating_add(1);
        true
    }

    /// Begins a call. That of a request that has just come is made by its stream,
    /// any other by the root context.
    pub(crate) fn begin(
        &mut self,
        digest: TokenDigest,
        token: Secret,
        trace: Trace,
        stale: Option<Rc<Claims>>,
        who: Waiter,
        now: Now,
    ) {
        let (waiting, watching, by) = match who {
            Waiter::Late(stream) => (vec![stream], Vec::new(), None),
            Waiter::Request(stream) => (vec![stream], Vec::new(), Some(stream)),
            Waiter::Watcher(stream) => (Vec::new(), vec![stream], None),
        };
        self.waiting = self.waiting.saturating_add(waiting.len());
        let flight = Flight {
            token,
            trace,
            waiting,
            stale,
            asked: now,
            watching,
            turn: Turn::default(),
            refused: None,
            state: State::ToAsk(by),
        };
        self.by_digest.insert(digest, flight);
    }

    /// Goes on with a flight whose call has ended: the root context makes
    /// another.
    pub(crate) fn ask_again(&mut self, digest: TokenDigest, flight: Flight) {
        self.waiting = self.waiting.saturating_add(flight.waiting.len());
        let state = State::ToAsk(None);
        self.by_digest.insert(digest, Flight { state, ..flight });
    }

    /// Lets a live stream hear of the answer; false where no call is under way.
    pub(crate) fn watch(&mut self, digest: &TokenDigest, stream: StreamId) -> bool {
        let Some(flight) = self.by_digest.get_mut(digest) else {
            return false;
        };
        flight.watching.push(stream);
        true
    }

    /// The host has taken the call.
    pub(crate) fn asked(&mut self, digest: &TokenDigest, call: CallId, until: u64) {
        if let Some(flight) = self.by_digest.get_mut(digest)
            && let State::ToAsk(by) = flight.state
        {
            flight.state = State::Asked { call, by, until };
            self.by_call.insert(call, *digest);
        }
    }

    /// Ends the flight of this call, whose answer has come.
    pub(crate) fn answered(&mut self, call: CallId) -> Option<(TokenDigest, Flight)> {
        let digest = self.by_call.remove(&call)?;
        self.end(&digest).map(|flight| (digest, flight))
    }

    /// Ends the flight for this token.
    pub(crate) fn end(&mut self, digest: &TokenDigest) -> Option<Flight> {
        let flight = self.by_digest.remove(digest)?;
        if let State::Asked { call, .. } = flight.state {
            self.by_call.remove(&call);
        }
        self.waiting = self.waiting.saturating_sub(flight.waiting.len());
        Some(flight)
    }

    /// A waiting request has gone. The answer to a call that it made is lost;
    /// if others wait, the call has to be made again, by the root context.
    pub(crate) fn leave(&mut self, digest: &TokenDigest, stream: StreamId) {
        let Some(flight) = self.by_digest.get_mut(digest) else {
            return;
        };
        let before = flight.waiting.len();
        flight.waiting.retain(|other| *other != stream);
        let left = before.saturating_sub(flight.waiting.len());
        self.waiting = self.waiting.saturating_sub(left);
        match flight.state {
            State::Asked {
                call,
                by: Some(by),
                until,
            } if by == stream => {
                self.by_call.remove(&call);
                self.lost.push((until, digest.issuer()));
                flight.state = State::ToAsk(None);
            }
            State::ToAsk(Some(by)) if by == stream => flight.state = State::ToAsk(None),
            State::Asked { .. } | State::ToAsk(_) => {}
        }
        if flight.waiting.is_empty() && flight.watching.is_empty() {
            // Nobody waits: an answer of the root's own call still comes, and
            // finds no flight.
            if let State::Asked { call, until, .. } = flight.state {
                self.by_call.remove(&call);
                self.lost.push((until, digest.issuer()));
            }
            self.by_digest.remove(digest);
        }
    }

    /// Tokens about which the root context has to ask, as many as there may be
    /// calls.
    pub(crate) fn unasked(&mut self, bounds: Bounds, now: Now) -> Vec<TokenDigest> {
        let mut room = self.room(bounds, now);
        self.by_digest
            .iter()
            .filter(|(_, flight)| flight.state == State::ToAsk(None))
            .map(|(digest, _)| *digest)
            .filter(|digest| room.take(digest.issuer()))
            .collect()
    }

    /// Whether there is any of those.
    pub(crate) fn has_to_ask(&self) -> bool {
        self.by_digest
            .values()
            .any(|flight| flight.state == State::ToAsk(None))
    }

    /// Calls that the host has forgotten: past their time and a margin.
    pub(crate) fn overdue(&self, now: Now) -> Vec<TokenDigest> {
        self.by_digest
            .iter()
            .filter(|(_, flight)| match flight.state {
                State::Asked { until, .. } => now.steady_ms >= until.saturating_add(MARGIN_MS),
                State::ToAsk(_) => false,
            })
            .map(|(digest, _)| *digest)
            .collect()
    }

    /// The flight for this token.
    pub(crate) fn get_mut(&mut self, digest: &TokenDigest) -> Option<&mut Flight> {
        self.by_digest.get_mut(digest)
    }
}

/// Who a call is begun for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// A request that is held back, and whose callback is over: the root context
    /// makes the call.
    Late(StreamId),
    /// A request that is held back.
    Request(StreamId),
    /// A live stream whose token is asked about again.
    Watcher(StreamId),
}

/// How long after its timeout a call is given up.
pub(crate) const MARGIN_MS: u64 = 1_000;

#[cfg(test)]
mod tests;
