//! What the gateway role promises holds with roles, too.

use mcp_token_guard_tests::client::{Http1, Protocol};
use mcp_token_guard_tests::envoy::{Arrangement, Surroundings};
use mcp_token_guard_tests::scenario::{ENVIRONMENT, base, scenarios};

use crate::world::{arrived, request, start, surroundings, value};

#[test]
fn every_scenario_of_the_base_holds_with_roles() {
    let mut failed = Vec::new();
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let mut bench = Surroundings::new().start_as(arrangement, &base());
        let group = scenarios().into_iter();
        for scenario in group.filter(|s| s.configuration.name == "base") {
            let complaints = bench.run(&scenario, Protocol::Http1);
            if !complaints.is_empty() {
                let all = complaints.join("\n  ");
                failed.push(format!("{} {arrangement:?}\n  {all}", scenario.name));
            }
        }
    }
    let count = failed.len();
    assert!(
        failed.is_empty(),
        "{count} failed:\n\n{}",
        failed.join("\n\n")
    );
}

#[test]
fn a_crowd_that_waited_for_one_answer_gets_its_credentials() {
    const CROWD: usize = 400;
    for arrangement in [Arrangement::Strict, Arrangement::Listener] {
        let mut configuration = base();
        // However long it takes to gather the crowd.
        configuration["authorization_server"]["introspection"]["timeout"] = "20s".into();
        let bench = start(surroundings(&[]), arrangement, &configuration);
        bench.authorization_server.close();
        let mut clients: Vec<Http1> = Vec::with_capacity(CROWD);
        for number in 0..CROWD {
            let mut client = Http1::connect(bench.envoy.address()).unwrap();
            let mut request = request("/github/mcp");
            if number % 2 == 0 {
                request.method = b"GET".to_vec();
                request.body.clear();
            }
            client.send(&request).unwrap();
            clients.push(client);
        }
        let active = "http.guarded.downstream_rq_active";
        bench
            .envoy
            .wait_stat(active, |active| active == CROWD as u64);
        bench.authorization_server.open();
        for client in &mut clients {
            assert_eq!(client.response(false).unwrap().status, 200);
        }
        assert_eq!(bench.authorization_server.take().messages.len(), 1);
        let arrived = arrived(&bench);
        assert_eq!(arrived.len(), CROWD);
        for message in &arrived {
            let credential = value(message, "authorization");
            assert_eq!(credential, Some(&b"Bearer kanarie-alpha-credential"[..]));
        }
        // The VM has not been replaced: what was learned is still known.
        assert_eq!(
            bench.send(Protocol::Http1, &request("/github/mcp")).status,
            200
        );
        assert_eq!(bench.authorization_server.count(), 0);
    }
}

#[test]
fn nothing_secret_is_logged_counted_or_dumped_with_roles() {
    let mut surroundings = surroundings(&[]);
    surroundings.setup.component_log_levels = Some("wasm:trace");
    let mut configuration = base();
    configuration["audit_log"] = "all".into();
    let bench = start(surroundings, Arrangement::Strict, &configuration);
    for path in ["/github/mcp", "/linear/mcp", "/unlisted"] {
        bench.send(Protocol::Http1, &request(path));
    }
    let log = bench.envoy.log();
    assert!(log.contains("\"outcome\":\"injected\""));
    let admin = |path| bench.envoy.admin(path).unwrap();
    for text in [
        log,
        admin("/stats"),
        admin("/config_dump"),
        admin("/clusters"),
    ] {
        assert!(!text.contains("kanarie-roles"));
        for (name, value) in ENVIRONMENT {
            assert!(!text.contains(value), "the value of {name}");
        }
    }
}
