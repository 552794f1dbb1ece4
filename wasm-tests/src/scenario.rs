//! The table: what the contract promises, as conversations on the wire.
//!
//! A [`Scenario`] says what a client sends, what the authorization server and
//! the upstream answer, and what everyone has then seen. It knows nothing of
//! the code under test, so the same list is run against the core, against the
//! module in an in-process host and against the module in Envoy. A runner turns
//! each [`Step`] into one [`Observed`] and hands it to [`Step::complaints`],
//! which does all the judging.
//!
//! Byte strings may hold placeholders, filled in by [`Vars`]: `{T}` is the
//! client's token, `{T%}` the same with every byte percent-encoded, `{T%/}`
//! that but for slashes, `{T+}` the same form-encoded, `{U}` and
//! `{U%}` another token, `{R}` a letter that differs from run to run, and `{session}` whatever an earlier step captured under
//! that name. The tokens contain the scenario's name, so scenarios can share
//! one VM and its cache.

mod base;
mod build;
mod check;
mod fill;
mod table;

use core::time::Duration;

pub use base::{
    CLIENT_ID, CLIENT_SECRET, Configuration, ENVIRONMENT, INTROSPECTION_CLUSTER, ROUTES, Route, To,
    base, default_claims, route_of,
};
pub use build::{active, delete, get, head, inactive, options, post, request, status};
pub use check::{Message, Observed, percent_decoded};
pub use fill::Vars;
pub use table::scenarios;

use serde_json::Value;

/// One rule, told as one or more requests in a row.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The rule, as a sentence in snake case. Unique.
    pub name: &'static str,
    /// Rows of the normative checklist and of the contract that it proves.
    pub proves: &'static [&'static str],
    /// The configuration that it runs under.
    pub configuration: Configuration,
    /// Which runners can run it.
    pub reach: Reach,
    /// The requests, in order. Each is over before the next one begins.
    pub steps: Vec<Step>,
}

/// Which runners can run a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Native core, in-process host and Envoy.
    Everywhere,
    /// Envoy only, over HTTP/1.1: Envoy's own reading of the bytes is part of
    /// the rule.
    Wire,
}

/// One request, what the others answer, and what is to be seen afterwards.
#[derive(Clone, Debug)]
pub struct Step {
    /// Time that passes before the request is sent.
    pub after: Duration,
    /// What the client sends.
    pub request: Request,
    /// What the authorization server answers to any call during this step.
    pub introspection: Answer,
    /// What the upstream answers.
    pub upstream: Reply,
    /// What is to be seen.
    pub expect: Expect,
}

/// What the client sends.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Vec<u8>,
    /// The request target; it decides the cluster, see [`route_of`].
    pub path: Vec<u8>,
    /// `Host` or `:authority`.
    pub authority: Vec<u8>,
    /// Fields in order, with duplicates, as they are to be on the wire. Without
    /// `host`, `content-length` and `transfer-encoding`.
    pub headers: Vec<Field>,
    /// The content; empty means a request that ends with its head.
    pub body: Vec<u8>,
    /// Trailers; with any the body is sent in chunks.
    pub trailers: Vec<Field>,
}

impl Request {
    /// The cluster that the route picks, if any.
    #[must_use]
    pub fn cluster(&self) -> Option<&'static str> {
        route_of(&self.path)
    }
}

/// One header or trailer field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in the case in which it is sent over HTTP/1.1.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What the authorization server does with an introspection call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers.
    Reply(Reply),
    /// Nobody listens at its address.
    Refused,
    /// Accepts, reads and closes without an answer.
    ResetBeforeHeaders,
    /// Closes in the middle of the body.
    ResetAfterHeaders,
    /// Reads and never answers.
    Hang,
    /// Sends the head at once, and then the body a byte at a time for longer
    /// than any timeout.
    Trickle,
}

/// A complete HTTP response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Fields in order.
    pub headers: Vec<Field>,
    /// The content.
    pub body: Body,
    /// Trailers.
    pub trailers: Vec<Field>,
}

/// The content of a response.
#[derive(Clone, Debug)]
pub enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// This JSON, in which a string `@now+300` or `@now-0.5` stands for the
    /// number that is that many seconds from the present.
    Json(Value),
}

/// What everyone has seen when a step is over.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The status that the client got.
    pub status: u16,
    /// Fields that the client got.
    pub headers: Vec<Check>,
    /// The content that the client got.
    pub body: Vec<BodyCheck>,
    /// What arrived at the upstreams.
    pub upstream: Upstream,
    /// How many introspection calls this step made.
    pub introspections: Count,
    /// What the introspection calls looked like, besides what holds for all.
    pub call: Vec<Check>,
    /// Response fields (or `:reply`) to keep for later steps: field name,
    /// placeholder name.
    pub capture: Vec<(&'static str, &'static str)>,
}

/// What arrived at the upstreams.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// Not a byte of a request.
    Nothing,
    /// One request, without any trace of the client's token.
    One(Arrived),
    /// One request, which the guard leaves alone; it may hold the token.
    Untouched(Arrived),
    /// The head may have been sent (a refusal in a trailer comes after it), but
    /// no trace of the token.
    NoToken,
}

/// What one request looked like at the upstream.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// The cluster that it arrived at.
    pub cluster: Option<&'static str>,
    /// Its request target.
    pub path: Option<Vec<u8>>,
    /// Its fields.
    pub headers: Vec<Check>,
    /// Its trailers.
    pub trailers: Vec<Check>,
    /// Its content.
    pub body: Option<Vec<u8>>,
}

/// A condition on the fields of a message. Names ignore case.
#[derive(Clone, Debug)]
pub enum Check {
    /// There is exactly one such field, with exactly this value.
    Is(&'static str, Vec<u8>),
    /// There is no such field.
    Absent(&'static str),
    /// There is exactly one such field, and its value contains this.
    Contains(&'static str, Vec<u8>),
    /// One of the members of such fields, which are lists, is this in any case.
    Lists(&'static str, &'static str),
    /// No such field contains this.
    Lacks(&'static str, Vec<u8>),
    /// What is no field is this: `:method`, `:path` and `:body` of a call, or
    /// `:reply`, which is the whole reply but for its date.
    Pseudo(&'static str, Vec<u8>),
}

/// A condition on the content of the reply.
#[derive(Clone, Debug)]
pub enum BodyCheck {
    /// It is empty.
    Empty,
    /// It is JSON whose `error` is this.
    Error(&'static str),
    /// It is JSON equal to this.
    Json(Value),
    /// It is JSON with this member.
    Member(&'static str, Value),
    /// It is JSON without this member.
    NoMember(&'static str),
    /// It is exactly these bytes.
    Is(Vec<u8>),
    /// It contains these bytes nowhere.
    Lacks(Vec<u8>),
}

/// How many.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// Up to so many (a call that fails may be repeated once).
    AtMost(usize),
}
