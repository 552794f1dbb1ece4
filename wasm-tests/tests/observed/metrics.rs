//! Metrics as Prometheus gets them from Envoy, and the queries that ask for
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mcp_token_guard_tests::peers::PATIENCE;

use crate::queries::{eventful, queries, rules, sample};

/// Name, labels, value.
type Sample = (String, BTreeMap<String, String>, String);

/// The samples in Prometheus's text form.
fn read(text: &str) -> Vec<Sample> {
    let samples = text
        .lines()
        .filter(|line| line.starts_with("mcp_token_guard_"));
    samples
        .map(|line| {
            let (left, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = left.split_once('{').expect("labels");
            let labels = labels
                .trim_end_matches('}')
                .split(',')
                .filter(|one| !one.is_empty());
            let labels = labels.map(|label| {
                let (name, value) = label.split_once('=').expect("a label");
                (name.to_owned(), value.trim_matches('"').to_owned())
            });
            (name.to_owned(), labels.collect(), value.to_owned())
        })
        .collect()
}

/// Labels, in any order.
type Labels = &'static [(&'static str, &'static str)];

/// Each of these has these labels, and this value.
const EXPECTED: &[(&str, Labels, &str)] = &[
    (
        "mcp_token_guard_requests",
        &[("server", "github"), ("outcome", "allowed")],
        "4",
    ),
    (
        "mcp_token_guard_requests",
        &[("server", "github"), ("outcome", "leak_blocked")],
        "1",
    ),
    (
        "mcp_token_guard_requests",
        &[
            ("server", "github"),
            ("outcome", "credential_cluster_mismatch"),
        ],
        "1",
    ),
    (
        "mcp_token_guard_requests",
        &[("server", "github"), ("outcome", "inactive")],
        "1",
    ),
    (
        "mcp_token_guard_requests",
        &[("server", "github"), ("outcome", "introspection_failed")],
        "1",
    ),
    (
        "mcp_token_guard_requests",
        &[
            ("server", "github"),
            ("outcome", "upstream_credential_rejected"),
        ],
        "1",
    ),
    (
        "mcp_token_guard_requests",
        &[
            ("server", "linear"),
            ("outcome", "upstream_credential_rejected"),
        ],
        "0",
    ),
    (
        "mcp_token_guard_requests",
        &[
            ("server", "linear"),
            ("outcome", "credential_cluster_mismatch"),
        ],
        "0",
    ),
    (
        "mcp_token_guard_requests",
        &[("outcome", "credential_cluster_mismatch")],
        "0",
    ),
    (
        "mcp_token_guard_introspections",
        &[("result", "active")],
        "1",
    ),
    (
        "mcp_token_guard_introspections",
        &[("result", "inactive")],
        "1",
    ),
    (
        "mcp_token_guard_introspections",
        &[("result", "unexpected_status")],
        "1",
    ),
    (
        "mcp_token_guard_introspections",
        &[("result", "unreachable")],
        "0",
    ),
    ("mcp_token_guard_cache", &[("result", "hit")], "4"),
    ("mcp_token_guard_cache", &[("result", "miss")], "3"),
    ("mcp_token_guard_leak_blocked", &[("place", "header")], "1"),
    ("mcp_token_guard_leak_blocked", &[("place", "query")], "0"),
    ("mcp_token_guard_credentials", &[("result", "fetched")], "0"),
    // Envoy has a plugin try its configuration twice, then each worker takes it.
    ("mcp_token_guard_configurations", &[], "3"),
    ("mcp_token_guard_introspection_ms_count", &[], "3"),
];

#[test]
fn envoy_shows_what_happened_with_labels_and_every_query_asks_for_it() {
    let bench = eventful();
    let begun = Instant::now();
    // Histograms are merged now and then.
    let samples = loop {
        let samples = read(&bench.envoy.admin("/stats/prometheus").unwrap());
        let merged = |name: &str| name == "mcp_token_guard_introspection_ms_count";
        if samples
            .iter()
            .any(|(name, _, value)| merged(name) && value == "3")
        {
            break samples;
        }
        assert!(begun.elapsed() < PATIENCE, "{samples:#?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    for (name, labels, value) in EXPECTED {
        let wanted: BTreeMap<String, String> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = samples
            .iter()
            .find(|(known, labels, _)| known == name && *labels == wanted);
        let found = found.map(|(_, _, value)| value.as_str());
        assert_eq!(found, Some(*value), "{name} {labels:?} of {samples:#?}");
    }
    let mut known: BTreeSet<String> = BTreeSet::from(["job".to_owned()]);
    for (name, labels, _) in samples {
        known.insert(name);
        known.extend(labels.into_keys());
    }
    for (place, query) in queries() {
        let names = names(&query);
        let metrics = names
            .iter()
            .filter(|name| name.starts_with("mcp_token_guard_"));
        assert!(metrics.count() > 0, "{place} asks for no metric");
        let unknown: Vec<&String> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{place} asks for {unknown:?}");
    }
}

#[test]
fn the_alerts_are_those_that_the_samples_tell_of_and_each_is_tested() {
    let tests = sample("prometheus/alerts.test.yaml");
    let expected = [
        "McpTokenGuardAuthorizationServerFailing",
        "McpTokenGuardUpstreamCredentialRefused",
        "McpTokenGuardCredentialFetchFailing",
        "McpTokenGuardLeakBlocked",
        "McpTokenGuardCacheUseless",
        "McpTokenGuardClusterMismatch",
    ];
    let rules = rules();
    let names: Vec<&str> = rules
        .iter()
        .filter_map(|rule| rule["alert"].as_str())
        .collect();
    assert_eq!(names, expected);
    for rule in rules {
        let name = rule["alert"].as_str().expect("a name");
        assert!(
            tests.matches(&format!("alertname: {name}")).count() > 1,
            "{name}"
        );
        let annotations = &rule["annotations"];
        assert!(annotations["summary"].is_string() && annotations["description"].is_string());
        assert!(rule["labels"]["severity"].is_string());
    }
}

/// The words in a query that are no function, and stand in no string.
fn names(query: &str) -> BTreeSet<String> {
    const WORDS: [&str; 8] = [
        "sum",
        "by",
        "rate",
        "increase",
        "histogram_quantile",
        "and",
        "le",
        "or",
    ];
    let outside = query.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'));
    words
        .filter(|word| word.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_'))
        .filter(|word| !WORDS.contains(word))
        .map(str::to_owned)
        .collect()
}
