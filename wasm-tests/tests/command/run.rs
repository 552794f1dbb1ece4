//! Runs the command, which is built once.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token_guard_tests::module;
use serde_json::Value;

/// What a secret of a sample is, wherever there is one.
pub const SECRET: &str = "kanarie-0123456789-abcdefghij";

/// How a run ended, and what it printed.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// What `check` found.
#[derive(Debug)]
pub struct Found {
    /// The exit code.
    pub status: i32,
    /// What it printed, as JSON.
    pub all: Value,
}

impl Found {
    /// The things that were found.
    pub fn findings(&self) -> &[Value] {
        self.all["findings"].as_array().expect("a list")
    }

    /// The guards that were found.
    pub fn guards(&self) -> &[Value] {
        self.all["guards"].as_array().expect("a list")
    }
}

/// Runs it. A secret of a sample is never printed.
pub fn command(args: &[&str]) -> Run {
    run(args, &[], "")
}

/// Runs it with these variables set, and this on its standard input.
pub fn run<S: AsRef<OsStr>>(args: &[S], variables: &[(&str, &str)], input: &str) -> Run {
    let mut child = Command::new(path())
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a standard input");
    // It may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the command ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let run = Run {
        status: output.status.code().expect("no signal"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    let all = format!("{}{}", run.out, run.err);
    assert!(!all.contains(SECRET), "a secret is printed: {all}");
    assert!(!all.contains("panicked"), "{all}");
    run
}

/// Runs `check` on these files.
pub fn check(files: &[&Path]) -> Found {
    check_with(&[], &[], files)
}

/// Runs `check` with more arguments and variables.
pub fn check_with(args: &[&str], variables: &[(&str, &str)], files: &[&Path]) -> Found {
    let mut all: Vec<&OsStr> = ["check", "--format", "json"].map(OsStr::new).to_vec();
    all.extend(args.iter().map(OsStr::new));
    all.extend(files.iter().map(|file| file.as_os_str()));
    let run = run(&all, variables, "");
    let all = serde_json::from_str(&run.out);
    Found {
        status: run.status,
        all: all.unwrap_or_else(|_| panic!("no JSON: {}{}", run.out, run.err)),
    }
}

/// A file of its own with this in it. It is left for whoever looks into a
/// failure; `target/` is cleaned as a whole.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("command")
        .join(format!("{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    fs::write(&path, content).expect("the file");
    path
}

fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--locked", "--package", "mcp-token-guard"])
            .args(["--features", "command", "--bin", "mcp-token-guard"])
            .arg("--message-format=json")
            .current_dir(module::project())
            .output()
            .expect("cargo starts");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
        let messages = String::from_utf8_lossy(&built.stdout);
        let made = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|message| message["executable"].as_str().map(PathBuf::from));
        made.expect("an executable")
    })
}
