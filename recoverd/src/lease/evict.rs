//! When is a silent node out: it holds nothing any more, whatever it does.
//!
//! First a wait, long enough for every lease that it may have; **then** a proof of the lock that began after the wait (D5): the
//! lock may have moved to the other side meanwhile, and the recmaster there acknowledges the node.

use super::clock::{Clocks, Micros};
use super::config::shrunk;
use super::grant::Grantor;
use super::io::{LeaseAction, OutHow};
use super::lead::{Joined, Lead, Seat};
use super::{Lease, LeaseMsg, LockKind};
use crate::model::{Epoch, Pnn, Session};
use std::collections::{BTreeMap, BTreeSet};

/// An eviction under way.
#[derive(Debug)]
pub(super) struct Evicting {
    id: u64,
    next_ask: Clocks,
    /// The last grant of each node that promised.
    promises: BTreeMap<Pnn, Clocks>,
}

impl Evicting {
    /// The recmaster's own promise ends; what the others promised stays, it only costs the session grants of this epoch.
    pub(super) fn given_up(self, grantor: &mut Grantor, pnn: Pnn, session: Session) {
        grantor.release_promise(pnn, session);
    }
}

impl Lease {
    pub(super) fn evict_step(&mut self, now: Clocks) {
        if !self.lead_active() {
            return;
        }
        let mut prove = false;
        for i in 0..self.lists.everyone().len() {
            let pnn = self.lists.everyone()[i];
            if pnn != self.me {
                self.begin_if_silent(pnn, now);
            }
            if let Some((session, how)) = self.known_ended(pnn, now) {
                if let Some(lead) = &mut self.lead {
                    lead.ended.insert((pnn, session));
                }
                self.out_of(pnn, how, now);
            }
            let Some(end) = self.wait_end(pnn) else { continue };
            if !now.has_waited(end) {
                continue;
            }
            let proof = self.lead.as_ref().and_then(|l| l.proof);
            // D5: begun after the wait, or it proves too little.
            if proof.is_some_and(|p| p.has_waited(end) || !self.rules.d5_proof_after_wait) {
                self.out_of(pnn, OutHow::Evicted, now);
            } else {
                prove |= match self.lock_kind {
                    LockKind::Quorum { .. } => self.rounds.latest().is_none_or(|s| !s.has_waited(end)),
                    LockKind::Store | LockKind::Helper { .. } => true,
                };
            }
        }
        if prove {
            match self.lock_kind {
                LockKind::Quorum { .. } => self.start_round(now),
                LockKind::Store | LockKind::Helper { .. } => self.prove_lock(now),
            }
        }
    }

