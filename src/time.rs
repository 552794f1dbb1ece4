//! The time, as an argument.

/// One moment, on both clocks of the host.
///
/// The wall clock is compared with `exp` and `nbf`; it may step. How long an
/// answer is kept is measured on the clock that does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// Milliseconds since some moment.
    pub steady_ms: u64,
}

impl Now {
    /// Seconds since 1970, as `exp` counts them.
    pub(crate) fn unix_seconds(self) -> f64 {
        core::time::Duration::from_millis(self.wall_ms).as_secs_f64()
    }

    /// Both clocks at this second, for tests.
    #[cfg(test)]
    pub(crate) fn at_seconds(seconds: u64) -> Self {
        let ms = seconds.saturating_mul(1_000);
        Self {
            wall_ms: ms,
            steady_ms: ms,
        }
    }
}
