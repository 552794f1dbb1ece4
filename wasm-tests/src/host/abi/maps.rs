//! Header and trailer maps.

use wasmi::{Error, Linker};

use super::super::envoy::Envoy;
use super::super::headers::Headers;
use super::super::memory::{Guest, give, hostcall, read};
use super::super::status::Status;
use super::super::wire;

/// Links them.
pub(super) fn link(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    link_getters(linker)?;
    linker.func_wrap(
        "env",
        "proxy_add_header_map_value",
        |mut guest: Guest<'_>, kind: u32, name: u32, name_size: u32, value: u32, size: u32| {
            hostcall(&mut guest, "proxy_add_header_map_value", |guest| {
                let (name, value) = (read(guest, name, name_size)?, read(guest, value, size)?);
                Ok(change(guest.data_mut(), kind, &name, |map| {
                    map.add(&name, &value);
                }))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |mut guest: Guest<'_>, kind: u32, name: u32, name_size: u32, value: u32, size: u32| {
            hostcall(&mut guest, "proxy_replace_header_map_value", |guest| {
                let (name, value) = (read(guest, name, name_size)?, read(guest, value, size)?);
                Ok(change(guest.data_mut(), kind, &name, |map| {
                    map.replace(&name, &value);
                }))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |mut guest: Guest<'_>, kind: u32, name: u32, name_size: u32| {
            hostcall(&mut guest, "proxy_remove_header_map_value", |guest| {
                let name = read(guest, name, name_size)?;
                Ok(change(guest.data_mut(), kind, &name, |map| {
                    map.remove(&name);
                }))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_header_map_pairs",
        |mut guest: Guest<'_>, kind: u32, data: u32, size: u32| {
            hostcall(&mut guest, "proxy_set_header_map_pairs", |guest| {
                let fields = wire::decode(&read(guest, data, size)?);
                let fields = fields.ok_or_else(|| Error::new("headers that are no map"))?;
                Ok(change(guest.data_mut(), kind, b"*", |map| {
                    *map = Headers::new(fields);
                }))
            })
        },
    )?;
    Ok(())
}

/// Links the two that read.
fn link_getters(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut guest: Guest<'_>, kind: u32, name: u32, name_size: u32, pointer: u32, size: u32| {
            const NAME: &str = "proxy_get_header_map_value";
            hostcall(&mut guest, NAME, |guest| {
                let name = read(guest, name, name_size)?;
                let envoy = guest.data_mut();
                let logging = envoy.stream().is_some_and(|(_, s)| s.logging);
                let Some(map) = envoy.map(kind) else {
                    return Ok(if logging {
                        Status::NotFound
                    } else {
                        Status::BadArgument
                    });
                };
                let value = map.get(&name).ok_or(Status::NotFound)?;
                give(guest, NAME, value, pointer, size)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |mut guest: Guest<'_>, kind: u32, pointer: u32, size: u32| {
            const NAME: &str = "proxy_get_header_map_pairs";
            hostcall(&mut guest, NAME, |guest| {
                // Envoy gives an empty map for one that is not there.
                let map = guest.data_mut().map(kind).unwrap_or_default();
                give(guest, NAME, &wire::encode(&map), pointer, size)
            })
        },
    )?;
    Ok(())
}

/// Changes a map, if it is there.
fn change(envoy: &mut Envoy, kind: u32, name: &[u8], how: impl FnOnce(&mut Headers)) -> Status {
    if let Some(map) = envoy.map_mut(kind) {
        how(map);
        return Status::Ok;
    }
    let here = envoy.here();
    let name = String::from_utf8_lossy(name).into_owned();
    envoy.violation(format!(
        "change of {name} in map {kind} of context {here}, which is out of reach"
    ));
    Status::BadArgument
}
