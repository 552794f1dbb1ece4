//! Every scenario, in real Envoy, over HTTP/1.1 and over HTTP/2, in the clear and
//! over TLS: one verdict on every transport.
//!
//! `SCENARIO=word cargo test --test envoy` runs those whose name has the word.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mcp_token_guard_tests::certificate::Certificate;
use mcp_token_guard_tests::client::{Over, Protocol};
use mcp_token_guard_tests::envoy::Surroundings;
use mcp_token_guard_tests::scenario::{Reach, Scenario, scenarios};

/// Envoys that run at a time. Some wait more than they work.
const AT_ONCE: usize = 4;

/// H2-same
#[test]
fn every_scenario_holds_in_envoy() {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut groups: BTreeMap<&str, Vec<Scenario>> = BTreeMap::new();
    for scenario in scenarios().into_iter().filter(|s| s.name.contains(&wanted)) {
        groups
            .entry(scenario.configuration.name)
            .or_default()
            .push(scenario);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    // The last one is the first to be run: what takes longest.
    groups.sort_by_key(|group| (waits(group), group.len()));
    let groups = Mutex::new(groups);
    let failed = Mutex::new(Vec::new());
    let next = || groups.lock().unwrap().pop();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(group) = next() {
                    let complaints = run(&group);
                    failed.lock().unwrap().extend(complaints);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let count = failed.len();
    assert!(
        failed.is_empty(),
        "{count} runs failed:\n\n{}",
        failed.join("\n\n")
    );
}

/// How long the scenarios wait for time to pass.
fn waits(group: &[Scenario]) -> Duration {
    let steps = group.iter().flat_map(|scenario| &scenario.steps);
    steps.map(|step| step.after).sum()
}

/// Runs scenarios of one configuration in one Envoy. Returns those that failed,
/// with what is wrong.
fn run(group: &[Scenario]) -> Vec<String> {
    let name = group[0].configuration.name;
    let begun = Instant::now();
    let certificate = Certificate::new();
    let transports = [
        (Over::Tcp, Protocol::Http1),
        (Over::Tcp, Protocol::Http2),
        (Over::Tls(&certificate), Protocol::Http1),
        (Over::Tls(&certificate), Protocol::Http2),
    ];
    let mut surroundings = Surroundings::new();
    surroundings.setup.certificate = Some(certificate.clone());
    let mut bench = surroundings.start(&group[0].configuration.value());
    let started = begun.elapsed();
    let mut failed = Vec::new();
    for scenario in group {
        for (over, protocol) in transports {
            if protocol == Protocol::Http2 && scenario.reach == Reach::Wire {
                continue;
            }
            let complaints = bench.run_over(scenario, over, protocol);
            if !complaints.is_empty() {
                let all = complaints.join("\n  ");
                let tls = if matches!(over, Over::Tls(_)) {
                    " over TLS"
                } else {
                    ""
                };
                failed.push(format!(
                    "{} {:?} {protocol:?}{tls}\n  {all}",
                    scenario.name, scenario.proves
                ));
            }
        }
    }
    let log = bench.envoy.log();
    let (count, all) = (group.len(), begun.elapsed());
    println!("{name}: {count} scenarios in {all:.1?}, of which Envoy took {started:.1?} to start");
    if log.contains("Uncaught") || log.contains("panicked") || !bench.envoy.is_alive() {
        failed.push(format!("under {name}: the VM or Envoy died"));
    }
    failed
}
