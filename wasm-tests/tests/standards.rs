//! Which test proves which row of the normative checklist, and with what result.
//! `make standards` runs all tests, and then this one with what they said in the
//! file that `RESULTS` names: it prints the table, and fails when a test of a row
//! has failed or has not been run. Without that variable it looks at the names
//! alone.
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
    let results = std::env::var_os("RESULTS").map(|path| {
        let text = fs::read(path).expect("the file that RESULTS names");
        Results::read(&String::from_utf8_lossy(&text))
    });
    let mut wrong = Vec::new();
    for row in &rows {
        match (proofs.get(row), left.get(row)) {
            (Some(tests), None) => {
                for test in tests {
                    let result = results.as_ref().map_or("", |results| results.of(test));
                    println!("{row:<18} {test:<90} {result}");
                    if !["", PASSED].contains(&result) {
                        wrong.push(format!("{row}: {test} {result}"));
                    }
                }
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
fn a_result_is_that_of_the_test_of_the_name() {
    let results = Results::read(
        "test one ... ok\ntest inner::two ... FAILED\ntest three ... ok\n\
         test three has been running for over 60 seconds\ntest src::three ... ignored\n\
         test every_scenario_holds_in_envoy ... FAILED\n\
         a_rule [\"A-1\"] Http1\n  step 1: no\n",
    );
    assert_eq!(results.of("tests/file::one"), PASSED);
    assert_eq!(results.of("tests/file/inner::two"), FAILED);
    assert_eq!(results.of("tests/file::three"), NOT_RUN);
    assert_eq!(results.of("tests/file::four"), NOT_RUN);
    assert_eq!(results.of("a_rule"), FAILED);
    assert_eq!(results.of("another_rule"), PASSED);
    assert_eq!(Results::read("").of("another_rule"), NOT_RUN);
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

/// What the result of a test is called.
const PASSED: &str = "passed";
const FAILED: &str = "FAILED";
const NOT_RUN: &str = "NOT RUN";

/// The runner of the scenarios in Envoy.
const SCENARIOS: &str = "every_scenario_holds_in_envoy";

/// What `cargo test` has said.
struct Results {
    /// The worst result of the tests of each name, without their modules.
    tests: BTreeMap<String, &'static str>,
    /// The first words of all lines, among which are the scenarios that failed.
    first_words: BTreeSet<String>,
}

impl Results {
    /// Reads the lines that say something about a test.
    fn read(text: &str) -> Self {
        let mut tests: BTreeMap<String, &'static str> = BTreeMap::new();
        let mut first_words = BTreeSet::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            first_words.extend(words.next().map(str::to_owned));
            // A test may print in the middle of its line: then the end says it.
            let Some(rest) = line.strip_prefix("test ") else {
                continue;
            };
            let Some((path, _)) = rest.split_once(" ... ") else {
                continue;
            };
            let result = match line.rsplit(' ').next() {
                Some("ok") => PASSED,
                Some("FAILED") => FAILED,
                _ => NOT_RUN,
            };
            let name = path.rsplit("::").next().unwrap_or(path).to_owned();
            let worst = tests.entry(name).or_insert(result);
            if result != PASSED && *worst != FAILED {
                *worst = result;
            }
        }
        Self { tests, first_words }
    }

    /// The result of a test as the table names it.
    fn of(&self, test: &str) -> &'static str {
        let found = |name: &str| self.tests.get(name).copied().unwrap_or(NOT_RUN);
        match test.rsplit_once("::") {
            // What the judge holds against every reply.
            Some((place, _)) if place.contains("scenario/check") => found(SCENARIOS),
            Some((_, name)) => found(name),
            // A scenario.
            None if self.first_words.contains(test) => FAILED,
            None if found(SCENARIOS) == NOT_RUN => NOT_RUN,
            None => PASSED,
        }
    }
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
