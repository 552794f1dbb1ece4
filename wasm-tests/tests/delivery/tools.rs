//! Programs that the tests run, and the folders that they run them in.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcp_token_guard_tests::module::project;

/// How long something may take to be so, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where Compose is, when all tools are there.
///
/// # Panics
/// When one is not, with what to do about it.
pub fn compose() -> &'static Path {
    static COMPOSE: OnceLock<PathBuf> = OnceLock::new();
    COMPOSE.get_or_init(|| script("wasm-tests/delivery/get").into())
}

/// The last line that a script of the project prints.
pub fn script(path: &str) -> String {
    let said = run(&mut Command::new(project().join(path)));
    said.lines().last().expect("a last line").to_owned()
}

/// What a program prints.
///
/// # Panics
/// When it fails, with all that it said.
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{wrong}");
    said
}

/// Waits until it is so.
pub fn until<T>(what: &str, so: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = so() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        sleep(Duration::from_millis(100));
    }
}

/// An address of loopback that is free.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// A folder that goes with this value.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mcp-token-guard-delivery-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is only rubbish.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program that runs as long as this value lives.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    /// Its process id.
    pub fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
