//! The command `mcp-token-guard`, run as its users run it: the samples of the
//! project pass, each mistake and each danger in one of them is found where it
//! is, and nothing that could be secret is printed.

mod dangers;
mod files;
mod import;
mod mistakes;
mod run;
mod sample;

use std::fs;
use std::path::PathBuf;

use mcp_token_guard_tests::module;

use run::{check, command};

/// Every sample but that of Compose, which is nothing of Envoy's.
fn samples() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "istio", "envoy-gateway"] {
        let folder = module::project().join("envoy").join(folder);
        for entry in fs::read_dir(folder).expect("the samples") {
            let path = entry.expect("a sample").path();
            let is_yaml = path.extension().is_some_and(|end| end == "yaml");
            if is_yaml && !path.ends_with("docker-compose.yaml") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 10);
    found
}

#[test]
fn every_sample_is_fine() {
    let mut guards = 0;
    for sample in samples() {
        let found = check(&[&sample]);
        assert_eq!(found.status, 0, "{}: {:#}", sample.display(), found.all);
        guards += found.guards().len();
    }
    assert!(guards >= 11, "{guards} guards");
}

/// As one would do it for a folder.
#[test]
fn the_manifests_are_fine_together() {
    for folder in ["envoy/istio/", "envoy/envoy-gateway/"] {
        let folder = module::project().join(folder);
        let files: Vec<_> = samples()
            .into_iter()
            .filter(|path| path.starts_with(&folder))
            .collect();
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        let found = check(&files);
        assert_eq!(found.status, 0, "{:#}", found.all);
        assert!(!found.guards().is_empty());
    }
}

#[test]
fn the_schema_is_the_copy_for_editors() {
    let printed = command(&["schema"]);
    assert_eq!(printed.status, 0);
    let copy = fs::read_to_string(module::project().join("envoy/plugin.schema.json"));
    assert!(printed.out == copy.expect("the copy"));
}