    /// A joined node that was silent for 0.8 T: ask for promises. Beginning late costs nothing, the wait counts from the last ack.
    fn begin_if_silent(&mut self, pnn: Pnn, now: Clocks) {
        let (beat, silence) = (self.times.beat, self.times.t / 5 * 4);
        let Some(lead) = self.lead.as_mut() else { return };
        let epoch = lead.epoch;
        let Some(Seat::Joined(j)) = lead.seats.get_mut(&pnn) else { return };
        if !now.has_waited(j.heard.plus(silence)) {
            return;
        }
        let session = j.session;
        if let Some(pending) = &mut j.evicting {
            if !now.has_waited(pending.next_ask) {
                return;
            }
            pending.next_ask = now.plus(beat);
            let id = pending.id;
            self.send_all(&LeaseMsg::Forbid { epoch, id, pnn, session });
            return;
        }
        lead.last_number += 1;
        let id = lead.last_number;
        let mut promises = BTreeMap::new();
        let age = self.grant_age(pnn, session, now);
        promises.insert(self.me, now.minus(shrunk(age)));
        self.grantor.promise(pnn, session);
        if let Some(Seat::Joined(j)) = self.lead.as_mut().and_then(|l| l.seats.get_mut(&pnn)) {
            j.evicting = Some(Evicting { id, next_ask: now.plus(beat), promises });
        }
        self.send_all(&LeaseMsg::Forbid { epoch, id, pnn, session });
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub(super) fn on_promise(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        id: u64,
        pnn: Pnn,
        session: Session,
        age: Micros,
        now: Clocks,
    ) {
        let l7 = self.rules.l7_ages;
        let Some(lead) = self.lead.as_mut().filter(|l| l.active() && l.epoch == epoch) else { return };
        let Some(Seat::Joined(j)) = lead.seats.get_mut(&pnn) else { return };
        if j.session != session {
            return;
        }
        if let Some(pending) = j.evicting.as_mut().filter(|e| e.id == id) {
            // The first answer is the earliest; later ones repeat the promise. L7: from the last grant, not from the promise.
            let last_grant = if l7 { now.minus(shrunk(age)) } else { now };
            pending.promises.entry(from).or_insert(last_grant);
            lead.answered.insert(from, now);
        }
    }

    /// When the wait for this node ends, as far as is known now; `None`: it is not waited for, or nothing can end the wait yet.
    fn wait_end(&self, pnn: Pnn) -> Option<Clocks> {
        let lead = self.lead.as_ref()?;
        match lead.seats.get(&pnn)? {
            Seat::Out(..) => None,
            Seat::Joined(j) => self.wait_end_joined(lead, pnn, j),
            Seat::Unheard if pnn == self.me => None,
            Seat::Unheard => self.wait_end_unheard(lead, pnn),
        }
    }

    /// A joined session lives on my acknowledgements, on grants in this epoch, or on what it had when it joined (d25).
    fn wait_end_joined(&self, lead: &Lead, pnn: Pnn, j: &Joined) -> Option<Clocks> {
        let pending = j.evicting.as_ref()?;
        let promised = |p: Pnn| pending.promises.contains_key(&p);
        if self.lists.promise_quorum(promised, self.rules.d16_promise_quorum) {
            let mut from = j.acked.unwrap_or_default();
            if self.rules.d25_from_join {
                from = from.latest(j.at);
            }
            let from = pending.promises.values().fold(from, |a, b| a.latest(*b));
            let end = from.plus(self.times.wait(self.times.t));
            return if self.older_led(lead) { Some(end.latest(self.older_over(lead)?)) } else { Some(end) };
        }
        self.wait_end_minority(lead, pnn, j.acked)
    }

    /// A node that never joined my epoch lives on what older epochs gave it.
    fn wait_end_unheard(&self, lead: &Lead, pnn: Pnn) -> Option<Clocks> {
        let Some(quorum_at) = lead.quorum_at else { return self.wait_end_minority(lead, pnn, None) };
        let t = self.times.t;
        // D4: a deposed recmaster leads for T after its last proof, and acknowledges until then: 2 T.
        let two_t = if self.rules.d4_two_t { 2 * t } else { t };
        if let LockKind::Quorum { short_count: true } = self.lock_kind {
            // The joined report their grants, and who led last: that node itself was acknowledged by nobody since it led.
            let alone = lead.after_alone == Some(lead.supported) || !self.rules.d31_lone;
            return if alone && self.led_last(lead) == Some(pnn) {
                lead.reports.get(&pnn).map(|r| r.plus(self.times.wait(t)))
            } else {
                let latest = lead.reports.values().copied().reduce(Clocks::latest)?;
                Some(latest.plus(self.times.wait(two_t)))
            };
        }
        // d31: a recmaster that led shortly may have died, forgotten it, and been acknowledged by the one before.
        let alone = lead.after_alone.is_some_and(|e| e.pnn == pnn) || !self.rules.d31_lone;
        let span = if alone && lead.predecessor() == Some(pnn) { t } else { two_t };
        Some(quorum_at.latest(lead.known_at).plus(self.times.wait(span)))
    }

    /// Short count: who led the last epoch that anybody led, as the joined know.
    ///
    /// d28: whoever restarted has forgotten whom it supported, so enough of them must have lived for longer than that counts.
    fn led_last(&self, lead: &Lead) -> Option<Pnn> {
        let remember = |p: Pnn| lead.remember.contains(&p) || !self.rules.d28_old_remember;
        let known = self.lists.promise_quorum(remember, self.rules.d16_promise_quorum);
        (known && lead.supported.is_some()).then_some(lead.supported.pnn)
    }

    /// d30: a joined node may die, forget my epoch, and be given addresses by a recmaster that does not know that it was deposed.
    /// Not once each node was seen in my epoch after all had come there, or is out.
    fn older_led(&self, lead: &Lead) -> bool {
        self.rules.d30_older_over && !lead.whole
    }

    /// Nothing is left of what older epochs gave to sessions that never joined mine.
    fn older_settled(&self, lead: &Lead, now: Clocks) -> bool {
        !self.older_led(lead) || self.older_over(lead).is_some_and(|end| now.has_waited(end))
    }

    /// D3, d30: every node is joined or out, and no other session of it can hold anything.
    pub(super) fn accounted(&self, lead: &Lead, now: Clocks) -> bool {
        lead.all_seated() && self.older_settled(lead, now)
    }

    /// The latest end of such leases: the older recmaster leads for T after this node had the lock, and then a lease lives for T.
    fn older_over(&self, lead: &Lead) -> Option<Clocks> {
        Some(lead.quorum_at?.latest(lead.known_at).plus(self.times.wait(2 * self.times.t)))
    }

    /// The session of this node that its guard, or it itself, called ended, if that settles that the node holds nothing.
    fn known_ended(&self, pnn: Pnn, now: Clocks) -> Option<(Session, OutHow)> {
        let lead = self.lead.as_ref()?;
        let (session, how) = *self.ended.get(&pnn)?;
        let settled = match lead.seats.get(&pnn)? {
            Seat::Out(..) => false,
            Seat::Joined(j) => {
                let own = j.session == session || !self.rules.d11_session_on_guard;
                own && self.older_settled(lead, now)
            }
            Seat::Unheard => self.ended_before(lead, pnn, session),
        };
        settled.then_some((session, how))
    }

    /// Whether this session of the recmaster before was its last to which anybody gave an address (d11c): it led last, and alone.
    fn ended_before(&self, lead: &Lead, pnn: Pnn, session: Session) -> bool {
        match self.lock_kind {
            // All who joined name the session in which it led (d29).
            LockKind::Quorum { short_count: true } => {
                let only = |s: &BTreeSet<Session>| s.iter().all(|s| *s == session) && !s.is_empty();
                self.led_last(lead) == Some(pnn)
                    && lead.after_alone == Some(lead.supported)
                    && (lead.granted.get(&pnn).is_some_and(only) || !self.rules.d29_one_session)
            }
            LockKind::Quorum { .. } | LockKind::Store | LockKind::Helper { .. } => {
                lead.fenceable == Some((pnn, session))
            }
        }
    }

    /// Without a promise quorum only the grace ends a lease: G + T. With lock `quorum` a minority waits for ever.
    fn wait_end_minority(&self, lead: &Lead, pnn: Pnn, acked: Option<Clocks>) -> Option<Clocks> {
        let g = self.times.g?;
        let from = lead.known_at.latest(acked.unwrap_or_default());
        let from = from.latest(self.grantor.last_grant(pnn).unwrap_or_default());
        Some(from.plus(self.times.wait(g + self.times.t)))
    }

    /// How long this node must still be waited for, if that is known.
    pub(super) fn wait_of(&self, pnn: Pnn, now: Clocks) -> Option<Micros> {
        self.wait_end(pnn).map(|e| now.until_waited(e))
    }

    pub(super) fn evict_due(&self, now: Clocks) -> Micros {
        if !self.lead_active() {
            return u64::MAX;
        }
        let ends = self.lists.everyone().iter().filter_map(|p| self.wait_end(*p));
        ends.map(|e| now.until_waited(e)).filter(|d| *d > 0).min().unwrap_or(u64::MAX)
    }

    /// d11: a guard speaks for the session that it guarded, no other: a joined one, or that of the recmaster before. A session
    /// that ended never comes back, so what was said of it is true for ever; what follows from it, `evict_step` finds.
    pub(super) fn guard_report(&mut self, pnn: Pnn, session: Session, now: Clocks) {
        self.ended.insert(pnn, (session, OutHow::Guard));
        self.recmaster_fenced(pnn, session, now);
    }

    /// The node holds nothing: its session is ended, its claims are void.
    pub(super) fn out_of(&mut self, pnn: Pnn, how: OutHow, now: Clocks) {
        let Some(lead) = &mut self.lead else { return };
        let session = lead.joined_session(pnn);
        if let Some(session) = session {
            lead.ended.insert((pnn, session));
            for claims in lead.claims.values_mut() {
                claims.remove(&(pnn, session));
            }
        }
        lead.seats.insert(pnn, Seat::Out(how, session));
        lead.changed = now;
        self.out.push(LeaseAction::Out { pnn, session, how });
    }

    /// Recmaster: the joined session of a node.
    #[must_use]
    pub fn session_of(&self, pnn: Pnn) -> Option<Session> {
        self.lead.as_ref().filter(|l| l.active()).and_then(|l| l.joined_session(pnn))
    }
}
