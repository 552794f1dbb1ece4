//! Protected resource metadata (RFC 9728), from the configuration alone.

use crate::certificate::CertificateBinding;
use crate::config::{Resource, Server};
use crate::head::{Head, Method};
use crate::issuers::AuthorizationServers;
use crate::json::quote;
use crate::reply::LocalReply;
use crate::servers::Servers;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata URL of a resource: the well-known part goes between host and
/// path (RFC 9728 section 3.1).
pub(crate) fn url(resource: &Resource) -> String {
    format!("{}{}", resource.origin, path_of(resource))
}

fn path_of(resource: &Resource) -> String {
    format!("{WELL_KNOWN}{}{}", resource.path, resource.query)
}

/// The documents, in the order of the paths at which they are asked for.
#[derive(Debug)]
pub(crate) struct Documents(Vec<Document>);

#[derive(Debug)]
struct Document {
    path: String,
    authority: String,
    body: String,
    /// Whether it answers at this path for its own authority only.
    own_authority_only: bool,
}

impl Documents {
    /// Those of all servers, each with its own of these authorization servers.
    pub(crate) fn new(issuers: &AuthorizationServers, servers: &Servers) -> Self {
        let alone = servers.iter().count() == 1;
        let mut documents: Vec<Document> = Vec::new();
        for server in servers.iter() {
            let authority = &server.resource.authority;
            let own = path_of(&server.resource);
            // The root is where clients look last. It answers for an authority
            // that has one server only: with several it could be the wrong
            // one's.
            let neighbours = servers
                .iter()
                .filter(|other| other.resource.authority == *authority);
            let also_at_root = own != WELL_KNOWN && neighbours.count() == 1;
            let root = also_at_root.then(|| WELL_KNOWN.to_owned());
            for path in core::iter::once(own).chain(root) {
                let own_authority_only = path == WELL_KNOWN && !alone;
                let place = documents.partition_point(|other| other.path <= path);
                documents.insert(
                    place,
                    Document {
                        path,
                        authority: authority.clone(),
                        body: body(issuers, server),
                        own_authority_only,
                    },
                );
            }
        }
        Self(documents)
    }

    /// The answer to a request for a metadata document; none where the path is
    /// not that of one. The path has to be exact: nothing else is exempt from
    /// a token. Where the request is `foreign`, going to a cluster that is
    /// none of ours and let alone, the authority has to be ours as well: a
    /// proxy on the way out sees other hosts' documents at the same paths.
    pub(crate) fn answer(
        &self,
        head: &Head<'_>,
        foreign: impl FnOnce() -> bool,
    ) -> Option<LocalReply> {
        let path = core::str::from_utf8(head.path).ok()?;
        if !path.starts_with(WELL_KNOWN) {
            return None;
        }
        let candidates = self.at(path);
        let ours = |document: &Document| same_authority(&document.authority, head.authority);
        if candidates.is_empty() || (foreign() && !candidates.iter().any(ours)) {
            return None;
        }
        let mut reply = match (Self::choose(candidates, head.authority), head.method) {
            (None, _) => {
                let mut reply = LocalReply::new(404);
                reply.error("not_found", "There is nothing here");
                reply
            }
            (Some(document), Method::Get | Method::Head) => {
                let mut reply = LocalReply::new(200);
                reply.header("cache-control", "public, max-age=3600");
                reply.json(document.body.clone());
                reply
            }
            (Some(_), Method::Options) => {
                let mut reply = LocalReply::new(204);
                reply.header("access-control-allow-methods", ALLOWED);
                reply.header(
                    "access-control-allow-headers",
                    "Authorization, Accept, Content-Type, MCP-Protocol-Version",
                );
                reply.header("access-control-max-age", "3600");
                reply
            }
            (Some(_), Method::Delete | Method::Post | Method::Other | Method::Tunnel) => {
                let mut reply = LocalReply::new(405);
                reply.header("allow", ALLOWED);
                reply.error("method_not_allowed", "Metadata is read, not written");
                reply
            }
        };
        reply.header("access-control-allow-origin", "*");
        Some(reply)
    }

    /// Those at this path.
    fn at(&self, path: &str) -> &[Document] {
        let start = self
            .0
            .partition_point(|document| document.path.as_str() < path);
        let rest = self.0.get(start..).unwrap_or_default();
        let end = rest.partition_point(|document| document.path == path);
        rest.get(..end).unwrap_or_default()
    }

    /// By `:authority` where several share the path.
    fn choose<'a>(candidates: &'a [Document], authority: &[u8]) -> Option<&'a Document> {
        if let [only] = candidates
            && !only.own_authority_only
        {
            return Some(only);
        }
        candidates
            .iter()
            .find(|document| same_authority(&document.authority, authority))
    }
}

const ALLOWED: &str = "GET, HEAD, OPTIONS";

/// Whether `:authority` means the configured one, which has no default port.
fn same_authority(ours: &str, theirs: &[u8]) -> bool {
    [&b""[..], b":443", b":80"].iter().any(|port| {
        theirs
            .strip_suffix(*port)
            .is_some_and(|host| host.eq_ignore_ascii_case(ours.as_bytes()))
    })
}

/// RFC 9728 section 2; members without a value are left out (section 3.2).
fn body(issuers: &AuthorizationServers, server: &Server) -> String {
    let mut body = String::from(r#"{"authorization_servers":"#);
    let mut before = "[";
    for issuer in issuers.issuers(&server.authorization_servers) {
        body.push_str(before);
        quote(&mut body, issuer);
        before = ",";
    }
    body.push_str(r#"],"bearer_methods_supported":["header"],"resource":"#);
    quote(&mut body, &server.resource.uri);
    body.push_str(r#","resource_name":"#);
    quote(&mut body, &server.name);
    let mut before = r#","scopes_supported":["#;
    for scope in &server.requirement.scopes {
        body.push_str(before);
        quote(&mut body, &scope.name);
        before = ",";
    }
    if before == "," {
        body.push(']');
    }
    if server.requirement.certificates != CertificateBinding::Refused {
        body.push_str(r#","tls_client_certificate_bound_access_tokens":true"#);
    }
    body.push('}');
    body
}
