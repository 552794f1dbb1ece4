//! What resources of the Gateway API and of Envoy Gateway do to guarded
//! requests.

use super::clusters::{dynamic, is_local_host, plain};
use super::document::Document;
use super::guard::Guard;
use super::report::Report;
use super::routes::{MIRROR, depends};
use super::tree::At;

/// Looks at the HTTP routes, and at what they lead to.
pub(crate) fn check(documents: &[&Document], guards: &[Guard<'_>], report: &mut Report) {
    for document in documents {
        let root = At::root(&document.value);
        if root.text("kind") == Some("HTTPRoute") {
            route(document, &root, documents, guards, report);
        }
    }
}

fn route(
    document: &Document,
    root: &At<'_>,
    documents: &[&Document],
    guards: &[Guard<'_>],
    report: &mut Report,
) {
    let (namespace, name) = name(root);
    let rules = root
        .get("spec")
        .map(|spec| spec.list("rules"))
        .unwrap_or_default();
    for (place, rule) in rules.iter().enumerate() {
        // As Envoy Gateway names the cluster of a rule.
        let cluster = format!("httproute/{namespace}/{name}/rule/{place}");
        let here: Vec<_> = guards
            .iter()
            .filter(|guard| guard.lists(&cluster))
            .collect();
        if here.is_empty() {
            continue;
        }
        for filter in rule.list("filters") {
            let mirrors = filter.text("type") == Some("RequestMirror");
            if mirrors && here.iter().any(|guard| guard.is_before_copies()) {
                report.warn(document, &filter, MIRROR);
            }
        }
        for header in rule
            .list("matches")
            .iter()
            .flat_map(|at| at.list("headers"))
        {
            let name = header.text("name").unwrap_or_default();
            if here.iter().any(|guard| guard.config.changes(name)) {
                report.warn(document, &header, &depends(name));
            }
        }
        for backend in rule.list("backendRefs") {
            leads(document, &backend, namespace, &cluster, documents, report);
        }
    }
}

/// Where a backend is.
fn leads(
    document: &Document,
    reference: &At<'_>,
    namespace: &str,
    cluster: &str,
    documents: &[&Document],
    report: &mut Report,
) {
    let kind = reference.text("kind").unwrap_or("Service");
    let namespace = reference.text("namespace").unwrap_or(namespace);
    let Some(target) = reference.text("name") else {
        return;
    };
    let resources = || documents.iter().map(|document| At::root(&document.value));
    let backend = resources()
        .find(|root| root.text("kind") == Some(kind) && name(root) == (namespace, target))
        .filter(|_| kind == "Backend");
    let spec = backend.and_then(|root| root.get("spec"));
    if spec.as_ref().and_then(|spec| spec.text("type")) == Some("DynamicResolver") {
        report.warn(document, reference, &dynamic(cluster));
    }
    let endpoints = spec
        .as_ref()
        .map(|spec| spec.list("endpoints"))
        .unwrap_or_default();
    let local = |at: &At<'_>| {
        let ip = at
            .get("ip")
            .and_then(|ip| ip.text("address").map(is_local_host));
        at.get("unix").is_some() || ip == Some(true)
    };
    let local = !endpoints.is_empty() && endpoints.iter().all(local);
    let policy = resources()
        .filter(|root| root.text("kind") == Some("BackendTLSPolicy"))
        .filter(|root| name(root).0 == namespace)
        .filter_map(|root| root.get("spec"))
        .flat_map(|spec| spec.list("targetRefs"))
        .any(|at| at.text("kind") == Some(kind) && at.text("name") == Some(target));
    let own = spec.is_some_and(|spec| spec.get("tls").is_some());
    if !local && !policy && !own {
        report.warn(document, reference, &plain(cluster));
    }
}

/// Namespace and name of a resource.
fn name<'a>(root: &At<'a>) -> (&'a str, &'a str) {
    let metadata = root.get("metadata");
    let text = |name: &str| metadata.as_ref().and_then(|at| at.text(name));
    (
        text("namespace").unwrap_or("default"),
        text("name").unwrap_or_default(),
    )
}
