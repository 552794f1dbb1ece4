//! `default_headers`: what is set on every request to one server.

use super::cursor::{Node, Reader};
use super::header;
use super::names::Names;
use super::server::Common;
use crate::fields::{BUILT_IN_STRIP, NameSet, fold};
use crate::secret::Secret;

/// The headers to set on every request to one server.
#[derive(Default)]
pub(super) struct DefaultHeaders {
    /// Lower-case name, value.
    pub(super) fields: Vec<(String, Secret)>,
    /// What is secret in the values.
    pub(super) credentials: Vec<Secret>,
}

impl DefaultHeaders {
    /// Reads `default_headers`.
    pub(super) fn read(
        node: &Node<'_>,
        common: &Common<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let carries_credentials = NameSet::new(
            BUILT_IN_STRIP
                .iter()
                .copied()
                .chain(common.strip_headers.iter().map(String::as_str)),
        );
        let mut headers = Self::default();
        let mut names = Names::default();
        let mut complete = true;
        for (key, node) in node.entries(reader)? {
            let name = names.admit(key, &node.path, reader);
            if let Some(name) = &name
                && common
                    .identity_headers
                    .iter()
                    .any(|(other, _)| fold(other) == fold(name))
            {
                reader.report(
                    &node.path,
                    "is set by identity_headers too; use another name for one of them",
                );
                complete = false;
            }
            let text = node.template(reader);
            let (Some(name), Some(text)) = (name, text) else {
                complete = false;
                continue;
            };
            if let Err(sentence) = header::value(text.expose()) {
                reader.report(&node.path, sentence);
                complete = false;
                continue;
            }
            if text.is_from_environment() || carries_credentials.contains(&name) {
                let credential = Secret::new(header::credential(text.expose()));
                headers.credentials.push(credential);
            }
            headers.fields.push((name, text.secret().clone()));
        }
        complete.then_some(headers)
    }
}
