//! `tls_client_auth` (RFC 8705 section 2): the certificate of the connection
//! proves who the guard is.

use std::sync::OnceLock;

use mcp_token_guard_tests::certificate::Certificate;
use mcp_token_guard_tests::client::Protocol;
use mcp_token_guard_tests::envoy::Setup;
use mcp_token_guard_tests::envoy::pieces::{cluster, route, trusting};
use mcp_token_guard_tests::scenario::INTROSPECTION_CLUSTER;
use serde_json::{Value, json};

use crate::server::{CLIENT_ID, ask, configuration, form, is_undecided, lets_in, surroundings};

/// The certificate that the authorization server knows its client by.
fn known() -> &'static Certificate {
    static KNOWN: OnceLock<Certificate> = OnceLock::new();
    KNOWN.get_or_init(Certificate::new)
}

/// Demands that certificate, and says to who is behind which one was shown.
fn demanding(bootstrap: &mut Value) {
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    let chain = &mut listener["filter_chains"][1];
    let tls = &mut chain["transport_socket"]["typed_config"];
    assert!(tls["common_tls_context"].is_object(), "{listener}");
    tls["require_client_certificate"] = true.into();
    tls["common_tls_context"]["validation_context"] =
        json!({"trusted_ca": {"inline_string": known().chain}});
}

/// RFC8705-2: with the certificate of the cluster, and only with the one that
/// the server knows. Nobody else gets as far as to tell it a token.
#[test]
fn the_certificate_of_the_cluster_is_the_proof() {
    let (server, stranger) = (Certificate::new(), Certificate::new());
    for (shown, status) in [(Some(known()), 200), (Some(&stranger), 503), (None, 503)] {
        let mut surroundings = surroundings(&[]);
        let said = lets_in(&surroundings.authorization_server, |message| {
            let field = |name: &str| {
                let mut fields = message.headers.iter();
                fields.find(|(one, _)| one == name.as_bytes())
            };
            let form = form(message);
            let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
            // Our name alone, in the form alone.
            if names != ["token", "token_type_hint", "client_id"] || form[2].1 != CLIENT_ID {
                return Err(format!("the form is {form:?}"));
            }
            if field("authorization").is_some() {
                return Err("two methods at once".to_owned());
            }
            let shown = field("x-forwarded-client-cert");
            let is_shown = shown.is_some_and(|(_, value)| value.starts_with(b"Hash="));
            is_shown
                .then_some(())
                .ok_or_else(|| "no certificate".to_owned())
        });
        let mut front = Setup::new()
            .certificate(server.clone())
            .cluster(cluster(
                "server",
                surroundings.authorization_server.address(),
                Protocol::Http1,
            ))
            .route(route("/", "server"))
            .patch(demanding);
        front.manager = json!({"forward_client_cert_details": "SANITIZE_SET"});
        let front = front.start();
        let clusters = surroundings.setup.clusters.iter_mut();
        let place = clusters
            .into_iter()
            .find(|one| one["name"] == INTROSPECTION_CLUSTER)
            .expect("the cluster");
        let plain = cluster(INTROSPECTION_CLUSTER, front.address(), Protocol::Http1);
        *place = trusting(plain, &server);
        if let Some(shown) = shown {
            let context = &mut place["transport_socket"]["typed_config"]["common_tls_context"];
            context["tls_certificates"] = json!([{
                "certificate_chain": {"inline_string": shown.chain},
                "private_key": {"inline_string": shown.key},
            }]);
        }
        let bench = surroundings.start(&configuration(&json!({"auth_method": "tls_client_auth"})));
        let response = ask(&bench, "kanarie-certificate");
        if status == 200 {
            assert_eq!(response.status, 200, "{:?}", said.lock().unwrap());
            assert_eq!(bench.arrived().len(), 1);
            assert_eq!(bench.authorization_server.count(), 1);
        } else {
            is_undecided(&bench, &response);
            assert_eq!(bench.authorization_server.count(), 0);
        }
    }
}
