//! What Istio's own resources do to guarded requests.

use super::clusters::{dynamic, is_local_host, plain};
use super::document::Document;
use super::guard::Guard;
use super::report::Report;
use super::routes::{MIRROR, depends};
use super::tree::At;

/// Looks at virtual services and at the entries of other hosts.
pub(crate) fn check(documents: &[&Document], guards: &[Guard<'_>], report: &mut Report) {
    for document in documents {
        let root = At::root(&document.value);
        match root.text("kind") {
            Some("VirtualService") => service(document, &root, guards, report),
            Some("ServiceEntry") => entry(document, &root, documents, guards, report),
            Some(_) | None => {}
        }
    }
}

fn service(document: &Document, root: &At<'_>, guards: &[Guard<'_>], report: &mut Report) {
    let namespace = root.get("metadata");
    let namespace = namespace
        .and_then(|at| at.text("namespace"))
        .unwrap_or("default");
    let routes = root
        .get("spec")
        .map(|spec| spec.list("http"))
        .unwrap_or_default();
    let mut guarded = Vec::new();
    for route in &routes {
        let names: Vec<_> = route
            .list("route")
            .iter()
            .filter_map(|at| at.get("destination"))
            .flat_map(|at| clusters(&at, namespace))
            .collect();
        let is_for = |guard: &&Guard<'_>| names.iter().any(|name| guard.lists(name));
        let here: Vec<_> = guards.iter().filter(is_for).collect();
        if here.iter().any(|guard| guard.is_before_copies()) {
            let mirrors = ["mirror", "mirrors"]
                .iter()
                .filter_map(|key| route.get(key));
            for at in mirrors {
                report.warn(document, &at, MIRROR);
            }
        }
        guarded.extend(here);
    }
    for one in routes.iter().flat_map(|route| route.list("match")) {
        for key in ["headers", "withoutHeaders"] {
            for (name, at) in one.get(key).map(|at| at.members()).unwrap_or_default() {
                if guarded.iter().any(|guard| guard.config.changes(name)) {
                    report.warn(document, &at, &depends(name));
                }
            }
        }
    }
}

/// The names that Istio may give the cluster of a destination.
fn clusters(destination: &At<'_>, namespace: &str) -> Vec<String> {
    let Some(host) = destination.text("host") else {
        return Vec::new();
    };
    let host = if host.contains('.') {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    };
    let subset = destination.text("subset").unwrap_or_default();
    let port = destination
        .find(&["port", "number"])
        .map(|at| at.value.to_string());
    // Without a port it is the only one of the service, which is not known here.
    let usual = ["80", "443", "8000", "8080", "8443"].map(str::to_owned);
    let ports = port.map_or_else(|| usual.to_vec(), |port| vec![port]);
    ports
        .iter()
        .map(|port| format!("outbound|{port}|{subset}|{host}"))
        .collect()
}

fn entry(
    document: &Document,
    root: &At<'_>,
    documents: &[&Document],
    guards: &[Guard<'_>],
    report: &mut Report,
) {
    let Some(spec) = root.get("spec") else {
        return;
    };
    let ports = spec.list("ports");
    for host in spec.list("hosts") {
        let Some(text) = host.value.as_str() else {
            continue;
        };
        let mut names = ports.iter().filter_map(|port| port.get("number"));
        let is_named = |name: &str| {
            let listed = guards.iter().any(|guard| guard.lists(name));
            let asked = guards
                .iter()
                .any(|guard| guard.asks().iter().any(|(_, one)| one == name));
            (listed || asked).then(|| name.to_owned())
        };
        let name = names.find_map(|port| is_named(&format!("outbound|{}||{text}", port.value)));
        let Some(name) = name else {
            continue;
        };
        let resolution = spec.text("resolution").unwrap_or("NONE");
        if resolution == "NONE" || text.contains('*') {
            let at = spec.get("resolution").unwrap_or_else(|| host.clone());
            report.warn(document, &at, &dynamic(&name));
        }
        let inside = spec.text("location") == Some("MESH_INTERNAL");
        let endpoints = spec.list("endpoints");
        let local = |at: &At<'_>| at.text("address").is_some_and(is_local_host);
        let local = !endpoints.is_empty() && endpoints.iter().all(local);
        if !inside && !local && !is_encrypted(text, documents) {
            report.warn(document, &host, &plain(&name));
        }
    }
}

/// Whether a destination rule puts TLS on to this host.
fn is_encrypted(host: &str, documents: &[&Document]) -> bool {
    let rules = documents.iter().map(|document| At::root(&document.value));
    let mut rules = rules
        .filter(|root| root.text("kind") == Some("DestinationRule"))
        .filter_map(|root| root.get("spec"))
        .filter(|spec| spec.text("host") == Some(host));
    rules.any(|spec| {
        let all = spec.all().into_iter();
        let modes: Vec<_> = all
            .filter_map(|at| at.get("tls"))
            .filter_map(|at| at.text("mode"))
            .collect();
        !modes.is_empty() && modes.iter().all(|mode| *mode != "DISABLE")
    })
}
