//! What README and samples show works: each plugin configuration is taken by
//! the guard, each sample by Envoy.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mcp_token_guard::Config;
use mcp_token_guard_tests::module;
use yaml_serde::Value;

fn taken(what: &str, configuration: &str) {
    // Every variable is there.
    let env = |_: &str| Some("a-secret-of-more-than-thirty-two-bytes".to_owned());
    if let Err(errors) = Config::parse(configuration.as_bytes(), &env) {
        panic!("{what}: {errors}");
    }
}

fn samples() -> Vec<PathBuf> {
    let folder = fs::read_dir(module::project().join("envoy")).expect("the samples");
    let files = folder.map(|entry| entry.expect("a sample").path());
    let mut found: Vec<_> = files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| !path.ends_with("docker-compose.yaml"))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn configurations_in_the_readme_are_taken() {
    let readme = fs::read_to_string(module::project().join("README.md")).expect("the README");
    let mut count = 0;
    for block in readme.split("\n```json").skip(1) {
        let (block, _) = block.split_once("\n```").expect("the block's end");
        let (_, block) = block.split_once('\n').expect("the line of the fence");
        if block.contains("\"authorization_server\"") {
            taken("README.md", &without_comments(block));
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn configurations_in_the_samples_are_taken() {
    for sample in samples() {
        let text = fs::read_to_string(&sample).expect("the sample");
        let document: Value = yaml_serde::from_str(&text).expect("YAML");
        let mut found = Vec::new();
        configurations(&document, &mut found);
        assert!(!found.is_empty(), "{} has none", sample.display());
        for configuration in found {
            taken(&sample.display().to_string(), &configuration);
        }
    }
}

#[test]
fn envoy_takes_the_samples() {
    let envoy = Command::new(module::project().join("envoy/get"))
        .output()
        .expect("envoy/get starts");
    let envoy = String::from_utf8(envoy.stdout).expect("a path");
    let envoy = envoy.lines().last().expect("an Envoy");
    module::path();
    for sample in samples() {
        let text = fs::read_to_string(&sample).expect("the sample");
        let document: Value = yaml_serde::from_str(&text).expect("YAML");
        let output = Command::new(envoy)
            .args([
                "--mode",
                "validate",
                "--disable-hot-restart",
                "--config-path",
            ])
            .arg(&sample)
            .envs(
                host_env_keys(&document)
                    .into_iter()
                    .map(|key| (key, "a-secret")),
            )
            .current_dir(module::project())
            .output()
            .expect("Envoy starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", sample.display());
    }
}

/// Every plugin configuration in there, as JSON.
fn configurations(value: &Value, found: &mut Vec<String>) {
    each(value, &mut |value| {
        let Some(kind) = value.get("@type").and_then(Value::as_str) else {
            return;
        };
        let Some(inner) = value.get("value") else {
            return;
        };
        if kind.ends_with("google.protobuf.StringValue") {
            found.push(inner.as_str().expect("a text").to_owned());
        } else if kind.ends_with("google.protobuf.Struct") {
            found.push(serde_json::to_string(inner).expect("JSON"));
        }
    });
}

/// The variables that the plugins in there have from Envoy's environment.
fn host_env_keys(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    each(value, &mut |value| {
        let keys = value.get("host_env_keys").and_then(Value::as_sequence);
        found.extend(
            keys.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
    });
    found
}

fn each(value: &Value, see: &mut dyn FnMut(&Value)) {
    see(value);
    match value {
        Value::Mapping(members) => members.values().for_each(|member| each(member, see)),
        Value::Sequence(items) => items.iter().for_each(|item| each(item, see)),
        _ => {}
    }
}

/// JSON out of JSON with `//` comments.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line_without_comment(line).to_owned() + "\n")
        .collect()
}

fn line_without_comment(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b'/' if !quoted && line[at..].starts_with("//") => return &line[..at],
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    line
}
