//! The helpers that the SDK's traits bring along.
//!
//! Besides the callbacks, each trait has a method for every hostcall, and all of
//! them stand in the method tables of the filter's contexts. The linker has to
//! keep them, with the calls for queues, shared data and gRPC that they make.
//! But the SDK calls none through a table, and the filter calls none at all.

use std::collections::HashSet;

use walrus::ir::{Call, Visitor, dfs_in_order};
use walrus::{FunctionId, Module};

/// Makes traps of the helpers, so that what only they use is not reached.
pub(super) fn stub(module: &mut Module) {
    let helpers: HashSet<FunctionId> = module
        .funcs
        .iter_local()
        .map(|(id, _)| id)
        .filter(|id| module.funcs.get(*id).name.as_deref().is_some_and(is_helper))
        .collect();
    let mut called = Called::default();
    for (_, function) in module
        .funcs
        .iter_local()
        .filter(|(id, _)| !helpers.contains(id))
    {
        dfs_in_order(&mut called, function, function.entry_block());
    }
    for id in helpers.difference(&called.0) {
        let function = module.funcs.get_mut(*id).kind.unwrap_local_mut();
        let mut body = function.builder_mut().func_body();
        body.instrs_mut().clear();
        body.unreachable();
    }
}

/// Whether this is the symbol of a method of the SDK's traits which is not one
/// that the SDK calls.
fn is_helper(symbol: &str) -> bool {
    let is_callback = ["on_", "create_", "get_type"].iter().any(|callback| {
        symbol
            .match_indices(callback)
            .any(|(at, _)| symbol[..at].ends_with(|before: char| before.is_ascii_digit()))
    });
    symbol.contains("10proxy_wasm6traits") && !is_callback
}

/// Functions that are called by name.
#[derive(Default)]
struct Called(HashSet<FunctionId>);

impl Visitor<'_> for Called {
    fn visit_call(&mut self, call: &Call) {
        self.0.insert(call.func);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_no_helpers_in_either_mangling() {
        for helper in [
            "_ZN10proxy_wasm6traits7Context12get_property17h5ca62e234fd88d36E",
            "_RNvYNtNtCs5_15mcp_token_guard6filter4RootNtNtCs6_10proxy_wasm6traits7Context4doneB6_",
        ] {
            assert!(is_helper(helper), "{helper}");
        }
        for other in [
            "_ZN10proxy_wasm6traits7Context7on_done17h5ca62e234fd88d36E",
            "_ZN10proxy_wasm6traits11RootContext8get_type17h5ca62e234fd88d36E",
            "_RNvYNtNtCs5_15mcp_token_guard6filter4RootNtNtCs6_10proxy_wasm6traits7Context6on_logB6_",
            "_ZN10proxy_wasm9hostcalls12get_property17h5ca62e234fd88d36E",
        ] {
            assert!(!is_helper(other), "{other}");
        }
    }
}
