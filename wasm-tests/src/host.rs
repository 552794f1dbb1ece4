//! An Envoy in the test process, as far as a Proxy-Wasm filter can tell.
//!
//! [`Host`] loads the module that is shipped and plays Envoy's part: contexts,
//! header maps, calls to other clusters, timers, metrics, filter state, and the
//! order in which all of it happens. It is a fake with state, not a list of
//! expectations: a test says what clients, authorization server and upstream
//! do, and looks at what came of it.
//!
//! What makes it strict:
//! - a function that the module imports and this host does not have is an error
//!   at load; a panic in the module fails the test with its message;
//! - what Envoy lets a filter do only once or only for a while (resume, reply,
//!   change a header) is checked on every hostcall, see [`Host::violations`];
//! - hostcalls, entries into the module and executed instructions are counted,
//!   see [`Host::measure`];
//! - any hostcall can be made to fail, see [`Host::fail`].
//!
//! Nothing here reads a clock or the network: the test moves the time.

mod abi;
mod calls;
mod drive;
mod enter;
mod envoy;
mod headers;
mod load;
mod memory;
mod meter;
mod observe;
mod property;
mod reply;
mod response;
mod stats;
mod status;
mod stream;
mod wire;

use wasmi::{Instance, Store};

pub use calls::{Answer, Call, CallId};
pub use drive::Request;
pub use envoy::Line;
pub use headers::{Headers, holds};
pub use load::LoadError;
pub use meter::Meter;
pub use stats::{Kind, Metric};
pub use status::Status;
pub use stream::{End, Forwarded, Response, State, StreamId};

/// One worker of an Envoy with the module in it.
#[derive(Debug)]
pub struct Host {
    /// The module, to try new configurations on.
    module: Vec<u8>,
    /// The VM, with Envoy's state in it.
    store: Store<envoy::Envoy>,
    /// What the module exports.
    instance: Instance,
    /// The root context for new streams.
    root: u32,
    /// Why the VM is dead.
    trap: Option<String>,
    /// How deep calls into the VM are nested, in units of [`enter::STACK`].
    stack: u32,
    /// Whether `Pause` from the head still lets body callbacks run.
    stop_iteration_only: bool,
    /// Whether broken rules and traps are kept for the test to look at, and do
    /// not end it.
    lenient: bool,
}
