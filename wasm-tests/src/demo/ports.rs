//! Where on the loopback address everything is.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// The first of the ports that are written in `envoy/envoy.yaml`.
pub const IN_SAMPLE: u16 = 18000;

/// The ports of one demonstration.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Envoy's, for clients.
    pub gateway: u16,
    /// The authorization server's.
    pub authorization_server: u16,
    /// The MCP server's.
    pub mcp_server: u16,
    /// Envoy's, for its operator.
    pub admin: u16,
}

/// The listeners of the servers that run here; Envoy opens its own.
pub struct Listeners {
    /// The authorization server's.
    pub authorization_server: TcpListener,
    /// The MCP server's.
    pub mcp_server: TcpListener,
}

impl Ports {
    /// Four ports from `base` on, or four free ones if it is 0.
    ///
    /// # Errors
    ///
    /// A sentence that names the port that is in use, and what to do.
    pub fn open(base: u16) -> Result<(Self, Listeners), String> {
        let mut open = Vec::new();
        let names = [
            "the gateway",
            "the authorization server",
            "the MCP server",
            "Envoy's admin page",
        ];
        for (offset, name) in (0..).zip(names) {
            let port = match base {
                0 => 0,
                _ => base
                    .checked_add(offset)
                    .ok_or("PORT is too high: take one up to 65532.")?,
            };
            open.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| match e.kind() {
                ErrorKind::AddrInUse => format!(
                    "port {port}, for {name}, is in use: end what listens there, or choose four other ports in a row with PORT, as in `make run PORT=19000`."
                ),
                _ => format!("port {port}, for {name}, cannot be opened: {e}."),
            })?);
        }
        let port = |at: usize| open[at].local_addr().map(|addr| addr.port());
        let ports = |e: std::io::Error| format!("a listener has no address: {e}.");
        let ports = Self {
            gateway: port(0).map_err(ports)?,
            authorization_server: port(1).map_err(ports)?,
            mcp_server: port(2).map_err(ports)?,
            admin: port(3).map_err(ports)?,
        };
        let mcp_server = open.swap_remove(2);
        let authorization_server = open.swap_remove(1);
        Ok((
            ports,
            Listeners {
                authorization_server,
                mcp_server,
            },
        ))
    }

    /// The sample with these ports: itself, or a copy in `dir`.
    pub(super) fn in_sample(self, sample: &Path, dir: &Path) -> Result<PathBuf, String> {
        if self.gateway == IN_SAMPLE {
            return Ok(sample.to_path_buf());
        }
        let mut text = std::fs::read_to_string(sample)
            .map_err(|e| format!("{} is unreadable: {e}.", sample.display()))?;
        let ports = [
            self.gateway,
            self.authorization_server,
            self.mcp_server,
            self.admin,
        ];
        // Via a name that is no number: a new port may be one of the old ones.
        for (old, at) in (IN_SAMPLE..).zip(0..ports.len()) {
            text = text.replace(&old.to_string(), &format!("@port{at}@"));
        }
        for (at, new) in ports.iter().enumerate() {
            text = text.replace(&format!("@port{at}@"), &new.to_string());
        }
        let copy = dir.join("envoy.yaml");
        std::fs::write(&copy, text)
            .map_err(|e| format!("{} cannot be written: {e}.", copy.display()))?;
        Ok(copy)
    }
}
