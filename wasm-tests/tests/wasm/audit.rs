//! Every decision leaves a record, and every record fits the schema.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use mcp_token_guard_tests::host::{Answer, Host, Request, Status, StreamId};
use mcp_token_guard_tests::module::project;
use mcp_token_guard_tests::scenario::{Reach, base, scenarios};
use serde_json::{Value, json};

use crate::bench::{answer_all, bare_request, good, host, host_with, inactive, request, settle};
use crate::scenarios::play;
use crate::schema::{self, Schema};

/// The filter state with the record.
const AUDIT: &str = "wasm.mcp_token_guard";

/// The same of an injector.
const INJECTOR_AUDIT: &str = "wasm.mcp_token_guard_injector";

/// What has been read of records.
struct Records {
    schema: Schema,
    outcomes: BTreeSet<String>,
}

impl Records {
    fn new() -> Self {
        Self {
            schema: Schema::load(),
            outcomes: BTreeSet::new(),
        }
    }

    fn read(&mut self, text: &str) -> Value {
        let record = self.schema.read(text);
        let record = record.unwrap_or_else(|wrong| panic!("{wrong}"));
        let outcome = record["outcome"].as_str().expect("a word");
        self.outcomes.insert(outcome.to_owned());
        record
    }

    /// The record that a stream has left for the access log.
    fn of(&mut self, host: &Host, stream: StreamId, key: &str) -> Option<Value> {
        let bytes = host.filter_state(stream).get(key)?;
        Some(self.read(str::from_utf8(bytes).expect("UTF-8")))
    }

    /// Those of the log.
    fn of_log(&mut self, host: &Host) {
        for line in host.log() {
            if let Some(record) = line.text.strip_prefix("audit ") {
                self.read(record);
            }
        }
    }

    /// What a stream is recorded as.
    fn outcome(&mut self, host: &Host, stream: StreamId) -> String {
        let record = self.of(host, stream, AUDIT).expect("a record");
        record["outcome"].as_str().expect("a word").to_owned()
    }
}

/// The words for outcomes that are in the guard's source.
fn words_of_the_source() -> BTreeSet<String> {
    let source = |file: &str| {
        let path = project().join("src").join(file);
        fs::read_to_string(path).expect("the source")
    };
    let mut found = BTreeSet::new();
    for file in ["denial.rs", "stream.rs"] {
        let source = source(file);
        let (_, rest) = source.split_once("fn word(self)").expect("the function");
        let (body, _) = rest.split_once("\n    }\n").expect("its end");
        let arms = body.lines().filter_map(|line| line.split_once("=> \""));
        found.extend(arms.map(|(_, word)| word.trim_end_matches("\",").to_owned()));
    }
    for file in ["guard.rs", "guard/inject.rs"] {
        let source = source(file);
        for before in [": &str = \"", "self.serve(\""] {
            let words = source.split(before).skip(1);
            found.extend(words.map(|rest| rest.split('"').next().expect("a word").to_owned()));
        }
    }
    found
}

/// A stream that was let through and whose answer has begun.
fn streaming(host: &mut Host, token: &str) -> StreamId {
    let stream = host.request(subscription(token));
    let answer = good(host);
    answer_all(host, &answer);
    host.response(stream, 200, [("content-type", "text/event-stream")], false);
    stream
}

/// A request that opens a stream, with trailers to come.
fn subscription(token: &str) -> Request {
    let head = request(token).with("mcp-method", "subscriptions/listen");
    head.more_follows()
}

