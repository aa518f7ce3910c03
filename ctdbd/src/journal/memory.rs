//! The journal without a disk: for tests, and for a daemon whose disk failed.

use super::{Journal, JournalEntry, NewEntry, StoreError};
use std::collections::VecDeque;

/// A journal in memory.
#[derive(Debug)]
pub struct MemoryJournal {
    entries: VecDeque<JournalEntry>,
    next: u64,
    keep: u64,
}

impl MemoryJournal {
    /// An empty journal that keeps `keep` entries and numbers them from `next`.
    #[must_use]
    pub fn new(keep: u64, next: u64) -> Self {
        Self { entries: VecDeque::new(), next, keep }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, entry: NewEntry) -> Result<u64, StoreError> {
        let id = self.next;
        self.next += 1;
        self.entries.push_back(entry.numbered(id));
        while self.entries.len() as u64 > self.keep {
            self.entries.pop_front();
        }
        Ok(id)
    }

    fn last(&mut self, n: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let skipped = self.entries.len().saturating_sub(n);
        Ok(self.entries.iter().skip(skipped).cloned().collect())
    }

    fn next_id(&self) -> u64 {
        self.next
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
