//! The table: what was done, what was sent, what came back, and the verdict.

use std::fmt::Write as _;
use std::time::Duration;

use super::client::Tally;

/// A line of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The fault, or the load.
    pub what: String,
    /// What was sent.
    pub sent: String,
    /// What came back.
    pub came: String,
    /// The longest that anybody waited.
    pub worst: Duration,
    /// What is not as it should be.
    pub wrong: Vec<String>,
}

impl Row {
    /// A line about these answers.
    pub(super) fn of(what: impl Into<String>, tally: &Tally) -> Self {
        Self {
            what: what.into(),
            sent: tally.sent().to_string(),
            came: tally.to_string(),
            worst: tally.worst,
            wrong: tally.wrong.clone(),
        }
    }

    /// With one more condition, and what is to be said where it does not hold.
    #[must_use]
    pub(super) fn expect(mut self, holds: bool, wrong: impl FnOnce() -> String) -> Self {
        if !holds {
            self.wrong.push(wrong());
        }
        self
    }

    /// With a limit for how long anybody may wait.
    #[must_use]
    pub(super) fn within(self, bound: Duration) -> Self {
        let worst = self.worst;
        self.expect(worst <= bound, || {
            format!("somebody waited {worst:.1?}, and {bound:?} is the bound")
        })
    }

    /// With another note about what came.
    #[must_use]
    pub(super) fn note(mut self, text: impl AsRef<str>) -> Self {
        if !self.came.is_empty() {
            self.came.push_str("; ");
        }
        self.came.push_str(text.as_ref());
        self
    }
}

/// All of them, as Markdown. Writing to a string does not fail.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| fault or load | sent | what came back | worst | verdict |\n\
         | --- | ---: | --- | ---: | --- |\n",
    );
    for row in rows {
        let verdict = if row.wrong.is_empty() {
            "right".to_owned()
        } else {
            format!("**wrong**: {}", row.wrong.join("; "))
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {:.2} s | {verdict} |",
            row.what,
            row.sent,
            row.came,
            row.worst.as_secs_f64(),
        );
    }
    table
}

/// How many are not as they should be.
pub(super) fn wrong(rows: &[Row]) -> usize {
    rows.iter().filter(|row| !row.wrong.is_empty()).count()
}
