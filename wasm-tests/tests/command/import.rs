//! `import`: a gateway's servers.json becomes a configuration that the guard
//! takes, and its secrets are nowhere but where they were asked for.

use std::fs;

use mcp_token_guard::Config;
use serde_json::{Value, json};

use crate::run::{SECRET, command, file};

/// Every shape of a header, in the way of an MCP gateway's file.
fn servers() -> Value {
    json!({"servers": {
        "linear": {
            "name": "Linear",
            "description": "issues",
            "url": "https://mcp.linear.example.com/sse",
            "default_headers": {"Authorization": format!("Bearer {SECRET}")},
            "tools": {"blocked": ["delete_issue"]}
        },
        "search": {
            "url": format!("https://search.example.com:8443/{SECRET}/mcp?key={SECRET}"),
            "default_headers": {
                "X-Api-Key": SECRET,
                "X-Tenant": "${env:TENANT}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "X-Number": 7
            }
        },
        "1 odd/name": {"url": "http://127.0.0.1:9000/mcp", "default_headers": {"Token": SECRET}},
        "stdio": {"command": "npx"}
    }, "logging": true})
}

fn imported(args: &[&str]) -> Value {
    let path = file("servers.json", servers().to_string());
    let mut all = vec!["import", "--format", "json"];
    all.extend(args);
    let path = path.to_str().expect("a path");
    all.push(path);
    let run = command(&all);
    assert_eq!(run.status, 0, "{}", run.err);
    serde_json::from_str(&run.out).expect("JSON")
}

#[test]
fn it_makes_a_configuration_that_the_guard_takes() {
    let made = imported(&[
        "--issuer",
        "https://as.example.com/",
        "--gateway",
        "https://gw.example.com/",
    ]);
    let configuration = &made["configuration"];
    let env = |_: &str| Some("a-secret-of-more-than-thirty-two-bytes".to_owned());
    Config::parse(configuration.to_string().as_bytes(), &env).expect("a configuration");
    assert_eq!(
        configuration["servers"],
        json!({
            "linear": {
                "cluster": "linear",
                "resource": "https://gw.example.com/linear/mcp",
                "default_headers": {"Authorization": "Bearer ${env:LINEAR_AUTHORIZATION}"}
            },
            "search": {
                "cluster": "search",
                "resource": "https://gw.example.com/search/mcp",
                "default_headers": {
                    "X-Api-Key": "${env:SEARCH_X_API_KEY}",
                    "X-Tenant": "${env:TENANT}",
                    "Accept": "application/json"
                }
            },
            "1-odd-name": {
                "cluster": "1-odd-name",
                "resource": "https://gw.example.com/1-odd-name/mcp",
                "default_headers": {"Token": "${env:MCP_1_ODD_NAME_TOKEN}"}
            }
        })
    );
    let introspection = &configuration["authorization_server"]["introspection"];
    assert_eq!(
        introspection["url"],
        "https://as.example.com/oauth2/introspect"
    );
}

#[test]
fn it_names_what_has_to_exist() {
    let made = imported(&[]);
    let names = |list: &str, key: &str| -> Vec<String> {
        let list = made[list].as_array().expect("a list").iter();
        list.map(|one| one[key].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(
        names("variables", "name"),
        [
            "INTROSPECTION_CLIENT_SECRET",
            "LINEAR_AUTHORIZATION",
            "MCP_1_ODD_NAME_TOKEN",
            "SEARCH_X_API_KEY",
            "TENANT"
        ]
    );
    let clusters = made["clusters"].as_array().expect("clusters");
    let search = json!({"name": "search", "host": "search.example.com", "port": 8443, "tls": true});
    assert!(clusters.contains(&search), "{clusters:?}");
    let odd = json!({"name": "1-odd-name", "host": "127.0.0.1", "port": 9000, "tls": false});
    assert!(clusters.contains(&odd), "{clusters:?}");
    assert_eq!(clusters.len(), 4);
    let routes = made["routes"].as_array().expect("routes");
    let linear = json!({
        "cluster": "linear", "path_separated_prefix": "/linear/mcp",
        "prefix_rewrite": "/sse", "host_rewrite_literal": "mcp.linear.example.com",
    });
    assert!(routes.contains(&linear), "{routes:?}");
    // What is left out is said.
    let notes = names("notes", "path");
    for path in [
        "logging",
        "servers.linear.tools",
        "servers.search",
        "servers.search.default_headers.Content-Type",
        "servers.search.default_headers.X-Number",
        "servers.stdio",
        "servers.1 odd/name",
    ] {
        assert!(notes.iter().any(|one| one == path), "{path}: {notes:?}");
    }
}

#[test]
fn the_text_form_says_the_same() {
    let path = file("servers.json", servers().to_string());
    let run = command(&["import", path.to_str().expect("a path")]);
    assert_eq!(run.status, 0, "{}", run.err);
    let configuration: Value = serde_json::from_str(&run.out).expect("JSON alone");
    assert_eq!(configuration, imported(&[])["configuration"]);
    for line in [
        "variable LINEAR_AUTHORIZATION: servers.linear.default_headers.Authorization",
        "cluster linear: mcp.linear.example.com, port 443, with TLS",
        "route to linear: path_separated_prefix /linear/mcp, prefix_rewrite /sse",
        "--issuer: was not given",
    ] {
        assert!(run.err.contains(line), "{line}: {}", run.err);
    }
}

#[test]
fn secrets_go_to_a_file_only_when_asked_for() {
    let place = file("place", "");
    let target = place.with_file_name("secrets.env");
    let path = target.to_str().expect("a path");
    imported(&["--secrets", path]);
    let written = fs::read_to_string(&target).expect("the secrets");
    let expected = [
        "LINEAR_AUTHORIZATION",
        "MCP_1_ODD_NAME_TOKEN",
        "SEARCH_X_API_KEY",
    ]
    .map(|name| format!("{name}={SECRET}\n"));
    assert_eq!(written, expected.concat());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&target)
            .expect("the file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // What is there is not written over.
    let source = file("servers.json", servers().to_string());
    let again = command(&[
        "import",
        "--secrets",
        path,
        source.to_str().expect("a path"),
    ]);
    assert_eq!(again.status, 2, "{}", again.err);
    assert_eq!(fs::read_to_string(&target).expect("the secrets"), written);
}

#[test]
fn a_server_without_tls_is_said() {
    for (url, said) in [
        ("http://mcp.example.com/mcp", true),
        ("http://localhost:9000/mcp", false),
        ("https://mcp.example.com/mcp", false),
    ] {
        let content = json!({"servers": {"a": {"url": url}}}).to_string();
        let path = file("servers.json", content);
        let run = command(&["import", path.to_str().expect("a path")]);
        assert_eq!(run.status, 0, "{url}: {}", run.err);
        let line = "servers.a: is reached without TLS";
        assert_eq!(run.err.contains(line), said, "{url}: {}", run.err);
    }
}

#[test]
fn what_is_no_servers_json_is_said() {
    for (content, status) in [
        ("", 2),
        ("17", 2),
        ("{}", 2),
        (r#"{"servers": []}"#, 2),
        (r#"{"servers": {"a": {}, "a": {}}}"#, 2),
        // No server is left.
        (r#"{"servers": {}}"#, 1),
        (r#"{"servers": {"a": {"url": "stdio:x"}}}"#, 1),
    ] {
        let path = file("servers.json", content);
        let run = command(&["import", path.to_str().expect("a path")]);
        assert_eq!(run.status, status, "{content}: {}", run.err);
        assert!(!run.err.is_empty(), "{content}");
    }
}
