//! Envoy with the sample configuration, as a child.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::ports::Ports;

/// What Envoy takes from the environment, so that it is in no file.
pub struct Secrets {
    /// Of the gateway at the authorization server.
    pub introspection_client: String,
    /// The static credential of the MCP server.
    pub mcp_server: String,
}

/// A running Envoy; it ends with this value.
pub struct Envoy {
    child: Child,
    log: PathBuf,
}

impl Envoy {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// A sentence that says what to do.
    pub async fn start(project: &Path, ports: &Ports, secrets: &Secrets) -> Result<Self, String> {
        let module = "target/wasm32-wasip1/release/mcp_token_guard.wasm";
        if !project.join(module).exists() {
            return Err(format!("{module} is not there: run `make build`."));
        }
        let binary = binary(project)?;
        let dir = project.join("target/demo");
        let log = dir.join("envoy.log");
        let wrong = |e: std::io::Error| format!("{} cannot be written: {e}.", dir.display());
        std::fs::create_dir_all(&dir).map_err(wrong)?;
        let child = Command::new(&binary)
            .arg("--config-path")
            .arg(ports.in_sample(&project.join("envoy/envoy.yaml"), &dir)?)
            // One worker has one cache: what is said about the calls below is exact.
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .args(["--file-flush-interval-msec", "200"])
            .env("INTROSPECTION_CLIENT_SECRET", &secrets.introspection_client)
            .env("MCP_SERVER_TOKEN", &secrets.mcp_server)
            .current_dir(project)
            .stdin(Stdio::null())
            .stdout(File::create(dir.join("access.log")).map_err(wrong)?)
            .stderr(File::create(&log).map_err(wrong)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{} does not start: {e}.", binary.display()))?;
        let mut envoy = Self { child, log };
        envoy.ready(ports).await?;
        Ok(envoy)
    }

    async fn ready(&mut self, ports: &Ports) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}/ready", ports.admin);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(self.ended());
            }
            if reqwest::get(&url)
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!(
                    "Envoy is not ready after a minute: see {}.",
                    self.log.display()
                ));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for it to end by itself, which it should not.
    pub async fn wait(&mut self) -> String {
        let _ = self.child.wait().await;
        self.ended()
    }

    fn ended(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let why: Vec<&str> = log
            .lines()
            .filter(|line| {
                ["[error]", "[critical]"]
                    .iter()
                    .any(|level| line.contains(level))
            })
            .collect();
        let last = why.len().saturating_sub(10);
        let why = why[last..].join("\n");
        format!("Envoy ended. From its log, {}:\n{why}", self.log.display())
    }
}

/// An Envoy, found or fetched by `envoy/get`, which says what it does.
fn binary(project: &Path) -> Result<PathBuf, String> {
    let got = std::process::Command::new(project.join("envoy/get"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("envoy/get does not start: {e}."))?;
    let said = String::from_utf8_lossy(&got.stdout);
    match said.lines().last() {
        Some(path) if got.status.success() => Ok(path.into()),
        _ => Err("there is no Envoy (see above).".into()),
    }
}
