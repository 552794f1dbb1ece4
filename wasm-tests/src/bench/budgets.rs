//! What the guard may cost, and whether it does.

use super::peers::PIECES;
use super::rounds::{Measured, Spread, find};
use super::scale::Scale;

/// One budget.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// What is bounded.
    pub(super) what: &'static str,
    /// The bound, in words.
    pub(super) bound: String,
    /// What was measured.
    pub(super) figure: String,
    /// Whether it is within the bound.
    pub(super) met: bool,
}

/// Compares what was measured with the budgets.
pub(super) fn judge(all: &[Measured], scale: Option<&Scale>) -> Vec<Budget> {
    let of = |key| find(all, key);
    let guard = of("guard");
    let mut budgets = Vec::new();
    let mut most = |what, bound: f64, spread: Spread, unit: &str| {
        budgets.push(Budget {
            what,
            bound: format!("at most {bound}{unit}"),
            figure: format!(
                "{:.2}{unit} ({:.2} to {:.2})",
                spread.median, spread.low, spread.high
            ),
            met: spread.median <= bound,
        });
    };
    let none = of("none");
    most("cached, of no filter", 1.35, guard.ratio(none), "");
    most("cached, of no filter: the aim", 1.20, guard.ratio(none), "");
    most(
        "cached, of ext_authz by HTTP",
        0.72,
        guard.ratio(of("ext_authz_http")),
        "",
    );
    most(
        "introspection each time, of Lua that does so",
        1.0,
        of("guard_cold").ratio(of("lua_each")),
        "",
    );
    most(
        "refused, of accepted",
        1.0,
        of("guard_refused").ratio(guard),
        "",
    );
    most(
        "900-byte token, of one of 43 bytes",
        1.1,
        of("guard_900").ratio(guard),
        "",
    );
    most(
        "a piece of an event stream, more than without",
        1.0,
        piece(all),
        " µs",
    );
    let rate = guard_far(all);
    budgets.push(Budget {
        what: "cached, throughput of ext_authz by HTTP with the server 5 ms away",
        bound: "at least 5 times".to_owned(),
        figure: format!(
            "{:.1} times ({:.1} to {:.1})",
            rate.median, rate.low, rate.high
        ),
        met: rate.median >= 5.0,
    });
    if let Some(scale) = scale {
        budgets.push(Budget {
            what: "10,000 and 100,000 cached tokens, of one",
            bound: "at most 1.1".to_owned(),
            figure: format!("{:.2}", scale.growth()),
            met: scale.growth() <= 1.1,
        });
        let [_, _, first, second] = scale.resident;
        budgets.push(Budget {
            what: "memory after floods of tokens",
            bound: "flat".to_owned(),
            figure: format!("{first}, {second} MB"),
            met: second <= first + 2,
        });
        if scale.cores_for_all {
            let [one, two] = scale.workers;
            budgets.push(Budget {
                what: "throughput of two workers, of one",
                bound: "at least 1.8 times".to_owned(),
                figure: format!("{:.2} times", two.rate / one.rate),
                met: two.rate / one.rate >= 1.8,
            });
        }
    }
    budgets
}

/// What a piece of a stream costs more than without a filter, in microseconds:
/// the difference of two streams, less the one of two plain requests.
pub(super) fn piece(all: &[Measured]) -> Spread {
    let of = |key| find(all, key);
    let heads = of("guard").against(of("none"), |own, theirs| own.cpu - theirs.cpu);
    let pieces = f64::from(u32::try_from(PIECES).unwrap_or(u32::MAX));
    of("guard_stream").against(of("none_stream"), |own, theirs| {
        (own.cpu - theirs.cpu - heads.median) / pieces
    })
}

/// The guard's throughput as a multiple of that of `ext_authz`, both with a
/// server that is 5 ms away.
fn guard_far(all: &[Measured]) -> Spread {
    find(all, "guard_far").against(find(all, "ext_authz_far"), |own, theirs| {
        own.rate / theirs.rate
    })
}
