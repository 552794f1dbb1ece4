//! Rules say which calls need which scopes, by what the body calls
//! (MCP-TOOLSCOPE-a, MCP-NAME-b, MCP-SCOPE-b, MCP-BATCH-a).

use std::cell::Cell;
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use mcp_token_guard_tests::client::{Http1, Http2, Protocol, Response, encode};
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::scenario::{
    Message, Request, Vars, active, base, default_claims, delete, get, post, request,
};
use serde_json::{Value, json};

/// Bytes of a body that are read.
const MOST: usize = 64 << 10;

fn configuration() -> Value {
    let mut configuration = base();
    configuration["limits"] = json!({"body": "64KiB"});
    configuration["servers"]["github"]["rules"] = json!([
        {"methods": ["tools/call"], "names": ["delete_*"], "required_scopes": ["tools:delete"]},
        {"methods": ["tools/call"], "names": ["shell"], "deny": true},
        {"methods": ["tools/call"], "required_scopes": ["tools:call"]},
        {"methods": ["resources/read"], "names": ["file:///open/*"], "required_scopes": []},
        {"methods": ["*/list"], "required_scopes": []},
    ]);
    configuration
}

/// The bench, and tokens of its own.
struct World {
    bench: Bench,
    tokens: Cell<usize>,
    /// Whether heads are held back until the body has come.
    holding: bool,
}

impl World {
    fn start(holding: bool) -> Self {
        let change = if holding {
            pieces::stopping_iteration
        } else {
            |guard| guard
        };
        Self {
            bench: Surroundings::new().start_with(&configuration(), change),
            tokens: Cell::new(0),
            holding,
        }
    }

    /// A token that has these scopes.
    fn token(&mut self, scope: &str) -> String {
        let mut claims = default_claims(b"/github/mcp");
        claims["scope"] = scope.into();
        self.bench.answer(&Vars::default(), &active(claims));
        self.tokens.set(self.tokens.get() + 1);
        format!("Bearer kanarie-rules-token-{}", self.tokens.get())
    }

    /// What comes of a request whose token has these scopes.
    fn send(&mut self, protocol: Protocol, scope: &str, request: &Request) -> Response {
        let request = request.clone().header("Authorization", self.token(scope));
        self.bench.send(protocol, &request)
    }

    /// It is let through as it is.
    fn passes(&mut self, protocol: Protocol, scope: &str, request: &Request) {
        let response = self.send(protocol, scope, request);
        let body = shown(request);
        assert_eq!(response.status, 200, "{body} {:?}", response.error());
        let mut arrived = self.bench.arrived();
        // The head of a request that was refused may come late.
        if !self.holding {
            arrived.retain(|one| one.body == request.body);
            arrived.truncate(1);
        }
        assert_eq!(arrived.len(), 1, "{body}");
        assert_eq!(arrived[0].body, request.body);
    }

    /// It is refused, and nothing of its body has left.
    fn refuses(&mut self, protocol: Protocol, scope: &str, request: &Request) -> Response {
        let response = self.send(protocol, scope, request);
        let body = shown(request);
        assert!((400..500).contains(&response.status), "{body}");
        self.nothing_left(&body);
        response
    }

    /// No body has left; and where heads are held back, no head.
    fn nothing_left(&self, what: &str) {
        let arrived: Vec<Message> = self.bench.arrived();
        assert!(arrived.iter().all(|one| one.body.is_empty()), "{what}");
        assert!(!self.holding || arrived.is_empty(), "{what}");
    }
}

/// The beginning of its body.
fn shown(request: &Request) -> String {
    let body = &request.body[..request.body.len().min(120)];
    String::from_utf8_lossy(body).into_owned()
}

/// A call by an older revision, told by the body alone.
fn call(method: &str, params: &Value) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    post("/github/mcp").body(message.to_string())
}

fn tool(name: &str) -> Request {
    call(
        "tools/call",
        &json!({"name": name, "arguments": {"name": "inner"}}),
    )
}

/// A call by revision 2026-07-28, with these headers.
fn modern(name: &str, headers: &[(&str, &str)]) -> Request {
    let version = "2026-07-28";
    let meta = json!({"io.modelcontextprotocol/protocolVersion": version});
    let params = json!({"name": name, "_meta": meta});
    let mut request = call("tools/call", &params).header("MCP-Protocol-Version", version);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
}

fn challenge(response: &Response) -> String {
    let challenge = response.header("www-authenticate").unwrap_or_default();
    String::from_utf8_lossy(challenge).into_owned()
}

/// With and without heads held back, over both versions of HTTP.
fn everywhere(run: impl Fn(&mut World, Protocol)) {
    for holding in [true, false] {
        let mut world = World::start(holding);
        for protocol in [Protocol::Http1, Protocol::Http2] {
            run(&mut world, protocol);
        }
    }
}

const ALL: &str = "mcp:read tools:call tools:delete";

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

/// Sends the head and so much of the body, then the rest when `then` returns.
fn in_two(world: &World, request: &Request, first: usize, then: impl FnOnce()) -> Response {
    let bytes = encode(request);
    let (start, rest) = bytes.split_at(bytes.len() - request.body.len() + first);
    let mut client = Http1::connect(world.bench.envoy.address()).unwrap();
    client.write(start).unwrap();
    then();
    client.write(rest).unwrap();
    client.response(false).unwrap()
}

