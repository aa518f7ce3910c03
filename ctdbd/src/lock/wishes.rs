//! What the main loop wants of the cluster lock: the desk between [`super::LockHandle`] and the worker behind it.
//!
//! Wishes are state, not a queue of commands: the latest counts, and a worker that a hung lock store held up does not work off a
//! backlog.

use super::{LockRecord, Ticket};
use recoverd::model::Mono;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// What the main loop wants now.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// The request in force, and since when.
    pub(super) want: Option<(Ticket, Instant)>,
    /// To be recorded in the lock that is held.
    pub(super) record: Option<LockRecord>,
    /// A proof asked for.
    pub(super) prove: Option<Mono>,
    /// Let go of everything and end.
    pub(super) stop: bool,
    /// Counts requests.
    count: u64,
}

/// The wishes, and the bell that rings when they change: for one thread and for one task.
#[derive(Debug, Default)]
pub(super) struct Desk {
    wishes: Mutex<Wishes>,
    pub(super) bell: Condvar,
    task_bell: Notify,
}

impl Desk {
    pub(super) fn acquire(&self) -> Ticket {
        let mut w = self.lock();
        if let Some((ticket, _)) = w.want {
            return ticket;
        }
        w.count += 1;
        let ticket = Ticket(w.count);
        w.want = Some((ticket, Instant::now()));
        w.record = None;
        w.prove = None;
        drop(w);
        self.ring();
        ticket
    }

    pub(super) fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.lock());
        self.ring();
    }

    /// Wakes the worker. Whoever waits has either seen what changed before, or is in the wait when the mutex is free.
    pub(super) fn ring(&self) {
        let _not_between_look_and_wait = self.lock();
        self.bell.notify_all();
        self.task_bell.notify_one();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next ring, or returns at once for one that nobody has waited for. For one task only.
    pub(super) async fn rung(&self) {
        self.task_bell.notified().await;
    }

    /// Whether `ticket` is still the request in force.
    pub(super) fn wants(&self, ticket: Ticket) -> bool {
        let w = self.lock();
        !w.stop && w.want.is_some_and(|(wanted, _)| wanted == ticket)
    }

    /// The request in force; waits until there is one. `None`: the worker shall end.
    pub(super) async fn next_request(&self) -> Option<(Ticket, Instant)> {
        loop {
            {
                let mut w = self.lock();
                if w.stop {
                    return None;
                }
                if w.want.is_some() {
                    // Wishes about a lock that is not held.
                    (w.record, w.prove) = (None, None);
                    return w.want;
                }
            }
            self.rung().await;
        }
    }

    /// Waits until `ticket` is not the request in force any more.
    pub(super) async fn unwanted(&self, ticket: Ticket) {
        while self.wants(ticket) {
            self.rung().await;
        }
    }
}
