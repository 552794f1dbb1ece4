//! Files that are no configuration: 2, one sentence, and an end.

use std::path::Path;

use crate::run::{check, command, file};

fn unread(path: &Path, sentence: &str) {
    let found = check(&[path]);
    assert_eq!(found.status, 2, "{:#}", found.all);
    let unread = found.all["unread"].as_array().expect("a list");
    assert_eq!(unread.len(), 1, "{:#}", found.all);
    let said = unread[0]["sentence"].as_str().expect("a sentence");
    assert!(said.contains(sentence), "{said}");
}

#[test]
fn what_is_no_configuration_cannot_be_read() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    let laughs: Vec<String> = (0..12_u8)
        .map(|level| {
            let letter = char::from(b'a' + level);
            let before = char::from(b'a' + level.saturating_sub(1));
            let items = if level == 0 {
                "x".to_owned()
            } else {
                format!("*{before}")
            };
            format!("{letter}: &{letter} [{}]\n", vec![items; 10].join(","))
        })
        .collect();
    let steps: String = (1..500)
        .map(|depth| "  ".repeat(depth) + "- a:\n")
        .collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "is empty"),
        ("blank", b" \n\t\n".to_vec(), "is empty"),
        ("dashes", b"---\n---\n".to_vec(), "is empty"),
        ("binary", vec![0, 159, 146, 150, 255], "is not text"),
        ("zeros", vec![0; 64], "is not JSON or YAML"),
        (
            "nonsense",
            b"hello there".to_vec(),
            "it has to be an object",
        ),
        ("list", b"[1, 2]".to_vec(), "it has to be an object"),
        ("number", b"17".to_vec(), "it has to be an object"),
        (
            "cut.json",
            br#"{"servers": {"a": "#.to_vec(),
            "is not JSON or YAML",
        ),
        ("cut.yaml", b"a: b\n  c: [d\n".to_vec(), "at line 2"),
        ("lists", deep("[", "]").into(), "is nested deeper"),
        ("objects", deep("{\"a\":", "}").into(), "is nested deeper"),
        (
            "steps",
            ("a:\n".to_owned() + &steps).into(),
            "is not JSON or YAML",
        ),
        ("laughs", laughs.concat().into(), "is not JSON or YAML"),
        ("keys", b"? [a]\n: b\n".to_vec(), "is not JSON or YAML"),
        (
            "twice.yaml",
            b"static_resources: {}\nstatic_resources: {}\n".to_vec(),
            "has a member that is there twice",
        ),
        (
            "mixed",
            b"{apiVersion: v1, kind: Secret}\n---\n- 1\n".to_vec(),
            "has a document 2 that is neither",
        ),
    ];
    for (name, content, sentence) in cases {
        unread(&file(name, content), sentence);
    }
}

#[test]
fn what_is_no_file_cannot_be_read() {
    let there = file("there", "x");
    unread(&there.with_file_name("absent"), "is not there");
    unread(there.parent().expect("a folder"), "is a directory");
}

/// What can be read is checked all the same.
#[test]
fn one_bad_file_does_not_hide_the_others() {
    let (bad, other) = (file("bad", "17"), file("other.json", "{}"));
    let found = check(&[&bad, &other]);
    assert_eq!(found.status, 2);
    assert_eq!(found.findings().len(), 2, "{:#}", found.all);
}

#[test]
fn a_wrong_call_is_told_how_it_goes() {
    for args in [
        &[][..],
        &["check"],
        &["check", "--format", "x", "y"],
        &["chekc"],
    ] {
        let run = command(args);
        assert_eq!(run.status, 2, "{args:?}");
        let told = ["Usage", "try '--help'"];
        assert!(
            told.iter().any(|word| run.err.contains(word)),
            "{args:?}: {}",
            run.err
        );
    }
}
