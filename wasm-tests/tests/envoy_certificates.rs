//! Tokens bound to a client certificate (RFC 8705), with mutual TLS that ends at
//! Envoy.

use mcp_token_guard_tests::certificate::Certificate;
use mcp_token_guard_tests::client::{Over, Protocol};
use mcp_token_guard_tests::envoy::{Arrangement, Bench, Surroundings};
use mcp_token_guard_tests::scenario::{Request, Vars, active, base, default_claims, get, post};
use memchr::memmem;
use serde_json::{Value, json};

/// Asks clients for a certificate, and takes also one that they signed
/// themselves, or none: the guard judges.
fn asking(bootstrap: &mut Value) {
    let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][1];
    chain["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"] =
        json!({"trust_chain_verification": "ACCEPT_UNTRUSTED"});
}

/// Tells upstreams and filters of the client's certificate, as it came and as it
/// is.
fn forwarding() -> Value {
    json!({
        "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
        "set_current_client_cert_details": {"subject": true, "cert": true},
    })
}

/// Envoy with TLS at the listener.
struct Mutual {
    bench: Bench,
    server: Certificate,
}

impl Mutual {
    fn start(binding: &Value) -> Self {
        Self::start_as(Arrangement::Gateway, binding)
    }

    fn start_as(arrangement: Arrangement, binding: &Value) -> Self {
        let server = Certificate::new();
        let mut surroundings = Surroundings::new();
        let setup = surroundings.setup.certificate(server.clone());
        surroundings.setup = setup.patch(asking);
        surroundings.setup.manager = forwarding();
        let mut configuration = base();
        if !binding.is_null() {
            configuration["servers"]["github"]["certificate_bound_tokens"] = binding.clone();
        }
        Self {
            bench: surroundings.start_as(arrangement, &configuration),
            server,
        }
    }

    /// Lets tokens be bound so.
    fn bind(&mut self, path: &str, cnf: Value) {
        let mut claims = default_claims(path.as_bytes());
        claims["cnf"] = cnf;
        self.bench.answer(&Vars::default(), &active(claims));
    }

    /// The status of a request over mutual TLS.
    fn with(&self, own: &Certificate, protocol: Protocol, request: &Request) -> u16 {
        self.over(Over::Mutual(&self.server, own), protocol, request)
    }

    fn over(&self, over: Over<'_>, protocol: Protocol, request: &Request) -> u16 {
        let response = self.bench.send_over(over, protocol, request);
        if response.status == 401 {
            let challenge = response.header("www-authenticate").expect("a challenge");
            assert!(memmem::find(challenge, b"error=\"invalid_token\"").is_some());
        }
        let arrived = self.bench.arrived().len();
        assert_eq!(arrived, usize::from(response.status == 200));
        response.status
    }
}

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn request(token: &str) -> Request {
    post("/github/mcp").header("Authorization", format!("Bearer {token}"))
}

/// `cnf` for this certificate.
fn of(certificate: &Certificate) -> Value {
    json!({"x5t#S256": certificate.thumbprint()})
}

/// RFC8705-3-a: the token is good with its certificate, and with no other and
/// none. The verdict is on each request: what one client may is kept for none.
#[test]
fn a_bound_token_is_good_with_its_certificate_only() {
    let mut mutual = Mutual::start(&json!(true));
    let (own, other) = (Certificate::new(), Certificate::new());
    mutual.bind("/github/mcp", of(&own));
    for protocol in BOTH {
        let request = request(&format!("kanarie-bound-{protocol:?}"));
        // Asked about by a client that may not use it, and then known.
        assert_eq!(mutual.with(&other, protocol, &request), 401);
        assert_eq!(mutual.with(&own, protocol, &request), 200);
        assert_eq!(mutual.with(&other, protocol, &request), 401);
        let unnamed = Over::Tls(&mutual.server);
        assert_eq!(mutual.over(unnamed, protocol, &request), 401);
        assert_eq!(mutual.over(Over::Tcp, protocol, &request), 401);
        assert_eq!(mutual.with(&own, protocol, &request), 200);
    }
    assert_eq!(mutual.bench.authorization_server.count(), 2);
    let refused = "wasmcustom.mcp_token_guard_requests.server.github.outcome.wrong_certificate";
    assert_eq!(mutual.bench.envoy.stat(refused), 8);
}

