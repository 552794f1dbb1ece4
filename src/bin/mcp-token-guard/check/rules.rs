//! Rules need the body of a request before its head goes on.

use super::document::{Document, Kind};
use super::guard::Guard;
use super::report::Report;
use super::tree::At;

/// The member of a plugin's configuration in Envoy.
const NEEDED: &str = "allow_on_headers_stop_iteration";

/// Guards with rules in filters that let heads go first.
pub(crate) fn check(documents: &[&Document], guards: &[Guard<'_>], report: &mut Report) {
    for guard in guards {
        // An injector leaves them to its verifier.
        let Some(rules) = first(guard).filter(|_| guard.role != "injector") else {
            continue;
        };
        let is_set = match (&guard.filter, guard.document.kind) {
            (Some(filter), _) => {
                let places = [
                    &["typed_config", "config"][..],
                    &["typed_config", "value", "config"],
                ];
                let mut configs = places.iter().filter_map(|names| filter.find(names));
                configs.any(|config| is_true(config.get(NEEDED).as_ref()))
            }
            (None, Kind::Resource) => documents.iter().any(|document| is_patched(document)),
            // Nobody knows what is around it.
            (None, Kind::Plugin | Kind::Envoy) => true,
        };
        if !is_set {
            let sentence = format!(
                "are for calls that are known from their body, but the filter has no \
                 `{NEEDED}: true`, so heads of calls that are refused reach the server; set it \
                 beside the plugin's configuration, in Istio by EnvoyFilter and in Envoy \
                 Gateway by EnvoyPatchPolicy"
            );
            report.warn_within(guard.document, &guard.at, &rules, &sentence);
        }
    }
}

/// Where the first rules of a guard are.
fn first(guard: &Guard<'_>) -> Option<String> {
    let servers = At::root(&guard.value).get("servers")?.members();
    let mut rules = servers
        .into_iter()
        .filter_map(|(_, server)| server.get("rules"));
    rules.next().map(|rules| rules.path)
}

fn is_true(at: Option<&At<'_>>) -> bool {
    at.is_some_and(|at| at.value == true)
}

/// Whether a patch sets it.
fn is_patched(document: &Document) -> bool {
    let root = At::root(&document.value);
    let is_patch = matches!(root.text("kind"), Some("EnvoyFilter" | "EnvoyPatchPolicy"));
    is_patch
        && root.all().iter().any(|at| {
            let set = at.get(NEEDED);
            let path = at.text("path").unwrap_or_default();
            is_true(set.as_ref()) || (path.ends_with(NEEDED) && is_true(at.get("value").as_ref()))
        })
}
