//! What was found, as lines or as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::End;
use super::document::Document;
use super::tree::At;

/// All that was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    files: BTreeSet<String>,
    unread: Vec<(String, String)>,
    findings: Vec<Finding>,
    guards: Vec<Seen>,
}

/// One thing that was found.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    severity: &'static str,
    file: String,
    document: Option<String>,
    path: String,
    /// The path in the plugin configuration that is at `path`.
    within: Option<String>,
    sentence: String,
}

/// One guard.
#[derive(Debug)]
struct Seen {
    file: String,
    document: Option<String>,
    path: String,
    role: String,
    variables: Vec<String>,
}

/// The proxy or the guard refuses it, or it cannot work.
const MISTAKE: &str = "mistake";

/// They take it, and it gives something away or stops working one day.
const WARNING: &str = "warning";

impl Report {
    /// A file that could not be read.
    pub(crate) fn unread(&mut self, file: String, sentence: String) {
        self.unread.push((file, sentence));
    }

    /// A document that was looked at.
    pub(crate) fn seen(&mut self, document: &Document) {
        self.files.insert(document.file.clone());
    }

    /// A guard, and the variables that its VM needs.
    pub(crate) fn guard(
        &mut self,
        document: &Document,
        at: &At<'_>,
        role: &str,
        variables: &BTreeSet<String>,
    ) {
        self.guards.push(Seen {
            file: document.file.clone(),
            document: document.name.clone(),
            path: at.path.clone(),
            role: role.to_owned(),
            variables: variables.iter().cloned().collect(),
        });
    }

    /// A mistake in the plugin configuration that is at this place.
    pub(crate) fn mistake(
        &mut self,
        document: &Document,
        at: &At<'_>,
        within: &str,
        sentence: &str,
    ) {
        self.push(MISTAKE, document, at, Some(within), sentence);
    }

    /// A danger at this place.
    pub(crate) fn warn(&mut self, document: &Document, at: &At<'_>, sentence: &str) {
        self.push(WARNING, document, at, None, sentence);
    }

    /// A danger in the plugin configuration that is at this place.
    pub(crate) fn warn_within(
        &mut self,
        document: &Document,
        at: &At<'_>,
        within: &str,
        sentence: &str,
    ) {
        self.push(WARNING, document, at, Some(within), sentence);
    }

    fn push(
        &mut self,
        severity: &'static str,
        document: &Document,
        at: &At<'_>,
        within: Option<&str>,
        sentence: &str,
    ) {
        let finding = Finding {
            severity,
            file: document.file.clone(),
            document: document.name.clone(),
            path: at.path.clone(),
            within: within.map(str::to_owned),
            sentence: sentence.to_owned(),
        };
        // A route may be guarded twice; once said is enough.
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// How it ended.
    pub(crate) fn end(&self, allow_warnings: bool) -> End {
        let counts = |finding: &Finding| finding.severity == MISTAKE || !allow_warnings;
        if !self.unread.is_empty() {
            End::Failed
        } else if self.findings.iter().any(counts) {
            End::Found
        } else {
            End::Fine
        }
    }

    /// A line for each thing, and one for each file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let parts = [
                Some(finding.severity),
                finding.document.as_deref(),
                Some(finding.path.as_str()),
                finding.within.as_deref(),
                Some(finding.sentence.as_str()),
            ];
            line(&mut text, &finding.file, &parts);
        }
        for guard in &self.guards {
            let mut sentence = format!("a guard in the role {}", guard.role);
            if !guard.variables.is_empty() {
                let names = guard.variables.join(", ");
                let _ = write!(sentence, "; its VM needs the environment variables {names}");
            }
            let path = Some(guard.path.as_str());
            let parts = [guard.document.as_deref(), path, Some(&sentence)];
            line(&mut text, &guard.file, &parts);
        }
        for (file, sentence) in &self.unread {
            line(&mut text, file, &[Some(sentence)]);
        }
        for file in &self.files {
            let of = |severity: &str| {
                let findings = self.findings.iter();
                findings
                    .filter(|one| one.file == *file && one.severity == severity)
                    .count()
            };
            let (mistakes, warnings) = (of(MISTAKE), of(WARNING));
            let guards = self.guards.iter().filter(|one| one.file == *file).count();
            let sentence = match (mistakes, warnings, guards) {
                (0, 0, 0) => "no guard is in there".to_owned(),
                (0, 0, _) => "fine".to_owned(),
                (_, _, _) => format!("mistakes: {mistakes}, warnings: {warnings}"),
            };
            line(&mut text, file, &[Some(&sentence)]);
        }
        text
    }

    /// All of it as one JSON object.
    pub(crate) fn json(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "severity": finding.severity,
                "file": finding.file,
                "document": finding.document,
                "path": finding.path,
                "configuration_path": finding.within,
                "sentence": finding.sentence,
            })
        });
        let guards = self.guards.iter().map(|guard| {
            json!({
                "file": guard.file,
                "document": guard.document,
                "path": guard.path,
                "role": guard.role,
                "variables": guard.variables,
            })
        });
        let unread = self
            .unread
            .iter()
            .map(|(file, sentence)| json!({"file": file, "sentence": sentence}));
        let all = json!({
            "files": self.files,
            "findings": findings.collect::<Vec<Value>>(),
            "guards": guards.collect::<Vec<Value>>(),
            "unread": unread.collect::<Vec<Value>>(),
        });
        format!("{all:#}\n")
    }
}

fn line(text: &mut String, file: &str, parts: &[Option<&str>]) {
    text.push_str(file);
    for part in parts.iter().flatten().filter(|part| !part.is_empty()) {
        text.push_str(": ");
        text.push_str(part);
    }
    text.push('\n');
}
