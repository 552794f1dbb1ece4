//! How much of the bounds each authorization server may use.
//!
//! Where there are several, each has its share of the calls and of the requests
//! that wait, as if the bounds were divided among them: one that does not answer
//! any more uses up its own, and the tokens of the others are asked about as
//! ever.

use super::{Flights, State};
use crate::issuers::IssuerId;
use crate::time::Now;

/// What one worker holds at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Calls under way.
    pub(crate) in_flight: usize,
    /// Requests that wait.
    pub(crate) waiting: usize,
    /// Authorization servers that share in these.
    pub(crate) issuers: usize,
}

impl Bounds {
    /// What one authorization server may use: at least one of each.
    fn share(&self, whole: usize) -> usize {
        whole.checked_div(self.issuers).unwrap_or(whole).max(1)
    }
}

impl Flights {
    /// Whether one more request may wait for this authorization server.
    pub(crate) fn may_wait(&self, issuer: IssuerId, bounds: Bounds) -> bool {
        self.waiting < bounds.waiting
            && (bounds.issuers < 2 || self.waiting_for(issuer) < bounds.share(bounds.waiting))
    }

    /// Whether one more call to this authorization server may be made.
    pub(crate) fn may_ask(&mut self, issuer: IssuerId, bounds: Bounds, now: Now) -> bool {
        self.in_flight(now) < bounds.in_flight
            && (bounds.issuers < 2 || self.calls_to(issuer) < bounds.share(bounds.in_flight))
    }

    /// How many calls to this authorization server count against its share.
    fn calls_to(&self, issuer: IssuerId) -> usize {
        let made = self
            .by_digest
            .iter()
            .filter(|(digest, flight)| {
                digest.issuer() == issuer && flight.state != State::ToAsk(None)
            })
            .count();
        let lost = self.lost.iter().filter(|(_, other)| *other == issuer);
        made.saturating_add(lost.count())
    }

    fn waiting_for(&self, issuer: IssuerId) -> usize {
        self.by_digest
            .iter()
            .filter(|(digest, _)| digest.issuer() == issuer)
            .map(|(_, flight)| flight.waiting.len())
            .sum()
    }

    /// How many calls may be made besides those that are under way.
    pub(crate) fn room(&mut self, bounds: Bounds, now: Now) -> Room {
        let left = |share: usize, used: usize| share.saturating_sub(used);
        let all = left(bounds.in_flight, self.in_flight(now));
        let issuers = (0..bounds.issuers).filter_map(IssuerId::at);
        let shares = match bounds.issuers {
            0 | 1 => vec![all],
            _ => issuers
                .map(|issuer| left(bounds.share(bounds.in_flight), self.calls_to(issuer)))
                .collect(),
        };
        Room { all, shares }
    }
}

/// How many calls may still be made.
#[derive(Debug)]
pub(crate) struct Room {
    all: usize,
    shares: Vec<usize>,
}

impl Room {
    /// Whether there is none at all.
    pub(crate) fn is_none(&self) -> bool {
        self.all == 0
    }

    /// Whether one more may be made to this authorization server.
    pub(crate) fn has(&self, issuer: IssuerId) -> bool {
        !self.is_none()
            && self
                .shares
                .get(issuer.place())
                .is_some_and(|left| *left > 0)
    }

