//! What no reader says of a key: what it is for, and what its text looks like.
//!
//! A sentence for each key, by its path; a test names the keys that have none,
//! and those that are not there any more. The keywords beside it may refuse only
//! what the parser refuses, too.

mod credential;

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// All hints by path: `*` for a key that the operator chooses, `[]` for any
/// place in a list.
pub(super) fn all() -> BTreeMap<&'static str, (&'static str, Value)> {
    let with = [
        (
            "",
            "What mcp-token-guard is told by the proxy. Only authorization_server (or \
             authorization_servers) and servers have to be there.",
            json!({"oneOf": [
                {"required": ["authorization_server"]},
                {"required": ["authorization_servers"]},
            ]}),
        ),
        (
            "allowed_origins[]",
            "An origin as browsers send it, as in https://app.example.com; no `*`.",
            json!({"pattern": "^[a-z][a-z0-9+.-]*://[^*/?#@\\s]+$"}),
        ),
        (
            "identity_headers",
            "Header to set, and the claim of the answer to set it from. These headers are \
             always cleared first.",
            json!({"propertyNames": header()}),
        ),
        ("identity_headers.*", "The claim.", json!({"minLength": 1})),
        ("scope_implies.*[]", "A scope.", scope()),
        (
            "scope_implies",
            "A scope, and the scopes that are as good as given with it.",
            json!({"propertyNames": scope()}),
        ),
        (
            "servers",
            "The MCP servers by name: 1 to 64 of `A-Za-z0-9_-`. Names become metric labels.",
            json!({
                "minProperties": 1,
                "maxProperties": 1000,
                "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$"},
            }),
        ),
        (
            "servers.*.audience",
            "The audiences that a token may be for. Default: the resource.",
            json!({"minItems": 1}),
        ),
        (
            "servers.*.audience[]",
            "An audience.",
            json!({"minLength": 1}),
        ),
        (
            "servers.*.authorization_servers",
            "The authorization servers whose tokens count here, in order: a name, or a list of \
             them. Needed where there are several. A token is asked about at the one whose \
             token_prefix it has or, of a JWT, whose issuer it names; any other at the first \
             that has no token_prefix.",
            json!({"minItems": 1}),
        ),
        (
            "servers.*.cluster",
            "The Envoy cluster of the server, or a list of them; each may have one `*`. \
             Default: the name of the server.",
            cluster(),
        ),
        ("servers.*.cluster[]", "A cluster.", cluster()),
        (
            "servers.*.default_headers",
            "Headers to set on every request to this server, in place of what came in. Take \
             credentials from the environment: `Bearer ${env:NAME}`.",
            json!({"propertyNames": header()}),
        ),
        ("servers.*.required_scopes[]", "A scope.", scope()),
        (
            "servers.*.resource",
            "The canonical URI of this MCP server (RFC 8707, RFC 9728). https, or http on \
             loopback.",
            url(),
        ),
        (
            "session_key",
            "What MCP session ids are bound to their callers with: one key, or the newest and \
             the one before it. Default: derived from client_secret; needed where there is none, \
             or several authorization servers.",
            json!({}),
        ),
        ("strip_headers[]", "The name of a header.", header()),
    ];
    let plain = SENTENCES
        .iter()
        .chain(credential::SENTENCES)
        .map(|(path, sentence)| (*path, (*sentence, json!({}))));
    let with = with.into_iter().chain(rules()).chain(credential::with());
    let with = with.chain(introspection()).chain(issuers());
    plain.chain(with.map(keyed)).collect()
}

