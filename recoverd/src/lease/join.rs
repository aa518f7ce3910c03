//! Moving to a new epoch: knock, challenge, join, welcome.
//!
//! Hearsay of a higher epoch makes a node knock and stay (L3). It moves when that epoch's recmaster challenges it, and from then
//! on grants and obeys nothing older (d19). The challenge's nonce proves that a join is not an old datagram of a former
//! session (d12). A session that the recmaster ended never joins again (d13).

use super::clock::{Clocks, Micros};
use super::config::shrunk;
use super::io::{LeaseAction, OutHow};
use super::lead::{Joined, Seat};
use super::{Lease, LeaseMsg, LockKind};
use crate::model::{Epoch, Pnn, Session};
use std::net::IpAddr;

/// Where this node stands with the recmaster of its epoch.
#[derive(Debug, Default)]
pub(super) struct Member {
    nonce: Option<u64>,
    /// The recmaster knows this session.
    pub(super) welcomed: bool,
    /// Since when, or with lock `quorum` since its first acknowledgement; not set on the recmaster itself.
    since: Option<Clocks>,
    /// W(T) after that the recmaster still lived: nobody leads an older epoch any more.
    pub(super) alone: bool,
}

impl Member {
    /// The recmaster welcomed this session, or acknowledged it. `leads`: it had the lock by then.
    pub(super) fn welcome(&mut self, now: Clocks, leads: bool) {
        self.welcomed = true;
        if leads {
            self.since.get_or_insert(now);
        }
    }

    /// The recmaster lived when that beat was sent, or later.
    pub(super) fn lived(&mut self, sent: Clocks, w_of_t: Micros) {
        self.alone |= self.since.is_some_and(|s| sent.has_waited(s.plus(w_of_t)));
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What a join reports of older epochs.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) grants: Vec<(Pnn, Session, Micros)>,
    pub(super) uptime: Micros,
    pub(super) supported: Epoch,
}

impl Lease {
    /// An epoch exists.
    pub(super) fn hear(&mut self, epoch: Epoch, now: Clocks) {
        if epoch > self.heard {
            self.heard = epoch;
        }
        if epoch <= self.epoch {
            return;
        }
        if let Some(lead) = &mut self.lead {
            lead.rival_since.get_or_insert(now);
        }
        if !self.rules.d19_move_on_challenge && epoch.pnn != self.me {
            self.move_to(epoch);
        }
        self.knock(epoch);
    }

    pub(super) fn knock(&mut self, epoch: Epoch) {
        if let (Some(session), true) = (self.hold.session, epoch.pnn != self.me) {
            let knock = LeaseMsg::Knock { session, list: self.lists.hash, heard: self.heard };
            self.send(epoch.pnn, knock);
        }
    }

    /// Recmaster: a node that wants in.
    pub(super) fn on_knock(&mut self, from: Pnn, session: Session, heard: Epoch, now: Clocks) {
        self.hear(heard, now);
        let me_epoch = self.epoch;
        let d13 = self.rules.d13_ended_stays_ended;
        let Some(lead) = self.lead.as_mut().filter(|l| l.active()) else { return };
        if lead.ended.contains(&(from, session)) && d13 {
            self.send(from, LeaseMsg::Refused { epoch: me_epoch, session });
        } else if lead.joined_session(from) == Some(session) {
            self.welcome(from, session);
        } else {
            // One nonce until it is used (L8).
            let nonce = lead.nonce_for(from);
            self.send(from, LeaseMsg::Challenge { epoch: me_epoch, nonce, list: self.lists.hash });
        }
    }

    /// The recmaster of a higher epoch hears me: move there, and join.
    pub(super) fn on_challenge(&mut self, from: Pnn, epoch: Epoch, nonce: u64, list: u64, now: Clocks) {
        if epoch < self.epoch || from != epoch.pnn || self.hold.session.is_none() {
            return;
        }
        // d22: other lists neither join nor lead.
        if list != self.lists.hash && self.rules.d22_list {
            let Some((_, nodes)) = self.coming.take_if(|(hash, _)| *hash == list) else { return };
            self.lists.replace(list, &nodes, self.rules.d22_both);
        }
        if epoch > self.epoch {
            self.move_to(epoch);
        } else if self.member.welcomed {
            return;
        }
        self.member.nonce = Some(nonce);
        self.send_join(nonce, now);
    }

    /// From here on nothing older counts: no grants there, no acknowledgements from there, no takes.
    pub(super) fn move_to(&mut self, epoch: Epoch) {
        self.lead_over();
        if epoch.pnn != self.me {
            self.lead = None;
        }
        self.epoch = epoch;
        self.heard = self.heard.max(epoch);
        self.member.reset();
        self.rounds.clear();
        self.hold.forget_requests();
        if self.rules.l6_promises_end {
            self.grantor.forget_promises();
        }
        self.out.push(LeaseAction::Remember { epoch });
        self.out.push(LeaseAction::Leader { epoch, welcomed: false });
    }

    fn send_join(&mut self, nonce: u64, now: Clocks) {
        let Some(session) = self.hold.session else { return };
        let skip = (!self.rules.d24_own_grants).then_some(self.me);
        let join = LeaseMsg::Join {
            epoch: self.epoch,
            session,
            nonce,
            addrs: self.hold.held.iter().copied().collect(),
            grants: self.grantor.ages(now, skip),
            uptime: now.age_at_least(self.started),
            supported: self.grantor.supported(),
        };
        self.send(self.epoch.pnn, join);
    }

