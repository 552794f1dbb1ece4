//! Walking over the tree of a configuration, with every mistake written down.
//!
//! A function that reads something answers `None` when it has reported why it
//! could not; the caller goes on with the next key, so that all mistakes are
//! found in one go. [`Reader::finish`] gives nothing out once there is one.

use core::fmt;

use super::asked::Asked;
use super::problem::{ConfigErrors, Path, Problem};
use crate::json::Json;

/// Collects the mistakes, and knows the environment.
pub(super) struct Reader<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    /// What was asked for, and where: the schema is made of it.
    #[cfg(not(target_family = "wasm"))]
    asked: Vec<(Path, Asked)>,
}

impl<'e> Reader<'e> {
    /// Nothing found so far.
    pub(super) fn new(env: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            env,
            problems: Vec::new(),
            #[cfg(not(target_family = "wasm"))]
            asked: Vec::new(),
        }
    }

    /// Writes down what is asked for, whether it is there or not.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn ask(&mut self, path: &Path, asked: impl FnOnce() -> Asked) {
        self.asked.push((path.clone(), asked()));
    }

    /// The module for Envoy has nothing of this.
    #[cfg(target_family = "wasm")]
    #[expect(clippy::unused_self, reason = "there is nothing to do here")]
    pub(super) fn ask(&mut self, _: &Path, _: impl FnOnce() -> Asked) {}

    /// All that was asked for.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn asked(self) -> Vec<(Path, Asked)> {
        self.asked
    }

    /// The value of an environment variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// Writes a mistake down. The sentence is read behind the path, and has
    /// nothing of a value in it.
    pub(super) fn report(&mut self, path: &Path, sentence: impl fmt::Display) {
        self.note(path, &sentence);
    }

    /// Once for all types of sentences: they are many, and none is in a hurry.
    #[cold]
    #[inline(never)]
    fn note(&mut self, path: &Path, sentence: &dyn fmt::Display) {
        self.problems.push(Problem {
            path: path.to_string(),
            sentence: sentence.to_string(),
        });
    }

    /// What was read, if there was no mistake in it.
    pub(super) fn finish<T>(mut self, read: Option<T>) -> Result<T, ConfigErrors> {
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            Some(_) | None => {
                if self.problems.is_empty() {
                    self.report(&Path::root(), "cannot be used");
                }
                Err(ConfigErrors::new(self.problems))
            }
        }
    }
}

/// One value, and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    /// Where.
    pub(super) path: Path,
    json: &'a Json,
}

impl<'a> Node<'a> {
    /// The configuration as a whole.
    pub(super) fn root(json: &'a Json) -> Self {
        Self {
            path: Path::root(),
            json,
        }
    }

    /// The members of an object whose keys the operator chooses, each once.
    pub(super) fn entries(&self, reader: &mut Reader<'_>) -> Option<Vec<(&'a str, Self)>> {
        reader.ask(&self.path, || Asked::Entries);
        self.object(reader).map(|members| members.rest)
    }

