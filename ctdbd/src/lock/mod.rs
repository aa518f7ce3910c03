//! The cluster lock (reclock) on a file in a shared file system: who holds it is recmaster.
//!
//! As CTDB's built-in lock, an exclusive lock on the whole file; unlike it an *open file description* lock, which no other use of the
//! file by this process can drop. A node queues with a blocking request, so that the lock changes hands the instant its holder
//! dies. The holder writes its [`LockRecord`] (epoch, session, host) into the file and *proves* the lock anew by the means of
//! `reference/leases.md` part 2: write through, lock test from a second open file, re-open by name and inode compare, record
//! still its own. It never proves by locking again, which would silently re-take a lock that was lost.
//!
//! A hung file system may block any of this for ever, so it happens on threads of its own: one per handle that works ([`worker`])
//! and at most one per file that waits in the queue. The main loop only sends wishes and reads [`LockEvent`]s. Whether to want
//! the lock, and what its loss means, is decided in `recoverd`.

mod file;
mod record;
mod worker;

#[cfg(test)]
mod tests;

pub use record::LockRecord;

use recoverd::model::Mono;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use worker::Shared;

/// Tells one request for the lock from another, so that late events of a former one can be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockEvent {
    /// The lock is ours now.
    Acquired {
        /// The request that got it.
        ticket: Ticket,
        /// What the last holder wrote; `None` when the file was empty or held something else.
        record: Option<LockRecord>,
        /// How long opening the file and the first try took: the speed of the lock store (`RecLockLatencyMs`).
        latency: Duration,
        /// From the wish to the lock, with the time in the queue.
        waited: Duration,
    },
    /// The lock was ours and is not any more. The request stays in the queue: [`LockEvent::Acquired`] may follow.
    Lost {
        /// The request that had it.
        ticket: Ticket,
        /// Why, for the journal.
        reason: String,
    },
    /// The lock was still ours when this proof was asked for.
    Proved {
        /// The request that has it.
        ticket: Ticket,
        /// When the proof was asked for: the time that it is dated.
        asked_at: Mono,
    },
    /// The store does not work; it is tried again every second. Sent when the text changes, not for every try.
    Error {
        /// What was tried, why it failed, what to do.
        text: String,
    },
}

/// The hand of the main loop on the lock. Nothing here blocks. Dropping it is [`LockHandle::stop`].
#[derive(Debug)]
pub struct LockHandle {
    shared: Arc<Shared>,
}

impl LockHandle {
    /// Starts the worker for the lock on `path`. Events go to `events`; when its receiver is dropped the worker lets go and ends.
    #[must_use]
    pub fn spawn(path: PathBuf, events: mpsc::Sender<LockEvent>) -> Self {
        let shared = Arc::new(Shared::default());
        worker::spawn(path, Arc::clone(&shared), events);
        Self { shared }
    }

    /// Queues for the lock, or goes on queueing or holding. Events about it bear the ticket.
    pub fn acquire(&self) -> Ticket {
        self.shared.acquire()
    }

    /// Lets the lock go, or leaves the queue.
    ///
    /// A blocked system call cannot be taken back: the thread in the queue stays there unwanted, and if the lock comes to it, it is let
    /// go at once. A new [`LockHandle::acquire`] before that uses its place.
    pub fn release(&self) {
        self.shared.wish(|w| {
            w.want = None;
            w.record = None;
            w.prove = None;
        });
    }

    /// Writes `record` into the file, durably, before any proof asked for later. Ignored while the lock is not held.
    pub fn record(&self, record: LockRecord) {
        self.shared.wish(|w| w.record = Some(record));
    }

    /// Asks for a proof, dated `asked_at` (now). A proof asked for while another is still waiting to begin replaces it.
    pub fn prove(&self, asked_at: Mono) {
        self.shared.wish(|w| w.prove = Some(asked_at));
    }

    /// Lets go of everything and ends the worker, without waiting for it.
    pub fn stop(&self) {
        self.shared.wish(|w| w.stop = true);
    }
}

impl Drop for LockHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
