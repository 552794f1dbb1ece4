//! Runs the parser on configurations that are made up, to find out what it asks
//! for where.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::asked::Asked;
use super::super::cursor::Reader;
use super::super::parse;
use crate::json;

/// A key where the operator chooses the keys. Nothing else is called so.
pub(super) const ENTRY: &str = "entry-of-the-operator";

/// The path of a member.
pub(super) fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The path of a member whose key the operator chooses.
pub(super) fn entry(path: &str) -> String {
    member(path, ENTRY)
}

/// The path of an item of a list.
pub(super) fn item(path: &str) -> String {
    format!("{path}[0]")
}

/// What was asked for at each path.
#[derive(Debug, Default)]
pub(super) struct Asks(BTreeMap<String, Vec<Asked>>);

impl Asks {
    /// At this path.
    pub(super) fn at(&self, path: &str) -> &[Asked] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// Every path at which something was asked for.
    #[cfg(test)]
    pub(super) fn everywhere(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The keys that an object may have.
    pub(super) fn known(&self, path: &str) -> BTreeSet<&'static str> {
        let keys = self.at(path).iter();
        keys.filter_map(|asked| match asked {
            Asked::Known(name) => Some(*name),
            Asked::Boolean
            | Asked::Count(..)
            | Asked::Distinct
            | Asked::Duration(..)
            | Asked::Entries
            | Asked::List
            | Asked::Object
            | Asked::Plain
            | Asked::Required(_)
            | Asked::Size(..)
            | Asked::Template
            | Asked::Words(_) => None,
        })
        .collect()
    }

    /// The keys that an object must have, whatever else is in it.
    pub(super) fn required(&self, path: &str) -> BTreeSet<&'static str> {
        let keys = self.at(path).iter();
        keys.filter_map(|asked| match asked {
            Asked::Required(name) => Some(*name),
            Asked::Boolean
            | Asked::Count(..)
            | Asked::Distinct
            | Asked::Duration(..)
            | Asked::Entries
            | Asked::Known(_)
            | Asked::List
            | Asked::Object
            | Asked::Plain
            | Asked::Size(..)
            | Asked::Template
            | Asked::Words(_) => None,
        })
        .collect()
    }

    /// The keys that an object may have but whose values nobody looked at.
    fn unused(&self, path: &str) -> BTreeSet<&'static str> {
        let keys = self.known(path).into_iter();
        keys.filter(|name| self.at(&member(path, name)).is_empty())
            .collect()
    }

    /// The words that may stand at each path.
    fn words(&self) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        for (path, asks) in &self.0 {
            for asked in asks {
                if let Asked::Words(words) = asked {
                    found.push((path.clone(), words.clone()));
                }
            }
        }
        found
    }

    /// Paths of this kind of value.
    fn paths(&self, is: impl Fn(&Asked) -> bool) -> Vec<String> {
        let paths = self.0.iter();
        paths
            .filter(|(_, asks)| asks.iter().any(&is))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// What was asked for here or there. What is required is so in both, if the
    /// object was there in both.
    fn add(&mut self, other: &Self) {
        let is_required = |asked: &Asked| matches!(asked, Asked::Required(_));
        for (path, asks) in &other.0 {
            let Some(all) = self.0.get_mut(path) else {
                self.0.insert(path.clone(), asks.clone());
                continue;
            };
            all.retain(|asked| !is_required(asked) || asks.contains(asked));
            for asked in asks {
                if !is_required(asked) && !all.contains(asked) {
                    all.push(asked.clone());
                }
            }
        }
    }
}

/// One word of a member, and what it means for the members beside it.
#[derive(Debug)]
pub(super) struct Choice {
    /// Where the object stands.
    object: String,
    /// The member.
    pub(super) key: String,
    /// The word.
    pub(super) word: String,
    /// Whether it is the same without the member.
    pub(super) default: bool,
    /// What then has to be there.
    pub(super) required: BTreeSet<&'static str>,
    /// What then is of no use.
    pub(super) unused: BTreeSet<&'static str>,
}

/// All that was found out.
#[derive(Debug)]
pub(super) struct Explored {
    /// What was asked for in any configuration.
    pub(super) all: Asks,
    /// Where a list may stand in place of what it would be of.
    pub(super) lists: BTreeSet<String>,
    choices: Vec<Choice>,
}

impl Explored {
    /// What the words of an object's members mean.
    pub(super) fn choices(&self, object: &str) -> impl Iterator<Item = &Choice> {
        self.choices
            .iter()
            .filter(move |choice| choice.object == object)
    }
}

/// What is put at a path: a value, or nothing at all.
type Pinned<'a> = (&'a str, Option<Value>);

