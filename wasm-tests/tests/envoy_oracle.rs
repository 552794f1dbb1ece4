//! The oracle itself: without the guard it has to find what the guard prevents.

use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::{Bench, Surroundings};
use mcp_token_guard_tests::scenario::scenarios;

/// Envoy without the guard, and the peers.
fn unguarded() -> Bench {
    let surroundings = Surroundings::new();
    Bench {
        envoy: surroundings.setup.start(),
        authorization_server: surroundings.authorization_server,
        upstreams: surroundings.upstreams,
        late: false,
        sent: None,
    }
}

#[test]
fn without_the_guard_every_scenario_that_rules_anything_fails() {
    let mut bench = unguarded();
    let mut unproven = Vec::new();
    for scenario in scenarios() {
        let complaints = bench.run(&scenario, Protocol::Http1);
        let leaks = scenario.name.starts_with("a_good_token_is_let_in");
        if leaks {
            assert!(
                complaints.iter().any(|c| c.contains("LEAK")),
                "{complaints:#?}"
            );
        }
        if complaints.is_empty() {
            unproven.push(scenario.name);
        }
    }
    // Envoy refuses the first; the others are about what the guard leaves alone.
    let without = [
        "a_nul_in_the_token_is_refused",
        "an_unlisted_cluster_is_left_alone_if_so_configured",
        "no_cluster_is_left_alone_if_so_configured",
    ];
    assert_eq!(unproven, without, "these pass without a guard");
}
