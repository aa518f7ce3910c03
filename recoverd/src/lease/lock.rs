//! The lock: queueing for it, getting it, recording the epoch, proving it, losing it.

use super::clock::Clocks;
use super::io::{HoldRule, LeaseAction, LockOrder, LockRecord};
use super::nodes::change;
use super::{Lease, LockKind};
use crate::model::Epoch;

/// Where the lock stands.
#[derive(Debug, Default)]
pub(super) enum Lock {
    /// Not asked for.
    #[default]
    Idle,
    /// In the queue since.
    Queued(Clocks),
    /// A helper said yes; an older one may not have noticed its loss until then.
    Settling { queued: Clocks, until: Clocks },
    /// Ours; `proving`: a round trip is under way.
    Held { proving: bool },
    /// Let go on purpose until then (L5, d22).
    Resting(Clocks),
    /// Offered to others until then; this recmaster leads on meanwhile (L5).
    Offered(Clocks),
}

impl Lease {
    pub(super) fn queue_for_lock(&mut self, now: Clocks) {
        if self.capable && self.running && !matches!(self.lock_kind, LockKind::Quorum { .. }) {
            // L9: always in the queue, not only when the recmaster seems dead.
            self.lock = Lock::Queued(now);
            self.out.push(LeaseAction::Lock(LockOrder::Queue));
        }
    }

    pub(super) fn set_capable(&mut self, yes: bool, now: Clocks) {
        if yes == self.capable {
            return;
        }
        self.capable = yes;
        if yes {
            self.queue_for_lock(now);
        } else {
            self.lead_over();
            self.lock = Lock::Idle;
            self.out.push(LeaseAction::Lock(LockOrder::Leave));
        }
    }

    pub(super) fn lock_acquired(&mut self, previous: Option<LockRecord>, now: Clocks) {
        let Lock::Queued(queued) = self.lock else { return };
        let known_at = if self.rules.d23_from_known { now } else { queued };
        if let LockKind::Helper { loss_time } = self.lock_kind
            && self.rules.lock_loss_time
        {
            // A helper proves nothing: the former holder may believe in its own for LockLossTime.
            let loss = u64::try_from(loss_time.as_micros()).unwrap_or(u64::MAX / 4);
            self.lock = Lock::Settling { queued, until: now.plus(self.times.wait(loss)) };
            return;
        }
        if let Some(p) = previous
            && self.rules.d22_list
            && !self.lists.knows(p.list)
            && self.coming.as_ref().is_none_or(|(h, _)| *h != p.list && change(self.lists.hash, *h) != p.list)
        {
            // d22: the holder before had a nodes file that we never saw: its nodes are not ours to count.
            self.journal(format!(
                "the cluster lock was held in epoch {} with another nodes file than ours; letting it go: \
                 make the nodes files equal on all nodes",
                p.epoch
            ));
            self.rest(now);
            return;
        }
        if self.nobody_led(previous, now) {
            return;
        }
        self.lock = Lock::Held { proving: false };
        let recorded = previous.map(|p| p.epoch).filter(|e| e.is_some());
        if let Some(e) = recorded
            && self.rules.d20_epoch_from_record
        {
            self.heard = self.heard.max(e);
        }
        // A predecessor that led alone to its end can have had no other session that anybody led since: its guard's word will do.
        let alone = self.member.alone && recorded == Some(self.epoch);
        let session = previous.and_then(|p| p.session).filter(|_| alone || !self.rules.guard_of_lone_leader);
        self.begin_epoch(known_at, now);
        if let Some(lead) = &mut self.lead {
            lead.fenceable = recorded.map(|e| e.pnn).zip(session);
            lead.predecessor = recorded.map(|e| e.pnn);
            lead.after_alone = lead.after_alone.filter(|e| recorded == Some(*e));
        }
    }

    pub(super) fn lock_recorded(&mut self, epoch: Epoch, now: Clocks) {
        let held = matches!(self.lock, Lock::Held { .. });
        let Some(lead) = self.lead.as_mut().filter(|l| l.epoch == epoch && !l.over && !l.recorded && held)
        else {
            return;
        };
        lead.recorded = true;
        lead.began = now;
        self.open_epoch(now);
    }

    pub(super) fn lock_proved(&mut self, asked_at: Clocks, now: Clocks) {
        let Lock::Held { proving } = &mut self.lock else { return };
        *proving = false;
        let t = self.times.t;
        match &mut self.lead {
            Some(lead) if lead.active() => {
                if asked_at < lead.began {
                    return;
                }
                lead.proof = Some(lead.proof.map_or(asked_at, |p| p.latest(asked_at)));
                lead.led = Some(lead.led.map_or(asked_at, |p| p.latest(asked_at)));
                let rival = lead.rival_since.is_some_and(|r| asked_at.is_up(r.plus(t)));
                self.contact(asked_at);
                self.extend(asked_at, HoldRule::Own, now);
                if rival {
                    // d20: a higher epoch than ours is about, but the lock is ours: above it.
                    self.begin_epoch(now, now);
                }
            }
            Some(lead) if !lead.over => {}
            // It led once, or follows, and the lock is still its own: a new epoch (d26).
            _ => {
                if !now.is_up(asked_at.plus(t)) {
                    self.begin_epoch(now, now);
                }
            }
        }
    }

    pub(super) fn lock_lost(&mut self, now: Clocks) {
        self.lead_over();
        if !matches!(self.lock, Lock::Resting(_) | Lock::Offered(_) | Lock::Idle) {
            self.queue_for_lock(now);
        }
    }

    pub(super) fn lock_step(&mut self, now: Clocks) {
        match self.lock {
            Lock::Settling { queued, until } if now.has_waited(until) => {
                self.lock = Lock::Held { proving: false };
                self.begin_epoch(if self.rules.d23_from_known { now } else { queued }, now);
            }
            Lock::Resting(until) | Lock::Offered(until) if now.has_waited(until) => self.queue_for_lock(now),
            _ => {}
        }
        self.minority_step(now);
    }

    /// Asks for a proof, one at a time: a store that hangs must not gather requests.
    pub(super) fn prove_lock(&mut self, now: Clocks) {
        if self.lead.as_ref().is_some_and(|l| !l.recorded && !l.over) {
            return;
        }
        if let Lock::Held { proving } = &mut self.lock
            && !*proving
        {
            *proving = true;
            self.out.push(LeaseAction::Lock(LockOrder::Prove { at: now }));
        }
    }
}
