//! Credentials that are fetched: for whom, when, and what becomes of those who
//! wait for one.

use super::*;

/// A server with rules, and with such a credential.
fn ruled() -> String {
    let rules = RULES.split("\"rules\"").nth(1).expect("rules");
    format!(
        r#""required_scopes": ["base"], {}, "rules"{rules}"#,
        fetched("client_credentials")
    )
}

/// A request that waits for its credential; the call that fetches it.
fn waiting(guard: &mut Guard) -> Ask {
    let step = sent(guard);
    assert!(matches!(step, Step::Wait), "{step:?}");
    next(guard, 0).expect("it is fetched")
}

/// The call that is to be made now.
fn next(guard: &mut Guard, ms: u64) -> Option<Ask> {
    let mut tasks = guard.tick(after(ms));
    assert!(tasks.len() < 2, "{tasks:?}");
    match tasks.pop()? {
        Task::Ask(ask) => Some(ask),
        close @ Task::Close(..) => panic!("{close:?}"),
    }
}

/// It is made, and this is given.
fn given(guard: &mut Guard, ask: &Ask, body: &[u8]) {
    replied(guard, ask, &whole(200, body), NOW);
}

/// What becomes of [`STREAM`] then.
fn settled(guard: &mut Guard, ms: u64) -> Step {
    let (id, step) = guard.settle(after(ms)).expect("it is there");
    assert_eq!(id, STREAM);
    step
}

/// A request that has gone with its credential.
fn gone_with(guard: &mut Guard) {
    let ask = waiting(guard);
    given(guard, &ask, FETCHED);
    left(&settled(guard, 0));
}

/// Another request, whose token is found good again if it has to be.
fn again(guard: &mut Guard, ms: u64) -> Step {
    let step = guard.request(OTHER, &head(), Some("files"), after(ms));
    if matches!(step, Step::Ask(_)) {
        answer(guard, step, ACTIVE, after(ms)).1
    } else {
        step
    }
}

#[test]
fn trailers_of_one_that_waits_are_looked_at_as_well() {
    let leak = format!("x{TOKEN}");
    for (name, value, held, leaks) in [
        ("x-note", "stays", &[][..], false),
        ("authorization", "Bearer x", &["authorization"][..], false),
        ("x-note", leak.as_str(), &["x-note"][..], true),
    ] {
        let mut guard = guard("gateway", &fetched("client_credentials"));
        let ask = waiting(&mut guard);
        let fields = [(name.to_owned(), value.as_bytes().to_vec())];
        let TrailersStep::Hold(names) = guard.trailers(STREAM, &fields) else {
            panic!("{name} goes on");
        };
        assert_eq!(names, held);
        given(&mut guard, &ask, FETCHED);
        let step = settled(&mut guard, 0);
        if leaks {
            let (_, json) = refused(&step);
            assert!(json.contains("leak_blocked"), "{json}");
        } else {
            left(&step);
        }
    }
}

#[test]
fn the_callers_own_is_fetched_again_while_it_still_does() {
    let mut guard = guard("gateway", &fetched("token_exchange"));
    gone_with(&mut guard);
    left(&again(&mut guard, 269_999));
    assert!(next(&mut guard, 269_999).is_none(), "too soon");
    left(&again(&mut guard, 275_000));
    let ask = next(&mut guard, 275_000).expect("it is due");
    guard.asked(&ask, CallId(3), after(275_000));
    left(&again(&mut guard, 275_001));
    assert!(next(&mut guard, 275_001).is_none(), "twice");
    guard.answered(CallId(3), &Reply::Broken, after(275_002));
    left(&again(&mut guard, 275_003));
    assert!(next(&mut guard, 275_003).is_none(), "it has just failed");
}

#[test]
fn one_that_is_still_good_is_not_fetched_again_without_room() {
    let exchange = fetched("token_exchange");
    let mut guard = configured("gateway", &exchange, r#""limits": {"in_flight": 1}"#);
    gone_with(&mut guard);
    left(&again(&mut guard, 269_999));
    let other = head_with(&[("authorization", "Bearer kanarie-T-of-somebody-else")]);
    let step = guard.request(StreamId(99), &other, Some("files"), after(275_000));
    let Step::Ask(ask) = step else {
        panic!("{step:?}");
    };
    guard.asked(&ask, CallId(4), after(275_000));
    left(&again(&mut guard, 275_000));
    assert_eq!(guard.fetches.in_flight(), 0);
}

#[test]
fn the_guards_own_is_fetched_again_by_the_tick_alone() {
    let mut guard = guard("gateway", &fetched("client_credentials"));
    gone_with(&mut guard);
    left(&again(&mut guard, 275_000));
    assert_eq!(guard.wake(), Wake::Later);
    assert!(next(&mut guard, 275_000).is_some());
}

#[test]
fn nobody_waits_for_a_call_that_may_not_be_made() {
    let limits = r#""limits": {"in_flight": 1}"#;
    let mut guard = configured("gateway", &fetched("client_credentials"), limits);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let Step::Ask(ask) = step else {
        panic!("{step:?}");
    };
    given(&mut guard, &ask, ACTIVE);
    // Another one is before it.
    let other = head_with(&[("authorization", "Bearer kanarie-T-of-somebody-else")]);
    let step = guard.request(OTHER, &other, Some("files"), NOW);
    assert!(matches!(step, Step::Ask(_)), "{step:?}");
    let step = settled(&mut guard, 0);
    assert_eq!(refused(&step).0, 503);
}

#[test]
fn an_echo_of_the_clients_token_is_counted_as_a_leak_and_nothing_else_is() {
    let echo = String::from_utf8_lossy(FETCHED).replace("kanarie-fetched", TOKEN);
    for (body, leaks) in [(echo.as_bytes(), 1), (b"{}", 0), (FETCHED, 0)] {
        let mut guard = guard("gateway", &fetched("token_exchange"));
        let ask = waiting(&mut guard);
        given(&mut guard, &ask, body);
        let counts = &guard.tally().counts;
        let is_leak = |count: &&Count| matches!(count, Count::Leak(_));
        assert_eq!(counts.iter().filter(is_leak).count(), leaks);
    }
}

#[test]
fn one_that_has_run_out_meanwhile_is_not_used() {
    let mut guard = guard("gateway", &fetched("client_credentials"));
    let ask = waiting(&mut guard);
    given(&mut guard, &ask, FETCHED);
    let step = settled(&mut guard, 300_000);
    let (status, json) = refused(&step);
    assert!(
        status == 503 && json.contains("credential_unavailable"),
        "{json}"
    );
}

#[test]
fn a_body_that_comes_meanwhile_is_held_to_the_rules() {
    for (name, allowed) in [("a1", true), ("b", false)] {
        let mut guard = guard("gateway", &ruled());
        // The head would go first.
        guard.bodies = heads::Bodies::AfterHead;
        let ask = waiting(&mut guard);
        assert_eq!(guard.reads(STREAM), Some(0));
        let step = guard.read(STREAM, &call(name), true, NOW);
        assert!(matches!(step, BodyStep::Wait), "{step:?}");
        assert_eq!(guard.reads(STREAM), None, "it is whole");
        given(&mut guard, &ask, FETCHED);
        let step = settled(&mut guard, 0);
        if allowed {
            left(&step);
        } else {
            assert_eq!(refused(&step).0, 403);
        }
    }
}
