//! A real Prometheus scrapes a real Envoy under the sample's configuration, and
//! the alerts of the sample go off. `make prometheus` runs this.

#[path = "../observed/queries.rs"]
mod queries;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcp_token_guard_tests::client::{self, Protocol};
use mcp_token_guard_tests::module::project;
use mcp_token_guard_tests::scenario::request;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use queries::{eventful, queries, rules, sample};

/// How long something may take until Prometheus has seen it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder with Prometheus's programs.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let got = Command::new(project().join("wasm-tests/prometheus/get"))
            .stderr(Stdio::inherit())
            .output()
            .expect("to run wasm-tests/prometheus/get");
        assert!(got.status.success(), "there is no Prometheus");
        let said = String::from_utf8(got.stdout).expect("a path");
        PathBuf::from(said.lines().last().expect("a path"))
    })
}

/// Runs `promtool`, which must find nothing wrong.
fn promtool(arguments: &[&str]) {
    let done = Command::new(programs().join("promtool"))
        .args(arguments)
        .current_dir(project().join("envoy/prometheus"))
        .output()
        .expect("promtool starts");
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(done.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    promtool(&["test", "rules", "alerts.test.yaml"]);
}

#[test]
fn prometheus_takes_the_samples() {
    promtool(&["check", "config", "prometheus.yaml"]);
    promtool(&["check", "rules", "--lint-fatal", "alerts.yaml"]);
}

/// A running Prometheus. It ends when this is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Prometheus {
    /// Starts it with the sample's configuration, but for who is scraped, and
    /// how often.
    fn start(target: SocketAddr) -> Self {
        let name = format!("mcp-token-guard-prometheus-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let mut configuration: Value =
            yaml_serde::from_str(&sample("prometheus/prometheus.yaml")).expect("YAML");
        configuration["global"]["scrape_interval"] = "1s".into();
        configuration["global"]["evaluation_interval"] = "1s".into();
        let targets = &mut configuration["scrape_configs"][0]["static_configs"][0]["targets"];
        assert!(targets[0].is_string());
        *targets = [target.to_string()].into();
        fs::write(folder.join("prometheus.yaml"), configuration.to_string()).expect("to write");
        fs::write(folder.join("alerts.yaml"), sample("prometheus/alerts.yaml")).expect("to write");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let log = File::create(folder.join("log")).expect("a log");
        let child = Command::new(programs().join("prometheus"))
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yaml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Prometheus starts");
        Self {
            child,
            address,
            folder,
        }
    }

    /// What its API answers to a GET; none while it does not.
    fn get(&self, path: &str) -> Option<Value> {
        let request = request("GET", path).to("prometheus");
        let response = client::send(self.address, Protocol::Http1, &request).ok()?;
        let answer: Value = serde_json::from_slice(&response.body).ok()?;
        Some(answer).filter(|_| response.status == 200)
    }

    /// The result of a query; none while it fails.
    fn query(&self, query: &str) -> Option<Vec<Value>> {
        let escaped: String = byte_serialize(query.as_bytes()).collect();
        let answer = self.get(&format!("/api/v1/query?query={escaped}"))?;
        Some(answer["data"]["result"].as_array()?.clone())
    }

    /// Waits until something is there.
    fn wait<T>(&self, what: &str, found: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("waited in vain for {what}; the log of Prometheus: {log}");
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only when the child has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_real_prometheus_shows_labels_and_raises_the_alerts() {
    let bench = eventful();
    let admin = bench.envoy.admin_address();
    let prometheus = Prometheus::start(admin);
    let allowed = r#"mcp_token_guard_requests{server="github",outcome="allowed"}"#;
    let found = prometheus.wait("the first scrape", || {
        prometheus.query(allowed).filter(|found| !found.is_empty())
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["value"][1], "4");
    let labels = &found[0]["metric"];
    assert_eq!(
        (&labels["job"], &labels["server"], &labels["outcome"]),
        (
            &"mcp-token-guard".into(),
            &"github".into(),
            &"allowed".into()
        )
    );

    // All that alerts watch is there at zero, so that the first event counts.
    let watched =
        r#"mcp_token_guard_requests{server="plain",outcome="upstream_credential_rejected"}"#;
    assert_eq!(prometheus.query(watched).expect("an answer").len(), 1);
    // Once more while Prometheus looks: these need no time to be sure.
    again(&bench);
    for (alert, label, value) in [
        ("McpTokenGuardUpstreamCredentialRefused", "server", "github"),
        ("McpTokenGuardLeakBlocked", "place", "header"),
        ("McpTokenGuardClusterMismatch", "server", "github"),
    ] {
        let firing = format!(r#"ALERTS{{alertname="{alert}",alertstate="firing"}}"#);
        let found = prometheus.wait(alert, || {
            prometheus.query(&firing).filter(|found| !found.is_empty())
        });
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0]["metric"][label], value, "{found:#?}");
    }
    // This one waits for two minutes, in which it is pending.
    let pending = r#"ALERTS{alertname="McpTokenGuardAuthorizationServerFailing"}"#;
    let found = prometheus.wait("the alert of the authorization server", || {
        prometheus.query(pending).filter(|found| !found.is_empty())
    });
    assert_eq!(found[0]["metric"]["alertstate"], "pending");
    let quiet = prometheus.query(r#"ALERTS{alertname="McpTokenGuardCacheUseless"}"#);
    assert_eq!(quiet.expect("an answer").len(), 0);

    let known = prometheus.get("/api/v1/rules").expect("an answer");
    let known = known["data"]["groups"][0]["rules"]
        .as_array()
        .expect("rules")
        .clone();
    assert_eq!(known.len(), rules().len());
    for rule in known {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    for (place, query) in queries() {
        let found = prometheus.query(&query);
        let found = found.unwrap_or_else(|| panic!("Prometheus does not take {place}: {query}"));
        // An alert that is quiet has nothing to say.
        assert!(
            !found.is_empty() || place.starts_with("the alert"),
            "{place}: {query}"
        );
    }
}

/// What alerts watch happens again.
fn again(bench: &mcp_token_guard_tests::envoy::Bench) {
    for (request, expected) in queries::alarming() {
        assert_eq!(bench.send(Protocol::Http1, &request).status, expected);
    }
}