/// Those of the rules of a server.
fn rules() -> [(&'static str, &'static str, Value); 7] {
    [
        (
            "servers.*.rules",
            "Which calls need which scopes besides required_scopes: the first rule that matches \
             applies, what none matches is refused. Needs allow_on_headers_stop_iteration in \
             the filter. Default: all calls need the same.",
            json!({"minItems": 1, "maxItems": 256}),
        ),
        (
            "servers.*.rules[]",
            "Some calls, and what they need: either required_scopes or deny.",
            json!({"oneOf": [
                {"required": ["required_scopes"], "properties": {"deny": {"const": false}}},
                {
                    "required": ["deny"],
                    "properties": {"deny": {"const": true}},
                    "not": {"required": ["required_scopes"]},
                },
            ]}),
        ),
        (
            "servers.*.rules[].methods",
            "Methods of JSON-RPC.",
            json!({"minItems": 1, "maxItems": 256}),
        ),
        (
            "servers.*.rules[].methods[]",
            "A method, or a pattern with one `*`, as in tools/call and */list.",
            json!({"minLength": 1, "pattern": "^[!-)+-~]*\\*?[!-)+-~]*$"}),
        ),
        (
            "servers.*.rules[].names",
            "Tools, prompts and resources by name or URI. Default: every one, and the calls \
             that are for none.",
            json!({"minItems": 1, "maxItems": 256}),
        ),
        (
            "servers.*.rules[].names[]",
            "A name or URI, or a pattern with one `*`.",
            json!({"minLength": 1, "pattern": "^[^*]*\\*?[^*]*$"}),
        ),
        ("servers.*.rules[].required_scopes[]", "A scope.", scope()),
    ]
}

fn keyed<P, S, M>((path, sentence, more): (P, S, M)) -> (P, (S, M)) {
    (path, (sentence, more))
}

/// Keys of the introspection endpoint that have a pattern.
fn introspection() -> [(&'static str, &'static str, Value); 7] {
    [
        (
            "authorization_server.introspection.assertion_audience",
            "Whom the assertions of client_secret_jwt and private_key_jwt are for. Default: the \
             issuer; some servers want the URL of an endpoint.",
            json!({"pattern": "^[ -~]+$"}),
        ),
        (
            "authorization_server.introspection.client_id",
            "The id that the authorization server knows this gateway by.",
            json!({"pattern": "^[ -~]+$"}),
        ),
        (
            "authorization_server.introspection.client_secret",
            "The secret of that client, or two while it changes: the other is tried where one is \
             refused. Take it from the environment: `${env:NAME}`.",
            one_or_two(),
        ),
        (
            "authorization_server.introspection.cluster",
            "The Envoy cluster that reaches the authorization server; its TLS is set there.",
            json!({"minLength": 1}),
        ),
        (
            "authorization_server.introspection.key_id",
            "With auth_method `private_key_jwt`: the `kid` that the authorization server knows \
             the key by. Default: none.",
            json!({"pattern": "^[ -~]+$"}),
        ),
        (
            "authorization_server.introspection.token",
            "With auth_method `bearer`: the token that the guard shows, without the word \
             Bearer, or two while it changes; take it from the environment: `${env:NAME}`.",
            one_or_two(),
        ),
        (
            "authorization_server.introspection.url",
            "The introspection endpoint (RFC 7662). https, or http on loopback.",
            url(),
        ),
    ]
}

/// The hints on authorization servers.
fn issuers() -> [(&'static str, &'static str, Value); 3] {
    [
        (
            "authorization_server.issuer",
            "The issuer identifier: in the metadata, and compared with `iss` when the answer \
             has one. https, or http on loopback.",
            url_without_query(),
        ),
        (
            "authorization_server.token_prefix",
            "How all opaque tokens of this authorization server begin, and no other's: at a \
             server with several it is asked about those, and about no others that are no JWT.",
            json!({"minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._~+/-]+$"}),
        ),
        (
            "authorization_servers",
            "In place of authorization_server: several, by name. Each token is shown to one of \
             them only.",
            json!({
                "minProperties": 1,
                "maxProperties": 16,
                "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,64}$"},
            }),
        ),
    ]
}

