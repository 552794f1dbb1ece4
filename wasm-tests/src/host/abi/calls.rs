//! Calls to other clusters, and the buffers of callbacks.

use core::time::Duration;

use wasmi::{Error, Linker};

use super::super::calls::{Answer, Call, CallId};
use super::super::envoy::Envoy;
use super::super::headers::Headers;
use super::super::memory::{Guest, Stop, give, hostcall, read, text, write};
use super::super::status::Status;
use super::super::wire;

/// Links them.
pub(super) fn link(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |mut guest: Guest<'_>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout: u32,
         token: u32| {
            hostcall(&mut guest, "proxy_http_call", |guest| {
                let request = Request {
                    cluster: text(guest, cluster, cluster_size)?,
                    headers: read(guest, headers, headers_size)?,
                    body: read(guest, body, body_size)?,
                    timeout,
                };
                read(guest, trailers, trailers_size)?;
                let id = dispatch(guest.data_mut(), request)?;
                write(guest, token, &id.to_le_bytes())?;
                Ok(Status::Ok)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut guest: Guest<'_>, kind: u32, start: u32, max: u32, pointer: u32, size: u32| {
            const NAME: &str = "proxy_get_buffer_bytes";
            hostcall(&mut guest, NAME, |guest| {
                let bytes = buffer(guest.data_mut(), kind).ok_or(Status::NotFound)?;
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let max = usize::try_from(max).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                let piece = rest.get(..max).unwrap_or(rest);
                give(guest, NAME, piece, pointer, size)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |mut guest: Guest<'_>, kind: u32, start: u32, length: u32, data: u32, size: u32| {
            hostcall(&mut guest, "proxy_set_buffer_bytes", |guest| {
                let data = read(guest, data, size)?;
                let Some((_, stream)) = guest.data_mut().stream() else {
                    return Ok(Status::NotFound);
                };
                let (0 | 1, Some(view)) = (kind, &mut stream.body_view) else {
                    return Ok(Status::NotFound);
                };
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if start == 0 && length >= view.len() {
                    *view = data;
                } else if start == 0 && length == 0 {
                    view.splice(0..0, data);
                } else if start >= view.len() {
                    view.extend(data);
                } else {
                    return Ok(Status::BadArgument);
                }
                Ok(Status::Ok)
            })
        },
    )?;
    Ok(())
}

/// A call as the guest asks for it.
struct Request {
    cluster: String,
    headers: Vec<u8>,
    body: Vec<u8>,
    timeout: u32,
}

/// Sends it, on the root context, whatever context asks.
fn dispatch(envoy: &mut Envoy, request: Request) -> Result<u32, Stop> {
    if request.timeout == 0 {
        envoy.violation("a call without a timeout");
    }
    let fields = wire::decode(&request.headers)
        .ok_or_else(|| Error::new("proxy_http_call: headers that are no map"))?;
    let mut headers = Headers::new(fields);
    let complete = [":method", ":path", ":authority"]
        .iter()
        .all(|name| headers.get(name).is_some());
    if !complete || envoy.unknown_clusters.contains(&request.cluster) {
        return Err(Status::BadArgument.into());
    }
    if !request.body.is_empty() {
        let length = request.body.len().to_string();
        headers.replace(b"content-length", length.as_bytes());
    }
    let (root, _) = envoy.root().ok_or(Status::BadArgument)?;
    let id = u32::try_from(envoy.calls.len())
        .ok()
        .and_then(|n| n.checked_add(1)?.checked_mul(4))
        .ok_or(Status::InternalFailure)?;
    envoy.calls.push(Call {
        id: CallId(id),
        cluster: request.cluster,
        headers,
        body: request.body,
        timeout: Duration::from_millis(request.timeout.into()),
        root,
        open: true,
    });
    Ok(id)
}

/// The buffer of this number, if it can be read now.
fn buffer(envoy: &mut Envoy, kind: u32) -> Option<Vec<u8>> {
    match kind {
        0 | 1 => envoy.stream()?.1.body_view.clone(),
        4 => match &envoy.root()?.1.answer {
            Some(Answer::Response { body, .. }) => Some(body.clone()),
            Some(Answer::Reset) | None => None,
        },
        6 => Some(Vec::new()),
        7 => {
            let (_, root) = envoy.root()?;
            root.configuring.then(|| root.configuration.clone())
        }
        _ => None,
    }
}
