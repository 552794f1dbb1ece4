//! What is called, by the body and the headers.

use std::io::Write as _;
use std::thread;

use mcp_token_guard_tests::client::{Http1, Protocol, encode};
use mcp_token_guard_tests::scenario::{
    Request, Vars, active, default_claims, delete, get, post, request,
};
use serde_json::{Value, json};

use crate::world::{ALL, MOST, World, call, challenge, everywhere, modern, tool};

#[test]
fn each_call_needs_the_scopes_of_its_rule() {
    everywhere(|world, protocol| {
        world.passes(protocol, "mcp:read tools:call", &tool("echo"));
        world.passes(protocol, "mcp:read tools:delete", &tool("delete_file"));
        world.passes(protocol, "mcp:read", &call("tools/list", &json!({})));
        let open = json!({"uri": "file:///open/a"});
        world.passes(protocol, "mcp:read", &call("resources/read", &open));
        for handshake in ["initialize", "ping", "notifications/initialized"] {
            world.passes(protocol, "mcp:read", &call(handshake, &json!({})));
        }
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}"#;
        world.passes(protocol, "mcp:read", &post("/github/mcp").body(answer));

        for (scope, name, needed) in [
            ("mcp:read", "echo", "mcp:read tools:call"),
            (
                "mcp:read tools:call",
                "delete_file",
                "mcp:read tools:delete",
            ),
        ] {
            let response = world.refuses(protocol, scope, &tool(name));
            assert_eq!(
                (response.status, &*response.error()),
                (403, "insufficient_scope")
            );
            let challenge = challenge(&response);
            assert!(
                challenge.contains(&format!("scope=\"{needed}\"")),
                "{challenge}"
            );
            assert!(
                challenge.contains("error=\"insufficient_scope\""),
                "{challenge}"
            );
        }
        // What no rule allows, no scope would help.
        for (method, params) in [
            ("tools/call", json!({"name": "shell"})),
            ("resources/read", json!({"uri": "file:///other"})),
            ("resources/read", json!({"uri": "file:///open/../other"})),
            (
                "resources/read",
                json!({"uri": "file:///open/%2e%2e/other"}),
            ),
            ("prompts/get", json!({"name": "echo"})),
            ("TOOLS/CALL", json!({"name": "echo"})),
            ("completion/complete", json!({})),
        ] {
            let response = world.refuses(protocol, ALL, &call(method, &params));
            assert_eq!(
                (response.status, &*response.error()),
                (403, "access_denied")
            );
            assert_eq!(challenge(&response), "");
        }
    });
}

/// MCP-SCOPE-b, MCP-SCOPE-f: what the server needs and what the call needs are
/// told at once, and only to a token that is good otherwise.
#[test]
fn a_refusal_names_all_scopes_that_are_needed() {
    let mut world = World::start(true);
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let response = world.refuses(protocol, "", &tool("delete_file"));
        let challenge = challenge(&response);
        assert!(
            challenge.contains(r#"scope="mcp:read tools:delete""#),
            "{challenge}"
        );
        let mut claims = default_claims(b"/github/mcp");
        claims["aud"] = "https://other.example.com".into();
        world.bench.answer(&Vars::default(), &active(claims));
        let foreign = tool("delete_file").header(
            "Authorization",
            format!("Bearer kanarie-foreign-{protocol:?}"),
        );
        let response = world.bench.send(protocol, &foreign);
        assert_eq!(response.status, 401);
        world.nothing_left("foreign");
    }
}

#[test]
fn headers_that_say_something_else_are_refused() {
    let right = [("Mcp-Method", "tools/call"), ("Mcp-Name", "echo")];
    everywhere(|world, protocol| {
        world.passes(protocol, ALL, &modern("echo", &right));
        let encoded = [
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "=?base64?ZMOpbMOqdGU=?="),
        ];
        world.passes(protocol, ALL, &modern("délête", &encoded));
        for (name, headers) in [
            ("delete_file", &right[..]),
            (
                "echo",
                &[("Mcp-Method", "tools/list"), ("Mcp-Name", "echo")],
            ),
            ("echo", &[("Mcp-Method", "tools/call")]),
            ("echo", &[("Mcp-Name", "echo")]),
            (
                "echo",
                &[
                    ("Mcp-Method", "tools/call"),
                    ("Mcp-Name", "=?base64?ZWNobw?="),
                ],
            ),
            (
                "echo",
                &[("Mcp-Method", "tools/call"), ("Mcp-Name", "ECHO")],
            ),
            ("echo", &[]),
        ] {
            let response = world.refuses(protocol, ALL, &modern(name, headers));
            assert_eq!(response.status, 400, "{name} {headers:?}");
            let error: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(error["error"]["code"], -32020, "{name} {headers:?}");
            assert_eq!(
                (&error["jsonrpc"], &error["id"]),
                (&json!("2.0"), &json!(1))
            );
        }
        // An older revision need not have them, and may not have others.
        for header in [("Mcp-Method", "tools/list"), ("Mcp-Name", "delete_file")] {
            let lying = tool("echo").header(header.0, header.1);
            assert_eq!(world.refuses(protocol, ALL, &lying).status, 400);
        }
        // The revision of the head is that of the body.
        let hidden = modern("echo", &right);
        let headers = hidden
            .headers
            .iter()
            .filter(|field| field.name != b"MCP-Protocol-Version");
        let hidden = Request {
            headers: headers.cloned().collect(),
            ..hidden.clone()
        };
        assert_eq!(world.refuses(protocol, ALL, &hidden).status, 400);
    });
}

