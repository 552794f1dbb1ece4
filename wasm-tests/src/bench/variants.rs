//! What is compared, and the Envoys for it.

use std::path::Path;

use load::{Load, Request, Server, Until};
use serde_json::{Value, json};

use super::filters;
use super::jwt;
use super::peers::{Peers, STREAM, token};
use crate::client::Protocol;
use crate::envoy::pieces::{cluster, route, stopping_iteration, upstream_filters};
use crate::envoy::{Envoy, Setup};

/// Connections of the client, as in the measurements that the project began
/// with.
pub(super) const CONNECTIONS: usize = 16;

/// One thing that is measured.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// Its name for other parts of the benchmark.
    pub(super) key: &'static str,
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Which of the Envoys it goes through.
    envoy: usize,
    /// What is sent.
    pub(super) load: Load,
}

/// All of them, with their Envoys.
#[derive(Debug, Default)]
pub(super) struct Lineup {
    /// Names of those that are wanted; of all where it is empty.
    only: Vec<String>,
    /// The Envoy of the next variants, until one of them is wanted.
    next: Option<Setup>,
    envoys: Vec<Envoy>,
    /// The variants, the one without a filter first.
    pub(super) variants: Vec<Variant>,
}

/// An Envoy before an upstream that is cluster `mcp-server`.
pub(super) fn setup(upstream: &Server, introspection: &Server) -> Setup {
    let near = |name, server: &Server| cluster(name, server.address(), Protocol::Http1);
    let mut setup = Setup::new()
        .log_level("error")
        .route(route("/", "mcp-server"))
        .cluster(near("mcp-server", upstream))
        .cluster(near("authorization-server", introspection));
    setup.environment = filters::environment();
    setup
}

/// A POST of a small message with a token.
pub(super) fn request(token: &str) -> Request {
    post("/mcp", token, br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#)
}

fn post(path: &str, token: &str, content: &[u8]) -> Request {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:18000\r\nuser-agent: bench\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2025-11-25\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n",
        content.len()
    );
    Request {
        bytes: [head.as_bytes(), content].concat(),
        numbers: None,
    }
}

