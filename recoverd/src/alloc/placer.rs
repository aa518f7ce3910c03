//! Places a pool of addresses one by one, always the pair of address and node with the smallest sum of weights S(address, node).
//!
//! The order is that of LCP2 (SEMANTICS A.6 step 3): smallest S; ties to the earlier address of the list, then to the lower node.
//! Used by LCP2 and, with quotas, by minimal move.
//!
//! How it is quick: S only grows while addresses are placed, so an address's best (S, node) of some time ago is a lower bound of
//! its best now. A heap holds one such bound for each address; only the address on top is brought up to date (its row is fed the
//! placements it has not seen yet) and either confirmed or put back. Cost: every address sees every placement once, that is
//! U × M weights for a pool of U in M addresses, and a scan of N nodes for each correction. Memory: U × N sums.

use crate::model::AddrKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A node that must not take the address. Sums saturate, so it stays so.
const NEVER: u64 = u64::MAX;

struct Pending {
    index: usize,
    key: AddrKey,
    /// S(this, node) over the first `seen` placements.
    row: Vec<u64>,
    seen: usize,
}

/// The pool. `W` gives the weight of a pair of addresses.
pub(super) struct Placer<W> {
    weight: W,
    nodes: usize,
    pool: Vec<Pending>,
    /// Lower bounds: sum, position in the pool, node.
    heap: BinaryHeap<Reverse<(u64, usize, usize)>>,
    /// What sits where, in the order in which it came.
    placed: Vec<(AddrKey, usize)>,
}

impl<W: Fn(AddrKey, AddrKey) -> u64> Placer<W> {
    /// An empty pool over `nodes` nodes, with the addresses that are placed already.
    pub(super) fn new(weight: W, nodes: usize, placed: Vec<(AddrKey, usize)>) -> Self {
        Self { weight, nodes, pool: Vec::new(), heap: BinaryHeap::new(), placed }
    }

    /// Adds an address that may go to any of `takers` (ascending). Addresses are added in list order.
    pub(super) fn add(&mut self, index: usize, key: AddrKey, takers: impl Iterator<Item = usize>) {
        let mut row = vec![NEVER; self.nodes];
        takers.for_each(|n| row[n] = 0);
        if let Some(bound) = smallest(&row) {
            self.heap.push(Reverse((bound.0, self.pool.len(), bound.1)));
            self.pool.push(Pending { index, key, row, seen: 0 });
        }
    }

    /// Places the next address and says which, where, and at what sum. `may` is asked for each pair that is about to be
    /// chosen: an address once refused on a node stays refused there.
    pub(super) fn next(&mut self, may: impl Fn(usize, usize) -> bool) -> Option<(usize, usize, u64)> {
        while let Some(Reverse((bound, at, node))) = self.heap.pop() {
            let p = &mut self.pool[at];
            for &(key, n) in &self.placed[p.seen..] {
                p.row[n] = p.row[n].saturating_add((self.weight)(p.key, key));
            }
            p.seen = self.placed.len();
            if p.row[node] == bound {
                if may(p.index, node) {
                    self.placed.push((p.key, node));
                    p.row = Vec::new();
                    return Some((p.index, node, bound));
                }
                p.row[node] = NEVER;
            }
            if let Some((sum, n)) = smallest(&p.row) {
                self.heap.push(Reverse((sum, at, n)));
            }
        }
        None
    }
}

/// The smallest sum of a row and its lowest node; none if no node may take the address.
fn smallest(row: &[u64]) -> Option<(u64, usize)> {
    let sum = row.iter().copied().min().filter(|sum| *sum != NEVER)?;
    row.iter().position(|s| *s == sum).map(|n| (sum, n))
}
