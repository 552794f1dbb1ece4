//! Servers, their clusters and what tokens need there; URLs and origins.

use super::*;
use crate::certificate::CertificateBinding;

/// RFC6750-3-d, MCP-SCOPE-e.
#[test]
fn scopes_that_cannot_be_challenged_are_refused() {
    for scope in ["a\"b", "a\\b", "a b", "é", "", "offline_access"] {
        let path = "servers.github.required_scopes";
        assert!(refuses(path, json!([scope])).starts_with("servers.github.required_scopes[0]"));
    }
    refuses("servers.github.required_scopes", json!(["a", "a"]));
    refuses("servers.github.required_scopes", json!("a"));
    refuses("scope_implies", json!({"a b": []}));
    refuses("scope_implies", json!({"a": ["b c"]}));
    refuses("scope_implies", json!({"a": "b"}));
}

/// MCP-CANON-a, INTEROP-slash.
#[test]
fn audiences_are_kept_in_normal_form() {
    let audience = |config: &Config| github(config).requirement.audience.clone();
    let config = accepts("servers.github.resource", json!("HTTPS://GW.example.com"));
    assert_eq!(audience(&config), ["https://gw.example.com/"]);
    let config = accepts("servers.github.audience", json!(["HTTPS://GW/Mcp", "api"]));
    assert_eq!(audience(&config), ["https://gw/Mcp", "api"]);
    refuses("servers.github.audience", json!([]));
    refuses("servers.github.audience", json!([""]));
    refuses(
        "servers.github.audience",
        json!(["https://a", "https://A/"]),
    );
    refuses("servers.github.audience", json!("https://a"));
}

#[test]
fn server_names_can_be_metric_names() {
    let name = "a".repeat(64);
    let server = json!({"resource": "https://a/"});
    for name in ["a", "A_b-9", &name] {
        accepts("servers", json!({name: server}));
    }
    let long = "a".repeat(65);
    for name in ["", "a.b", "a b", "é", "a/b", "a\n", &long] {
        refuses("servers", json!({name: server}));
    }
}

#[test]
fn there_is_at_least_one_server_and_not_too_many() {
    refuses("servers", json!({}));
    let many = |count: usize| -> Value {
        let server = |place| (format!("s{place}"), json!({"resource": "https://a/"}));
        Value::Object((0..count).map(server).collect())
    };
    accepts("servers", many(1_000));
    refuses("servers", many(1_001));
}

#[test]
fn clusters_are_names_or_patterns_of_one_server() {
    let lists = |config: &Config, cluster: &str| config.servers.lists(cluster);
    let path = "servers.github.cluster";
    assert!(lists(&parse(&least()).unwrap(), "github"));
    assert!(lists(&accepts(path, json!("other")), "other"));
    assert!(!lists(&accepts(path, json!("other")), "github"));
    assert!(lists(&accepts(path, json!(["a", "b|*|c"])), "b|x|c"));
    for value in [
        json!("*"),
        json!("a*b*"),
        json!(""),
        json!([]),
        json!(["a", "a"]),
        json!([["a"]]),
    ] {
        refuses(path, value);
    }
    let second = |cluster: &str, resource: &str| {
        let first = with(least(), path, json!(["one", "a*"]));
        with(
            first,
            "servers.second",
            json!({"cluster": cluster, "resource": resource}),
        )
    };
    assert!(parse(&second("one", "https://gateway.example.com/other")).is_ok());
    for overlapping in [
        second("ab*", "https://gateway.example.com/other"),
        second("one", "https://elsewhere.example.com/github/mcp"),
    ] {
        let errors = parse(&overlapping).unwrap_err();
        assert!(
            errors.contains("servers.github") && errors.contains("servers.second"),
            "{errors}"
        );
    }
}

