//! The functions that the module may import. One that is not here is an error
//! when the module is loaded; one that Envoy has and this host does not model
//! is one when it is called.

mod calls;
mod context;
mod maps;
mod reports;
mod streams;
mod wasi;

use wasmi::{Error, ExternType, Linker, Module};

use super::envoy::Envoy;

/// Functions of the ABI that the filter has no use for. The SDK imports them.
const NOT_MODELLED: [&str; 15] = [
    "proxy_call_foreign_function",
    "proxy_dequeue_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_status",
    "proxy_get_header_map_size",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_set_shared_data",
];

/// Links all of them.
pub(super) fn link(linker: &mut Linker<Envoy>, module: &Module) -> Result<(), Error> {
    calls::link(linker)?;
    context::link(linker)?;
    maps::link(linker)?;
    reports::link(linker)?;
    streams::link(linker)?;
    wasi::link(linker)?;
    for import in module.imports() {
        let name = import.name().to_owned();
        let ExternType::Func(signature) = import.ty() else {
            return Err(Error::new(format!("{name} is not a function")));
        };
        if import.module() == "env" && NOT_MODELLED.contains(&name.as_str()) {
            let signature = signature.clone();
            linker.func_new("env", &name.clone(), signature, move |mut guest, _, _| {
                let what = format!("hostcall that this host does not model: {name}");
                guest.data_mut().violation(what.clone());
                Err(Error::new(what))
            })?;
        }
    }
    Ok(())
}
