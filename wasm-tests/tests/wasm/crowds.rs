//! Many requests that wait for one answer, and those who leave meanwhile.
//!
//! The host itself fails each of these if more than 64 streams are settled in
//! one callback, or one is settled twice.

use core::time::Duration;

use mcp_token_guard_tests::host::{Answer, StreamId};

use crate::bench::{answer_all, forwarded, good, host, inactive, replied, request, settle};

/// So many requests with one token.
fn crowd(host: &mut mcp_token_guard_tests::host::Host, size: usize) -> Vec<StreamId> {
    (0..size)
        .map(|_| host.request(request("crowd").undecided()))
        .collect()
}

#[test]
fn three_hundred_waiters_are_refused_after_one_call() {
    let mut host = host();
    let streams = crowd(&mut host, 300);
    assert_eq!(host.calls().len(), 1);
    answer_all(&mut host, &inactive());
    settle(&mut host);
    for stream in streams {
        assert_eq!(replied(&host, stream).status, 401);
    }
    assert_eq!(host.calls().len(), 1);
}

#[test]
fn three_hundred_waiters_are_let_through_after_one_call() {
    let mut host = host();
    let streams = crowd(&mut host, 300);
    let answer = good(&host);
    for stream in &streams {
        host.decide(*stream);
    }
    answer_all(&mut host, &answer);
    settle(&mut host);
    assert!(streams.iter().all(|stream| forwarded(&host, *stream)));
    assert_eq!(host.calls().len(), 1);
}

#[test]
fn waiters_with_a_body_are_let_through_with_it() {
    let mut host = host();
    let streams: Vec<StreamId> = (0..100)
        .map(|_| host.request(request("crowd").more_follows()))
        .collect();
    for stream in &streams {
        host.body(*stream, b"{}", true);
    }
    let answer = good(&host);
    answer_all(&mut host, &answer);
    settle(&mut host);
    for stream in streams {
        assert!(forwarded(&host, stream));
    }
}

#[test]
fn when_the_leader_leaves_a_tick_asks_again_and_all_are_served() {
    let mut host = host();
    let streams = crowd(&mut host, 5);
    let lost = host.open_calls();
    host.disconnect(streams[0]);
    // The answer finds nobody: the SDK drops what belongs to a dead context.
    answer_all(&mut host, &inactive());
    assert!(lost.iter().all(|call| !host.open_calls().contains(call)));
    settle(&mut host);
    assert_eq!(host.open_calls().len(), 1, "nobody asked again");
    let answer = good(&host);
    for stream in &streams {
        host.decide(*stream);
    }
    answer_all(&mut host, &answer);
    settle(&mut host);
    for stream in &streams[1..] {
        assert!(forwarded(&host, *stream), "{:?}", host.state(*stream));
    }
    assert!(host.calls().len() <= 3, "{} calls", host.calls().len());
}

#[test]
fn a_crowd_that_has_left_is_forgotten() {
    let mut host = host();
    for stream in crowd(&mut host, 100) {
        host.disconnect(stream);
    }
    settle(&mut host);
    let answer = good(&host);
    answer_all(&mut host, &answer);
    host.run(Duration::from_secs(10));
    assert_eq!(host.tick_period(), None, "nothing is left to wake up for");
    assert!(host.open_calls().is_empty());
}

/// LOCAL-reply
#[test]
fn the_answer_to_a_dead_stream_lets_nobody_in() {
    let mut host = host();
    let gone = host.request(request("alone").undecided());
    let call = host.open_calls()[0];
    host.disconnect(gone);
    let answer = good(&host);
    host.answer(call, answer);
    settle(&mut host);
    let other = host.request(request("other").undecided());
    assert!(!forwarded(&host, other));
    answer_all(&mut host, &inactive());
    settle(&mut host);
    assert_eq!(replied(&host, other).status, 401);
}

#[test]
fn one_answer_settles_the_waiters_of_its_token_only() {
    let mut host = host();
    let mine = host.request(request("mine").undecided());
    let yours = host.request(request("yours").undecided());
    let [first, second] = host.open_calls()[..] else {
        panic!("two calls were expected");
    };
    host.decide(yours);
    let answer = good(&host);
    host.answer(second, answer);
    assert!(forwarded(&host, yours));
    host.answer(first, Answer::Reset);
    settle(&mut host);
    assert_eq!(replied(&host, mine).status, 503);
}

/// RATE-a
#[test]
fn a_flood_of_junk_stays_within_the_limits() {
    let mut host = host();
    let streams: Vec<StreamId> = (0..400)
        .map(|n| host.request(request(&format!("junk-{n}")).undecided()))
        .collect();
    assert_eq!(host.open_calls().len(), 256, "calls in flight");
    let refused = streams
        .iter()
        .filter(|stream| host.end(**stream).is_some())
        .map(|stream| replied(&host, *stream));
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), 400 - 256);
    for response in refused {
        assert_eq!(response.status, 503);
        assert!(response.headers.get("retry-after").is_some());
    }
    answer_all(&mut host, &inactive());
    settle(&mut host);
    for stream in streams {
        assert!(!forwarded(&host, stream));
        assert!(host.end(stream).is_some(), "{stream:?} hangs");
    }
}
