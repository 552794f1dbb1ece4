//! `make release`: what is published, and that it can be made again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use mcp_token_guard_tests::module;
use serde_json::Value;

use crate::image::{is_the_module, version};
use crate::tools::{Folder, compose, run};

fn make(folder: &Path) {
    let script = module::project().join("envoy/release");
    run(Command::new(script).arg(folder));
}

#[test]
fn its_files_are_all_there_and_the_same_each_time() {
    compose();
    module::path();
    let folder = Folder::new();
    let (first, second) = (folder.join("first"), folder.join("second"));
    make(&first);
    make(&second);
    let version = version();
    let bill = format!("mcp-token-guard-{version}.cdx.json");
    let image = format!("mcp-token-guard-{version}.oci.tar");
    let module = "mcp_token_guard.wasm";

    let names = fs::read_dir(&first).expect("the folder").map(|entry| {
        let name = entry.expect("a file").file_name();
        name.into_string().expect("a name")
    });
    let names: BTreeSet<_> = names.collect();
    let expected = ["SHA256SUMS", &bill, &image, module].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(expected));
    for name in &names {
        let read = |folder: &Path| fs::read(folder.join(name)).expect("the file");
        assert!(read(&first) == read(&second), "{name} of another time");
    }
    let sums = run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&first));
    for name in [&*bill, &image, module] {
        assert!(sums.contains(&format!("{name}: OK\n")), "{sums}");
    }

    let published = fs::read(first.join(module)).expect("the module");
    let built = fs::read(module::path()).expect("the module");
    assert!(published == built, "another module");
    let from = format!("oci-archive:{}", first.join(&image).display());
    let layout = folder.join("layout");
    let to = format!("oci:{}:{version}", layout.display());
    run(Command::new("skopeo").args(["copy", "--quiet", &from, &to]));
    let digest = run(Command::new("skopeo").args(["inspect", "--format={{.Digest}}", &from]));
    is_the_module(&layout, digest.trim());
    names_what_is_in_the_module(&fs::read_to_string(first.join(bill)).expect("the bill"));
}

/// The bill of materials has what the module is linked of, in the versions of
/// the lock file, and nothing of the tests or of this machine.
fn names_what_is_in_the_module(bill: &str) {
    let text = bill;
    let bill: Value = serde_json::from_str(bill).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], "mcp-token-guard");
    assert_eq!(bill["metadata"]["component"]["version"], version());
    let components = bill["components"].as_array().expect("components");
    let named = |name: &str| components.iter().find(|one| one["name"] == name);

    let manifest = fs::read_to_string(module::project().join("Cargo.toml")).expect("Cargo.toml");
    let lock = fs::read_to_string(module::project().join("Cargo.lock")).expect("the lock file");
    let mut section = "";
    let mut count = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        if !section.ends_with("dependencies]") || section.starts_with("[dev-") {
            continue;
        }
        let Some((name, what)) = line.split_once(" = ") else {
            continue;
        };
        if what.contains("optional = true") {
            assert!(named(name).is_none(), "{name} is only of the command");
            continue;
        }
        let found = named(name).unwrap_or_else(|| panic!("{name} is not in the bill"));
        let found = found["version"].as_str().expect("a version");
        let locked = format!("name = \"{name}\"\nversion = \"{found}\"\n");
        assert!(lock.contains(&locked), "{name} {found} is not locked");
        count += 1;
    }
    assert!(count >= 9, "only {count} dependencies in Cargo.toml");
    for name in ["proptest", "tokio", "wasmi"] {
        assert!(named(name).is_none(), "{name} is only of the tests");
    }
    for folder in [module::project().to_owned(), std::env::temp_dir()] {
        let folder = folder.to_string_lossy();
        assert!(!text.contains(&*folder), "{folder} is in it");
    }
}
