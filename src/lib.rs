//! A Proxy-Wasm HTTP filter that stands between MCP clients and MCP servers.
//!
//! A client comes with an OAuth token that was issued to it for this gateway.
//! Handing that token on to an upstream would let the upstream act as the
//! client everywhere (the MCP specification calls it *token passthrough* and
//! forbids it). So the guard asks the authorization server about the token
//! (RFC 7662), takes every trace of it out of the request, and sets the static
//! credential that the configuration has for the Envoy cluster that the
//! request goes to. Two boundaries of authentication, and nothing crosses.
//!
//! # The life of a request
//!
//! ```text
//!  Envoy                 edge (wasm only)        core (bytes, configuration and time in; a step out)
//!  request head ───────▶ worker::Worker::request     with the client's certificate, where one is asked for
//!                        host::fields, cluster ─▶ Guard::request
//!                                                  Head::read            one pass over the fields
//!                                                  Documents::answer     metadata: exact URLs, no token
//!                                                  Servers::find         whose cluster is it?
//!                                                  Origin::of            which page sent it?
//!                                                  BearerToken::read     exactly one token68, or why not
//!                                                  Call::begin           at a server with rules: the body will say
//!                                                  AuthorizationServers::choose   whom to ask, by an unverified hint
//!                                                  Digester::of          from here on a digest stands for it
//!                                                  Cache::find ── active ──▶ Requirement::judge ─▶ Verified
//!                                                     │     └─── inactive ▶ Denial            │
//!                                                     ▼ unknown                               ▼
//!                                                  Flights::join | begin        Plan::forward(Verified) ─▶ Forward
//!            held back ◀─ Step::Wait | Step::Ask(Callout)                             │        └─────────▶ Denial
//!  call ◀─────────────── host::dispatch                                               │
//!  answer ─────────────▶ Worker::answered ──────▶ Guard::answered                     │
//!                                                  Introspection::read   strict JSON  │
//!                                                  Authenticator         our secret was refused: ask once more
//!                                                  Cache::keep_*         claims, never verdicts
//!                        Worker::settle ≤ 64 ◀──── Guard::settle         judge, as above, one by one
//!  request goes on ◀──── apply(Forward) ◀─────────────────────────────────────────────┘
//!  or is answered  ◀──── reply(LocalReply) ◀────── Denial::reply
//!  body, with rules ───▶ Worker::body ──────────▶ Guard::read             Call::feed: which rules apply; with the
//!                                                                        token's verdict, in either order, as above
//!                                                  Guard::renew          what has waited for body or credential: by
//!                                                                        what is known now, or asked about again
//!  trailers ───────────▶ Worker::trailers ──────▶ Guard::trailers        strip, search
//!  answer's head ──────▶ Worker::answer ────────▶ Guard::answer          response::edits | Denial
//!  tick ───────────────▶ Worker::tick ──────────▶ Guard::tick            ask again, close what has expired
//!  end of the stream ──▶ Drop for Filter ───────▶ Guard::gone
//! ```
//!
//! Nothing of a request goes on while it is undecided: the callbacks for head,
//! body and trailers all pause, whatever Envoy's
//! `allow_on_headers_stop_iteration` says. One exception is the head of a request
//! to a server with rules where that option is not set (`guard::heads`): Envoy
//! then gives out no body before it, so it goes on when the token has been found
//! good, and the body is held back alone.
//!
//! Where a server's credential is fetched, one more wait comes between verdict
//! and permission, for those requests only:
//!
//! ```text
//!  Requirement::judge ─▶ Verified ─▶ Guard::lacks_credential ── held ──▶ Plan::forward ─▶ Forward
//!                                      │ not held                          (with Held, and searched)
//!  held back ◀────────── Step::Wait ◀──┴▶ Fetches::begin | join
//!  tick ────────────────▶ Guard::fetch_due ─▶ Task::Ask(Callout), always of the root context
//!  answer ──────────────▶ Guard::fetched ───▶ Issued::read ─▶ Held | Unfetched, which is 503
//!                         Guard::settle_fetched ─▶ Requirement::judge, from the beginning
//! ```
//!
//! # The core and the edge
//!
//! [`Guard`] is one worker's state under one generation of the configuration.
//! It does nothing by itself: it has no host, no clock and no log. The edge
//! (`filter`, `worker`, `host`, `metrics`) is the only code that knows `proxy-wasm`; on a
//! native build that crate is not there, so the core cannot name it. The guard
//! is not borrowed while the host is called, because the host may call back.
//!
//! A new configuration gets a new root context, and that a new [`Guard`] with
//! an empty cache: an answer that was judged by old rules, or asked of another
//! server, cannot be seen by the new one.
//!
//! # Who we are to the authorization server
//!
//! `ClientAuth` is the method and what proves it, for any OAuth endpoint; an
//! `Authenticator` makes the `Proof` of one call of it: a header, or a part of
//! the form, with an assertion signed for this call alone. While two secrets
//! are configured, a flight whose call is refused for our own secret goes on
//! with the other, once; which of them goes first is all that is remembered.
//!
//! # The types that carry the guarantee
//!
//! | type | what it proves |
//! | --- | --- |
//! | `BearerToken` | exactly one `Authorization` with exactly one token68 of at most 8 KiB |
//! | `TokenDigest` | what is stored in place of a token: SHA-256 over endpoint, client and token; and who is asked about it |
//! | `Confirmation` | what the token is bound to: nothing, a certificate, or something that nobody here can check |
//! | `Claims` | an active answer, with the types that RFC 7662 gives its members |
//! | `Verified` | a positive verdict, for this server, at this moment; made by `Requirement::judge` and, at an injector, by the verifier's mark |
//! | `Held` | a credential that a token endpoint has issued: a Bearer token, not the client's own |
//! | `Plan` | what is done to this request before it may leave, worked out from one reading of its head |
//! | [`Forward`] | the permission to leave; made from a `Verified` and a `Plan` only, and every one strips |
//! | `Call` | what a body calls, read in the only way that it can be; `calls::permit` lets none go on without it where there are rules |
//! | `Denial` | why not; its matches have no wildcard, so each has a status, a word and a text |
//! | [`Secret`] | bytes that no `Debug`, log line or error can show |
//!
//! For a listed cluster [`Step::Forward`] is the only step that lets a request
//! go. [`Step::Ignore`] is for clusters that no server names, and only with
//! `"unlisted_clusters": "ignore"`; if the answer shows that such a request
//! went to a listed cluster after all, the answer is replaced.
//!
//! # What is bounded
//!
//! A token (8 KiB), an answer (`limits.answer`), authorization servers (16, which
//! share the next two equally), calls in flight
//! (`limits.in_flight`, of both kinds; one whose client has gone counts until it must have
//! timed out), waiting requests (`limits.waiting`), kept answers
//! (`cache.max_entries` of each kind, `limits.cache_bytes`, and as much again for
//! exchanged credentials), failures that are held off, requests that are
//! settled in one callback (64: each is run inside the one before, and some
//! three hundred refusals overflow the VM's stack), live streams (262,144). Of a
//! body that is read (`limits.body`) the host keeps the bytes; here are a few
//! names of at most 4 KiB, 128 hashes for each of three objects, and 127 levels
//! of nesting. As many requests as may wait for an answer may wait for their
//! bodies.
//!
//! # Who is trusted with what
//!
//! Five parties meet at the guard. For each: what it is not trusted with and
//! how that is kept, and what it is trusted with, where nothing here helps.
//!
//! **The client** may send any bytes, in any number of requests, and leave at
//! any moment. Kept: it gets nowhere without an active answer about its very
//! token, for this server, at this moment ([`Step::Forward`] has no other
//! source); it does not choose the credential (that follows the cluster, and
//! where several servers share one, a path that can be read in one way only);
//! it cannot make the guard its messenger by having its token forwarded, or
//! come back with a credential of the upstream's; it cannot take another's
//! session; it makes nothing grow past its bound, splits no header, and writes
//! no line of a log or name of a metric; it cannot tell from an answer why a
//! token is bad; it cannot use a token that is bound to a certificate which it
//! has not shown on this very connection. Left: what is in a body, its own token
//! in its hands until it is revoked and `cache.ttl` is over, and load below the
//! bounds, for which Envoy has rate limits.
//!
//! **The authorization server** is believed about tokens: who says `active`
//! there lets in. Kept: it is asked only over the cluster that is configured;
//! an answer that is slow, large, malformed or says two things lets nobody in
//! and is not kept; its words reach the client in no form but `Retry-After`,
//! and its claims reach the upstream only where `identity_headers` asks for
//! them, cleaned; it learns no more of a request than token and trace; where
//! several count, none is shown a token that names another, and each speaks for
//! its own tokens only. Left: a wrong `active: true`; where
//! `audience_checked_by_authorization_server` is set, a missing audience; and
//! that the cluster's TLS is told whom to expect.
//!
//! **A token endpoint** is believed about the credential that it issues. Kept: it
//! gets a client's token only where `token_exchange` is configured, over that
//! cluster, and nothing else of a request; what it gives is set on requests to
//! its server only, and not if it has the client's token in it; if it gives
//! nothing, nothing is set in its place; it is called once however many wait, and
//! not more often than once a second for what fails. Left: a credential that is
//! good for more than the server needs, and what it does with the tokens that it
//! exchanges.
//!
//! **The upstream** is trusted with its own credential and with the bodies of
//! its clients. Kept: it never sees a client's token, nor another server's
//! credential (in the role `gateway` as far as Envoy's routes are as the README
//! asks); its challenge, and a header that repeats its credential, reach no
//! client; a session id of its making is good for the caller it was made for.
//! Left: what it does with the request, what it writes into a body (its own
//! credential included), and whom its session ids let in if it is reached past
//! the guard.
//!
//! **The operator** writes the configuration, and with it decides everything
//! above. Kept: a mistake that can be seen is refused as a whole, before it
//! serves; a secret in the environment shows up in no dump, log or error; there
//! is no option that forwards a token of a listed cluster. Left: routes on
//! which the filter is disabled, `FAIL_OPEN`, mirrors and internal redirects in
//! the role `gateway`, access logs that print request headers, clusters without
//! TLS off the machine, `"unlisted_clusters": "ignore"`.
//!
//! **Other plugins in the proxy** run in the same process. Kept: answers and
//! sessions are in the VM's own memory, none in shared data, which any plugin
//! with the same `vm_id` could read and write; the mark between verifier and
//! injector names its server, and a client cannot set filter state. Left: a
//! filter behind the guard sees the credential, one before it sees the token,
//! and one of the operator's that sets `wasm.mcp_token_guard_server` can forge
//! the mark: filters are trusted as much as the operator who placed them. A
//! plugin that shares the VM shares its memory's fate, so the guard has a
//! `vm_id` of its own in every sample that can say so.
//!
//! # Bugs that other token proxies had, and what rules each out here
//!
//! | what happened elsewhere | here |
//! | --- | --- |
//! | an exempt path matched by prefix let calls through without a token | `Documents::answer` compares whole paths, and answers itself |
//! | `active: "false"`, an `exp` in the past, a foreign `aud` were accepted | `Introspection::read` takes booleans only; `Requirement::judge` looks at every claim on every hit |
//! | an outage was answered 401, and clients threw good tokens away | `Undetermined` is its own type, and its row is 503 |
//! | 50 first requests made 50 introspections | `Flights`: one call per token and worker |
//! | a leader that left took its followers with it | `Flights::leave` has the root context ask again |
//! | a session id worked for another user, and on another server | `Sessions`: a MAC over server, issuer, subject and client |
//! | a header list in the configuration restored the client's token | there is no such option, and [`Forward`] is searched for the token before it leaves |
//! | a token endpoint was down, and the client's token or a shared key went instead | there is one credential for a server; without it `Denial::Unfetched` is 503 |
//! | an exchange gave the client's token back, and it was sent | `Issued::read` refuses what has it, and [`Forward`] is searched |
//! | the credential was added beside the token | fields are set, never added; the function that adds is banned by lint |
//! | aliases of `Authorization` went on | `NameSet` folds case and `_`; the rest of the head is searched for the token |
//! | a forged token collided with a 32-bit cache key | the key is a whole SHA-256 |
//! | the cache kept tokens, without a bound | digests, bounded by entries and bytes |
//! | two authorization servers shared a cache | endpoint, client and authorization server are in the digest, and each configuration has its own cache |
//! | metadata and challenges were built from `Host` | both are written when the configuration is read |
//! | the upstream's own challenge sent clients to the wrong authorization server | `response::edits` drops it; 401 and 407 become 502 |
//! | mirrors and re-routed requests got another cluster's credential | roles `verifier` and `injector`; in the role `gateway` the cluster that was used is compared |
//! | a byte that is not UTF-8 killed the VM | fields are bytes; the getters that decode are banned by lint |
//! | a script error let the request through | every error of the host ends in `Worker::fail`: 500, nothing sent |
//! | rules were applied to a header, and the body called another tool | `Call` reads the body, and headers have to agree with it |
//! | a batch, a member twice or `Method` for `method` hid the call that was made | every message of a batch counts; `call::reader` takes no text that can be read in two ways |
//! | a token was logged | tokens are in [`Secret`] or borrowed; a claim that repeats the token is dropped |

mod access;
mod audit;
mod bearer;
mod cache;
mod call;
mod callout;
mod certificate;
mod client_auth;
mod config;
mod credential;
mod denial;
mod digest;
mod fields;
mod flight;
mod guard;
mod hash;
mod head;
mod introspection;
mod issuers;
mod json;
mod leak;
mod metadata;
mod origin;
mod passage;
mod reply;
mod response;
mod rules;
mod secret;
mod servers;
mod session;
mod stream;
mod tally;
mod time;

#[cfg(target_family = "wasm")]
mod filter;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod metrics;
#[cfg(target_family = "wasm")]
mod worker;

pub use callout::Callout;
pub use config::{Config, ConfigErrors, Problem};
pub use fields::Field;
pub use flight::CallId;
pub use guard::{Answer, Arrival, Ask, Audit, BodyStep, Guard, Step, Task, TrailersStep, Wake};
pub use introspection::Reply;
pub use passage::Forward;
pub use reply::LocalReply;
pub use response::Edit;
pub use secret::Secret;
pub use servers::ServerId;
pub use stream::StreamId;
pub use tally::{Count, Tally};
pub use time::Now;

#[cfg(target_family = "wasm")]
mod entry {
    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(crate::filter::Root::default()));
    }}
}
