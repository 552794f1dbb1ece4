//! The hash of the maps: a few instructions a key.
//!
//! The standard library's `SipHash` takes some hundred for each of the eight
//! look-ups of a request. It has to stand up to keys that are chosen to
//! collide; ours are digests, of which one can be chosen only by trying, and
//! numbers of the host's and words of our own, which nobody chooses.

use core::hash::{BuildHasher, Hasher};
use std::collections::HashMap;
use std::hash::RandomState;

/// A map under this hash.
pub(crate) type Map<K, V> = HashMap<K, V, Seed>;

/// A secret of the map, with which every hash begins: which digests share a
/// place cannot be worked out beforehand. For those that always do, 45 bits
/// have to be the same, and trying costs as many hashes for each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

/// A hash in the making.
#[derive(Debug)]
pub(crate) struct Mixer(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8))
    }
}

impl BuildHasher for Seed {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(self.0)
    }
}

/// Odd, and without a pattern: the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u64((*byte).into());
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(SPREAD);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A map takes the place from the low bits and tells neighbours apart by
    /// the seven highest: both have to be spread, whatever the keys look like.
    #[test]
    fn numbers_in_a_row_and_multiples_are_spread() {
        let seed = Seed::default();
        for step in [1_u64, 2, 64, 4_096, 1 << 32] {
            let mut places = [0_u32; 64];
            let mut tags = [0_u32; 64];
            for n in 0..4_096_u64 {
                let hash = seed.hash_one(n * step);
                places[usize::try_from(hash % 64).unwrap()] += 1;
                tags[usize::try_from(hash >> 58).unwrap()] += 1;
            }
            for count in places.into_iter().chain(tags) {
                assert!((16..=192).contains(&count), "{count} of 4,096 by {step}");
            }
        }
    }

    #[test]
    fn words_are_told_apart_and_seeds_differ() {
        let seed = Seed::default();
        let words = [
            "hit",
            "miss",
            "wait",
            "allowed",
            "introspection_failed",
            "inactive",
        ];
        let hashes: HashSet<u64> = words.iter().map(|word| seed.hash_one(word)).collect();
        assert_eq!(hashes.len(), words.len());
        assert_ne!(seed.hash_one("hit"), Seed::default().hash_one("hit"));
    }
}
