//! Text with environment variables put in.

use super::asked::Asked;
use super::cursor::{Node, Reader};
use super::problem::Path;
use crate::secret::Secret;

/// A text that may be a secret, as it is after the variables were put in.
pub(super) struct Text {
    value: Secret,
    /// The variables that are in it.
    pub(super) variables: Vec<String>,
}

impl Text {
    /// Whether any of it came from the environment.
    pub(super) fn is_from_environment(&self) -> bool {
        !self.variables.is_empty()
    }

    /// The text itself.
    pub(super) fn secret(&self) -> &Secret {
        &self.value
    }

    /// Its bytes, which are UTF-8.
    pub(super) fn expose(&self) -> &[u8] {
        self.value.expose()
    }
}

impl Node<'_> {
    /// A string in which `${env:NAME}` stands for the value of a variable and
    /// `$${` for `${`. It is not empty, and neither is any of the variables.
    pub(super) fn template(&self, reader: &mut Reader<'_>) -> Option<Text> {
        reader.ask(&self.path, || Asked::Template);
        let text = substitute(self.any_string(reader)?, &self.path, reader)?;
        if text.expose().is_empty() {
            reader.report(&self.path, "is empty; give it a value or remove it");
            return None;
        }
        Some(text)
    }
}

fn substitute(template: &str, path: &Path, reader: &mut Reader<'_>) -> Option<Text> {
    let mut value = String::new();
    let mut variables = Vec::new();
    let mut complete = true;
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        value.push_str(before);
        if let Some(tail) = after.strip_prefix("${") {
            value.push_str("${");
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let Some((reference, behind)) = tail.split_once('}') else {
                reader.report(
                    path,
                    "has a `${` without its `}`; write `$${` for a literal `${`",
                );
                return None;
            };
            match resolve(reference, reader) {
                Ok((name, variable)) => {
                    variables.push(name.to_owned());
                    value.push_str(&variable);
                }
                Err(sentence) => {
                    reader.report(path, sentence);
                    complete = false;
                }
            }
            rest = behind;
        } else {
            value.push('$');
            rest = after;
        }
    }
    value.push_str(rest);
    complete.then(|| Text {
        value: Secret::new(value.as_bytes()),
        variables,
    })
}

/// The name and the value of `env:NAME`. What is not that may be part of a secret, so only
/// the name of a variable is ever shown.
fn resolve<'r>(reference: &'r str, reader: &Reader<'_>) -> Result<(&'r str, String), String> {
    let name = reference
        .strip_prefix("env:")
        .filter(|name| is_variable(name))
        .ok_or("has a `${...}` that is not `${env:NAME}`; write `$${` for a literal `${`")?;
    match reader.variable(name) {
        None => Err(format!(
            "needs the environment variable `{name}`, which is not set; pass it to the Wasm VM"
        )),
        Some(value) if value.is_empty() => Err(format!(
            "needs the environment variable `{name}`, which is empty; give it a value"
        )),
        Some(value) => Ok((name, value)),
    }
}

/// A name as POSIX shells have them.
fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= LONGEST_VARIABLE
        && matches!(bytes.next(), Some(b'A'..=b'Z' | b'a'..=b'z' | b'_'))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Bytes in the name of a variable.
const LONGEST_VARIABLE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn read(template: &str) -> Result<(String, bool), String> {
        let env = |name: &str| match name {
            "A" => Some("value-a".to_owned()),
            "B_2" => Some("${env:A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let json = Json::String(template.into());
        let mut reader = Reader::new(&env);
        let text = Node::root(&json).template(&mut reader);
        let text = reader.finish(text).map_err(|errors| errors.to_string())?;
        let value = String::from_utf8(text.expose().to_vec()).unwrap();
        Ok((value, text.is_from_environment()))
    }

    #[test]
    fn variables_are_put_in_once() {
        for (template, value, from_environment) in [
            ("plain", "plain", false),
            ("${env:A}", "value-a", true),
            ("Bearer ${env:A}", "Bearer value-a", true),
            ("${env:A}${env:A}", "value-avalue-a", true),
            // A value is not read again.
            ("${env:B_2}", "${env:A}", true),
            ("$${env:A}", "${env:A}", false),
            ("$${${env:A}", "${value-a", true),
            ("$$${env:A}", "$${env:A}", false),
            ("a$b$$c$", "a$b$$c$", false),
            ("}{", "}{", false),
        ] {
            assert_eq!(
                read(template),
                Ok((value.to_owned(), from_environment)),
                "{template}"
            );
        }
    }

    /// SECRET-a.
    #[test]
    fn an_unset_or_empty_variable_is_named() {
        let errors = read("${env:EMPTY}${env:NONE}").unwrap_err();
        assert!(errors.contains("`EMPTY`, which is empty"), "{errors}");
        assert!(errors.contains("`NONE`, which is not set"), "{errors}");
    }

    #[test]
    fn anything_else_in_braces_is_an_error_that_does_not_show_it() {
        for template in [
            "${canary",
            "${canary}",
            "${env:canary",
            "${env:}",
            "${env:canary x}",
            "${ENV:canary}",
            "${env:1canary}",
            "${env: canary}",
            "${env:canaré}",
            "${}",
            "${",
        ] {
            let errors = read(template).unwrap_err();
            assert!(!errors.contains("canar"), "{template}: {errors}");
        }
        assert!(read("").is_err());
    }
}
