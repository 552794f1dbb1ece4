//! The configuration, environment and routes that scenarios share.

use serde_json::{Value, json};

use super::Check;
use super::build::is;

/// The cluster that reaches the authorization server.
pub const INTROSPECTION_CLUSTER: &str = "authorization-server";

/// `client_id` of the base configuration; needs form-encoding in Basic
/// (RFC6749-2.3.1-a).
pub const CLIENT_ID: &str = "gw:rs 1";

/// `client_secret` of the base configuration; needs form-encoding too.
pub const CLIENT_SECRET: &str = "s3cr+t/with%20sp ace&:=kanarie-secret";

/// The environment of the VM. All of its values are secret.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("INTROSPECTION_CLIENT_SECRET", CLIENT_SECRET),
    ("INTROSPECTION_TOKEN", "kanarie-introspection-bearer"),
    ("ALPHA_TOKEN", "kanarie-alpha-credential"),
    ("BETA_KEY", "kanarie-beta-key"),
    ("TEAM_A_TOKEN", "kanarie-team-a-credential"),
    ("TEAM_B_TOKEN", "kanarie-team-b-credential"),
    ("SESSION_KEY", "kanarie-session-key-of-at-least-32-bytes"),
    ("SESSION_KEY_OLD", "kanarie-former-key-of-at-least-32-bytes"),
];

/// A configuration: the base, changed. Scenarios with the same name share one
/// VM.
#[derive(Clone, Copy, Debug)]
pub struct Configuration {
    /// Unique for each patch.
    pub name: &'static str,
    /// What is different from [`base`].
    pub patch: fn(&mut Value),
}

impl Configuration {
    /// The whole configuration of the plugin.
    #[must_use]
    pub fn value(&self) -> Value {
        let mut value = base();
        (self.patch)(&mut value);
        value
    }
}

/// The configuration that most scenarios run under.
#[must_use]
pub fn base() -> Value {
    json!({
        "authorization_server": {
            "issuer": "https://auth.example.com",
            "introspection": {
                "url": "http://127.0.0.1/introspect",
                "cluster": INTROSPECTION_CLUSTER,
                "client_id": CLIENT_ID,
                "client_secret": "${env:INTROSPECTION_CLIENT_SECRET}",
            },
        },
        "servers": {
            "github": {
                "cluster": "alpha",
                "resource": "https://gateway.example.com/github/mcp",
                "required_scopes": ["mcp:read"],
                "default_headers": {"Authorization": "Bearer ${env:ALPHA_TOKEN}"},
            },
            // Two headers; two scopes; HTTP/2 to the upstream.
            "linear": {
                "cluster": "beta",
                "resource": "https://gateway.example.com/linear/mcp",
                "required_scopes": ["mcp:read", "mcp:write"],
                "default_headers": {"X-Api-Key": "${env:BETA_KEY}", "X-Region": "eu"},
            },
            // Strips and sets nothing; a pattern of cluster names.
            "plain": {
                "cluster": "gamma-*",
                "resource": "https://gateway.example.com/plain/mcp",
                "default_headers": {},
            },
            // Two servers behind one cluster: the path decides.
            "team-a": {
                "cluster": "shared",
                "resource": "https://gateway.example.com/shared/a",
                "default_headers": {"Authorization": "Bearer ${env:TEAM_A_TOKEN}"},
            },
            "team-b": {
                "cluster": "shared",
                "resource": "https://gateway.example.com/shared/a/b",
                "default_headers": {"Authorization": "Bearer ${env:TEAM_B_TOKEN}"},
            },
            // A list of clusters; answers without `aud` will do.
            "unaimed": {
                "cluster": ["delta-1", "delta-2"],
                "resource": "https://gateway.example.com/unaimed/mcp",
                "audience_checked_by_authorization_server": true,
                "default_headers": {},
            },
            // Alone at its authority, with a path.
            "lone": {
                "cluster": "eta",
                "resource": "https://lone.example.com/mcp",
                "default_headers": {},
            },
            // Alone at its authority, with an empty path.
            "single": {
                "cluster": "epsilon",
                "resource": "https://single.example.com",
                "default_headers": {},
            },
        },
        "scope_implies": {"mcp:admin": ["mcp:read", "mcp:write"], "org:root": ["mcp:admin"]},
        "allowed_origins": ["https://app.example.com"],
        "strip_headers": ["x-legacy-token"],
        "identity_headers": {"x-mcp-subject": "sub", "x-mcp-client-id": "client_id"},
    })
}

/// One entry of the route table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The paths that it takes begin with this.
    pub prefix: &'static str,
    /// Where they go.
    pub to: To,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To a cluster.
    Cluster(&'static str),
    /// To a response of Envoy's own, 200 `direct`.
    Direct,
    /// To a redirect of Envoy's own.
    Redirect,
}

