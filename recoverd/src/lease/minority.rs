//! L5: a recmaster that too few nodes answer offers the lock to a larger part, and takes it back if nobody wants it.
//!
//! Cut off from the others but not from the store, it would take everything from a healthy majority after G. So it lets the lock
//! go for T/4; whoever waits for it has it at once, and records an epoch before it does anything else. If the record is
//! still its own when it gets the lock again, nobody led meanwhile: it goes on in the same epoch, and a last man standing keeps its
//! addresses. It leads on while it offers, as one does whose lock was lost unnoticed: within T of its last proof, which everybody
//! waits for (D4). Offers are made after 2 T, and again after 2, 4, 8 T …: a part that could not take one may take the next.
//!
//! Nodes count that *answer* it: who is heard but does not hear is no follower. A helper keeps no record, so it cannot be known
//! whether somebody led: such a lock is let go once, for 5 T.

use super::clock::{Clocks, Micros};
use super::io::{LeaseAction, LockOrder, LockRecord};
use super::lock::Lock;
use super::{Lease, LockKind};
use crate::model::Pnn;

/// How far this recmaster is with giving way.
#[derive(Debug, Default)]
pub(super) struct Minority {
    /// The next offer; `None`: not in a minority, or the first is due 2 T after the epoch began.
    next: Option<Clocks>,
    pause: Micros,
}

impl Lease {
    /// Lets the lock go for 5 T.
    pub(super) fn rest(&mut self, now: Clocks) {
        self.lock = Lock::Resting(now.plus(5 * self.times.t));
        self.out.push(LeaseAction::Lock(LockOrder::Leave));
    }

    pub(super) fn minority_step(&mut self, now: Clocks) {
        let t = self.times.t;
        let (me, held) = (self.me, matches!(self.lock, Lock::Held { .. }));
        let Some(lead) = self.lead.as_ref().filter(|l| l.active() && held) else { return };
        let answers = |p: Pnn| p == me || lead.answered.get(&p).is_some_and(|a| !now.is_up(a.plus(2 * t)));
        if self.lists.promise_quorum(answers, true) {
            self.minority = Minority::default();
            return;
        }
        let due = self.minority.next.unwrap_or_default().latest(lead.began.plus(2 * t));
        if !now.has_waited(due) || !self.rules.l5_minority_lets_go {
            return;
        }
        let store = self.lock_kind == LockKind::Store && self.rules.l5_offer;
        if !store && self.minority.pause != 0 {
            return;
        }
        // Just after a proof, so that the lease outlasts the offer; a store too slow for that does not keep a majority waiting.
        let fresh = lead.proof.is_some_and(|p| !now.is_up(p.plus(t / 4)));
        if store && !fresh && !now.has_waited(due.plus(4 * t)) {
            return;
        }
        self.minority.pause = (2 * self.minority.pause).max(2 * t);
        self.minority.next = Some(now.plus(self.minority.pause));
        self.journal("too few nodes answer: letting the cluster lock go for a larger part".into());
        if store {
            self.lock = Lock::Offered(now.plus(t / 4));
            self.out.push(LeaseAction::Lock(LockOrder::Leave));
        } else {
            self.lead_over();
            self.rest(now);
        }
    }

    /// The lock is ours again after an offer. Whether this recmaster may go on: nobody recorded an epoch since.
    pub(super) fn nobody_led(&mut self, previous: Option<LockRecord>, now: Clocks) -> bool {
        let Some(lead) = self.lead.as_ref().filter(|l| l.active()) else { return false };
        let ours = previous.is_some_and(|r| r.epoch == lead.epoch) || !self.rules.l5_same_record;
        if !ours || self.coming.is_some() {
            return false;
        }
        let record = LockRecord { epoch: lead.epoch, list: self.recorded_list(), session: self.hold.session };
        self.lock = Lock::Held { proving: false };
        self.out.push(LeaseAction::Lock(LockOrder::Record(record)));
        self.journal(format!("nobody took the cluster lock: epoch {} goes on", self.epoch));
        self.prove_lock(now);
        true
    }

    /// A node answered this recmaster: it hears and is heard.
    pub(super) fn answered_by(&mut self, pnn: Pnn, now: Clocks) {
        if let Some(lead) = &mut self.lead {
            lead.answered.insert(pnn, now);
        }
    }
}
