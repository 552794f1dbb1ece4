//! What these tests share.

use std::thread;
use std::time::Instant;

use mcp_token_guard_tests::client::Response;
use mcp_token_guard_tests::envoy::{Arrangement, Bench, Surroundings, pieces};
use mcp_token_guard_tests::peers::PATIENCE;
use mcp_token_guard_tests::scenario::{Message, Request, Vars, active, base, default_claims, post};
use serde_json::{Value, json};

/// The credentials of the servers, by the upstream that may see them.
pub(crate) const CREDENTIALS: &[(&str, &[u8])] = &[
    ("alpha", b"kanarie-alpha-credential"),
    ("beta", b"kanarie-beta-key"),
    ("shared", b"kanarie-team-a-credential"),
    ("shared", b"kanarie-team-b-credential"),
];

pub(crate) const TOKEN: &[u8] = b"kanarie-roles";

/// A request with a token that is good for every server here.
pub(crate) fn request(path: &str) -> Request {
    post(path).header("Authorization", "Bearer kanarie-roles")
}

/// The peers, with these routes before all others.
pub(crate) fn surroundings(routes: &[Value]) -> Surroundings {
    let mut surroundings = Surroundings::new();
    let before = routes.iter().cloned();
    surroundings.setup.routes.splice(0..0, before);
    surroundings
}

/// Starts Envoy with these routes before all others.
pub(crate) fn bench(arrangement: Arrangement, routes: &[Value]) -> Bench {
    start(surroundings(routes), arrangement, &base())
}

pub(crate) fn start(
    surroundings: Surroundings,
    arrangement: Arrangement,
    configuration: &Value,
) -> Bench {
    let mut bench = surroundings.start_as(arrangement, configuration);
    let mut claims = default_claims(b"/github/mcp");
    claims["aud"] = ["github", "linear", "unaimed", "plain"]
        .map(|name| format!("https://gateway.example.com/{name}/mcp"))
        .into_iter()
        .chain(["https://gateway.example.com/shared/a".to_owned()])
        .collect();
    bench.answer(&Vars::default(), &active(claims));
    bench
}

/// A route that is taken only when there is such a header.
pub(crate) fn with_header(prefix: &str, header: &str, cluster: &str) -> Value {
    let mut route = pieces::route(prefix, cluster);
    route["match"]["headers"] = json!([{"name": header, "present_match": true}]);
    route
}

/// A filter that sets a header and has the route looked up again.
pub(crate) fn moves() -> Value {
    let mut lua = pieces::native(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
    );
    lua["typed_config"]["default_source_code"] = json!({"inline_string":
        "function envoy_on_request(handle)\n  handle:headers():add('x-moved', '1')\n  handle:clearRouteCache()\nend"});
    lua
}

/// Everything that has arrived, after a look at every byte of it: no token
/// anywhere, and no credential but the upstream's own.
pub(crate) fn arrived(bench: &Bench) -> Vec<Message> {
    let mut messages = Vec::new();
    for peer in &bench.upstreams {
        let record = peer.take();
        let mut all = record.bytes.clone();
        for message in &record.messages {
            all.extend(message.bytes());
        }
        let holds = |needle: &[u8]| memchr::memmem::find(&all, needle).is_some();
        assert!(!holds(TOKEN), "the token is at {}", peer.name());
        for (owner, credential) in CREDENTIALS {
            let shown = String::from_utf8_lossy(credential);
            assert!(
                *owner == peer.name() || !holds(credential),
                "{shown} is at {}",
                peer.name()
            );
        }
        messages.extend(record.messages);
    }
    messages
}

/// Refused, with nothing sent to anybody, and counted under this word.
pub(crate) fn refused(bench: &Bench, response: &Response, word: &str) {
    assert_eq!(
        (response.status, &*response.error()),
        (403, "access_denied"),
        "{word}"
    );
    assert_eq!(arrived(bench).len(), 0, "{word}");
    assert!(counted(bench, word) > 0, "{word} is not counted");
}

/// How many requests had this outcome.
pub(crate) fn counted(bench: &Bench, word: &str) -> u64 {
    let stats = bench.envoy.admin("/stats").unwrap();
    let end = format!(".outcome.{word}: ");
    let requests = stats
        .lines()
        .filter(|line| line.contains("mcp_token_guard_requests"));
    requests
        .filter_map(|line| line.split_once(&end)?.1.parse::<u64>().ok())
        .sum()
}

/// A header of a message.
pub(crate) fn value<'a>(message: &'a Message, name: &str) -> Option<&'a [u8]> {
    let found = message.headers.iter().find(|(n, _)| n == name.as_bytes());
    found.map(|(_, value)| &value[..])
}

/// Takes the verifier off a route.
pub(crate) fn disable_verifier(route: &mut Value) {
    route["typed_per_filter_config"][pieces::PLUGIN] = json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
        "disabled": true,
    });
}

/// Waits until it is so.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::yield_now();
    }
}
