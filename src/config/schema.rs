//! The JSON Schema of the configuration, for editors.
//!
//! Nobody writes it: `explore` runs the parser on configurations that it makes
//! up, and takes down what it asks for at each place, until every place has been
//! reached. So a key that the parser knows is in the schema, with its type, its
//! words and its bounds, and one that it does not know is not. `hints` adds what
//! no reader says: a sentence on each key, and patterns.
//!
//! The schema never refuses what the parser takes. The parser refuses more: what
//! depends on two places or on the environment, and what no pattern can say.

mod explore;
mod hints;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Config;
use super::asked::Asked;
use explore::Explored;

impl Config {
    /// The JSON Schema (draft 7, which editors know) that every configuration
    /// keeps.
    #[must_use]
    pub fn schema() -> String {
        let mut schema = Writer::new(&explore::explore()).at("");
        let head = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Plugin configuration of mcp-token-guard",
        });
        extend(&mut schema, head);
        let text = serde_json::to_string_pretty(&Value::Object(schema));
        text.unwrap_or_default() + "\n"
    }
}

/// Writes the schema of each place.
struct Writer<'a> {
    explored: &'a Explored,
    hints: BTreeMap<&'static str, (&'static str, Value)>,
}

impl<'a> Writer<'a> {
    fn new(explored: &'a Explored) -> Self {
        Self {
            explored,
            hints: hints::all(),
        }
    }

    /// The schema of the value at this place.
    fn at(&self, path: &str) -> Map<String, Value> {
        let asks = self.explored.all.at(path);
        let mut schema = self.kind(path, asks);
        if let Some((sentence, more)) = self.hints.get(general(path).as_str()) {
            let sentence = match bounds(asks) {
                Some(bounds) => format!("{sentence} {bounds}"),
                None => (*sentence).to_owned(),
            };
            schema.insert("description".to_owned(), Value::String(sentence));
            extend(&mut schema, more.clone());
        }
        schema
    }

    fn kind(&self, path: &str, asks: &[Asked]) -> Map<String, Value> {
        let mut types: Vec<Map<String, Value>> = Vec::new();
        if asks.contains(&Asked::Entries) {
            types.push(members(json!({
                "type": "object",
                "additionalProperties": self.at(&explore::entry(path)),
            })));
        } else if asks.contains(&Asked::Object) {
            types.push(self.object(path));
        }
        if asks.contains(&Asked::Boolean) {
            types.push(members(json!({"type": "boolean"})));
        }
        types.extend(text(asks));
        let item = explore::item(path);
        if asks.contains(&Asked::List) || self.explored.lists.contains(path) {
            let mut list = members(json!({"type": "array", "items": self.at(&item)}));
            if self.explored.all.at(&item).contains(&Asked::Distinct) {
                list.insert("uniqueItems".to_owned(), true.into());
            }
            types.push(list);
        }
        for asked in asks {
            if let Asked::Count(least, most) = asked {
                types.push(members(
                    json!({"type": "integer", "minimum": least, "maximum": most}),
                ));
            }
        }
        match (types.pop(), types.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                types.push(last);
                members(json!({"anyOf": types}))
            }
            (None, _) => Map::new(),
        }
    }

    /// An object with the keys that the parser knows, and what it needs besides
    /// with each word of a member that decides it.
    fn object(&self, path: &str) -> Map<String, Value> {
        let known = self.explored.all.known(path);
        let properties: Map<String, Value> = known
            .iter()
            .map(|name| {
                let member = self.at(&explore::member(path, name));
                ((*name).to_owned(), Value::Object(member))
            })
            .collect();
        let always = self.explored.all.required(path);
        let mut schema = members(json!({
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        }));
        if !always.is_empty() {
            schema.insert("required".to_owned(), json!(always));
        }
        let conditions: Vec<Value> = self
            .explored
            .choices(path)
            .filter_map(|choice| {
                let required: Vec<_> = choice.required.difference(&always).collect();
                if required.is_empty() && choice.unused.is_empty() {
                    return None;
                }
                let refused: Map<String, Value> = choice
                    .unused
                    .iter()
                    .map(|name| ((*name).to_owned(), false.into()))
                    .collect();
                // Without the key it is as with the default.
                let given = if choice.default {
                    json!([])
                } else {
                    json!([choice.key])
                };
                Some(json!({
                    "if": {"required": given, "properties": {choice.key.as_str(): {"const": choice.word}}},
                    "then": {"required": required, "properties": refused},
                }))
            })
            .collect();
        if !conditions.is_empty() {
            schema.insert("allOf".to_owned(), conditions.into());
        }
        schema
    }
}

/// A string, if one was asked for: the narrowest kind of it.
fn text(asks: &[Asked]) -> Option<Map<String, Value>> {
    let words = asks.iter().find_map(|asked| match asked {
        Asked::Words(words) => Some(json!({"type": "string", "enum": words})),
        Asked::Duration(..) => Some(json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"})),
        Asked::Size(..) => Some(json!({"type": "string", "pattern": "^[0-9]+(B|KiB|MiB)$"})),
        Asked::Boolean
        | Asked::Count(..)
        | Asked::Distinct
        | Asked::Entries
        | Asked::Known(_)
        | Asked::List
        | Asked::Object
        | Asked::Plain
        | Asked::Required(_)
        | Asked::Template => None,
    });
    let plain = || {
        asks.contains(&Asked::Plain)
            .then(|| json!({"type": "string", "not": {"pattern": "\\$\\{env:"}}))
    };
    let template = || {
        asks.contains(&Asked::Template)
            .then(|| json!({"type": "string", "minLength": 1}))
    };
    words.or_else(plain).or_else(template).map(members)
}

/// What is said of bounds that no keyword of a schema can say.
fn bounds(asks: &[Asked]) -> Option<String> {
    asks.iter().find_map(|asked| match asked {
        Asked::Duration(least, most) | Asked::Size(least, most) => {
            Some(format!("From \"{least}\" to \"{most}\"."))
        }
        Asked::Boolean
        | Asked::Count(..)
        | Asked::Distinct
        | Asked::Entries
        | Asked::Known(_)
        | Asked::List
        | Asked::Object
        | Asked::Plain
        | Asked::Required(_)
        | Asked::Template
        | Asked::Words(_) => None,
    })
}

/// The path as hints have it: `*` for a key that the operator chooses, `[]` for
/// any place in a list.
fn general(path: &str) -> String {
    let path = path.replace(explore::ENTRY, "*").replace("[0]", "[]");
    // How the guard authenticates is the same at every endpoint.
    if let Some(rest) = path.strip_prefix("servers.*.credential.")
        && CLIENT_AUTH.contains(&rest)
    {
        return format!("authorization_server.introspection.{rest}");
    }
    // Each of several is like the one.
    match path.strip_prefix("authorization_servers.*.") {
        Some(rest) => format!("authorization_server.{rest}"),
        None => path,
    }
}

/// Keys by which the guard authenticates at an endpoint.
const CLIENT_AUTH: [&str; 9] = [
    "assertion_audience",
    "auth_method",
    "client_id",
    "client_secret",
    "client_secret[]",
    "key_id",
    "private_key",
    "token",
    "token[]",
];

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            Map::new()
        }
    }
}

/// Puts these members in as well.
fn extend(schema: &mut Map<String, Value>, more: Value) {
    schema.extend(members(more));
}

#[cfg(test)]
pub(super) mod tests;
