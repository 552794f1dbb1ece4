//! What a request costs, in figures that are the same on every machine.
//!
//! `wasm-tests/budget.json` has them for a fixed set of requests. A figure that
//! grows is a regression, and this test says so; one that is meant is written
//! down with `UPDATE_BUDGET=1 cargo test -p mcp-token-guard-tests --test wasm
//! budget`, and the commit says what it bought.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mcp_token_guard_tests::host::{Host, Meter, Request};
use mcp_token_guard_tests::module::project;
use serde_json::Value;

use crate::bench::{answer_all, bare_request, good, host, inactive, request};

/// Growth that is forgiven, in percent: another compiler is not a regression.
const SLACK: u64 = 2;

/// A request with a body, and the answer to it, to the end.
fn exchange(host: &mut Host, request: Request) {
    let stream = host.request(request.more_follows());
    host.body(stream, br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, true);
    let answer = good(host);
    answer_all(host, &answer);
    if host.end(stream).is_none() {
        let fields = [("content-type", "application/json"), ("date", "now")];
        host.response(stream, 200, fields, false);
        host.response_body(stream, br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, true);
    }
    host.disconnect(stream);
}

/// What this costs when all that happens once has happened.
fn warm(prepare: impl Fn(&mut Host), what: impl Fn(&mut Host)) -> Meter {
    let mut host = host();
    prepare(&mut host);
    for _ in 0..3 {
        what(&mut host);
    }
    host.measure(&what).1
}

/// A token of this length.
fn token(length: usize) -> String {
    let mut token = "t0k-".repeat(length.div_ceil(4));
    token.truncate(length);
    token
}

/// What a request with a token in the cache costs.
fn cached(length: usize) -> Meter {
    let token = token(length);
    warm(|_| (), |host| exchange(host, request(&token)))
}

/// What a request without a token in any cache costs.
fn cold() -> Meter {
    let mut host = host();
    for n in 0..3 {
        exchange(&mut host, request(&format!("{}{n}", token(42))));
    }
    host.measure(|host| exchange(host, request(&token(43)))).1
}

/// What the refusal of a token known to be inactive costs.
fn refused_by_negative_cache() -> Meter {
    let token = token(43);
    warm(
        |host| {
            host.request(request(&token));
            answer_all(host, &inactive());
        },
        |host| exchange(host, request(&token)),
    )
}

/// What a cached request in a session costs.
fn in_a_session() -> Meter {
    let token = token(43);
    let mut host = host();
    let stream = host.request(request(&token));
    let answer = good(&host);
    answer_all(&mut host, &answer);
    let given = [("mcp-session-id", "4f1c2e0a-session-of-the-upstream")];
    host.response(stream, 200, given, true);
    let sent = host.sent(stream).expect("a response");
    let session = sent.headers.get("mcp-session-id").expect("a session");
    let with_session = request(&token).with("mcp-session-id", session);
    for _ in 0..3 {
        exchange(&mut host, with_session.clone());
    }
    host.measure(|host| exchange(host, with_session)).1
}

/// What one chunk of an event stream costs.
fn chunk() -> Meter {
    let mut host = host();
    let stream = host.request(request(&token(43)));
    let answer = good(&host);
    answer_all(&mut host, &answer);
    host.response(stream, 200, [("content-type", "text/event-stream")], false);
    let event = b"event: message\ndata: {}\n\n";
    host.response_body(stream, event, false);
    host.measure(|host| host.response_body(stream, event, false))
        .1
}

/// The figures of the module as it is.
fn figures() -> BTreeMap<&'static str, Meter> {
    BTreeMap::from([
        ("cached_43_byte_token", cached(43)),
        ("cached_900_byte_token", cached(900)),
        ("cached_in_a_session", in_a_session()),
        ("cold", cold()),
        ("event_stream_chunk", chunk()),
        ("refused_by_negative_cache", refused_by_negative_cache()),
        (
            "refused_without_token",
            warm(|_| (), |host| exchange(host, bare_request())),
        ),
    ])
}

/// The budget file.
fn file() -> PathBuf {
    project().join("wasm-tests/budget.json")
}

#[test]
fn no_figure_is_above_its_budget() {
    let figures = figures();
    let now: Value = figures
        .iter()
        .map(|(name, meter)| ((*name).to_owned(), meter.to_json()))
        .collect();
    if std::env::var_os("UPDATE_BUDGET").is_some() {
        let text = serde_json::to_string_pretty(&now).expect("JSON");
        std::fs::write(file(), text + "\n").expect("a budget file that can be written");
    }
    let budget = std::fs::read_to_string(file()).expect("wasm-tests/budget.json");
    let budget: Value = serde_json::from_str(&budget).expect("JSON");
    let mut broken = Vec::new();
    for (name, meter) in &figures {
        for what in ["entries", "hostcalls", "data_hostcalls", "fuel"] {
            let figure = now[name][what].as_u64().expect("a number");
            let Some(most) = budget[name][what].as_u64() else {
                broken.push(format!("{name}: no budget for {what}"));
                continue;
            };
            // Counts are small: two percent of them is nothing.
            if figure * 100 > most * (100 + SLACK) {
                broken.push(format!(
                    "{name}: {what} is {figure}, budget {most}\n{meter:#?}"
                ));
            }
        }
    }
    let known = budget.as_object().expect("an object").len();
    assert_eq!(known, figures.len(), "names in the budget file");
    assert!(
        broken.is_empty(),
        "{}\nIf this is meant: UPDATE_BUDGET=1 cargo test -p mcp-token-guard-tests --test wasm \
         budget, and say in the commit what it bought.",
        broken.join("\n")
    );
}

#[test]
fn figures_are_the_same_each_time() {
    assert_eq!(cached(43), cached(43));
    assert_eq!(cold(), cold());
}

#[test]
fn a_cached_request_makes_at_most_five_hostcalls_that_return_data() {
    for meter in [cached(43), cached(900)] {
        assert!(meter.data_hostcall_count() <= 5, "{meter:#?}");
    }
}

#[test]
fn a_chunk_of_an_event_stream_does_not_enter_the_module() {
    let meter = chunk();
    assert_eq!((meter.entry_count(), meter.fuel), (0, 0), "{meter:#?}");
}
