//! Who may hold an address: when the recmaster may give it, and which command a holder obeys.
//!
//! A leading recmaster gives an address only when every node is joined or out (D3), was seen in this epoch when all others were (d30),
//! and whoever held it released it or is out.
//! Takes and releases are numbered in the epoch; a holder obeys rising numbers only (d15), for its own session only (d11).

use super::Lease;
use super::clock::{Clocks, Micros};
use super::io::{Command, LeaseAction};
use super::lead::Seat;
use crate::model::{Pnn, Session};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Why an address cannot be given now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// This node is not recmaster, or has no fresh proof that it is.
    NotLeading,
    /// Nodes that this recmaster has not heard of may hold the address.
    Unaccounted {
        /// The nodes: those that have not joined, or, when all have, those that have not answered a round since (d30).
        pnns: Vec<Pnn>,
    },
    /// Nodes may still hold the address.
    Held {
        /// The nodes.
        by: Vec<Pnn>,
        /// How long until the lease of a silent one is surely over, in microseconds, if that is known.
        for_another: Option<Micros>,
    },
    /// The taker has not joined, or has no lease yet.
    NotJoined {
        /// The taker.
        pnn: Pnn,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |p: &[Pnn]| p.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::NotLeading => write!(f, "this node has no fresh proof that it is recmaster"),
            Self::Unaccounted { pnns } => {
                write!(
                    f,
                    "node {} was not heard of since this recmaster took over and may hold it",
                    list(pnns)
                )
            }
            Self::Held { by, for_another: None } => write!(f, "node {} holds it", list(by)),
            Self::Held { by, for_another: Some(us) } => {
                write!(f, "node {} is silent, its lease is over in {} ms", list(by), us.div_ceil(1000))
            }
            Self::NotJoined { pnn } => write!(f, "node {pnn} has not joined this recmaster"),
        }
    }
}

impl Lease {
    /// The give rule: whether the recmaster may give `addr` to anybody now.
    ///
    /// # Errors
    /// Says who or what must be waited for.
    pub fn may_give(&self, addr: IpAddr, now: Clocks) -> Result<(), WaitReason> {
        self.may_give_to(addr, None, now)
    }

    fn may_give_to(&self, addr: IpAddr, to: Option<(Pnn, Session)>, now: Clocks) -> Result<(), WaitReason> {
        let Some(lead) = self.lead.as_ref().filter(|_| self.leading(now)) else {
            return Err(WaitReason::NotLeading);
        };
        if !self.accounted(lead, now) && self.rules.d3_all_accounted {
            // d30: seated, but not yet seen after the others were.
            let missing = |s: &Seat| match s {
                Seat::Unheard => true,
                Seat::Joined(_) => lead.all_seated(),
                Seat::Out(..) => false,
            };
            let missing = lead.seats.iter().filter(|(p, s)| **p != self.me && missing(s));
            return Err(WaitReason::Unaccounted { pnns: missing.map(|(p, _)| *p).collect() });
        }
        let claims = lead.claims.get(&addr).into_iter().flat_map(|c| c.keys());
        let by: Vec<Pnn> = claims.filter(|c| Some(**c) != to).map(|(p, _)| *p).collect();
        if by.is_empty() {
            return Ok(());
        }
        let for_another = by.iter().filter_map(|p| self.wait_of(*p, now)).max();
        Err(WaitReason::Held { by, for_another })
    }

    /// The give rule, as an input: the take leaves with the next number, and the taker's claim is noted before it does.
    pub(super) fn give(&mut self, addr: IpAddr, to: Pnn, now: Clocks) {
        let session = self.session_of(to);
        let may = match session {
            Some(_) if !self.has_lease(to, now) && self.rules.take_needs_lease => {
                Err(WaitReason::NotJoined { pnn: to })
            }
            None => Err(WaitReason::NotJoined { pnn: to }),
            Some(s) => self.may_give_to(addr, Some((to, s)), now),
        };
        match (may, session, &mut self.lead) {
            (Ok(()), Some(session), Some(lead)) => {
                lead.last_number += 1;
                let number = lead.last_number;
                lead.claims.entry(addr).or_default().insert((to, session), number);
                let command = Command { take: true, epoch: lead.epoch, session, number, addr };
                self.out.push(LeaseAction::Command { to, command });
            }
            (Err(why), ..) => self.out.push(LeaseAction::Denied { addr, why }),
            (Ok(()), ..) => self.out.push(LeaseAction::Denied { addr, why: WaitReason::NotLeading }),
        }
    }

