//! Every hostcall is made to fail, one at a time, at every place where it is
//! made: nothing may leave that would not have left without.

use std::collections::BTreeSet;

use mcp_token_guard_tests::host::{Forwarded, Host, State, Status, StreamId};

use crate::bench::{answer_all, good, host, request, settle};

/// Functions whose failure changes nothing about the request: it may go on, but
/// only as it would have anyway.
const HARMLESS: [&str; 6] = [
    "clock_time_get",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_set_tick_period_milliseconds",
];

/// All statuses that a host can answer with. Those that the SDK does not expect
/// kill the VM, which must let nothing through either.
const STATUSES: [Status; 6] = [
    Status::NotFound,
    Status::BadArgument,
    Status::SerializationFailure,
    Status::ParseFailure,
    Status::Empty,
    Status::InternalFailure,
];

/// A request that misses the cache, one that hits it, and its response.
fn conversation(host: &mut Host, token: &str) -> Vec<StreamId> {
    let miss = host.request(request(token).more_follows());
    host.body(miss, b"{}", true);
    let answer = good(host);
    answer_all(host, &answer);
    settle(host);
    let hit = host.request(request(token));
    for stream in [miss, hit] {
        if matches!(host.state(stream), State::Forwarded(_)) {
            let fields = [("content-type", "application/json")];
            host.response(stream, 200, fields, true);
        }
    }
    settle(host);
    vec![miss, hit]
}

/// A worker whose VM may die.
fn lenient_host() -> Host {
    let mut host = host();
    host.lenient();
    host
}

/// What has left.
fn left(host: &Host, stream: StreamId) -> Option<Forwarded> {
    match host.state(stream) {
        State::Forwarded(forwarded) => Some(forwarded),
        State::Paused | State::Replied(_) | State::Closed => None,
    }
}

#[test]
fn a_hostcall_that_fails_lets_nothing_wrong_through() {
    let mut sound = host();
    let (streams, meter) = sound.measure(|host| conversation(host, "sound"));
    let right: Vec<Forwarded> = streams
        .iter()
        .map(|stream| left(&sound, *stream).expect("all goes well without faults"))
        .collect();
    let mut tried = BTreeSet::new();
    let mut host = lenient_host();
    for (name, times) in meter.hostcalls {
        if !name.starts_with("proxy_") {
            continue;
        }
        for (nth, status) in (0..times).flat_map(|n| STATUSES.map(|status| (n, status))) {
            if host.trap().is_some() {
                host = lenient_host();
            }
            host.fail(name, nth, status);
            let streams = conversation(&mut host, &format!("{name}-{nth}-{status:?}"));
            host.clear_faults();
            tried.insert(name);
            for (stream, right) in streams.iter().zip(&right) {
                let Some(left) = left(&host, *stream) else {
                    continue;
                };
                let what = format!("{name} #{nth} with {status:?}");
                assert_eq!(left.headers, right.headers, "{what}");
                if HARMLESS.contains(&name) {
                    assert_eq!(left, *right, "{what}");
                }
            }
        }
    }
    assert!(tried.contains("proxy_http_call") && tried.contains("proxy_get_property"));
    assert!(tried.contains("proxy_replace_header_map_value"));
}
