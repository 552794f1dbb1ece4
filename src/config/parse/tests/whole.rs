//! Configurations that load, and what is none at all.

use super::*;
use crate::client_auth::Credential;
use crate::config::{AuthorizationServer, proto};

#[test]
fn the_example_loads() {
    let config = parse(&example()).unwrap();
    assert_eq!(only(&config).issuer, "https://auth.example.com");
    let server = github(&config);
    assert_eq!(
        server.requirement.audience,
        ["https://gateway.example.com/github/mcp"]
    );
    assert_eq!(
        server.requirement.scopes[0].satisfied_by,
        ["mcp:read", "mcp:admin"]
    );
    let (name, value) = &server.default_headers[0];
    assert_eq!(name, "authorization");
    assert!(value.matches(format!("Bearer {CANARY}-TOKEN").as_bytes()));
    assert!(server.credentials[0].matches(format!("{CANARY}-TOKEN").as_bytes()));
    assert!(config.session_keys[0].matches(format!("{CANARY}-KEY").as_bytes()));
    for name in [
        "Authorization",
        "x_legacy_token",
        "X-Mcp-Subject",
        "x-access-token",
    ] {
        assert!(server.strip.contains(name), "{name}");
    }
    assert!(!server.strip.contains("mcp-method"));
}

#[test]
fn what_is_left_out_has_the_strict_default() {
    let config = parse(&least()).unwrap();
    assert_eq!(config.cache.ttl, Duration::from_secs(30));
    assert_eq!(config.cache.negative_ttl, Duration::from_secs(5));
    assert_eq!(config.cache.max_entries, 8_192);
    assert_eq!(config.cache.stale_if_error, Duration::ZERO);
    assert_eq!(config.cache.recheck_streams, Duration::ZERO);
    assert_eq!(config.cache.call_grace, Duration::from_secs(600));
    assert_eq!(
        (config.limits.in_flight, config.limits.waiting),
        (256, 4_096)
    );
    assert_eq!(
        (config.limits.cache_bytes, config.limits.answer),
        (16 << 20, 256 << 10)
    );
    assert_eq!(config.unlisted_clusters, Unlisted::Deny);
    assert_eq!(config.role, Role::Gateway);
    assert_eq!(config.audit_log, AuditLog::Refused);
    assert_eq!(config.clock_skew, Duration::ZERO);
    assert!(config.allowed_origins.is_empty() && config.identity_headers.is_empty());
    let introspection = &only(&config).introspection;
    assert_eq!(introspection.timeout, Duration::from_secs(2));
    assert!(matches!(
        &*introspection.auth.credentials,
        [Credential::Authorization(_)]
    ));
    let server = github(&config);
    assert!(!server.requirement.audience_checked_by_authorization_server);
    assert!(server.requirement.scopes.is_empty() && server.default_headers.is_empty());
    assert!(server.strip.contains("authorization"));
    // The session key comes from the client secret.
    assert!(config.session_keys[0].matches(format!("{CANARY}-SECRET").as_bytes()));
}

#[test]
fn a_struct_means_the_same_as_json() {
    let text = example().to_string();
    let bytes = proto::tests::encode(&json::parse(text.as_bytes()).unwrap());
    assert_eq!(bytes.first(), Some(&b'\n'));
    let read = Config::parse(&bytes, &env).unwrap();
    let same = parse(&example()).unwrap();
    assert_eq!(
        format!("{:?}", github(&read)),
        format!("{:?}", github(&same))
    );
    for (one, other) in github(&read)
        .default_headers
        .iter()
        .zip(&github(&same).default_headers)
    {
        assert!(one.1.matches(other.1.expose()));
    }
    let rest = |config: &Config| {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            config.authorization_servers,
            config.cache,
            config.limits,
            config.allowed_origins,
            config.identity_headers,
            config.clock_skew,
        )
    };
    assert_eq!(rest(&read), rest(&same));
}

#[test]
fn the_fingerprint_is_of_the_bytes_before_substitution() {
    let text = least().to_string();
    let of = |env: &dyn Fn(&str) -> Option<String>| {
        Config::parse(text.as_bytes(), env).unwrap().fingerprint
    };
    assert_eq!(of(&env), of(&|_| Some("other".into())));
    assert_eq!(of(&env).len(), 12);
    assert_eq!(fingerprint(b"abc"), "ba7816bf8f01");
}

/// CFG-failclosed.
#[test]
fn what_is_no_configuration_is_refused() {
    for bytes in [b"".as_slice(), b" \n", b"\n\n"] {
        let errors = Config::parse(bytes, &env).unwrap_err().to_string();
        assert_eq!(
            errors,
            "configuration: is empty; give the plugin its configuration as JSON"
        );
    }
    let truncated = example().to_string();
    let truncated = truncated.get(..truncated.len() - 1).unwrap();
    for text in [
        "null",
        "[]",
        "{}",
        "\"{}\"",
        "{} {}",
        "{,}",
        truncated,
        "\u{feff}{}",
    ] {
        assert!(Config::parse(text.as_bytes(), &env).is_err(), "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_paths() {
    let mut config = example();
    config["ttl"] = json!("30s");
    config["cache"]["ttl"] = json!(30);
    config["clock_skew"] = json!("1h");
    config["servers"]["github"]["resource"] = json!("https://x#y");
    config["servers"]["github"]["default_headers"] = json!({"A": "x ", "B": "${env:NONE}"});
    config["servers"]["git hub"] = json!({});
    config["strip_headers"] = json!(["host"]);
    config["authorization_server"]["introspection"]["client_secret"] = json!("${env:EMPTY}");
    let errors = Config::parse(config.to_string().as_bytes(), &env).unwrap_err();
    let mut paths: Vec<_> = errors
        .problems()
        .map(|problem| problem.path.as_str())
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "authorization_server.introspection.client_secret",
            "cache.ttl",
            "clock_skew",
            "servers.git hub",
            "servers.git hub.resource",
            "servers.github.default_headers.A",
            "servers.github.default_headers.B",
            "servers.github.resource",
            "strip_headers[0]",
            "ttl",
        ]
    );
}

/// One mistake does not hide another that depends on it.
#[test]
fn a_missing_session_key_is_reported_with_the_rest() {
    let introspection = json!({"auth_method": "none", "cluster": "", "url": "x"});
    let config = with(least(), "authorization_server.introspection", introspection);
    assert_eq!(parse(&config).unwrap_err().lines().count(), 3);
}

/// The one authorization server.
fn only(config: &Config) -> &AuthorizationServer {
    config.authorization_servers.iter().next().unwrap()
}
