//! Real Envoy, with whatever configuration a test puts together.
//!
//! [`Setup`] collects the pieces, [`Setup::start`] starts Envoy on free ports
//! of loopback and waits until it is ready. The [`Envoy`] ends its child on
//! drop, also when a test panics.

mod bench;
mod bootstrap;
pub mod pieces;
mod process;
mod roles;
mod sent;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use bench::{Bench, Surroundings, now};
pub use process::{Envoy, NotStarted};
pub use roles::Arrangement;
pub use sent::Sent;

use crate::certificate::Certificate;
use crate::client;
use crate::peers::PATIENCE;
use crate::scenario::{self, request};

/// What an Envoy is to be started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The HTTP filters of the listener, the router left out.
    pub filters: Vec<Value>,
    /// The routes of the one virtual host, in order.
    pub routes: Vec<Value>,
    /// The clusters.
    pub clusters: Vec<Value>,
    /// Worker threads.
    pub workers: usize,
    /// Envoy's log level.
    pub log_level: &'static str,
    /// Log levels of single components, as Envoy's command line has them.
    pub component_log_levels: Option<&'static str>,
    /// How long a stream may be idle while it has no route of its own.
    pub stream_idle_timeout: &'static str,
    /// Options of the connection manager, for those that it would have.
    pub manager: Value,
    /// The certificate of those connections that begin with TLS; without one
    /// all are in the clear.
    pub certificate: Option<Certificate>,
    /// The environment of Envoy, and with it of the VM.
    pub environment: Vec<(String, String)>,
    /// Changes to the bootstrap as a whole, the last thing before the start.
    pub patches: Vec<fn(&mut Value)>,
    /// The port of the listener; 0 is any that is free.
    pub port: u16,
    /// Where Envoy reads the listener from, and follows what is written there.
    pub listener_file: Option<PathBuf>,
}

impl Setup {
    /// An Envoy with no filter, no route and no cluster, and with the
    /// environment of the scenarios.
    pub fn new() -> Self {
        let known = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            filters: Vec::new(),
            routes: Vec::new(),
            clusters: Vec::new(),
            workers: 1,
            log_level: "info",
            component_log_levels: None,
            stream_idle_timeout: "10s",
            manager: json!({}),
            certificate: None,
            environment: scenario::ENVIRONMENT.iter().map(known).collect(),
            patches: Vec::new(),
            port: 0,
            listener_file: None,
        }
    }

    /// With one more HTTP filter, behind those before.
    #[must_use]
    pub fn filter(mut self, filter: Value) -> Self {
        self.filters.push(filter);
        self
    }

    /// With one more route, behind those before.
    #[must_use]
    pub fn route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// With one more cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: Value) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// With so many worker threads.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// With another log level.
    #[must_use]
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// With other log levels for some components, such as `wasm:trace`.
    #[must_use]
    pub fn component_log_levels(mut self, levels: &'static str) -> Self {
        self.component_log_levels = Some(levels);
        self
    }

    /// With TLS for the connections that begin with it, by this certificate.
    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// With a change to the whole bootstrap.
    #[must_use]
    pub fn patch(mut self, patch: fn(&mut Value)) -> Self {
        self.patches.push(patch);
        self
    }

    /// Writes the listener to [`Setup::listener_file`], where an Envoy that runs
    /// takes it up.
    ///
    /// # Errors
    /// When it cannot be written, or there is no such file.
    pub fn write_listener(&self, version: &str) -> io::Result<()> {
        let Some(file) = &self.listener_file else {
            return Err(io::Error::other("the listener is not in a file"));
        };
        let next = file.with_extension("next");
        std::fs::write(&next, bootstrap::discovery(self, version).to_string())?;
        // Envoy looks when a file is moved there, and never sees half of one.
        std::fs::rename(next, file)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// With the end of the log, when Envoy does not come up.
    #[must_use]
    pub fn start(&self) -> Envoy {
        self.try_start().unwrap_or_else(|not| panic!("{not}"))
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When Envoy ends, or is not ready in time.
    pub fn try_start(&self) -> Result<Envoy, NotStarted> {
        Envoy::start(&bootstrap::compose(self), self)
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Envoy {
    /// What the admin interface answers to a GET.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn admin(&self, path: &str) -> io::Result<String> {
        let response = client::send(
            self.admin_address(),
            client::Protocol::Http1,
            &request("GET", path).to("admin"),
        )?;
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    /// The value of a counter or gauge; 0 while there is none.
    ///
    /// # Panics
    /// When the admin interface does not answer.
    pub fn stat(&self, name: &str) -> u64 {
        let all = self.admin("/stats").expect("stats");
        all.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
            .unwrap_or(0)
    }

    /// Waits until a counter or gauge is so.
    ///
    /// # Panics
    /// When that has not come within [`PATIENCE`].
    pub fn wait_stat(&self, name: &str, so: impl Fn(u64) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !so(self.stat(name)) {
            let value = self.stat(name);
            assert!(
                Instant::now() < end,
                "waited in vain for {name}, which is {value}"
            );
            sleep(Duration::from_millis(5));
        }
    }

    /// Where the listener is.
    pub fn address(&self) -> SocketAddr {
        self.listener_address()
    }
}
