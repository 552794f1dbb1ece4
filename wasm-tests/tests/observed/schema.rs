//! Audit records, held against `envoy/audit-record.schema.json`.

use std::fs;

use jsonschema::Validator;
use mcp_token_guard_tests::module::project;
use serde_json::Value;

/// `envoy/audit-record.schema.json`.
pub fn document() -> Value {
    let path = project().join("envoy/audit-record.schema.json");
    let text = fs::read_to_string(path).expect("the schema");
    serde_json::from_str(&text).expect("JSON")
}

/// The schema of the records, ready to judge.
#[derive(Debug)]
pub struct Schema(Validator);

impl Schema {
    /// That of the project.
    ///
    /// # Panics
    /// When it is none.
    pub fn load() -> Self {
        Self(jsonschema::validator_for(&document()).expect("a schema"))
    }

    /// The record in this text.
    ///
    /// # Errors
    /// With what is wrong, where it is not one line of JSON that fits.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        if text.contains(char::is_control) {
            return Err(format!("a control character is in {text:?}"));
        }
        let record: Value =
            serde_json::from_str(text).map_err(|error| format!("{error} in {text:?}"))?;
        let wrong: Vec<String> = self
            .0
            .iter_errors(&record)
            .map(|error| error.to_string())
            .collect();
        if wrong.is_empty() {
            Ok(record)
        } else {
            Err(format!("{text}: {}", wrong.join("; ")))
        }
    }
}
