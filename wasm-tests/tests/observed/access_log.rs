//! The access log of real Envoy says of every decision why, whoever sent what;
//! and the call about a token is in the trace of its request.

use std::time::Instant;

use mcp_token_guard_tests::client::{self, Protocol};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::peers::PATIENCE;
use mcp_token_guard_tests::scenario::{
    Answer, Reply, Request, Vars, active, base, default_claims, post, scenarios, status,
};
use serde_json::{Value, json};

use crate::schema::Schema;

/// The beginning of a line of the access log.
const MARK: &str = "ACCESS ";

/// Writes the audit record into an access log, as every sample does.
fn with_access_log(bootstrap: &mut Value) {
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    let format = "ACCESS %RESPONSE_CODE% %FILTER_STATE(wasm.mcp_token_guard:PLAIN)%\n";
    manager["access_log"] = json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string": format}},
        },
    }]);
}

fn bench(configuration: &Value) -> Bench {
    let mut surroundings = Surroundings::new();
    surroundings.setup.patches.push(with_access_log);
    surroundings.start(configuration)
}

/// The lines of the access log once there are so many: status, and what the
/// guard has left.
fn access_log(bench: &Bench, count: usize) -> Vec<(u64, String)> {
    let begun = Instant::now();
    loop {
        let log = bench.envoy.log();
        let lines = log.lines().filter_map(|line| line.strip_prefix(MARK));
        let lines: Vec<(u64, String)> = lines
            .map(|line| {
                let (status, record) = line.split_once(' ').expect("two parts");
                (status.parse().expect("a status"), record.to_owned())
            })
            .collect();
        if lines.len() >= count {
            assert_eq!(lines.len(), count, "{lines:#?}");
            return lines;
        }
        assert!(begun.elapsed() < PATIENCE, "{count} lines, but {lines:#?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A request with a token of its own.
fn with_token(number: usize) -> Request {
    let token = format!("Bearer kanarie-token-of-client-{number}");
    post("/github/mcp").header("Authorization", token)
}

/// MCP-AUDIT-a
#[test]
fn the_access_log_says_why_for_every_scenario() {
    let schema = Schema::load();
    let mut bench = bench(&base());
    let mut requests = 0;
    let mut tokens = Vec::new();
    for scenario in scenarios() {
        if scenario.configuration.name != "base" {
            continue;
        }
        // Judged elsewhere; here it only has to have happened.
        let _ = bench.run(&scenario, Protocol::Http1);
        requests += scenario.steps.len();
        tokens.push(scenario.vars_of_run('1'));
    }
    let mut refused = 0;
    for (status, record) in access_log(&bench, requests) {
        // Envoy refuses some by itself.
        if record == "-" {
            assert!(matches!(status, 0 | 400..500), "{status} without a record");
            continue;
        }
        let record = schema.read(&record).unwrap();
        if let Some(said) = record["status"].as_u64() {
            assert_eq!(said, status, "{record}");
            refused += 1;
        }
    }
    assert!(refused > 50, "only {refused} refusals");
    let log = bench.envoy.log();
    for vars in tokens {
        for token in vars.tokens() {
            let token = String::from_utf8_lossy(token);
            assert!(!log.contains(&*token), "{token} is in the log");
        }
    }
}

/// At a server with rules the record has what the body calls, not what a header
/// says; of a batch, the call that was refused.
#[test]
fn what_is_called_is_recorded_by_the_body() {
    let schema = Schema::load();
    let mut configuration = base();
    configuration["servers"]["github"]["rules"] = json!([
        {"methods": ["tools/call"], "names": ["shell"], "deny": true},
        {"methods": ["tools/call"], "required_scopes": []},
    ]);
    configuration["limits"] = json!({"body": "1KiB"});
    let mut surroundings = Surroundings::new();
    surroundings.setup.patches.push(with_access_log);
    let mut bench = surroundings.start_with(&configuration, pieces::stopping_iteration);
    bench.admit("/github/mcp");
    let call = |name: &str| {
        let params = json!({"name": name});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    };
    let lying = with_token(2).header("Mcp-Method", "tools/list");
    let token = "kanarie-token-of-client-5";
    let cases = [
        (
            with_token(1).body(call("echo").to_string()),
            "allowed",
            Some("echo"),
        ),
        (
            lying.body(call("echo").to_string()),
            "header_mismatch",
            Some("echo"),
        ),
        (
            with_token(3).body(call("shell").to_string()),
            "call_refused",
            Some("shell"),
        ),
        (
            with_token(4).body(json!([call("echo"), call("shell"), call("other")]).to_string()),
            "call_refused",
            Some("shell"),
        ),
        (with_token(5).body(call(token).to_string()), "allowed", None),
        (
            with_token(6).body("{").header("Mcp-Name", "echo"),
            "malformed_body",
            None,
        ),
        (
            with_token(7).body(" ".repeat(2 << 10)),
            "body_too_large",
            None,
        ),
        (
            with_token(8).header("Content-Encoding", "gzip"),
            "unsupported_body",
            None,
        ),
    ];
    for (request, _, _) in &cases {
        // That a token in a body arrives is known.
        let _ = client::send(bench.envoy.address(), Protocol::Http1, request).unwrap();
    }
    let records = access_log(&bench, cases.len());
    for ((status, record), (_, outcome, name)) in records.iter().zip(&cases) {
        let record = schema.read(record).unwrap();
        assert_eq!(record["outcome"], *outcome, "{record}");
        assert_eq!(record["mcp_name"].as_str(), *name, "{record}");
        if let Some(said) = record["status"].as_u64() {
            assert_eq!(said, *status, "{record}");
        }
        if name.is_some() {
            assert_eq!(record["mcp_method"], "tools/call", "{record}");
        }
    }
}

/// What an authorization server may say of a token, and the record of it.
struct Case {
    body: String,
    status: u64,
    outcome: &'static str,
    /// What is recorded as `sub`.
    subject: Option<String>,
}

/// An active answer with this JSON text as `sub` and as `jti`.
fn subject(json: &str) -> String {
    format!(
        r#"{{"active":true,"aud":"https://gateway.example.com/github/mcp","scope":"mcp:read","sub":{json},"jti":{json},"client_id":"client-1"}}"#
    )
}

/// MCP-AUDIT-a
#[test]
fn no_claim_breaks_a_line_or_forges_a_record() {
    let mut configuration = base();
    configuration["identity_headers"] = json!({});
    configuration["audit_log"] = json!("all");
    let mut bench = bench(&configuration);
    let huge = "h".repeat(100_000);
    let texts = [
        "a\"b\\c",
        "a\r\nACCESS 200 {\"outcome\":\"allowed\"}\r\n",
        "tab\there, NUL\0, ESC\u{1b}[2J, DEL\u{7f}, NEL\u{85}",
        "\u{2028}\u{2029}\u{202e}\u{feff}\u{1f600}é",
        "\",\"outcome\":\"allowed\",\"sub\":\"admin",
        "%REQ(AUTHORIZATION)% %FILTER_STATE(wasm.mcp_token_guard:PLAIN)% {}$(id)",
        "",
    ];
    let mut cases: Vec<Case> = texts
        .iter()
        .map(|text| Case {
            body: subject(&json!(text).to_string()),
            status: 200,
            outcome: "allowed",
            subject: Some((*text).to_owned()),
        })
        .collect();
    let mut case = |claim: &str, status, outcome, subject: Option<&str>| {
        cases.push(Case {
            body: self::subject(claim),
            status,
            outcome,
            subject: subject.map(str::to_owned),
        });
    };
    case(&json!(huge).to_string(), 200, "allowed", Some(&huge[..256]));
    // Two bytes each: cut between characters, not in one.
    let umlauts = "ä".repeat(300);
    case(
        &json!(umlauts).to_string(),
        200,
        "allowed",
        Some(&umlauts[..256]),
    );
    // The token itself, as it is and escaped.
    for token in [
        "kanarie-token-of-client-{}",
        "x%6banarie-token-of-client-{}",
    ] {
        case(&format!("\"{token}\""), 200, "allowed", None);
    }
    case(r#""\u006banarie-token-of-client-{}""#, 200, "allowed", None);
    // No text at all.
    for claim in ["7", "true", "null", r#"["a"]"#, r#"{"a":"b"}"#] {
        case(claim, 200, "allowed", None);
    }
    // Half a character is no text, and the answer none.
    for claim in [r#""\ud800""#, r#""\udc00\ud800""#, r#""\uZZZZ""#, "\"\n\""] {
        case(claim, 503, "introspection_failed", None);
    }
    let schema = Schema::load();
    let count = cases.len();
    for (number, case) in cases.iter().enumerate() {
        let body = case.body.replace("client-{}", &format!("client-{number}"));
        answer_with(&mut bench, body.into_bytes());
        bench.send(Protocol::Http1, &with_token(number));
    }
    // Bytes that are no UTF-8.
    answer_with(
        &mut bench,
        [b"{\"active\":true,\"sub\":\"", &b"\xff\xc0"[..], b"\"}"].concat(),
    );
    bench.send(Protocol::Http1, &with_token(count));
    let lines = access_log(&bench, count + 1);
    let (status, record) = &lines[count];
    assert_eq!(
        (*status, &schema.read(record).unwrap()["outcome"]),
        (503, &json!("introspection_failed"))
    );
    for ((status, record), case) in lines.iter().zip(&cases) {
        let record = schema
            .read(record)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(*status, case.status, "{record}");
        assert_eq!(record["outcome"], case.outcome, "{record}");
        assert_eq!(
            record.get("sub").and_then(Value::as_str),
            case.subject.as_deref()
        );
        assert_eq!(record.get("jti"), record.get("sub"));
    }
    let log = bench.envoy.log();
    assert!(
        !log.contains("kanarie-token-of-client"),
        "a token is in the log"
    );
    // The same records as lines of Envoy's own log, one line each.
    let audits = log.lines().filter_map(|line| line.split_once(": audit "));
    let audits: Vec<&str> = audits.map(|(_, record)| record).collect();
    assert_eq!(audits.len(), count + 1);
    for record in audits {
        schema
            .read(record)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

/// Lets the authorization server answer these bytes as JSON.
fn answer_with(bench: &mut Bench, body: Vec<u8>) {
    let reply: Reply = status(200)
        .header("content-type", "application/json")
        .bytes(body);
    bench.answer(&Vars::default(), &Answer::Reply(reply));
}

#[test]
fn what_a_client_says_of_itself_forges_no_record() {
    let schema = Schema::load();
    let mut bench = bench(&base());
    bench.admit("/github/mcp");
    let hostile: [&[u8]; 5] = [
        b"a\"b\\c",
        b"\xff\xfe\x80",
        b"\",\"outcome\":\"denied",
        &[b'x'; 4_000],
        b"kanarie-token-of-client-4",
    ];
    for (number, value) in hostile.iter().enumerate() {
        let mut request = with_token(number);
        for name in ["Mcp-Method", "Mcp-Name"] {
            request = request.header(name, value);
        }
        bench.send(Protocol::Http1, &request);
    }
    for (number, (status, record)) in access_log(&bench, hostile.len()).iter().enumerate() {
        let record = schema
            .read(record)
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        // The last one is a token in another field.
        let (expected, outcome) = if number == 4 {
            (400, "leak_blocked")
        } else {
            (200, "allowed")
        };
        assert_eq!((*status, &record["outcome"]), (expected, &json!(outcome)));
        let cut = &hostile[number][..hostile[number].len().min(256)];
        let text = String::from_utf8_lossy(cut);
        let told = record.get("mcp_name").and_then(Value::as_str);
        assert_eq!(told, (number != 4).then_some(&*text));
    }
}

/// RFC7662-5-a
#[test]
fn the_call_belongs_to_the_trace_of_its_request() {
    let schema = Schema::load();
    let mut bench = bench(&base());
    bench.admit("/github/mcp");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = with_token(0)
        .header("traceparent", parent)
        .header("tracestate", "vendor=1");
    let broken = with_token(1)
        .header("traceparent", "00-1-2-01")
        .header("tracestate", "vendor=1");
    let found = |headers: &[(Vec<u8>, Vec<u8>)], name: &str| {
        let mut fields = headers.iter().filter(|(known, _)| known == name.as_bytes());
        let first = fields.next();
        assert!(fields.next().is_none(), "{name} twice");
        first.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    };
    for (request, trace) in [(traced, Some((parent, "vendor=1"))), (broken, None)] {
        bench.authorization_server.take();
        bench.arrived();
        assert_eq!(bench.send(Protocol::Http1, &request).status, 200);
        let calls = bench.authorization_server.take().messages;
        let arrived = bench.arrived();
        let (call, arrived) = (&calls[0].headers, &arrived[0].headers);
        assert_eq!(
            found(call, "traceparent").as_deref(),
            trace.map(|both| both.0)
        );
        assert_eq!(
            found(call, "tracestate").as_deref(),
            trace.map(|both| both.1)
        );
        // Envoy gives each request an id: call, request and record have the same.
        let id = found(call, "x-request-id");
        assert!(id.is_some());
        assert_eq!(found(arrived, "x-request-id"), id);
        let lines = bench.envoy.log();
        assert!(!lines.is_empty());
        let count = if trace.is_some() { 1 } else { 2 };
        let (_, record) = access_log(&bench, count).pop().expect("a line");
        let record = schema.read(&record).unwrap();
        assert_eq!(record["request_id"].as_str(), id.as_deref());
    }
}

#[test]
fn a_claim_that_would_split_a_header_is_recorded_and_refused() {
    let schema = Schema::load();
    let mut bench = bench(&base());
    let mut claims = default_claims(b"/github/mcp");
    claims["sub"] = json!("user\r\nx-admin: 1");
    bench.answer(&Vars::default(), &active(claims));
    assert_eq!(bench.send(Protocol::Http1, &with_token(0)).status, 500);
    let (_, record) = access_log(&bench, 1).pop().expect("a line");
    let record = schema.read(&record).unwrap();
    assert_eq!(record["outcome"], "claim_refused");
    assert_eq!(record["sub"], "user\r\nx-admin: 1");
    assert!(bench.arrived().is_empty());
}
