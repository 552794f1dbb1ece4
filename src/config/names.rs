//! Lists of headers: `strip_headers`, `identity_headers`.

use super::cursor::{Node, Reader};
use super::header;
use super::problem::{Path, shown};
use crate::fields::{BUILT_IN_STRIP, fold};

/// Names that were there already, with what they were written as.
#[derive(Default)]
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    /// The name in lower case, if it is one and not there already in another
    /// case or with `_` for `-`.
    pub(super) fn admit(
        &mut self,
        written: &str,
        path: &Path,
        reader: &mut Reader<'_>,
    ) -> Option<String> {
        let name = header::name(written)
            .map_err(|sentence| reader.report(path, sentence))
            .ok()?;
        let folded = fold(&name);
        if let Some((_, other)) = self.0.iter().find(|(other, _)| *other == folded) {
            reader.report(
                path,
                format_args!("is the same header as `{}`; keep one", shown(other)),
            );
            return None;
        }
        self.0.push((folded, written.to_owned()));
        Some(name)
    }
}

/// Reads `strip_headers`: names in lower case.
pub(super) fn strip(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let mut names = Names::default();
    let read: Vec<_> = node
        .list(reader)?
        .iter()
        .map(|item| {
            let text = item.string(reader)?;
            names.admit(text, &item.path, reader)
        })
        .collect();
    read.into_iter().collect()
}

/// Reads `identity_headers`: names in lower case, and the claims they are set
/// from.
pub(super) fn identity(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Vec<(String, String)>> {
    let mut names = Names::default();
    let read: Vec<_> = node
        .entries(reader)?
        .into_iter()
        .map(|(key, node)| {
            let name = names.admit(key, &node.path, reader);
            let claim = node.parsed(reader, |text| match text {
                "" => Err("is empty; give the name of a claim"),
                text => Ok(text.to_owned()),
            });
            let name = name?;
            if name == "cookie" || BUILT_IN_STRIP.contains(&fold(&name).as_str()) {
                reader.report(&node.path, "is a header for credentials; use another name");
                return None;
            }
            Some((name, claim?))
        })
        .collect();
    read.into_iter().collect()
}
