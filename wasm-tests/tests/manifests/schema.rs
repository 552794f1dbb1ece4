//! The part of JSON Schema that Kubernetes' structural schemas use, with closed
//! objects: a member that the schema does not name is a mistake. CEL rules are
//! not evaluated. A keyword or pattern that is not known here is a mistake, too,
//! so nothing passes unseen.

use serde_json::{Map, Value};

/// What is wrong with a value, each with its path.
pub fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", true, &mut found);
    found
}

/// Keywords that say nothing about whether a value is right.
const SILENT: &[&str] = &[
    "default",
    "description",
    "format",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// `closed` is false inside of `anyOf` and the like, which name some members of
/// an object and not all.
fn check(schema: &Value, value: &Value, at: &str, closed: bool, found: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        found.push(format!("{at}: the schema is no object"));
        return;
    };
    if value.is_null() && keywords.get("nullable") == Some(&Value::Bool(true)) {
        return;
    }
    for (keyword, rule) in keywords {
        let right = match keyword.as_str() {
            word if SILENT.contains(&word) => true,
            "type" => is_of(rule, value),
            "x-kubernetes-int-or-string" => value.is_i64() || value.is_string(),
            "enum" => items(rule).contains(value),
            "required" => items(rule).iter().all(|name| {
                let name = name.as_str().unwrap_or_default();
                value.get(name).is_some()
            }),
            "minLength" | "minItems" | "minProperties" => size(value) >= rule.as_u64(),
            "maxLength" | "maxItems" | "maxProperties" => size(value) <= rule.as_u64(),
            "minimum" => value.as_f64() >= rule.as_f64(),
            "maximum" => value.as_f64() <= rule.as_f64(),
            "pattern" => follows(rule.as_str().unwrap_or_default(), value, found),
            "anyOf" => items(rule).iter().any(|one| holds(one, value)),
            "allOf" => items(rule).iter().all(|one| holds(one, value)),
            "oneOf" => items(rule).iter().filter(|one| holds(one, value)).count() == 1,
            "not" => !holds(rule, value),
            "items" => {
                for (index, item) in items(value).iter().enumerate() {
                    check(rule, item, &format!("{at}[{index}]"), closed, found);
                }
                true
            }
            "nullable" | "properties" | "additionalProperties" => true,
            _ => {
                found.push(format!("{at}: keyword `{keyword}` is not known here"));
                true
            }
        };
        if !right {
            found.push(format!("{at}: breaks `{keyword}`: {rule}"));
        }
    }
    if let Some(members) = value.as_object() {
        check_members(keywords, members, at, closed, found);
    }
}

fn check_members(
    keywords: &Map<String, Value>,
    members: &Map<String, Value>,
    at: &str,
    closed: bool,
    found: &mut Vec<String>,
) {
    let open = keywords.contains_key("x-kubernetes-preserve-unknown-fields");
    let known = keywords.get("properties").and_then(Value::as_object);
    for (name, member) in members {
        let at = format!("{at}.{name}");
        if let Some(rule) = known.and_then(|known| known.get(name)) {
            check(rule, member, &at, closed, found);
        } else if let Some(rule) = keywords.get("additionalProperties") {
            check(rule, member, &at, closed, found);
        } else if closed && !open {
            found.push(format!("{at}: is not known"));
        }
    }
}

fn holds(schema: &Value, value: &Value) -> bool {
    let mut found = Vec::new();
    check(schema, value, "", false, &mut found);
    found.is_empty()
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => false,
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn size(value: &Value) -> Option<u64> {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => return None,
    };
    u64::try_from(size).ok()
}

/// The patterns that the manifests meet, each in a function of its own.
fn follows(pattern: &str, value: &Value, found: &mut Vec<String>) -> bool {
    let text = value.as_str().unwrap_or_default();
    let label = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    match pattern {
        "^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" => {
            text.is_empty() || text.split('.').all(label)
        }
        "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$" => {
            text.starts_with(|first: char| first.is_ascii_alphabetic())
                && label(&text.to_ascii_lowercase())
        }
        "(^$|^[a-f0-9]{64}$)" => {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            text.is_empty() || (text.len() == 64 && text.bytes().all(hex))
        }
        _ => {
            found.push(format!("pattern `{pattern}` is not known here"));
            true
        }
    }
}
