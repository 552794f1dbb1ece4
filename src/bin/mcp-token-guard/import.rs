//! `import`: makes a plugin configuration of an MCP gateway's `servers.json`,
//! in which each of `servers` has a `url` and `default_headers`.

mod made;
mod secrets;

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use url::Url;

use super::check::clusters::is_local_host;
use super::check::document;
use super::check::tree::{At, shown};
use super::{End, Format, say, tell};
use made::{Cluster, Made, Route};

/// What `import` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The gateway's servers.json.
    file: PathBuf,
    /// The issuer identifier of the authorization server.
    #[arg(long, default_value = "https://auth.example.com")]
    issuer: String,
    /// Its introspection endpoint; by default /oauth2/introspect below the issuer.
    #[arg(long)]
    introspection_url: Option<String>,
    /// The id that it knows this gateway by.
    #[arg(long, default_value = "mcp-gateway")]
    client_id: String,
    /// What clients reach this gateway by; servers are below it.
    #[arg(long, default_value = "https://gateway.example.com")]
    gateway: String,
    /// Write the secrets that were moved out to this new file, as NAME=value.
    #[arg(long)]
    secrets: Option<PathBuf>,
    /// How to print what was made.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Makes the configuration and prints it.
pub(crate) fn run(options: &Options) -> io::Result<End> {
    let file = document::name(&options.file);
    let value = match document::object(&options.file) {
        Ok(value) => value,
        Err(sentence) => return tell(&format!("{file}: {sentence}\n")).map(|()| End::Failed),
    };
    let root = At::root(&value);
    let Some(servers) = root.get("servers").filter(|at| at.value.is_object()) else {
        let sentence = "has no object `servers`, with a `url` for each";
        return tell(&format!("{file}: {sentence}\n")).map(|()| End::Failed);
    };
    let mut made = begin(options);
    for (name, server) in servers.members() {
        import(name, &server, options, &mut made);
    }
    for (key, at) in root.members() {
        if key != "servers" {
            made.note(&at.path, "is not taken over");
        }
    }
    let problems = made.settle();
    match options.format {
        Format::Json => say(&made.json())?,
        Format::Text => {
            say(&made.configuration())?;
            tell(&made.text())?;
        }
    }
    for problem in &problems {
        tell(&format!("{file}: {problem}\n"))?;
    }
    if let Some(path) = &options.secrets
        && let Err(error) = secrets::write(path, made.secrets())
    {
        let (path, kind) = (document::name(path), error.kind());
        return tell(&format!("{path}: cannot be written: {kind}\n")).map(|()| End::Failed);
    }
    Ok(if problems.is_empty() {
        End::Fine
    } else {
        End::Found
    })
}

/// What does not depend on the servers.
fn begin(options: &Options) -> Made {
    let endpoint = options.introspection_url.clone().unwrap_or_else(|| {
        let issuer = options.issuer.trim_end_matches('/');
        format!("{issuer}/oauth2/introspect")
    });
    let mut made = Made::new(json!({
        "issuer": options.issuer,
        "introspection": {
            "url": endpoint,
            "cluster": AUTHORIZATION_SERVER,
            "client_id": options.client_id,
            "client_secret": format!("${{env:{CLIENT_SECRET}}}"),
        }
    }));
    made.variable(
        CLIENT_SECRET,
        "the secret of the client that asks about tokens",
        None,
    );
    if let Ok(url) = Url::parse(&endpoint) {
        made.cluster(Cluster::new(AUTHORIZATION_SERVER, &url));
    }
    for (what, value) in [
        ("--issuer", &options.issuer),
        ("--gateway", &options.gateway),
    ] {
        if value.ends_with(".example.com") {
            made.note(what, "was not given: replace what stands for it");
        }
    }
    made
}

/// One server.
fn import(written: &str, server: &At<'_>, options: &Options, made: &mut Made) {
    let name = made.name(written);
    if name != written {
        made.note(
            &server.path,
            &format!("is named {name}: the guard takes A-Za-z0-9_- only"),
        );
    }
    let Some(url) = server.text("url").and_then(|url| Url::parse(url).ok()) else {
        made.note(&server.path, "has no absolute `url`, so it is left out");
        return;
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        made.note(
            &server.path,
            "has a `url` that is not http or https, so it is left out",
        );
        return;
    }
    if !url.username().is_empty() || url.password().is_some() {
        made.note(
            &server.path,
            "has a user name or password in its `url`, which is left out; write them as \
             Authorization in default_headers",
        );
    }
    if url.query().is_some() {
        made.note(
            &server.path,
            "has a query in its `url`, which is left out; if there is a key in it, look for a \
             header that the server takes in its place",
        );
    }
    if url.scheme() == "http" && !url.host_str().is_some_and(is_local_host) {
        made.note(
            &server.path,
            "is reached without TLS, and not on this machine: the credential can be read on the \
             way; find an https `url` for it",
        );
    }
    let gateway = options.gateway.trim_end_matches('/');
    let path = format!("/{name}/mcp");
    let mut headers = Map::new();
    let given = server.get("default_headers");
    for (header, at) in given.map(|at| at.members()).unwrap_or_default() {
        if let Some(value) = value(&name, header, &at, made) {
            headers.insert(header.to_owned(), value.into());
        }
    }
    let mut entry = Map::new();
    entry.insert("cluster".to_owned(), name.clone().into());
    entry.insert("resource".to_owned(), format!("{gateway}{path}").into());
    if !headers.is_empty() {
        entry.insert("default_headers".to_owned(), Value::Object(headers));
    }
    made.server(&name, entry);
    made.cluster(Cluster::new(&name, &url));
    made.route(Route::new(&name, path, &url));
    for (key, at) in server.members() {
        if !matches!(key, "url" | "default_headers" | "name" | "description") {
            made.note(&at.path, "is not taken over");
        }
    }
}

/// The value of a header, with what is secret in it moved out.
fn value(server: &str, header: &str, at: &At<'_>, made: &mut Made) -> Option<String> {
    let Some(text) = at
        .value
        .as_str()
        .map(str::trim)
        .filter(|text| !text.is_empty())
    else {
        made.note(&at.path, "has no text, so it is left out");
        return None;
    };
    if let Some(names) = secrets::references(text) {
        for name in names {
            made.variable(&name, &at.path, None);
        }
        return Some(text.to_owned());
    }
    if PUBLIC.contains(&header.to_ascii_lowercase().as_str()) {
        return Some(text.replace("${", "$${"));
    }
    let (scheme, secret) = secrets::split(text);
    let name = made.variable_name(server, header);
    made.variable(&name, &at.path, Some(secret));
    Some(format!("{scheme}${{env:{name}}}"))
}

/// The cluster of the authorization server.
const AUTHORIZATION_SERVER: &str = "authorization-server";

/// The variable with the secret of the client that asks about tokens.
const CLIENT_SECRET: &str = "INTROSPECTION_CLIENT_SECRET";

/// Headers whose values are nobody's secret.
const PUBLIC: &[&str] = &["accept", "accept-language", "user-agent"];
