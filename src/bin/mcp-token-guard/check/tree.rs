//! Values of a file, with the place where each stands.

use serde_json::Value;

/// A value, and where.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    /// The keys that lead to it, as in `static_resources.clusters[0]`.
    pub(crate) path: String,
    /// What is there.
    pub(crate) value: &'a Value,
}

impl<'a> At<'a> {
    /// The whole document.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// A member, by its name in Envoy's configuration or as its JSON has it
    /// (`http_filters`, `httpFilters`).
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        let members = self.value.as_object()?;
        let (name, value) = members
            .get_key_value(name)
            .or_else(|| members.get_key_value(&camel(name)))?;
        (!value.is_null()).then(|| Self {
            path: self.key(name),
            value,
        })
    }

    /// What is reached by these names, one after another.
    pub(crate) fn find(&self, names: &[&str]) -> Option<Self> {
        let mut place = self.clone();
        for name in names {
            place = place.get(name)?;
        }
        Some(place)
    }

    /// A member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.value.as_str()
    }

    /// The items of a member that is a list.
    pub(crate) fn list(&self, name: &str) -> Vec<Self> {
        self.get(name).map(|list| list.items()).unwrap_or_default()
    }

    /// The items of this list.
    pub(crate) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(place, value)| Self {
                path: format!("{}[{place}]", self.path),
                value,
            })
            .collect()
    }

    /// The members of this object.
    pub(crate) fn members(&self) -> Vec<(&'a str, Self)> {
        let members = self.value.as_object().into_iter().flatten();
        members
            .map(|(name, value)| {
                let path = self.key(name);
                (name.as_str(), Self { path, value })
            })
            .collect()
    }

    /// Whether a protobuf message of this type is here.
    pub(crate) fn is(&self, message: &str) -> bool {
        ["@type", "type_url", "typeUrl"].iter().any(|name| {
            let kind = self.value.get(name).and_then(Value::as_str);
            kind.is_some_and(|kind| kind.ends_with(message))
        })
    }

    /// Whether it is `true`.
    pub(crate) fn truth(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|member| *member.value == Value::Bool(true))
    }

    /// This value and all in it. A document is at most some hundred levels deep.
    pub(crate) fn all(&self) -> Vec<Self> {
        let mut found = vec![self.clone()];
        for (_, member) in self.members() {
            found.extend(member.all());
        }
        for item in self.items() {
            found.extend(item.all());
        }
        found
    }

    fn key(&self, name: &str) -> String {
        let name = shown(name);
        if self.path.is_empty() {
            name
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// A name as it may stand in a line: printable ASCII, not too long.
pub(crate) fn shown(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_default)
        .collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown.replace("\\'", "'").replace("\\\"", "\"")
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.extend(letters);
    }
    camel
}

/// Characters of a name that are shown.
const LONGEST: usize = 128;