impl Lineup {
    /// Starts the Envoys of all variants, or of these and the one without a
    /// filter.
    pub(super) fn start(peers: &Peers, only: &[String]) -> Result<Self, String> {
        let mut lineup = Self {
            only: only.to_vec(),
            ..Self::default()
        };
        let [near, far] = &peers.introspection;
        let open = || setup(&peers.open, near);
        let strict = || setup(&peers.strict, near);
        let opaque = request(&token(true, 43));
        let long = request(&token(true, 900));
        let stream = post(STREAM, &token(true, 43), b"{}");

        lineup.envoy(open());
        lineup.add("none", "no filter", &opaque, 200)?;
        lineup.add("none_900", "no filter, 900-byte token", &long, 200)?;
        lineup.add("none_stream", "no filter, event stream", &stream, 200)?;

        lineup.envoy(strict().filter(filters::header_mutation()));
        lineup.add(
            "header_mutation",
            "header_mutation: sets a field, checks nothing",
            &opaque,
            200,
        )?;

        let check = |server: &Server, protocol| cluster("http-check", server.address(), protocol);
        lineup.envoy(
            strict()
                .filter(filters::ext_authz_http())
                .cluster(check(&peers.http_check[0], Protocol::Http1)),
        );
        lineup.add("ext_authz_http", "ext_authz by HTTP, injects", &opaque, 200)?;
        lineup.envoy(
            strict()
                .filter(filters::ext_authz_http())
                .cluster(check(&peers.http_check[1], Protocol::Http1)),
        );
        lineup.add(
            "ext_authz_far",
            "ext_authz by HTTP, server 5 ms away",
            &opaque,
            200,
        )?;
        let grpc = cluster("grpc-check", peers.grpc_check.address(), Protocol::Http2);
        lineup.envoy(strict().filter(filters::ext_authz_grpc()).cluster(grpc));
        lineup.add("ext_authz_grpc", "ext_authz by gRPC, injects", &opaque, 200)?;

        lineup.envoy(strict().filter(filters::lua(true)));
        lineup.add(
            "lua_cached",
            "Lua: introspection, a table as cache",
            &opaque,
            200,
        )?;
        lineup.envoy(strict().filter(filters::lua(false)));
        lineup.add("lua_each", "Lua: introspection each time", &opaque, 200)?;

        for (key, name, cached) in [
            (
                "jwt_cached",
                "jwt_authn with its cache, credential_injector",
                true,
            ),
            (
                "jwt_each",
                "jwt_authn without a cache, credential_injector",
                false,
            ),
        ] {
            let setup = strict()
                .filter(filters::jwt_authn(cached))
                .filter(filters::credential_injector())
                .patch(filters::with_secret);
            lineup.envoy(setup);
            lineup.add(key, name, &request(jwt::TOKEN), 200)?;
        }

        lineup.envoy(strict().filter(filters::floor()?));
        lineup.add(
            "floor",
            "Wasm that makes the guard's calls into Envoy, decides nothing",
            &opaque,
            200,
        )?;

        let sample = filters::sample();
        let with = |change: &dyn Fn(&mut Value)| {
            let mut configuration = sample.clone();
            change(&mut configuration);
            filters::guard(&configuration)
        };
        let as_is = filters::guard(&sample);
        lineup.envoy(strict().filter(as_is.clone()));
        lineup.add("guard", "guard, cached", &opaque, 200)?;
        lineup.add("guard_900", "guard, cached, 900-byte token", &long, 200)?;
        lineup.add("guard_stream", "guard, cached, event stream", &stream, 200)?;
        let refused = post("/mcp", &token(false, 43), b"");
        lineup.add(
            "guard_refused",
            "guard, refused from the negative cache",
            &refused,
            401,
        )?;
        lineup.envoy(setup(&peers.strict, far).filter(as_is));
        lineup.add("guard_far", "guard, cached, server 5 ms away", &opaque, 200)?;

        // Without a cache, and with a token of its own for each request: those
        // that come together would wait for one answer.
        let mut distinct = opaque.clone();
        let digits = memchr::memmem::find(&distinct.bytes, b"00000000").ok_or("no digits")?;
        distinct.numbers = Some((digits, 100_000_000));
        let cold = with(&|c| c["cache"] = json!({"ttl": "0s", "negative_ttl": "0s"}));
        lineup.envoy(strict().filter(cold));
        lineup.add(
            "guard_cold",
            "guard, introspection each time",
            &distinct,
            200,
        )?;

        let signed = with(&|c| {
            c["cache"] = json!({"ttl": "0s", "negative_ttl": "0s"});
            c["session_key"] = "a-key-for-the-sessions".into();
            let introspection = &mut c["authorization_server"]["introspection"];
            introspection["auth_method"] = "private_key_jwt".into();
            introspection["private_key"] = "${env:ASSERTION_KEY}".into();
            if let Some(members) = introspection.as_object_mut() {
                members.remove("client_secret");
            }
        });
        lineup.envoy(strict().filter(signed));
        lineup.add(
            "guard_signed",
            "guard, introspection each time, signs an assertion (ES256)",
            &distinct,
            200,
        )?;
        lineup.more(peers, &opaque)?;

        let injector = with(&|c| c["role"] = "injector".into());
        let mut roles = strict().filter(with(&|c| c["role"] = "verifier".into()));
        upstream_filters(&mut roles.clusters[0], &[injector]);
        lineup.envoy(roles);
        lineup.add(
            "guard_roles",
            "guard, cached, verifier and injector",
            &opaque,
            200,
        )?;
        Ok(lineup)
    }