#[test]
fn a_body_may_come_in_any_pieces() {
    for holding in [true, false] {
        let mut world = World::start(holding);
        // Which of the two it is, is known from here on.
        world.passes(Protocol::Http1, ALL, &tool("echo"));
        for (scope, status) in [(ALL, 200), ("mcp:read", 403)] {
            let request = tool("délête").header("Authorization", world.token(scope));
            for first in 0..=request.body.len() {
                let received = "http.guarded.downstream_cx_rx_bytes_total";
                let before = world.bench.envoy.stat(received);
                let so_far = (encode(&request).len() - request.body.len() + first) as u64;
                let response = in_two(&world, &request, first, || {
                    let envoy = &world.bench.envoy;
                    envoy.wait_stat(received, |bytes| bytes >= before + so_far);
                });
                assert_eq!(response.status, status, "cut at {first}");
                if status == 200 {
                    let mut arrived = world.bench.arrived();
                    arrived.retain(|one| !one.body.is_empty());
                    assert_eq!(arrived.len(), 1);
                    assert_eq!(arrived[0].body, request.body, "cut at {first}");
                } else {
                    world.nothing_left("a cut");
                }
            }
        }
    }
}

/// Nobody tells the guard that Envoy keeps the bodies of heads that are held
/// back. The first head to go on shows it, and all that are held back by then go
/// on as well, however young.
#[test]
fn none_is_forgotten_while_it_is_found_out_how_bodies_come() {
    let mut world = World::start(false);
    let request = tool("echo").header("Authorization", world.token(ALL));
    let to = world.bench.envoy.address();
    let mut clients = Vec::new();
    let is_shown = |world: &World| world.bench.upstream("alpha").record().complete > 0;
    while !is_shown(&world) {
        let request = request.clone();
        clients.push(thread::spawn(move || {
            let mut client = Http1::connect(to).unwrap();
            client.send(&request).unwrap();
            client.response(false).unwrap().status
        }));
        // They are to be of different ages.
        thread::sleep(Duration::from_millis(30));
    }
    let count = clients.len();
    assert!(count > 3, "{count} clients");
    for (place, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap(), 200, "{place} of {count}");
    }
    let arrived = world.bench.arrived();
    assert_eq!(arrived.len(), count);
    assert!(arrived.iter().all(|one| one.body == request.body));
}

/// Whichever of body and answer about the token comes first, nothing leaves
/// before both are there.
#[test]
fn token_and_body_are_waited_for_in_any_order() {
    let mut world = World::start(true);
    for (scope, status) in [(ALL, 200), ("mcp:read", 403)] {
        // The body first.
        let request = tool("echo").header("Authorization", world.token(scope));
        world.bench.authorization_server.close();
        let to = world.bench.envoy.address();
        let sent = request.clone();
        let waiting = thread::spawn(move || {
            let mut client = Http1::connect(to).unwrap();
            client.send(&sent).unwrap();
            client.response(false).unwrap()
        });
        let authorization_server = &world.bench.authorization_server;
        authorization_server.wait("the call", |seen| seen.complete == 1);
        world.nothing_left("before the answer");
        authorization_server.open();
        assert_eq!(waiting.join().unwrap().status, status);
        world.bench.authorization_server.take();
        assert_eq!(world.bench.arrived().len(), usize::from(status == 200));

        // The token first.
        let request = tool("echo").header("Authorization", world.token(scope));
        let response = in_two(&world, &request, 20, || {
            let bench = &world.bench;
            bench
                .authorization_server
                .wait("the call", |seen| seen.complete == 1);
            bench.envoy.wait_stat(
                "wasmcustom.mcp_token_guard_introspections_result=active",
                |_| true,
            );
            // A request behind it is answered: whatever came before it is settled.
            assert_eq!(
                bench.send(Protocol::Http1, &post("/github/mcp")).status,
                401
            );
            assert!(bench.upstream("alpha").record().bytes.is_empty());
        });
        assert_eq!(response.status, status);
        world.bench.authorization_server.take();
        assert_eq!(world.bench.arrived().len(), usize::from(status == 200));
    }
}

#[test]
fn trailers_end_a_body() {
    let with_trailer = |body: &[u8]| post("/github/mcp").body(body).trailer("x-checksum", "abc");
    everywhere(|world, protocol| {
        let call = tool("echo").body;
        if !world.holding {
            // Envoy would lose the body.
            let response = world.refuses(protocol, ALL, &with_trailer(&call));
            assert_eq!(
                (response.status, &*response.error()),
                (400, "malformed_body")
            );
            return;
        }
        world.passes(protocol, ALL, &with_trailer(&call));
        let response = world.refuses(protocol, "mcp:read", &with_trailer(&call));
        assert_eq!(response.error(), "insufficient_scope");
        assert_eq!(
            world.refuses(protocol, ALL, &with_trailer(b"{")).status,
            400
        );
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_reaches_no_upstream() {
    let mut world = World::start(true);
    let request = tool("echo").header("Authorization", world.token(ALL));
    let bytes = encode(&request);
    let mut client = Http1::connect(world.bench.envoy.address()).unwrap();
    client.write(&bytes[..bytes.len() - 5]).unwrap();
    world
        .bench
        .authorization_server
        .wait("the call", |seen| seen.complete == 1);
    drop(client);
    let envoy = &world.bench.envoy;
    envoy.wait_stat("http.guarded.downstream_rq_active", |active| active == 0);
    world.nothing_left("half a body");
    // Others are served as before.
    world.passes(Protocol::Http2, ALL, &tool("echo"));
    let mut client = Http2::connect(world.bench.envoy.address()).unwrap();
    let request = tool("echo").header("Authorization", world.token("mcp:read"));
    assert_eq!(client.exchange(&request).unwrap().status, 403);
    world.nothing_left("refused");
}
