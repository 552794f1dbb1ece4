//! What README and samples show works: each plugin configuration is taken by
//! the guard, each sample by Envoy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_token_guard::Config;
use mcp_token_guard_tests::module;
use serde::Deserialize as _;
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

/// The README, and the guides beside the samples.
fn texts() -> Vec<(PathBuf, String)> {
    let folder = fs::read_dir(module::project().join("envoy")).expect("the samples");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.push(module::project().join("README.md"));
    assert!(files.len() > 1, "the guides are missing");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the text");
        (path, text)
    };
    files.into_iter().map(read).collect()
}

/// What is in the fenced blocks of a text whose language begins so.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let inside = lines.by_ref().map(|line| line.get(indent..).unwrap_or(""));
        let block: Vec<_> = inside.take_while(|line| *line != "```").collect();
        if fence.starts_with(language) {
            found.push(block.join("\n"));
        }
    }
    found
}

#[test]
fn json_in_the_texts_is_json_and_configurations_are_taken() {
    let mut count = 0;
    for (path, text) in texts() {
        for block in blocks(&text, "json") {
            let what = path.display().to_string();
            let block = without_comments(&block);
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&block) {
                panic!("{what}: {error}: {block}");
            }
            if block.contains("\"authorization_server\"") {
                taken(&what, &block);
                count += 1;
            }
        }
    }
    assert!(count > 4, "configurations in the texts");
}

#[test]
fn commands_in_the_texts_can_be_typed() {
    let makefile = fs::read_to_string(module::project().join("Makefile")).expect("the Makefile");
    let mut count = 0;
    for (path, text) in texts() {
        let what = path.display();
        for block in blocks(&text, "sh") {
            let shell = Command::new("sh").args(["-n", "-c", &block]).output();
            let shell = shell.expect("a shell");
            let said = String::from_utf8_lossy(&shell.stderr);
            assert!(shell.status.success(), "{what}: {said}: {block}");
            count += 1;
        }
        for (_, target) in text.match_indices("`make ").filter_map(|(at, begin)| {
            let rest = &text[at + begin.len()..];
            rest.split_once(|end: char| !end.is_ascii_lowercase())
                .map(|(target, _)| (at, target))
        }) {
            let known = makefile.contains(&format!("\n{target}:"));
            assert!(known, "{what}: there is no `make {target}`");
        }
    }
    assert!(count > 2, "commands in the texts");
}

#[test]
fn what_the_texts_link_to_is_there() {
    for (path, text) in texts() {
        let folder = path.parent().expect("a folder");
        let headings: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim().to_lowercase())
            .map(|heading| heading.replace(' ', "-"))
            .collect();
        for (at, _) in text.match_indices("](") {
            let (target, _) = text[at + 2..].split_once(')').expect("the link's end");
            let there = match target.strip_prefix('#') {
                Some(heading) => headings.iter().any(|one| one == heading),
                None => target.starts_with("https://") || folder.join(target).exists(),
            };
            assert!(there, "{}: {target} is not there", path.display());
        }
    }
}

#[test]
fn every_alert_has_a_guide() {
    let guides = module::project().join("envoy/guides.md");
    let guides = fs::read_to_string(guides).expect("the guides");
    let mut alerts: Vec<String> = [
        "AuthorizationServerFailing",
        "UpstreamCredentialRefused",
        "CredentialFetchFailing",
        "LeakBlocked",
        "CacheUseless",
        "ClusterMismatch",
    ]
    .map(|name| format!("McpTokenGuard{name}"))
    .into();
    // Where the rules are, they say which there are.
    let rules = module::project().join("envoy/prometheus/alerts.yaml");
    if let Ok(rules) = fs::read_to_string(rules) {
        let rules = rules.lines();
        let names = rules.filter_map(|line| line.trim_start().strip_prefix("- alert: "));
        alerts = names.map(str::to_owned).collect();
        assert!(alerts.len() > 4);
    }
    for alert in alerts {
        let heading = format!("\n### {alert}\n");
        assert!(guides.contains(&heading), "{alert} has no guide");
    }
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

/// Every cluster that reaches an authorization server bounds its calls, and
/// leaves out an address that fails.
#[test]
fn samples_bound_the_calls_to_the_authorization_server() {
    let mut seen = 0;
    for sample in all_yaml(&module::project().join("envoy")) {
        let text = fs::read_to_string(&sample).expect("the sample");
        for document in yaml_serde::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).expect("YAML");
            bounded(&sample.display().to_string(), &document, &mut seen);
        }
    }
    assert!(seen >= 4, "only {seen} clusters were found");
}

/// Looks for them in a document.
fn bounded(place: &str, value: &Value, seen: &mut usize) {
    let Value::Mapping(members) = value else {
        if let Value::Sequence(items) = value {
            for item in items {
                bounded(place, item, seen);
            }
        }
        return;
    };
    let name = value.get("name").and_then(Value::as_str);
    let name = name.or_else(|| value.get("metadata")?.get("name")?.as_str());
    if name.is_some_and(|name| name.ends_with("authorization-server")) {
        let kind = value.get("kind").and_then(Value::as_str);
        let (at, bounds) = if value.get("load_assignment").is_some() {
            (Some(value), ["circuit_breakers", "outlier_detection"])
        } else if kind == Some("DestinationRule") {
            let policy = value.get("spec").and_then(|spec| spec.get("trafficPolicy"));
            (policy, ["connectionPool", "outlierDetection"])
        } else {
            (None, [""; 2])
        };
        for bound in bounds {
            let there = at.is_none_or(|at| at.get(bound).is_some());
            assert!(there, "{place}: {name:?} has no {bound}");
        }
        *seen += usize::from(at.is_some());
    }
    for member in members.values() {
        bounded(place, member, seen);
    }
}

/// The files with this ending in a folder and below.
fn all_yaml(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("a file").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                all_yaml(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect()
}
