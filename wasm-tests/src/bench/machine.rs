//! What the figures were measured on, and the CPU time of a process there.

use std::fs;
use std::time::{Duration, SystemTime};

/// What the figures depend on.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// The day, as `2026-11-24`.
    pub(super) date: String,
    /// The model of its CPU.
    pub(super) cpu: String,
    /// How many cores there are.
    pub(super) cores: usize,
    /// The load average of the last minute before the run.
    pub(super) load: String,
}

impl Machine {
    /// Looks at this one.
    pub(super) fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            date: date(since.unwrap_or_default().as_secs() / 86_400),
            cpu: model.map_or("unknown", |(_, model)| model).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load.split(' ').next().unwrap_or("?").to_owned(),
        }
    }
}

/// The day so many days after 1970-01-01.
fn date(mut days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

/// The CPU time, user and system, that all threads of a process have had. The
/// kernel's own count in nanoseconds, or where it has none the one in ticks.
pub(super) fn cpu_time(process: u32) -> Result<Duration, String> {
    let failed = |error: std::io::Error| format!("the CPU time of Envoy is unknown: {error}.");
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{process}/task")).map_err(failed)? {
        let file = task.map_err(failed)?.path().join("schedstat");
        let Ok(text) = fs::read_to_string(file) else {
            return ticks(process);
        };
        let first = text
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        total += Duration::from_nanos(first.ok_or("schedstat is not as expected.")?);
    }
    Ok(total)
}

/// The same from `/proc/PID/stat`, in hundredths of a second.
fn ticks(process: u32) -> Result<Duration, String> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))
        .map_err(|error| format!("the CPU time of Envoy is unknown: {error}."))?;
    // The name of the program may have spaces in it; fields 14 and 15 count.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let mut fields = behind.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    match (next(), next()) {
        (Some(user), Some(system)) => Ok(Duration::from_millis((user + system) * 10)),
        _ => Err("/proc/PID/stat is not as expected.".to_owned()),
    }
}

/// The memory of a process that is in RAM, in megabytes.
pub(crate) fn resident(process: u32) -> Result<u64, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))
        .map_err(|error| format!("the memory of Envoy is unknown: {error}."))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .and_then(|kb| kb.parse::<u64>().ok())
        .map(|kb| kb / 1_024)
        .ok_or_else(|| "/proc/PID/status is not as expected.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_781), "2026-11-24");
    }

    #[test]
    fn this_process_takes_time_and_memory() {
        let id = std::process::id();
        // A kernel may count in hundredths of a second only, and the time of
        // threads that have ended is not in the sum: work until some is seen,
        // as long as that may take on a busy machine.
        let until = Instant::now() + Duration::from_secs(60);
        let seen = || {
            while Instant::now() < until {
                if cpu_time(id).unwrap() > Duration::ZERO {
                    return true;
                }
            }
            false
        };
        assert!(seen(), "no CPU time is counted");
        assert!(ticks(id).is_ok() && resident(id).unwrap() > 0);
    }
}
