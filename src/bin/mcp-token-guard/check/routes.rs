//! What Envoy's routes do to guarded requests.

use serde_json::Value;

use super::document::Document;
use super::guard::Guard;
use super::report::Report;
use super::tree::{At, shown};

/// Sentences that other kinds of routes have, too.
pub(crate) const MIRROR: &str = "sends a copy of each request to another cluster, with the \
                                 credential in it; remove it, or use the roles verifier and \
                                 injector";

/// What is said of a header that a route must not depend on.
pub(crate) fn depends(name: &str) -> String {
    let name = shown(name);
    format!(
        "depends on the header `{name}`, which the guard strips or sets, so that the route may \
         be another one behind it; decide by path"
    )
}

/// Looks at every route of the document.
pub(crate) fn check(document: &Document, guards: &[Guard<'_>], report: &mut Report) {
    let root = At::root(&document.value);
    let all = root.all();
    let managers: Vec<_> = all
        .iter()
        .filter(|at| at.is("http_connection_manager.v3.HttpConnectionManager"))
        .collect();
    for table in all.iter().filter(|at| at.get("virtual_hosts").is_some()) {
        let manager = managers
            .iter()
            .find(|manager| is_below(&table.path, &manager.path));
        // Routes that come apart from their listener may be any guard's.
        let here: Vec<_> = guards
            .iter()
            .filter(|guard| {
                let manager = manager.filter(|_| guard.is_in_listener());
                manager.is_none_or(|manager| {
                    std::ptr::eq(guard.document, document)
                        && is_below(&guard.at.path, &manager.path)
                })
            })
            .collect();
        let scope = Scope {
            document,
            guards: here,
            others: guards,
        };
        scope.table(table, report);
    }
    // What an EnvoyFilter merges into routes, of which nothing more is known.
    let spec = root.get("spec");
    let patches = spec
        .map(|spec| spec.list("configPatches"))
        .unwrap_or_default();
    for patch in patches
        .iter()
        .filter(|at| at.text("applyTo") == Some("HTTP_ROUTE"))
    {
        if let Some(route) = patch.find(&["patch", "value"]) {
            let scope = Scope {
                document,
                guards: guards.iter().collect(),
                others: guards,
            };
            scope.route(&route, &[], Guarded::Merged, report);
        }
    }
}

/// Whether the first path is somewhere below the second.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Whether the guard is for a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guarded {
    /// By the clusters that it names.
    ByCluster,
    /// It is merged into routes, guarded ones among them.
    Merged,
}

/// Routes, and the guards that they come behind.
struct Scope<'s, 'a> {
    document: &'s Document,
    guards: Vec<&'s Guard<'a>>,
    /// Those of other listeners as well.
    others: &'s [Guard<'a>],
}

impl Scope<'_, '_> {
    /// A route configuration.
    fn table(&self, table: &At<'_>, report: &mut Report) {
        for host in table.list("virtual_hosts") {
            let all = host.all();
            let routes: Vec<_> = if host.get("matcher").is_some() {
                let routes = all.iter().filter(|at| at.is("config.route.v3.Route"));
                routes.cloned().collect()
            } else {
                host.list("routes")
            };
            let above = [host.clone(), table.clone()];
            let guarded: Vec<_> = routes
                .iter()
                .filter(|route| self.route(route, &above, Guarded::ByCluster, report))
                .collect();
            if guarded.is_empty() {
                continue;
            }
            // The guarded route may be what another one turns into.
            for at in routes.iter().flat_map(headers).chain(
                all.iter()
                    .filter(|at| at.is("HttpRequestHeaderMatchInput"))
                    .filter_map(|at| at.get("header_name")),
            ) {
                let name = at.value.as_str().unwrap_or_default();
                if self.guards.iter().any(|guard| guard.config.changes(name)) {
                    report.warn(self.document, &at, &depends(name));
                }
            }
        }
    }