/// Keys of which there is nothing to say but a sentence.
const SENTENCES: &[(&str, &str)] = &[
    (
        "allowed_origins",
        "Origins of browser pages that may call: for the check of Origin, CORS answers and \
         preflights.",
    ),
    (
        "audit_log",
        "Which audit records are log lines as well. Default: refused.",
    ),
    ("authorization_server", "Whom to ask about tokens."),
    (
        "authorization_server.introspection",
        "The introspection endpoint, and how the guard says who it is.",
    ),
    (
        "authorization_server.introspection.auth_method",
        "How the guard authenticates. Default: client_secret_basic.",
    ),
    (
        "authorization_server.introspection.client_secret[]",
        "A secret.",
    ),
    (
        "authorization_server.introspection.private_key",
        "With auth_method `private_key_jwt`: a P-256 key, as PKCS#8 or SEC1 in PEM; take it from \
         the environment: `${env:NAME}`.",
    ),
    (
        "authorization_server.introspection.timeout",
        "For the whole call. Default: 2s.",
    ),
    ("authorization_server.introspection.token[]", "A token."),
    ("authorization_servers.*", "One of them."),
    ("cache", "How long answers are kept, and how many."),
    (
        "cache.call_grace",
        "How long the answer to a call may run on after its token has expired. Default: 10m.",
    ),
    (
        "cache.max_entries",
        "Entries for each worker, of each of the two kinds. Default: 8192.",
    ),
    (
        "cache.negative_ttl",
        "Reuse of `active: false`. Default: 5s.",
    ),
    (
        "cache.recheck_streams",
        "How often the token of a live stream is asked about again; \"0s\" is never, which is \
         the default.",
    ),
    (
        "cache.stale_if_error",
        "How long past ttl, never past exp, an active answer may serve while the authorization \
         server is down. Default: 0s.",
    ),
    (
        "cache.ttl",
        "Longest reuse of an active answer, never past exp; \"0s\" asks every time. Default: \
         30s.",
    ),
    ("clock_skew", "Tolerance for exp and nbf. Default: 0s."),
    ("limits", "What one worker holds at most."),
    (
        "limits.answer",
        "Bytes of one introspection answer. Default: 256KiB.",
    ),
    (
        "limits.body",
        "Bytes of the body of one request, at a server with rules. Default: 1MiB.",
    ),
    (
        "limits.cache_bytes",
        "Bytes of kept answers. Default: 16MiB.",
    ),
    (
        "limits.in_flight",
        "Introspection calls under way. Default: 256.",
    ),
    (
        "limits.waiting",
        "Requests that wait for an answer. Default: 4096.",
    ),
    (
        "role",
        "Which part of the work is done here. Default: gateway.",
    ),
    (
        "scope_implies.*",
        "The scopes that it implies, by any number of steps.",
    ),
    ("servers.*.authorization_servers[]", "A name."),
    ("servers.*", "One MCP server behind the guard."),
    (
        "servers.*.audience_checked_by_authorization_server",
        "true accepts answers without `aud`: only where the authorization server answers \
         inactive for tokens of others. Default: false.",
    ),
    (
        "servers.*.certificate_bound_tokens",
        "Tokens that are bound to a client certificate (RFC 8705): false refuses them, which is \
         the default; true lets them in with that certificate on the connection; \"required\" \
         lets no others in.",
    ),
    ("servers.*.default_headers.*", "The value of the header."),
    (
        "servers.*.required_scopes",
        "Scopes that a token has to have. Default: none.",
    ),
    (
        "servers.*.rules[].deny",
        "true: nobody may call these. Default: false.",
    ),
    (
        "servers.*.rules[].required_scopes",
        "Scopes that a token has to have for these calls, besides those of the server; may be \
         empty.",
    ),
    ("session_key[]", "A key."),
    (
        "strip_headers",
        "Headers that never reach a server, besides the built-in list.",
    ),
    (
        "unlisted_clusters",
        "What happens to requests to other clusters: deny, which is the default, or ignore.",
    ),
];

/// An absolute URL without user, fragment and white space.
fn url() -> Value {
    json!({"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9.:\\[\\]_-]+([/?][^#\\s]*)?$"})
}

fn url_without_query() -> Value {
    json!({"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9.:\\[\\]_-]+(/[^?#\\s]*)?$"})
}

/// Where a list may stand for one.
fn one_or_two() -> Value {
    json!({"minItems": 1, "maxItems": 2})
}

/// One `*` at most, and something beside it.
fn cluster() -> Value {
    json!({"minItems": 1, "pattern": "^[^*]+$|^[^*]+\\*[^*]*$|^\\*[^*]+$"})
}

/// A scope-token (RFC 6749 section 3.3).
fn scope() -> Value {
    json!({"pattern": "^[!#-\\[\\]-~]+$"})
}

/// A field name (RFC 9110 section 5.6.2).
fn header() -> Value {
    json!({"maxLength": 128, "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"})
}
