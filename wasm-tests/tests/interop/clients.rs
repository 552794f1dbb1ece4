//! MCP clients that are given the URL of the gateway and nothing else: they get
//! 401, read the metadata, find the authorization server, get a token there and
//! call a tool. A robot has its credentials there, too.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use mcp_token_guard_tests::demo::recording::find;
use serde_json::{Value, json};

use crate::authority::{Authority, Folder, ROBOT, ROBOT_SECRET};
use crate::gateway::Gateway;
use crate::parts::{self, Part};
use crate::relay::Relay;

/// How a client is given a token.
#[derive(Clone, Copy)]
enum By {
    /// By its own credentials.
    Credentials,
    /// By a registration and a login.
    Login,
}

/// What all of them are run with.
pub struct Scene {
    pub authority: Authority,
    pub gateway: Gateway,
}

impl Scene {
    pub fn new() -> Self {
        let authority = Authority::oidc_provider(600);
        let gateway = Gateway::start(&authority);
        Self { authority, gateway }
    }

    /// One where a second scope is needed.
    fn demanding() -> Self {
        let authority = Authority::oidc_provider(600);
        let gateway = Gateway::start_with(&authority, |configuration| {
            configuration["servers"]["tools"]["required_scopes"] = json!(["mcp:read", "mcp:write"]);
        });
        Self { authority, gateway }
    }

    /// One where a second scope is needed for the tool, and for nothing before
    /// it is called.
    fn demanding_by_rule() -> Self {
        let authority = Authority::oidc_provider(600);
        let gateway = Gateway::start_with(&authority, |configuration| {
            configuration["servers"]["tools"]["rules"] = json!([
                {"methods": ["tools/call"], "names": ["ec*"], "required_scopes": ["mcp:write"]},
                {"methods": ["*/list"], "required_scopes": []},
            ]);
        });
        Self { authority, gateway }
    }

    /// What a client is told.
    fn given(&self, by: By, era: &str) -> Value {
        let mut given = json!({"url": self.gateway.url, "era": era});
        if let By::Credentials = by {
            given["robot"] =
                json!({"id": ROBOT, "secret": ROBOT_SECRET, "issuer": self.authority.issuer});
        }
        given
    }

    /// Runs one of our scripts, which gets through to the tool.
    fn script(&self, command: Command, given: &Value) -> Called {
        self.script_with_tokens(command, given, 1)
    }

    /// The same, with so many tokens at least.
    fn script_with_tokens(&self, mut command: Command, given: &Value, least: usize) -> Called {
        command.arg(given.to_string());
        let part = Part::start(command);
        assert_eq!(part.line("said "), "hello");
        let said = part.said();
        let tokens: Vec<_> = said
            .lines()
            .filter_map(|line| line.strip_prefix("token "))
            .collect();
        assert!(tokens.len() >= least, "it says not enough tokens: {said}");
        for token in tokens {
            self.gateway.carries_only_the_credential(token);
        }
        self.called()
    }

