//! Log lines and metrics.

use wasmi::{Error, Linker};

use super::super::envoy::{Envoy, Line};
use super::super::memory::{Guest, hostcall, text, write};
use super::super::status::Status;

/// Links them.
pub(super) fn link(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |mut guest: Guest<'_>, level: u32, message: u32, size: u32| {
            hostcall(&mut guest, "proxy_log", |guest| {
                let text = text(guest, message, size)?;
                if level > 5 {
                    return Ok(Status::BadArgument);
                }
                guest.data_mut().log.push(Line { level, text });
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_log_level",
        |mut guest: Guest<'_>, result: u32| {
            hostcall(&mut guest, "proxy_get_log_level", |guest| {
                write(guest, result, &0_u32.to_le_bytes())?;
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut guest: Guest<'_>, kind: u32, name: u32, size: u32, result: u32| {
            hostcall(&mut guest, "proxy_define_metric", |guest| {
                let name = text(guest, name, size)?;
                let id = guest.data_mut().stats.define(kind, name)?;
                write(guest, result, &id.to_le_bytes())?;
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |mut guest: Guest<'_>, id: u32, offset: i64| {
            hostcall(&mut guest, "proxy_increment_metric", |guest| {
                Ok(guest.data_mut().stats.increment(id, offset))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_record_metric",
        |mut guest: Guest<'_>, id: u32, value: u64| {
            hostcall(&mut guest, "proxy_record_metric", |guest| {
                Ok(guest.data_mut().stats.record(id, value))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_metric",
        |mut guest: Guest<'_>, id: u32, result: u32| {
            hostcall(&mut guest, "proxy_get_metric", |guest| {
                let value = guest.data().stats.value(id)?;
                write(guest, result, &value.to_le_bytes())?;
                Ok(Status::Ok)
            })
        },
    )?;
    Ok(())
}
