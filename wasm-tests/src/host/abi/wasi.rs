//! The part of WASI that Rust's standard library asks for and Envoy has.

use wasmi::{Caller, Error, Linker};

use super::super::envoy::{Envoy, Line};
use super::super::memory::{Guest, read, text, write};
use super::super::meter::Meter;
use super::super::status::Status;

/// Its module name.
const WASI: &str = "wasi_snapshot_preview1";
/// `EFAULT`.
const FAULT: u32 = 21;
/// `EBADF`.
const BAD_FILE: u32 = 8;
/// `ENOTSUP`.
const NOT_SUPPORTED: u32 = 58;

/// Links it.
pub(super) fn link(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        |mut guest: Guest<'_>, count: u32, size: u32| {
            wasi(&mut guest, "environ_sizes_get", |guest| {
                let block = environment(guest.data());
                let variables = length(guest.data().environment.len())?;
                write(guest, count, &variables.to_le_bytes())?;
                write(guest, size, &length(block.concat().len())?.to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        WASI,
        "environ_get",
        |mut guest: Guest<'_>, pointers: u32, buffer: u32| {
            wasi(&mut guest, "environ_get", |guest| {
                let (mut slot, mut at) = (pointers, buffer);
                for variable in environment(guest.data()) {
                    write(guest, slot, &at.to_le_bytes())?;
                    write(guest, at, &variable)?;
                    slot = slot.saturating_add(4);
                    at = at.saturating_add(length(variable.len())?);
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut guest: Guest<'_>, clock: u32, _precision: u64, result: u32| {
            if clock > 1 {
                return NOT_SUPPORTED;
            }
            wasi(&mut guest, "clock_time_get", |guest| {
                let envoy = guest.data();
                let now = if clock == 0 {
                    envoy.wall
                } else {
                    envoy.monotonic
                };
                write(guest, result, &now.to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        WASI,
        "random_get",
        |mut guest: Guest<'_>, buffer: u32, size: u32| {
            wasi(&mut guest, "random_get", |guest| {
                let envoy = guest.data_mut();
                let bytes: Vec<u8> = (0..size.min(65_536)).map(|_| envoy.random_byte()).collect();
                write(guest, buffer, &bytes)
            })
        },
    )?;
    linker.func_wrap(WASI, "proc_exit", |_: Guest<'_>, code: i32| {
        Err::<(), _>(Error::new(format!("proc_exit({code})")))
    })?;
    linker.func_wrap(WASI, "sched_yield", |_: Guest<'_>| 0_u32)?;
    link_files(linker)
}

/// Links what is left of files: two that can be written to, and are the log.
fn link_files(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        WASI,
        "fd_write",
        |mut guest: Guest<'_>, file: u32, pieces: u32, count: u32, written: u32| {
            if file != 1 && file != 2 {
                return BAD_FILE;
            }
            wasi(&mut guest, "fd_write", |guest| {
                let mut line = String::new();
                for piece in 0..count {
                    let at = pieces.saturating_add(piece.saturating_mul(8));
                    let (data, size) = (number(guest, at)?, number(guest, at.saturating_add(4))?);
                    line.push_str(&text(guest, data, size)?);
                }
                write(guest, written, &length(line.len())?.to_le_bytes())?;
                let level = if file == 1 { 2 } else { 4 };
                guest.data_mut().log.push(Line { level, text: line });
                Ok(())
            })
        },
    )?;
    linker.func_wrap(WASI, "fd_close", |_: Guest<'_>, _: u32| 0_u32)?;
    linker.func_wrap(
        WASI,
        "fd_seek",
        |_: Guest<'_>, _: u32, _: i64, _: u32, _: u32| 0_u32,
    )?;
    linker.func_wrap(
        WASI,
        "fd_fdstat_get",
        |mut guest: Guest<'_>, file: u32, result: u32| {
            if file != 1 && file != 2 {
                return BAD_FILE;
            }
            wasi(&mut guest, "fd_fdstat_get", |guest| {
                let mut stat = [0_u8; 24];
                stat[8] = 64;
                write(guest, result, &stat)
            })
        },
    )?;
    Ok(())
}

/// Runs a function of WASI: counts it, and turns what fails into an errno.
fn wasi(
    guest: &mut Guest<'_>,
    name: &'static str,
    body: impl FnOnce(&mut Guest<'_>) -> Result<(), Status>,
) -> u32 {
    Meter::count(&mut guest.data_mut().meter.hostcalls, name);
    body(guest).map_or(FAULT, |()| 0)
}

/// The environment as `NAME=value` with a zero at the end of each.
fn environment(envoy: &Envoy) -> Vec<Vec<u8>> {
    envoy
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}\0").into_bytes())
        .collect()
}

/// A length as WASI has it.
fn length(n: usize) -> Result<u32, Status> {
    u32::try_from(n).map_err(|_| Status::InvalidMemoryAccess)
}

/// A number in the guest's memory.
fn number(guest: &Caller<'_, Envoy>, at: u32) -> Result<u32, Status> {
    let bytes = read(guest, at, 4)?;
    let bytes = <[u8; 4]>::try_from(bytes).map_err(|_| Status::InvalidMemoryAccess)?;
    Ok(u32::from_le_bytes(bytes))
}
