//! The laws of `wasm-tests/laws`, on the bytes that are kept of fuzzing.

use std::fs;
use std::panic::catch_unwind;

use laws::LAWS;
use mcp_token_guard_tests::module::project;

/// Each law on its whole corpus.
#[test]
fn the_laws_hold_for_what_fuzzing_has_found() {
    let mut broken = Vec::new();
    for (name, law) in LAWS {
        let folder = project().join("wasm-tests/fuzz/corpus").join(name);
        let files =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for file in files {
            let path = file.expect("a file").path();
            let bytes = fs::read(&path).expect("to read it");
            count += 1;
            if catch_unwind(|| law(&bytes)).is_err() {
                broken.push(path.display().to_string());
            }
        }
        println!("{name}: {count} inputs");
        assert!(count > 9, "the corpus of {name} is missing");
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Every law has a program that looks for what breaks it.
#[test]
fn every_law_is_fuzzed() {
    let manifest = project().join("wasm-tests/fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest");
    for (name, _) in LAWS {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} has no target"
        );
        let target = format!("wasm-tests/fuzz/fuzz_targets/{name}.rs");
        let target = fs::read_to_string(project().join(target)).expect("the target");
        assert!(target.contains(&format!("hold(\"{name}\"")), "{target}");
    }
}
