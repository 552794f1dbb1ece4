//! The authorization servers.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_token_guard_tests::client::{self, Protocol, Response};
use mcp_token_guard_tests::scenario::{CLIENT_ID, CLIENT_SECRET, INTROSPECTION_CLUSTER, request};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::parts::{self, Part};

/// A client that may have tokens by its own credentials.
pub const ROBOT: &str = "robot";

/// Its secret.
pub const ROBOT_SECRET: &str = "kanarie-robot-secret";

/// The bearer token by which `django-oauth-toolkit` lets one introspect.
pub const INTROSPECTOR: &str = "kanarie-introspection-bearer";

/// A refresh token that `django-oauth-toolkit` knows.
pub const REFRESH: &str = "kanarie-refresh-token";

/// The access token there that the refresh token came with: of a user, and for
/// no resource.
pub const OF_ALICE: &str = "of-alice";

/// A running authorization server.
pub struct Authority {
    /// Its issuer.
    pub issuer: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The paths of its endpoints.
    token: &'static str,
    introspection: &'static str,
    revocation: &'static str,
    /// How its clients prove who they are: `client_secret_basic` or
    /// `client_secret_post`.
    method: &'static str,
    /// The child.
    _part: Part,
    /// A folder to be removed when it has ended.
    _folder: Option<Folder>,
}

impl Authority {
    /// npm's `oidc-provider`, whose access tokens live so many seconds.
    pub fn oidc_provider(life: u64) -> Self {
        let mut command = parts::node_script("oidc-provider.mjs");
        command.arg(given(life).to_string());
        let part = Part::start(command);
        let issuer = part.line("ready ");
        Self {
            address: address(&issuer),
            issuer,
            token: "/token",
            introspection: "/token/introspection",
            revocation: "/token/revocation",
            method: "client_secret_basic",
            _part: part,
            _folder: None,
        }
    }

    /// `PyPI`'s `django-oauth-toolkit`, whose access tokens live so many seconds.
    pub fn django(life: u64) -> Self {
        let mut command = parts::python_script("django-oauth-toolkit.py");
        command.arg(given(life).to_string());
        let part = Part::start(command);
        let issuer = part.line("ready ");
        Self {
            address: address(&issuer),
            issuer,
            token: "/o/token/",
            introspection: "/o/introspect/",
            revocation: "/o/revoke_token/",
            method: "client_secret_basic",
            _part: part,
            _folder: None,
        }
    }

    /// `PyPI`'s `nanoidp`, whose access tokens live for a minute, which is the
    /// least it has. In Basic it does not undo the form-encoding that RFC 6749
    /// asks for, so a name with a colon can only come in the form.
    pub fn nanoidp() -> Self {
        let method = "client_secret_post";
        let client = |id, secret| {
            json!({
                "client_id": id,
                "client_secret": secret,
                "token_endpoint_auth_method": method,
            })
        };
        let folder = Folder::new();
        let address = free();
        let issuer = format!("http://{address}");
        let settings = json!({
            "config_version": 1,
            "server": {"host": "127.0.0.1", "port": address.port()},
            "oauth": {
                "issuer": issuer,
                "audience": "of-no-resource",
                "token_expiry_minutes": 1,
                "scopes_supported": ["openid", "mcp:read", "mcp:write"],
                "clients": [client(CLIENT_ID, CLIENT_SECRET), client(ROBOT, ROBOT_SECRET)],
            },
        });
        let users = json!({"config_version": 1, "users": {"alice": {"password": "alice"}}});
        // YAML contains JSON.
        for (name, value) in [("settings.yaml", settings), ("users.yaml", users)] {
            fs::write(folder.0.join(name), value.to_string()).expect("to write a file");
        }
        let mut command = parts::python_program("nanoidp");
        command
            .args(["--config", ".", "--host", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .current_dir(&folder.0);
        let part = Part::start(command);
        listens(address, &part);
        Self {
            issuer,
            address,
            token: "/token",
            introspection: "/introspect",
            revocation: "/revoke",
            method,
            _part: part,
            _folder: Some(folder),
        }
    }

    /// The part of the guard's configuration about it.
    pub fn configuration(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "introspection": {
                "url": format!("http://{}{}", self.address, self.introspection),
                "cluster": INTROSPECTION_CLUSTER,
                "auth_method": self.method,
                "client_id": CLIENT_ID,
                "client_secret": "${env:INTROSPECTION_CLIENT_SECRET}",
                // The machine has other work; slowness is tested elsewhere.
                "timeout": "20s",
            },
        })
    }

    /// What it answers to the robot's form at its token endpoint.
    pub fn granted(&self, client: &str, form: &[(&str, &str)]) -> Value {
        let response = self.post(self.token, (client, ROBOT_SECRET), form);
        let said = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, 200, "no token: {said}");
        serde_json::from_slice(&response.body).expect("JSON")
    }

    /// An access token for a resource, by the client's own credentials.
    pub fn issued(&self, client: &str, resource: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", resource),
            ("scope", "mcp:read"),
        ];
        member(&self.granted(client, &form), "access_token")
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        let form = [("token", token)];
        let response = self.post(self.revocation, (ROBOT, ROBOT_SECRET), &form);
        assert_eq!(response.status, 200, "it was not revoked");
    }

    /// What it answers to one who introspects as the guard does.
    pub fn introspected(&self, token: &str) -> (u16, Value) {
        let form = [("token", token)];
        let response = self.post(self.introspection, (CLIENT_ID, CLIENT_SECRET), &form);
        let body = serde_json::from_slice(&response.body).unwrap_or_default();
        (response.status, body)
    }

    /// Posts a form, the client authenticated as it is to be.
    fn post(&self, path: &str, client: (&str, &str), form: &[(&str, &str)]) -> Response {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let mut request = request("POST", path)
            .to(&self.address.to_string())
            .header("Content-Type", "application/x-www-form-urlencoded");
        if self.method == "client_secret_basic" {
            let encoded = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let basic = STANDARD.encode(format!("{}:{}", encoded(client.0), encoded(client.1)));
            request = request.header("Authorization", format!("Basic {basic}"));
        } else {
            body.extend_pairs([("client_id", client.0), ("client_secret", client.1)]);
        }
        let request = request.body(body.finish());
        client::send(self.address, Protocol::Http1, &request).expect("an answer")
    }
}

/// What the scripts are told.
fn given(life: u64) -> Value {
    json!({
        "life": life,
        "gateway": {"id": CLIENT_ID, "secret": CLIENT_SECRET},
        "robot": {"id": ROBOT, "secret": ROBOT_SECRET},
        "introspector": INTROSPECTOR,
        "refresh": REFRESH,
    })
}

/// A member of an answer, which is text.
pub fn member(answer: &Value, name: &str) -> String {
    let text = answer[name].as_str();
    text.unwrap_or_else(|| panic!("no {name} in {answer}"))
        .to_owned()
}

/// Where an issuer listens.
fn address(issuer: &str) -> SocketAddr {
    let authority = issuer.trim_start_matches("http://").split('/').next();
    authority
        .and_then(|text| text.parse().ok())
        .expect("an address")
}

/// A port of loopback that is free at the moment.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// Waits until a part listens.
pub fn listens(address: SocketAddr, part: &Part) {
    let end = Instant::now() + Duration::from_secs(180);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < end, "it does not listen: {}", part.said());
        sleep(Duration::from_millis(50));
    }
}

/// A folder of the test's own.
pub struct Folder(pub PathBuf);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mcp-token-guard-interop-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
