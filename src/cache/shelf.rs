//! A map that is bounded by entries and by bytes.

use core::hash::Hash;

use crate::hash::Map;

/// What keeping something did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Whether it was kept.
    pub(crate) inserted: bool,
    /// How many others had to go.
    pub(crate) evicted: usize,
}

/// Whether something that is kept may be used.
pub(crate) enum Freshness {
    /// It may.
    Fresh,
    /// Only where there is nothing better.
    Stale,
}

/// A map that is bounded by entries and by bytes. What has to go is chosen by
/// the clock algorithm: an entry that was used since the hand last came by
/// stays for another round.
#[derive(Debug)]
pub(crate) struct Shelf<K, V> {
    pub(super) entries: Vec<Entry<K, V>>,
    pub(super) places: Map<K, usize>,
    hand: usize,
    pub(super) weight: usize,
    max_entries: usize,
    max_weight: usize,
}

/// Something that is kept, and until when by the steady clock.
#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    /// What it is found by.
    pub(crate) key: K,
    /// What is kept.
    pub(crate) value: V,
    /// Until when it may be used.
    pub(crate) fresh_until: u64,
    /// Until when it is of any use.
    pub(crate) kept_until: u64,
    /// About how many bytes it takes.
    pub(crate) weight: usize,
    /// Whether it was used since the hand came by.
    pub(crate) used: bool,
}

impl<K: Copy + Eq + Hash, V> Shelf<K, V> {
    /// An empty one with these bounds.
    pub(crate) fn new(max_entries: usize, max_weight: usize) -> Self {
        Self {
            entries: Vec::new(),
            places: Map::default(),
            hand: 0,
            weight: 0,
            max_entries,
            max_weight,
        }
    }

    /// What is kept under this key.
    pub(crate) fn find(&mut self, key: &K, now_ms: u64) -> Option<(Freshness, &V)> {
        let place = *self.places.get(key)?;
        let entry = self.entries.get_mut(place)?;
        if now_ms < entry.fresh_until {
            entry.used = true;
            Some((Freshness::Fresh, &entry.value))
        } else if now_ms < entry.kept_until {
            Some((Freshness::Stale, &entry.value))
        } else {
            None
        }
    }

    /// Keeps this, if it is not too large, and lets others go for it.
    pub(crate) fn put(&mut self, entry: Entry<K, V>, now_ms: u64) -> Kept {
        self.remove(&entry.key);
        let mut kept = Kept::default();
        if entry.weight > self.max_weight {
            return kept;
        }
        while self.entries.len() >= self.max_entries
            || self.weight.saturating_add(entry.weight) > self.max_weight
        {
            if !self.evict(now_ms) {
                return kept;
            }
            kept.evicted = kept.evicted.saturating_add(1);
        }
        self.weight = self.weight.saturating_add(entry.weight);
        self.places.insert(entry.key, self.entries.len());
        self.entries.push(entry);
        kept.inserted = true;
        kept
    }

    /// Lets one entry go; false where there is none.
    fn evict(&mut self, now_ms: u64) -> bool {
        // In the first round each entry that was used is spared once, so the
        // second finds one.
        for _ in 0..=self.entries.len() {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let Some(entry) = self.entries.get_mut(self.hand) else {
                return false;
            };
            if entry.used && now_ms < entry.kept_until {
                entry.used = false;
                self.hand = self.hand.saturating_add(1);
            } else {
                let key = entry.key;
                self.remove(&key);
                return true;
            }
        }
        false
    }

    /// Lets this go.
    pub(crate) fn remove(&mut self, key: &K) {
        let Some(place) = self.places.remove(key) else {
            return;
        };
        if place < self.entries.len() {
            let gone = self.entries.swap_remove(place);
            self.weight = self.weight.saturating_sub(gone.weight);
        }
        // The last entry has moved to the free place.
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full: three of two bytes each, by number.
    fn shelf() -> Shelf<u32, ()> {
        let mut shelf = Shelf::new(3, 6);
        for key in [1, 2, 3] {
            assert!(shelf.put(entry(key, 1_000), 0).inserted);
        }
        shelf
    }

    fn entry(key: u32, kept_until: u64) -> Entry<u32, ()> {
        Entry {
            key,
            value: (),
            fresh_until: kept_until,
            kept_until,
            weight: 2,
            used: false,
        }
    }

    fn kept(shelf: &mut Shelf<u32, ()>) -> Vec<u32> {
        (1..9).filter(|key| shelf.find(key, 0).is_some()).collect()
    }

    #[test]
    fn the_hand_passes_what_was_used_and_takes_the_next() {
        let mut shelf = shelf();
        shelf.find(&1, 0);
        assert_eq!(shelf.put(entry(4, 1_000), 0).evicted, 1);
        assert_eq!(kept(&mut shelf), [1, 3, 4]);
        // All are used now: the second round takes where the first began.
        shelf.put(entry(5, 1_000), 0);
        assert_eq!(kept(&mut shelf), [1, 4, 5]);
    }

    #[test]
    fn what_is_of_no_use_any_more_is_not_passed() {
        let mut shelf = Shelf::new(2, 6);
        shelf.put(entry(1, 1_000), 0);
        shelf.put(entry(2, 1_000), 0);
        shelf.find(&1, 0);
        shelf.find(&2, 0);
        shelf.entries[1].kept_until = 50;
        shelf.put(entry(3, 1_000), 50);
        assert_eq!(kept(&mut shelf), [1, 3]);
    }

    #[test]
    fn what_fills_it_alone_is_kept() {
        let mut shelf = shelf();
        let heavy = Entry {
            weight: 6,
            ..entry(4, 1_000)
        };
        assert_eq!(shelf.put(heavy, 0).evicted, 3);
        assert_eq!(kept(&mut shelf), [4]);
    }
}
