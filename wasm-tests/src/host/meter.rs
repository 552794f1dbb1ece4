//! What a module did: entries into it, hostcalls, fuel.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Counts, by name where there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// How often the host called the module, by export. The calls by which the
    /// host gets memory for a result are not in it.
    pub entries: BTreeMap<&'static str, u64>,
    /// How often the module called the host, by function, WASI included.
    pub hostcalls: BTreeMap<&'static str, u64>,
    /// Those that returned data, for which the host had to call the module back
    /// for memory.
    pub data_hostcalls: BTreeMap<&'static str, u64>,
    /// Fuel used: a measure of the instructions executed.
    pub fuel: u64,
    /// The same by export that was entered.
    pub fuel_by_entry: BTreeMap<&'static str, u64>,
}

impl Meter {
    /// Entries of all exports.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.entries.values().sum()
    }

    /// Hostcalls of all names.
    #[must_use]
    pub fn hostcall_count(&self) -> u64 {
        self.hostcalls.values().sum()
    }

    /// Hostcalls of all names that returned data.
    #[must_use]
    pub fn data_hostcall_count(&self) -> u64 {
        self.data_hostcalls.values().sum()
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = |now: &BTreeMap<&'static str, u64>, then: &BTreeMap<&'static str, u64>| {
            now.iter()
                .map(|(name, n)| (*name, n.saturating_sub(*then.get(name).unwrap_or(&0))))
                .filter(|(_, n)| *n > 0)
                .collect()
        };
        Self {
            entries: difference(&self.entries, &earlier.entries),
            hostcalls: difference(&self.hostcalls, &earlier.hostcalls),
            data_hostcalls: difference(&self.data_hostcalls, &earlier.data_hostcalls),
            fuel: self.fuel.saturating_sub(earlier.fuel),
            fuel_by_entry: difference(&self.fuel_by_entry, &earlier.fuel_by_entry),
        }
    }

    /// The four sums, as a budget file has them.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "entries": self.entry_count(),
            "hostcalls": self.hostcall_count(),
            "data_hostcalls": self.data_hostcall_count(),
            "fuel": self.fuel,
        })
    }

    /// Counts fuel that one entry used.
    pub(super) fn burn(&mut self, export: &'static str, fuel: u64) {
        self.fuel = self.fuel.saturating_add(fuel);
        let n = self.fuel_by_entry.entry(export).or_default();
        *n = n.saturating_add(fuel);
    }

    /// Counts one of `name` in `counts`.
    pub(super) fn count(counts: &mut BTreeMap<&'static str, u64>, name: &'static str) {
        let n = counts.entry(name).or_default();
        *n = n.saturating_add(1);
    }
}
