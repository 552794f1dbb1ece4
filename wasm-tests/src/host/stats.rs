//! Metrics, as Envoy keeps them for a module.

use std::collections::BTreeMap;

use super::status::Status;

/// The kinds of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Is set.
    Gauge,
    /// Collects values.
    Histogram,
}

/// One defined metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// The sum of a counter, the level of a gauge.
    pub value: u64,
    /// What a histogram was given.
    pub recorded: Vec<u64>,
}

/// All metrics by id.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// By id.
    metrics: BTreeMap<u32, Metric>,
    /// How many ids were given out.
    ids: u32,
}

impl Stats {
    /// Gives out a new id, even for a name that is known: definitions pile up in
    /// Envoy too.
    pub(super) fn define(&mut self, kind: u32, name: String) -> Result<u32, Status> {
        let kind = match kind {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Histogram,
            _ => return Err(Status::BadArgument),
        };
        self.ids = self.ids.saturating_add(1);
        self.metrics.insert(
            self.ids,
            Metric {
                name,
                kind,
                value: 0,
                recorded: Vec::new(),
            },
        );
        Ok(self.ids)
    }

    /// Adds to a counter or moves a gauge. A counter takes only what is above 0.
    pub(super) fn increment(&mut self, id: u32, offset: i64) -> Status {
        let Some(metric) = self.metrics.get_mut(&id) else {
            return Status::NotFound;
        };
        match metric.kind {
            Kind::Counter if offset > 0 => {}
            Kind::Gauge => {}
            Kind::Counter | Kind::Histogram => return Status::BadArgument,
        }
        metric.value = metric.value.saturating_add_signed(offset);
        Status::Ok
    }

    /// Sets a gauge, adds to a counter, gives a histogram a value.
    pub(super) fn record(&mut self, id: u32, value: u64) -> Status {
        let Some(metric) = self.metrics.get_mut(&id) else {
            return Status::NotFound;
        };
        match metric.kind {
            Kind::Counter => metric.value = metric.value.saturating_add(value),
            Kind::Gauge => metric.value = value,
            Kind::Histogram => metric.recorded.push(value),
        }
        Status::Ok
    }

    /// The level of a counter or gauge.
    pub(super) fn value(&self, id: u32) -> Result<u64, Status> {
        match self.metrics.get(&id) {
            None => Err(Status::NotFound),
            Some(metric) if metric.kind == Kind::Histogram => Err(Status::BadArgument),
            Some(metric) => Ok(metric.value),
        }
    }

    /// All metrics, those of the same name together.
    pub(super) fn snapshot(&self) -> BTreeMap<String, Metric> {
        let mut all = BTreeMap::<String, Metric>::new();
        for metric in self.metrics.values() {
            all.entry(metric.name.clone())
                .and_modify(|sum| {
                    sum.value = sum.value.saturating_add(metric.value);
                    sum.recorded.extend(&metric.recorded);
                })
                .or_insert_with(|| metric.clone());
        }
        all
    }
}
