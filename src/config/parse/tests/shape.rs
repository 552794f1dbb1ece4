//! Keys, types and bounds.

use super::*;

#[test]
fn unknown_keys_are_refused_at_every_level() {
    for path in [
        "Servers",
        "authorization_server.url",
        "authorization_server.introspection.clientId",
        "cache.TTL",
        "limits.max",
        "servers.github.headers",
    ] {
        assert!(refuses(path, json!("x")).contains("is not a known key"));
    }
}

#[test]
fn duplicate_keys_are_refused_at_every_level() {
    let text = example().to_string();
    for key in [
        "issuer",
        "url",
        "ttl",
        "in_flight",
        "github",
        "resource",
        "Authorization",
        "mcp:admin",
        "x-mcp-subject",
        "role",
        "servers",
    ] {
        let member = format!("\"{key}\":");
        assert!(text.contains(&member), "{key}");
        let twice = text.replace(&member, &format!("{member}null,{member}"));
        let errors = Config::parse(twice.as_bytes(), &env)
            .unwrap_err()
            .to_string();
        assert!(
            errors.contains(&format!("{key}: is there more than once")),
            "{key}: {errors}"
        );
    }
}

#[test]
fn wrong_types_are_refused_everywhere() {
    let example = example();
    let mut paths = Vec::new();
    leaves(&example, "", &mut paths);
    for path in paths {
        for wrong in [json!(null), json!({"a": [1]}), json!(-1)] {
            let mut config = example.clone();
            *config.pointer_mut(&path).unwrap() = wrong.clone();
            assert!(parse(&config).is_err(), "{path} = {wrong}");
        }
    }
}

#[test]
fn what_is_required_is_required() {
    for path in [
        "authorization_server",
        "authorization_server.issuer",
        "authorization_server.introspection",
        "authorization_server.introspection.url",
        "authorization_server.introspection.cluster",
        "authorization_server.introspection.client_id",
        "authorization_server.introspection.client_secret",
        "servers",
        "servers.github.resource",
    ] {
        let errors = parse(&without(least(), path)).unwrap_err();
        let missing = format!("{path}: is missing; add it");
        assert!(errors.starts_with(&missing) && errors.lines().count() == 1);
    }
}

/// CLOCK-a, RFC7662-4-ca.
#[test]
fn numbers_and_times_are_bounded() {
    for (path, inside, outside) in [
        (
            "authorization_server.introspection.timeout",
            ["10ms", "30s"],
            ["9ms", "31s"],
        ),
        ("cache.ttl", ["0s", "1h"], ["-1s", "3601s"]),
        ("cache.negative_ttl", ["0s", "5m"], ["0", "301s"]),
        ("cache.stale_if_error", ["0s", "1h"], ["1", "2h"]),
        ("cache.recheck_streams", ["0s", "1h"], ["999ms", "61m"]),
        ("cache.recheck_streams", ["0ms", "1s"], ["1ms", "2h"]),
        ("cache.call_grace", ["0s", "24h"], ["", "25h"]),
        ("clock_skew", ["0s", "120s"], ["121s", "1h"]),
        (
            "limits.cache_bytes",
            ["64KiB", "512MiB"],
            ["63KiB", "513MiB"],
        ),
        ("limits.answer", ["1KiB", "8MiB"], ["1023B", "9MiB"]),
    ] {
        for value in inside {
            accepts(path, json!(value));
        }
        for value in outside {
            refuses(path, json!(value));
        }
    }
    for (path, most) in [
        ("cache.max_entries", 1_000_000),
        ("limits.in_flight", 65_536),
        ("limits.waiting", 1_000_000),
    ] {
        accepts(path, json!(1));
        accepts(path, json!(most));
        for value in [
            json!(0),
            json!(most + 1),
            json!(1.5),
            json!("1"),
            json!(-1),
            json!(1e300),
        ] {
            refuses(path, value);
        }
    }
}

#[test]
fn words_are_the_documented_ones() {
    assert_eq!(accepts("role", json!("verifier")).role, Role::Verifier);
    assert_eq!(accepts("role", json!("injector")).role, Role::Injector);
    assert_eq!(accepts("role", json!("gateway")).role, Role::Gateway);
    assert_eq!(accepts("audit_log", json!("all")).audit_log, AuditLog::All);
    assert_eq!(accepts("audit_log", json!("off")).audit_log, AuditLog::Off);
    let ignore = accepts("unlisted_clusters", json!("ignore"));
    assert_eq!(ignore.unlisted_clusters, Unlisted::Ignore);
    for path in ["role", "audit_log", "unlisted_clusters"] {
        for word in ["", "Gateway", "ALL", "allow", "none"] {
            refuses(path, json!(word));
        }
    }
}

#[test]
fn keys_in_errors_are_printable_and_short() {
    let mut config = least();
    config["a\u{1b}[31m\nb"] = json!(1);
    config["x".repeat(1_000)] = json!(1);
    let errors = parse(&config).unwrap_err();
    assert_eq!(errors.lines().count(), 2);
    assert!(
        errors
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n'))
    );
    assert!(!errors.contains(&"x".repeat(65)));
}
