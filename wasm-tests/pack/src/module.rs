//! What the shipped module has to have, may have, and has not.

mod helpers;

use std::collections::BTreeSet;

use walrus::{Module, ModuleConfig};

/// Exports that stay. Each of them is called by Envoy, and each has to be there.
const KEEP: [&str; 15] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// Functions of ABI 0.2.1 that may be imported from `env`; Envoy does not load a
/// module that imports one it does not know.
const PROXY: [&str; 17] = [
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_property",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_tick_period_milliseconds",
];

/// What the standard library needs, and Envoy has.
const WASI: [&str; 6] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "random_get",
];

/// Whether the module says what its functions are called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// No: a stack trace has their numbers.
    Dropped,
    /// Yes.
    Kept,
}

/// The module as shipped.
pub(crate) fn shipped(linked: &[u8], names: Names) -> Result<Vec<u8>, String> {
    let mut config = ModuleConfig::new();
    // Which version of what made it is no use to Envoy, and names walrus.
    config.generate_producers_section(false);
    config.generate_name_section(names == Names::Kept);
    let mut module = config
        .parse(linked)
        .map_err(|e| format!("the linker's module does not parse: {e:#}."))?;
    let surplus: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !KEEP.contains(&export.name.as_str()))
        .map(walrus::Export::id)
        .collect();
    for export in surplus {
        module.exports.delete(export);
    }
    helpers::stub(&mut module);
    walrus::passes::gc::run(&mut module);
    check(&module)?;
    Ok(module.emit_wasm())
}

fn check(module: &Module) -> Result<(), String> {
    let there: BTreeSet<&str> = module.exports.iter().map(|e| e.name.as_str()).collect();
    let missing: Vec<&str> = KEEP
        .into_iter()
        .filter(|name| !there.contains(name))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "the module does not export {}.",
            missing.join(", ")
        ));
    }
    let foreign: Vec<String> = module
        .imports
        .iter()
        .filter(|import| match import.module.as_str() {
            "env" => !PROXY.contains(&import.name.as_str()),
            "wasi_snapshot_preview1" => !WASI.contains(&import.name.as_str()),
            _ => true,
        })
        .map(|import| format!("{}.{}", import.module, import.name))
        .collect();
    if !foreign.is_empty() {
        return Err(format!(
            "the module imports {}: not every Envoy has that. Do without it, or add it to the list in wasm-tests/pack/src/module.rs.",
            foreign.join(", ")
        ));
    }
    Ok(())
}
