//! What ends the wait of a stream. Nothing happens at once: Envoy acts when the
//! VM has returned, in the order of the calls.

use wasmi::{Error, Linker};

use super::super::envoy::{Action, Envoy};
use super::super::memory::{Guest, hostcall, read};
use super::super::status::Status;
use super::super::stream::{Hold, LocalReply};
use super::super::wire;

/// Links them.
pub(super) fn link(linker: &mut Linker<Envoy>) -> Result<(), Error> {
    linker.func_wrap(
        "env",
        "proxy_continue_stream",
        |mut guest: Guest<'_>, kind: u32| {
            hostcall(&mut guest, "proxy_continue_stream", |guest| {
                Ok(resume(guest.data_mut(), kind))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_close_stream",
        |mut guest: Guest<'_>, kind: u32| {
            hostcall(&mut guest, "proxy_close_stream", |guest| {
                Ok(close(guest.data_mut(), kind))
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |mut guest: Guest<'_>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         _grpc: i32| {
            hostcall(&mut guest, "proxy_send_local_response", |guest| {
                read(guest, details, details_size)?;
                let body = read(guest, body, body_size)?;
                let headers = wire::decode(&read(guest, headers, headers_size)?)
                    .ok_or_else(|| Error::new("headers that are no map"))?;
                let status = u16::try_from(status).map_err(|_| Status::BadArgument)?;
                reply(
                    guest.data_mut(),
                    LocalReply {
                        status,
                        headers,
                        body,
                    },
                );
                Ok(Status::Ok)
            })
        },
    )?;
    Ok(())
}

/// Lets a request or a response go on, later. Its request map is out of reach
/// from now.
fn resume(envoy: &mut Envoy, kind: u32) -> Status {
    if kind > 1 {
        envoy.violation(format!("resume of stream type {kind}"));
        return Status::BadArgument;
    }
    let Some((id, stream)) = envoy.stream() else {
        envoy.violation("resume without a stream");
        return Status::Ok;
    };
    stream.request_open = false;
    stream.trailers_open = false;
    let complaint = if stream.end.is_some() {
        Some("after its end")
    } else if kind == 1 {
        (!stream.response_held && !stream.response_open).then_some("whose response is not held")
    } else if stream.replied {
        Some("that has a local reply")
    } else if stream.decoding {
        Some("in its own callback")
    } else if stream.resumed && stream.hold != Hold::Rest {
        Some("twice")
    } else if !stream.held() {
        Some("that is not held")
    } else {
        None
    };
    let undecided = kind == 0 && stream.undecided;
    if kind == 0 {
        stream.resumed = true;
    }
    if let Some(complaint) = complaint {
        envoy.violation(format!("resume of stream {id} {complaint}"));
    }
    if undecided {
        envoy.violation(format!("resume of stream {id} without a verdict"));
    }
    envoy.settled(id);
    envoy.actions.push_back(if kind == 0 {
        Action::Resume(id)
    } else {
        Action::ResumeResponse(id)
    });
    Status::Ok
}

/// Answers, later. What the callback returns counts no longer, whichever stream
/// it is about.
fn reply(envoy: &mut Envoy, reply: LocalReply) {
    envoy.stop_iteration = true;
    let Some((id, stream)) = envoy.stream() else {
        envoy.violation("local reply without a stream");
        return;
    };
    let started = stream.sent.is_some();
    let released = stream.resumed || stream.forwarded.is_some();
    let complaint = if stream.end.is_some() {
        Some("after its end")
    } else if stream.replied {
        Some("that has one already")
    } else if started {
        Some("whose response has begun")
    } else if released && !stream.decoding && !stream.response_open {
        Some("that has been let go")
    } else {
        None
    };
    stream.replied = true;
    if let Some(complaint) = complaint {
        envoy.violation(format!("local reply to stream {id} {complaint}"));
    }
    envoy.settled(id);
    envoy.actions.push_back(Action::Reply(id, reply));
}

/// Resets, later.
fn close(envoy: &mut Envoy, kind: u32) -> Status {
    if kind > 1 {
        envoy.violation(format!("close of stream type {kind}"));
        return Status::BadArgument;
    }
    let Some((id, stream)) = envoy.stream() else {
        envoy.violation("close without a stream");
        return Status::Ok;
    };
    if stream.end.is_some() {
        envoy.violation(format!("close of stream {id} after its end"));
    }
    envoy.settled(id);
    envoy.actions.push_back(Action::Reset(id));
    Status::Ok
}
