//! One flight after another, by what is left of it.

use super::*;
use crate::digest::Digester;

const AT: u64 = 5_000;

/// When a call that is made now must have ended.
const UNTIL: u64 = 8_000;

const FIRST: StreamId = StreamId(1);

const SECOND: StreamId = StreamId(2);

const BOUNDS: Bounds = Bounds {
    in_flight: 4,
    waiting: 4,
    issuers: 1,
};

fn at(steady_ms: u64) -> Now {
    Now {
        wall_ms: steady_ms,
        steady_ms,
    }
}

fn digest() -> TokenDigest {
    Digester::new("", "").of(b"t")
}

/// One that is begun for this one.
fn begun(who: Waiter) -> Flights {
    let mut flights = Flights::default();
    flights.begin(
        digest(),
        Secret::new(b"t"),
        Trace::default(),
        None,
        who,
        at(AT),
    );
    flights
}

/// One whose call is made.
fn made(who: Waiter) -> Flights {
    let mut flights = begun(who);
    flights.asked(&digest(), CallId(9), UNTIL);
    flights
}

/// Who waits, calls that count, whether the root context has to ask.
fn state(flights: &mut Flights) -> (usize, usize, bool) {
    let has_to_ask = flights.has_to_ask();
    assert_eq!(has_to_ask, !flights.unasked(BOUNDS, at(AT)).is_empty());
    (flights.waiting(), flights.in_flight(at(AT)), has_to_ask)
}

#[test]
fn the_root_asks_for_all_but_the_request_that_has_just_come() {
    for (who, wanted) in [
        (Waiter::Request(FIRST), (1, 1, false)),
        (Waiter::Late(FIRST), (1, 0, true)),
        (Waiter::Watcher(FIRST), (0, 0, true)),
    ] {
        assert_eq!(state(&mut begun(who)), wanted, "{who:?}");
        let (waiting, ..) = wanted;
        assert_eq!(state(&mut made(who)), (waiting, 1, false), "{who:?}");
    }
}

#[test]
fn it_is_idle_when_no_call_is_left() {
    let mut flights = Flights::default();
    assert!(flights.is_idle());
    flights = made(Waiter::Request(FIRST));
    assert!(!flights.is_idle());
    flights.leave(&digest(), FIRST);
    assert!(!flights.is_idle(), "the host goes on with the call");
    flights.forget_lost(at(UNTIL.saturating_sub(1)));
    assert!(!flights.is_idle());
    flights.forget_lost(at(UNTIL));
    assert!(flights.is_idle());
}

#[test]
fn an_answer_ends_it_for_all_who_wait_and_watch() {
    let mut flights = made(Waiter::Request(FIRST));
    assert!(flights.join(&digest(), SECOND));
    assert!(flights.watch(&digest(), StreamId(3)));
    assert_eq!(state(&mut flights), (2, 1, false));
    let (ended, flight) = flights.answered(CallId(9)).expect("its flight");
    assert_eq!(ended, digest());
    assert_eq!(flight.waiting, [FIRST, SECOND]);
    assert_eq!(flight.watching, [StreamId(3)]);
    assert_eq!(state(&mut flights), (0, 0, false));
    assert!(flights.answered(CallId(9)).is_none());
    assert!(!flights.join(&digest(), SECOND) && !flights.watch(&digest(), SECOND));
}

#[test]
fn one_that_goes_on_is_asked_about_by_the_root() {
    let mut flights = made(Waiter::Request(FIRST));
    let (ended, flight) = flights.answered(CallId(9)).expect("its flight");
    flights.ask_again(ended, flight);
    assert_eq!(state(&mut flights), (1, 0, true));
    flights.asked(&ended, CallId(10), UNTIL);
    let (_, flight) = flights.answered(CallId(10)).expect("the same flight");
    assert_eq!(flight.waiting, [FIRST]);
}

#[test]
fn the_call_goes_with_the_stream_that_made_it() {
    // Before the call is made, and after.
    for (mut flights, lost) in [
        (begun(Waiter::Request(FIRST)), 0),
        (made(Waiter::Request(FIRST)), 1),
    ] {
        flights.join(&digest(), SECOND);
        flights.leave(&digest(), FIRST);
        assert_eq!(state(&mut flights), (1, lost, true), "{lost}");
        assert!(flights.answered(CallId(9)).is_none());
    }
    // Not with another's.
    for mut flights in [begun(Waiter::Request(FIRST)), made(Waiter::Request(FIRST))] {
        flights.join(&digest(), SECOND);
        flights.leave(&digest(), SECOND);
        assert_eq!(state(&mut flights), (1, 1, false));
    }
}

#[test]
fn when_nobody_is_left_there_is_no_flight() {
    for (who, lost) in [
        (Waiter::Request(FIRST), 1),
        // The root's own goes on until it ends.
        (Waiter::Late(FIRST), 1),
    ] {
        let mut flights = made(who);
        flights.leave(&digest(), FIRST);
        assert_eq!(state(&mut flights), (0, lost, false), "{who:?}");
        assert!(flights.get_mut(&digest()).is_none());
        assert!(flights.answered(CallId(9)).is_none());
    }
    let mut flights = begun(Waiter::Late(FIRST));
    flights.leave(&digest(), FIRST);
    assert!(flights.is_idle());
    // One who watches is somebody.
    let mut flights = made(Waiter::Late(FIRST));
    flights.watch(&digest(), SECOND);
    flights.leave(&digest(), FIRST);
    assert_eq!(state(&mut flights), (0, 1, false));
    assert!(flights.answered(CallId(9)).is_some());
}

#[test]
fn a_call_is_overdue_a_margin_after_its_time() {
    let flights = made(Waiter::Request(FIRST));
    let over = UNTIL.saturating_add(MARGIN_MS);
    assert!(flights.overdue(at(over.saturating_sub(1))).is_empty());
    assert_eq!(flights.overdue(at(over)), [digest()]);
    assert!(begun(Waiter::Late(FIRST)).overdue(at(over)).is_empty());
}
