//! Short ways to write scenarios down.

use core::time::Duration;

use serde_json::{Value, json};

use super::base::{BASE, default_claims, injected};
use super::{
    Answer, Arrived, Body, BodyCheck, Check, Configuration, Count, Expect, Field, Reach, Reply,
    Request, Scenario, Step, Upstream,
};

/// A scenario under the base configuration, without steps yet.
pub(super) fn rule(name: &'static str, proves: &'static [&'static str]) -> Scenario {
    Scenario {
        name,
        proves,
        configuration: BASE,
        reach: Reach::Everywhere,
        steps: Vec::new(),
    }
}

impl Scenario {
    /// Runs under another configuration.
    pub(super) fn under(mut self, configuration: Configuration) -> Self {
        self.configuration = configuration;
        self
    }

    /// Is run by Envoy over HTTP/1.1 only.
    pub(super) fn on_the_wire(mut self) -> Self {
        self.reach = Reach::Wire;
        self
    }

    /// With another step.
    pub(super) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// With several more steps.
    pub(super) fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }
}

/// A request without fields or content.
#[must_use]
pub fn request(method: &str, path: &str) -> Request {
    Request {
        method: method.into(),
        path: path.into(),
        authority: b"gateway.example.com".to_vec(),
        headers: Vec::new(),
        body: Vec::new(),
        trailers: Vec::new(),
    }
}

/// A POST of one JSON-RPC message, as an MCP client sends it.
#[must_use]
pub fn post(path: &str) -> Request {
    request("POST", path)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
}

/// A GET that asks for an event stream.
#[must_use]
pub fn get(path: &str) -> Request {
    request("GET", path).header("accept", "text/event-stream")
}

/// A HEAD.
#[must_use]
pub fn head(path: &str) -> Request {
    request("HEAD", path)
}

/// A DELETE, which ends a session.
#[must_use]
pub fn delete(path: &str) -> Request {
    request("DELETE", path)
}

/// An OPTIONS without the fields of a preflight.
#[must_use]
pub fn options(path: &str) -> Request {
    request("OPTIONS", path)
}

impl Request {
    /// With one more field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(field(name, value));
        self
    }

    /// With the client's token, `{T}`.
    #[must_use]
    pub fn token(self) -> Self {
        self.header("Authorization", "Bearer {T}")
    }

    /// With one more trailer.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.trailers.push(field(name, value));
        self
    }

    /// With this content.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// To this authority.
    #[must_use]
    pub fn to(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    /// As a step, which passes nothing in: 401 without a call, until said
    /// otherwise. The authorization server stands by with an answer that lets
    /// the request in, so that a call that should not be made shows.
    pub(super) fn step(self) -> Step {
        let introspection = active(default_claims(&self.path));
        Step {
            after: Duration::ZERO,
            request: self,
            introspection,
            upstream: status(200).json(json!({"jsonrpc": "2.0", "id": 1, "result": {}})),
            expect: Expect {
                status: 0,
                headers: Vec::new(),
                body: Vec::new(),
                upstream: Upstream::Nothing,
                introspections: Count::Exactly(0),
                call: Vec::new(),
                capture: Vec::new(),
            },
        }
    }

    /// A step in which the request reaches its upstream with the server's
    /// credential and the client gets the answer, after one call.
    pub(super) fn passes(self) -> Step {
        let cluster = self.cluster();
        let headers = injected(cluster, &self.path);
        let mut step = self.step().status(200).calls(1);
        step.expect.upstream = Upstream::One(Arrived {
            cluster,
            headers,
            ..Arrived::default()
        });
        step
    }

    /// A step in which the request is refused with this status and `error`
    /// (`*` for any), with no call.
    pub(super) fn refused(self, status: u16, error: &'static str) -> Step {
        let mut step = self.step().status(status);
        step.expect.body.push(BodyCheck::Error(error));
        step
    }

    /// A step in which the request is refused as carrying no token.
    pub(super) fn unauthorized(self) -> Step {
        self.refused(401, "*").lacks("www-authenticate", "error")
    }
}

impl Step {
    /// Sent so much later than the step before.
    pub(super) fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// The authorization server answers this.
    pub(super) fn answered(mut self, answer: impl Into<Answer>) -> Self {
        self.introspection = answer.into();
        self
    }

    /// The authorization server answers with the claims that are good here,
    /// changed.
    pub(super) fn claims(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut claims = default_claims(&self.request.path);
        change(&mut claims);
        self.introspection = active(claims);
        self
    }

    /// The authorization server answers with the claims that are good here, but
    /// for one that it leaves out.
    pub(super) fn no_claim(self, name: &str) -> Self {
        self.claims(|claims| {
            claims.as_object_mut().expect("claims").remove(name);
        })
    }

    /// The upstream answers this.
    pub(super) fn upstream(mut self, reply: Reply) -> Self {
        self.upstream = reply;
        self
    }

