//! A set of nodes as bits: one per node of the node list, so that availability costs addresses × nodes / 8 bytes.

use crate::model::Pnn;
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// A set of node numbers. Serializes as the ascending list of its numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeSet {
    /// Bit `n % 64` of word `n / 64` is node n. The last word is never zero, so that equal sets are equal values.
    words: Vec<u64>,
}

impl NodeSet {
    /// Adds a node.
    pub fn insert(&mut self, pnn: Pnn) {
        let word = pnn.index() / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (pnn.index() % 64);
    }

    /// Takes a node out.
    pub fn remove(&mut self, pnn: Pnn) {
        if let Some(word) = self.words.get_mut(pnn.index() / 64) {
            *word &= !(1 << (pnn.index() % 64));
        }
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    /// Whether the node is in the set.
    #[must_use]
    pub fn contains(&self, pnn: Pnn) -> bool {
        self.words.get(pnn.index() / 64).is_some_and(|w| w & (1 << (pnn.index() % 64)) != 0)
    }

    /// Whether there is no node in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Number of nodes in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether the two sets have a node in common.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// The nodes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Pnn> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            // Each step clears the lowest bit that is left.
            std::iter::successors(Some(word), |w| Some(w & w.wrapping_sub(1)))
                .take_while(|w| *w != 0)
                .map(move |w| Pnn(i as u32 * 64 + w.trailing_zeros()))
        })
    }
}

impl FromIterator<Pnn> for NodeSet {
    fn from_iter<I: IntoIterator<Item = Pnn>>(nodes: I) -> Self {
        let mut set = Self::default();
        nodes.into_iter().for_each(|n| set.insert(n));
        set
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|n| n.0)).finish()
    }
}

impl Serialize for NodeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for NodeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Pnn>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_across_words() {
        let set: NodeSet = [70, 0, 63, 64, 0].map(Pnn).into_iter().collect();
        assert_eq!(set.iter().map(|n| n.0).collect::<Vec<_>>(), [0, 63, 64, 70]);
        assert_eq!(set.len(), 4);
        assert!(set.contains(Pnn(64)) && !set.contains(Pnn(65)) && !set.contains(Pnn(4000)));
        assert_eq!(serde_json::to_string(&set).unwrap(), "[0,63,64,70]");
        assert_eq!(serde_json::from_str::<NodeSet>("[70,64,63,0]").unwrap(), set);
    }

    #[test]
    fn equal_sets_are_equal_values_after_removal() {
        let mut set: NodeSet = [1, 200].map(Pnn).into_iter().collect();
        set.remove(Pnn(200));
        set.remove(Pnn(900));
        assert_eq!(set, NodeSet::from_iter([Pnn(1)]));
        set.remove(Pnn(1));
        assert!(set.is_empty());
        assert!(!set.intersects(&NodeSet::from_iter([Pnn(1)])));
    }
}
