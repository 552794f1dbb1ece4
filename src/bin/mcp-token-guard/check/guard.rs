//! Finds the guards in a document, and runs each configuration through the
//! parser that the filter has.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use mcp_token_guard::Config;
use serde_json::Value;

use super::document::{Document, Kind};
use super::report::Report;
use super::tree::At;

/// A guard with a good configuration.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    /// The document that it is in.
    pub(crate) document: &'a Document,
    /// Its configuration.
    pub(crate) at: At<'a>,
    /// The entry in the list of filters, where there is one.
    pub(crate) filter: Option<At<'a>>,
    /// `role`.
    pub(crate) role: String,
    /// The configuration, as the filter understands it.
    pub(crate) config: Config,
    /// The configuration, as it is written.
    pub(crate) value: Value,
}

/// A place that sets up a guard.
struct Found<'a> {
    /// The configuration, which a Struct or a text may have.
    at: At<'a>,
    filter: Option<At<'a>>,
    /// The variables that the VM is given, and the values that are written in
    /// the file. Nothing where that is not known.
    given: Option<BTreeMap<String, Option<&'a str>>>,
}

impl<'a> Guard<'a> {
    /// Whether it is in the listener or wherever a policy puts it, and not in
    /// front of one cluster.
    pub(crate) fn is_in_listener(&self) -> bool {
        !self.at.path.contains("HttpProtocolOptions")
    }

    /// Whether this cluster is one of its servers'.
    pub(crate) fn lists(&self, cluster: &str) -> bool {
        self.config.lists(cluster)
    }

    /// Whether it sets credentials before the proxy copies a request.
    pub(crate) fn is_before_copies(&self) -> bool {
        self.is_in_listener() && self.role != "verifier"
    }

    /// The name of the filter.
    pub(crate) fn name(&self) -> Option<&'a str> {
        self.filter.as_ref()?.text("name")
    }

    /// The clusters that it asks authorization servers by, with their paths.
    pub(crate) fn asks(&self) -> Vec<(String, String)> {
        let all = At::root(&self.value).all();
        let endpoints = all.iter().filter_map(|at| at.get("introspection"));
        let asked: Vec<_> = endpoints
            .filter_map(|at| at.get("cluster"))
            .filter_map(|at| Some((at.path.clone(), at.value.as_str()?.to_owned())))
            .collect();
        asked.into_iter().chain(self.fetches()).collect()
    }

    /// Those of them by which it fetches credentials, with their paths.
    pub(crate) fn fetches(&self) -> Vec<(String, String)> {
        let servers = At::root(&self.value).get("servers");
        let servers = servers.map(|at| at.members()).unwrap_or_default();
        let clusters = servers
            .iter()
            .filter_map(|(_, server)| server.find(&["credential", "cluster"]));
        clusters
            .filter_map(|at| Some((at.path.clone(), at.value.as_str()?.to_owned())))
            .collect()
    }

    /// The clusters of its servers as they are written, with their paths.
    pub(crate) fn clusters(&self) -> Vec<(String, String)> {
        let servers = At::root(&self.value).get("servers");
        let mut found = Vec::new();
        for (name, server) in servers.map(|at| at.members()).unwrap_or_default() {
            match server.get("cluster") {
                None => found.push((server.path, name.to_owned())),
                Some(at) if at.value.is_array() => {
                    let items = at.items().into_iter();
                    found.extend(
                        items.filter_map(|item| Some((item.path, item.value.as_str()?.to_owned()))),
                    );
                }
                Some(at) => found.extend(at.value.as_str().map(|text| (at.path, text.to_owned()))),
            }
        }
        found
    }
}

/// Every guard of a document; what is wrong with one is reported.
pub(crate) fn find<'a>(document: &'a Document, env: bool, report: &mut Report) -> Vec<Guard<'a>> {
    let root = At::root(&document.value);
    let found = match document.kind {
        Kind::Plugin => vec![Found {
            at: root,
            filter: None,
            given: None,
        }],
        Kind::Envoy => in_envoy(document, &root, report),
        Kind::Resource => {
            let mut found = in_resource(document, &root, report);
            found.extend(in_envoy(document, &root, report));
            found
        }
    };
    found
        .into_iter()
        .filter_map(|found| parse(document, found, env, report))
        .collect()
}

