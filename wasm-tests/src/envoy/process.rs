//! One Envoy as a child of the test.

use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Setup;
use crate::module::project;

/// How long an Envoy may take to be ready, on a machine that has other work.
const START: Duration = Duration::from_secs(90);

/// A running Envoy. It ends when this is dropped.
#[derive(Debug)]
pub struct Envoy {
    /// The child.
    child: Child,
    /// Its folder, with configuration and log.
    folder: PathBuf,
    /// Where its admin interface listens.
    admin: SocketAddr,
    /// Where its listener listens.
    listener: SocketAddr,
}

/// Why there is no running Envoy.
pub struct NotStarted {
    /// What happened.
    pub what: String,
    /// All that it logged.
    pub log: String,
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; its log ends with\n{}", self.what, tail(&self.log))
    }
}

impl fmt::Debug for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    pub(super) fn start(bootstrap: &Value, setup: &Setup) -> Result<Self, NotStarted> {
        let folder = folder();
        let configuration = folder.join("envoy.json");
        let addresses = folder.join("admin");
        fs::write(&configuration, format!("{bootstrap:#}")).expect("to write the configuration");
        let log = File::create(folder.join("log")).expect("to create the log");
        let child = Command::new(binary())
            .arg("--config-path")
            .arg(&configuration)
            .arg("--admin-address-path")
            .arg(&addresses)
            .args(["--concurrency", &setup.workers.to_string()])
            .args(["--log-level", setup.log_level])
            .args(
                setup
                    .component_log_levels
                    .into_iter()
                    .flat_map(|levels| ["--component-log-level", levels]),
            )
            .args(["--disable-hot-restart", "--drain-time-s", "1"])
            .args(["--file-flush-interval-msec", "50"])
            .envs(setup.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("to start Envoy");
        // From here on the child ends with this value.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self {
            child,
            folder,
            admin: nowhere,
            listener: nowhere,
        };
        match envoy.wait_until_ready(&addresses) {
            Ok(()) => Ok(envoy),
            Err(what) => Err(NotStarted {
                what,
                log: envoy.log(),
            }),
        }
    }

    /// Waits until Envoy says that it is ready, and learns its ports.
    fn wait_until_ready(&mut self, addresses: &Path) -> Result<(), String> {
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("to watch the child") {
                return Err(format!("Envoy ended with {status}"));
            }
            let written = fs::read_to_string(addresses).unwrap_or_default();
            if let Ok(admin) = written.trim().parse() {
                self.admin = admin;
                if self
                    .admin("/ready")
                    .is_ok_and(|ready| ready.contains("LIVE"))
                    && let Some(listener) = self.listening()
                {
                    self.listener = listener;
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(20));
        }
        Err(format!("Envoy was not ready within {START:?}"))
    }

    /// Where the listener is, by the admin interface.
    fn listening(&self) -> Option<SocketAddr> {
        let listeners: Value =
            serde_json::from_str(&self.admin("/listeners?format=json").ok()?).ok()?;
        let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
        Some(([127, 0, 0, 1], port).into())
    }

    /// Where its admin interface listens.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Where its listener listens.
    pub(super) fn listener_address(&self) -> SocketAddr {
        self.listener
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its process id, for measuring.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when the child has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of Envoy ends with\n{}", tail(&self.log()));
            eprintln!("all of it is in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The end of a log: the last lines that warn or that are the guard's.
fn tail(log: &str) -> String {
    let dull = |line: &&str| line.contains("[info]") && !line.contains("wasm log");
    let lines: Vec<String> = log
        .lines()
        .filter(|line| !dull(line))
        .map(|line| line.chars().take(400).collect())
        .collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// A folder for one Envoy.
fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mcp-token-guard-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("a folder for Envoy");
    folder
}

/// Envoy's binary, as `envoy/get` finds or fetches it.
///
/// # Panics
/// When there is none to be had, with what `envoy/get` says about it.
pub(super) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let got = Command::new(project().join("envoy/get"))
            .output()
            .expect("to run envoy/get");
        let said = String::from_utf8_lossy(&got.stderr);
        assert!(got.status.success(), "there is no Envoy: {said}");
        let lines = String::from_utf8_lossy(&got.stdout).into_owned();
        PathBuf::from(lines.lines().last().expect("a path from envoy/get"))
    })
}
