//! The VM dies all the same: what `FAIL_RELOAD` makes of it.
//!
//! The module as shipped cannot be made to trap. So the one here is a copy in
//! which two callbacks begin with a trap on a number that nothing else sends:
//! so many header fields, and an answer of so many bytes. It lives in a folder
//! of the test and is gone with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use walrus::ir::BinaryOp;
use walrus::{ExportItem, FunctionBuilder, Module, ModuleConfig, ValType};

use super::client::{Client, Got, Tally, send};
use super::wild::{Move, Seen};
use super::world::{CANARY, IDLE, SLACK, World, configuration, echo, good, with};
use super::{Extent, Row};
use crate::client::Http1;
use crate::module;
use crate::scenario::Request;

/// By how much Envoy's timers may be early by a finer clock: its event loop
/// reads the kernel's coarse one, which goes on by a hundredth of a second at
/// most.
const TICK: Duration = Duration::from_millis(10);

/// A request with so many fields kills the VM; with Envoy's own ones.
const DEADLY_FIELDS: i32 = 77;

/// An answer of the authorization server of so many bytes kills the VM.
const DEADLY_ANSWER: i32 = 7_777;

/// How long Envoy waits until it makes a new VM, and at most.
const BACKOFF: Duration = Duration::from_secs(2);

/// Requests that wait in the VM when it dies.
const WAITING: usize = 6;

/// The part.
pub(super) fn run(extent: Extent) -> Result<Vec<Row>, String> {
    let folder =
        std::env::temp_dir().join(format!("mcp-token-guard-mortal-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("no folder for a module: {error}."))?;
    let made = mortal(&folder).and_then(|path| deaths(&path, extent));
    let _ = fs::remove_dir_all(&folder);
    made
}

fn deaths(module: &Path, extent: Extent) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (what, cause) in [
        ("the VM dies of a request", Cause::Request),
        ("the VM dies of an answer", Cause::Answer),
    ] {
        let world = World::start(&configuration(), answers, echo, |_, filter| {
            let config = &mut filter["typed_config"]["config"];
            config["vm_config"]["code"]["local"]["filename"] = json!(module);
            let backoff = format!("{}s", BACKOFF.as_secs());
            config["reload_config"] = json!({"backoff": {"base_interval": backoff}});
        })?;
        for time in 0..extent.of(1, 3) {
            rows.extend(death(&world, what, cause, time)?);
        }
    }
    Ok(rows)
}

/// What kills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Request,
    Answer,
}

