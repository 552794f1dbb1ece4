//! The servers around Envoy, and the tokens that are known to them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use load::{Grant, Pace, Reply, Server, check_response, response};
use memchr::memmem;
use serde_json::{Value, json};

use super::filters::sample;

/// How tokens begin that the authorization servers find good.
const GOOD: &str = "client-token-";

/// How others begin.
const BAD: &str = "client-bogus-";

/// The credential of the upstream.
pub(super) const CREDENTIAL: &str = "upstream-credential-0123456789";

/// How far away some of the authorization servers are.
pub(super) const FAR: Duration = Duration::from_millis(5);

/// Pieces of one streamed answer.
pub(super) const PIECES: usize = 200;

/// The path that is answered by a stream; below the one of the sample.
pub(super) const STREAM: &str = "/mcp/stream";

/// The servers.
#[derive(Debug)]
pub(super) struct Peers {
    /// An upstream that takes any request.
    pub(super) open: Server,
    /// One that refuses what has not the credential, or has the client's token.
    pub(super) strict: Server,
    /// Authorization servers (RFC 7662), near and far.
    pub(super) introspection: [Server; 2],
    /// A token endpoint, which issues the upstream's credential.
    pub(super) tokens: Server,
    /// Servers for `ext_authz` by HTTP, near and far.
    pub(super) http_check: [Server; 2],
    /// The same by gRPC, near.
    pub(super) grpc_check: Server,
}

impl Peers {
    /// Starts them.
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self {
            open: upstream(|_| true)?,
            strict: upstream(|head| {
                memmem::find(head, CREDENTIAL.as_bytes()).is_some()
                    && memmem::find(head, b"client-").is_none()
            })?,
            introspection: [introspection(Duration::ZERO)?, introspection(FAR)?],
            tokens: {
                let issued = json!({
                    "access_token": CREDENTIAL,
                    "token_type": "Bearer",
                    "expires_in": 3_600,
                });
                let issued = json_reply("200 OK", &[], &issued);
                Server::http(move |_| issued.clone())?
            },
            http_check: [http_check(Duration::ZERO)?, http_check(FAR)?],
            grpc_check: Server::grpc(Grant {
                needle: format!("Bearer {GOOD}").into_bytes(),
                granted: check_response(Some(&format!("Bearer {CREDENTIAL}"))).into(),
                refused: check_response(None).into(),
            })?,
        })
    }
}

/// A token of this length that is good, or is not; it ends with eight digits.
pub(super) fn token(good: bool, length: usize) -> String {
    let begin = if good { GOOD } else { BAD };
    format!("{begin:x<width$}00000000", width = length - 8)
}

fn json_reply(status: &str, lines: &[&str], content: &Value) -> Reply {
    let mut all = vec!["content-type: application/json"];
    all.extend(lines);
    Reply::now(response(status, &all, content.to_string().as_bytes()))
}

/// An MCP server, if the head is one that it takes.
fn upstream(takes: impl Fn(&[u8]) -> bool + Send + 'static) -> io::Result<Server> {
    let result =
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "ok"}]}});
    let yes = json_reply("200 OK", &[], &result);
    let no = json_reply("418 Refused", &[], &json!({"error": "not as it should be"}));
    let event =
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let stream = Reply {
        then: Some(Pace {
            piece: format!("{:x}\r\n{event}\r\n", event.len())
                .into_bytes()
                .into(),
            times: PIECES,
            every: Duration::from_millis(1),
            end: Arc::from(&b"0\r\n\r\n"[..]),
        }),
        ..Reply::now(head.as_bytes())
    };
    let streams = format!("POST {STREAM} ");
    Server::http(move |request| match takes(request) {
        false => no.clone(),
        true if request.starts_with(streams.as_bytes()) => stream.clone(),
        true => yes.clone(),
    })
}

/// An authorization server that is asked about tokens.
fn introspection(delay: Duration) -> io::Result<Server> {
    let sample = sample();
    let server = &sample["servers"]["demo"];
    let active = json!({
        "active": true,
        "iss": sample["authorization_server"]["issuer"],
        "aud": server["resource"],
        "scope": server["required_scopes"][0],
        "sub": "user-1",
        "client_id": "client-1",
        "token_type": "Bearer",
        "exp": 4_102_444_800_u64,
    });
    let yes = json_reply("200 OK", &[], &active).after(delay);
    let no = json_reply("200 OK", &[], &json!({"active": false})).after(delay);
    let needle = format!("token={GOOD}");
    Server::http(
        move |request| match memmem::find(request, needle.as_bytes()) {
            Some(_) => yes.clone(),
            None => no.clone(),
        },
    )
}

/// An authorization service of Envoy's, which has nobody to ask.
fn http_check(delay: Duration) -> io::Result<Server> {
    let credential = format!("authorization: Bearer {CREDENTIAL}");
    let yes = json_reply("200 OK", &[&credential], &json!({})).after(delay);
    let no = json_reply("403 Forbidden", &[], &json!({})).after(delay);
    let needle = format!("authorization: Bearer {GOOD}");
    Server::http(
        move |request| match memmem::find(request, needle.as_bytes()) {
            Some(_) => yes.clone(),
            None => no.clone(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_length_that_is_asked_for() {
        for length in [43, 900] {
            assert_eq!(token(true, length).len(), length);
            assert_eq!(token(false, length).len(), length);
        }
    }
}
