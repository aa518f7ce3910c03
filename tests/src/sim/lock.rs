//! The simulated lock store, and the votes of none: with lock `quorum` it is not used.
//!
//! It may free a dead holder's lock late, lose a lock without telling, answer slowly, or hang for one node or all.

use recoverd::lease::{Clocks, LockRecord};
use std::collections::BTreeSet;

/// Who holds the lock: a node and the number of its taking.
pub(super) type Holding = (usize, u64);

/// The store.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) holder: Option<Holding>,
    pub(super) queue: BTreeSet<usize>,
    pub(super) record: Option<LockRecord>,
    pub(super) takings: u64,
    /// Each node is cut off from the store until then.
    pub(super) hangs_until: Vec<u64>,
}

/// A question under way to the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    Prove(Clocks),
    Record(LockRecord),
}

impl Store {
    /// The next in the queue gets a free lock.
    pub(super) fn hand_over(&mut self, choose: impl FnOnce(&[usize]) -> Option<usize>) -> Option<Holding> {
        if self.holder.is_some() {
            return None;
        }
        let waiting: Vec<usize> = self.queue.iter().copied().collect();
        let node = choose(&waiting)?;
        self.queue.remove(&node);
        self.takings += 1;
        self.holder = Some((node, self.takings));
        self.holder
    }

    /// Whether the question of this taking finds the lock its own.
    pub(super) fn holds(&self, who: Holding) -> bool {
        self.holder == Some(who)
    }
}
