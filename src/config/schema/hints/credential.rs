//! Hints for `credential` of a server.

use serde_json::{Value, json};

use super::{scope, url};

/// Keys of which there is more to say than a sentence.
pub(super) fn with() -> [(&'static str, &'static str, Value); 7] {
    [
        (
            "servers.*.credential.audience",
            "The `audience` that is asked for: one, or a list of them.",
            json!({"minLength": 1, "minItems": 1}),
        ),
        (
            "servers.*.credential.audience[]",
            "An audience.",
            json!({"minLength": 1}),
        ),
        (
            "servers.*.credential.cluster",
            "The Envoy cluster that reaches the token endpoint; its TLS is set there.",
            json!({"minLength": 1}),
        ),
        (
            "servers.*.credential.resource",
            "The `resource` (RFC 8707) that is asked for: one, or a list of them.",
            json!({"minLength": 1, "minItems": 1}),
        ),
        (
            "servers.*.credential.resource[]",
            "An absolute URI.",
            json!({"minLength": 1}),
        ),
        ("servers.*.credential.scope[]", "A scope.", scope()),
        (
            "servers.*.credential.url",
            "The token endpoint. https, or http on loopback.",
            url(),
        ),
    ]
}

/// Keys of which there is nothing to say but a sentence.
pub(super) const SENTENCES: &[(&str, &str)] = &[
    (
        "servers.*.credential",
        "A token that is fetched for this server and set as `Authorization: Bearer`. Without it \
         nothing goes on: there is no other credential for the server.",
    ),
    (
        "servers.*.credential.default_expires_in",
        "How long a token lives whose answer does not say. Default: 60s.",
    ),
    (
        "servers.*.credential.grant",
        "client_credentials (RFC 6749): the guard's own token for this server. token_exchange \
         (RFC 8693): one for each client's token; in the role gateway only.",
    ),
    (
        "servers.*.credential.scope",
        "The scopes that are asked for.",
    ),
    (
        "servers.*.credential.timeout",
        "For the whole call. Default: 2s.",
    ),
];
