//! Epochs, and leading.
//!
//! Whoever has the lock (`lock`) begins an epoch above any it has seen and above the one recorded in the lock (d20), records it, and only
//! then announces it. It *leads* (acknowledges, gives) only within T of the start of a proof, or of a majority round, made in
//! this epoch (d27); when that is over it forgets what it knew and needs a new epoch (d26).

use super::clock::Clocks;
use super::evict::Evicting;
use super::io::{LeaseAction, LockOrder, LockRecord, OutHow};
use super::{Lease, LeaseMsg, LockKind};
use crate::model::{Epoch, Pnn, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What a recmaster knows of its epoch.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks, each named")]
pub(super) struct Lead {
    pub(super) epoch: Epoch,
    /// When this node knew that it had the lock (d23).
    pub(super) known_at: Clocks,
    pub(super) began: Clocks,
    /// Holder of the lock before, named in it.
    pub(super) predecessor: Option<Pnn>,
    /// Its session, if a word of its guard about that one settles the matter (not with lock `quorum`).
    pub(super) fenceable: Option<(Pnn, Session)>,
    /// The epoch before, if its recmaster was seen to lead it for so long that no older one led any more.
    pub(super) after_alone: Option<Epoch>,
    /// The record is in the lock: the epoch may be announced.
    pub(super) recorded: bool,
    /// It leads no more (d26).
    pub(super) over: bool,
    /// Start of the last proof of the lock in this epoch.
    pub(super) proof: Option<Clocks>,
    /// Start of the last proof or majority round in this epoch.
    pub(super) led: Option<Clocks>,
    reported_leading: bool,
    reported_accounted: bool,
    /// No older nodes list counts any more (d22).
    pub(super) settled: bool,
    pub(super) seats: BTreeMap<Pnn, Seat>,
    /// Who ever joined this epoch, in whatever session.
    pub(super) ever: BTreeSet<Pnn>,
    /// When a seat changed last.
    pub(super) changed: Clocks,
    /// All who are not out granted a round that began after the last of them had joined: nobody leads an older epoch any more (d30).
    pub(super) whole: bool,
    /// When a promise quorum had joined.
    pub(super) quorum_at: Option<Clocks>,
    /// Sessions that this recmaster ended (d13).
    pub(super) ended: BTreeSet<(Pnn, Session)>,
    nonces: BTreeMap<Pnn, u64>,
    last_nonce: u64,
    /// Who may hold what, with the number of the last take.
    pub(super) claims: BTreeMap<IpAddr, BTreeMap<(Pnn, Session), u64>>,
    pub(super) last_number: u64,
    /// When each node last answered this recmaster (L5).
    pub(super) answered: BTreeMap<Pnn, Clocks>,
    /// A higher epoch exists, and its recmaster has not drawn us over, since then.
    pub(super) rival_since: Option<Clocks>,
    /// Highest epoch that had support among the joined, and the latest grants that they report.
    pub(super) supported: Epoch,
    pub(super) reports: BTreeMap<Pnn, Clocks>,
    /// Which sessions got the last grants that they report.
    pub(super) granted: BTreeMap<Pnn, BTreeSet<Session>>,
    /// Who joined when it had lived for W(2T): what it forgot of an epoch is over (d28).
    pub(super) remember: BTreeSet<Pnn>,
}

/// A node as its recmaster sees it.
#[derive(Debug)]
pub(super) enum Seat {
    /// Not heard of: it may hold anything (D3).
    Unheard,
    /// A session of it is joined.
    Joined(Joined),
    /// It holds nothing: how that is known, and the session that was joined.
    Out(OutHow, Option<Session>),
}

/// A joined session.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) session: Session,
    pub(super) at: Clocks,
    last_seq: u64,
    /// The last of its beats whose acknowledgement it has.
    last_answered: u64,
    /// Last sign of life.
    pub(super) heard: Clocks,
    pub(super) acked: Option<Clocks>,
    pub(super) evicting: Option<Evicting>,
}

impl Joined {
    pub(super) fn new(session: Session, now: Clocks) -> Self {
        Self { session, at: now, last_seq: 0, last_answered: 0, heard: now, acked: None, evicting: None }
    }
}

impl Lead {
    pub(super) fn active(&self) -> bool {
        self.recorded && !self.over
    }

    pub(super) fn joined_session(&self, pnn: Pnn) -> Option<Session> {
        match self.seats.get(&pnn) {
            Some(Seat::Joined(j)) => Some(j.session),
            _ => None,
        }
    }

    /// Every node is joined or out (D3).
    pub(super) fn all_seated(&self) -> bool {
        self.seats.values().all(|s| !matches!(s, Seat::Unheard))
    }

