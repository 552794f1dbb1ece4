//! The filters that are compared. Each that can do it sets the upstream's
//! credential in place of the client's token.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::jwt;
use super::peers::CREDENTIAL;
use crate::envoy::pieces;
use crate::module;

/// The guard's configuration in `envoy/envoy.yaml`, as it is.
///
/// # Panics
/// When it is not there.
pub(super) fn sample() -> Value {
    let text = include_str!("../../../envoy/envoy.yaml");
    let behind = text
        .split_once("value: |\n")
        .expect("a configuration in the sample")
        .1;
    let mut values = serde_json::Deserializer::from_str(behind).into_iter();
    values
        .next()
        .expect("a configuration in the sample")
        .expect("JSON in the sample")
}

/// The environment that the sample wants, and a key for assertions.
pub(super) fn environment() -> Vec<(String, String)> {
    static KEY: OnceLock<String> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let key = rcgen::KeyPair::generate().expect("a key on P-256");
        key.serialize_pem()
    });
    [
        ("INTROSPECTION_CLIENT_SECRET", "secret-of-the-gateway"),
        ("MCP_SERVER_TOKEN", CREDENTIAL),
        ("ASSERTION_KEY", key),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The guard, as shipped, with this configuration.
pub(super) fn guard(configuration: &Value) -> Value {
    guard_of(module::path(), configuration)
}

/// The same of another module.
pub(super) fn guard_of(module: &Path, configuration: &Value) -> Value {
    pieces::guard(module, configuration, &environment())
}

/// A module that makes the guard's calls into the host, and nothing besides.
pub(super) fn floor() -> Result<Value, String> {
    let text = include_str!("floor.wat");
    let bytes = wat::parse_str(text).map_err(|error| format!("floor.wat: {error}"))?;
    let path = module::project().join("target/floor.wasm");
    std::fs::write(&path, bytes)
        .map_err(|error| format!("{} cannot be written: {error}.", path.display()))?;
    Ok(guard_of(&path, &json!({})))
}

fn typed(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/{message}").into();
    json!({"name": name, "typed_config": config})
}

/// Sets the credential, and looks at nothing.
pub(super) fn header_mutation() -> Value {
    let set = json!({"append": {
        "header": {"key": "authorization", "value": format!("Bearer {CREDENTIAL}")},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }});
    typed(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({"mutations": {"request_mutations": [set]}}),
    )
}

const EXT_AUTHZ: &str = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";

/// Asks a server by HTTP, which answers with the credential.
pub(super) fn ext_authz_http() -> Value {
    typed(
        "envoy.filters.http.ext_authz",
        EXT_AUTHZ,
        json!({
            "transport_api_version": "V3",
            "http_service": {
                "server_uri": {"uri": "http://check", "cluster": "http-check", "timeout": "2s"},
                "authorization_response": {"allowed_upstream_headers": {"patterns": [{"exact": "authorization"}]}},
            },
        }),
    )
}

/// The same by gRPC.
pub(super) fn ext_authz_grpc() -> Value {
    typed(
        "envoy.filters.http.ext_authz",
        EXT_AUTHZ,
        json!({
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "grpc-check"}, "timeout": "2s"},
        }),
    )
}

/// Introspection in Lua, each time or with a table as the cache.
pub(super) fn lua(cached: bool) -> Value {
    let code = r#"
local CACHED = @CACHED@
local good = {}
function envoy_on_request(handle)
  local value = handle:headers():get("authorization") or ""
  local token = string.match(value, "^[Bb]earer ([%w%-%._~%+/]+=*)$")
  if not token then
    handle:respond({[":status"] = "401"}, "")
    return
  end
  local now = os.time()
  local till = CACHED and good[token]
  if not till or till <= now then
    local answer, body = handle:httpCall("authorization-server", {
      [":method"] = "POST", [":path"] = "/introspect", [":authority"] = "127.0.0.1",
      ["content-type"] = "application/x-www-form-urlencoded",
      ["authorization"] = "Basic bWNwLWdhdGV3YXk6c2VjcmV0",
    }, "token=" .. token, 2000)
    if answer[":status"] ~= "200" or not string.find(body, '"active":true', 1, true) then
      handle:respond({[":status"] = "401"}, "")
      return
    end
    good[token] = now + 2
  end
  handle:headers():replace("authorization", "Bearer @CREDENTIAL@")
end
"#;
    let code = code
        .replace("@CACHED@", if cached { "true" } else { "false" })
        .replace("@CREDENTIAL@", CREDENTIAL);
    typed(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({"default_source_code": {"inline_string": code}}),
    )
}

/// Checks a JWT without asking anybody, with or without its cache.
pub(super) fn jwt_authn(cached: bool) -> Value {
    let mut provider = json!({
        "issuer": "http://127.0.0.1:18001",
        "audiences": ["http://127.0.0.1:18000/mcp"],
        "local_jwks": {"inline_string": jwt::jwks()},
    });
    if cached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": 100});
    }
    typed(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": {"bench": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
        }),
    )
}

/// Sets a credential that Envoy keeps as a secret.
pub(super) fn credential_injector() -> Value {
    let generic = typed(
        "envoy.http.injected_credentials.generic",
        "envoy.extensions.http.injected_credentials.generic.v3.Generic",
        json!({"credential": {"name": "credential"}, "header": "authorization"}),
    );
    typed(
        "envoy.filters.http.credential_injector",
        "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        json!({"credential": generic, "overwrite": true}),
    )
}

/// Adds that secret to a bootstrap.
pub(super) fn with_secret(bootstrap: &mut Value) {
    bootstrap["static_resources"]["secrets"] = json!([{
        "name": "credential",
        "generic_secret": {"secret": {"inline_string": format!("Bearer {CREDENTIAL}")}},
    }]);
}