    /// The guard with what the sample leaves off, one thing at a time.
    fn more(&mut self, peers: &Peers, opaque: &Request) -> Result<(), String> {
        let strict = || setup(&peers.strict, &peers.introspection[0]);
        let mut rules = filters::sample();
        rules["servers"]["demo"]["rules"] =
            json!([{"methods": ["tools/call"], "required_scopes": []}]);
        let rules = stopping_iteration(filters::guard(&rules));
        self.envoy(strict().filter(rules));
        self.add(
            "guard_rules",
            "guard, cached, rules: reads the body",
            opaque,
            200,
        )?;

        let mut fetched = filters::sample();
        let server = &mut fetched["servers"]["demo"];
        server["default_headers"] = json!({});
        server["credential"] = json!({
            "grant": "client_credentials",
            "url": "http://127.0.0.1/token",
            "cluster": "tokens",
            "auth_method": "none",
        });
        let tokens = cluster("tokens", peers.tokens.address(), Protocol::Http1);
        let fetched = strict().filter(filters::guard(&fetched)).cluster(tokens);
        self.envoy(fetched);
        self.add(
            "guard_fetched",
            "guard, cached, with a credential that is fetched",
            opaque,
            200,
        )?;

        let mut bound = filters::sample();
        bound["servers"]["demo"]["certificate_bound_tokens"] = true.into();
        self.envoy(strict().filter(filters::guard(&bound)));
        self.add(
            "guard_bound",
            "guard, cached, asks for the client's certificate",
            opaque,
            200,
        )?;

        let mut several = filters::sample();
        let one = several["authorization_server"].take();
        let mut other = one.clone();
        other["issuer"] = "https://other.example".into();
        if let Some(members) = several.as_object_mut() {
            members.remove("authorization_server");
        }
        several["authorization_servers"] = json!({"one": one, "other": other});
        several["session_key"] = "a-key-for-the-sessions-of-both".into();
        several["servers"]["demo"]["authorization_servers"] = json!(["one", "other"]);
        self.envoy(strict().filter(filters::guard(&several)));
        self.add(
            "guard_several",
            "guard, cached, two authorization servers",
            opaque,
            200,
        )
    }

    /// No filter, the guard as it is, and another module of it.
    pub(super) fn pair(peers: &Peers, other: &Path) -> Result<Self, String> {
        let mut lineup = Self::default();
        let near = &peers.introspection[0];
        let opaque = request(&token(true, 43));
        let long = request(&token(true, 900));
        lineup.envoy(setup(&peers.open, near));
        lineup.add("none", "no filter", &opaque, 200)?;
        lineup.add("none_900", "no filter, 900-byte token", &long, 200)?;
        let sample = filters::sample();
        for (filter, names) in [
            (
                filters::guard(&sample),
                ["guard, cached", "guard, cached, 900-byte token"],
            ),
            (
                filters::guard_of(other, &sample),
                ["the other, cached", "the other, cached, 900-byte token"],
            ),
        ] {
            lineup.envoy(setup(&peers.strict, near).filter(filter));
            lineup.add("guard", names[0], &opaque, 200)?;
            lineup.add("guard_900", names[1], &long, 200)?;
        }
        Ok(lineup)
    }

    /// The Envoy of the variants that are added next.
    fn envoy(&mut self, setup: Setup) {
        self.next = Some(setup);
    }

    /// A variant for the Envoy that was named last, if it is wanted.
    fn add(
        &mut self,
        key: &'static str,
        name: &'static str,
        request: &Request,
        status: u16,
    ) -> Result<(), String> {
        if key != "none" && !self.only.is_empty() && !self.only.iter().any(|one| one == key) {
            return Ok(());
        }
        if let Some(setup) = self.next.take() {
            let envoy = setup.try_start().map_err(|not| not.to_string())?;
            self.envoys.push(envoy);
        }
        let envoy = self.envoys.len() - 1;
        let load = Load {
            to: self.envoys[envoy].address(),
            connections: CONNECTIONS,
            until: Until::Requests(1),
            request: request.clone(),
            status,
        };
        self.variants.push(Variant {
            key,
            name,
            envoy,
            load,
        });
        Ok(())
    }

    /// The process of a variant's Envoy.
    pub(super) fn process(&self, variant: &Variant) -> u32 {
        self.envoys[variant.envoy].id()
    }

    /// The version of Envoy.
    pub(super) fn envoy_version(&self) -> String {
        let info = self.envoys[0].admin("/server_info").unwrap_or_default();
        let info: Value = serde_json::from_str(&info).unwrap_or_default();
        let version = info["version"].as_str().unwrap_or_default();
        version.split('/').nth(1).unwrap_or("unknown").to_owned()
    }
}
