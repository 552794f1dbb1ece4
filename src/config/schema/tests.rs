//! The schema against the parser.

use std::sync::OnceLock;

use jsonschema::Validator;

use super::*;
use crate::config::parse::tests as samples;
use crate::config::problem::ConfigErrors;

/// What the parser refuses and no schema can, by what it says: it depends on two
/// places, on the environment, or on what a text means.
const UNSAID: &[&str] = &[
    "and servers.",
    "begins or ends with a space",
    "has a `${",
    "has a token_prefix that overlaps",
    "has a character that a client secret may not have",
    "has a character that a header may not have",
    "has a fragment",
    "has Authorization, which `credential` sets",
    "has a host or port that is not in its usual form",
    "has a path that is not in its usual form",
    "has a character that a URL may not have",
    "has no valid host or port",
    "is a header for credentials",
    "is a header that belongs to HTTP or MCP itself",
    "is for none of the methods of this rule",
    "is in the list already",
    "is longer than 8 KiB",
    "is encrypted, and there is nobody",
    "is missing; it is needed with several authorization servers",
    "is missing; name those whose tokens count here",
    "is not the name of one of authorization_servers",
    "is that of `",
    "is missing; it is needed where there is no client_secret",
    "is not a bearer token",
    "is not an absolute URI",
    "is not a private key",
    "is not UTF-8 where",
    "is not as browsers send it",
    "is not https; http is for localhost",
    "is offline_access",
    "is set by identity_headers too",
    "is shorter than 16 bytes",
    "is shorter than 32 bytes",
    "is the same header as",
    "is token_exchange, which needs",
    "must be \"0s\", which is off",
    "must have 1 to 1024 bytes",
    "must be from \"",
    "must be one, or a list of one or two",
    "must be one key, or a list of one or two",
    "needs the environment variable",
    "never applies, since",
];

fn validator() -> &'static Validator {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    VALIDATOR.get_or_init(|| {
        let schema: Value = serde_json::from_str(&Config::schema()).unwrap();
        jsonschema::draft7::new(&schema).unwrap()
    })
}

/// Fails where the schema says another thing than the parser. Every sample of
/// the parser's own tests comes through here. Answers whether the schema takes
/// the configuration.
pub(in crate::config) fn agree<T>(config: &Value, parsed: &Result<T, ConfigErrors>) -> bool {
    let taken = validator().is_valid(config);
    match parsed {
        Ok(_) => {
            let complaints: Vec<_> = validator()
                .iter_errors(config)
                .map(|error| error.to_string())
                .collect();
            assert!(
                taken,
                "the schema refuses what the parser takes: {complaints:?}"
            );
        }
        Err(errors) if taken => {
            let unsaid = |problem: &&super::super::Problem| {
                !UNSAID
                    .iter()
                    .any(|start| problem.sentence.starts_with(start))
            };
            let missed: Vec<_> = errors.problems().filter(unsaid).collect();
            assert!(missed.is_empty(), "the schema takes {config}: {missed:?}");
        }
        Err(_) => {}
    }
    taken
}

/// What a mistaken hand may write in any place.
fn wrong_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("x"),
        json!("*"),
        json!("a*"),
        json!("a*b*"),
        json!("gateway"),
        json!("none"),
        json!("bearer"),
        json!("30s"),
        json!("1m30s"),
        json!("16MiB"),
        json!("https://x.example/y?z#f"),
        json!("https://x.example/y?z"),
        json!("https://x.example"),
        json!("ftp://x.example"),
        json!("a b"),
        json!("a\nb"),
        json!("a\"b"),
        json!("Host"),
        json!("${env:KEY}"),
        json!("${env:NONE}"),
        json!("${x}"),
        json!("é"),
        json!([]),
        json!(["x"]),
        json!(["x", "x"]),
        json!(["x", "y", "z"]),
        json!(["https://x.example"]),
        json!([null]),
        json!([["x"]]),
        json!([{}]),
        json!({}),
        json!({"x": "y"}),
        json!({"x": ["y"]}),
        json!({"a b": "y"}),
        json!({"x": null}),
    ]
}

/// The example with another value in each place, with each member left out, and
/// with one more in each object.
fn mutants(example: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for pointer in places(example, "") {
        for wrong in wrong_values() {
            let mut mutant = example.clone();
            *mutant.pointer_mut(&pointer).unwrap() = wrong;
            all.push(mutant);
        }
        if let Some((object, key)) = pointer.rsplit_once('/') {
            let mut mutant = example.clone();
            if let Some(members) = mutant.pointer_mut(object).unwrap().as_object_mut() {
                members.remove(key);
                all.push(mutant);
            }
        }
        let mut mutant = example.clone();
        if let Some(members) = mutant.pointer_mut(&pointer).unwrap().as_object_mut() {
            members.insert("surprise".to_owned(), json!("x"));
            all.push(mutant);
        }
    }
    all
}

fn places(value: &Value, at: &str) -> Vec<String> {
    let mut found = vec![at.to_owned()];
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                found.extend(places(value, &format!("{at}/{key}")));
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                found.extend(places(value, &format!("{at}/{place}")));
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
    found
}

#[test]
fn it_agrees_with_the_parser_on_every_mutant() {
    let (mut good, mut caught, mut left) = (0, 0, 0);
    for example in samples::examples() {
        for mutant in mutants(&example) {
            let parsed = Config::parse(mutant.to_string().as_bytes(), &samples::env);
            let taken = agree(&mutant, &parsed);
            match (parsed.is_ok(), taken) {
                (true, _) => good += 1,
                (false, false) => caught += 1,
                (false, true) => left += 1,
            }
        }
    }
    println!("{good} good, {caught} caught, {left} left to the parser");
    assert!(good > 300 && caught > 3_000, "{good} good, {caught} caught");
    // What it does not say is little.
    assert!(
        left * 10 < caught,
        "{left} of {caught} are left to the parser"
    );
}

/// With each `auth_method`, its own keys.
#[test]
fn a_word_decides_what_is_beside_it() {
    let schema: Value = serde_json::from_str(&Config::schema()).unwrap();
    let introspection =
        &schema["properties"]["authorization_server"]["properties"]["introspection"];
    let conditions = introspection["allOf"].as_array().unwrap();
    assert_eq!(conditions.len(), 7);
    assert_eq!(introspection["required"], json!(["cluster", "url"]));
}

#[test]
fn each_key_is_described() {
    let explored = explore::explore();
    let hints = hints::all();
    let mut keys = vec![String::new()];
    for path in explored.all.everywhere() {
        keys.push(general(path));
    }
    for path in &keys {
        assert!(hints.contains_key(path.as_str()), "no sentence on {path}");
    }
    for path in hints.keys() {
        assert!(keys.iter().any(|key| key == path), "there is no {path}");
    }
}

/// Editors read a copy of it; `mcp-token-guard schema` prints it.
#[test]
fn the_copy_for_editors_is_the_same() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/plugin.schema.json");
    let copy = std::fs::read_to_string(path).unwrap();
    assert!(
        copy == Config::schema(),
        "run `mcp-token-guard schema > envoy/plugin.schema.json`"
    );
}
