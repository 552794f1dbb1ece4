//! Tests of whole configurations: what they share.

mod headers;
mod issuers;
mod secrets;
mod servers;
mod shape;
mod whole;

use serde_json::{Value, json};

use super::*;
use crate::config::Server;
use crate::config::schema::tests::agree;
use crate::servers::Found;

/// In every value that is secret.
const CANARY: &str = "cAnArY0123456789abcdef";

pub(in crate::config) fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" | "TOKEN" | "KEY" => Some(format!("{CANARY}-{name}")),
        "P256" => Some(crate::config::client_auth::tests::KEY.to_owned()),
        "EMPTY" => Some(String::new()),
        "LINE" => Some(format!("{CANARY}\n")),
        _ => None,
    }
}

fn parse(config: &Value) -> Result<Config, String> {
    let parsed = Config::parse(config.to_string().as_bytes(), &env);
    // The schema says the same, on every sample there is.
    agree(config, &parsed);
    parsed.map_err(|errors| errors.to_string())
}

/// Good configurations of each kind.
pub(in crate::config) fn examples() -> Vec<Value> {
    let introspection = "authorization_server.introspection";
    let post = with(
        example(),
        &format!("{introspection}.auth_method"),
        "client_secret_post",
    );
    let other = |auth: Value| {
        let mut auth = auth;
        auth["url"] = json!("http://127.0.0.1:9000/introspect");
        auth["cluster"] = json!("authorization-server");
        let two = json!(["${env:KEY}", "a-key-of-more-than-16-bytes"]);
        let config = with(least(), introspection, auth);
        let config = with(config, "session_key", two);
        with(config, "servers.github.cluster", json!(["a", "b-*"]))
    };
    let bearer = other(json!({"auth_method": "bearer", "token": "${env:TOKEN}"}));
    let none = other(json!({"auth_method": "none"}));
    let credential = json!({
        "grant": "client_credentials",
        "url": "https://auth.example.com/oauth2/token",
        "cluster": "authorization-server",
        "auth_method": "client_secret_post",
        "client_id": "mcp-gateway",
        "client_secret": "${env:SECRET}",
        "timeout": "2s",
        "scope": ["mcp:call"],
        "audience": ["https://mcp.example.com"],
        "resource": "https://mcp.example.com/mcp",
        "default_expires_in": "60s"
    });
    let fetched = with(least(), "servers.github.credential", credential);
    let exchanged = with(
        fetched.clone(),
        "servers.github.credential.grant",
        "token_exchange",
    );
    let two = other(json!({"client_id": "a", "client_secret": ["${env:SECRET}", "b"]}));
    let private = other(json!({
        "auth_method": "private_key_jwt", "client_id": "a", "private_key": "${env:P256}",
        "key_id": "k", "assertion_audience": "https://auth.example.com/token",
    }));
    let certificate = other(json!({"auth_method": "tls_client_auth", "client_id": "a"}));
    vec![
        least(),
        example(),
        post,
        bearer,
        none,
        two,
        private,
        certificate,
        fetched,
        exchanged,
        several(),
    ]
}

/// What has to be there.
fn least() -> Value {
    json!({
        "authorization_server": {
            "issuer": "https://auth.example.com",
            "introspection": {
                "url": "https://auth.example.com/oauth2/introspect",
                "cluster": "authorization-server",
                "client_id": "mcp-gateway",
                "client_secret": "${env:SECRET}"
            }
        },
        "servers": {"github": {"resource": "https://gateway.example.com/github/mcp"}}
    })
}

/// Two authorization servers.
fn several() -> Value {
    let one = |name: &str, prefix: Value| {
        let mut one = least()["authorization_server"].clone();
        one["issuer"] = json!(format!("https://{name}.example.com"));
        if !prefix.is_null() {
            one["token_prefix"] = prefix;
        }
        one
    };
    json!({
        "authorization_servers": {
            "corp": one("corp", Value::Null),
            "partner": one("partner", json!("ptn_"))
        },
        "session_key": "${env:KEY}",
        "servers": {
            "github": {
                "resource": "https://gateway.example.com/github/mcp",
                "authorization_servers": ["partner", "corp"]
            },
            "linear": {
                "resource": "https://gateway.example.com/linear/mcp",
                "certificate_bound_tokens": true,
                "authorization_servers": "corp"
            }
        }
    })
}

