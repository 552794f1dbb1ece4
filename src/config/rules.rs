//! `servers.<name>.rules`: which calls need which scopes.

use super::cursor::{Node, Reader};
use super::scope::{self, Implications};
use crate::rules::{Glob, NAMED, Rule, Rules};

/// Rules of one server, and patterns in one list.
const MOST: usize = 256;

/// Bytes of a pattern.
const LONGEST: usize = 1_024;

/// Reads `rules`.
pub(super) fn read(
    node: &Node<'_>,
    implications: &Implications<'_>,
    reader: &mut Reader<'_>,
) -> Option<Rules> {
    let items = node.list(reader)?;
    if items.is_empty() || items.len() > MOST {
        reader.report(
            &node.path,
            format_args!("must have 1 to {MOST} rules; without the key all calls are alike"),
        );
        return None;
    }
    let read: Vec<_> = items
        .iter()
        .map(|item| rule(item, implications, reader))
        .collect();
    let rules: Vec<Rule> = read.into_iter().collect::<Option<_>>()?;
    for (place, later) in rules.iter().enumerate() {
        let before = rules.iter().take(place).position(|rule| rule.covers(later));
        if let Some(before) = before {
            reader.report(
                &node.path.item(place),
                format_args!(
                    "never applies, since all that it matches is matched by {} before it; \
                     move it there or remove it",
                    node.path.item(before)
                ),
            );
        }
    }
    Some(Rules(rules))
}

fn rule(node: &Node<'_>, implications: &Implications<'_>, reader: &mut Reader<'_>) -> Option<Rule> {
    let mut members = node.object(reader)?;
    let methods = members
        .require("methods", reader)
        .and_then(|node| globs(&node, method, reader));
    let names = members.or("names", None, reader, |node, reader| {
        globs(node, name, reader).map(Some)
    });
    let is_denied = members.or("deny", false, reader, Node::boolean);
    let scopes = members.or("required_scopes", None, reader, |node, reader| {
        node.strings(reader, scope::required).map(Some)
    });
    members.finish(reader);
    let (methods, names, is_denied, scopes) = (methods?, names?, is_denied?, scopes?);
    if is_denied == scopes.is_some() {
        reader.report(
            &node.path,
            "must have either required_scopes, which may be an empty list, or \"deny\": true",
        );
        return None;
    }
    let can_have_names = methods
        .iter()
        .any(|glob| NAMED.iter().any(|(method, _)| glob.matches(method)));
    if names.is_some() && !can_have_names {
        let known: Vec<_> = NAMED.iter().map(|(method, _)| *method).collect();
        reader.report(
            &node.path.key("names"),
            format_args!(
                "is for none of the methods of this rule; {} have names",
                known.join(", ")
            ),
        );
        return None;
    }
    let required = |scopes: Vec<String>| {
        scopes
            .into_iter()
            .map(|name| implications.requirement(name))
            .collect()
    };
    Some(Rule {
        methods,
        names,
        scopes: scopes.map(required),
    })
}

fn globs(
    node: &Node<'_>,
    read: fn(&str) -> Result<Glob, &'static str>,
    reader: &mut Reader<'_>,
) -> Option<Vec<Glob>> {
    let globs = node.strings(reader, read)?;
    if globs.is_empty() || globs.len() > MOST {
        reader.report(
            &node.path,
            format_args!("must have 1 to {MOST} patterns; `*` is one for all"),
        );
        return None;
    }
    Some(globs)
}

fn method(text: &str) -> Result<Glob, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is not a method of JSON-RPC; give one as in tools/call or tools/*");
    }
    name(text)
}

/// Any text: servers choose the names.
fn name(text: &str) -> Result<Glob, &'static str> {
    if text.is_empty() || text.len() > LONGEST {
        return Err("must have 1 to 1024 bytes");
    }
    Glob::parse(text)
}
