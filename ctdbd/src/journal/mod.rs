//! The journal: what was seen, decided and done, for `ctdb timeline`. Bounded, on disk, and never in anybody's way.
//!
//! [`Journal`] is the store: [`SledJournal`] on disk, [`MemoryJournal`] its twin. [`start`] puts one on a thread of its own and gives
//! out a [`JournalHandle`]: recording is a non-blocking send, reading is a request. Nothing that safety needs is only here (see
//! `admin_state`), so a damaged journal is set aside and an unwritable one goes on in memory. CTDB has no counterpart.

mod memory;
mod store;
mod thread;

pub use memory::MemoryJournal;
pub use store::{OpenError, SledJournal};
pub use thread::{JournalHandle, Unavailable, start};

use serde::{Deserialize, Serialize};

/// How many entries are kept.
pub const KEEP: u64 = 10_000;

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Counts up by one; never used twice, also after a restart.
    pub id: u64,
    /// When, by the wall clock, in microseconds since 1970.
    pub wall: u64,
    /// What kind of thing, for filters: `run`, `link`, `repair`, …
    pub kind: String,
    /// One line for a person.
    pub text: String,
    /// Everything else, for a program.
    pub data: serde_json::Value,
}

/// An entry that has no number yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// As [`JournalEntry::wall`].
    pub wall: u64,
    /// As [`JournalEntry::kind`].
    pub kind: String,
    /// As [`JournalEntry::text`].
    pub text: String,
    /// As [`JournalEntry::data`].
    pub data: serde_json::Value,
}

impl NewEntry {
    pub(crate) fn numbered(self, id: u64) -> JournalEntry {
        JournalEntry { id, wall: self.wall, kind: self.kind, text: self.text, data: self.data }
    }
}

/// The store failed; what it held before may still be readable after a restart.
#[derive(Debug, thiserror::Error)]
#[error("journal: {0}")]
pub struct StoreError(pub String);

/// A bounded, ordered store of entries.
pub trait Journal: Send {
    /// Adds an entry and drops the oldest ones beyond the bound. Returns its number.
    ///
    /// # Errors
    /// The store failed; it is not to be used again.
    fn append(&mut self, entry: NewEntry) -> Result<u64, StoreError>;

    /// The last `n` entries, oldest first.
    ///
    /// # Errors
    /// The store failed; it is not to be used again.
    fn last(&mut self, n: usize) -> Result<Vec<JournalEntry>, StoreError>;

    /// Number of the next entry.
    fn next_id(&self) -> u64;

    /// Writes everything down.
    ///
    /// # Errors
    /// The store failed; it is not to be used again.
    fn flush(&mut self) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests;