    /// How the tool was called.
    pub fn called(&self) -> Called {
        let requests = self.gateway.requests();
        let call = requests
            .iter()
            .find(|request| find(&request.body, b"\"tools/call\"").is_some())
            .expect("a call of a tool at the MCP server");
        let value = |name: &str| {
            let value = call.values(name).next().unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        Called {
            version: value("mcp-protocol-version"),
            session: !value("mcp-session-id").is_empty(),
        }
    }
}

/// How the tool was called, as the MCP server saw it.
#[derive(Debug, PartialEq, Eq)]
pub struct Called {
    /// The revision of the protocol.
    version: String,
    /// Whether it was in a session.
    session: bool,
}

/// A call in a session, of the newest revision that has sessions.
pub fn in_a_session() -> Called {
    Called {
        version: "2025-11-25".to_owned(),
        session: true,
    }
}

/// A call of the revision without sessions.
pub fn stateless() -> Called {
    Called {
        version: "2026-07-28".to_owned(),
        session: false,
    }
}

/// The script of the Python client.
fn python() -> Command {
    parts::python_script("client.py")
}

/// MCP-PRM-a, RFC9728-5.1-a
#[test]
fn python_with_credentials_in_both_eras() {
    let scene = Scene::new();
    let called = scene.script(python(), &scene.given(By::Credentials, "legacy"));
    assert_eq!(called, in_a_session());
    let scene = Scene::new();
    let called = scene.script(python(), &scene.given(By::Credentials, "auto"));
    assert_eq!(called, stateless());
}

#[test]
fn python_registers_and_logs_in() {
    let scene = Scene::new();
    scene.script(python(), &scene.given(By::Login, "legacy"));
}

/// INTEROP-stepup
#[test]
fn python_steps_up_in_both_eras() {
    assert_eq!(steps_up(python, "legacy", |given| given), in_a_session());
    assert_eq!(steps_up(python, "auto", |given| given), stateless());
}

/// RFC9110-15.6-a
#[test]
fn python_that_comes_again_keeps_its_token() {
    keeps_its_token(python, |given| given);
}

/// What the TypeScript clients are told, and which one it is for.
fn typescript(mut given: Value, generation: u8) -> Value {
    given["generation"] = generation.into();
    given
}

/// The script of the TypeScript clients.
fn node() -> Command {
    parts::node_script("client.mjs")
}

/// MCP-PRM-a, RFC9728-5.1-a
#[test]
fn typescript_1_with_credentials() {
    let scene = Scene::new();
    let given = typescript(scene.given(By::Credentials, "legacy"), 1);
    assert_eq!(scene.script(node(), &given), in_a_session());
}

#[test]
fn typescript_1_registers_and_logs_in() {
    let scene = Scene::new();
    scene.script(node(), &typescript(scene.given(By::Login, "legacy"), 1));
}

/// INTEROP-stepup
#[test]
fn typescript_1_steps_up() {
    let called = steps_up(node, "legacy", |given| typescript(given, 1));
    assert_eq!(called, in_a_session());
}

/// RFC9110-15.6-a
#[test]
fn typescript_1_that_comes_again_keeps_its_token() {
    keeps_its_token(node, |given| typescript(given, 1));
}

/// MCP-PRM-a, RFC9728-5.1-a
#[test]
fn typescript_2_with_credentials_in_both_eras() {
    let scene = Scene::new();
    let given = typescript(scene.given(By::Credentials, "legacy"), 2);
    assert_eq!(scene.script(node(), &given), in_a_session());
    let scene = Scene::new();
    let given = typescript(scene.given(By::Credentials, "auto"), 2);
    assert_eq!(scene.script(node(), &given), stateless());
}

#[test]
fn typescript_2_registers_and_logs_in() {
    let scene = Scene::new();
    scene.script(node(), &typescript(scene.given(By::Login, "auto"), 2));
}

/// INTEROP-stepup
#[test]
fn typescript_2_steps_up_in_both_eras() {
    let called = |era| steps_up(node, era, |given| typescript(given, 2));
    assert_eq!(called("legacy"), in_a_session());
    assert_eq!(called("auto"), stateless());
}

/// RFC9110-15.6-a
#[test]
fn typescript_2_that_comes_again_keeps_its_token() {
    keeps_its_token(node, |given| typescript(given, 2));
}

/// MCP-ERA-a: while the authorization server is away a client neither takes the
/// MCP server for one of an older revision nor throws its token away.
#[test]
fn typescript_2_fails_without_falling_back_when_nobody_can_be_asked() {
    let scene = Scene::new();
    let token = scene.authority.issued(ROBOT, &scene.gateway.url);
    let mut given = typescript(scene.given(By::Login, "auto"), 2);
    given["seed"] = token.as_str().into();
    drop(scene.authority);
    let mut command = node();
    command.arg(given.to_string());
    let part = Part::start(command);
    part.line("fails ");
    let said = part.said();
    let tries: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("tries "))
        .collect();
    assert!(!tries.is_empty(), "{said}");
    assert!(
        tries.iter().all(|line| *line == "tries server/discover"),
        "{said}"
    );
    assert!(
        !said.contains("token "),
        "it asked for another token: {said}"
    );
    scene
        .gateway
        .refuses(&token, 503, "temporarily_unavailable");
}

