//! What an operator sees of a configuration: a line, a counter, and counters at
//! zero before anything has happened.

use mcp_token_guard_tests::host::{Host, Line};
use mcp_token_guard_tests::scenario::{ENVIRONMENT, base};
use serde_json::json;

use crate::bench::{bare_request, host, host_with};

/// The lines about configurations.
fn lines(host: &Host) -> Vec<&Line> {
    let configured = |line: &&Line| line.text.contains(" configured: ");
    host.log().iter().filter(configured).collect()
}

/// The value of a counter.
fn counted(host: &Host, name: &str) -> Option<u64> {
    host.metrics().get(name).map(|metric| metric.value)
}

#[test]
fn each_configuration_is_one_line_and_one_count_without_values() {
    let mut host = host();
    assert_eq!(lines(&host).len(), 1);
    assert_eq!(counted(&host, "mcp_token_guard_configurations"), Some(1));
    let first = lines(&host)[0].text.clone();
    let rest = first.strip_prefix("mcp-token-guard ").expect("the name");
    let (version, rest) = rest
        .split_once(" configured: configuration ")
        .expect("the version");
    assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()));
    let (digest, rest) = rest.split_once(", ").expect("the digest");
    assert_eq!(digest.len(), 12);
    assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let servers = base()["servers"].as_object().unwrap().len();
    assert_eq!(rest, format!("{servers} servers, role gateway"));

    let mut other = base();
    other["clock_skew"] = json!("1s");
    host.reconfigure(other.to_string()).unwrap();
    host.reconfigure("{}").unwrap_err();
    let lines = lines(&host);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_ne!(lines[1].text, first, "another configuration, the same line");
    assert_eq!(counted(&host, "mcp_token_guard_configurations"), Some(2));
    for (name, secret) in ENVIRONMENT {
        let shows = lines.iter().any(|line| line.text.contains(secret));
        assert!(!shows, "{name}");
    }
}

#[test]
fn what_alerts_watch_is_there_before_it_happens() {
    let host = host();
    for name in [
        "mcp_token_guard_cache.result.hit",
        "mcp_token_guard_cache.result.miss",
        "mcp_token_guard_introspections.result.unreachable",
        "mcp_token_guard_introspections.result.credentials_refused",
        "mcp_token_guard_leak_blocked.place.header",
        "mcp_token_guard_leak_blocked.place.trailer",
        "mcp_token_guard_requests.outcome.credential_cluster_mismatch",
        "mcp_token_guard_requests.server.github.outcome.credential_cluster_mismatch",
        "mcp_token_guard_requests.server.linear.outcome.upstream_credential_rejected",
    ] {
        assert_eq!(counted(&host, name), Some(0), "{name}");
    }
    let mut injector = base();
    injector["role"] = json!("injector");
    let mut host = host_with(&injector);
    assert_eq!(host.metrics().len(), 1, "{:?}", host.metrics());
    host.request(bare_request().undecided());
    let counted = counted(&host, "mcp_token_guard_requests.outcome.no_mark");
    assert_eq!(counted, Some(1));
}
