//! The scenarios themselves, by what they are about.

mod access;
mod answers;
mod cache;
mod faults;
mod indifferent;
mod introspection;
mod leaks;
mod metadata;
mod origin;
mod passthrough;
mod replies;
mod sessions;
mod tokens;

use super::Scenario;

/// All scenarios. Names are unique.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    [
        tokens::scenarios(),
        replies::scenarios(),
        introspection::scenarios(),
        faults::scenarios(),
        cache::scenarios(),
        access::scenarios(),
        metadata::scenarios(),
        origin::scenarios(),
        passthrough::scenarios(),
        leaks::scenarios(),
        answers::scenarios(),
        sessions::scenarios(),
        indifferent::scenarios(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::scenarios;

    #[test]
    fn names_are_unique_and_every_scenario_proves_something() {
        let mut names = BTreeSet::new();
        for scenario in scenarios() {
            assert!(names.insert(scenario.name), "{} twice", scenario.name);
            assert!(
                !scenario.proves.is_empty(),
                "{} proves nothing",
                scenario.name
            );
            assert!(!scenario.steps.is_empty(), "{} has no step", scenario.name);
            assert!(scenario.steps.iter().all(|step| step.expect.status != 0));
        }
    }

    #[test]
    fn a_name_of_a_configuration_means_one_configuration() {
        let mut seen = BTreeMap::new();
        for scenario in scenarios() {
            let value = scenario.configuration.value();
            let known = seen
                .entry(scenario.configuration.name)
                .or_insert_with(|| value.clone());
            assert_eq!(*known, value, "{}", scenario.configuration.name);
        }
    }
}
