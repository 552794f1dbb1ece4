//! However a path is written, and whatever Envoy is told to make of it, it opens
//! no door: neither round the token nor to another server.

use mcp_token_guard_tests::client::{Protocol, Response, send};
use mcp_token_guard_tests::envoy::{Bench, Surroundings};
use mcp_token_guard_tests::scenario::{Message, Request, base, get, percent_decoded, post};
use serde_json::{Value, json};

/// The metadata of one server, and the paths of servers: alone on their
/// clusters, and two on one.
const PATHS: &[&str] = &[
    "/.well-known/oauth-protected-resource/github/mcp",
    "/github/mcp",
    "/linear/mcp",
    "/shared/a/mcp",
    "/shared/a/b/mcp",
];

/// What a slash can be written as, or be taken for.
const SLASHES: &[&str] = &[
    "//",
    "/./",
    "/x/../",
    "/%2e/",
    "/x/%2e%2e/",
    "/x/.%2E/",
    "/;/",
    "/.;/",
    "/x/..;/",
    "/..;x=1/",
    ";/",
    ";x=1/",
    "%2f",
    "%2F",
    "%252f",
    "%5c",
    "\\",
    "/\\",
];

/// What can come behind a path.
const ENDS: &[&str] = &[
    "/",
    "/.",
    "/..",
    "/../",
    ";",
    ";x=1",
    "%00",
    "%20",
    "%23",
    "%3f",
    "?x=1",
    "?/../..",
    "#x",
    "/../../linear/mcp",
    "/%2e%2e/%2e%2e/linear/mcp",
    "/..%2f..%2flinear/mcp",
    "/..;/..;/linear/mcp",
    "/../../../../linear/mcp",
    "/../../../../shared/a/b/mcp",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/shared/a/b/mcp",
    "/../../../.well-known/oauth-protected-resource/linear/mcp",
];

/// Every way in which a path of [`PATHS`] is written here.
fn spellings() -> Vec<String> {
    let mut all = Vec::new();
    for path in PATHS {
        all.push((*path).to_owned());
        all.extend(ENDS.iter().map(|end| format!("{path}{end}")));
        all.push(path.to_uppercase());
        // As a proxy is asked.
        all.push(format!("http://gateway.example.com{path}"));
        all.push(format!("http://linear@single.example.com//{path}"));
        for (at, _) in path.match_indices('/') {
            let (before, behind) = path.split_at(at);
            let behind = &behind[1..];
            all.extend(
                SLASHES
                    .iter()
                    .map(|slash| format!("{before}{slash}{behind}")),
            );
            let (first, rest) = behind.split_at(1);
            let letter = first.as_bytes()[0];
            all.push(format!("{before}/%{letter:02x}{rest}"));
            all.push(format!("{before}/%25{letter:02x}{rest}"));
        }
    }
    all
}

/// Asserts that there is no door while Envoy's connection manager has these
/// options.
fn hold(options: &Value) {
    let mut surroundings = Surroundings::new();
    surroundings.setup.manager = options.clone();
    let mut bench = surroundings.start(&base());
    let mut open = nobody_gets_in(&bench);
    for server in ["/github/mcp", "/shared/a"] {
        bench.admit(server);
        open.extend(only_the_server_of_the_token(&bench, server));
    }
    let count = open.len();
    open.truncate(20);
    let open = open.join("\n");
    assert!(count == 0, "{count} doors with {options}:\n{open}");
}

/// PATH-norm
#[test]
fn as_the_samples_have_it() {
    hold(&json!({}));
}

/// PATH-norm
#[test]
fn with_paths_left_as_they_are() {
    hold(&json!({
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    }));
}

/// PATH-norm
#[test]
fn with_paths_made_normal_but_for_slashes() {
    hold(&json!({
        "normalize_path": true,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    }));
}

/// PATH-norm
#[test]
fn with_escaped_slashes_made_plain() {
    hold(&json!({"path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"}));
}

/// PATH-norm
#[test]
fn with_escaped_slashes_made_plain_and_nothing_else() {
    hold(&json!({
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    }));
}

/// PATH-norm
#[test]
fn with_escaped_slashes_redirected() {
    hold(&json!({"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"}));
}

/// Sends a request. Envoy may refuse it without a word of HTTP.
fn sent(bench: &Bench, request: &Request) -> Response {
    send(bench.envoy.address(), Protocol::Http1, request).unwrap_or_default()
}

/// Without a token nothing gets to a server, and what is answered is the
/// metadata of a server or no success.
fn nobody_gets_in(bench: &Bench) -> Vec<String> {
    let mut open = Vec::new();
    let mut documents = 0;
    let base = base();
    let servers = base["servers"].as_object().expect("servers").values();
    let resources: Vec<_> = servers.map(|server| &server["resource"]).collect();
    for path in spellings() {
        for request in [get(&path), post(&path)] {
            let response = sent(bench, &request);
            let arrived = bench.arrived();
            if !arrived.is_empty() {
                open.push(format!("{path} got through to {}", arrived[0].cluster));
            }
            if response.status < 300 && response.status != 0 {
                let json: Value = serde_json::from_slice(&response.body).unwrap_or_default();
                documents += 1;
                if !resources.contains(&&json["resource"]) {
                    let said = String::from_utf8_lossy(&response.body);
                    open.push(format!(
                        "{path} was answered with {} {said}",
                        response.status
                    ));
                }
            }
        }
    }
    assert!(documents > 0, "not even the metadata was there");
    assert_eq!(bench.authorization_server.take().messages.len(), 0);
    open
}

/// With a token that is good for one server, nothing gets to another: what
/// arrives has the credential of that one, and its path cannot be read as one of
/// another.
fn only_the_server_of_the_token(bench: &Bench, server: &str) -> Vec<String> {
    let (cluster, credential) = match server {
        "/github/mcp" => ("alpha", "Bearer kanarie-alpha-credential"),
        _ => ("shared", "Bearer kanarie-team-a-credential"),
    };
    let mut open = Vec::new();
    let mut through = 0;
    let token = format!("kanarie-paths-of-{cluster}");
    for path in spellings() {
        let request = post(&path).header("Authorization", format!("Bearer {token}"));
        sent(bench, &request);
        for message in bench.arrived() {
            through += 1;
            let seen = String::from_utf8_lossy(&message.path);
            let found = message.headers.iter().find(|(n, _)| n == b"authorization");
            let right = found.is_some_and(|(_, value)| value == credential.as_bytes());
            if message.cluster != cluster || !right {
                open.push(format!(
                    "{path} got through to {} as {seen}",
                    message.cluster
                ));
            }
            if cluster == "shared" && !is_of_the_first_team(&message) {
                open.push(format!("{path} got through as {seen}"));
            }
            if memchr::memmem::find(&message.bytes(), token.as_bytes()).is_some() {
                open.push(format!("{path} got through with the token"));
            }
        }
    }
    assert!(through > 0, "nothing got through to {server}");
    open
}

/// Whether a path stays below `/shared/a` and out of `/shared/a/b` as a server
/// would see it that decodes, drops parameters and resolves dots.
fn is_of_the_first_team(message: &Message) -> bool {
    let path = message
        .path
        .split(|b| *b == b'?')
        .next()
        .unwrap_or_default();
    let decoded = String::from_utf8_lossy(&percent_decoded(path)).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    segments.starts_with(&["shared", "a"]) && segments.get(2) != Some(&"b")
}