    /// A round that began then was granted by these: are they all, and did they know this epoch before (d30)?
    pub(super) fn is_whole(&self, me: Pnn, sent: Clocks, granted: impl Fn(Pnn) -> bool) -> bool {
        let all = |(p, s): (&Pnn, &Seat)| *p == me || !matches!(s, Seat::Joined(_)) || granted(*p);
        self.active() && sent >= self.changed && self.all_seated() && self.seats.iter().all(all)
    }

    pub(super) fn nonce_for(&mut self, pnn: Pnn) -> u64 {
        *self.nonces.entry(pnn).or_insert_with(|| {
            self.last_nonce += 1;
            self.last_nonce
        })
    }

    pub(super) fn use_nonce(&mut self, pnn: Pnn, nonce: u64) -> bool {
        let fits = self.nonces.get(&pnn) == Some(&nonce);
        if fits {
            self.nonces.remove(&pnn);
        }
        fits
    }

    pub(super) fn report(&mut self, to: Pnn, at: Clocks) {
        self.reports.entry(to).and_modify(|t| *t = t.latest(at)).or_insert(at);
    }

    pub(super) fn predecessor(&self) -> Option<Pnn> {
        self.predecessor
    }
}

impl Lease {
    pub(super) fn lead_active(&self) -> bool {
        self.lead.as_ref().is_some_and(Lead::active)
    }

    /// Whether this node leads: may acknowledge and give.
    #[must_use]
    pub fn leading(&self, now: Clocks) -> bool {
        let t = self.times.t;
        self.lead.as_ref().is_some_and(|l| {
            l.active() && (l.led.is_some_and(|s| !now.is_up(s.plus(t))) || !self.rules.d26_lead_ends)
        })
    }

    /// Moves to a new epoch of its own *before* the record is written: from then on it accepts nothing of older recmasters, so
    /// that the next holder of the lock can count on the record.
    pub(super) fn begin_epoch(&mut self, known_at: Clocks, now: Clocks) {
        if let Some((hash, nodes)) = self.coming.take() {
            self.lists.replace(hash, &nodes, self.rules.d22_both);
        }
        let quorum = matches!(self.lock_kind, LockKind::Quorum { .. });
        let mut epoch = self.heard.max(self.epoch).next(self.me);
        epoch.number += self.leap();
        let alone = self.member.alone || !self.rules.guard_of_lone_leader;
        let after_alone = alone.then_some(self.epoch);
        let inherited = self.hold.deadline.map(|d| d.minus(self.times.t));
        self.move_to(epoch);
        let seats = self.lists.everyone().iter().map(|p| (*p, Seat::Unheard)).collect();
        self.lead = Some(Lead {
            epoch,
            known_at,
            began: now,
            predecessor: None,
            fenceable: None,
            after_alone,
            recorded: quorum,
            over: false,
            proof: None,
            led: if self.rules.d27_proof_of_this_epoch { None } else { inherited },
            reported_leading: false,
            reported_accounted: false,
            settled: false,
            seats,
            ever: BTreeSet::new(),
            changed: now,
            whole: false,
            quorum_at: None,
            ended: BTreeSet::new(),
            nonces: BTreeMap::new(),
            last_nonce: 0,
            claims: BTreeMap::new(),
            last_number: 0,
            answered: BTreeMap::new(),
            rival_since: None,
            supported: Epoch::NONE,
            reports: BTreeMap::new(),
            granted: BTreeMap::new(),
            remember: BTreeSet::new(),
        });
        if quorum {
            self.open_epoch(now);
        } else {
            let record = LockRecord { epoch, list: self.recorded_list(), session: self.hold.session };
            self.out.push(LeaseAction::Lock(LockOrder::Record(record)));
        }
    }

    /// What the lock's record says of the nodes list.
    pub(super) fn recorded_list(&self) -> u64 {
        if self.rules.d22_change { self.lists.recorded() } else { self.lists.hash }
    }

    /// Without a store that keeps the record, a daemon that lost its memory could begin an epoch that it began before, and old
    /// datagrams would fit it. The first epoch of a life leaps by chance.
    fn leap(&mut self) -> u64 {
        let first = !std::mem::replace(&mut self.began_before, true);
        if !first || matches!(self.lock_kind, LockKind::Store) || !self.rules.d20_leap {
            return 0;
        }
        let seed = self.hold.session.map_or(self.started.boot.0, |s| s.0);
        seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44
    }

    pub(super) fn open_epoch(&mut self, now: Clocks) {
        self.journal(format!("epoch {} begins: this node is recmaster", self.epoch));
        self.join_self(now);
        self.next_beat = now;
    }

