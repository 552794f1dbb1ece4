//! No token and no secret in the log at trace level, in stats, or in the dump
//! of the configuration (RFC9700-4.9.3-a, LOG-a, host.md section 7).

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::Surroundings;
use mcp_token_guard_tests::scenario::{ENVIRONMENT, base, scenarios};

/// RFC9700-4.9.3-a, LOG-a, LOG-b
#[test]
fn nothing_secret_is_logged_counted_or_dumped() {
    let mut surroundings = Surroundings::new();
    // Envoy's own HTTP components log headers at these levels; what is ours is
    // in this one.
    surroundings.setup.component_log_levels = Some("wasm:trace");
    let mut configuration = base();
    configuration["audit_log"] = "all".into();
    let mut bench = surroundings.start(&configuration);
    let mut tokens = Vec::new();
    for scenario in scenarios()
        .iter()
        .filter(|s| s.configuration.name == "base")
    {
        // Judged elsewhere; here it only has to have happened.
        let _ = bench.run(scenario, Protocol::Http1);
        tokens.push((scenario.name, scenario.vars_of_run('1')));
    }
    let mut places = vec![("log", bench.envoy.log())];
    for place in [
        "/stats",
        "/stats/prometheus",
        "/config_dump?include_eds",
        "/clusters",
    ] {
        places.push((place, bench.envoy.admin(place).unwrap()));
    }
    assert!(
        places[0].1.contains("wasm log"),
        "the guard logs nothing at all at trace level"
    );
    for (place, text) in &places {
        assert!(!text.is_empty(), "{place} is empty");
        for (name, value) in ENVIRONMENT {
            assert!(!text.contains(value), "the value of {name} is in {place}");
        }
        for (name, vars) in &tokens {
            for token in vars.tokens() {
                let token = String::from_utf8_lossy(token);
                assert!(!text.contains(&*token), "the token of {name} is in {place}");
            }
        }
        assert!(
            !text.contains("kanarie-username"),
            "personal data is in {place}"
        );
    }
}