#[test]
fn every_call_of_a_batch_has_to_be_allowed() {
    let batch = |names: &[&str]| {
        let call = |(id, name)| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}});
        let calls: Vec<Value> = names.iter().enumerate().map(call).collect();
        post("/github/mcp").body(Value::from(calls).to_string())
    };
    everywhere(|world, protocol| {
        world.passes(protocol, ALL, &batch(&["echo", "delete_file", "echo"]));
        for names in [&["echo", "delete_file"], &["delete_file", "echo"]] {
            let response = world.refuses(protocol, "mcp:read tools:call", &batch(names));
            assert_eq!(response.error(), "insufficient_scope");
            let challenge = challenge(&response);
            let needed = r#"scope="mcp:read tools:delete tools:call""#;
            assert!(challenge.contains(needed), "{challenge}");
        }
        let response = world.refuses(protocol, ALL, &batch(&["echo", "shell", "echo"]));
        assert_eq!(response.error(), "access_denied");
        let modern = batch(&["echo"]).header("MCP-Protocol-Version", "2026-07-28");
        assert_eq!(world.refuses(protocol, ALL, &modern).status, 400);
    });
}

#[test]
fn a_body_that_can_be_read_in_two_ways_is_refused() {
    let deep = format!(r#"{{"method":"ping","params":{{"x":{}"#, "[".repeat(30_000));
    let texts: &[&[u8]] = &[
        br#"{"method":"ping","method":"tools/call","params":{"name":"shell"}}"#,
        br#"{"method":"ping","m\u0065thod":"tools/call","params":{"name":"shell"}}"#,
        br#"{"method":"ping","Method":"tools/call","params":{"name":"shell"}}"#,
        br#"{"method":"tools/call","params":{"name":"echo","n\u0061me":"shell"}}"#,
        br#"{"method":"tools/call","params":{"name":"echo"},"params":{"name":"shell"}}"#,
        br#"{"method":"tools/call","params":["echo"]}"#,
        br#"{"method":"tools/call","params":{"name":["echo"]}}"#,
        br#"{"method":"tools/call"}"#,
        br#"{"method":"tools/call","result":{},"params":{"name":"echo"}}"#,
        br#"{"method":"ping"} {"method":"tools/call"}"#,
        b"{\"method\":\"ping\"}\n{\"method\":\"tools/call\"}",
        b"\xef\xbb\xbf{\"method\":\"ping\"}",
        b"\xff\xfe{\0",
        b"[]",
        b"{}",
        b"1",
        b"",
        br#"{"method":"ping""#,
        deep.as_bytes(),
    ];
    everywhere(|world, protocol| {
        for text in texts {
            let response = world.refuses(protocol, ALL, &post("/github/mcp").body(text));
            let shown = String::from_utf8_lossy(&text[..text.len().min(80)]);
            assert_eq!(
                (response.status, &*response.error()),
                (400, "malformed_body"),
                "{shown}"
            );
        }
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("content-type", "application/json; charset=utf-16"),
            ("content-type", "text/plain"),
            ("content-type", ""),
        ] {
            let mut odd = tool("echo");
            odd.headers.retain(|field| field.name != name.as_bytes());
            let odd = odd.header(name, value);
            assert_eq!(
                world.refuses(protocol, ALL, &odd).status,
                415,
                "{name} {value}"
            );
        }
    });
}

#[test]
fn a_body_longer_than_is_read_is_refused() {
    everywhere(|world, protocol| {
        let of = |length: usize| {
            let bare = tool("echo").body;
            let filled = [&bare[..], " ".repeat(length - bare.len()).as_bytes()].concat();
            post("/github/mcp").body(filled)
        };
        world.passes(protocol, ALL, &of(MOST));
        let response = world.refuses(protocol, ALL, &of(MOST + 1));
        assert_eq!(
            (response.status, &*response.error()),
            (413, "content_too_large")
        );
    });
    // Envoy's own limit is below what a connection can bring at once.
    let mut world = World::start(true);
    let huge = post("/github/mcp").body(" ".repeat(3 << 20));
    let token = world.token(ALL);
    let mut client = Http1::connect(world.bench.envoy.address()).unwrap();
    let mut writer = client.writer().unwrap();
    let writing = thread::spawn(move || {
        let _ = writer.write_all(&encode(&huge.header("Authorization", token)));
    });
    assert_eq!(client.response(false).unwrap().status, 413);
    drop(client);
    writing.join().unwrap();
    world.nothing_left("huge");
}

/// GET and DELETE call nothing; what could, by another method, is not served.
#[test]
fn only_post_calls() {
    everywhere(|world, protocol| {
        for plain in [get("/github/mcp"), delete("/github/mcp")] {
            world.passes(protocol, "mcp:read", &plain);
            let with_body = plain.clone().body(tool("shell").body);
            assert_eq!(world.refuses(protocol, ALL, &with_body).status, 400);
        }
        for method in ["PUT", "PATCH", "OPTIONS", "QUERY"] {
            let mut other = request(method, "/github/mcp").body(tool("echo").body);
            other.headers = tool("echo").headers;
            assert_eq!(world.refuses(protocol, ALL, &other).status, 405, "{method}");
        }
    });
}
