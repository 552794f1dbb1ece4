//! The module as it is shipped: what it asks of Envoy, what it offers, how large
//! it is, and that nothing in it tells whose machine built it.
//!
//! The lists are written out here once more, on purpose: a change to those of
//! the packer has to be meant.

use std::collections::BTreeSet;
use std::path::Path;

use mcp_token_guard_tests::module;
use memchr::memmem;
use wasmparser::{Parser, Payload};

/// What a worker compiles at its start, and what a registry carries: 3 % over what
/// it was when this was set.
const BUDGET: usize = 522 * 1024;

const EXPORTS: [&str; 15] = [
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

/// Calls that the filter makes.
const IMPORTS: [(&str, &[&str]); 2] = [
    (
        "env",
        &[
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
        ],
    ),
    (
        "wasi_snapshot_preview1",
        &[
            "clock_time_get",
            "environ_get",
            "environ_sizes_get",
            "fd_write",
            "proc_exit",
            "random_get",
        ],
    ),
];

fn module() -> Vec<u8> {
    std::fs::read(module::path()).expect("the module")
}

#[test]
fn it_exports_what_envoy_calls_and_nothing_else() {
    let bytes = module();
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::ExportSection(exports) = payload.expect("a module") {
            names.extend(
                exports
                    .into_iter()
                    .map(|export| export.expect("an export").name),
            );
        }
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), EXPORTS);
}

#[test]
fn it_imports_only_what_every_envoy_has() {
    let bytes = module();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::ImportSection(imports) = payload.expect("a module") {
            for import in imports.into_imports() {
                let import = import.expect("an import");
                let known = IMPORTS.iter().any(|(module, names)| {
                    *module == import.module && names.contains(&import.name)
                });
                assert!(known, "{}.{}", import.module, import.name);
            }
        }
    }
}

#[test]
fn it_fits_the_budget() {
    let size = module().len();
    assert!(size <= BUDGET, "{size} bytes are more than {BUDGET}");
}

/// Where a panic says its place, the path starts at the crate. Paths of the
/// standard library start at `/rustc/` and the commit, the same for everybody.
#[test]
fn it_has_no_path_of_the_machine_that_built_it() {
    let bytes = module();
    let project = module::project().display().to_string();
    let home = std::env::home_dir().filter(|home| home != Path::new("/"));
    let home = home.map(|home| home.display().to_string());
    let cargo_home = std::env::var("CARGO_HOME").ok();
    let usual = [
        "/home/",
        "/root/",
        "/Users/",
        ".cargo/",
        ".rustup/",
        "index.crates.io",
        "target/",
    ];
    let here = [Some(project), home, cargo_home];
    for path in usual
        .iter()
        .copied()
        .chain(here.iter().flatten().map(String::as_str))
    {
        let at = memmem::find(&bytes, path.as_bytes());
        let around = at.map(|at| {
            let around = &bytes[at.saturating_sub(20)..bytes.len().min(at + 80)];
            String::from_utf8_lossy(around).into_owned()
        });
        assert_eq!(around, None, "{path} is in the module");
    }
}
