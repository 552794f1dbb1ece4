//! Samples of the project, with one thing changed.

use std::fs;
use std::path::PathBuf;

use mcp_token_guard_tests::module;
use serde_json::Value;

use crate::run::{check, check_with, file};

/// The connection manager of both samples.
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// The first route of both.
pub const ROUTE: &str = "/route_config/virtual_hosts/0/routes/0";

/// The guard's filter.
pub const GUARD: &str = "/http_filters/0";

/// The documents of samples, to be changed and written to one file.
pub struct Sample(pub Vec<Value>);

impl Sample {
    /// All documents of these samples.
    pub fn of(names: &[&str]) -> Self {
        let mut documents = Vec::new();
        for name in names {
            let path = module::project().join("envoy").join(name);
            let text = fs::read_to_string(path).expect("the sample");
            for part in text.split("\n---\n") {
                let value: yaml_serde::Value = yaml_serde::from_str(part).expect("YAML");
                documents.push(serde_json::to_value(value).expect("JSON"));
            }
        }
        Self(documents)
    }

    /// With this at the place, in the only document that has what leads there.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let key = key.replace("~1", "/");
        let mut there = self.0.iter_mut().filter_map(|one| one.pointer_mut(parent));
        let parent = there.next().expect("what leads there");
        match parent {
            Value::Array(items) => items[key.parse::<usize>().expect("a place")] = value,
            parent => parent[key.as_str()] = value,
        }
        self
    }

    /// With this at the place, in the document of this kind and name.
    pub fn within(mut self, kind: &str, name: &str, pointer: &str, value: Value) -> Self {
        let is = |one: &&mut Value| one["kind"] == kind && one["metadata"]["name"] == name;
        let mut found = self.0.iter_mut().filter(is);
        let document = found.next().expect("the resource");
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).expect("what leads there");
        match parent {
            Value::Array(items) => items[key.parse::<usize>().expect("a place")] = value,
            parent => parent[key] = value,
        }
        self
    }

    /// Without the document of this kind and name.
    pub fn without(mut self, kind: &str, name: &str) -> Self {
        let before = self.0.len();
        self.0
            .retain(|one| one["kind"] != kind || one["metadata"]["name"] != name);
        assert_eq!(self.0.len() + 1, before);
        self
    }

    /// With this at the place in the configuration of the guard, which the
    /// sample of Envoy has as a text; null takes away what is there.
    pub fn configured(mut self, pointer: &str, value: Value) -> Self {
        let place = at(&format!("{GUARD}/typed_config/config/configuration/value"));
        let text = self.0[0].pointer_mut(&place).expect("a configuration");
        let parsed = serde_json::from_str(text.as_str().expect("a text")).expect("JSON");
        let mut inner = Self(vec![parsed]).with(pointer, value).0.remove(0);
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let members = inner.pointer_mut(parent).and_then(Value::as_object_mut);
        members
            .expect("members")
            .retain(|name, value| name != key || !value.is_null());
        *text = inner.to_string().into();
        self
    }

    /// Each document is JSON, which is YAML.
    pub fn file(&self) -> PathBuf {
        let documents: Vec<_> = self.0.iter().map(Value::to_string).collect();
        file("sample.yaml", documents.join("\n---\n"))
    }

    /// One danger is found in it: the path ends so, and the sentence has this.
    pub fn warns(&self, path: &str, sentence: &str) {
        let file = self.file();
        let found = check(&[&file]);
        let [finding] = found.findings() else {
            panic!("{sentence}: not one finding: {:#}", found.all);
        };
        assert_eq!(finding["severity"], "warning", "{finding:#}");
        let whole = format!(
            "{}: {}",
            finding["path"].as_str().unwrap_or_default(),
            finding["configuration_path"].as_str().unwrap_or_default()
        );
        let whole = whole.trim_end_matches(": ");
        assert!(whole.ends_with(path), "{whole} is not {path}");
        let said = finding["sentence"].as_str().expect("a sentence");
        assert!(said.contains(sentence), "{said}");
        // It counts, unless one says otherwise.
        assert_eq!(found.status, 1);
        let allowed = check_with(&["--allow-warnings"], &[], &[&file]);
        assert_eq!(allowed.status, 0);
    }

    /// Nothing is found in it.
    pub fn is_fine(&self) {
        let found = check(&[&self.file()]);
        assert_eq!(found.status, 0, "{:#}", found.all);
    }
}

pub fn simple() -> Sample {
    Sample::of(&["envoy.yaml"])
}

pub fn strict() -> Sample {
    Sample::of(&["strict.yaml"])
}

pub fn istio() -> Sample {
    Sample::of(&["istio/gateway.yaml", "istio/authorization-server.yaml"])
}

pub fn gateway_api() -> Sample {
    Sample::of(&["envoy-gateway/guard.yaml", "envoy-gateway/github.yaml"])
}

pub fn at(pointer: &str) -> String {
    format!("{MANAGER}{pointer}")
}
