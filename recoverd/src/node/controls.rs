//! The node's side of a run: what it answers to the recmaster's controls.
//!
//! Controls of an older epoch are refused. Releases and takes are answered address by address by `ips`; `startipreallocate` and
//! `ipreallocated` when their event has ended (a hung one fails the control, SEMANTICS B.3). The stamps of the last run keep the
//! local address check out of its way.

use super::ips::Why;
use super::{Cx, Node};
use crate::action::{Action, Level, RunSeen};
use crate::control::{Answer, Control, NodeInfo};
use crate::model::{Epoch, Event, EventOutcome, Mono, NodeFlags, Pnn, RunId, RunState};
use crate::msg::PeerMsg;
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Events of a run that somebody waits for.
    events: BTreeMap<u64, (Pnn, u64)>,
    /// A run has said `startipreallocate` and not yet `ipreallocated`.
    in_run: Option<RunId>,
    pub(super) run_started: Mono,
    run_finished: Mono,
    /// Length of the last run as this node saw it.
    pub(super) last_run: Option<(Mono, Mono)>,
}

impl Controls {
    /// Whether a run is in flight, or began or ended after `t`.
    pub(super) fn run_touches(&self, t: Mono) -> bool {
        self.in_run.is_some() || self.run_started >= t || self.run_finished >= t
    }

    pub(super) fn forget_peer(&mut self, pnn: Pnn) {
        self.events.retain(|_, (to, _)| *to != pnn);
    }

    pub(super) fn new_epoch(&mut self) {
        self.in_run = None;
    }

    /// The recmaster is gone; its run will not end.
    pub(super) fn run_over(&mut self) {
        self.in_run = None;
    }
}

impl Node {
    pub(super) fn on_peer_msg(&mut self, from: Pnn, msg: PeerMsg, cx: &mut Cx) {
        let Some(msg) = self.membership.defer(from, msg) else { return };
        match msg {
            PeerMsg::State(state) => self.on_state(from, state, cx),
            PeerMsg::Control { req, epoch, session, control } => {
                if self.refuses_control(epoch, session) {
                    let answer =
                        Answer::Failed("the lease session or epoch that is meant has ended".to_owned());
                    cx.send(from, PeerMsg::Answer { req, answer });
                } else {
                    self.on_control(from, req, epoch, control, cx);
                }
            }
            PeerMsg::Answer { req, answer } => self.on_answer(from, req, answer, cx),
            PeerMsg::IpAnswer { req, addr, result } => self.on_ip_answer(from, req, addr, result, cx),
            PeerMsg::RunRequest { req, request } => self.on_run_request(from, req, request, cx),
            PeerMsg::RunAnswer { req, result } => self.on_run_answer(req, result, cx),
            PeerMsg::Ban { epoch, seconds, reason } => {
                if epoch >= self.leader.epoch && from == epoch.pnn {
                    self.ban(seconds, &reason, cx);
                }
            }
            // The driver's.
            PeerMsg::Connections(_) => {}
        }
        self.due_runs(cx);
    }

    fn on_control(&mut self, from: Pnn, req: u64, epoch: Epoch, control: Control, cx: &mut Cx) {
        if from == self.cfg.me && !self.leader.leading() {
            // What we told ourselves before we stepped down; it must not make us believe that we still lead.
            return;
        }
        if epoch < self.leader.epoch || epoch.pnn != from {
            let text = format!(
                "node {from} asked {} with epoch {epoch}, but epoch {} has begun",
                control.kind(),
                self.leader.epoch
            );
            cx.log(Level::Warning, text.clone());
            cx.send(from, PeerMsg::Answer { req, answer: Answer::Failed(text) });
            return;
        }
        self.on_control_epoch(from, epoch, cx);
        let answer = match control {
            Control::GetAllTunables => Answer::Tunables(self.tunables.clone()),
            Control::GetNodemap => Answer::Nodemap(self.nodemap()),
            Control::GetPublicIps { available_only } => {
                let mut ips = self.public_ips();
                if available_only {
                    ips.retain(|ip| ip.unavailable.is_none());
                }
                Answer::PublicIps(ips)
            }
            Control::StartIpreallocate { run, nodes } => {
                self.controls.in_run = Some(run);
                self.controls.run_started = cx.now;
                self.run_seen(RunSeen { run, over: false, nodes }, cx);
                // One that leaves has a group's address to hand over, too.
                if matches!(self.runstate, RunState::Running | RunState::Shutdown) {
                    self.run_event_for(from, req, Event::StartIpreallocate, cx);
                    return;
                }
                Answer::Ok
            }
            Control::ReleaseIp { run: _, addrs } => {
                // Last taken, first released: the kernel sets all addresses of a subnet up anew when their first one goes (9 s for 1000).
                for (addr, new_owner) in addrs.into_iter().rev() {
                    self.release_ip(addr, new_owner, Some((from, req)), cx);
                }
                return;
            }
            Control::TakeoverIp { run: _, addrs } => {
                let mut refs = self.ips.references_for(&addrs);
                for addr in addrs {
                    if let Some(iface) = self.take_ip_with(addr, Why::Run, Some((from, req)), &refs, cx) {
                        *refs.entry(iface).or_default() += 1;
                    }
                }
                return;
            }
            Control::Ipreallocated { run, owners, nodes } => {
                self.record_owners(&owners, cx);
                let began = self.controls.in_run == Some(run);
                self.run_seen(RunSeen { run, over: began, nodes }, cx);
                self.controls.in_run = None;
                self.controls.run_finished = cx.now;
                self.controls.last_run = Some((self.controls.run_started.min(cx.now), cx.now));
                if run.epoch == self.leader.epoch {
                    self.leader.first_run_done = true;
                }
                self.run_event_for(from, req, Event::Ipreallocated, cx);
                return;
            }
        };
        cx.send(from, PeerMsg::Answer { req, answer });
    }