/// RFC8705-6.5-d: a header is no proof, though Envoy is told to keep it.
#[test]
fn a_forged_header_is_no_certificate() {
    let mut mutual = Mutual::start(&json!(true));
    let (own, other) = (Certificate::new(), Certificate::new());
    mutual.bind("/github/mcp", of(&own));
    let digest = "a".repeat(64);
    let pem = own.chain.replace('\n', "%0A").replace(' ', "%20");
    for forged in [
        format!("Hash={digest}"),
        format!("Hash={digest};Cert=\"{pem}\""),
    ] {
        let request = request("kanarie-forged").header("X-Forwarded-Client-Cert", forged);
        for protocol in BOTH {
            assert_eq!(mutual.with(&other, protocol, &request), 401);
            assert_eq!(
                mutual.over(Over::Tls(&mutual.server), protocol, &request),
                401
            );
            assert_eq!(mutual.over(Over::Tcp, protocol, &request), 401);
        }
    }
}

/// CNF-unknown: what stands beside the thumbprint, or in its place, is not
/// checked here, so that it is refused.
#[test]
fn anything_else_in_cnf_is_refused() {
    let mut mutual = Mutual::start(&json!(true));
    let own = Certificate::new();
    let thumbprint = own.thumbprint();
    for (number, cnf) in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"x5t#S256": format!("{thumbprint}=")}),
        json!({"x5t#S256": thumbprint.to_lowercase()}),
        json!({"x5t#s256": thumbprint}),
        json!({"x5t#S256": thumbprint, "jkt": "x"}),
        json!({"jkt": "x"}),
        json!({"kid": thumbprint}),
    ]
    .into_iter()
    .enumerate()
    {
        mutual.bind("/github/mcp", cnf.clone());
        let request = request(&format!("kanarie-cnf-{number}"));
        let protocol = BOTH[number % 2];
        assert_eq!(mutual.with(&own, protocol, &request), 401, "{cnf}");
    }
    // It is bound to nothing.
    mutual.bind("/github/mcp", Value::Null);
    let plain = request("kanarie-plain");
    assert_eq!(mutual.with(&own, Protocol::Http1, &plain), 200);
    assert_eq!(mutual.over(Over::Tcp, Protocol::Http1, &plain), 200);
}

/// A server that says nothing of it takes plain bearer tokens only.
#[test]
fn bound_tokens_are_refused_where_they_are_not_switched_on() {
    for binding in [json!(null), json!(false)] {
        let mut mutual = Mutual::start(&binding);
        let own = Certificate::new();
        mutual.bind("/github/mcp", of(&own));
        for protocol in BOTH {
            let request = request(&format!("kanarie-off-{protocol:?}"));
            assert_eq!(mutual.with(&own, protocol, &request), 401);
        }
    }
    // Neither do the others where one has it on.
    let mut mutual = Mutual::start(&json!(true));
    let own = Certificate::new();
    mutual.bind("/plain/mcp", of(&own));
    let request = post("/plain/mcp").header("Authorization", "Bearer kanarie-elsewhere");
    assert_eq!(mutual.with(&own, Protocol::Http2, &request), 401);
}

/// Where they are required, a token that anybody could use is not let in.
#[test]
fn bearer_tokens_are_refused_where_a_binding_is_required() {
    let mut mutual = Mutual::start(&json!("required"));
    let own = Certificate::new();
    mutual.bind("/github/mcp", of(&own));
    assert_eq!(
        mutual.with(&own, Protocol::Http1, &request("kanarie-bound")),
        200
    );
    mutual.bind("/github/mcp", Value::Null);
    assert_eq!(
        mutual.with(&own, Protocol::Http1, &request("kanarie-plain")),
        401
    );
    assert_eq!(
        mutual.with(&own, Protocol::Http2, &request("kanarie-plain")),
        401
    );
}

/// The verifier sees the connection; the injector takes its word as ever.
#[test]
fn it_is_the_same_with_roles() {
    let mut mutual = Mutual::start_as(Arrangement::Strict, &json!(true));
    let (own, other) = (Certificate::new(), Certificate::new());
    mutual.bind("/github/mcp", of(&own));
    for protocol in BOTH {
        let request = request(&format!("kanarie-roles-{protocol:?}"));
        assert_eq!(mutual.with(&own, protocol, &request), 200);
        assert_eq!(mutual.with(&other, protocol, &request), 401);
    }
}

/// RFC 9728 section 2.
#[test]
fn metadata_says_that_bound_tokens_are_taken() {
    for (binding, said) in [(json!(true), json!(true)), (json!(false), Value::Null)] {
        let mutual = Mutual::start(&binding);
        let path = "/.well-known/oauth-protected-resource/github/mcp";
        let response = mutual.bench.send(Protocol::Http1, &get(path));
        let document: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(document["tls_client_certificate_bound_access_tokens"], said);
    }
}
