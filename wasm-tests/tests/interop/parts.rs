//! The parts that `wasm-tests/interop/get` has fetched, as children of the test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mcp_token_guard_tests::module::project;
use serde_json::Value;

/// How long a part may take to be ready, on a machine that has other work.
const START: Duration = Duration::from_secs(120);

/// How long a part may take that comes to an end by itself.
const WORK: Duration = Duration::from_secs(240);

/// The folder of the parts, but for Chromium.
///
/// # Panics
/// When they cannot be had, with what the script said.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| got(&["--without-browser"]))
}

/// The folder that the script has filled.
fn got(options: &[&str]) -> PathBuf {
    let got = Command::new(project().join("wasm-tests/interop/get"))
        .args(options)
        .output()
        .expect("to run wasm-tests/interop/get");
    let said = String::from_utf8_lossy(&got.stderr);
    assert!(got.status.success(), "the parts cannot be had: {said}");
    let lines = String::from_utf8_lossy(&got.stdout).into_owned();
    PathBuf::from(lines.lines().last().expect("a folder"))
}

/// One of our own scripts.
fn script(name: &str) -> PathBuf {
    project().join("wasm-tests/interop").join(name)
}

/// Node.js as it came from npm.
fn node() -> Command {
    let npm = folder().join("npm");
    let mut command = Command::new(npm.join("node_modules/node/bin/node"));
    command.current_dir(npm);
    command
}

/// A script for Node.js. It is read from standard input, so that it finds its
/// packages from the folder of the parts.
pub fn node_script(name: &str) -> Command {
    let mut command = node();
    let source = File::open(script(name)).expect("the script");
    command.args(["--input-type=module", "-"]).stdin(source);
    command
}

/// A program of a package of npm, by its path in there.
pub fn node_program(path: &str) -> Command {
    let mut command = node();
    command.arg(folder().join("npm/node_modules").join(path));
    command
}

/// A program of a package of npm that is to listen on loopback alone.
pub fn node_on_loopback(path: &str) -> Command {
    let mut command = node();
    command.arg("--require").arg(script("loopback.cjs"));
    command.arg(folder().join("npm/node_modules").join(path));
    command
}

/// MCP's conformance suite in this version.
pub fn conformance(version: &str) -> Command {
    node_program(&format!("conformance-{version}/dist/index.js"))
}

/// Chromium, where the script has found or installed it.
///
/// # Panics
/// When it cannot be had, with what the script said.
pub fn chromium() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let path = std::fs::read_to_string(got(&[]).join("chromium"));
        PathBuf::from(path.expect("the path of Chromium").trim())
    });
    path.clone()
}

/// A script for Python.
pub fn python_script(name: &str) -> Command {
    let mut command = python_program("python");
    // Python would put its cache beside the script.
    command.arg("-B").arg(script(name));
    command
}

/// A program of a package of `PyPI`.
pub fn python_program(name: &str) -> Command {
    Command::new(folder().join("python/bin").join(name))
}

/// A running part. On drop it ends, and whatever it has started.
pub struct Part {
    /// The child, which leads a process group of its own.
    child: Child,
    /// What it has printed so far.
    said: Arc<Mutex<String>>,
    /// The lines that it prints.
    lines: Receiver<String>,
}

impl Part {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("its output"));
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("its errors"));
        for stream in [out, err] {
            let (said, sender) = (Arc::clone(&said), sender.clone());
            // Ends when the group has ended: then nobody holds the other end.
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut all = said.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push_str(&line);
                    all.push('\n');
                    // Nobody has to listen.
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, said, lines }
    }

    /// Waits for a line that begins so, and returns the rest of it.
    pub fn line(&self, beginning: &str) -> String {
        self.wait(beginning, |line| {
            Some(line.strip_prefix(beginning)?.to_owned())
        })
    }

    /// Waits for a line that contains this.
    pub fn line_with(&self, part: &str) -> String {
        self.wait(part, |line| line.contains(part).then(|| line.to_owned()))
    }

    /// Waits for a line that is it.
    fn wait(&self, what: &str, is_it: impl Fn(&str) -> Option<String>) -> String {
        let end = Instant::now() + START;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = is_it(&line) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {what:?}: {}", self.said()),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}", self.said()),
            }
        }
    }

    /// Waits until it has ended. Returns all that it has printed.
    pub fn ended(&self) -> String {
        let end = Instant::now() + WORK;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return self.said(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.said()),
            }
        }
    }

    /// Says a line of JSON to it.
    pub fn say(&mut self, message: &Value) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{message}").expect("to say it");
    }

    /// All that it has printed.
    pub fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // The group is ours: the child leads it, and is not waited for yet, so
        // its number is no other's.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("a part said: {}", self.said());
        }
    }
}
