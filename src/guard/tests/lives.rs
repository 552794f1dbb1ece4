//! Requests that have gone on, and those that wait, in time: when they end, who
//! is asked again, and when the guard has to be woken.

use core::time::Duration;

use super::*;

/// Everything that is due now: calls, then the streams that are ended, with the
/// word in the record.
fn due(guard: &mut Guard, ms: u64) -> (Vec<Ask>, Vec<(StreamId, &'static str)>) {
    let (mut asks, mut closed) = (Vec::new(), Vec::new());
    for task in guard.tick(after(ms)) {
        match task {
            Task::Ask(ask) => asks.push(ask),
            Task::Close(id, audit) => {
                assert!(audit.json.contains(r#""server":"files""#), "{}", audit.json);
                let words = ["stream_expired", "stream_revoked"];
                let word = words.into_iter().find(|word| audit.json.contains(word));
                closed.push((id, word.expect("a word")));
            }
        }
    }
    (asks, closed)
}

fn ended(guard: &mut Guard, ms: u64) -> Vec<(StreamId, &'static str)> {
    let (asks, closed) = due(guard, ms);
    assert!(asks.is_empty(), "{asks:?}");
    closed
}

/// The one call that is due now.
fn asked(guard: &mut Guard, ms: u64) -> Ask {
    let (mut asks, closed) = due(guard, ms);
    assert!(closed.is_empty() && asks.len() == 1, "{asks:?} {closed:?}");
    asks.remove(0)
}

/// A gateway that asks about the tokens of live streams again.
fn watchful(more: &str) -> Guard {
    let top = format!(r#""cache": {{"ttl": "1s", "recheck_streams": "10s"}}{more}"#);
    configured("gateway", STATIC, &top)
}

/// `GET`: a stream that lasts for as long as its token.
fn subscription() -> Vec<Field> {
    head_with(&[(":method", "GET")])
}

#[test]
fn a_stream_ends_with_its_token_and_a_call_some_time_later() {
    let listen = |method| head_with(&[("mcp-method", method)]);
    for (head, until) in [
        (subscription(), 600_000),
        (head(), 1_200_000),
        (listen("subscriptions/listen"), 600_000),
        (listen("subscriptions/listen2"), 1_200_000),
    ] {
        let mut guard = guard("gateway", STATIC);
        left(&sent_with(&mut guard, &head));
        assert_eq!(guard.wake(), Wake::Later);
        assert_eq!(ended(&mut guard, until - 1), []);
        assert_eq!(ended(&mut guard, until), [(STREAM, "stream_expired")]);
        assert_eq!(ended(&mut guard, until), []);
        assert_eq!(guard.wake(), Wake::Never);
        let counted = &guard.tally().counts;
        let word = |count: &&Count| matches!(count, Count::Request(Some(_), "stream_expired"));
        assert_eq!(counted.iter().filter(word).count(), 1);
    }
}

#[test]
fn so_many_streams_are_ended_at_once_and_the_rest_soon() {
    let mut guard = guard("gateway", STATIC);
    let get = subscription();
    left(&sent_with(&mut guard, &get));
    for id in (1_000..).take(TASKS + 5) {
        left(&guard.request(StreamId(id), &get, Some("files"), NOW));
    }
    assert_eq!(ended(&mut guard, 600_000).len(), TASKS);
    assert_eq!(guard.wake(), Wake::Soon);
    assert_eq!(ended(&mut guard, 600_000).len(), 6);
    assert_eq!(guard.wake(), Wake::Never);
}

#[test]
fn one_that_is_refused_when_it_is_asked_about_again_is_ended() {
    let mut guard = watchful("");
    left(&sent(&mut guard));
    // The body ends, and the token is still needed.
    assert!(guard.body(STREAM, true));
    assert_eq!(ended(&mut guard, 9_999), []);
    let ask = asked(&mut guard, 10_000);
    guard.asked(&ask, CallId(5), after(10_000));
    assert_eq!(ended(&mut guard, 10_001), []);
    replied(&mut guard, &ask, &whole(200, ACTIVE), after(10_001));
    assert!(guard.settle(after(10_001)).is_none());
    assert_eq!(ended(&mut guard, 19_999), []);
    let ask = asked(&mut guard, 20_000);
    replied(&mut guard, &ask, &whole(200, INACTIVE), after(20_000));
    assert!(guard.settle(after(20_000)).is_none());
    assert_eq!(guard.wake(), Wake::Soon);
    assert_eq!(ended(&mut guard, 20_000), [(STREAM, "stream_revoked")]);
}

#[test]
fn one_call_is_made_about_all_streams_with_one_token() {
    let mut guard = watchful("");
    left(&sent(&mut guard));
    left(&guard.request(OTHER, &head(), Some("files"), NOW));
    let ask = asked(&mut guard, 10_000);
    replied(&mut guard, &ask, &whole(200, INACTIVE), after(10_000));
    let mut closed = ended(&mut guard, 10_000);
    closed.sort_unstable();
    let wanted = [STREAM, OTHER].map(|id| (id, "stream_revoked"));
    assert_eq!(closed, wanted);
}

#[test]
fn nobody_is_asked_again_while_there_is_no_room() {
    let mut guard = watchful(r#", "limits": {"in_flight": 1}"#);
    left(&sent(&mut guard));
    let other = head_with(&[("authorization", "Bearer kanarie-T-of-somebody-else")]);
    let step = guard.request(OTHER, &other, Some("files"), after(9_999));
    let Step::Ask(ask) = step else {
        panic!("{step:?}");
    };
    assert_eq!(ended(&mut guard, 10_000), []);
    replied(&mut guard, &ask, &whole(200, ACTIVE), after(10_001));
    let (id, step) = guard.settle(after(10_001)).expect("it goes on");
    assert_eq!(id, OTHER);
    left(&step);
    asked(&mut guard, 10_002);
}

#[test]
fn the_body_goes_on_behind_a_head_that_has() {
    let mut guard = configured("gateway", STATIC, r#""unlisted_clusters": "ignore""#);
    assert!(!guard.body(STREAM, true), "of nobody");
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    assert!(!guard.body(STREAM, false), "while it waits");
    left(&answer_now(&mut guard, step, ACTIVE));
    let token = |guard: &Guard| match guard.streams.get(&STREAM) {
        Some(Stream::Open(open)) => open.token.is_some(),
        other => panic!("{other:?}"),
    };
    assert!(guard.body(STREAM, false) && token(&guard));
    // Nothing more of it can have the token in it.
    assert!(guard.body(STREAM, true) && !token(&guard));
    assert!(matches!(
        guard.request(OTHER, &head(), Some("foreign"), NOW),
        Step::Ignore
    ));
    assert!(guard.body(OTHER, true));
}

#[test]
fn the_guard_is_woken_for_what_time_can_change() {
    let mut guard = guard("gateway", STATIC);
    assert_eq!(guard.wake(), Wake::Never);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let Step::Ask(ask) = step else {
        panic!("{step:?}");
    };
    guard.asked(&ask, CallId(5), NOW);
    assert_eq!(guard.wake(), Wake::Later);
    // Who made the call is gone, so the root context makes it for the other.
    let step = guard.request(OTHER, &head(), Some("files"), NOW);
    assert!(matches!(step, Step::Wait), "{step:?}");
    guard.gone(STREAM);
    assert_eq!(guard.wake(), Wake::Soon);
    let ask = asked(&mut guard, 0);
    guard.asked(&ask, CallId(6), NOW);
    assert_eq!(guard.wake(), Wake::Later);
    guard.answered(CallId(6), &Reply::Broken, NOW);
    assert_eq!(guard.wake(), Wake::Soon);
    let (id, step) = guard.settle(NOW).expect("it has been answered");
    assert_eq!((id, refused(&step).0), (OTHER, 503));
    // The first one's call is lost, and counts until it must be over.
    assert_eq!(guard.wake(), Wake::Later);
    assert_eq!(ended(&mut guard, 60_000), []);
    assert_eq!(guard.wake(), Wake::Never);
    let periods = [Wake::Later, Wake::Never, Wake::Soon].map(Wake::period);
    assert_eq!(periods, [500, 0, 1].map(Duration::from_millis));
}

#[test]
fn the_guard_is_woken_for_credentials_as_well() {
    let mut guard = guard("gateway", &fetched("client_credentials"));
    let step = sent(&mut guard);
    assert!(matches!(step, Step::Wait), "{step:?}");
    assert_eq!(guard.wake(), Wake::Soon);
    let ask = asked(&mut guard, 0);
    guard.asked(&ask, CallId(5), NOW);
    assert_eq!(guard.wake(), Wake::Later);
    replied(&mut guard, &ask, &whole(200, FETCHED), after(0));
    assert_eq!(guard.wake(), Wake::Soon);
    let (_, step) = guard.settle(NOW).expect("it is there");
    left(&step);
    guard.gone(STREAM);
    // It is fetched ahead of time, as it was used.
    assert_eq!(guard.wake(), Wake::Later);
    asked(&mut guard, 275_000);
}

#[test]
fn a_call_that_could_not_be_made_or_is_forgotten_ends_in_a_refusal() {
    for (server, outcome) in [
        (STATIC, "introspection_failed"),
        (&fetched("client_credentials"), "credential_unavailable"),
    ] {
        for is_sent in [false, true] {
            let mut guard = guard("gateway", server);
            let step = guard.request(STREAM, &head(), Some("files"), NOW);
            let Step::Ask(mut ask) = step else {
                panic!("{step:?}");
            };
            if server != STATIC {
                let step = answer_now(&mut guard, Step::Ask(ask), ACTIVE);
                assert!(matches!(step, Step::Wait), "{step:?}");
                ask = asked(&mut guard, 0);
            }
            let ms = if is_sent {
                guard.asked(&ask, CallId(5), NOW);
                assert!(guard.settle(NOW).is_none());
                assert_eq!(ended(&mut guard, 30_000), []);
                30_000
            } else {
                guard.not_sent(&ask, NOW);
                0
            };
            let (id, step) = guard.settle(after(ms)).expect("it is refused");
            let (status, json) = refused(&step);
            assert_eq!((id, status), (STREAM, 503));
            assert!(json.contains(outcome), "{json}");
        }
    }
}

#[test]
fn an_older_answer_stands_in_for_an_outage_and_for_nothing_else() {
    // Half a minute before the token expires, and after.
    for (ms, reply, stands_in) in [
        (570_000, Reply::Broken, true),
        (570_000, Reply::TooLarge, false),
        (570_000, whole(200, b"{"), false),
        (600_000, Reply::Broken, false),
    ] {
        let top = r#""cache": {"stale_if_error": "15m"}"#;
        let mut guard = configured("gateway", STATIC, top);
        left(&sent(&mut guard));
        guard.gone(STREAM);
        let step = guard.request(STREAM, &head(), Some("files"), after(569_000));
        let Step::Ask(ask) = step else {
            panic!("{step:?}");
        };
        guard.asked(&ask, CallId(5), after(569_000));
        guard.answered(CallId(5), &reply, after(ms));
        let (_, step) = guard.settle(after(ms)).expect("it has been answered");
        if stands_in {
            left(&step);
        } else {
            assert_eq!(refused(&step).0, 503, "{ms} {reply:?}");
        }
    }
}

#[test]
fn the_end_of_a_stream_is_a_line_of_the_log_unless_that_is_off() {
    for (audit_log, level) in [
        ("all", Some(log::Level::Info)),
        ("refused", Some(log::Level::Info)),
        ("off", None),
    ] {
        let top = format!(r#""audit_log": "{audit_log}""#);
        let mut guard = configured("gateway", STATIC, &top);
        left(&sent_with(&mut guard, &subscription()));
        let Some(Task::Close(_, audit)) = guard.tick(after(600_000)).pop() else {
            panic!("it goes on");
        };
        assert_eq!(audit.log, level, "{audit_log}");
    }
}

#[test]
fn so_many_streams_are_remembered_and_no_more() {
    let full = |guard: &mut Guard| {
        for id in 0..u32::try_from(MAX_STREAMS).expect("a number") {
            guard.streams.insert(StreamId(id), Stream::Ignored);
        }
    };
    let beyond = StreamId(u32::MAX);
    for role in ["gateway", "injector"] {
        let mut guard = guard(role, &fetched("client_credentials"));
        full(&mut guard);
        let at = |guard: &mut Guard| match role {
            "injector" => guard.inject(beyond, &head(), Some("files"), MARK, Some(NOW)),
            _ => guard.request(beyond, &head(), Some("files"), NOW),
        };
        let step = at(&mut guard);
        assert_eq!(refused(&step).0, 503, "{role}");
        guard.gone(StreamId(0));
        let step = at(&mut guard);
        assert!(matches!(step, Step::Wait | Step::Ask(_)), "{role} {step:?}");
    }
}

#[test]
fn what_is_kept_is_counted() {
    let cache = r#""cache": {"max_entries": 1}"#;
    let mut guard = configured("gateway", STATIC, cache);
    left(&sent(&mut guard));
    let word = |guard: &mut Guard, word| {
        let is_it = |count: &&Count| **count == Count::Cache(word);
        guard.tally().counts.iter().filter(is_it).count()
    };
    assert_eq!(
        (word(&mut guard, "insert"), word(&mut guard, "evict")),
        (1, 0)
    );
    let other = head_with(&[("authorization", "Bearer kanarie-T-of-somebody-else")]);
    let step = guard.request(OTHER, &other, Some("files"), NOW);
    left(&answer(&mut guard, step, ACTIVE, NOW).1);
    assert_eq!(
        (word(&mut guard, "insert"), word(&mut guard, "evict")),
        (2, 1)
    );
}

#[test]
fn the_record_says_from_where_an_answer_is_known() {
    let mut guard = guard("gateway", STATIC);
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let step = answer_now(&mut guard, step, INACTIVE);
    let (_, json) = refused(&step);
    assert!(json.contains(r#""cache":"miss""#), "{json}");
    let step = guard.request(STREAM, &head(), Some("files"), NOW);
    let (_, json) = refused(&step);
    assert!(json.contains(r#""cache":"hit""#), "{json}");
    let own = head_with(&[("authorization", "Bearer kanarie-credential")]);
    let step = guard.request(STREAM, &own, Some("files"), NOW);
    let (_, json) = refused(&step);
    assert!(json.contains("own_credential"), "{json}");
    assert!(!json.contains(r#""cache""#), "{json}");
}