    /// One route; answers whether a guard is for it.
    fn route(
        &self,
        route: &At<'_>,
        above: &[At<'_>],
        guarded: Guarded,
        report: &mut Report,
    ) -> bool {
        let Some(action) = route.get("route") else {
            return false;
        };
        let clusters = clusters(&action);
        let is_for = |guard: &&&Guard<'_>| {
            guarded == Guarded::Merged
                || action.get("cluster_header").is_some()
                || clusters.iter().any(|(name, _)| guard.lists(name))
        };
        let here: Vec<_> = self.guards.iter().filter(is_for).collect();
        if here.iter().any(|guard| guard.is_before_copies()) {
            let mut levels = std::iter::once(&action).chain(above);
            let mirrors = levels.find_map(|at| {
                let mirrors = at.get("request_mirror_policies")?;
                (!mirrors.items().is_empty()).then_some(mirrors)
            });
            if let Some(at) = mirrors {
                report.warn(self.document, &at, MIRROR);
            }
            let redirect = action.get("internal_redirect_policy").or_else(|| {
                let old = action.get("internal_redirect_action");
                old.filter(|at| at.value == "HANDLE_INTERNAL_REDIRECT")
            });
            if let Some(at) = redirect {
                report.warn(
                    self.document,
                    &at,
                    "sends a request through the guard again, with the credential in place of \
                     the client's token, so that it is refused; remove it",
                );
            }
        }
        for guard in &here {
            self.disabled(route, &action, &clusters, above, guard, report);
        }
        let listed = |guard: &Guard<'_>| clusters.iter().any(|(name, _)| guard.lists(name));
        if here.is_empty() && self.others.iter().any(listed) {
            report.warn(
                self.document,
                &action,
                "goes to a cluster of an MCP server, and no guard is in this listener, so that \
                 clients' tokens pass; add the guard",
            );
        }
        !here.is_empty()
    }

    /// Whether the guard is off on the route: the nearest word on it counts.
    fn disabled(
        &self,
        route: &At<'_>,
        action: &At<'_>,
        clusters: &[(String, Option<At<'_>>)],
        above: &[At<'_>],
        guard: &Guard<'_>,
        report: &mut Report,
    ) {
        let Some(name) = guard.name() else {
            return;
        };
        let entry = guard.filter.as_ref().filter(|at| at.truth("disabled"));
        let weighted: Vec<_> = clusters.iter().map(|(_, at)| at.as_ref()).collect();
        for cluster in weighted {
            let levels = cluster.into_iter().chain([route]).chain(above);
            let word = levels
                .filter_map(|at| at.get("typed_per_filter_config"))
                .find_map(|at| at.members().into_iter().find(|(key, _)| *key == name));
            match (word, entry) {
                (Some((_, at)), _) if at.truth("disabled") => report.warn(
                    self.document,
                    &at,
                    "turns the guard off on the way to a cluster of an MCP server, so that \
                     clients' tokens pass; remove it",
                ),
                (None, Some(entry)) => {
                    report.warn(
                        guard.document,
                        entry,
                        &format!(
                            "is disabled, and not enabled at {}, which goes to a cluster of an \
                             MCP server, so that clients' tokens pass; enable it",
                            action.path
                        ),
                    );
                }
                (Some(_) | None, _) => {}
            }
        }
    }
}

/// The clusters that an action names, with the entry of a weighted one.
fn clusters<'a>(action: &At<'a>) -> Vec<(String, Option<At<'a>>)> {
    let one = action.text("cluster").map(|name| (name.to_owned(), None));
    let weighted = action.get("weighted_clusters");
    let weighted = weighted.map(|at| at.list("clusters")).unwrap_or_default();
    let mut found: Vec<_> = one.into_iter().collect();
    for at in weighted {
        if let Some(name) = at.text("name").map(str::to_owned) {
            found.push((name, Some(at)));
        }
    }
    if found.is_empty() && action.get("cluster_header").is_some() {
        found.push((String::new(), None));
    }
    found
}

/// The names of headers that a route depends on.
fn headers<'a>(route: &At<'a>) -> Vec<At<'a>> {
    let matches = route.get("match").map(|at| at.list("headers"));
    let names = matches.unwrap_or_default().into_iter();
    let mut found: Vec<_> = names.filter_map(|at| at.get("name")).collect();
    let action = route.get("route");
    let header = |at: At<'a>| at.get("cluster_header");
    found.extend(action.clone().and_then(header));
    let weighted = action.and_then(|at| at.get("weighted_clusters"));
    let weighted = weighted.map(|at| at.list("clusters")).unwrap_or_default();
    found.extend(weighted.into_iter().filter_map(header));
    found.retain(|at| matches!(at.value, Value::String(_)));
    found
}
