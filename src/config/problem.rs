//! What is wrong with a configuration, and where.

use core::fmt;

/// One mistake: where it is, and one sentence that says what to do about it.
///
/// Neither has anything of a value in it. Names of keys and of environment
/// variables are shown, because the operator has to find them.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The keys that lead to it, as in `servers.github.resource`.
    pub path: String,
    /// What is wrong, to be read behind the path.
    pub sentence: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.sentence)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Every mistake in a configuration. There is at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// All of them, in the order in which they were found.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for ConfigErrors {}

/// The keys that lead to a place in the configuration.
#[derive(Clone)]
pub(super) struct Path(String);

impl Path {
    /// The configuration as a whole.
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    /// The member of this name.
    pub(super) fn key(&self, name: &str) -> Self {
        let name = shown(name);
        if self.0.is_empty() {
            Self(name)
        } else {
            Self(format!("{}.{name}", self.0))
        }
    }

    /// The keys, without a word for the configuration as a whole.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn keys(&self) -> &str {
        &self.0
    }

    /// The item at this place of a list.
    pub(super) fn item(&self, place: usize) -> Self {
        Self(format!("{}[{place}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "configuration"
        } else {
            &self.0
        })
    }
}

/// A name as it may stand in a log line: printable ASCII, not too long.
pub(super) fn shown(name: &str) -> String {
    let mut shown = String::new();
    for character in name.chars() {
        match character {
            ' '..='~' => shown.push(character),
            _ => shown.extend(character.escape_default()),
        }
        if shown.len() > LONGEST_NAME {
            shown.truncate(LONGEST_NAME);
            shown.push_str("...");
            break;
        }
    }
    shown
}

/// Characters of a name that are shown.
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_keys_and_places() {
        let path = Path::root().key("servers").key("a b").item(2);
        assert_eq!(path.to_string(), "servers.a b[2]");
        assert_eq!(Path::root().to_string(), "configuration");
    }

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(shown("a\n\u{1b}é"), "a\\n\\u{1b}\\u{e9}");
        assert_eq!(shown(&"a".repeat(64)), "a".repeat(64));
        assert_eq!(shown(&"a".repeat(65)), format!("{}...", "a".repeat(64)));
        assert_eq!(shown(&"é".repeat(999)).len(), 67);
    }

    #[test]
    fn errors_are_lines_with_the_path_first() {
        let problem = |path: &str| Problem {
            path: path.into(),
            sentence: "is wrong".into(),
        };
        let errors = ConfigErrors::new(vec![problem("a"), problem("b.c")]);
        assert_eq!(errors.to_string(), "a: is wrong\nb.c: is wrong");
        assert_eq!(format!("{errors:?}"), errors.to_string());
    }
}