/// Finds everything out.
pub(super) fn explore() -> Explored {
    let mut all = ask_all(&[]);
    let mut choices = Vec::new();
    // A word may bring up places that were not there without it.
    let mut seen = BTreeSet::new();
    while let Some((path, words)) = all
        .words()
        .into_iter()
        .find(|(path, _)| !seen.contains(path))
    {
        choices.extend(choose(&path, &words, &mut all));
        seen.insert(path);
    }
    // And so may the absence of a key beside it.
    for object in all.paths(|asked| *asked == Asked::Object) {
        if !all.unused(&object).is_empty() {
            for name in all.known(&object) {
                let without = ask_all(&[(&member(&object, name), None)]);
                all.add(&without);
            }
        }
    }
    let mut lists = BTreeSet::new();
    for path in all.paths(|asked| matches!(asked, Asked::Plain | Asked::Template)) {
        let list = (path.as_str(), Some(json!([null])));
        let (object, _) = path.rsplit_once('.').unwrap_or(("", &path));
        let words = choices.iter().filter(|choice| choice.object == object);
        // It may be looked at with some word beside it only.
        let beside = words.map(|choice| {
            let key = member(object, &choice.key);
            (key, Some(choice.word.as_str().into()))
        });
        let beside: Vec<_> = beside.collect();
        let beside = beside
            .iter()
            .map(|(key, word)| (key.as_str(), word.clone()));
        for beside in core::iter::once(None).chain(beside.map(Some)) {
            let pinned: Vec<_> = core::iter::once(list.clone()).chain(beside).collect();
            let asked = ask_all(&pinned);
            if !asked.at(&item(&path)).is_empty() {
                all.add(&asked);
                lists.insert(path.clone());
            }
        }
    }
    Explored {
        all,
        lists,
        choices,
    }
}

/// Tries each word at the path. Nothing comes of it where the members beside it
/// are the same with all of them.
fn choose(path: &str, words: &[String], all: &mut Asks) -> Vec<Choice> {
    let (object, key) = path.rsplit_once('.').unwrap_or(("", path));
    let without = ask_all(&[(path, None)]);
    all.add(&without);
    let mut choices = Vec::new();
    for word in words {
        let asked = ask_all(&[(path, Some(word.as_str().into()))]);
        all.add(&asked);
        let (required, mut unused) = (asked.required(object), asked.unused(object));
        unused.remove(key);
        let mut unused_without = without.unused(object);
        unused_without.remove(key);
        choices.push(Choice {
            object: object.to_owned(),
            key: key.to_owned(),
            word: word.clone(),
            default: required == without.required(object) && unused == unused_without,
            required,
            unused,
        });
    }
    // What is of no use with any word is so for another reason.
    let mut never = without.unused(object);
    for choice in &choices {
        never.retain(|name| choice.unused.contains(name));
    }
    for choice in &mut choices {
        choice.unused.retain(|name| !never.contains(name));
    }
    let decides = choices
        .iter()
        .any(|choice| choice.required != without.required(object) || !choice.unused.is_empty());
    if decides { choices } else { Vec::new() }
}

/// Puts in what is asked for, but where something is pinned, until nothing more
/// is asked for.
fn ask_all(pinned: &[Pinned<'_>]) -> Asks {
    let mut document = json!({});
    for (path, value) in pinned {
        if let Some(value) = value {
            put(&mut document, path, value.clone());
        }
    }
    // Each round goes one level deeper.
    for _ in 0..DEEPEST {
        let before = document.clone();
        let asks = ask(&document);
        for (path, asked) in &asks.0 {
            for one in asked {
                let (path, value) = match one {
                    Asked::Known(name) => (member(path, name), Value::Null),
                    Asked::Entries => (entry(path), Value::Null),
                    Asked::List => (item(path), Value::Null),
                    Asked::Boolean
                    | Asked::Count(..)
                    | Asked::Distinct
                    | Asked::Duration(..)
                    | Asked::Object
                    | Asked::Plain
                    | Asked::Required(_)
                    | Asked::Size(..)
                    | Asked::Template
                    | Asked::Words(_) => continue,
                };
                if pinned.iter().all(|(pinned, _)| *pinned != path) {
                    put(&mut document, &path, value);
                }
            }
            let kind = if asked.contains(&Asked::Object) {
                json!({})
            } else if asked.contains(&Asked::List) {
                json!([])
            } else {
                continue;
            };
            put(&mut document, path, kind);
        }
        if document == before {
            return asks;
        }
    }
    Asks::default()
}

/// What the parser asks of this configuration.
fn ask(document: &Value) -> Asks {
    let mut asks = Asks::default();
    let Ok(tree) = json::parse(document.to_string().as_bytes()) else {
        return asks;
    };
    let env = |_: &str| None;
    let mut reader = Reader::new(&env);
    // It is full of mistakes, so there is never a configuration.
    drop(parse::config(&tree, String::new(), &mut reader));
    for (path, asked) in reader.asked() {
        let path = path.keys().to_owned();
        let all = asks.0.entry(path).or_default();
        if !all.contains(&asked) {
            all.push(asked);
        }
    }
    asks
}

/// Puts a value where nothing is yet, and what leads to it.
fn put(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, in_list) = match step.strip_suffix("[0]") {
            Some(name) => (name, true),
            None => (step, false),
        };
        if place.is_null() {
            *place = json!({});
        }
        let Some(members) = place.as_object_mut() else {
            return;
        };
        place = members.entry(name).or_insert(Value::Null);
        if in_list {
            if place.is_null() {
                *place = json!([null]);
            }
            let Some(items) = place.as_array_mut() else {
                return;
            };
            if items.is_empty() {
                items.push(Value::Null);
            }
            let Some(first) = items.first_mut() else {
                return;
            };
            place = first;
        }
    }
    if place.is_null() {
        *place = value;
    }
}

/// Levels of a configuration.
const DEEPEST: usize = 32;