fn parse<'a>(
    document: &'a Document,
    found: Found<'a>,
    env: bool,
    report: &mut Report,
) -> Option<Guard<'a>> {
    let text = match (&document.text, found.at.value) {
        (_, Value::String(text)) | (Some(text), _) => text.clone(),
        (None, value) => value.to_string(),
    };
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let keys = private_keys(&value);
    let is_key = |name: &str| {
        let reference = format!("${{env:{name}}}");
        keys.iter().any(|key| key.contains(&reference))
    };
    let needed = RefCell::new(BTreeSet::new());
    let variable = |name: &str| {
        if let Ok(mut needed) = needed.try_borrow_mut() {
            needed.insert(name.to_owned());
        }
        let given = found.given.as_ref().map(|given| given.get(name));
        match given {
            // Not given to the VM, whatever is set here.
            Some(None) => None,
            Some(Some(Some(written))) => Some((*written).to_owned()),
            Some(Some(None)) | None if env => std::env::var(name).ok(),
            Some(Some(None)) | None if is_key(name) => Some(STAND_IN_KEY.to_owned()),
            Some(Some(None)) | None => Some(STAND_IN.to_owned()),
        }
    };
    let parsed = Config::parse(text.as_bytes(), &variable);
    let needed = needed.into_inner();
    let written = |name: &&String| {
        let given = found.given.as_ref().and_then(|given| given.get(*name));
        given.is_some_and(|value| value.is_some_and(|value| !value.is_empty()))
    };
    for name in needed.iter().filter(written) {
        let sentence = format!(
            "has the value of `{name}` written in the file; take it from the environment of the \
             proxy"
        );
        report.warn(document, &found.at, &sentence);
    }
    literals(document, &found.at, &value, report);
    let role = value.get("role").and_then(Value::as_str);
    let role = role.unwrap_or("gateway").to_owned();
    match parsed {
        Ok(config) => {
            report.guard(document, &found.at, &role, &needed);
            let guard = Guard {
                document,
                at: found.at,
                filter: found.filter,
                role,
                config,
                value,
            };
            well_known(&guard, report);
            Some(guard)
        }
        Err(errors) => {
            for problem in errors.problems() {
                report.mistake(document, &found.at, &problem.path, &problem.sentence);
            }
            None
        }
    }
}

/// The texts in which a private key is put.
fn private_keys(value: &Value) -> Vec<String> {
    let places = At::root(value).all();
    let keys = places.iter().filter_map(|at| at.text("private_key"));
    keys.map(str::to_owned).collect()
}

/// Secrets that are written in the configuration.
fn literals(document: &Document, at: &At<'_>, value: &Value, report: &mut Report) {
    for place in At::root(value).all() {
        for name in [
            "client_secret",
            "private_key",
            "token",
            "session_key",
            "Authorization",
            "authorization",
        ] {
            let Some(member) = place.get(name) else {
                continue;
            };
            let texts = member.items();
            let texts = if texts.is_empty() {
                vec![member]
            } else {
                texts
            };
            for text in texts {
                let is_literal = text
                    .value
                    .as_str()
                    .is_some_and(|text| !text.contains("${env:"));
                if is_literal {
                    report.warn_within(
                        document,
                        at,
                        &text.path,
                        "is written in the configuration, which the proxy's administration \
                         shows; take it from the environment by `${env:NAME}`",
                    );
                }
            }
        }
    }
}

/// Clusters that go wherever the client wants, by the names that proxies give
/// them.
fn well_known(guard: &Guard<'_>, report: &mut Report) {
    for name in [
        "PassthroughCluster",
        "InboundPassthroughCluster",
        "InboundPassthroughClusterIpv4",
        "InboundPassthroughClusterIpv6",
        "original-dst",
    ] {
        if guard.lists(name) {
            let sentence = format!(
                "list the cluster {name}, which goes wherever the client wants, and the \
                 credential with it; remove it"
            );
            report.warn_within(guard.document, &guard.at, "servers", &sentence);
        }
    }
}

/// Wasm filters in Envoy's own configuration, wherever they stand.
fn in_envoy<'a>(document: &Document, root: &At<'a>, report: &mut Report) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    for filter in root.all() {
        let Some(typed) = filter.get("typed_config") else {
            continue;
        };
        if !typed.is("extensions.filters.http.wasm.v3.Wasm") {
            continue;
        }
        let config = typed
            .get("config")
            .or_else(|| typed.find(&["value", "config"]));
        let Some(config) = config else {
            continue;
        };
        let inner = config.get("configuration");
        let configuration = inner.as_ref().and_then(|inner| inner.get("value"));
        let configuration = configuration.or_else(|| {
            let is_struct = inner
                .as_ref()
                .is_some_and(|inner| inner.is("google.protobuf.Struct"));
            inner.clone().filter(|_| is_struct)
        });
        let Some(at) = configuration.filter(is_ours).or_else(|| {
            let named = config.value.to_string();
            let is_named = NAMES.iter().any(|name| named.contains(name));
            is_named.then(|| inner.unwrap_or_else(|| config.clone()))
        }) else {
            continue;
        };
        let policy = config.get("failure_policy");
        let opens = policy.filter(|at| at.value == "FAIL_OPEN" || *at.value == 3);
        let opens = opens.or_else(|| config.get("fail_open").filter(|at| at.value == true));
        open(document, opens, report);
        let variables = config.find(&["vm_config", "environment_variables"]);
        let mut given = BTreeMap::new();
        if let Some(variables) = variables {
            for key in variables.list("host_env_keys") {
                given.extend(key.value.as_str().map(|name| (name.to_owned(), None)));
            }
            let pairs = variables.get("key_values").map(|at| at.members());
            for (name, at) in pairs.unwrap_or_default() {
                given.insert(name.to_owned(), at.value.as_str());
            }
        }
        found.push(Found {
            at,
            filter: Some(filter),
            given: Some(given),
        });
    }
    found
}