/// Lets the VM die once and looks at all who are concerned.
fn death(world: &World, what: &str, cause: Cause, time: usize) -> Result<Vec<Row>, String> {
    let to = world.envoy.address();
    let reloads = world.envoy.stat(RELOADED);
    let known = |path: &str| with("good-known", path);
    let path = |name: &str| format!("{name}-{time}");
    let (before, _) = send(to, &known(&path("before")));
    if Got::of(&before) != Got::Status(200) {
        return Err(format!("a sound VM let nobody in: {before:?}."));
    }
    // Some wait for an answer that will come when the VM is dead.
    let heads = Seen::get(&world.upstream.seen().heads);
    let mut waiting = Vec::new();
    let begun = Instant::now();
    for number in 0..WAITING {
        let token = format!("slow-{time}-{}", number / 2);
        waiting.push(begin(world, &with(&token, &path("waits")))?);
    }
    world
        .envoy
        .wait_stat(ACTIVE, |active| active == WAITING as u64);
    let killer = match cause {
        Cause::Request => deadly(&path("kills")),
        Cause::Answer => with(&format!("deadly-{time}"), &path("kills")),
    };
    let dead = deaths_by_answer(world);
    let mut dying = begin(world, &killer)?;
    if cause == Cause::Answer {
        // Until the answer is there the VM lives.
        let end = Instant::now() + SLACK;
        while deaths_by_answer(world) == dead {
            if Instant::now() > end {
                return Err("the VM does not die.".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let mut own = Tally::default();
    if cause == Cause::Request {
        let started = Instant::now();
        own.add(Got::of(&dying.response(false)), started.elapsed());
    }
    let mut rows = vec![meanwhile(world, what, &known(&path("dead")))];
    match cause {
        Cause::Request => rows.push(
            Row::of(format!("{what}: the request itself"), &own)
                .within(SLACK)
                .expect(own.count(Got::Status(503)) == 1, || {
                    "not refused".to_owned()
                }),
        ),
        // It waits as all others do.
        Cause::Answer => waiting.push(dying),
    }
    let mut tally = Tally::default();
    for client in &mut waiting {
        tally.add(Got::of(&client.response(false)), begun.elapsed());
    }
    let through = Seen::get(&world.upstream.seen().heads) - heads;
    rows.push(
        Row::of(format!("{what}: those waiting"), &tally)
            .within(IDLE + SLACK)
            // Envoy's 504 has to pass the dead filter, and becomes its 503.
            .expect(tally.got.keys().all(|got| *got == Got::Status(503)), || {
                "they are not all refused".to_owned()
            })
            .expect(tally.worst + TICK >= IDLE, || {
                "it is not stream_idle_timeout that ends them".to_owned()
            })
            .expect(through == 0, || format!("{through} were let through")),
    );
    rows.push(afterwards(world, what, reloads, &path("after"))?);
    Ok(rows)
}

/// Until there is a new VM nobody is let through, and nobody has to wait.
fn meanwhile(world: &World, what: &str, request: &Request) -> Row {
    let heads = Seen::get(&world.upstream.seen().heads);
    let mut tally = Tally::default();
    let end = Instant::now() + BACKOFF / 2;
    let mut client = Client::new(world.envoy.address());
    while Instant::now() < end {
        let (response, took) = client.send(request);
        tally.add(Got::of(&response), took);
    }
    let through = Seen::get(&world.upstream.seen().heads) - heads;
    Row::of(format!("{what}: requests until there is a new one"), &tally)
        .within(SLACK)
        .expect(tally.got.keys().all(|got| *got == Got::Status(503)), || {
            "they are not all refused".to_owned()
        })
        .expect(through == 0, || format!("{through} were let through"))
}

/// After the backoff a new VM serves, and knows nothing of the old one.
fn afterwards(world: &World, what: &str, reloads: u64, path: &str) -> Result<Row, String> {
    let end = Instant::now() + BACKOFF * 2 + SLACK;
    let begun = Instant::now();
    let asked = Seen::get(&world.authorization_server.seen().heads);
    let mut tally = Tally::default();
    loop {
        let (response, took) = send(world.envoy.address(), &with("good-known", path));
        let got = Got::of(&response);
        tally.add(got, took);
        if got == Got::Status(200) {
            break;
        }
        if Instant::now() > end {
            return Err(format!("no new VM came: {tally}."));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Seen::get(&world.authorization_server.seen().heads) - asked;
    let (bad, _) = send(world.envoy.address(), &with(&format!("bad-{path}"), path));
    let leaks = world.leaks();
    let reloaded = world.envoy.stat(RELOADED) - reloads;
    world.come_to_rest()?;
    Ok(Row::of(format!("{what}: the next ones"), &tally)
        .note(format!(
            "served {:.1?} later, {asked} call",
            begun.elapsed()
        ))
        .expect(reloaded == 1, || format!("{reloaded} new VMs"))
        .expect(asked == 1, || {
            "the new VM did not ask for itself".to_owned()
        })
        .expect(Got::of(&bad) == Got::Status(401), || {
            format!("a bad token got {}", Got::of(&bad))
        })
        .expect(leaks == 0, || {
            format!("{leaks} tokens reached the upstream")
        }))
}

/// Requests that Envoy has begun and not ended.
const ACTIVE: &str = "http.guarded.downstream_rq_active";

/// New VMs in place of dead ones.
const RELOADED: &str = "wasm.mcp_token_guard.vm_reload_success";

/// How often the VM has died of an answer, by Envoy's log: no counter says it.
fn deaths_by_answer(world: &World) -> usize {
    let failed = "proxy_on_http_call_response failed";
    world.envoy.log().matches(failed).count()
}

/// What the authorization server does: tokens say what they are.
fn answers(token: &str) -> Vec<Move> {
    let kind = token.strip_prefix(CANARY).unwrap_or_default();
    if kind.starts_with("good-") {
        vec![Move::Send(good())]
    } else if kind.starts_with("slow-") {
        vec![Move::Wait(Duration::from_millis(1_500)), Move::Send(good())]
    } else if kind.starts_with("deadly-") {
        let content = "x".repeat(usize::try_from(DEADLY_ANSWER).unwrap_or_default());
        vec![Move::Send(load::response(
            "200 OK",
            &[],
            content.as_bytes(),
        ))]
    } else {
        vec![Move::Send(super::world::inactive())]
    }
}

fn begin(world: &World, request: &Request) -> Result<Http1, String> {
    let sent = Http1::connect(world.envoy.address()).and_then(|mut client| {
        client.send(request)?;
        Ok(client)
    });
    sent.map_err(|error| format!("a client failed: {error}."))
}

/// A request with the deadly number of fields, once Envoy has added its own.
fn deadly(path: &str) -> Request {
    let mut request = with("good-known", path);
    // :method, :path, :scheme, :authority, content-type and the rest are there.
    while request.headers.len() < usize::try_from(DEADLY_FIELDS).unwrap_or_default() {
        let number = request.headers.len();
        request = request.header(&format!("x-filler-{number}"), "x");
    }
    request
}

/// A copy of the shipped module that can be made to trap.
fn mortal(folder: &Path) -> Result<PathBuf, String> {
    let shipped = fs::read(module::path()).map_err(|error| format!("no module: {error}."))?;
    let mut module = ModuleConfig::new()
        .parse(&shipped)
        .map_err(|error| format!("the module does not parse: {error:#}."))?;
    // Context, fields, end of stream; context, call, fields, bytes, trailers.
    trap_when(
        &mut module,
        "proxy_on_request_headers",
        3,
        1,
        DEADLY_FIELDS,
        BinaryOp::I32GeS,
    )?;
    trap_when(
        &mut module,
        "proxy_on_http_call_response",
        5,
        3,
        DEADLY_ANSWER,
        BinaryOp::I32Eq,
    )?;
    let path = folder.join("mortal.wasm");
    fs::write(&path, module.emit_wasm()).map_err(|error| format!("no copy: {error}."))?;
    Ok(path)
}

/// Puts a function in front of an export that traps where an argument is this.
fn trap_when(
    module: &mut Module,
    export: &str,
    arguments: usize,
    looked_at: usize,
    deadly: i32,
    compare: BinaryOp,
) -> Result<(), String> {
    let missing = || format!("the module has no {export}.");
    let found = module.exports.iter().find(|found| found.name == export);
    let id = found.map(walrus::Export::id).ok_or_else(missing)?;
    let ExportItem::Function(inner) = module.exports.get(id).item else {
        return Err(missing());
    };
    let result = module
        .types
        .get(module.funcs.get(inner).ty())
        .results()
        .to_vec();
    let parameters = vec![ValType::I32; arguments];
    let locals: Vec<_> = parameters
        .iter()
        .map(|kind| module.locals.add(*kind))
        .collect();
    let mut outer = FunctionBuilder::new(&mut module.types, &parameters, &result);
    let mut body = outer.func_body();
    body.local_get(locals[looked_at])
        .i32_const(deadly)
        .binop(compare);
    body.if_else(
        None,
        |then| {
            then.unreachable();
        },
        |_| {},
    );
    for local in &locals {
        body.local_get(*local);
    }
    body.call(inner);
    let outer = outer.finish(locals, &mut module.funcs);
    module.exports.get_mut(id).item = ExportItem::Function(outer);
    Ok(())
}
