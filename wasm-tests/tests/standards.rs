//! Which test proves which row of the normative checklist. `make standards`
//! prints it.
//!
//! A scenario names the rows that it proves; any other test names them in its
//! doc comment. What the judge of the scenarios holds against every reply names
//! them there. A row that nothing names has to be in `standards/left`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mcp_token_guard_tests::module::project;
use mcp_token_guard_tests::scenario::scenarios;

/// The tests that name a row.
type Proofs = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_row_has_a_test_or_is_left_for_a_reason() {
    let rows = lines("rows");
    let known: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    let left: BTreeMap<String, String> = lines("left")
        .iter()
        .map(|line| {
            let (row, reason) = line.split_once(": ").expect("a row and a reason");
            (row.to_owned(), reason.to_owned())
        })
        .collect();
    let proofs = proofs(&known);
    let mut wrong = Vec::new();
    for row in &rows {
        match (proofs.get(row), left.get(row)) {
            (Some(tests), None) => {
                let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
                println!("{row:<18} {}", tests.join(", "));
            }
            (None, Some(reason)) => println!("{row:<18} left: {reason}"),
            (None, None) => wrong.push(format!("{row} has no test and no reason")),
            (Some(_), Some(_)) => wrong.push(format!("{row} has a test and is said to be left")),
        }
    }
    for row in left.keys().filter(|row| !known.contains(row.as_str())) {
        wrong.push(format!("{row} is left, but there is no such row"));
    }
    let (with, without) = (proofs.len(), left.len());
    println!("{} rows: {with} with tests, {without} left", rows.len());
    assert_eq!(known.len(), rows.len(), "a row is there twice");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_tests_and_the_judge_prove_anything() {
    let known = BTreeSet::from(["A-1", "A-1.2"]);
    let found = |source: &str, judge: bool| -> Vec<String> {
        let mut proofs = Proofs::new();
        read(source, "file", judge, &known, &mut proofs);
        let named = |(row, tests): (String, BTreeSet<String>)| {
            tests.into_iter().map(move |test| format!("{row} {test}"))
        };
        proofs.into_iter().flat_map(named).collect()
    };
    let test = "/// A-1: said.\n/// And A-1.2.\n#[test]\nfn one() {}\n";
    assert_eq!(found(test, false), ["A-1 file::one", "A-1.2 file::one"]);
    assert!(found("/// A-1\nfn one() {}\n#[test]\nfn two() {}", false).is_empty());
    assert!(found("/// XA-1, A-12, A-1-a\n#[test]\nfn one() {}", false).is_empty());
    assert!(found("// A-1\n#[test]\nfn one() {}", false).is_empty());
    assert_eq!(found("/// A-1\nfn one() {}", true), ["A-1 file::one"]);
}

/// The lines of a file of the checklist that say something.
fn lines(name: &str) -> Vec<String> {
    let path = project().join("wasm-tests/standards").join(name);
    let text = fs::read_to_string(path).expect("the file");
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// What names which of the rows.
fn proofs(known: &BTreeSet<&str>) -> Proofs {
    let mut proofs = Proofs::new();
    for scenario in scenarios() {
        for row in scenario.proves.iter().filter(|row| known.contains(*row)) {
            let tests = proofs.entry((*row).to_owned()).or_default();
            tests.insert(scenario.name.to_owned());
        }
    }
    let root = project();
    for folder in ["src", "wasm-tests/src", "wasm-tests/tests"] {
        for path in sources(&root.join(folder)) {
            let source = fs::read_to_string(&path).expect("a source");
            let short = path.strip_prefix(root).expect("a path below the root");
            let judge = short.starts_with("wasm-tests/src/scenario/check");
            let place = short.with_extension("").display().to_string();
            let place = place.trim_start_matches("wasm-tests/");
            read(&source, place, judge, known, &mut proofs);
        }
    }
    proofs
}

/// The sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Adds what the doc comments of the tests in a source name; in the judge's,
/// those of all functions.
fn read(source: &str, place: &str, judge: bool, known: &BTreeSet<&str>, proofs: &mut Proofs) {
    let (mut docs, mut is_test) = (String::new(), judge);
    for line in source.lines().map(str::trim_start) {
        if let Some(text) = line.strip_prefix("///") {
            docs.push_str(text);
            docs.push('\n');
            continue;
        }
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]");
            continue;
        }
        let function = line.split_once("fn ").map(|(_, rest)| rest);
        if let (true, Some(rest)) = (is_test, function) {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            for row in docs.split(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c)) {
                let row = row.trim_end_matches('.');
                if known.contains(row) {
                    let tests = proofs.entry(row.to_owned()).or_default();
                    tests.insert(format!("{place}::{name}"));
                }
            }
        }
        (docs, is_test) = (String::new(), judge);
    }
}
