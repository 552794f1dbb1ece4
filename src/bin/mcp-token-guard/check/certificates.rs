//! Certificates in the TLS handshakes of the proxy, where the guard counts on
//! them (RFC 8705).

use super::document::{Document, Kind};
use super::guard::Guard;
use super::report::Report;
use super::tree::{At, shown};

/// Where Envoy has what it asks the other side's certificate by.
const ASKED_BY: &[&str] = &[
    "combined_validation_context",
    "validation_context",
    "validation_context_sds_secret_config",
];

/// Where Envoy has its own.
const SHOWN: &[&str] = &[
    "custom_tls_certificate_selector",
    "tls_certificate_provider_instance",
    "tls_certificate_sds_secret_configs",
    "tls_certificates",
];

/// Tokens that nobody could use, in the listener of this guard.
pub(crate) fn of_clients(document: &Document, guards: &[Guard<'_>], report: &mut Report) {
    let all = At::root(&document.value).all();
    let here = |guard: &&Guard<'_>| std::ptr::eq(guard.document, document);
    for guard in guards.iter().filter(here) {
        let Some(bound) = first_bound(guard).filter(|_| guard.role != "injector") else {
            continue;
        };
        let around = |at: &&At<'_>| guard.at.path.starts_with(&format!("{}.", at.path));
        let chain = all
            .iter()
            .filter(around)
            .rfind(|at| at.get("filters").is_some());
        let asks = |chain: &At<'_>| {
            let context = chain.find(&["transport_socket", "typed_config"]);
            let common = context
                .as_ref()
                .and_then(|context| context.get("common_tls_context"));
            has_any(common.as_ref(), ASKED_BY)
                || context.is_some_and(|context| context.truth("require_client_certificate"))
        };
        // Elsewhere it is for a policy to say.
        if document.kind == Kind::Envoy && chain.is_some_and(|chain| !asks(chain)) {
            let sentence = "lets tokens in that are bound to the client's certificate, but the \
                listener asks no client for one, so each such token is refused; add a \
                `validation_context` to the `common_tls_context` of its `DownstreamTlsContext`";
            report.warn_within(document, &guard.at, &bound, sentence);
        }
    }
}

/// A cluster by which the guard says with its certificate who it is.
pub(crate) fn of_ours(
    document: &Document,
    cluster: &At<'_>,
    name: &str,
    guards: &[Guard<'_>],
    report: &mut Report,
) {
    let proves = |guard: &Guard<'_>| {
        let all = At::root(&guard.value).all();
        let mut endpoints = all.iter().filter(|at| at.text("cluster") == Some(name));
        endpoints.any(|at| at.text("auth_method") == Some("tls_client_auth"))
    };
    if !guards.iter().any(proves) {
        return;
    }
    let below = cluster.all();
    let mut contexts = below
        .iter()
        .filter_map(|at| at.get("common_tls_context"))
        .peekable();
    // Without TLS there is more to say.
    if contexts.peek().is_some() && !contexts.any(|context| has_any(Some(&context), SHOWN)) {
        let name = shown(name);
        let sentence = format!(
            "has no certificate of its own, by which the guard would say to `{name}` who it is \
             (`tls_client_auth`); add `tls_certificates` to its `common_tls_context`"
        );
        report.warn(document, cluster, &sentence);
    }
}

/// Where the first server is that lets bound tokens in.
fn first_bound(guard: &Guard<'_>) -> Option<String> {
    let servers = At::root(&guard.value).get("servers")?.members();
    let mut bound = servers
        .into_iter()
        .filter_map(|(_, server)| server.get("certificate_bound_tokens"))
        .filter(|at| *at.value != false);
    bound.next().map(|at| at.path)
}

fn has_any(at: Option<&At<'_>>, names: &[&str]) -> bool {
    at.is_some_and(|at| names.iter().any(|name| at.get(name).is_some()))
}
