//! The lease layer above this machine's head: who leads, who holds nothing, and when everything must be dropped.
//!
//! [`crate::lease`] decides those; here they are taken note of. With leases the recmaster is who leads an epoch by the lease protocol, a
//! run begins only while every node is joined (and linked) or known to hold nothing, and a control names the session it is meant
//! for. CTDB has nothing like it: there a node that is silent long enough is believed to be gone.

use super::{Cx, Node};
use crate::action::{Action, Kind, LeaseWish, Level};
use crate::control::Control;
use crate::model::{Epoch, Pnn, RunState, Session};
use crate::msg::PeerMsg;
use crate::view::{LeaseView, Seat};
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Membership {
    view: Option<LeaseView>,
    /// The lease has lapsed, or the daemon has just started: nothing may be taken until everything is off.
    dropping: bool,
    capable: Option<bool>,
    /// Takes that came before the session was first extended: they wait for that, or for its end.
    waiting: Vec<(Pnn, PeerMsg)>,
    /// What the journal says of nodes that are out.
    noted: BTreeMap<Pnn, String>,
}

impl Membership {
    pub(super) fn session(&self) -> Option<Session> {
        self.view.as_ref().and_then(|v| v.session)
    }

    pub(super) fn seat(&self, pnn: Pnn) -> Option<&Seat> {
        self.view.as_ref()?.seats.iter().find(|(p, _)| *p == pnn).map(|(_, seat)| seat)
    }

    /// Whether takes wait for a session that is not the present one any more.
    fn waiting_for_another(&self, session: Option<Session>) -> bool {
        self.waiting.iter().any(|(_, m)| !matches!(m, PeerMsg::Control { session: s, .. } if *s == session))
    }

    /// Keeps a take that came before this session was first extended; gives it back if it need not wait.
    pub(super) fn defer(&mut self, from: Pnn, msg: PeerMsg) -> Option<PeerMsg> {
        let early = match (&self.view, &msg) {
            (Some(v), PeerMsg::Control { session, control: Control::TakeoverIp { .. }, .. }) => {
                !v.extended && v.session.is_some() && *session == v.session
            }
            _ => false,
        };
        if !early {
            return Some(msg);
        }
        self.waiting.push((from, msg));
        None
    }

    pub(super) fn dropping(&self) -> bool {
        self.dropping
    }
}

impl Node {
    pub(super) fn on_lease(&mut self, view: LeaseView, cx: &mut Cx) {
        let old = self.membership.view.replace(view.clone());
        if view.lapses != old.as_ref().map_or(0, |v| v.lapses) {
            self.lapsed(old.as_ref().and_then(|v| v.session), cx);
        }
        // Refused when the session they were meant for is over, obeyed when it has a lease now.
        if view.extended || self.membership.waiting_for_another(view.session) {
            for (from, msg) in std::mem::take(&mut self.membership.waiting) {
                self.on_peer_msg(from, msg, cx);
            }
        }
        let leads = self.leader.leading();
        if leads && (!view.leading || view.epoch != self.leader.epoch) {
            self.lease_step_down("it leads no more by the lease protocol", cx);
        }
        if view.leading && !self.leader.leading() && self.may_lead() {
            self.lease_lead(view.epoch, cx);
        }
        // Whom to follow is learned from the recmaster's own word, which it gives when it leads and can serve requests.
        if view.leading && old.as_ref().is_none_or(|o| o.seats != view.seats) {
            let was_out = |pnn: &Pnn| {
                old.iter().flat_map(|o| &o.seats).any(|(p, seat)| p == pnn && matches!(seat, Seat::Out(_)))
            };
            for (pnn, seat) in &view.seats {
                match seat {
                    Seat::Out(how) => self.seat_vacated(*pnn, how, !was_out(pnn), cx),
                    Seat::Joined(_) | Seat::Unheard => drop(self.membership.noted.remove(pnn)),
                }
            }
            self.request_run_here("the members of the cluster changed".to_owned());
        }
    }

    fn seat_vacated(&mut self, pnn: Pnn, how: &str, newly: bool, cx: &mut Cx) {
        if newly {
            // Its link may look well for long: a run does not wait for the answers of a node that is cut off or hangs.
            self.runs_lost_peer(pnn, cx);
        }
        if self.membership.noted.insert(pnn, how.to_owned()).as_deref() != Some(how) {
            cx.journal(Kind::Peer, None, format!("node {pnn} holds nothing: {how}"));
        }
    }

    /// The lease has lapsed: the gate is shut already. Everything goes before anything else is heard.
    fn lapsed(&mut self, session: Option<Session>, cx: &mut Cx) {
        self.membership.dropping = true;
        if self.runstate > RunState::Init {
            if let Some(session) = session {
                let text = format!(
                    "the lease of session {session} has lapsed: the gate is shut, all public addresses are dropped"
                );
                cx.log(Level::Error, text.clone());
                cx.journal(Kind::State, None, text);
            }
            self.drop_all_ips("the lease has lapsed", cx);
        }
        self.drop_progress(cx);
    }

    /// Called whenever an address may have gone.
    pub(super) fn drop_progress(&mut self, cx: &mut Cx) {
        if self.membership.dropping && self.runstate > RunState::Init && self.ips.idle_and_empty() {
            self.membership.dropping = false;
            cx.actions.push(Action::Lease(LeaseWish::Dropped));
        }
    }

    pub(super) fn tell_capable(&mut self, yes: bool, cx: &mut Cx) {
        if self.membership.capable != Some(yes) {
            self.membership.capable = Some(yes);
            cx.actions.push(Action::Lease(LeaseWish::Capable { yes }));
        }
    }

    /// Whether a run may begin: every other node is joined and linked, or is known to hold nothing.
    pub(super) fn accounted(&self) -> bool {
        !self.cfg.leases
            || self.peers.iter().all(|(pnn, peer)| match self.membership.seat(pnn) {
                Some(Seat::Joined(_)) => peer.connected(),
                Some(Seat::Out(_)) => true,
                Some(Seat::Unheard) | None => false,
            })
    }

    /// The session that a control to `to` is meant for.
    pub(super) fn session_of(&self, to: Pnn) -> Option<Session> {
        if to == self.cfg.me {
            return self.membership.session();
        }
        match self.membership.seat(to) {
            Some(Seat::Joined(session)) => Some(*session),
            _ => None,
        }
    }

    /// With leases, a control is refused that is not meant for the present session, or comes from an epoch that the lease layer has left.
    pub(super) fn refuses_control(&self, epoch: Epoch, meant: Option<Session>) -> bool {
        let Some(view) = self.membership.view.as_ref().filter(|_| self.cfg.leases) else {
            return self.cfg.leases;
        };
        meant.is_none() || meant != view.session || epoch < view.epoch
    }
}
