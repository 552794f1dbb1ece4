//! Modules of which one line is missing. They are built from a copy of the
//! sources, so that the shipped ones need no switch for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_token_guard_tests::module;

/// A module with a line taken out.
pub(crate) struct Mutant {
    /// The file.
    file: &'static str,
    /// What stands there, once.
    pub(crate) line: &'static str,
    /// What stands there instead.
    instead: &'static str,
}

/// One for each way of the strip, and for two of the search behind it.
pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        file: "src/passage.rs",
        line: "            changes.push(Change::remove(name));",
        instead: "",
    },
    Mutant {
        file: "src/passage.rs",
        line: "            changes.push(change);",
        instead: "            let _ = change;",
    },
    Mutant {
        file: "src/passage.rs",
        line: "                    strip.push(name.clone());",
        instead: "",
    },
    Mutant {
        file: "src/passage.rs",
        line: "            if let Some(place) = search.in_path(value) {",
        instead: "            if let Some(place) = search.in_path(value).filter(|_| false) {",
    },
    Mutant {
        file: "src/leak.rs",
        line: "            || (memchr::memchr(b'%', value).is_some() && self.is_in(&percent_decode(value)))",
        instead: "            || (memchr::memchr(b'%', value).is_some() && self.is_in(value))",
    },
];

impl Mutant {
    /// Builds it.
    ///
    /// # Panics
    /// When the line is not there once, or the rest does not build.
    pub(crate) fn build(&self) -> PathBuf {
        let project = module::project();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| project.join("target"), PathBuf::from);
        let copy = target.join("mutant");
        let _ = fs::remove_dir_all(copy.join("src"));
        copy_sources(&project.join("src"), &copy.join("src"));
        let manifest = fs::read_to_string(project.join("Cargo.toml")).expect("the manifest");
        let alone = manifest
            .lines()
            .filter(|line| !line.starts_with("members =") && !line.contains("profile.dev.package"))
            .filter(|line| *line != "opt-level = 3" && *line != "opt-level = 2");
        let alone = alone.collect::<Vec<_>>().join("\n");
        fs::write(copy.join("Cargo.toml"), alone).expect("to write the manifest");
        for file in ["Cargo.lock", "README.md"] {
            fs::copy(project.join(file), copy.join(file)).expect("to copy");
        }
        let file = copy.join(self.file);
        let text = fs::read_to_string(&file).expect("the source");
        let count = text.matches(self.line).count();
        assert_eq!(
            count, 1,
            "{} in {}: name another line",
            self.line, self.file
        );
        fs::write(&file, text.replace(self.line, self.instead)).expect("to write the source");
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--offline", "--lib", "--target", "wasm32-wasip1"])
            .arg("--target-dir")
            .arg(copy.join("target"))
            .current_dir(&copy)
            .output()
            .expect("cargo");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "without {:?}: {said}", self.line);
        copy.join("target/wasm32-wasip1/debug/mcp_token_guard.wasm")
    }
}

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the sources") {
        let entry = entry.expect("a source");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_sources(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("to copy");
        }
    }
}
