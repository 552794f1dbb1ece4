//! The queries of the samples for Prometheus and Grafana, and an Envoy for them
//! to look at.

use std::fs;

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::{Bench, Surroundings, pieces};
use mcp_token_guard_tests::module::project;
use mcp_token_guard_tests::scenario::{
    Answer, INTROSPECTION_CLUSTER, Request, Vars, base, inactive, post, status,
};
use serde_json::{Value, json};

/// A file of `envoy/`.
pub fn sample(name: &str) -> String {
    let path = project().join("envoy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The labels by `stats_tags` of `envoy.yaml`.
fn with_labels(bootstrap: &mut Value) {
    let sample: Value = yaml_serde::from_str(&sample("envoy.yaml")).expect("YAML");
    bootstrap["stats_config"] = sample["stats_config"].clone();
}

/// Routes of which one matches on what the guard strips: what it has verified
/// for `alpha` goes to `beta`.
fn misrouted() -> [Value; 2] {
    let mut first = pieces::route("/github/misrouted", "alpha");
    first["match"]["headers"] = json!([{"name": "x-legacy-token", "present_match": true}]);
    [first, pieces::route("/github/misrouted", "beta")]
}

/// A request with a token.
fn with_token(token: &str) -> Request {
    post("/github/mcp").header("Authorization", format!("Bearer {token}"))
}

/// What alerts watch: requests, and the status of each reply. To `github`, whose
/// upstream refuses our credential.
pub fn alarming() -> [(Request, u16); 4] {
    let first = || with_token("kanarie-first-token");
    let mut misrouted = first().header("X-Legacy-Token", "x");
    misrouted.path = b"/github/misrouted".to_vec();
    [
        (first(), 502),
        (first().header("X-Note", "kanarie-first-token"), 400),
        (misrouted, 502),
        // The authorization server is down, and this one is in no cache.
        (with_token("kanarie-third-token"), 503),
    ]
}

/// An Envoy at which all that is watched for has happened once; one request was
/// let through twice before.
pub fn eventful() -> Bench {
    let mut surroundings = Surroundings::new();
    surroundings.setup.patches.push(with_labels);
    surroundings.setup.routes.splice(..0, misrouted());
    let mut configuration = base();
    // Nobody calls this one: that it is fetched is enough for it to be counted.
    configuration["servers"]["single"]["credential"] = json!({
        "grant": "client_credentials",
        "url": "http://127.0.0.1/token",
        "cluster": INTROSPECTION_CLUSTER,
        "auth_method": "none",
    });
    let mut bench = surroundings.start(&configuration);
    let send = |bench: &Bench, request, expected| {
        assert_eq!(bench.send(Protocol::Http1, &request).status, expected);
    };
    bench.admit("/github/mcp");
    // One miss, one hit.
    send(&bench, with_token("kanarie-first-token"), 200);
    send(&bench, with_token("kanarie-first-token"), 200);
    bench.answer(&Vars::default(), &inactive());
    send(&bench, with_token("kanarie-second-token"), 401);
    bench.answer(&Vars::default(), &Answer::Reply(status(500)));
    let mut upstreams = bench.upstreams.iter_mut();
    let alpha = upstreams.find(|peer| peer.name() == "alpha");
    alpha.expect("alpha").answer(Answer::Reply(status(401)));
    for (request, expected) in alarming() {
        send(&bench, request, expected);
    }
    bench
}

/// Every query: where it stands, and its text, with the variables of the
/// dashboard filled in.
pub fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&sample("prometheus/dashboard.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title} asks nothing");
        for target in targets {
            let query = target["expr"].as_str().expect("a query");
            found.push((format!("the panel `{title}`"), query.to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().expect("a list") {
        if variable["type"] == "query" {
            let name = variable["name"].as_str().expect("a name");
            let query = variable["definition"].as_str().expect("a query");
            let inner = query.strip_prefix("label_values(").expect("label_values");
            let (query, label) = inner.split_once(", ").expect("metric and label");
            let label = label.strip_suffix(')').expect("its end");
            found.push((
                format!("the variable `{name}`"),
                format!("sum by ({label}) ({query})"),
            ));
        }
    }
    for rule in rules() {
        let name = rule["alert"].as_str().expect("a name");
        let query = rule["expr"].as_str().expect("a query");
        found.push((format!("the alert `{name}`"), query.to_owned()));
    }
    for (_, query) in &mut found {
        let variables = [
            ("$__rate_interval", "1m"),
            ("$job", ".*"),
            ("$server", ".*"),
        ];
        for (variable, value) in variables {
            *query = query.replace(variable, value);
        }
        assert!(!query.contains('$'), "{query}");
    }
    found
}

/// The alert rules.
pub fn rules() -> Vec<Value> {
    let rules: Value = yaml_serde::from_str(&sample("prometheus/alerts.yaml")).expect("YAML");
    let rules = rules["groups"][0]["rules"].as_array();
    rules.expect("rules").clone()
}
