//! What was made: the configuration, and what has to be done besides.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mcp_token_guard::{Config, Problem};
use serde_json::{Map, Value, json};
use url::Url;

use super::shown;

/// All that was made.
#[derive(Debug)]
pub(crate) struct Made {
    authorization_server: Value,
    servers: Map<String, Value>,
    variables: BTreeMap<String, Variable>,
    clusters: Vec<Cluster>,
    routes: Vec<Route>,
    notes: Vec<(String, String)>,
}

/// An environment variable that has to be set. Its value is never shown.
struct Variable {
    what: String,
    secret: Option<String>,
}

/// A cluster that has to be there.
#[derive(Debug)]
pub(crate) struct Cluster {
    name: String,
    host: String,
    port: Option<u16>,
    tls: bool,
}

/// A route that has to be there.
#[derive(Debug)]
pub(crate) struct Route {
    cluster: String,
    path: String,
    /// The path at the server, where it has no secret in it.
    rewrite: Option<String>,
    host: String,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl Cluster {
    /// The cluster that reaches a URL.
    pub(crate) fn new(name: &str, url: &Url) -> Self {
        Self {
            name: name.to_owned(),
            host: host(url),
            port: url.port_or_known_default(),
            tls: url.scheme() == "https",
        }
    }
}

impl Route {
    /// The route from a path of the gateway to a URL.
    pub(crate) fn new(cluster: &str, path: String, url: &Url) -> Self {
        // Some servers have the key in the path.
        let is_plain = |segment: &str| {
            let digits = segment.bytes().filter(u8::is_ascii_digit).count();
            segment.len() <= 24 && digits <= 3
        };
        let rewrite = url.path();
        Self {
            cluster: cluster.to_owned(),
            path,
            rewrite: rewrite.split('/').all(is_plain).then(|| rewrite.to_owned()),
            host: host(url),
        }
    }
}

impl Made {
    /// Nothing but whom to ask about tokens.
    pub(crate) fn new(authorization_server: Value) -> Self {
        Self {
            authorization_server,
            servers: Map::new(),
            variables: BTreeMap::new(),
            clusters: Vec::new(),
            routes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A name for a server that the guard takes and no other server has.
    pub(crate) fn name(&self, written: &str) -> String {
        let plain = |letter: char| match letter {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' => letter,
            _ => '-',
        };
        let base: String = written.chars().map(plain).take(60).collect();
        let base = if base.is_empty() {
            "server".to_owned()
        } else {
            base
        };
        unique(base, |name| self.servers.contains_key(name))
    }

    /// A name for a variable that no other one has.
    pub(crate) fn variable_name(&self, server: &str, header: &str) -> String {
        let plain = |letter: char| match letter {
            'A'..='Z' | '0'..='9' => letter,
            'a'..='z' => letter.to_ascii_uppercase(),
            _ => '_',
        };
        let base: String = format!("{server}_{header}")
            .chars()
            .map(plain)
            .take(56)
            .collect();
        let base = if base.starts_with(|letter: char| letter.is_ascii_digit()) {
            format!("MCP_{base}")
        } else {
            base
        };
        unique(base, |name| self.variables.contains_key(name))
    }

    /// A variable that has to be set, what it is, and its value if it is known.
    pub(crate) fn variable(&mut self, name: &str, what: &str, secret: Option<&str>) {
        let variable = Variable {
            what: what.to_owned(),
            secret: secret.map(str::to_owned),
        };
        self.variables.entry(name.to_owned()).or_insert(variable);
    }

    /// A cluster that has to be there.
    pub(crate) fn cluster(&mut self, cluster: Cluster) {
        self.clusters.push(cluster);
    }

    /// A route that has to be there.
    pub(crate) fn route(&mut self, route: Route) {
        self.routes.push(route);
    }

    /// A server of the configuration.
    pub(crate) fn server(&mut self, name: &str, server: Map<String, Value>) {
        self.servers.insert(name.to_owned(), Value::Object(server));
    }

    /// Something to know.
    pub(crate) fn note(&mut self, path: &str, sentence: &str) {
        self.notes.push((path.to_owned(), sentence.to_owned()));
    }

    /// Takes headers out that the guard refuses, and says so; answers what else
    /// it refuses.
    pub(crate) fn settle(&mut self) -> Vec<Problem> {
        let problems = self.problems();
        for problem in &problems {
            let Some((server, header)) = self.header(&problem.path) else {
                continue;
            };
            let headers = self.servers.get_mut(&server);
            let headers = headers.and_then(|server| server.get_mut("default_headers"));
            if let Some(headers) = headers.and_then(Value::as_object_mut) {
                headers.remove(&header);
            }
            let path = problem.path.clone();
            self.variables.retain(|_, variable| variable.what != path);
            self.note(&path, &format!("{}; it is left out", problem.sentence));
        }
        self.problems()
    }

    /// The server and the header that a problem is about.
    fn header(&self, path: &str) -> Option<(String, String)> {
        let (server, header) = path
            .strip_prefix("servers.")?
            .split_once(".default_headers.")?;
        let known = self
            .servers
            .get(server)?
            .get("default_headers")?
            .get(header);
        known.map(|_| (server.to_owned(), header.to_owned()))
    }

    fn problems(&self) -> Vec<Problem> {
        let env = |name: &str| {
            let variable = self.variables.get(name)?;
            let secret = variable.secret.clone();
            Some(secret.unwrap_or_else(|| "a-value-that-will-be-set".to_owned()))
        };
        match Config::parse(self.configuration().as_bytes(), &env) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.problems().cloned().collect(),
        }
    }

    /// The plugin configuration.
    pub(crate) fn configuration(&self) -> String {
        format!("{:#}\n", self.value())
    }

    fn value(&self) -> Value {
        json!({"authorization_server": self.authorization_server, "servers": self.servers})
    }

    /// The secrets that were moved out.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().filter_map(|(name, variable)| {
            let secret = variable.secret.as_deref()?;
            Some((name.as_str(), secret))
        })
    }

    /// What has to be done, a line each.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        for (name, variable) in &self.variables {
            let _ = writeln!(text, "variable {name}: {}", variable.what);
        }
        for cluster in &self.clusters {
            let port = cluster.port.unwrap_or_default();
            let tls = if cluster.tls {
                format!("with TLS, SNI and certificate checked for {}", cluster.host)
            } else {
                "without TLS".to_owned()
            };
            let (name, host) = (&cluster.name, &cluster.host);
            let _ = writeln!(text, "cluster {name}: {host}, port {port}, {tls}");
        }
        for route in &self.routes {
            let rewrite = match &route.rewrite {
                Some(path) => format!("prefix_rewrite {}", shown(path)),
                None => "prefix_rewrite to the path of its url, which may have a key in it".into(),
            };
            let (cluster, path, host) = (&route.cluster, &route.path, &route.host);
            let _ = writeln!(
                text,
                "route to {cluster}: path_separated_prefix {path}, {rewrite}, \
                 host_rewrite_literal {host}, timeout 0s, a finite idle_timeout"
            );
        }
        for (path, sentence) in &self.notes {
            let _ = writeln!(text, "{path}: {sentence}");
        }
        text
    }

    /// All of it as one JSON object.
    pub(crate) fn json(&self) -> String {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, of)| json!({"name": name, "for": of.what}));
        let clusters = self.clusters.iter().map(|cluster| {
            json!({
                "name": cluster.name, "host": cluster.host,
                "port": cluster.port, "tls": cluster.tls,
            })
        });
        let routes = self.routes.iter().map(|route| {
            json!({
                "cluster": route.cluster, "path_separated_prefix": route.path,
                "prefix_rewrite": route.rewrite, "host_rewrite_literal": route.host,
            })
        });
        let notes = self.notes.iter();
        let notes = notes.map(|(path, sentence)| json!({"path": path, "sentence": sentence}));
        let all = json!({
            "configuration": self.value(),
            "variables": variables.collect::<Vec<_>>(),
            "clusters": clusters.collect::<Vec<_>>(),
            "routes": routes.collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
        });
        format!("{all:#}\n")
    }
}

/// The name, or with a number behind it where it is taken.
fn unique(base: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&base) {
        return base;
    }
    let mut numbered = (2_u32..).map(|number| format!("{base}_{number}"));
    numbered.find(|name| !taken(name)).unwrap_or(base)
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}
