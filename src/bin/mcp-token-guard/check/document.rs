//! Reads files, as JSON or YAML.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize as _;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::tree::shown;

/// One document of a file.
#[derive(Debug)]
pub(crate) struct Document {
    /// The file, as it may be printed.
    pub(crate) file: String,
    /// Which document of the file, where there is more to say than the file.
    pub(crate) name: Option<String>,
    /// What it is.
    pub(crate) kind: Kind,
    /// What is in it.
    pub(crate) value: Value,
    /// The text, where that is JSON: it may have members twice.
    pub(crate) text: Option<String>,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A configuration of Envoy, or a part of one.
    Envoy,
    /// A plugin configuration alone.
    Plugin,
    /// A Kubernetes resource.
    Resource,
}

/// The name of a file as it may be printed.
pub(crate) fn name(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// The one object of a file, with no member twice; the error is a sentence.
pub(crate) fn object(path: &Path) -> Result<Value, String> {
    let mut values = values(&text(path)?, Twice::Refuse)?;
    match (values.pop(), values.is_empty()) {
        (Some(value), true) if value.is_object() => Ok(value),
        (_, _) => Err("is not one object".to_owned()),
    }
}

/// What happens to a plugin configuration with a member that is there twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twice {
    /// Its parser will say where.
    Keep,
    /// It is refused.
    Refuse,
}

/// The documents of a file; the error is a sentence.
pub(crate) fn read(path: &Path) -> Result<Vec<Document>, String> {
    let text = text(path)?;
    let file = name(path);
    let values = values(&text, Twice::Keep)?;
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    let several = values.len() > 1;
    let mut found = Vec::new();
    for (place, value) in values.into_iter().enumerate() {
        let number = several.then(|| format!("document {}", place.saturating_add(1)));
        let kind = kind(&value).ok_or_else(|| {
            let number = number
                .clone()
                .map_or_else(String::new, |n| format!("has a {n} that "));
            format!(
                "{number}is neither a plugin configuration nor one of Envoy nor a manifest; it \
                 has to be an object"
            )
        })?;
        let resources = match value.get("items").and_then(Value::as_array) {
            Some(items) if kind == Kind::Resource => items.clone(),
            Some(_) | None => vec![value],
        };
        for value in resources {
            let of_resource = (kind == Kind::Resource).then(|| resource(&value));
            let name = [number.clone(), of_resource];
            let name: Vec<String> = name.into_iter().flatten().collect();
            found.push(Document {
                file: file.clone(),
                name: (!name.is_empty()).then(|| name.join(", ")),
                kind,
                value,
                text: (is_json && kind == Kind::Plugin).then(|| text.clone()),
            });
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(LONGEST).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        let kind = error.kind();
        if kind == io::ErrorKind::IsADirectory {
            "is a directory; name the files in it".to_owned()
        } else if kind == io::ErrorKind::NotFound {
            "is not there; check its name".to_owned()
        } else {
            format!("cannot be read: {kind}")
        }
    })?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length == LONGEST) {
        return Err("is longer than 16 MiB, which no configuration is".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not text; it has to be UTF-8")?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim().is_empty() {
        return Err("is empty; it has to be a configuration".to_owned());
    }
    if is_deep(text) {
        return Err("is nested deeper than any configuration".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether brackets are open in brackets so often that readers of YAML, which
/// may look back at every one of them, would not come to an end.
fn is_deep(text: &str) -> bool {
    let mut open: usize = 0;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' => open = open.saturating_add(1),
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        open > DEEPEST
    })
}

/// What is in the text; nothing of it is shown in an error.
fn values(text: &str, members: Twice) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        // By way of this type, which refuses a member that is there twice.
        let value = yaml_serde::Value::deserialize(document)
            .map_err(|error| (error.location(), error.to_string().contains("duplicate")))
            .and_then(|value| serde_json::to_value(value).map_err(|_| (None, false)));
        match value {
            Ok(Value::Null) => {}
            Ok(value) => found.push(value),
            Err((location, twice)) => {
                let keep = !twice || members == Twice::Keep;
                return json(text, twice).filter(|_| keep).ok_or_else(|| {
                    let place = location.map_or_else(String::new, |place| {
                        format!(" at line {}, column {}", place.line(), place.column())
                    });
                    if twice {
                        format!("has a member that is there twice{place}; keep one")
                    } else {
                        format!("is not JSON or YAML{place}; correct it")
                    }
                });
            }
        }
    }
    if found.is_empty() {
        return Err("is empty; it has to be a configuration".to_owned());
    }
    Ok(found)
}

/// The text as JSON, of which YAML does not know every escape. Members that are
/// there twice are for the parser of plugin configurations to report.
fn json(text: &str, twice: bool) -> Option<Vec<Value>> {
    let value: Value = serde_json::from_str(text).ok()?;
    (!twice || kind(&value) == Some(Kind::Plugin)).then(|| vec![value])
}

fn kind(value: &Value) -> Option<Kind> {
    let members = value.as_object()?;
    let has = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
    if has(&["apiVersion"]) && has(&["kind"]) {
        Some(Kind::Resource)
    } else if has(ENVOY) {
        Some(Kind::Envoy)
    } else {
        Some(Kind::Plugin)
    }
}

/// Kind and name of a resource.
fn resource(value: &Value) -> String {
    let text = |place: &str| value.pointer(place).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or("a resource");
    let name = text("/metadata/name").unwrap_or("without a name");
    shown(&match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    })
}

/// Keys of Envoy's own configuration: of a bootstrap, of what a file for dynamic
/// configuration has, of a listener, of `/config_dump`.
const ENVOY: &[&str] = &[
    "@type",
    "admin",
    "configs",
    "dynamic_resources",
    "dynamicResources",
    "filter_chains",
    "filterChains",
    "http_filters",
    "httpFilters",
    "layered_runtime",
    "node",
    "resources",
    "static_resources",
    "staticResources",
    "virtual_hosts",
    "virtualHosts",
];

/// Brackets in brackets.
const DEEPEST: usize = 512;

/// Bytes of a file that are read.
const LONGEST: u64 = 16 << 20;
