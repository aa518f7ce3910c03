//! Until when may this node serve: the deadline D, the contact c, beats and their acknowledgements, lapse.
//!
//! D is always the *sending* time of a request plus T; delays can only shorten it. c is a moment at which no rival can have had
//! the lock; without news from the lock, D is extended only for requests sent before c + G (D6). What the kernel gate does with D is the driver's.

use super::clock::{Clocks, Micros};
use super::config::stretched;
use super::io::{HoldRule, LeaseAction};
use super::{Lease, LeaseMsg};
use crate::model::{Epoch, Pnn, Session};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// How many beats may be on their way.
const BEATS_KEPT: usize = 8;

/// What this node holds, and until when.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) session: Option<Session>,
    /// D.
    pub(super) deadline: Option<Clocks>,
    pub(super) rule: HoldRule,
    /// c.
    pub(super) contact: Option<Clocks>,
    /// Addresses given to this session (D10): being taken, held, or being released.
    pub(super) held: BTreeSet<IpAddr>,
    /// Number of the last command for each address in this epoch (d15).
    pub(super) numbers: BTreeMap<IpAddr, u64>,
    beats: VecDeque<(u64, Clocks)>,
    last_seq: u64,
    /// The last beat acknowledged in this epoch.
    last_acked: u64,
    /// When the recmaster last answered *this* node: a recmaster is alive if it answers (L3).
    pub(super) answered: Option<Clocks>,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            session: None,
            deadline: None,
            rule: HoldRule::Recmaster,
            contact: None,
            held: BTreeSet::new(),
            numbers: BTreeMap::new(),
            beats: VecDeque::new(),
            last_seq: 0,
            last_acked: 0,
            answered: None,
        }
    }
}

impl Hold {
    /// Requests of an older epoch are void.
    pub(super) fn forget_requests(&mut self) {
        self.beats.clear();
        self.last_acked = 0;
        self.numbers.clear();
    }
}

impl Lease {
    /// Lapse: when D has passed, the session is over, and nothing of it counts again (D8).
    pub(super) fn lapse_if_due(&mut self, now: Clocks) {
        if self.hold.deadline.is_some_and(|d| now.is_up(d)) && self.rules.d8_lapse_latches {
            self.end_session();
        }
    }

    /// Drop everything; the next session begins when the driver says that it is done.
    pub(super) fn end_session(&mut self) {
        let session = self.hold.session.take();
        self.hold.deadline = None;
        self.hold.held.clear();
        self.hold.beats.clear();
        self.hold.last_acked = 0;
        self.member.reset();
        self.rounds.clear();
        self.out.push(LeaseAction::Lapsed { session });
        // A recmaster that could not keep its own lease does not lead.
        self.lead_over();
    }

    pub(super) fn session_begins(&mut self, session: Session, now: Clocks) {
        if self.hold.session.is_some() {
            return;
        }
        self.hold.session = Some(session);
        self.join_self(now);
        self.next_beat = now;
    }

    /// The one place where D grows: to `sent` + T, for a request sent before c + G.
    pub(super) fn extend(&mut self, sent: Clocks, rule: HoldRule, now: Clocks) {
        if self.hold.session.is_none() {
            return;
        }
        if let Some(g) = self.times.g
            && self.rules.d6_cap
            && self.hold.contact.is_none_or(|c| sent.is_up(c.plus(g)))
        {
            return;
        }
        let d = sent.plus(self.times.t);
        if now.is_up(d) || self.hold.deadline.is_some_and(|old| old >= d) {
            return;
        }
        self.hold.deadline = Some(d);
        self.hold.rule = rule;
        self.out.push(LeaseAction::GateUntil { deadline: d, rule });
    }

    /// At `at` no rival had the lock.
    pub(super) fn contact(&mut self, at: Clocks) {
        self.hold.contact = Some(self.hold.contact.map_or(at, |c| c.latest(at)));
    }

    /// The beat, every T/5: to the recmaster, or as recmaster to the lock and the nodes.
    pub(super) fn beat_if_due(&mut self, now: Clocks) {
        if !now.is_up(self.next_beat) {
            return;
        }
        self.next_beat = now.plus(self.times.beat);
        if self.heard > self.epoch {
            self.knock(self.heard);
        }
        self.prove_lock(now);
        if self.lead_active() {
            self.announce();
        } else if self.member.welcomed {
            self.beat(now);
        } else if self.epoch.is_some() && self.epoch.pnn != self.me {
            self.rejoin(now);
        }
        if self.round_wanted(now) {
            self.start_round(now);
        }
    }

    pub(super) fn beat(&mut self, now: Clocks) {
        let Some(session) = self.hold.session else { return };
        self.hold.last_seq += 1;
        let seq = self.hold.last_seq;
        self.hold.beats.push_back((seq, now));
        if self.hold.beats.len() > BEATS_KEPT {
            self.hold.beats.pop_front();
        }
        self.send(
            self.epoch.pnn,
            LeaseMsg::Beat { epoch: self.epoch, session, seq, answered: self.hold.last_acked },
        );
    }

    /// Rule L: the recmaster of my epoch acknowledged my beat while it led; `age` is how old its contact was.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub(super) fn on_ack(
        &mut self,
        from: Pnn,
        epoch: Epoch,
        session: Session,
        seq: u64,
        age: Micros,
        settled: bool,
        now: Clocks,
    ) {
        if epoch != self.epoch || from != epoch.pnn || self.hold.session != Some(session) {
            return;
        }
        let Some(&(_, sent)) = self.hold.beats.iter().find(|(s, _)| *s == seq) else { return };
        self.hold.answered = Some(now);
        self.hold.last_acked = self.hold.last_acked.max(seq);
        self.member.welcome(now, true);
        self.member.lived(sent, self.times.wait(self.times.t));
        self.grantor.support(epoch);
        if settled {
            self.lists.settle();
        }
        // The recmaster's contact was already `age` old: its grace is not renewed by telling us (D6).
        let age = if self.rules.d6_proof_age { stretched(age) } else { 0 };
        self.contact(sent.minus(age));
        self.extend(sent, HoldRule::Recmaster, now);
    }
}
