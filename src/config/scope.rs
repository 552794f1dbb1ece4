//! Scopes, and which of them are as good as others.

use super::cursor::{Node, Reader};
use crate::access::RequiredScope;

/// A scope-token (RFC 6749 section 3.3); the error is a sentence. There is no
/// `"` or `\` in one, so a challenge needs no escapes.
pub(super) fn token(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("is empty; give the name of a scope");
    }
    let plain = |byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
    if text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("is not one scope; use printable ASCII without spaces, quotes and backslashes")
    }
}

/// A scope that a server may ask for. A client asks for `offline_access` on
/// its own account; a resource has no use for it (SEP-2207).
pub(super) fn required(text: &str) -> Result<String, &'static str> {
    if text == "offline_access" {
        return Err(
            "is offline_access, which is between client and authorization server; \
                    remove it",
        );
    }
    token(text)
}

/// Pairs of a scope and one that directly implies it.
#[derive(Default)]
pub(super) struct Implications<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Implications<'a> {
    /// Reads `scope_implies`.
    pub(super) fn read(node: &Node<'a>, reader: &mut Reader<'_>) -> Option<Self> {
        let mut implied_by = Vec::new();
        let mut complete = true;
        for (name, list) in node.entries(reader)? {
            if let Err(sentence) = token(name) {
                reader.report(&list.path, sentence);
                complete = false;
            }
            let Some(implied) = list.strings(reader, |text| token(text).map(|_| text)) else {
                complete = false;
                continue;
            };
            implied_by.extend(implied.into_iter().map(|one| (one, name)));
        }
        complete.then_some(Self(implied_by))
    }

    /// The scope, with all that satisfy it: itself first, then whatever implies
    /// it by any number of steps.
    pub(super) fn requirement(&self, name: String) -> RequiredScope {
        let mut satisfied_by = vec![name.as_str()];
        let mut to_visit = vec![name.as_str()];
        while let Some(scope) = to_visit.pop() {
            for (_, stronger) in self.0.iter().filter(|(implied, _)| *implied == scope) {
                if !satisfied_by.contains(stronger) {
                    satisfied_by.push(stronger);
                    to_visit.push(stronger);
                }
            }
        }
        RequiredScope {
            satisfied_by: satisfied_by.into_iter().map(str::to_owned).collect(),
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn satisfied_by(implications: &str, name: &str) -> Vec<String> {
        let json = json::parse(implications.as_bytes()).unwrap();
        let mut reader = Reader::new(&|_| None);
        let implications = Implications::read(&Node::root(&json), &mut reader);
        let implications = reader.finish(implications).unwrap();
        let mut all = implications.requirement(name.into()).satisfied_by;
        assert_eq!(all.first().map(String::as_str), Some(name));
        all.sort_unstable();
        all
    }

    /// RFC6750-3-d.
    #[test]
    fn a_scope_needs_no_escape() {
        assert!(token("mcp:read").is_ok());
        assert!(token("!#[]~").is_ok());
        for text in ["", "a\"b", "a\\b", "a b", "é", "a\n", "\u{7f}", " a"] {
            assert!(token(text).is_err(), "{text:?}");
        }
    }

    /// MCP-SCOPE-e.
    #[test]
    fn offline_access_cannot_be_required() {
        assert!(required("offline_access").is_err());
        assert!(required("offline_access2").is_ok());
    }

    /// MCP-SCOPE-c.
    #[test]
    fn implication_is_transitive_and_goes_one_way() {
        let chain = r#"{"admin":["write"],"write":["read","list"],"root":["admin"]}"#;
        assert_eq!(
            satisfied_by(chain, "read"),
            ["admin", "read", "root", "write"]
        );
        assert_eq!(satisfied_by(chain, "root"), ["root"]);
        assert_eq!(satisfied_by(chain, "other"), ["other"]);
        assert_eq!(satisfied_by("{}", "read"), ["read"]);
    }

    #[test]
    fn cycles_are_harmless() {
        let cycle = r#"{"a":["b"],"b":["c"],"c":["a","c"]}"#;
        assert_eq!(satisfied_by(cycle, "a"), ["a", "b", "c"]);
    }
}