    /// Not welcomed yet: again.
    pub(super) fn rejoin(&mut self, now: Clocks) {
        if let Some(nonce) = self.member.nonce {
            self.send_join(nonce, now);
        }
        self.knock(self.epoch);
    }

    /// Recmaster: a session moves to my epoch.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub(super) fn on_join(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        session: Session,
        nonce: u64,
        addrs: Vec<IpAddr>,
        past: &Past,
        now: Clocks,
    ) {
        let (d12, d13) = (self.rules.d12_challenge, self.rules.d13_ended_stays_ended);
        let Some(lead) = self.lead.as_mut().filter(|l| l.active() && l.epoch == epoch) else { return };
        if lead.ended.contains(&(from, session)) && d13 {
            self.send(from, LeaseMsg::Refused { epoch, session });
            return;
        }
        if lead.joined_session(from) == Some(session) {
            self.welcome(from, session);
            return;
        }
        if !lead.use_nonce(from, nonce) && d12 {
            return;
        }
        // It answered the challenge.
        self.answered_by(from, now);
        self.seat(from, session, addrs, past, now);
        self.welcome(from, session);
    }

    /// Recmaster: the session is joined; a former one of that node is over.
    fn seat(&mut self, pnn: Pnn, session: Session, addrs: Vec<IpAddr>, past: &Past, now: Clocks) {
        if self.lead.as_ref().is_some_and(|l| l.joined_session(pnn).is_some()) {
            self.out_of(pnn, OutHow::JoinedAnew, now);
        }
        let Some(lead) = self.lead.as_mut() else { return };
        for addr in &addrs {
            lead.claims.entry(*addr).or_default().insert((pnn, session), 0);
        }
        lead.seats.insert(pnn, Seat::Joined(Joined::new(session, now)));
        lead.changed = now;
        lead.ever.insert(pnn);
        let l = &*lead;
        if l.quorum_at.is_none() && self.lists.promise_quorum(|p| l.ever.contains(&p), true) {
            lead.quorum_at = Some(now);
        }
        // What the joined know of older epochs (short count; d17, d24, d28). A grant not named is as old as the daemon at most.
        lead.supported = lead.supported.max(past.supported);
        if past.uptime >= self.times.wait(2 * self.times.t) {
            lead.remember.insert(pnn);
        }
        for &to in self.lists.everyone() {
            let age = past.grants.iter().find(|(p, ..)| *p == to).map_or(past.uptime, |(.., age)| *age);
            lead.report(to, now.minus(shrunk(age)));
        }
        // Who led last may be on no list of mine any more.
        for (to, session, age) in &past.grants {
            lead.report(*to, now.minus(shrunk(*age)));
            lead.granted.entry(*to).or_default().insert(*session);
        }
        self.out.push(LeaseAction::Joined { pnn, session, addrs });
    }

    /// The recmaster joins its own epoch; subject to lapse like everybody.
    pub(super) fn join_self(&mut self, now: Clocks) {
        let Some(session) = self.hold.session else { return };
        if !self.lead_active() {
            return;
        }
        let past = Past {
            grants: self.grantor.ages(now, (!self.rules.d24_own_grants).then_some(self.me)),
            uptime: now.age_at_least(self.started),
            supported: self.grantor.supported(),
        };
        let addrs = self.hold.held.iter().copied().collect();
        self.seat(self.me, session, addrs, &past, now);
        self.member.welcomed = true;
        self.out.push(LeaseAction::Leader { epoch: self.epoch, welcomed: true });
    }

    fn welcome(&mut self, to: Pnn, session: Session) {
        let settled = self.lead.as_ref().is_some_and(|l| l.settled);
        self.send(to, LeaseMsg::Welcome { epoch: self.epoch, session, settled });
    }

    pub(super) fn on_welcome(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        session: Session,
        settled: bool,
        now: Clocks,
    ) {
        if epoch != self.epoch || from != epoch.pnn || self.hold.session != Some(session) {
            return;
        }
        self.canvass_heard(now);
        if settled {
            self.lists.settle();
        }
        if !self.member.welcomed {
            // With `quorum` it may not lead yet, and an older one still.
            let leads = !matches!(self.lock_kind, LockKind::Quorum { .. });
            self.member.welcome(now, leads);
            self.out.push(LeaseAction::Leader { epoch, welcomed: true });
            self.beat(now);
        }
    }

    /// The recmaster ended this session: whatever it held is over.
    pub(super) fn on_refused(&mut self, from: Pnn, epoch: Epoch, session: Session) {
        if epoch == self.epoch && from == epoch.pnn && self.hold.session == Some(session) {
            self.end_session();
        }
    }

    /// Recmaster: a clean stop.
    pub(super) fn on_bye(&mut self, from: Pnn, epoch: Epoch, session: Session) {
        let joined = self.lead.as_ref().filter(|l| l.active() && l.epoch == epoch);
        if joined.is_some_and(|l| l.joined_session(from) == Some(session)) {
            self.ended.insert(from, (session, OutHow::Shutdown));
        }
    }
}