/// MCP-TOOLSCOPE-a.
#[test]
fn rules_say_what_they_mean() {
    let path = "servers.github.rules";
    let config = accepts(
        path,
        json!([
            {"methods": ["tools/call"], "names": ["a*"], "required_scopes": ["x"]},
            {"methods": ["tools/call"], "names": ["b"], "deny": true},
            {"methods": ["*"], "required_scopes": []},
        ]),
    );
    assert_eq!(github(&config).rules.as_ref().unwrap().0.len(), 3);
    assert!(github(&parse(&least()).unwrap()).rules.is_none());
    for (rule, said) in [
        (json!({}), "rules[0].methods"),
        (json!({"methods": ["a"]}), "either required_scopes"),
        (
            json!({"methods": ["a"], "deny": false}),
            "either required_scopes",
        ),
        (
            json!({"methods": ["a"], "deny": true, "required_scopes": []}),
            "either required_scopes",
        ),
        (json!({"methods": [], "deny": true}), "1 to 256 patterns"),
        (json!({"methods": ["a", "a"], "deny": true}), "already"),
        (
            json!({"methods": ["a*b*"], "deny": true}),
            "more than one `*`",
        ),
        (json!({"methods": ["a b"], "deny": true}), "is not a method"),
        (
            json!({"methods": ["a"], "names": ["x"], "deny": true}),
            "for none of the methods",
        ),
        (
            json!({"methods": ["*"], "names": [], "deny": true}),
            "1 to 256 patterns",
        ),
        (
            json!({"methods": ["*"], "names": [""], "deny": true}),
            "1 to 1024",
        ),
        (
            json!({"methods": ["*"], "names": ["file:///%ff*"], "deny": true}),
            "is not UTF-8",
        ),
        (
            json!({"methods": ["a"], "required_scopes": ["x y"]}),
            "is not one scope",
        ),
        (
            json!({"methods": ["a"], "deny": true, "name": "x"}),
            "is not a known key",
        ),
    ] {
        let errors = refuses(path, json!([rule]));
        assert!(errors.contains(said), "{errors}");
    }
    refuses(path, json!([]));
    let one = json!({"methods": ["a"], "deny": true});
    refuses(path, json!(vec![one; 257]));
    refuses("limits.body", json!("1GiB"));
}

/// A rule behind one that takes all of its calls would be a hole that nobody
/// sees.
#[test]
fn a_rule_that_never_applies_is_refused() {
    let all = json!({"methods": ["tools/*"], "required_scopes": ["x"]});
    let some = json!({"methods": ["tools/call"], "names": ["delete_*"], "required_scopes": ["y"]});
    let path = "servers.github.rules";
    accepts(path, json!([some, all]));
    let errors = refuses(path, json!([all, some]));
    assert!(errors.contains("rules[1]: never applies"), "{errors}");
    assert!(errors.contains("rules[0] before it"), "{errors}");
}

/// OAUTH21-1.5-a.
#[test]
fn http_is_refused_but_for_loopback() {
    for path in [
        "authorization_server.issuer",
        "authorization_server.introspection.url",
        "servers.github.resource",
    ] {
        assert!(refuses(path, json!("http://auth.example.com/x")).contains("is not https"));
        accepts(path, json!("http://127.0.0.1:9000/x"));
        accepts(path, json!("http://localhost/x"));
        accepts(path, json!("http://[::1]:9000/x"));
    }
}

/// MCP-ORIGIN-a.
#[test]
fn origins_are_whole_strings() {
    accepts("allowed_origins", json!([]));
    accepts(
        "allowed_origins",
        json!(["https://a.example", "http://localhost:6274"]),
    );
    for origin in [
        "*",
        "null",
        "https://a.example/",
        "https://a.example:443",
        "https://*.a",
    ] {
        refuses("allowed_origins", json!([origin]));
    }
    refuses("allowed_origins", json!("https://a.example"));
    refuses(
        "allowed_origins",
        json!(["https://a.example", "https://a.example"]),
    );
}

#[test]
fn authorization_is_set_once() {
    let credential = json!({
        "grant": "client_credentials",
        "url": "https://auth.example.com/token",
        "cluster": "as",
        "client_id": "a",
        "client_secret": "b",
    });
    let server = |headers: Value| json!({"a": {"resource": "https://a/", "credential": credential, "default_headers": headers}});
    let config = accepts("servers", server(json!({"X-Api-Key": "k"})));
    assert!(
        config
            .servers
            .iter()
            .all(|server| server.credential.is_some())
    );
    let error = refuses("servers", server(json!({"authorization": "Bearer x"})));
    assert!(error.starts_with("servers.a.default_headers: "), "{error}");
}

#[test]
fn bound_tokens_are_refused_unless_it_says_otherwise() {
    let at = "servers.github.certificate_bound_tokens";
    let read = |config: Config| github(&config).requirement.certificates;
    assert_eq!(read(parse(&least()).unwrap()), CertificateBinding::Refused);
    assert_eq!(read(accepts(at, false)), CertificateBinding::Refused);
    assert_eq!(read(accepts(at, true)), CertificateBinding::Accepted);
    assert_eq!(read(accepts(at, "required")), CertificateBinding::Required);
    for wrong in [json!("true"), json!(1), json!(null), json!(["required"])] {
        refuses(at, wrong);
    }
}
