//! What the parser asks for at a place of the configuration, in the words of
//! [`Reader::ask`](super::cursor::Reader::ask).

use core::ops::RangeInclusive;
use core::time::Duration;

use super::quantity::{ShownDuration, ShownSize};

/// One question that was asked of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Count(usize, usize),
    /// To be there once in its list.
    Distinct,
    /// A duration within bounds, as they are written.
    Duration(String, String),
    /// An object whose keys the operator chooses.
    Entries,
    /// An object that may have this key.
    Known(&'static str),
    /// A list.
    List,
    /// An object whose keys are given.
    Object,
    /// A string that is taken as it stands.
    Plain,
    /// An object that must have this key.
    Required(&'static str),
    /// A size within bounds, as they are written.
    Size(String, String),
    /// A string with environment variables in it.
    Template,
    /// One of these words.
    Words(Vec<String>),
}

impl Asked {
    /// A duration within these bounds.
    pub(super) fn duration(bounds: &RangeInclusive<Duration>) -> Self {
        let shown = |bound: &Duration| ShownDuration(*bound).to_string();
        Self::Duration(shown(bounds.start()), shown(bounds.end()))
    }

    /// A size within these bounds.
    pub(super) fn size(bounds: &RangeInclusive<usize>) -> Self {
        let shown = |bound: &usize| ShownSize(*bound).to_string();
        Self::Size(shown(bounds.start()), shown(bounds.end()))
    }

    /// One of these words.
    pub(super) fn words<T>(words: &[(&str, T)]) -> Self {
        Self::Words(words.iter().map(|(word, _)| (*word).to_owned()).collect())
    }
}