/// MCP-AUDIT-a
#[test]
fn every_outcome_has_a_record_that_fits_the_schema() {
    let mut records = Records::new();
    let mut hosts: BTreeMap<&str, Host> = BTreeMap::new();
    for scenario in scenarios() {
        if scenario.reach != Reach::Everywhere {
            continue;
        }
        let mut configuration = scenario.configuration.value();
        configuration["audit_log"] = json!("all");
        let host = hosts
            .entry(scenario.configuration.name)
            .or_insert_with(|| host_with(&configuration));
        for (stream, status) in play(host, &scenario) {
            let Some(record) = records.of(host, stream, AUDIT) else {
                let ignored = configuration["unlisted_clusters"] == "ignore";
                assert!(ignored, "{}: no record", scenario.name);
                continue;
            };
            if let Some(said) = record["status"].as_u64() {
                assert_eq!(said, u64::from(status), "{}: {record}", scenario.name);
            }
        }
    }
    for host in hosts.values() {
        records.of_log(host);
    }
    the_rest(&mut records);
    injector(&mut records);
    // Bodies are given out by real Envoy only: observed/access_log.rs holds their
    // records against the schema.
    let of_bodies = [
        "body_too_large",
        "call_refused",
        "header_mismatch",
        "malformed_body",
        "unsupported_body",
    ];
    records.outcomes.extend(of_bodies.map(str::to_owned));
    let schema = schema::document();
    let words = schema["properties"]["outcome"]["enum"].as_array();
    let word = |word: &Value| word.as_str().expect("a word").to_owned();
    let known: BTreeSet<String> = words.expect("words").iter().map(word).collect();
    assert_eq!(records.outcomes, known, "seen, and known");
    assert_eq!(words_of_the_source(), known);
}

