//! `check`: reads the files, finds the guards in them, and looks at what the
//! proxy around each does to it.

mod certificates;
pub(crate) mod clusters;
pub(crate) mod document;
mod gateway_api;
mod guard;
mod istio;
mod report;
mod routes;
mod rules;
pub(crate) mod tree;

use std::path::PathBuf;

use document::{Document, Kind};
use guard::Guard;
use report::Report;

/// Looks at all of them.
pub(crate) fn run(files: &[PathBuf], env: bool) -> Report {
    let mut report = Report::default();
    let mut documents = Vec::new();
    for file in files {
        match document::read(file) {
            Ok(read) => documents.extend(read),
            Err(sentence) => report.unread(document::name(file), sentence),
        }
    }
    // An Envoy configuration is a world of its own; resources are one together.
    let (resources, others): (Vec<_>, Vec<_>) = documents
        .iter()
        .partition(|document| document.kind == Kind::Resource);
    for document in others {
        look(&[document], env, &mut report);
    }
    if !resources.is_empty() {
        look(&resources, env, &mut report);
    }
    report
}

/// Looks at documents that belong together.
fn look(documents: &[&Document], env: bool, report: &mut Report) {
    let guards: Vec<Guard<'_>> = documents
        .iter()
        .flat_map(|document| guard::find(document, env, report))
        .collect();
    for document in documents {
        report.seen(document);
        routes::check(document, &guards, report);
        certificates::of_clients(document, &guards, report);
    }
    clusters::check(documents, &guards, report);
    istio::check(documents, &guards, report);
    gateway_api::check(documents, &guards, report);
    rules::check(documents, &guards, report);
}
