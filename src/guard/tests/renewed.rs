//! Requests that wait: by which answer they are judged when they go on, and how
//! many may.

use super::bodies::waiting_for_its_body;
use super::*;

/// Longer than an answer is kept.
const LATE: u64 = 31_000;

/// Nothing is kept.
const NO_CACHE: &str = r#""cache": {"ttl": "0s", "negative_ttl": "0s"}"#;

/// The whole body comes now, of which a byte has come before.
fn body_comes(guard: &mut Guard, ms: u64) -> BodyStep {
    guard.read(STREAM, &call("a1"), true, after(ms))
}

/// The body of a request with a good token has begun.
fn begun(guard: &mut Guard) {
    waiting_for_its_body(guard);
    let step = guard.read(STREAM, b" ", false, NOW);
    assert!(matches!(step, BodyStep::Wait), "{step:?}");
}

/// Another request with its token finds that it is good no more.
fn revoked(guard: &mut Guard, ms: u64) {
    let step = guard.request(OTHER, &head(), Some("files"), after(ms));
    let (id, step) = answer(guard, step, INACTIVE, after(ms));
    assert_eq!((id, refused(&step).0), (OTHER, 401));
}

#[test]
fn a_body_that_comes_late_is_judged_by_another_answer() {
    for (said, goes_on) in [(ACTIVE, true), (INACTIVE, false)] {
        let mut guard = guard("gateway", RULES);
        begun(&mut guard);
        let step = body_comes(&mut guard, LATE);
        assert!(matches!(step, BodyStep::Wait), "{step:?}");
        assert!(!guard.body(STREAM, true), "it goes on without a verdict");
        let (id, step) = answer(&mut guard, Step::Wait, said, after(LATE));
        assert_eq!(id, STREAM);
        if goes_on {
            left(&step);
        } else {
            assert_eq!(refused(&step).0, 401);
        }
    }
}

#[test]
fn an_answer_that_is_kept_will_do() {
    let mut guard = guard("gateway", RULES);
    begun(&mut guard);
    let step = body_comes(&mut guard, 29_000);
    assert!(matches!(step, BodyStep::Forward(..)), "{step:?}");
}

#[test]
fn an_answer_that_is_not_kept_is_good_for_its_own_request_for_a_second() {
    for (ms, goes_on) in [(1_000, true), (1_001, false)] {
        let mut guard = configured("gateway", RULES, NO_CACHE);
        begun(&mut guard);
        let step = body_comes(&mut guard, ms);
        assert_eq!(matches!(step, BodyStep::Forward(..)), goes_on, "{step:?}");
        assert_eq!(matches!(step, BodyStep::Wait), !goes_on, "{step:?}");
    }
}

#[test]
fn an_answer_from_the_cache_is_good_for_no_longer_than_it_is_kept() {
    let mut guard = guard("gateway", RULES);
    begun(&mut guard);
    guard.gone(STREAM);
    let step = guard.request(STREAM, &head(), Some("files"), after(29_900));
    assert!(matches!(step, Step::Wait), "{step:?}");
    let step = body_comes(&mut guard, 30_100);
    assert!(matches!(step, BodyStep::Wait), "{step:?}");
    assert_eq!(guard.tick(after(30_100)).len(), 1, "nobody is asked");
}

#[test]
fn what_another_request_has_found_out_counts() {
    let mut guard = guard("gateway", RULES);
    begun(&mut guard);
    revoked(&mut guard, LATE);
    let BodyStep::Reply(reply, _) = body_comes(&mut guard, LATE) else {
        panic!("it goes on");
    };
    assert_eq!(reply.status, 401);
}

#[test]
fn behind_a_head_that_has_gone_no_body_goes_of_a_token_that_is_known_to_be_bad() {
    let mut guard = guard("gateway", RULES);
    waiting_for_its_body(&mut guard);
    let _ = guard.tick(after(250));
    left(&guard.settle(after(250)).expect("its head goes on").1);
    revoked(&mut guard, LATE);
    let BodyStep::Reply(reply, _) = body_comes(&mut guard, LATE) else {
        panic!("it goes on");
    };
    assert_eq!(reply.status, 401);
}

#[test]
fn who_has_waited_long_for_a_credential_is_judged_by_another_answer() {
    for (ms, asks) in [(1_000, false), (1_001, true)] {
        let mut guard = configured("gateway", &fetched("client_credentials"), NO_CACHE);
        let step = sent(&mut guard);
        let (id, step) = answer(&mut guard, step, FETCHED, after(ms));
        assert_eq!(id, STREAM);
        if !asks {
            left(&step);
            continue;
        }
        let (_, step) = answer(&mut guard, step, INACTIVE, after(ms));
        assert_eq!(refused(&step).0, 401);
    }
}