/// What the table of scenarios does not come to.
fn the_rest(records: &mut Records) {
    let mut configuration = base();
    configuration["cache"] = json!({"recheck_streams": "10s"});
    configuration["limits"] = json!({"waiting": 1});
    let mut host = host_with(&configuration);

    let stream = host.request(request("elsewhere"));
    let answer = good(&host);
    answer_all(&mut host, &answer);
    host.set_property(stream, &["xds", "cluster_name"], "beta");
    host.response(stream, 200, [("content-type", "text/plain")], false);
    let outcome = records.outcome(&host, stream);
    assert_eq!(outcome, "credential_cluster_mismatch");

    host.request(request("first"));
    let stream = host.request(request("second").undecided());
    assert_eq!(records.outcome(&host, stream), "overloaded");
    answer_all(&mut host, &inactive());
    settle(&mut host);

    // The answer has begun: the stream is reset, and the record says why.
    let stream = streaming(&mut host, "kanarie-trailing-token");
    host.trailers(stream, [("x-note", "kanarie-trailing-token")]);
    let record = records.of(&host, stream, AUDIT).expect("a record");
    assert_eq!(record["outcome"], "leak_blocked");
    assert_eq!(record["sub"], "user-1");

    let revoked = streaming(&mut host, "revoked");
    host.run(Duration::from_secs(11));
    answer_all(&mut host, &inactive());
    host.run(Duration::from_secs(2));
    assert_eq!(records.outcome(&host, revoked), "stream_revoked");

    let mut host = self::host();
    let expired = streaming(&mut host, "expired");
    host.run(Duration::from_secs(302));
    let record = records.of(&host, expired, AUDIT).expect("a record");
    assert_eq!(record["outcome"], "stream_expired");
    assert_eq!(record["sub"], "user-1");
    let closed = |line: &str| line.contains(r#""outcome":"stream_expired""#);
    assert!(host.log().iter().any(|line| closed(&line.text)));

    let head = [
        (":method", "TRACE"),
        (":path", "/github/mcp"),
        (":scheme", "https"),
        (":authority", "gateway.example.com"),
    ];
    let stream = host.request(Request::new(head).to("alpha"));
    assert_eq!(records.outcome(&host, stream), "method_refused");

    let mut configuration = base();
    configuration["servers"]["github"]["default_headers"] = json!({});
    configuration["servers"]["github"]["credential"] = json!({
        "grant": "token_exchange",
        "url": "http://127.0.0.1/token",
        "cluster": "token-endpoint",
        "auth_method": "none",
    });
    let mut host = host_with(&configuration);
    let stream = host.request(request("exchanged").undecided());
    let answer = good(&host);
    answer_all(&mut host, &answer);
    host.run(Duration::from_millis(100));
    // Not what a token endpoint says.
    answer_all(&mut host, &inactive());
    settle(&mut host);
    let record = records.of(&host, stream, AUDIT).expect("a record");
    assert_eq!(record["outcome"], "credential_unavailable");
    assert_eq!(record["sub"], "user-1");

    let mut configuration = base();
    configuration["servers"]["github"]["certificate_bound_tokens"] = json!("required");
    let mut host = host_with(&configuration);
    let thumbprint = "A".repeat(43);
    let bound = json!({"active": true, "aud": "https://gateway.example.com/github/mcp",
        "scope": "mcp:read", "cnf": {"x5t#S256": thumbprint}});
    for (token, answer, outcome) in [
        ("plain", good(&host), "not_certificate_bound"),
        (
            "bound",
            Answer::json(200, bound.to_string()),
            "wrong_certificate",
        ),
    ] {
        let stream = host.request(request(token).undecided());
        answer_all(&mut host, &answer);
        assert_eq!(records.outcome(&host, stream), outcome);
    }

    let mut configuration = base();
    let one = configuration["authorization_server"].take();
    let members = configuration.as_object_mut().expect("an object");
    members.remove("authorization_server");
    let mut other = one.clone();
    other["issuer"] = json!("https://other.example");
    configuration["authorization_servers"] = json!({"one": one, "other": other});
    configuration["session_key"] = json!("a-key-for-sessions-of-both");
    let servers = configuration["servers"].as_object_mut().expect("servers");
    for server in servers.values_mut() {
        server["authorization_servers"] = json!(["one", "other"]);
    }
    let mut host = host_with(&configuration);
    // {"alg":"none"}, {"iss":"https://third.example"}
    let foreign = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3RoaXJkLmV4YW1wbGUifQ.c2ln";
    let stream = host.request(request(foreign));
    assert_eq!(records.outcome(&host, stream), "unknown_issuer");

    let mut host = self::host();
    host.fail("proxy_get_property", 0, Status::InternalFailure);
    let stream = host.request(bare_request());
    assert_eq!(records.outcome(&host, stream), "internal_error");
}

/// The words of the role `injector`.
fn injector(records: &mut Records) {
    let mut configuration = base();
    configuration["role"] = json!("injector");
    configuration["audit_log"] = json!("all");
    let mut host = host_with(&configuration);
    let unmarked = host.request(bare_request().undecided());
    let foreign = bare_request().filter_state("wasm.mcp_token_guard_server", "linear");
    let foreign = host.request(foreign.undecided());
    for (stream, outcome) in [(unmarked, "no_mark"), (foreign, "wrong_mark")] {
        assert!(records.of(&host, stream, AUDIT).is_none());
        let record = records.of(&host, stream, INJECTOR_AUDIT);
        assert_eq!(record.expect("a record")["outcome"], outcome);
    }
    let good = bare_request().filter_state("wasm.mcp_token_guard_server", "github");
    let good = host.request(good);
    // The verifier's record says who it was, and stays.
    assert!(records.of(&host, good, INJECTOR_AUDIT).is_none());
    records.of_log(&host);
    let injected = |line: &str| line.contains(r#""outcome":"injected""#);
    assert!(host.log().iter().any(|line| injected(&line.text)));
}

#[test]
fn a_refusal_after_the_verdict_still_says_who_asked_for_what() {
    let mut records = Records::new();
    let mut host = host();
    let head = request("kanarie-token-of-the-client");
    let head = head
        .with("mcp-method", "tools/call")
        .with("mcp-name", "echo");
    let stream = host.request(head);
    let answer = good(&host);
    answer_all(&mut host, &answer);
    host.response(stream, 401, [("www-authenticate", "Bearer")], true);
    let record = records.of(&host, stream, AUDIT).expect("a record");
    assert_eq!(record["outcome"], "upstream_credential_rejected");
    for (name, value) in [
        ("sub", "user-1"),
        ("client_id", "client-1"),
        ("mcp_method", "tools/call"),
        ("mcp_name", "echo"),
        ("request_id", "00000000-0000-4000-8000-000000000000"),
    ] {
        assert_eq!(record[name], value, "{record}");
    }
}