/// Guards that the resources of Istio and Envoy Gateway set up.
fn in_resource<'a>(document: &Document, root: &At<'a>, report: &mut Report) -> Vec<Found<'a>> {
    let places = match root.text("kind") {
        Some("WasmPlugin") => root.get("spec").into_iter().collect(),
        Some("TrafficExtension") => root.find(&["spec", "wasm"]).into_iter().collect(),
        Some("EnvoyExtensionPolicy") => match root.get("spec") {
            Some(spec) => spec.list("wasm"),
            None => Vec::new(),
        },
        Some("EnvoyPatchPolicy") => {
            patched(document, root, report);
            Vec::new()
        }
        Some(_) | None => Vec::new(),
    };
    let mut found = Vec::new();
    for place in places {
        let configuration = place.get("pluginConfig").or_else(|| place.get("config"));
        let is_named = NAMES
            .iter()
            .any(|name| place.value.to_string().contains(name));
        let Some(at) = configuration.filter(|at| is_named || is_ours(at)) else {
            if is_named {
                report.mistake(document, &place, "configuration", "is missing; add it");
            }
            continue;
        };
        let strategy = place
            .get("failStrategy")
            .filter(|at| at.value == "FAIL_OPEN");
        let opens = strategy.or_else(|| place.get("failOpen").filter(|at| at.value == true));
        open(document, opens, report);
        let mut given = BTreeMap::new();
        for key in place
            .get("env")
            .map(|env| env.list("hostKeys"))
            .unwrap_or_default()
        {
            given.extend(key.value.as_str().map(|name| (name.to_owned(), None)));
        }
        for one in place
            .get("vmConfig")
            .map(|vm| vm.list("env"))
            .unwrap_or_default()
        {
            if let Some(name) = one.text("name") {
                let is_host = one.text("valueFrom") == Some("HOST");
                let value = one.text("value").unwrap_or_default();
                given.insert(name.to_owned(), (!is_host).then_some(value));
            }
        }
        found.push(Found {
            at,
            filter: None,
            given: Some(given),
        });
    }
    found
}

/// What a patch makes of a guard that another resource set up.
fn patched(document: &Document, root: &At<'_>, report: &mut Report) {
    let patches = root.get("spec").map(|spec| spec.list("jsonPatches"));
    for patch in patches.unwrap_or_default() {
        let Some(operation) = patch.get("operation") else {
            continue;
        };
        let path = operation.text("path").unwrap_or_default();
        let value = operation.get("value");
        let opens = value.filter(|at| {
            (path.ends_with("failure_policy") && at.value == "FAIL_OPEN")
                || (path.ends_with("fail_open") && at.value == true)
        });
        open(document, opens, report);
    }
}

fn open(document: &Document, opens: Option<At<'_>>, report: &mut Report) {
    if let Some(at) = opens {
        report.warn(
            document,
            &at,
            "lets requests through when the VM dies or the module cannot be had, with the \
             clients' tokens; use FAIL_RELOAD, or at least close",
        );
    }
}

/// Whether this is a configuration of this filter and not of another one.
fn is_ours(at: &At<'_>) -> bool {
    match at.value {
        Value::String(text) => text.contains("\"authorization_server"),
        Value::Object(members) => members
            .keys()
            .any(|key| key.starts_with("authorization_server")),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => false,
    }
}

/// How people name the module, whatever they name the filter.
const NAMES: &[&str] = &["mcp_token_guard", "mcp-token-guard"];

/// In place of a variable that is set where the proxy runs: a value that may
/// stand anywhere.
const STAND_IN: &str = "a-value-that-is-set-where-the-proxy-runs";

/// The same where it has to be a key: the number one, on P-256.
const STAND_IN_KEY: &str = "-----BEGIN EC PRIVATE KEY-----\n\
    MDECAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49AwEH\n\
    -----END EC PRIVATE KEY-----\n";
