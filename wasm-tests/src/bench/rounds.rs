//! The turns, and what is made of their figures.

use std::time::Duration;

use load::{Load, Until};

use super::Options;
use super::machine::cpu_time;
use super::variants::Lineup;

/// What one turn of a variant came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// CPU time of Envoy per request, in microseconds.
    pub(super) cpu: f64,
    /// Answers a second.
    pub(super) rate: f64,
    /// The median latency, in milliseconds.
    pub(super) p50: f64,
    /// The latency that one in a hundred exceeds, in milliseconds.
    pub(super) p99: f64,
}

/// All turns of a variant, one for each round.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// See [`super::variants::Variant`].
    pub(super) key: &'static str,
    /// See [`super::variants::Variant`].
    pub(super) name: &'static str,
    /// By round.
    pub(super) turns: Vec<Turn>,
}

/// A median with the quartiles around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    /// A quarter is below.
    pub(super) low: f64,
    /// Half is below.
    pub(super) median: f64,
    /// Three quarters are below.
    pub(super) high: f64,
}

impl Spread {
    /// Of these.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let (place, rest) = (
                values.len().saturating_sub(1) * quarters / 4,
                values.len().saturating_sub(1) * quarters % 4,
            );
            let low = values.get(place).copied().unwrap_or(f64::NAN);
            let high = values.get(place + 1).copied().unwrap_or(low);
            low + (high - low) * f64::from(u8::try_from(rest).unwrap_or_default()) / 4.0
        };
        Self {
            low: at(1),
            median: at(2),
            high: at(3),
        }
    }
}

impl Measured {
    /// Of one figure of all turns.
    pub(super) fn spread(&self, figure: impl Fn(&Turn) -> f64) -> Spread {
        Spread::of(self.turns.iter().map(figure).collect())
    }

    /// Of the figure for two turns of the same round.
    pub(super) fn against(&self, other: &Self, figure: impl Fn(&Turn, &Turn) -> f64) -> Spread {
        let pairs = self.turns.iter().zip(&other.turns);
        Spread::of(pairs.map(|(own, theirs)| figure(own, theirs)).collect())
    }

    /// Of the CPU time as a multiple of the other's.
    pub(super) fn ratio(&self, other: &Self) -> Spread {
        self.against(other, |own, theirs| own.cpu / theirs.cpu)
    }
}

/// The variant of this key.
pub(super) fn find<'a>(all: &'a [Measured], key: &str) -> &'a Measured {
    let found = all.iter().find(|measured| measured.key == key);
    found.unwrap_or_else(|| panic!("no variant {key}"))
}

/// One turn against the Envoy that is this process.
pub(super) fn turn(load: &Load, process: u32, name: &str) -> Result<Turn, String> {
    let before = cpu_time(process)?;
    let outcome = load.run().map_err(|error| format!("{name}: {error}."))?;
    let spent = cpu_time(process)?.saturating_sub(before);
    if let Some(response) = outcome.unexpected {
        return Err(format!(
            "{name}: {} was expected, and this came:\n{response}",
            load.status
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let requests = outcome.requests as f64;
    let ms = |percent| f64::from(outcome.percentile(percent)) / 1_000.0;
    Ok(Turn {
        cpu: spent.as_secs_f64() * 1e6 / requests,
        rate: outcome.rate(),
        p50: ms(50),
        p99: ms(99),
    })
}

/// Gives each variant its turn, round for round; the Envoys are started anew
/// when a part of the rounds is over. The version of Envoy comes with it.
pub(super) fn measure(
    start: &dyn Fn() -> Result<Lineup, String>,
    options: &Options,
) -> Result<(Vec<Measured>, String), String> {
    let starts = options.starts.min(options.rounds);
    let mut measured: Vec<Measured> = Vec::new();
    let mut version = String::new();
    for part in 0..starts {
        let lineup = start()?;
        version = lineup.envoy_version();
        if measured.is_empty() {
            measured.extend(lineup.variants.iter().map(|variant| Measured {
                key: variant.key,
                name: variant.name,
                turns: Vec::with_capacity(options.rounds),
            }));
        }
        // Before the first round of each part: code, caches, connections.
        round(&lineup, 0, Duration::from_millis(300))?;
        let all = |part| options.rounds * part / starts;
        for number in all(part)..all(part + 1) {
            eprint!("\rround {} of {} ", number + 1, options.rounds);
            let turns = round(&lineup, number, options.turn)?;
            for (measured, turn) in measured.iter_mut().zip(turns) {
                measured.turns.push(turn);
            }
        }
    }
    eprintln!();
    Ok((measured, version))
}

/// A turn for each variant, in another order each round, and backwards every
/// other time.
fn round(lineup: &Lineup, number: usize, lasting: Duration) -> Result<Vec<Turn>, String> {
    let count = lineup.variants.len();
    let mut turns = vec![None; count];
    for place in 0..count {
        let place = if number.is_multiple_of(2) {
            place
        } else {
            count - 1 - place
        };
        let place = (place + number * 5) % count;
        let variant = &lineup.variants[place];
        let mut load = variant.load.clone();
        load.until = Until::Elapsed(lasting);
        turns[place] = Some(turn(&load, lineup.process(variant), variant.name)?);
    }
    Ok(turns.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]);
        let all = [spread.low, spread.median, spread.high].map(|value| format!("{value:.2}"));
        assert_eq!(all, ["2.00", "3.00", "4.00"]);
        let even = Spread::of(vec![1.0, 2.0]);
        assert_eq!(format!("{:.2} {:.2}", even.low, even.median), "1.25 1.50");
    }
}
