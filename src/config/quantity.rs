//! Durations, sizes and counts, each within bounds.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::asked::Asked;
use super::cursor::{Node, Reader};
use crate::json;

impl Node<'_> {
    /// A duration such as `"30s"`, `"250ms"`, `"2m"` or `"1h"`.
    pub(super) fn duration(
        &self,
        reader: &mut Reader<'_>,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        reader.ask(&self.path, || Asked::duration(&bounds));
        self.quantity(reader, &bounds, duration, |value| ShownDuration(*value))
    }

    /// A size such as `"512B"`, `"256KiB"` or `"16MiB"`.
    pub(super) fn size(
        &self,
        reader: &mut Reader<'_>,
        bounds: RangeInclusive<usize>,
    ) -> Option<usize> {
        reader.ask(&self.path, || Asked::size(&bounds));
        self.quantity(reader, &bounds, size, |value| ShownSize(*value))
    }

    /// A whole number.
    pub(super) fn count(
        &self,
        reader: &mut Reader<'_>,
        bounds: RangeInclusive<usize>,
    ) -> Option<usize> {
        reader.ask(&self.path, || Asked::Count(*bounds.start(), *bounds.end()));
        let count = self.number().and_then(count);
        let count = count.filter(|count| bounds.contains(count));
        if count.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            reader.report(
                &self.path,
                format_args!("must be a whole number from {least} to {most}"),
            );
        }
        count
    }

    fn quantity<T: PartialOrd, S: fmt::Display>(
        &self,
        reader: &mut Reader<'_>,
        bounds: &RangeInclusive<T>,
        read: impl FnOnce(&str) -> Option<T>,
        show: impl Fn(&T) -> S,
    ) -> Option<T> {
        let value = self.string(reader).map(read)?;
        let value = value.filter(|value| bounds.contains(value));
        if value.is_none() {
            let (least, most) = (show(bounds.start()), show(bounds.end()));
            reader.report(
                &self.path,
                format_args!("must be from \"{least}\" to \"{most}\", as a number and a unit"),
            );
        }
        value
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = amount(text)?;
    let factor = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    number.checked_mul(factor).map(Duration::from_secs)
}

fn size(text: &str) -> Option<usize> {
    let (number, unit) = amount(text)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => 1_024,
        "MiB" => 1_048_576,
        _ => return None,
    };
    number
        .checked_mul(factor)
        .and_then(|bytes| usize::try_from(bytes).ok())
}

/// Digits, and what stands behind them.
fn amount(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    number.parse().ok().map(|number| (number, unit))
}

fn count(number: f64) -> Option<usize> {
    json::whole(number)?.try_into().ok()
}

/// A bound as it is written in a configuration.
pub(super) struct ShownDuration(pub(super) Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        match (seconds, seconds.checked_rem(60), seconds.checked_rem(3_600)) {
            (0, _, _) if millis != 0 => write!(f, "{millis}ms"),
            (1.., _, Some(0)) => write!(f, "{}h", seconds.div_euclid(3_600)),
            (1.., Some(0), _) => write!(f, "{}m", seconds.div_euclid(60)),
            (_, _, _) => write!(f, "{seconds}s"),
        }
    }
}

/// A bound as it is written in a configuration.
pub(super) struct ShownSize(pub(super) usize);

impl fmt::Display for ShownSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1_048_576 {
            write!(f, "{}KiB", self.0.div_euclid(1_024))
        } else {
            write!(f, "{}MiB", self.0.div_euclid(1_048_576))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, value) in [
            ("0s", Some(Duration::ZERO)),
            ("250ms", Some(Duration::from_millis(250))),
            ("30s", Some(Duration::from_secs(30))),
            ("2m", Some(Duration::from_secs(120))),
            ("1h", Some(Duration::from_secs(3_600))),
        ] {
            assert_eq!(duration(text), value, "{text}");
        }
        for text in [
            "",
            "0",
            "30",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1e3s",
            " 1s",
            "1s ",
            "1 s",
            "1S",
            "1d",
            "1m30s",
            "18446744073709551616s",
            "18446744073709551615h",
            "1µs",
            "١s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        for (text, value) in [
            ("512B", Some(512)),
            ("256KiB", Some(262_144)),
            ("16MiB", Some(16_777_216)),
        ] {
            assert_eq!(size(text), value, "{text}");
        }
        for text in [
            "",
            "1",
            "KiB",
            "1KB",
            "1kib",
            "1 KiB",
            "-1B",
            "1GiB",
            "99999999999999MiB",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn counts_are_whole_numbers() {
        assert_eq!(count(8_192.0), Some(8_192));
        assert_eq!(count(0.0), Some(0));
        for number in [0.5, -1.0, 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(count(number), None, "{number}");
        }
    }

    #[test]
    fn bounds_are_shown_as_they_are_written() {
        for (value, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(10), "10ms"),
            (Duration::from_secs(1), "1s"),
            (Duration::from_secs(30), "30s"),
            (Duration::from_secs(120), "2m"),
            (Duration::from_secs(86_400), "24h"),
        ] {
            assert_eq!(ShownDuration(value).to_string(), text);
        }
        assert_eq!(ShownSize(65_536).to_string(), "64KiB");
        assert_eq!(ShownSize(8 << 20).to_string(), "8MiB");
    }
}