    /// A majority granted to the recmaster in its own epoch: it leads; with lock `quorum` that is the proof.
    pub(super) fn lead_round(&mut self, sent: Clocks) -> bool {
        let quorum = matches!(self.lock_kind, LockKind::Quorum { .. });
        let Some(lead) = self.lead.as_mut().filter(|l| l.active() && sent >= l.began) else { return false };
        lead.led = Some(lead.led.map_or(sent, |p| p.latest(sent)));
        if quorum {
            lead.proof = Some(lead.proof.map_or(sent, |p| p.latest(sent)));
        }
        quorum
    }

    /// d26: T after the last proof or majority round leading ends, and with it all that this recmaster knew.
    pub(super) fn lead_ends_if_due(&mut self, now: Clocks) {
        let t = self.times.t;
        let Some(lead) = self.lead.as_ref().filter(|l| l.active()) else { return };
        let since = lead.led.map_or(lead.began, |l| l.latest(lead.began));
        if now.is_up(since.plus(t)) && self.rules.d26_lead_ends {
            self.lead_over();
        }
    }

    pub(super) fn lead_over(&mut self) {
        if let Some(lead) = self.lead.as_mut().filter(|l| !l.over) {
            lead.over = true;
            if lead.reported_leading {
                let epoch = lead.epoch;
                self.out.push(LeaseAction::NotLeading { epoch });
            }
        }
    }

    /// Without L5's second half, whoever is heard counts.
    pub(super) fn heard_from(&mut self, from: Pnn, now: Clocks) {
        if !self.rules.l5_answers {
            self.answered_by(from, now);
        }
    }

    /// Tells those who have not joined, so that they knock.
    pub(super) fn announce(&mut self) {
        let Some(lead) = &self.lead else { return };
        for (&to, seat) in &lead.seats {
            if to != self.me && !matches!(seat, Seat::Joined(_)) {
                self.out.push(LeaseAction::Send { to, msg: LeaseMsg::Announce { epoch: lead.epoch } });
            }
        }
    }

    /// Recmaster: a beat. Acknowledged only while leading (D7), only for the joined session (d11), only if new (L4).
    pub(super) fn on_beat(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        session: Session,
        seq: u64,
        answered: u64,
        now: Clocks,
    ) {
        let leading = self.leading(now) || !self.rules.d7_ack_only_leading;
        let d13 = self.rules.d13_ended_stays_ended;
        let l4 = self.rules.l4_numbered_beats;
        let contact = self.hold.contact;
        let Some(lead) = self.lead.as_mut().filter(|l| l.epoch == epoch && l.recorded) else {
            if epoch < self.epoch {
                self.send(from, LeaseMsg::Hint { epoch: self.epoch });
            }
            return;
        };
        if lead.ended.contains(&(from, session)) {
            if d13 {
                self.send(from, LeaseMsg::Refused { epoch, session });
            }
            return;
        }
        let settled = lead.settled;
        let Some(Seat::Joined(j)) = lead.seats.get_mut(&from) else { return };
        if j.session != session || (seq <= j.last_seq && l4) {
            return;
        }
        j.last_seq = seq;
        j.heard = now;
        if answered > j.last_answered {
            j.last_answered = answered;
            lead.answered.insert(from, now);
        }
        // It lives: an eviction under way is given up.
        if let Some(pending) = j.evicting.take() {
            pending.given_up(&mut self.grantor, from, session);
        }
        if !leading {
            return;
        }
        j.acked = Some(now);
        // A: how old the contact is that this acknowledgement passes on (D6).
        let age = match self.times.g {
            Some(_) => contact.map_or(u64::MAX / 4, |c| now.age_at_most(c)),
            None => 0,
        };
        self.send(from, LeaseMsg::Ack { epoch, session, seq, age, settled });
    }

    /// Tells the driver when leading begins, and when every node is accounted for.
    pub(super) fn report(&mut self, now: Clocks) {
        let leading = self.leading(now);
        let accounted = leading && self.lead.as_ref().is_some_and(|l| self.accounted(l, now));
        let Some(lead) = self.lead.as_mut().filter(|l| !l.over) else { return };
        if leading && !lead.reported_leading {
            lead.reported_leading = true;
            self.out.push(LeaseAction::Leading { epoch: lead.epoch });
        }
        if accounted && !lead.reported_accounted {
            lead.reported_accounted = true;
            self.out.push(LeaseAction::AllAccounted);
        }
        // d22: a node that is out may come back on the old list. A record keeps it from the lock; without one, too few may be left there.
        let store = self.lock_kind == LockKind::Store || !self.rules.d22_settled;
        if accounted && !lead.settled && (store || self.lists.majority_before(|p| lead.ever.contains(&p))) {
            lead.settled = true;
            let epoch = lead.epoch;
            if self.lists.settle() && self.lock_kind == LockKind::Store {
                let record = LockRecord { epoch, list: self.lists.hash, session: self.hold.session };
                self.out.push(LeaseAction::Lock(LockOrder::Record(record)));
            }
        }
    }
}