/// The route table; the first match counts, and what matches nothing has no
/// route.
pub const ROUTES: &[Route] = &[
    Route {
        prefix: "/github",
        to: To::Cluster("alpha"),
    },
    Route {
        prefix: "/linear",
        to: To::Cluster("beta"),
    },
    Route {
        prefix: "/plain",
        to: To::Cluster("gamma-1"),
    },
    Route {
        prefix: "/shared",
        to: To::Cluster("shared"),
    },
    Route {
        prefix: "/unaimed",
        to: To::Cluster("delta-2"),
    },
    Route {
        prefix: "/lone",
        to: To::Cluster("eta"),
    },
    Route {
        prefix: "/single",
        to: To::Cluster("epsilon"),
    },
    Route {
        prefix: "/unlisted",
        to: To::Cluster("zeta"),
    },
    Route {
        prefix: "/direct",
        to: To::Direct,
    },
    Route {
        prefix: "/moved",
        to: To::Redirect,
    },
    Route {
        prefix: "/.well-known/oauth-protected-resource/elsewhere",
        to: To::Cluster("zeta"),
    },
    Route {
        prefix: "/.well-known/",
        to: To::Cluster("alpha"),
    },
    Route {
        prefix: "/oauth",
        to: To::Cluster("alpha"),
    },
    Route {
        prefix: "/healthz",
        to: To::Cluster("alpha"),
    },
];

/// The cluster that the route table picks for a path.
#[must_use]
pub fn route_of(path: &[u8]) -> Option<&'static str> {
    let route = ROUTES
        .iter()
        .find(|route| path.starts_with(route.prefix.as_bytes()))?;
    match route.to {
        To::Cluster(cluster) => Some(cluster),
        To::Direct | To::Redirect => None,
    }
}

/// The base configuration itself.
pub(super) const BASE: Configuration = Configuration {
    name: "base",
    patch: |_| (),
};

/// `resource` of the servers of the base configuration, by the beginning of the
/// path.
const RESOURCES: &[(&str, &str)] = &[
    ("/github", "https://gateway.example.com/github/mcp"),
    ("/linear", "https://gateway.example.com/linear/mcp"),
    ("/plain", "https://gateway.example.com/plain/mcp"),
    ("/shared/a/b", "https://gateway.example.com/shared/a/b"),
    ("/shared/a", "https://gateway.example.com/shared/a"),
    ("/unaimed", "https://gateway.example.com/unaimed/mcp"),
    ("/lone", "https://lone.example.com/mcp"),
    ("/single", "https://single.example.com"),
];

/// An introspection answer that is good for the server that `path` leads to.
#[must_use]
pub fn default_claims(path: &[u8]) -> Value {
    let resource = RESOURCES
        .iter()
        .find(|(prefix, _)| path.starts_with(prefix.as_bytes()))
        .map_or("https://gateway.example.com/github/mcp", |(_, resource)| {
            resource
        });
    json!({
        "active": true,
        "token_type": "Bearer",
        "iss": "https://auth.example.com",
        "aud": resource,
        "scope": "mcp:read mcp:write",
        "sub": "user-1",
        "client_id": "client-1",
        "username": "kanarie-username",
        "exp": "@now+300",
    })
}

/// What the upstream gets in the fields that the guard rules, when a request
/// with the default claims reaches it.
pub(super) fn injected(cluster: Option<&str>, path: &[u8]) -> Vec<Check> {
    let mut checks: Vec<Check> = [
        "proxy-authorization",
        "x-authorization",
        "x-forwarded-authorization",
        "x-original-authorization",
        "x-access-token",
        "x-forwarded-access-token",
        "x-auth-request-access-token",
        "x-id-token",
        "dpop",
        "x-legacy-token",
    ]
    .into_iter()
    .map(Check::Absent)
    .collect();
    checks.push(is("x-mcp-subject", "user-1"));
    checks.push(is("x-mcp-client-id", "client-1"));
    let set: &[(&'static str, &str)] = match cluster {
        Some("alpha") => &[("authorization", "Bearer kanarie-alpha-credential")],
        Some("beta") => &[("x-api-key", "kanarie-beta-key"), ("x-region", "eu")],
        Some("shared") if path.starts_with(b"/shared/a/b") => {
            &[("authorization", "Bearer kanarie-team-b-credential")]
        }
        Some("shared") => &[("authorization", "Bearer kanarie-team-a-credential")],
        _ => &[],
    };
    checks.extend(set.iter().map(|&(name, value)| is(name, value)));
    if !set.iter().any(|(name, _)| *name == "authorization") {
        checks.push(Check::Absent("authorization"));
    }
    checks
}