/// The example of the contract.
fn example() -> Value {
    json!({
        "authorization_server": {
            "issuer": "https://auth.example.com",
            "introspection": {
                "url": "https://auth.example.com/oauth2/introspect",
                "cluster": "authorization-server",
                "auth_method": "client_secret_basic",
                "client_id": "mcp-gateway",
                "client_secret": "${env:SECRET}",
                "timeout": "2s"
            }
        },
        "cache": {
            "ttl": "30s",
            "negative_ttl": "5s",
            "max_entries": 8192,
            "stale_if_error": "0s",
            "recheck_streams": "0s",
            "call_grace": "10m"
        },
        "limits": {
            "in_flight": 256, "waiting": 4096, "cache_bytes": "16MiB", "answer": "256KiB"
        },
        "servers": {
            "github": {
                "cluster": "github",
                "resource": "https://gateway.example.com/github/mcp",
                "audience": ["https://gateway.example.com/github/mcp"],
                "audience_checked_by_authorization_server": false,
                "required_scopes": ["mcp:read"],
                "default_headers": {"Authorization": "Bearer ${env:TOKEN}"}
            }
        },
        "scope_implies": {"mcp:admin": ["mcp:read", "mcp:write"]},
        "allowed_origins": ["https://app.example.com"],
        "strip_headers": ["x-legacy-token"],
        "identity_headers": {"x-mcp-subject": "sub", "x-mcp-client-id": "client_id"},
        "unlisted_clusters": "deny",
        "role": "gateway",
        "session_key": "${env:KEY}",
        "audit_log": "refused",
        "clock_skew": "0s"
    })
}

/// The configuration with one value put in, whatever was there.
fn with(config: Value, path: &str, value: impl Into<Value>) -> Value {
    let mut config = config;
    let (keys, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut place = &mut config;
    for key in keys.split('.').filter(|key| !key.is_empty()) {
        let object = place.as_object_mut().unwrap();
        place = object.entry(key).or_insert_with(|| json!({}));
    }
    place[last] = value.into();
    config
}

fn without(config: Value, path: &str) -> Value {
    let mut config = config;
    let pointer = format!("/{}", path.replace('.', "/"));
    let (object, key) = pointer.rsplit_once('/').unwrap();
    let object = config.pointer_mut(object).unwrap();
    assert!(object.as_object_mut().unwrap().remove(key).is_some());
    config
}

/// Loads with the value there.
fn accepts(path: &str, value: impl Into<Value>) -> Config {
    let value = value.into();
    parse(&with(least(), path, value.clone())).unwrap_or_else(|errors| {
        panic!("{path} = {value} is refused: {errors}");
    })
}

/// Has exactly one error with the value there, which is at that place.
fn refuses(path: &str, value: impl Into<Value>) -> String {
    let value = value.into();
    let Err(errors) = parse(&with(least(), path, value.clone())) else {
        panic!("{path} = {value} is accepted");
    };
    let first = errors.lines().next().unwrap();
    assert!(
        errors.lines().count() == 1 && first.starts_with(path),
        "{path} = {value}: {errors}"
    );
    errors
}

fn github(config: &Config) -> &Server {
    match config.servers.find("github", b"/github/mcp") {
        Found::Server(_, server) => server,
        Found::UnknownPath | Found::Unlisted => panic!("github is not found"),
    }
}

/// Pointers to all values that are neither objects nor lists, and to the lists.
fn leaves(value: &Value, at: &str, paths: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                leaves(value, &format!("{at}/{key}"), paths);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                leaves(value, &format!("{at}/{place}"), paths);
            }
            paths.push(at.to_owned());
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            paths.push(at.to_owned());
        }
    }
}