/// A client that begins with a token that lacks a scope logs in for one that
/// has it, by itself: where all that it does needs the scope, and where a rule
/// asks for it when the tool is called, in the middle of a session.
fn steps_up(command: impl Fn() -> Command, era: &str, change: impl Fn(Value) -> Value) -> Called {
    let scene = Scene::demanding();
    let narrow = scene.authority.issued(ROBOT, &scene.gateway.url);
    scene.gateway.refuses(&narrow, 403, "insufficient_scope");
    let mut given = scene.given(By::Login, era);
    given["seed"] = narrow.as_str().into();
    let called = scene.script(command(), &change(given));
    scene.gateway.carries_only_the_credential(&narrow);
    let scene = Scene::demanding_by_rule();
    let mut given = change(scene.given(By::Login, era));
    // The first generation of TypeScript's renews its token in place of asking
    // for another scope, where it can.
    given["renews"] = false.into();
    // One for everything before, and one for the tool.
    assert_eq!(scene.script_with_tokens(command(), &given, 2), called);
    called
}

/// A client that has a token, and comes again while the authorization server is
/// away, gets through with that very token once it is back.
fn keeps_its_token(command: impl Fn() -> Command, change: impl Fn(Value) -> Value) {
    let authority = Authority::oidc_provider(600);
    let relay = Relay::to(authority.address);
    relay.close();
    let gateway = Gateway::start_through(relay.address, &authority, |_| ());
    let scene = Scene { authority, gateway };
    let token = scene.authority.issued(ROBOT, &scene.gateway.url);
    let mut given = scene.given(By::Login, "legacy");
    given["seed"] = token.as_str().into();
    given["again"] = true.into();
    let mut command = command();
    command.arg(change(given).to_string());
    let part = Part::start(command);
    part.line("fails ");
    part.line("fails ");
    assert_eq!(scene.gateway.requests().len(), 0);
    relay.open();
    assert_eq!(part.line("said "), "hello");
    let said = part.said();
    let another = said.lines().any(|line| line.starts_with("token "));
    assert!(!another, "it asked for another: {said}");
    scene.gateway.carries_only_the_credential(&token);
}

#[test]
fn inspector_calls_a_tool_with_a_header() {
    let scene = Scene::new();
    let token = scene.authority.issued(ROBOT, &scene.gateway.url);
    let home = Folder::new();
    let mut command =
        parts::node_program("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    command
        .args(["--cli", &scene.gateway.url, "--transport", "http"])
        .args(["--method", "tools/call", "--tool-name", "echo"])
        .args(["--tool-arg", "message=hello"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .env("HOME", &home.0)
        .stdin(Stdio::null());
    let part = Part::start(command);
    part.line_with("\"hello\"");
    scene.gateway.carries_only_the_credential(&token);
    scene.called();
}

#[test]
fn mcp_remote_bridges_with_credentials() {
    let scene = Scene::new();
    let home = Folder::new();
    let client = json!({"client_id": ROBOT, "client_secret": ROBOT_SECRET});
    let mut command = parts::node_program("mcp-remote/dist/proxy.js");
    command
        .arg(&scene.gateway.url)
        .args([
            "--allow-http",
            "--transport",
            "http-only",
            "--client-credentials",
        ])
        .args(["--static-oauth-client-info", &client.to_string()])
        .env("MCP_REMOTE_CONFIG_DIR", &home.0)
        .stdin(Stdio::piped());
    let mut part = Part::start(command);
    let about = json!({"name": "interop", "version": "1"});
    part.say(
        &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about,
        }}),
    );
    part.line_with("serverInfo");
    part.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    part.say(
        &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "echo", "arguments": {"message": "hello"},
        }}),
    );
    part.line_with("\"hello\"");
    scene.gateway.carries_only_the_credential(&kept(&home));
    assert_eq!(scene.called(), in_a_session());
    // It is no stranger to the end of a token.
    scene.authority.revoke(&kept(&home));
    std::thread::sleep(Duration::from_secs(2));
    part.say(
        &json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "echo", "arguments": {"message": "again"},
        }}),
    );
    part.line_with("\"again\"");
    scene.gateway.carries_only_the_credential(&kept(&home));
}

/// The access token that `mcp-remote` keeps below its folder.
fn kept(folder: &Folder) -> String {
    let mut folders = vec![folder.0.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let json: Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(token) = json["access_token"].as_str() {
                return token.to_owned();
            }
        }
    }
    panic!("it keeps no token")
}
