//! Contexts, time and attributes.

use wasmi::{Error, Linker};

use super::super::envoy::{Action, Envoy};
use super::super::memory::{Guest, give, hostcall, read, write};
use super::super::status::Status;

/// Links them.
pub(super) fn link(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_set_effective_context",
        |mut guest: Guest<'_>, context: u32| {
            hostcall(&mut guest, "proxy_set_effective_context", |guest| {
                let envoy = guest.data_mut();
                if !envoy.alive(context) {
                    return Ok(Status::BadArgument);
                }
                envoy.effective = context;
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap("env", "proxy_done", |mut guest: Guest<'_>| {
        hostcall(&mut guest, "proxy_done", |guest| {
            let envoy = guest.data_mut();
            let Some((id, root)) = envoy.root() else {
                return Ok(Status::NotFound);
            };
            if !root.finishing {
                return Ok(Status::NotFound);
            }
            envoy.actions.push_back(Action::FinishRoot(id));
            Ok(Status::Ok)
        })
    })?;
    linker.func_wrap(
        "env",
        "proxy_set_tick_period_milliseconds",
        |mut guest: Guest<'_>, period: u32| {
            hostcall(&mut guest, "proxy_set_tick_period_milliseconds", |guest| {
                let envoy = guest.data_mut();
                let now = envoy.monotonic;
                let (_, root) = envoy.root().ok_or(Status::BadArgument)?;
                root.tick = period;
                root.due = now.saturating_add(u64::from(period).saturating_mul(1_000_000));
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_current_time_nanoseconds",
        |mut guest: Guest<'_>, result: u32| {
            hostcall(&mut guest, "proxy_get_current_time_nanoseconds", |guest| {
                let now = guest.data().wall;
                write(guest, result, &now.to_le_bytes())?;
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |mut guest: Guest<'_>, path: u32, path_size: u32, pointer: u32, size: u32| {
            const NAME: &str = "proxy_get_property";
            hostcall(&mut guest, NAME, |guest| {
                let path = read(guest, path, path_size)?;
                let value = guest.data_mut().property(&path)?;
                give(guest, NAME, &value, pointer, size)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |mut guest: Guest<'_>, path: u32, path_size: u32, value: u32, value_size: u32| {
            hostcall(&mut guest, "proxy_set_property", |guest| {
                let path = read(guest, path, path_size)?;
                let value = read(guest, value, value_size)?;
                Ok(guest.data_mut().set_property(&path, value))
            })
        },
    )?;
    Ok(())
}
