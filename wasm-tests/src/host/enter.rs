//! Calls into the VM, and what Envoy does when they return.

use wasmi::Val;

use super::Host;
use super::envoy::{Action, Entry, Envoy};
use super::meter::Meter;

/// Fuel for one entry: far more than any callback may need.
pub(super) const FUEL: u64 = 20_000_000_000;

/// How much nesting the VM survives. Actions that were put off while the VM was
/// running are done inside one another: each local reply enters the VM again
/// before the one ahead of it is finished. V8 was seen to die of about 305
/// replies asked for in one callback, and of one to two thousand resumed
/// requests with a body.
pub(super) const STACK: u32 = 1_212;

/// How an entry went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entered {
    /// What it returned; nothing if the module does not have the export, the
    /// export returns nothing, or the VM is dead.
    pub(super) returned: Option<u32>,
    /// Whether a local reply in it overrides what it returned.
    pub(super) stopped: bool,
}

impl Entered {
    /// Whether the stream is to stay where it is.
    pub(super) fn paused(self) -> bool {
        self.stopped || self.returned.is_some_and(|action| action != 0)
    }
}

impl Host {
    /// Calls an export for a context, and does what was put off meanwhile.
    pub(super) fn enter(
        &mut self,
        export: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Entered {
        let nothing = Entered {
            returned: None,
            stopped: false,
        };
        let cost = match export {
            "proxy_on_request_body" | "proxy_on_request_trailers" => 1,
            _ => 4,
        };
        if self.trap.is_some() || self.instance.get_func(&self.store, export).is_none() {
            return nothing;
        }
        if self.stack.saturating_add(cost) > STACK {
            self.die(&format!("{export}: Maximum call stack size exceeded"));
            return nothing;
        }
        let returned = self.call(export, context, arguments);
        let envoy = self.store.data_mut();
        let stopped = core::mem::take(&mut envoy.stop_iteration);
        self.stack = self.stack.saturating_add(cost);
        while let Some(action) = self.store.data_mut().actions.pop_front() {
            self.perform(action);
        }
        self.stack = self.stack.saturating_sub(cost);
        Entered { returned, stopped }
    }

    /// Calls an export, and nothing else.
    fn call(&mut self, export: &'static str, context: u32, arguments: &[u32]) -> Option<u32> {
        let function = self.instance.get_func(&self.store, export)?;
        let envoy = self.store.data_mut();
        Meter::count(&mut envoy.meter.entries, export);
        envoy.note(format!("{export} {context} {arguments:?}"));
        envoy.entries.push(Entry {
            export,
            settled: std::collections::BTreeSet::new(),
        });
        let before = (envoy.current, envoy.effective);
        (envoy.current, envoy.effective) = (context, 0);
        let mut values: Vec<Val> = Vec::new();
        if export != "_initialize" {
            values.push(Val::I32(context.cast_signed()));
        }
        values.extend(arguments.iter().map(|n| Val::I32(n.cast_signed())));
        let count = function.ty(&self.store).results().len();
        let mut results = vec![Val::I32(0); count];
        self.store.set_fuel(FUEL).expect("fuel is metered");
        let outcome = function.call(&mut self.store, &values, &mut results);
        let left = self.store.get_fuel().expect("fuel is metered");
        let envoy: &mut Envoy = self.store.data_mut();
        envoy.meter.burn(export, FUEL.saturating_sub(left));
        envoy.entries.pop();
        (envoy.current, envoy.effective) = before;
        match outcome {
            Ok(()) => match results.first() {
                Some(Val::I32(n)) => Some(n.cast_unsigned()),
                _ => None,
            },
            Err(error) => {
                self.die(&format!("{export}: {error}"));
                None
            }
        }
    }

    /// The VM is no more; what is logged last tells why.
    fn die(&mut self, how: &str) {
        let log = &self.store.data().log;
        let last = log.iter().rev().take(3).map(|line| line.text.trim());
        let last: Vec<&str> = last.collect();
        self.trap = Some(format!("{how}; last logged: {last:?}"));
    }

    /// Does what was put off.
    fn perform(&mut self, action: Action) {
        match action {
            Action::Resume(id) => self.resume(id),
            Action::ResumeResponse(id) => self.resume_response(id),
            Action::Reply(id, reply) => self.reply(id, reply),
            Action::Reset(id) => self.destroy(id, super::End::Reset),
            Action::FinishRoot(id) => self.finish_root(id),
        }
    }
}