    /// The members of an object whose keys are given.
    pub(super) fn object(&self, reader: &mut Reader<'_>) -> Option<Members<'a>> {
        reader.ask(&self.path, || Asked::Object);
        let Json::Object(members) = self.json else {
            reader.report(&self.path, "must be an object");
            return None;
        };
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let mut repeated: Vec<&str> = names
            .windows(2)
            .filter(|pair| pair.first() == pair.last())
            .filter_map(|pair| pair.first().copied())
            .collect();
        repeated.dedup();
        for name in &repeated {
            reader.report(&self.path.key(name), "is there more than once; keep one");
        }
        let rest = members
            .iter()
            .filter(|(name, _)| repeated.binary_search(&name.as_str()).is_err())
            .map(|(name, json)| {
                let path = self.path.key(name);
                (name.as_str(), Self { path, json })
            });
        Some(Members {
            path: self.path.clone(),
            rest: rest.collect(),
            known: Vec::new(),
            repeated,
        })
    }

    /// The items of a list.
    pub(super) fn list(&self, reader: &mut Reader<'_>) -> Option<Vec<Self>> {
        reader.ask(&self.path, || Asked::List);
        let items = self.items();
        if items.is_none() {
            reader.report(&self.path, "must be a list");
        }
        items
    }

    /// The items of a list, or this one alone if it is not a list.
    pub(super) fn one_or_list(&self) -> Vec<Self> {
        self.items().unwrap_or_else(|| vec![self.clone()])
    }

    fn items(&self) -> Option<Vec<Self>> {
        let Json::Array(items) = self.json else {
            return None;
        };
        let item = |(place, json)| Self {
            path: self.path.item(place),
            json,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// A string, whatever is in it.
    pub(super) fn any_string(&self, reader: &mut Reader<'_>) -> Option<&'a str> {
        let text = self.json.as_str();
        if text.is_none() {
            reader.report(&self.path, "must be a string");
        }
        text
    }

    /// A string that is taken as it stands.
    pub(super) fn string(&self, reader: &mut Reader<'_>) -> Option<&'a str> {
        reader.ask(&self.path, || Asked::Plain);
        let text = self.any_string(reader)?;
        if text.contains("${env:") {
            reader.report(
                &self.path,
                "cannot be taken from the environment; `${env:NAME}` works in client_secret, \
                 private_key, introspection.token, session_key and the values of default_headers",
            );
            return None;
        }
        Some(text)
    }

    /// A string that `read` makes something of, or says in a sentence why not.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        reader: &mut Reader<'_>,
        read: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.string(reader)?;
        read(text)
            .map_err(|sentence| reader.report(&self.path, sentence))
            .ok()
    }

    /// A list of strings, each read by `read`, none there twice.
    pub(super) fn strings<T: PartialEq, E: fmt::Display>(
        &self,
        reader: &mut Reader<'_>,
        read: impl Fn(&'a str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = self.list(reader)?;
        each(&items, reader, read)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, reader: &mut Reader<'_>) -> Option<bool> {
        reader.ask(&self.path, || Asked::Boolean);
        let value = self.json.as_bool();
        if value.is_none() {
            reader.report(&self.path, "must be true or false, without quotes");
        }
        value
    }

    /// `true`, `false` or one of these words.
    pub(super) fn boolean_or<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        boolean: fn(bool) -> T,
        words: &[(&str, T)],
    ) -> Option<T> {
        reader.ask(&self.path, || Asked::Boolean);
        match self.json.as_bool() {
            Some(value) => {
                reader.ask(&self.path, || Asked::words(words));
                Some(boolean(value))
            }
            None => self.word(reader, words),
        }
    }

    /// A number, or nothing; the caller reports.
    pub(super) fn number(&self) -> Option<f64> {
        self.json.as_f64()
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&self, reader: &mut Reader<'_>, words: &[(&str, T)]) -> Option<T> {
        reader.ask(&self.path, || Asked::words(words));
        let text = self.string(reader)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            reader.report(
                &self.path,
                format_args!("must be one of {}", words.join(", ")),
            );
        }
        found.map(|(_, meaning)| *meaning)
    }
}

/// Reads each string by `read`; none may be there twice.
pub(super) fn each<'a, T: PartialEq, E: fmt::Display>(
    items: &[Node<'a>],
    reader: &mut Reader<'_>,
    read: impl Fn(&'a str) -> Result<T, E>,
) -> Option<Vec<T>> {
    let mut all = Vec::new();
    let mut complete = true;
    for item in items {
        reader.ask(&item.path, || Asked::Distinct);
        match item.parsed(reader, &read) {
            Some(one) if all.contains(&one) => {
                reader.report(&item.path, "is in the list already; remove it");
                complete = false;
            }
            Some(one) => all.push(one),
            None => complete = false,
        }
    }
    complete.then_some(all)
}

/// The members of an object that are still to be read.
pub(super) struct Members<'a> {
    /// Where the object stands.
    pub(super) path: Path,
    rest: Vec<(&'a str, Node<'a>)>,
    known: Vec<&'static str>,
    /// Names of members that were left out because they are there twice.
    repeated: Vec<&'a str>,
}

impl<'a> Members<'a> {
    /// Those of an object that is not there: every key has its default.
    pub(super) fn none() -> Self {
        Self {
            path: Path::root(),
            rest: Vec::new(),
            known: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// The member of this name, if it is there.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.known.push(name);
        let place = self.rest.iter().position(|(member, _)| *member == name)?;
        let (_, node) = self.rest.remove(place);
        Some(node)
    }

    /// The member of this name, which has to be there.
    pub(super) fn require(
        &mut self,
        name: &'static str,
        reader: &mut Reader<'_>,
    ) -> Option<Node<'a>> {
        reader.ask(&self.path, || Asked::Required(name));
        let node = self.take(name);
        if node.is_none() && !self.repeated.contains(&name) {
            reader.report(&self.path.key(name), "is missing; add it");
        }
        node
    }

    /// Whether one of these is there more than once, which has been reported.
    pub(super) fn repeats(&self, names: &[&str]) -> bool {
        self.repeated.iter().any(|name| names.contains(name))
    }

    /// The member of this name as `read` understands it, or the default.
    pub(super) fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        reader: &mut Reader<'_>,
        read: impl FnOnce(&Node<'a>, &mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.take(name) {
            None => Some(default),
            Some(node) => read(&node, reader),
        }
    }

    /// Reports what nobody has asked for.
    pub(super) fn finish(mut self, reader: &mut Reader<'_>) {
        self.known.sort_unstable();
        for name in &self.known {
            reader.ask(&self.path, || Asked::Known(name));
        }
        for (_, node) in &self.rest {
            reader.report(
                &node.path,
                format_args!("is not a known key; known here: {}", self.known.join(", ")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// What `read` gives, and what it reported.
    fn reading<T>(
        text: &str,
        read: impl FnOnce(&Node<'_>, &mut Reader<'_>) -> Option<T>,
    ) -> Result<T, Vec<String>> {
        let json = json::parse(text.as_bytes()).unwrap();
        let mut reader = Reader::new(&|_| None);
        let read = read(&Node::root(&json).clone(), &mut reader);
        reader
            .finish(read)
            .map_err(|errors| errors.problems().map(ToString::to_string).collect())
    }

    fn members(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<()> {
        let mut members = node.object(reader)?;
        let b = members.require("b", reader)?;
        let a = members.or("a", 1.0, reader, |node, _| node.number());
        members.finish(reader);
        b.string(reader)?;
        a.map(drop)
    }

    #[test]
    fn unknown_missing_and_repeated_keys_are_reported() {
        assert_eq!(reading(r#"{"b":"x"}"#, members), Ok(()));
        assert_eq!(
            reading(r#"{"b":"x","c":1,"C":1}"#, members),
            Err(vec![
                "c: is not a known key; known here: a, b".into(),
                "C: is not a known key; known here: a, b".into(),
            ])
        );
        assert_eq!(
            reading("{}", members),
            Err(vec!["b: is missing; add it".into()])
        );
        assert_eq!(
            reading(r#"{"b":"x","b":"x","b":"y"}"#, members),
            Err(vec!["b: is there more than once; keep one".into()])
        );
        assert_eq!(
            reading("[]", members),
            Err(vec!["configuration: must be an object".into()])
        );
    }

    #[test]
    fn types_are_not_converted() {
        assert!(reading("\"true\"", |node, reader| node.boolean(reader).map(drop)).is_err());
        assert!(reading("0", |node, reader| node.boolean(reader).map(drop)).is_err());
        assert!(reading("1", |node, reader| node.string(reader).map(drop)).is_err());
        assert!(reading("null", |node, reader| node.string(reader).map(drop)).is_err());
        assert!(reading("\"a\"", |node, reader| node.list(reader).map(drop)).is_err());
    }

    #[test]
    fn a_list_has_each_string_once() {
        let read = |node: &Node<'_>, reader: &mut Reader<'_>| {
            node.strings(reader, |text| match text {
                "bad" => Err("is bad"),
                text => Ok(text.to_owned()),
            })
        };
        assert_eq!(
            reading(r#"["b","a"]"#, read),
            Ok(vec!["b".into(), "a".into()])
        );
        assert_eq!(
            reading(r#"["bad","a","a",1]"#, read),
            Err(vec![
                "[0]: is bad".into(),
                "[2]: is in the list already; remove it".into(),
                "[3]: must be a string".into(),
            ])
        );
    }

    #[test]
    fn words_are_exact() {
        let read = |node: &Node<'_>, reader: &mut Reader<'_>| {
            node.word(reader, &[("deny", 1), ("ignore", 2)])
        };
        assert_eq!(reading("\"ignore\"", read), Ok(2));
        assert_eq!(
            reading("\"Deny\"", read),
            Err(vec![
                "configuration: must be one of \"deny\", \"ignore\"".into()
            ])
        );
    }

    #[test]
    fn the_environment_is_not_for_every_string() {
        let errors = reading(r#""a${env:X}""#, |node, reader| {
            node.string(reader).map(drop)
        });
        assert!(
            errors
                .unwrap_err()
                .concat()
                .contains("works in client_secret")
        );
    }

    /// CFG-failclosed: nothing is given out where nothing was read.
    #[test]
    fn nothing_read_is_an_error_even_without_a_problem() {
        assert!(reading::<()>("{}", |_, _| None).is_err());
    }
}
