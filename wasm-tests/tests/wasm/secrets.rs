//! Tokens, secrets and credentials are nowhere but where they belong.

use core::time::Duration;

use mcp_token_guard_tests::host::{Answer, Host, State, StreamId, holds};
use mcp_token_guard_tests::scenario::{ENVIRONMENT, INTROSPECTION_CLUSTER, base};
use serde_json::json;

use crate::bench::{answer_all, bare_request, good, host_with, inactive, request, settle};

/// The client's token in everything that follows.
const TOKEN: &str = "kanarie-of-the-client";

/// All kinds of outcome, one after another. All streams.
fn everything(host: &mut Host) -> Vec<StreamId> {
    let mut streams = Vec::new();
    let answers = [
        Answer::refused(),
        Answer::timed_out(),
        Answer::Reset,
        Answer::json(200, format!(r#"{{"active":"{TOKEN}"}}"#)),
        Answer::json(200, format!("not JSON: {TOKEN}")),
        Answer::json(401, format!(r#"{{"error":"{TOKEN}"}}"#)),
        Answer::json(500, TOKEN),
        good(host),
    ];
    for answer in answers {
        streams.push(host.request(request(TOKEN)));
        answer_all(host, &answer);
        settle(host);
    }
    // From the cache, then with the token in places where it must not be.
    streams.push(host.request(request(TOKEN)));
    for (name, value) in [
        ("x-custom", TOKEN.to_owned()),
        ("cookie", format!("a=1; session={TOKEN}")),
        ("x-access-token", TOKEN.to_owned()),
        ("authorization", format!("Bearer {TOKEN}")),
        ("mcp-session-id", TOKEN.to_owned()),
    ] {
        streams.push(host.request(request(TOKEN).with(name, value)));
    }
    for path in ["/github/mcp?access_token=", "/github/mcp?q=", "/github/"] {
        let path = format!("{path}{TOKEN}");
        let fields = [(":method", "POST"), (":path", path.as_str())];
        let rest = [(":authority", "gateway.example.com"), (":scheme", "https")];
        let head = mcp_token_guard_tests::host::Request::new([fields, rest].concat());
        let head = head.to("alpha");
        streams.push(host.request(head.clone()));
        streams.push(host.request(head.with("authorization", format!("Bearer {TOKEN}"))));
    }
    // Our own credential as the client's token, then a response that echoes it.
    streams.push(host.request(request("kanarie-alpha-credential")));
    let stream = host.request(request(TOKEN));
    host.response(
        stream,
        200,
        [
            ("x-echo", "Bearer kanarie-alpha-credential"),
            ("www-authenticate", "Bearer realm=upstream"),
        ],
        true,
    );
    streams.push(stream);
    let stream = host.request(request(TOKEN).more_follows());
    host.trailers(stream, [("x-late", TOKEN), ("authorization", TOKEN)]);
    streams.push(stream);
    let stream = host.request(bare_request().with("authorization", format!("Basic {TOKEN}")));
    streams.push(stream);
    host.run(Duration::from_secs(40));
    streams.push(host.request(request(TOKEN)));
    answer_all(host, &inactive());
    settle(host);
    streams
}

/// The base configuration, with every decision in the log.
fn host() -> Host {
    let mut configuration = base();
    configuration["audit_log"] = json!("all");
    host_with(&configuration)
}

#[test]
fn the_token_is_only_in_what_the_authorization_server_is_asked() {
    let mut host = host();
    let streams = everything(&mut host);
    let token = TOKEN.as_bytes();
    let mut forwarded = 0;
    for stream in streams {
        if let State::Forwarded(left) = host.state(stream) {
            forwarded += 1;
            assert!(!left.headers.contain(token), "{:?}", left.headers);
            let trailers = left.trailers.unwrap_or_default();
            assert!(!trailers.contain(token), "{trailers:?}");
            assert!(left.headers.get("authorization") == Some(b"Bearer kanarie-alpha-credential"));
        }
        if let Some(sent) = host.sent(stream) {
            assert!(!sent.headers.contain(token), "{:?}", sent.headers);
            assert!(!holds(&sent.body, token));
        }
        for (name, value) in host.filter_state(stream) {
            assert!(!holds(value, token), "filter state {name}");
        }
    }
    assert!(forwarded >= 3, "{forwarded} were forwarded");
    for call in host.calls() {
        assert_eq!(call.cluster, INTROSPECTION_CLUSTER);
        assert!(holds(&call.body, b"token="));
        assert!(!call.headers.contain(token));
    }
    let_nothing_out(&host, token);
}

/// MCP-AUDIT-a
#[test]
fn no_secret_is_in_a_log_line_a_metric_a_property_or_a_reply() {
    let mut host = host();
    let streams = everything(&mut host);
    let mut broken = base();
    broken["servers"]["github"]["default_headers"]["X Bad Name"] = json!("${env:ALPHA_TOKEN}");
    host.reconfigure(broken.to_string()).unwrap_err();
    for (name, secret) in ENVIRONMENT {
        let secret = secret.as_bytes();
        for stream in &streams {
            for value in host.filter_state(*stream).values() {
                assert!(!holds(value, secret), "{name} in filter state");
            }
            if let Some(sent) = host.sent(*stream) {
                assert!(!sent.headers.contain(secret), "{name} in a response");
                assert!(!holds(&sent.body, secret), "{name} in a response");
            }
        }
        let_nothing_out(&host, secret);
    }
}

/// Log lines and metric names are without this.
fn let_nothing_out(host: &Host, secret: &[u8]) {
    assert!(!host.log().is_empty(), "nothing was logged at all");
    for line in host.log() {
        assert!(!holds(line.text.as_bytes(), secret), "{}", line.text);
    }
    for name in host.metrics().keys() {
        assert!(!holds(name.as_bytes(), secret), "{name}");
    }
}
