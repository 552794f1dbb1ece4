//! `envoy/get` chooses an Envoy: among programs that only say which version they
//! are, in a project without one of its own and on a path without Python, so
//! that nothing is fetched.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_token_guard_tests::module;

/// What the script runs besides shell builtins.
const TOOLS: &[&str] = &["sh", "cat", "dirname", "find", "head", "rm", "sed", "tail"];

/// A project with `envoy/get` in it, and a path.
struct Place {
    folder: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mcp-token-guard-get-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        for part in ["envoy", "path", "elsewhere"] {
            fs::create_dir_all(folder.join(part)).expect("a folder");
        }
        let script = module::project().join("envoy/get");
        fs::copy(script, folder.join("envoy/get")).expect("the script");
        let path = std::env::var_os("PATH").expect("a path");
        for tool in TOOLS {
            let mut found = std::env::split_paths(&path).map(|folder| folder.join(tool));
            let found = found.find(|file| file.exists()).expect(tool);
            symlink(found, folder.join("path").join(tool)).expect("a link");
        }
        Self {
            folder,
            variables: Vec::new(),
        }
    }

    /// With a program that runs these lines.
    fn with(self, at: &str, lines: &str) -> Self {
        let file = self.at(at);
        fs::write(&file, format!("#!/bin/sh\n{lines}\n")).expect("to write");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("to allow");
        self
    }

    /// With an Envoy that says that it is of this version.
    fn with_envoy(self, at: &str, version: &str) -> Self {
        let line = format!("{at}  version: 0123abc/{version}/Clean/RELEASE/BoringSSL");
        self.with(at, &format!("echo '{line}'"))
    }

    fn variable(mut self, name: &'static str, at: &str) -> Self {
        self.variables.push((name, self.at(at)));
        self
    }

    fn at(&self, at: &str) -> PathBuf {
        self.folder.join(at)
    }

    fn get(&self) -> Output {
        Command::new(self.at("path/sh"))
            .arg(self.at("envoy/get"))
            .env_clear()
            .env("PATH", self.at("path"))
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("a shell")
    }

    /// Asserts that it is this one. What was said besides.
    fn takes(&self, at: &str) -> String {
        let output = self.get();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let printed = String::from_utf8_lossy(&output.stdout);
        let last = printed.lines().last().expect("a line");
        assert_eq!(Path::new(last), self.at(at), "{said}");
        said
    }

    /// Asserts that it takes none. What it says.
    fn takes_none(&self) -> String {
        let output = self.get();
        assert!(!output.status.success());
        assert_eq!(output.stdout, b"");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left is only rubbish.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A func-e whose version in use is in this file.
fn func_e(place: &Place, at: &str) -> String {
    let file = place.at(at);
    format!(
        "[ \"$*\" = which ] || exit 1\necho downloading\necho {}",
        file.display()
    )
}

#[test]
fn the_one_that_is_named_goes_first() {
    let place = Place::new()
        .with_envoy("path/envoy", "1.40.0")
        .with_envoy("elsewhere/mine", "1.37.0")
        .variable("ENVOY", "elsewhere/mine");
    place.takes("elsewhere/mine");
}

#[test]
fn no_other_is_taken_for_the_one_that_is_named() {
    for (version, why) in [("1.32.9", "old"), ("1.38.3", "without Wasm")] {
        let place = Place::new()
            .with_envoy("path/envoy", "1.40.0")
            .with_envoy("elsewhere/mine", version)
            .variable("ENVOY", "elsewhere/mine");
        let said = place.takes_none();
        assert!(said.contains("elsewhere/mine is no Envoy"), "{why}: {said}");
    }
}

#[test]
fn one_on_the_path_is_taken() {
    for version in ["1.33.0", "1.38.2", "1.40.0"] {
        let place = Place::new().with_envoy("path/envoy", version);
        place.takes("path/envoy");
    }
}

#[test]
fn func_e_is_asked_where_the_path_has_no_good_one() {
    let place = Place::new()
        .with_envoy("path/envoy", "1.30.1")
        .with_envoy("elsewhere/of-func-e", "1.39.3");
    let lines = func_e(&place, "elsewhere/of-func-e");
    let said = place
        .with("path/func-e", &lines)
        .takes("elsewhere/of-func-e");
    assert!(said.contains("passing over"), "{said}");
}

#[test]
fn the_path_that_func_e_would_run_is_taken() {
    let place = Place::new()
        .with_envoy("elsewhere/of-func-e", "1.39.3")
        .with_envoy("elsewhere/named", "1.40.0")
        .variable("ENVOY_PATH", "elsewhere/named");
    let lines = func_e(&place, "elsewhere/of-func-e");
    place.with("path/func-e", &lines).takes("elsewhere/named");
}

#[test]
fn without_any_it_says_what_to_do() {
    let place = Place::new().with_envoy("elsewhere/of-func-e", "1.38.3");
    let lines = func_e(&place, "elsewhere/of-func-e");
    let said = place.with("path/func-e", &lines).takes_none();
    assert!(said.contains("passing over what func-e has"), "{said}");
    assert!(said.contains("install Python 3, or set ENVOY"), "{said}");
}