    /// Built-in handlers decide by what the recmaster sees, so that no two nodes lead one group. What is not up yet leads nothing: it
    /// would not hear that a run begins. Who leaves is of no use to a group: it counts as STOPPED, everywhere alike, so that in the run
    /// that it waits for another node takes its place.
    fn run_seen(&self, mut seen: RunSeen, cx: &mut Cx) {
        seen.over &= self.runstate == RunState::Running;
        for node in seen.nodes.iter_mut().filter(|n| n.runstate == RunState::Shutdown) {
            node.flags |= NodeFlags::STOPPED;
        }
        cx.actions.push(Action::RunSeen(seen));
    }

    fn run_event_for(&mut self, from: Pnn, req: u64, event: Event, cx: &mut Cx) {
        let op = cx.run_event(event, self.tunables.event_script_timeout());
        self.controls.events.insert(op, (from, req));
    }

    /// The run tells everybody who owns what. About an address that is ours or in work here, only the orders themselves count.
    fn record_owners(&mut self, owners: &[(std::net::IpAddr, Option<Pnn>)], cx: &Cx) {
        let me = Some(self.cfg.me);
        for (addr, owner) in owners {
            let Some(entry) = self.ips.map.get_mut(addr).filter(|e| !e.busy() || e.releasing()) else {
                continue;
            };
            if entry.owner != *owner && *owner != me && entry.owner != me {
                entry.owner = *owner;
                entry.touched = cx.now;
            }
        }
    }

    pub(super) fn on_run_event(&mut self, op: u64, outcome: &EventOutcome, cx: &mut Cx) -> bool {
        let Some((to, req)) = self.controls.events.remove(&op) else { return false };
        let answer = match outcome {
            EventOutcome::Ok => Answer::Ok,
            bad => {
                cx.log(Level::Error, bad.to_string());
                Answer::Failed(bad.to_string())
            }
        };
        cx.send(to, PeerMsg::Answer { req, answer });
        true
    }

    fn nodemap(&self) -> Vec<NodeInfo> {
        (0u32..)
            .map(Pnn)
            .zip(&self.cfg.nodes)
            .map(|(pnn, n)| NodeInfo {
                pnn,
                // As in CTDB, where nobody can be connected to a deleted node: a run asks it nothing.
                flags: if n.deleted {
                    NodeFlags::DELETED | NodeFlags::DISCONNECTED
                } else {
                    self.flags_of(pnn) | self.about_to_be(pnn)
                },
                runstate: self.runstate_of(pnn),
            })
            .collect()
    }

    /// A recmaster that hands over to be stopped counts as stopped.
    fn about_to_be(&self, pnn: Pnn) -> NodeFlags {
        if pnn == self.cfg.me && self.life.stopping() { NodeFlags::STOPPED } else { NodeFlags::NONE }
    }

    fn runstate_of(&self, pnn: Pnn) -> RunState {
        if pnn == self.cfg.me {
            return self.runstate;
        }
        self.peers.get(pnn).map_or(RunState::Unknown, super::peers::Peer::runstate)
    }
}
