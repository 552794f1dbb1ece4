//! The guest's memory, and the frame that every hostcall runs in.

use wasmi::{Caller, Error};

use super::envoy::Envoy;
use super::meter::Meter;
use super::status::Status;

/// A hostcall's view of guest and host.
pub(super) type Guest<'a> = Caller<'a, Envoy>;

/// How a hostcall ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// With a status.
    Status(Status),
    /// By trapping the guest.
    Trap(Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Trap(error)
    }
}

/// Runs the body of a hostcall: counts it, and fails it where the test wants so.
pub(super) fn hostcall(
    guest: &mut Guest<'_>,
    name: &'static str,
    body: impl FnOnce(&mut Guest<'_>) -> Result<Status, Stop>,
) -> Result<u32, Error> {
    let envoy = guest.data_mut();
    Meter::count(&mut envoy.meter.hostcalls, name);
    if envoy.restricted && name != "proxy_log" {
        return Err(Error::new(format!("restricted_callback: {name}")));
    }
    let status = match envoy.fault(name) {
        Some(status) => status,
        None => match body(guest) {
            Ok(status) | Err(Stop::Status(status)) => status,
            Err(Stop::Trap(error)) => return Err(error),
        },
    };
    let left = guest.get_fuel().unwrap_or_default();
    let envoy = guest.data_mut();
    let (here, used) = (envoy.here(), super::enter::FUEL.saturating_sub(left));
    envoy.note(format!("    {name} on {here} -> {status:?}, fuel {used}"));
    Ok(status.code())
}

/// So many bytes of the guest.
pub(super) fn read(guest: &Guest<'_>, at: u32, length: u32) -> Result<Vec<u8>, Status> {
    let memory = guest.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    let (Ok(at), Ok(length)) = (usize::try_from(at), usize::try_from(length)) else {
        return Err(Status::InvalidMemoryAccess);
    };
    memory
        .data(guest)
        .get(at..)
        .and_then(|rest| rest.get(..length))
        .map(<[u8]>::to_vec)
        .ok_or(Status::InvalidMemoryAccess)
}

/// The same as text; what is not UTF-8 is replaced.
pub(super) fn text(guest: &Guest<'_>, at: u32, length: u32) -> Result<String, Status> {
    read(guest, at, length).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Puts bytes into the guest.
pub(super) fn write(guest: &mut Guest<'_>, at: u32, bytes: &[u8]) -> Result<(), Status> {
    let memory = guest.data().memory.ok_or(Status::InvalidMemoryAccess)?;
    usize::try_from(at)
        .ok()
        .and_then(|at| memory.write(guest, at, bytes).ok())
        .ok_or(Status::InvalidMemoryAccess)
}

/// Hands bytes to the guest in memory that the guest allocates, as Envoy does;
/// nothing is allocated for nothing.
pub(super) fn give(
    guest: &mut Guest<'_>,
    name: &'static str,
    bytes: &[u8],
    pointer: u32,
    size: u32,
) -> Result<Status, Stop> {
    let mut at = 0;
    let length = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
    if length > 0 {
        let envoy = guest.data_mut();
        Meter::count(&mut envoy.meter.data_hostcalls, name);
        let allocate = envoy.allocate.ok_or(Status::InvalidMemoryAccess)?;
        at = allocate.call(&mut *guest, length)?;
        if at == 0 {
            return Err(Status::InvalidMemoryAccess.into());
        }
        write(guest, at, bytes)?;
    }
    write(guest, pointer, &at.to_le_bytes())?;
    write(guest, size, &length.to_le_bytes())?;
    Ok(Status::Ok)
}