#[test]
fn whoever_may_not_ask_again_is_refused() {
    let mut guard = configured("gateway", RULES, r#""limits": {"in_flight": 1}"#);
    begun(&mut guard);
    let other = head_with(&[("authorization", "Bearer kanarie-T-of-somebody-else")]);
    let step = guard.request(OTHER, &other, Some("files"), after(LATE));
    let Step::Ask(ask) = step else {
        panic!("{step:?}");
    };
    guard.asked(&ask, CallId(2), after(LATE));
    let BodyStep::Reply(reply, _) = body_comes(&mut guard, LATE) else {
        panic!("it goes on");
    };
    assert_eq!(reply.status, 503);
}

#[test]
fn so_many_wait_and_no_more() {
    for server in [RULES, &fetched("client_credentials")] {
        let mut guard = configured("gateway", server, r#""limits": {"waiting": 2}"#);
        let step = sent(&mut guard);
        assert!(matches!(step, Step::Wait), "{step:?}");
        let mut next = |id| guard.request(StreamId(id), &head(), Some("files"), NOW);
        assert!(matches!(next(21), Step::Wait));
        assert_eq!(refused(&next(22)).0, 503);
        // One call for all who wait for one.
        let calls = usize::from(server != RULES);
        assert_eq!(guard.tick(NOW).len(), calls);
        guard.gone(STREAM);
        let step = guard.request(StreamId(23), &head(), Some("files"), NOW);
        assert!(matches!(step, Step::Wait), "{step:?}");
        let step = guard.request(StreamId(24), &head(), Some("files"), NOW);
        assert_eq!(refused(&step).0, 503);
    }
}

#[test]
fn what_it_may_do_by_now_counts() {
    let poor = String::from_utf8_lossy(ACTIVE).replace("base one", "base");
    let mut guard = guard("gateway", RULES);
    begun(&mut guard);
    let step = guard.request(OTHER, &head(), Some("files"), after(LATE));
    let (id, step) = answer(&mut guard, step, poor.as_bytes(), after(LATE));
    assert!(matches!(step, Step::Wait), "{step:?}");
    assert_eq!(id, OTHER);
    let BodyStep::Reply(reply, _) = body_comes(&mut guard, LATE) else {
        panic!("it goes on");
    };
    assert_eq!(reply.status, 403);
}

/// It is held back in vain, it seems, and then its body is there first.
#[test]
fn a_body_that_comes_before_its_head_is_let_go_is_judged_as_any() {
    let mut guard = guard("gateway", RULES);
    waiting_for_its_body(&mut guard);
    assert!(guard.tick(after(LATE)).is_empty());
    let step = body_comes(&mut guard, LATE);
    assert!(matches!(step, BodyStep::Wait), "{step:?}");
    let settled = guard.settle(after(LATE));
    assert!(settled.is_none(), "{settled:?}");
    let (id, step) = answer(&mut guard, Step::Wait, ACTIVE, after(LATE));
    assert_eq!(id, STREAM);
    left(&step);
}

/// Milliseconds for which an answer is kept here: less than a head is held back.
const SHORT: &str = r#""cache": {"ttl": "100ms"}"#;

/// [`STREAM`] is held back in vain; what becomes of it.
fn let_go(guard: &mut Guard) -> Step {
    assert!(guard.tick(after(300)).is_empty());
    let (id, step) = guard.settle(after(300)).expect("it is let go");
    assert_eq!(id, STREAM);
    step
}

#[test]
fn a_head_that_is_let_go_is_judged_by_what_is_known_by_then() {
    let mut guard = configured("gateway", RULES, SHORT);
    waiting_for_its_body(&mut guard);
    revoked(&mut guard, 150);
    assert_eq!(refused(&let_go(&mut guard)).0, 401);
}

#[test]
fn a_head_that_is_let_go_by_an_answer_that_was_kept_is_asked_about_again() {
    for (said, goes_on) in [(ACTIVE, true), (INACTIVE, false)] {
        let mut guard = configured("gateway", RULES, SHORT);
        let step = guard.request(OTHER, &head(), Some("files"), NOW);
        let (_, step) = answer(&mut guard, step, ACTIVE, NOW);
        assert!(matches!(step, Step::Wait), "{step:?}");
        guard.gone(OTHER);
        let step = guard.request(STREAM, &head(), Some("files"), after(50));
        assert!(matches!(step, Step::Wait), "{step:?}");
        let step = let_go(&mut guard);
        assert!(matches!(step, Step::Wait), "{step:?}");
        let (id, step) = answer(&mut guard, step, said, after(300));
        assert_eq!(id, STREAM);
        if goes_on {
            left(&step);
            let step = guard.read(STREAM, &call("a1"), true, after(300));
            assert!(matches!(step, BodyStep::Pass(_)), "{step:?}");
        } else {
            assert_eq!(refused(&step).0, 401);
        }
    }
}
