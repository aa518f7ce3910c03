//! Granting leases to others, and promising the recmaster not to.
//!
//! A grant is an answer from memory: nothing here waits for the disk. What a restart forgets is covered by the silence after a
//! start (d18) and by never reporting an age beyond the own start (d17).

use super::clock::{Clocks, Micros};
use super::{Lease, LeaseMsg};
use crate::model::{Epoch, Pnn, Session};
use std::collections::{BTreeMap, BTreeSet};

/// What this node granted and promised.
#[derive(Debug)]
pub(super) struct Grantor {
    /// The last grant to each node, in whatever epoch, to whatever session.
    granted: BTreeMap<Pnn, (Session, Clocks)>,
    /// No grants to these sessions in this epoch.
    promises: BTreeSet<(Pnn, Session)>,
    /// Highest epoch whose recmaster acknowledged this node or got a grant from it.
    supported: Epoch,
}

impl Default for Grantor {
    fn default() -> Self {
        Self { granted: BTreeMap::new(), promises: BTreeSet::new(), supported: Epoch::NONE }
    }
}

impl Grantor {
    pub(super) fn granted(&mut self, to: Pnn, session: Session, at: Clocks) {
        self.granted.insert(to, (session, at));
    }

    pub(super) fn last_grant(&self, to: Pnn) -> Option<Clocks> {
        self.granted.get(&to).map(|(_, at)| *at)
    }

    pub(super) fn support(&mut self, epoch: Epoch) {
        self.supported = self.supported.max(epoch);
    }

    pub(super) fn supported(&self) -> Epoch {
        self.supported
    }

    pub(super) fn promise(&mut self, pnn: Pnn, session: Session) {
        self.promises.insert((pnn, session));
    }

    pub(super) fn release_promise(&mut self, pnn: Pnn, session: Session) {
        self.promises.remove(&(pnn, session));
    }

    /// Promises end with their epoch (L6): the next recmaster knows nothing of them.
    pub(super) fn forget_promises(&mut self) {
        self.promises.clear();
    }

    /// Sessions and ages of all last grants, for a join.
    pub(super) fn ages(&self, now: Clocks, skip: Option<Pnn>) -> Vec<(Pnn, Session, Micros)> {
        let known = self.granted.iter().filter(|(p, _)| Some(**p) != skip);
        known.map(|(p, (session, at))| (*p, *session, now.age_at_least(*at))).collect()
    }

    /// Whether this session was the last of that node to get a grant.
    pub(super) fn last_was(&self, to: Pnn, session: Session) -> bool {
        self.granted.get(&to).is_some_and(|(s, _)| *s == session)
    }
}

impl Lease {
    /// In the first W(2T) of a life: everything that the former life promised or granted may still count somewhere (d18).
    pub(super) fn young(&self, now: Clocks) -> bool {
        self.rules.d18_start_silence && !now.has_waited(self.started.plus(self.times.wait(2 * self.times.t)))
    }

    /// Whether this node may grant to that session in its own epoch.
    pub(super) fn may_grant(&self, to: Pnn, session: Session, welcomed: bool) -> bool {
        // d19: a session that this epoch's recmaster does not know must not live on grants of those who joined.
        if !welcomed && self.rules.d19_only_welcomed {
            return false;
        }
        if self.grantor.promises.contains(&(to, session)) && self.rules.promises_kept {
            return false;
        }
        // A recmaster grants to sessions joined to it.
        self.lead.as_ref().is_none_or(|l| l.joined_session(to) == Some(session))
    }

    pub(super) fn on_ask(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        session: Session,
        round: u64,
        welcomed: bool,
        now: Clocks,
    ) {
        self.hear(epoch, now);
        if epoch < self.epoch {
            self.send(from, LeaseMsg::Hint { epoch: self.epoch });
        }
        // A grantor grants in its own epoch only: who moved on holds nobody back in the old one.
        if epoch != self.epoch && self.rules.grants_end_with_epoch {
            return;
        }
        if !self.may_grant(from, session, welcomed) {
            return;
        }
        self.grantor.granted(from, session, now);
        if epoch.pnn == from {
            self.grantor.support(epoch);
        }
        let hushed = self.young(now);
        self.send(from, LeaseMsg::Grant { epoch, session, round, hushed });
    }

    /// The recmaster evicts a session: no more grants to it in this epoch.
    pub(super) fn on_forbid(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        id: u64,
        pnn: Pnn,
        session: Session,
        now: Clocks,
    ) {
        if epoch != self.epoch || from != epoch.pnn || pnn == self.me {
            return;
        }
        self.grantor.promise(pnn, session);
        let age = self.grant_age(pnn, session, now);
        self.send(from, LeaseMsg::Promise { epoch, id, pnn, session, age });
    }

    /// Age of the last grant to any session of that node, never older than this daemon (d17).
    pub(super) fn grant_age(&self, pnn: Pnn, session: Session, now: Clocks) -> Micros {
        let unknown =
            if self.rules.d17_age_at_most_uptime { now.age_at_least(self.started) } else { u64::MAX / 4 };
        match self.grantor.granted.get(&pnn) {
            Some((s, at)) if *s == session || self.rules.d17_age_any_session => now.age_at_least(*at),
            _ => unknown,
        }
    }
}