    /// Uses it up by one, if there is any.
    pub(super) fn take(&mut self, issuer: IssuerId) -> bool {
        let has = self.has(issuer);
        if has && let Some(left) = self.shares.get_mut(issuer.place()) {
            *left = left.saturating_sub(1);
            self.all = self.all.saturating_sub(1);
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Digester, TokenDigest};
    use crate::flight::{CallId, Waiter};
    use crate::introspection::Trace;
    use crate::secret::Secret;
    use crate::stream::StreamId;

    const NOW: Now = Now {
        wall_ms: 0,
        steady_ms: 0,
    };

    fn digest(issuer: usize, number: u32) -> TokenDigest {
        let digester = Digester::new("", "").of_issuer(IssuerId::at(issuer).unwrap());
        digester.of(number.to_string().as_bytes())
    }

    fn ask(flights: &mut Flights, issuer: usize, number: u32) {
        let who = Waiter::Request(StreamId(number));
        let (digest, token) = (digest(issuer, number), Secret::new(b"t"));
        flights.begin(digest, token, Trace::default(), None, who, NOW);
        flights.asked(&digest, CallId(number), 10_000);
    }

    fn bounds(issuers: usize) -> Bounds {
        Bounds {
            in_flight: 4,
            waiting: 6,
            issuers,
        }
    }

    #[test]
    fn one_that_hangs_leaves_the_others_their_share() {
        let mut flights = Flights::default();
        let [first, second] = [0, 1].map(|place| IssuerId::at(place).unwrap());
        ask(&mut flights, 0, 1);
        assert!(flights.may_ask(first, bounds(2), NOW));
        ask(&mut flights, 0, 2);
        assert!(!flights.may_ask(first, bounds(2), NOW));
        assert!(flights.may_ask(second, bounds(2), NOW));
        // Alone it may use all.
        assert!(flights.may_ask(first, bounds(1), NOW));
        // The one for whom calls were made is gone: they count all the same.
        flights.leave(&digest(0, 1), StreamId(1));
        assert!(!flights.may_ask(first, bounds(2), NOW));
        let over = Now {
            steady_ms: 10_000,
            ..NOW
        };
        assert!(flights.may_ask(first, bounds(2), over));
    }

    #[test]
    fn those_who_wait_for_one_leave_room_for_the_others() {
        let mut flights = Flights::default();
        let [first, second] = [0, 1].map(|place| IssuerId::at(place).unwrap());
        ask(&mut flights, 0, 1);
        for stream in [2, 3] {
            assert!(flights.may_wait(first, bounds(2)));
            assert!(flights.join(&digest(0, 1), StreamId(stream)));
        }
        assert!(!flights.may_wait(first, bounds(2)));
        assert!(flights.may_wait(second, bounds(2)) && flights.may_wait(first, bounds(1)));
    }

    /// What the root context asks again keeps within the shares, too.
    #[test]
    fn asking_again_keeps_within_the_share() {
        let mut flights = Flights::default();
        for (issuer, number) in [(0, 1), (0, 2), (0, 3), (1, 4)] {
            let who = Waiter::Watcher(StreamId(number));
            let (digest, token) = (digest(issuer, number), Secret::new(b"t"));
            flights.begin(digest, token, Trace::default(), None, who, NOW);
        }
        let again = flights.unasked(bounds(2), NOW);
        let of = |issuer| {
            let issuer = IssuerId::at(issuer).unwrap();
            again.iter().filter(|one| one.issuer() == issuer).count()
        };
        assert_eq!((of(0), of(1)), (2, 1));
    }

    #[test]
    fn with_less_than_one_for_each_every_one_has_one() {
        assert_eq!(bounds(16).share(4), 1);
        assert_eq!(bounds(3).share(256), 85);
    }

    #[test]
    fn the_whole_is_the_bound_for_all_of_them() {
        let mut flights = Flights::default();
        let [first, second] = [0, 1].map(|place| IssuerId::at(place).unwrap());
        let bounds = Bounds {
            in_flight: 2,
            waiting: 3,
            issuers: 3,
        };
        let room = |flights: &mut Flights| flights.room(bounds, NOW);
        assert!(!room(&mut flights).is_none() && room(&mut flights).has(first));
        ask(&mut flights, 0, 1);
        assert!(!room(&mut flights).has(first) && room(&mut flights).has(second));
        assert!(!flights.may_wait(first, bounds) && !flights.may_ask(first, bounds, NOW));
        ask(&mut flights, 2, 2);
        assert!(room(&mut flights).is_none() && !room(&mut flights).has(second));
        assert!(!flights.may_ask(second, bounds, NOW));
        assert!(flights.may_wait(second, bounds));
        ask(&mut flights, 2, 3);
        assert!(!flights.may_wait(second, bounds));
        // Of one alone the share is all there is.
        let alone = Bounds {
            issuers: 1,
            ..bounds
        };
        let mut flights = Flights::default();
        ask(&mut flights, 0, 1);
        assert!(flights.room(alone, NOW).has(first));
        ask(&mut flights, 0, 2);
        assert!(!flights.may_ask(first, alone, NOW) && flights.may_wait(first, alone));
        ask(&mut flights, 0, 3);
        assert!(!flights.may_wait(first, alone));
    }
}
