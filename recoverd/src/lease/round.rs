//! Asking all nodes for grants: rule P, and with lock `quorum` the recmaster's proof.
//!
//! Grants of a majority extend D to the sending time of the round plus T. Grants of *all* nodes are also a contact (L1): whoever
//! may evict this node is one of them, and counts from its own grant. What a grantor checks stands in `grant`.

use super::clock::Clocks;
use super::io::HoldRule;
use super::lead::Lead;
use super::{Lease, LeaseMsg, LockKind};
use crate::model::{Epoch, Pnn, Session};
use std::collections::{BTreeMap, VecDeque};

/// How many rounds may be under way.
const ROUNDS_KEPT: usize = 6;

/// The rounds of this session in this epoch.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    last: u64,
    open: VecDeque<Round>,
}

#[derive(Debug)]
struct Round {
    id: u64,
    sent: Clocks,
    /// Who granted, and whether it is young (d18).
    grants: BTreeMap<Pnn, bool>,
}

impl Rounds {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// When the latest round was sent.
    pub(super) fn latest(&self) -> Option<Clocks> {
        self.open.back().map(|r| r.sent)
    }
}

impl Lease {
    /// Whether this node should ask: as `quorum` recmaster always, otherwise when the time left runs short (L2: whatever the
    /// reason) or the contact grows old.
    pub(super) fn round_wanted(&self, now: Clocks) -> bool {
        let known = self.member.welcomed || !self.rules.d19_only_welcomed;
        let (Some(_), true) = (self.hold.session, known) else { return false };
        if self.lead_active() && matches!(self.lock_kind, LockKind::Quorum { .. }) || self.wants_whole() {
            return true;
        }
        if !self.rules.l2_by_time_left {
            return self.hold.answered.is_none_or(|a| now.is_up(a.plus(self.times.t / 2)));
        }
        let short = self.hold.deadline.is_none_or(|d| now.until_up(d) < self.times.t / 2);
        let stale = self.times.g.is_some_and(|g| self.hold.contact.is_none_or(|c| now.is_up(c.plus(g / 2))));
        short || stale
    }

    /// Recmaster: all are seated, and a round of all of them is what is missing.
    fn wants_whole(&self) -> bool {
        self.lead.as_ref().is_some_and(|l| l.active() && l.all_seated() && !l.whole)
    }

    /// d30: the round of all, as soon as the last is seated; after that with the beats.
    pub(super) fn whole_step(&mut self, now: Clocks) {
        let changed = self.lead.as_ref().map(|l| l.changed).filter(|_| self.wants_whole());
        if changed.is_some_and(|c| self.rounds.latest().is_none_or(|s| s < c)) {
            self.start_round(now);
        }
    }

    /// Asks all; counts itself where it may.
    pub(super) fn start_round(&mut self, now: Clocks) {
        let Some(session) = self.hold.session else { return };
        self.rounds.last += 1;
        let id = self.rounds.last;
        let mut grants = BTreeMap::new();
        if self.may_grant(self.me, session, self.member.welcomed) {
            self.grantor.granted(self.me, session, now);
            // A recmaster supports its own epoch like those that grant to it: else it would take the one before for the last that led.
            if self.epoch.pnn == self.me {
                self.grantor.support(self.epoch);
            }
            grants.insert(self.me, self.young(now));
        }
        self.rounds.open.push_back(Round { id, sent: now, grants });
        if self.rounds.open.len() > ROUNDS_KEPT {
            self.rounds.open.pop_front();
        }
        let welcomed = self.member.welcomed;
        self.send_all(&LeaseMsg::Ask { epoch: self.epoch, session, round: id, welcomed });
        self.count(id, now);
    }

    /// A grant counts only for the round that it names (d14).
    pub(super) fn on_grant(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        session: Session,
        round: u64,
        hushed: bool,
        now: Clocks,
    ) {
        if epoch != self.epoch || self.hold.session != Some(session) {
            return;
        }
        let round = if self.rules.d14_echo_round { round } else { self.rounds.last };
        if let Some(r) = self.rounds.open.iter_mut().find(|r| r.id == round) {
            r.grants.insert(from, hushed);
            self.answered_by(from, now);
            self.count(round, now);
        }
    }

    fn count(&mut self, id: u64, now: Clocks) {
        let Some(r) = self.rounds.open.iter().find(|r| r.id == id) else { return };
        let sent = r.sent;
        let all = self.lists.all(|p| r.grants.contains_key(&p));
        let hushed_count = !self.rules.hushed_needs_all;
        let whole = |l: &Lead| l.is_whole(self.me, sent, |p| r.grants.contains_key(&p));
        let whole = self.lead.as_ref().is_some_and(whole);
        let majority = self.lists.majority(|p| r.grants.get(&p).is_some_and(|h| !h || hushed_count));
        if let Some(lead) = self.lead.as_mut().filter(|_| whole) {
            lead.whole = true;
        }
        if all && self.rules.l1_all_granted {
            self.contact(sent);
        }
        if all || majority {
            let own = self.lead_round(sent);
            self.extend(sent, if own { HoldRule::Own } else { HoldRule::Peers }, now);
        }
    }
}
