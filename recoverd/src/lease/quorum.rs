//! Lock `quorum`: who tries to become recmaster.
//!
//! The lock itself is nothing but "a majority grants to me in my epoch" (`round`). Canvassing only keeps nodes from beginning
//! epochs that cannot win: would a majority have me? A node that hears a recmaster, or would have somebody else, says nothing.

use super::clock::{Clocks, Micros};
use super::{Lease, LeaseMsg, LockKind};
use crate::model::{Epoch, Pnn, Session};
use std::collections::BTreeMap;

/// The state of canvassing.
#[derive(Debug, Default)]
pub(super) struct Canvass {
    id: u64,
    /// Who would, and whether it is young.
    would: BTreeMap<Pnn, bool>,
    open: bool,
    asked: Clocks,
    next: Clocks,
    /// A vote, a join or an answer: somebody else may be about to lead.
    heard: Option<Clocks>,
    /// The candidate, if that was a candidate.
    backed: Option<Pnn>,
}

impl Lease {
    fn is_quorum(&self) -> bool {
        matches!(self.lock_kind, LockKind::Quorum { .. })
    }

    pub(super) fn canvass_start(&mut self, now: Clocks) {
        self.canvass.next = now.plus(self.stagger());
    }

    /// The next in line after the last recmaster goes first.
    fn stagger(&self) -> Micros {
        self.lists.rank_after(self.me, self.epoch.pnn) * (self.times.beat / 4)
    }

    /// Somebody stands, or welcomed us: give it T/2.
    pub(super) fn canvass_heard(&mut self, now: Clocks) {
        self.canvass.heard = Some(now);
        self.canvass.backed = None;
    }

    /// The guard of this epoch's recmaster says that its session ended: nobody leads, so it need not be waited for.
    pub(super) fn recmaster_fenced(&mut self, pnn: Pnn, session: Session, now: Clocks) {
        let recmaster = self.is_quorum() && pnn == self.epoch.pnn && pnn != self.me;
        if !recmaster || !self.grantor.last_was(pnn, session) {
            return;
        }
        if self.hold.answered.take().is_some() {
            self.canvass.next = now.plus(self.stagger());
        } else if self.canvass.open {
            // Guards repeat themselves: who had not heard it when we asked may have by now.
            self.send_all(&self.canvass_msg());
        }
    }

    /// The question, with the list that the epoch would have: who waits for it answers, too.
    fn canvass_msg(&self) -> LeaseMsg {
        let list = self.coming.as_ref().map_or(self.lists.hash, |(hash, _)| *hash);
        LeaseMsg::Canvass { id: self.canvass.id, list }
    }

    /// Whether a recmaster answered me lately, or somebody is about to lead who comes before this candidate. The lowest number of
    /// those that stand at the same time comes first, so that nodes that start together do not split.
    fn has_recmaster(&self, candidate: Pnn, now: Clocks) -> bool {
        let recent = |at: Option<Clocks>, d| at.is_some_and(|a| !now.is_up(a.plus(d)));
        let other = self.canvass.backed.is_none_or(|backed| backed < candidate);
        recent(self.hold.answered, self.times.beat * 2)
            || recent(self.canvass.heard, self.times.t / 2) && other
            || self.lead_active()
    }

    pub(super) fn canvass_due(&self, now: Clocks) -> Micros {
        if !self.is_quorum() || !self.capable || self.lead_active() {
            return u64::MAX;
        }
        let end = self.canvass_at();
        let left = now.until_waited(end);
        if left == 0 { u64::MAX } else { left }
    }

    fn canvass_at(&self) -> Clocks {
        let t = self.times.t;
        let after = |at: Option<Clocks>, d: Micros| at.unwrap_or_default().plus(d);
        let silent = after(self.hold.answered, t / 5 * 3 + self.stagger());
        self.canvass.next.latest(silent).latest(after(self.canvass.heard, t / 2 + self.stagger()))
    }

    pub(super) fn canvass_step(&mut self, now: Clocks) {
        if !self.is_quorum() || !self.capable || self.lead_active() || self.hold.session.is_none() {
            return;
        }
        if !now.has_waited(self.canvass_at()) {
            return;
        }
        self.canvass.id += 1;
        self.canvass.open = true;
        self.canvass.asked = now;
        self.canvass.would.clear();
        self.canvass.would.insert(self.me, self.young(now));
        // Without chance the same four nodes can outvote each other in a circle for ever.
        let spread =
            self.canvass.id.wrapping_add(u64::from(self.me.0) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let pause = if self.canvass.id == 1 { 0 } else { (spread >> 33) % (self.times.t / 2) };
        self.canvass.next = now.plus(self.times.t / 2 + self.stagger() + pause);
        self.send_all(&self.canvass_msg());
        self.count_would(now);
    }

    pub(super) fn on_canvass(&mut self, from: Pnn, id: u64, list: u64, now: Clocks) {
        let waited_for = self.coming.as_ref().is_some_and(|(hash, _)| *hash == list);
        let ours = list == self.lists.hash || waited_for || !self.rules.d22_list;
        if !ours || !self.is_quorum() || self.has_recmaster(from, now) {
            return;
        }
        // A candidate of its own that waits for answers gives way to a lower number only.
        let waiting = self.canvass.open && !now.is_up(self.canvass.asked.plus(self.times.beat));
        if waiting && from > self.me {
            // Perhaps it was not up yet when it was asked, nor others that back it now.
            self.send_all(&self.canvass_msg());
            return;
        }
        self.canvass.open = false;
        self.canvass_heard(now);
        self.canvass.backed = Some(from);
        let (hushed, heard) = (self.young(now), self.heard.max(self.epoch));
        self.send(from, LeaseMsg::Would { id, hushed, heard });
    }

    pub(super) fn on_would(&mut self, from: Pnn, id: u64, hushed: bool, heard: Epoch, now: Clocks) {
        self.heard = self.heard.max(heard);
        if self.canvass.open && id == self.canvass.id {
            self.canvass.would.insert(from, hushed);
            self.count_would(now);
        }
    }

    fn count_would(&mut self, now: Clocks) {
        let would = &self.canvass.would;
        let all = self.lists.all(|p| would.contains_key(&p));
        if all || self.lists.majority(|p| would.get(&p).is_some_and(|young| !young)) {
            self.canvass.open = false;
            self.begin_epoch(now, now);
        }
    }
}
