//! Aimed trouble on the network: for a while, datagrams of one kind between two of the cast are late, doubled or lost.
//!
//! Nothing that the random network could not do as well; only the chance is better.

use super::Sim;
use super::daemon::{Datagram, Event};
use super::faults::Role;
use recoverd::lease::LeaseMsg;

/// A kind of datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ack,
    Ask,
    Beat,
    Command,
    Fenced,
    Grant,
    Join,
    Released,
}

impl Kind {
    fn is(self, what: &Datagram) -> bool {
        let kind = match what {
            Datagram::Lease(LeaseMsg::Ack { .. }) => Self::Ack,
            Datagram::Lease(LeaseMsg::Ask { .. }) => Self::Ask,
            Datagram::Lease(LeaseMsg::Beat { .. }) => Self::Beat,
            Datagram::Lease(LeaseMsg::Grant { .. }) => Self::Grant,
            Datagram::Lease(LeaseMsg::Join { .. }) => Self::Join,
            Datagram::Command(_) => Self::Command,
            Datagram::Released(_) => Self::Released,
            Datagram::Fenced(_) => Self::Fenced,
            Datagram::Lease(_) | Datagram::Taken(_) => return false,
        };
        kind == self
    }
}

/// How they fare. Times in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Late(u64, u64),
    Twice(u64, u64),
    Lost,
}

/// Which datagrams, how, for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meddling {
    pub(super) kind: Kind,
    /// From one of the cast only.
    pub(super) from: Option<Role>,
    /// To one of the cast only.
    pub(super) to: Option<Role>,
    pub(super) how: How,
    pub(super) long: u64,
}

impl Sim {
    pub(super) fn meddle(&mut self, m: Meddling) {
        self.meddling.push((self.now + m.long, m));
    }

    /// Whether this datagram has been dealt with.
    pub(super) fn meddled(&mut self, from: usize, to: usize, what: &Datagram) -> bool {
        for i in 0..self.meddling.len() {
            let (until, m) = self.meddling[i];
            let sender = m.from.is_none_or(|r| self.choose(r) == from);
            let taker = m.to.is_none_or(|r| self.choose(r) == to);
            if self.now >= until || !m.kind.is(what) || !sender || !taker {
                continue;
            }
            return match m.how {
                How::Lost => true,
                How::Late(lo, hi) | How::Twice(lo, hi) => {
                    let d = self.p.range(lo, hi);
                    self.later(d, Event::Deliver { from, to, what: what.clone() });
                    matches!(m.how, How::Late(..))
                }
            };
        }
        false
    }
}
