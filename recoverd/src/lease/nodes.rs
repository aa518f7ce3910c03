//! Who counts: the nodes list in force, the one before it, and quorums in both (d22).

use crate::model::Pnn;
use std::collections::BTreeSet;

/// The change from one list to another, as a hash.
pub(super) fn change(from: u64, to: u64) -> u64 {
    (from.rotate_left(1) ^ to).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The nodes lists.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    /// Hash of the list in force.
    pub(super) hash: u64,
    now: BTreeSet<Pnn>,
    before: Vec<(u64, BTreeSet<Pnn>)>,
    /// Every change from one list to the next that this daemon knows, settled or not.
    changes: BTreeSet<u64>,
    everyone: Vec<Pnn>,
}

impl Lists {
    pub(super) fn new(hash: u64, nodes: &[Pnn]) -> Self {
        let everyone: BTreeSet<Pnn> = nodes.iter().copied().collect();
        Self {
            hash,
            everyone: everyone.iter().copied().collect(),
            now: everyone,
            before: Vec::new(),
            changes: BTreeSet::new(),
        }
    }

    /// A list that was in force before and may still be for others.
    pub(super) fn also(&mut self, hash: u64, nodes: BTreeSet<Pnn>) {
        if hash != self.hash {
            self.before.push((hash, nodes));
            self.changes.insert(change(hash, self.hash));
            self.gather();
        }
    }

    /// A new list takes force; the present one still counts until [`Self::settle`] (d22).
    pub(super) fn replace(&mut self, hash: u64, nodes: &[Pnn], both: bool) {
        let old = std::mem::replace(&mut self.now, nodes.iter().copied().collect());
        let old_hash = std::mem::replace(&mut self.hash, hash);
        self.before.retain(|(h, _)| *h != hash && *h != old_hash);
        if both && old_hash != hash {
            self.before.push((old_hash, old));
            self.changes.insert(change(old_hash, hash));
        }
        self.gather();
    }

    /// Nobody can act on an older list any more. Whether one counted until now.
    pub(super) fn settle(&mut self) -> bool {
        let open = !self.before.is_empty();
        if open {
            self.before.clear();
            self.gather();
        }
        open
    }

    /// Whether this hash is of a list that counts here, or of a change that this daemon knows.
    pub(super) fn knows(&self, hash: u64) -> bool {
        hash == self.hash || self.before.iter().any(|(h, _)| *h == hash) || self.changes.contains(&hash)
    }

    /// For the lock's record: the list in force, or the change to it while an older one counts. Who knows only one of the two could not
    /// count in both, and must let the lock go.
    pub(super) fn recorded(&self) -> u64 {
        self.before.last().map_or(self.hash, |(h, _)| change(*h, self.hash))
    }

    /// A majority of each list before.
    pub(super) fn majority_before(&self, has: impl Fn(Pnn) -> bool) -> bool {
        self.before.iter().all(|(_, l)| l.iter().filter(|p| has(**p)).count() > l.len() / 2)
    }

    /// Nodes of all lists, in order.
    pub(super) fn everyone(&self) -> &[Pnn] {
        &self.everyone
    }

    fn gather(&mut self) {
        let old = self.before.iter().flat_map(|(_, l)| l.iter());
        let all: BTreeSet<Pnn> = self.now.iter().chain(old).copied().collect();
        self.everyone = all.into_iter().collect();
    }

    /// ⌊N/2⌋+1 of each list: enough to grant.
    pub(super) fn majority(&self, has: impl Fn(Pnn) -> bool) -> bool {
        self.each(|n, all| n > all / 2, has)
    }

    /// ⌈N/2⌉ of each list: enough to forbid; meets every majority.
    pub(super) fn promise_quorum(&self, has: impl Fn(Pnn) -> bool, exact: bool) -> bool {
        self.each(|n, all| n >= if exact { all.div_ceil(2) } else { all / 2 }, has)
    }

    /// All nodes of both lists.
    pub(super) fn all(&self, has: impl Fn(Pnn) -> bool) -> bool {
        self.each(|n, all| n == all, has)
    }

    /// The place of a node in the list after another one: the next in line is 0.
    pub(super) fn rank_after(&self, of: Pnn, after: Pnn) -> u64 {
        let ahead = |p: &&Pnn| if after < of { **p > after && **p < of } else { **p > after || **p < of };
        self.now.iter().filter(ahead).count() as u64
    }

    fn each(&self, enough: impl Fn(usize, usize) -> bool, has: impl Fn(Pnn) -> bool) -> bool {
        let ok = |l: &BTreeSet<Pnn>| enough(l.iter().filter(|p| has(**p)).count(), l.len());
        ok(&self.now) && self.before.iter().all(|(_, l)| ok(l))
    }
}
