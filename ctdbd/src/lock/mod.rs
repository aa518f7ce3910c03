//! The cluster lock (reclock): who holds it is recmaster. One handle, three kinds of lock store.
//!
//! - [`LockHandle::file`]: a lock on a file in a shared file system (CTDB's built-in lock);
//! - [`LockHandle::helper`]: a program that holds a lock for us, by CTDB's mutex-helper protocol;
//! - [`LockHandle::etcd`]: a key in an etcd cluster, bound to a lease.
//!
//! Each kind gives what `reference/leases.md` part 2 asks of it as a *proof* that the lock is still ours, and keeps the [`LockRecord`]
//! of its holder if it can. Any lock store can hang, so each works in threads or tasks of its own; the main loop only sends wishes and
//! reads [`LockEvent`]s. Whether to want the lock, and what its loss means, is decided in `recoverd`.

mod etcd;
mod file;
mod helper;
mod record;
mod wishes;

pub use etcd::{EtcdLock, EtcdTls};
pub use helper::LOCK_LOSS_TIME;
pub use record::LockRecord;

use recoverd::model::Mono;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wishes::Desk;

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
        /// What the last holder recorded; `None` when there is no record, or the lock cannot keep one.
        record: Option<LockRecord>,
        /// How long the store took for a try: its speed (`RecLockLatencyMs`).
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
    desk: Arc<Desk>,
}

impl LockHandle {
    /// A lock on the file at `path`. Events go to `events`; when its receiver is dropped the worker lets go and ends.
    #[must_use]
    pub fn file(path: PathBuf, events: mpsc::Sender<LockEvent>) -> Self {
        let desk = Arc::new(Desk::default());
        file::spawn(path, Arc::clone(&desk), events);
        Self { desk }
    }

    /// A lock that a helper program holds; `argv` is its path and arguments. The lock counts as taken `loss_time` after the helper
    /// says that it has it: see [`LOCK_LOSS_TIME`]. To be called in a tokio runtime.
    #[must_use]
    pub fn helper(argv: Vec<String>, loss_time: Duration, events: mpsc::Sender<LockEvent>) -> Self {
        let desk = Arc::new(Desk::default());
        helper::spawn(argv, loss_time, Arc::clone(&desk), events);
        Self { desk }
    }

    /// A lease-bound key in an etcd cluster. To be called in a tokio runtime.
    #[must_use]
    pub fn etcd(lock: EtcdLock, events: mpsc::Sender<LockEvent>) -> Self {
        let desk = Arc::new(Desk::default());
        etcd::spawn(lock, Arc::clone(&desk), events);
        Self { desk }
    }

    /// Queues for the lock, or goes on queueing or holding. Events about it bear the ticket.
    pub fn acquire(&self) -> Ticket {
        self.desk.acquire()
    }

    /// Lets the lock go, or leaves the queue.
    ///
    /// A request that cannot be taken back (a file lock's blocked system call) is let go at once when the lock comes to it; a new
    /// [`LockHandle::acquire`] before that uses its place.
    pub fn release(&self) {
        self.desk.wish(|w| {
            w.want = None;
            w.record = None;
            w.prove = None;
        });
    }

    /// Records who holds the lock, durably, before any proof asked for later is given. Ignored while the lock is not held, and by a
    /// helper, which has no place for it.
    pub fn record(&self, record: LockRecord) {
        self.desk.wish(|w| w.record = Some(record));
    }

    /// Asks for a proof, dated `asked_at` (now). A proof asked for while another is still waiting to begin replaces it.
    pub fn prove(&self, asked_at: Mono) {
        self.desk.wish(|w| w.prove = Some(asked_at));
    }

    /// Lets go of everything and ends the worker, without waiting for it.
    pub fn stop(&self) {
        self.desk.wish(|w| w.stop = true);
    }
}

impl Drop for LockHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
