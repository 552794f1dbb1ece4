//! A client in a browser: a page of another origin that calls the gateway.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use mcp_token_guard_tests::module::project;
use mcp_token_guard_tests::peers::runtime;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use crate::authority::{Authority, Folder, ROBOT, free};
use crate::gateway::Gateway;
use crate::parts::{self, Part};

/// The server of a page, which is an origin of its own.
struct Page {
    /// Where it is.
    address: SocketAddr,
    /// What the page tells.
    told: UnboundedReceiver<Value>,
    /// The server.
    server: JoinHandle<()>,
}

impl Page {
    /// Serves the page here, and tells it this.
    fn serve(address: SocketAddr, given: Value) -> Self {
        let source = project().join("wasm-tests/interop/page.html");
        let source = fs::read_to_string(source).expect("the page");
        let (tell, told) = unbounded_channel();
        let router = Router::new()
            .route("/", get(|| async { Html(source) }))
            .route("/given", get(|| async { Json(given) }))
            .route(
                "/told",
                post(|Json(value): Json<Value>| async move {
                    // Nobody has to listen.
                    let _ = tell.send(value);
                }),
            );
        let listener = runtime()
            .block_on(TcpListener::bind(address))
            .expect("a free port");
        let server = runtime().spawn(async {
            axum::serve(listener, router).await.expect("to serve");
        });
        Self {
            address,
            told,
            server,
        }
    }

    /// What the page tells when Chromium has opened it.
    fn opened(mut self) -> Value {
        let profile = Folder::new();
        let mut command = Command::new(parts::chromium());
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
            ])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--no-proxy-server"])
            // It has nobody to call but us.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.0.display()))
            // Else it ends once the page is there.
            .arg("--remote-debugging-port=0")
            .arg(format!("http://{}/", self.address))
            .env("HOME", &profile.0)
            .stdin(Stdio::null());
        let part = Part::start(command);
        let told = runtime().block_on(async {
            tokio::time::timeout(Duration::from_secs(90), self.told.recv()).await
        });
        told.ok()
            .flatten()
            .unwrap_or_else(|| panic!("the page tells nothing; Chromium says: {}", part.said()))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a page can see, of an origin that is allowed or of another, and the
/// gateway's URL.
fn seen(allowed: bool) -> (Value, Gateway, String) {
    let authority = Authority::oidc_provider(600);
    let address = free();
    let origin = if allowed {
        format!("http://{address}")
    } else {
        "https://app.example.com".to_owned()
    };
    let gateway = Gateway::start_with(&authority, |configuration| {
        configuration["allowed_origins"] = json!([origin]);
    });
    let token = authority.issued(ROBOT, &gateway.url);
    let page = Page::serve(address, json!({"url": gateway.url, "token": token}));
    (page.opened(), gateway, token)
}

/// FETCH-pre-a, FETCH-pre-b, FETCH-exp-a, PRM-cors
#[test]
fn a_page_of_an_allowed_origin_sees_the_challenge_and_the_metadata_and_calls_a_tool() {
    let (told, gateway, token) = seen(true);
    let refused = &told["unauthorized"];
    let challenge = refused["challenge"].as_str().unwrap_or_default();
    assert_eq!(refused["status"], 401, "{told:#}");
    assert!(
        challenge.starts_with("Bearer resource_metadata=\""),
        "{told:#}"
    );
    assert!(refused["body"]["error"].is_string(), "{told:#}");
    assert_eq!(
        told["document"]["resource"],
        gateway.url.as_str(),
        "{told:#}"
    );
    assert_eq!(told["call"]["status"], 200, "{told:#}");
    let said = told["call"]["said"].as_str().unwrap_or_default();
    assert!(said.contains("hello"), "{told:#}");
    gateway.carries_only_the_credential(&token);
}

/// MCP-ORIGIN-a: the browser asks first, is not allowed, and calls nothing. The
/// metadata is for everybody.
#[test]
fn a_page_of_another_origin_sees_the_metadata_and_nothing_else() {
    let (told, gateway, _) = seen(false);
    assert_eq!(told["unauthorized"]["error"], "TypeError", "{told:#}");
    assert_eq!(told["call"]["error"], "TypeError", "{told:#}");
    assert_eq!(
        told["document"]["resource"],
        gateway.url.as_str(),
        "{told:#}"
    );
    assert_eq!(gateway.requests().len(), 0);
}