    /// Whether that node was acknowledged in this epoch: before, it would refuse a take.
    fn has_lease(&self, pnn: Pnn, now: Clocks) -> bool {
        if pnn == self.me {
            return self.may_serve(now);
        }
        let seat = self.lead.as_ref().and_then(|l| l.seats.get(&pnn));
        matches!(seat, Some(Seat::Joined(j)) if j.acked.is_some())
    }

    pub(super) fn reclaim(&mut self, addr: IpAddr, from: Pnn, now: Clocks) {
        let leading = self.leading(now);
        match (self.session_of(from), self.lead.as_mut().filter(|_| leading)) {
            (Some(session), Some(lead)) => {
                lead.last_number += 1;
                let number = lead.last_number;
                let command = Command { take: false, epoch: lead.epoch, session, number, addr };
                self.out.push(LeaseAction::Command { to: from, command });
            }
            (None, Some(_)) => {
                self.out.push(LeaseAction::Denied { addr, why: WaitReason::NotJoined { pnn: from } });
            }
            (_, None) => self.out.push(LeaseAction::Denied { addr, why: WaitReason::NotLeading }),
        }
    }

    /// The answer to a release of this epoch frees the address, if no later take went to that session (d15).
    pub(super) fn released(&mut self, from: Pnn, c: &Command) {
        let same = |l: &&mut super::lead::Lead| l.epoch == c.epoch || !self.rules.d15_epoch;
        let Some(claims) = self.lead.as_mut().filter(same).and_then(|l| l.claims.get_mut(&c.addr)) else {
            return;
        };
        let holder = (from, c.session);
        if claims.get(&holder).is_some_and(|take| c.number > *take || !self.rules.d15_numbers) {
            claims.remove(&holder);
        }
    }

    /// Whether a holder obeys this command: of its epoch, for its session, newer than the last for that address; a take only
    /// while its lease is alive.
    ///
    /// A session that never had a lease cannot lapse. If it took addresses, was frozen, evicted, and woke up, it would carry
    /// them into the next epoch as its own.
    #[must_use]
    pub fn accepts(&self, c: &Command, now: Clocks) -> bool {
        if c.take && !self.may_serve(now) && self.rules.take_needs_lease {
            return false;
        }
        let session = match self.hold.session {
            None => false,
            Some(s) => s == c.session || !self.rules.d11_session_on_commands,
        };
        let newest = self.hold.numbers.get(&c.addr).copied().unwrap_or(0);
        session && c.epoch == self.epoch && (c.number > newest || !self.rules.d15_numbers)
    }

    /// Whether a newer command for the same address was obeyed since this one: its end says nothing any more.
    #[must_use]
    pub fn newer_than(&self, c: &Command) -> bool {
        self.hold.numbers.get(&c.addr).is_some_and(|n| (self.epoch, *n) > (c.epoch, c.number))
    }

    /// Holder: obeys or ignores. The address belongs to this session from here on, not from the end of the scripts.
    pub(super) fn commanded(&mut self, command: Command, now: Clocks) {
        if !self.accepts(&command, now) {
            return;
        }
        self.hold.numbers.insert(command.addr, command.number);
        if command.take {
            self.hold.held.insert(command.addr);
            self.out.push(LeaseAction::Take(command));
        } else {
            self.out.push(LeaseAction::Release(command));
        }
    }

    /// Recmaster: who may hold this address now.
    #[must_use]
    pub fn claimants(&self, addr: IpAddr) -> Vec<Pnn> {
        let lead = self.lead.as_ref().filter(|l| l.active());
        lead.and_then(|l| l.claims.get(&addr)).into_iter().flat_map(|c| c.keys()).map(|(p, _)| *p).collect()
    }
}
