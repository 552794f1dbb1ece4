//! Where Envoy's clusters lead: to one known place, and one that proves it.

use std::net::IpAddr;

use super::certificates;
use super::document::{Document, Kind};
use super::guard::Guard;
use super::report::Report;
use super::tree::{At, shown};

/// Looks at every cluster that gets a credential or a token.
pub(crate) fn check(documents: &[&Document], guards: &[Guard<'_>], report: &mut Report) {
    let all: Vec<_> = documents
        .iter()
        .flat_map(|document| {
            let found = find(document).into_iter();
            found.map(move |at| (*document, at))
        })
        .collect();
    let mut listed: Vec<&str> = Vec::new();
    let names: Vec<&str> = all.iter().filter_map(|(_, at)| at.text("name")).collect();
    listed.extend(
        names
            .iter()
            .filter(|name| guards.iter().any(|guard| guard.lists(name))),
    );
    // What an aggregate cluster is made of gets the same requests.
    for (_, at) in &all {
        if at.text("name").is_some_and(|name| listed.contains(&name)) {
            let typed = at.find(&["cluster_type", "typed_config"]);
            let parts = typed.map(|at| at.list("clusters")).unwrap_or_default();
            listed.extend(parts.iter().filter_map(|part| part.value.as_str()));
        }
    }
    for (document, at) in &all {
        let Some(name) = at.text("name") else {
            continue;
        };
        let gets_credential = listed.contains(&name);
        let is_asked = guards
            .iter()
            .any(|guard| guard.asks().iter().any(|(_, one)| one == name));
        if gets_credential && is_dynamic(at) {
            report.warn(document, at, &dynamic(name));
        }
        if gets_credential || is_asked {
            encryption(document, at, name, report);
            certificates::of_ours(document, at, name, guards, report);
        }
    }
    for document in documents {
        if document.kind == Kind::Envoy {
            missing(document, &names, guards, report);
        }
    }
}

/// What is said of a cluster whose place the client chooses.
pub(crate) fn dynamic(name: &str) -> String {
    let name = shown(name);
    format!(
        "makes `{name}` go where the client's request says, and the credential with it; list \
         only clusters with an address of their own"
    )
}

/// What is said of a cluster without TLS.
pub(crate) fn plain(name: &str) -> String {
    let name = shown(name);
    format!(
        "reaches `{name}` without TLS, and not on this machine: credentials and tokens can be \
         read on the way; add TLS with the name checked"
    )
}

/// Every cluster that is defined here.
fn find(document: &Document) -> Vec<At<'_>> {
    let root = At::root(&document.value);
    let mut found: Vec<_> = root
        .all()
        .into_iter()
        .filter(|at| at.is("config.cluster.v3.Cluster"))
        .collect();
    let fixed = root.get("static_resources");
    found.extend(fixed.map(|at| at.list("clusters")).unwrap_or_default());
    if let Some(spec) = root.get("spec") {
        for patch in spec.list("configPatches") {
            if patch.text("applyTo") == Some("CLUSTER") {
                found.extend(patch.find(&["patch", "value"]));
            }
        }
        for patch in spec.list("jsonPatches") {
            let kind = patch.text("type");
            if kind.is_some_and(|kind| kind.ends_with("config.cluster.v3.Cluster")) {
                found.extend(patch.find(&["operation", "value"]));
            }
        }
    }
    found
}

fn is_dynamic(cluster: &At<'_>) -> bool {
    let kind = cluster.get("cluster_type");
    let kind = kind.map(|at| at.value.to_string()).unwrap_or_default();
    cluster.text("type") == Some("ORIGINAL_DST")
        || kind.contains("dynamic_forward_proxy")
        || kind.contains("original_dst")
}

fn encryption(document: &Document, cluster: &At<'_>, name: &str, report: &mut Report) {
    let sockets = ["transport_socket", "transport_socket_matches"].map(|key| cluster.get(key));
    let sockets: Vec<_> = sockets.iter().flatten().flat_map(At::all).collect();
    let tls = sockets.iter().find(|at| at.is("tls.v3.UpstreamTlsContext"));
    let Some(tls) = tls else {
        if !is_loopback(cluster) {
            report.warn(document, cluster, &plain(name));
        }
        return;
    };
    let below = tls.all();
    let has = |name: &str| below.iter().any(|at| at.get(name).is_some());
    let by_name = has("match_typed_subject_alt_names")
        || has("match_subject_alt_names")
        || tls.truth("auto_sni_san_validation");
    let sent_later = has("validation_context_sds_secret_config")
        || has("combined_validation_context")
        || has("custom_validator_config");
    let shown = shown(name);
    if !has("trusted_ca") && !has("system_root_certs") && !sent_later {
        report.warn(
            document,
            tls,
            &format!(
                "does not check the certificate of `{shown}`, so that anybody on the way can \
                 be it; add trusted_ca and the name"
            ),
        );
    } else if !by_name && !sent_later {
        report.warn(
            document,
            tls,
            &format!(
                "takes any certificate of the authority for `{shown}`; add \
                 match_typed_subject_alt_names with its name"
            ),
        );
    }
}

/// Whether every address of the cluster is on this machine.
fn is_loopback(cluster: &At<'_>) -> bool {
    let assignment = cluster.get("load_assignment");
    let all = assignment.map(|at| at.all()).unwrap_or_default();
    let addresses: Vec<_> = all.iter().filter_map(|at| at.get("address")).collect();
    let sockets = addresses.iter().filter_map(|at| at.get("socket_address"));
    let local = addresses
        .iter()
        .filter(|at| at.get("pipe").is_some() || at.get("envoy_internal_address").is_some());
    let mut hosts = sockets.map(|at| at.text("address").unwrap_or_default());
    let is_local = hosts.all(is_local_host);
    is_local && (!all.is_empty() && (!addresses.is_empty() || local.count() > 0))
}

/// Whether this host is the machine itself.
pub(crate) fn is_local_host(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Clusters that the guard names and Envoy does not have.
fn missing(document: &Document, names: &[&str], guards: &[Guard<'_>], report: &mut Report) {
    let root = At::root(&document.value);
    let dynamic = ["cds_config", "ads_config"]
        .iter()
        .any(|key| root.find(&["dynamic_resources", key]).is_some());
    if root.get("static_resources").is_none() || dynamic {
        return;
    }
    let here = guards
        .iter()
        .filter(|guard| std::ptr::eq(guard.document, document));
    for guard in here.filter(|guard| guard.is_in_listener()) {
        let mut say = |path: &str, name: &str| {
            let sentence = format!(
                "names the cluster `{}`, which is not in this file; add it or correct the name",
                shown(name)
            );
            report.mistake(document, &guard.at, path, &sentence);
        };
        for (path, name) in guard.clusters() {
            if !name.contains('*') && !names.contains(&name.as_str()) {
                say(&path, &name);
            }
        }
        for (path, name) in guard.asks() {
            if !names.contains(&name.as_str()) {
                say(&path, &name);
            }
        }
    }
}
