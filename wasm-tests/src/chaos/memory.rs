//! The memory of the Envoy process while something goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::bench::machine::resident;
use crate::envoy::Envoy;

/// Megabytes that come and go by themselves.
pub(super) const NOISE: u64 = 24;

/// What it has now, in megabytes.
///
/// # Errors
/// When the kernel does not say.
pub(super) fn now(envoy: &Envoy) -> Result<u64, String> {
    resident(envoy.id())
}

/// Looks again and again.
#[derive(Debug)]
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u64>>,
}

impl Watch {
    /// Looks every so often from now on.
    pub(super) fn start(envoy: &Envoy, every: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (id, told) = (envoy.id(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            while !told.load(Ordering::SeqCst) {
                seen.extend(resident(id));
                thread::sleep(every);
            }
            seen
        });
        Self { stop, thread }
    }

    /// All that it has seen, in order; at least once.
    pub(super) fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("a look at memory")
    }
}

/// The mean of these.
pub(super) fn mean(of: &[u64]) -> u64 {
    of.iter().sum::<u64>() / u64::try_from(of.len()).unwrap_or(1).max(1)
}