    /// The client gets this status.
    pub(super) fn status(mut self, status: u16) -> Self {
        self.expect.status = status;
        self
    }

    /// There are so many introspection calls.
    pub(super) fn calls(mut self, calls: usize) -> Self {
        self.expect.introspections = Count::Exactly(calls);
        self
    }

    /// There are up to so many introspection calls.
    pub(super) fn calls_at_most(mut self, calls: usize) -> Self {
        self.expect.introspections = Count::AtMost(calls);
        self
    }

    /// The client gets exactly one such field, with this value.
    pub(super) fn gets(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.expect.headers.push(is(name, value));
        self
    }

    /// The client gets one such field, which contains this.
    pub(super) fn gets_in(mut self, name: &'static str, part: impl AsRef<[u8]>) -> Self {
        self.expect
            .headers
            .push(Check::Contains(name, part.as_ref().to_vec()));
        self
    }

    /// The client gets a list that has this member, in any case.
    pub(super) fn gets_listed(mut self, name: &'static str, member: &'static str) -> Self {
        self.expect.headers.push(Check::Lists(name, member));
        self
    }

    /// The client gets no such field.
    pub(super) fn gets_no(mut self, name: &'static str) -> Self {
        self.expect.headers.push(Check::Absent(name));
        self
    }

    /// The client gets no such field that contains this.
    pub(super) fn lacks(mut self, name: &'static str, part: impl AsRef<[u8]>) -> Self {
        self.expect
            .headers
            .push(Check::Lacks(name, part.as_ref().to_vec()));
        self
    }

    /// The content that the client gets.
    pub(super) fn content(mut self, check: BodyCheck) -> Self {
        self.expect.body.push(check);
        self
    }

    /// The upstream gets exactly one such field, with this value. Takes the
    /// place of what `passes` expects of the same field.
    pub(super) fn sees(self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        let check = is(name, value);
        self.arrived(|arrived| {
            let names_it =
                |c: &Check| matches!(c, Check::Absent(n) | Check::Is(n, _) if *n == name);
            arrived.headers.retain(|c| !names_it(c));
            arrived.headers.push(check);
        })
    }

    /// The upstream gets no such field.
    pub(super) fn sees_no(self, name: &'static str) -> Self {
        self.arrived(|arrived| arrived.headers.push(Check::Absent(name)))
    }

    /// The upstream gets this request target.
    pub(super) fn sees_path(self, path: &str) -> Self {
        self.arrived(|arrived| arrived.path = Some(path.into()))
    }

    /// Changes what is expected at the upstream.
    pub(super) fn arrived(mut self, change: impl FnOnce(&mut Arrived)) -> Self {
        match &mut self.expect.upstream {
            Upstream::One(arrived) | Upstream::Untouched(arrived) => change(arrived),
            Upstream::Nothing | Upstream::NoToken => {
                let mut arrived = Arrived {
                    cluster: self.request.cluster(),
                    ..Arrived::default()
                };
                change(&mut arrived);
                self.expect.upstream = Upstream::One(arrived);
            }
        }
        self
    }

    /// The guard leaves the request alone.
    pub(super) fn untouched(mut self) -> Self {
        let cluster = self.request.cluster();
        self.expect.upstream = Upstream::Untouched(Arrived {
            cluster,
            ..Arrived::default()
        });
        self.status(200)
    }

    /// The introspection call looks like this.
    pub(super) fn call(mut self, check: Check) -> Self {
        self.expect.call.push(check);
        self
    }

    /// Keeps a field of the reply for later steps.
    pub(super) fn capture(mut self, field: &'static str, placeholder: &'static str) -> Self {
        self.expect.capture.push((field, placeholder));
        self
    }
}

/// A field.
pub(super) fn field(name: &str, value: impl AsRef<[u8]>) -> Field {
    Field {
        name: name.into(),
        value: value.as_ref().to_vec(),
    }
}

/// Exactly one such field.
pub(super) fn is(name: &'static str, value: impl AsRef<[u8]>) -> Check {
    Check::Is(name, value.as_ref().to_vec())
}

/// A response without fields or content.
#[must_use]
pub fn status(status: u16) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: Body::Bytes(Vec::new()),
        trailers: Vec::new(),
    }
}

impl Reply {
    /// With one more field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(field(name, value));
        self
    }

    /// With this content, and its type.
    #[must_use]
    pub fn json(self, value: Value) -> Self {
        let mut reply = self.header("content-type", "application/json");
        reply.body = Body::Json(value);
        reply
    }

    /// With this content.
    #[must_use]
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body = Body::Bytes(bytes.as_ref().to_vec());
        self
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer::Reply(reply)
    }
}

/// An introspection answer with these claims.
#[must_use]
pub fn active(claims: Value) -> Answer {
    status(200).json(claims).into()
}

/// An introspection answer for a token that is none.
#[must_use]
pub fn inactive() -> Answer {
    status(200).json(json!({"active": false})).into()
}
