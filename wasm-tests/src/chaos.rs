//! `make chaos`: faults, floods, hostile bytes and reconfiguration in real
//! Envoy, and a table of what came of each.
//!
//! Every part starts its own Envoy, does harm, and judges by what clients,
//! authorization server and upstream saw on the wire. Other requests go on all
//! the while and have to succeed. The short form of the same code is a test.

mod bystanders;
mod client;
mod death;
mod faults;
mod floods;
mod memory;
mod report;
mod soak;
mod updates;
mod wild;
mod world;

use std::sync::{Mutex, PoisonError};

use crate::module;

pub use report::Row;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What fits into a test.
    Short,
    /// As much as is asked for.
    Long,
}

impl Extent {
    /// This much, or that much.
    fn of<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// A part of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Does it. A sentence when it could not be done at all.
    pub run: fn(Extent) -> Result<Vec<Row>, String>,
}

/// All of them, in order.
pub const PARTS: &[Part] = &[
    Part {
        name: "faults",
        run: faults::run,
    },
    Part {
        name: "floods",
        run: floods::run,
    },
    Part {
        name: "updates",
        run: updates::run,
    },
    Part {
        name: "death",
        run: death::run,
    },
    Part {
        name: "soak",
        run: soak::run,
    },
];

/// Does the parts of these names, or all where there is none, and prints the
/// table.
///
/// # Errors
/// A sentence for what went wrong.
pub fn run(names: &[String], extent: Extent) -> Result<(), String> {
    if let Some(unknown) = names
        .iter()
        .find(|name| PARTS.iter().all(|part| part.name != **name))
    {
        let known: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        let known = known.join(", ");
        return Err(format!("there is no part {unknown}; there are {known}."));
    }
    module::path();
    let mut rows = Vec::new();
    for part in PARTS {
        if names.is_empty() || names.iter().any(|name| name == part.name) {
            eprintln!("{} ...", part.name);
            rows.extend((part.run)(extent)?);
        }
    }
    println!("\n{}", report::table(&rows));
    match report::wrong(&rows) {
        0 => Ok(()),
        wrong => Err(format!(
            "{wrong} of {} rows are not as they should be.",
            rows.len()
        )),
    }
}

/// Does a part in its short form, for a test.
///
/// # Panics
/// When a row of its table is not as it should be.
pub fn check(name: &str) {
    // One after the other: they would be each other's load.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let part = PARTS.iter().find(|part| part.name == name);
    let part = part.expect("a part of this name");
    let rows = (part.run)(Extent::Short).unwrap_or_else(|sentence| panic!("{sentence}"));
    let table = report::table(&rows);
    println!("{table}");
    assert!(!rows.is_empty());
    assert_eq!(report::wrong(&rows), 0, "{name}:\n{table}");
}
