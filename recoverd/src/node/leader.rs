//! Who is recmaster.
//!
//! With a cluster lock the node that holds it is recmaster and keeps it; all capable, active nodes queue for it always, so that it
//! changes hands the moment its holder dies. Its epoch is above every epoch seen and above the one recorded in the lock, and is
//! recorded there before it is announced. Without a lock the longest-running connected node claims (CTDB's election), which
//! keeps nobody from leading on both sides of a partition: the driver warns at start. A higher epoch always wins; what a node says
//! about an older one is stale (Samba bug 15892).

use super::{Cx, Node};
use crate::action::{Action, Kind, Level, LockAction};
use crate::input::LockInput;
use crate::model::{Epoch, Event, Mono, Pnn, RunState};
use crate::msg::NodeState;
use std::cmp::Reverse;

/// How far this node is on the way to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Follower,
    /// The lock is ours, the epoch is being recorded in it.
    Recording(Epoch),
    Leading,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Leader {
    /// Highest epoch seen or made.
    pub(super) epoch: Epoch,
    /// Whether the recmaster of `epoch` is known to lead now.
    known: bool,
    role: Role,
    /// We have asked for the lock (or hold it).
    queued: bool,
    holds_lock: bool,
    /// Since when there is no recmaster.
    none_since: Option<Mono>,
    /// The `startrecovery`, then `recovered` event of this epoch that runs now.
    recovery_op: Option<u64>,
    recovered: bool,
    /// A run of this epoch has ended here.
    pub(super) first_run_done: bool,
    /// All addresses were dropped because there was no recmaster for too long.
    dropped: bool,
    /// Without a lock: when our epoch was last moved above another's, and until when we do not claim.
    moved: Option<Mono>,
    quiet_until: Mono,
}

impl Leader {
    pub(super) fn new(epoch: Epoch, now: Mono) -> Self {
        Self {
            epoch,
            known: false,
            role: Role::Follower,
            queued: false,
            holds_lock: false,
            none_since: Some(now),
            recovery_op: None,
            recovered: false,
            first_run_done: false,
            dropped: false,
            moved: None,
            quiet_until: Mono(0),
        }
    }

    pub(super) fn leading(&self) -> bool {
        self.role == Role::Leading
    }

    /// The recmaster, if one is known.
    pub(super) fn pnn(&self) -> Option<Pnn> {
        self.known.then_some(self.epoch.pnn)
    }
}

impl Node {
    pub(super) fn may_lead(&self) -> bool {
        self.cfg.leader_capable
            && !self.flags.is_inactive()
            && matches!(self.runstate, RunState::FirstRecovery | RunState::Startup | RunState::Running)
    }

    /// Whether a recmaster is there or can come: this node, or a connected one that is active and capable.
    pub(super) fn somebody_may_lead(&self) -> bool {
        let able = |s: &NodeState| s.leader_capable && !s.flags.is_inactive();
        self.may_lead()
            || self.leader.pnn().is_some()
            || self.peers.connected().any(|(_, p)| p.state.as_ref().is_none_or(able))
    }

    pub(super) fn on_lock(&mut self, lock: LockInput, cx: &mut Cx) {
        match lock {
            LockInput::Acquired { previous } => {
                self.leader.holds_lock = true;
                if self.may_lead() {
                    let epoch = self.leader.epoch.max(previous.unwrap_or(Epoch::NONE)).next(self.cfg.me);
                    self.record_epoch(epoch, cx);
                } else {
                    self.leave_lock(cx);
                }
            }
            LockInput::Recorded { epoch } => {
                if self.leader.role == Role::Recording(epoch) {
                    self.lead(epoch, cx);
                }
            }
            LockInput::Lost { why } => {
                self.leader.holds_lock = false;
                self.leader.queued = false;
                cx.log(Level::Error, format!("cluster lock lost: {why}"));
                if self.leader.role != Role::Follower {
                    self.step_down(&format!("the cluster lock was lost: {why}"), cx);
                }
            }
        }
    }

    fn record_epoch(&mut self, epoch: Epoch, cx: &mut Cx) {
        self.leader.role = Role::Recording(epoch);
        cx.actions.push(Action::Lock(LockAction::Record(epoch)));
    }

    fn lead(&mut self, epoch: Epoch, cx: &mut Cx) {
        self.leader.role = Role::Leading;
        self.runs.new_epoch(cx.now);
        self.adopt(epoch, cx);
    }

    /// A higher epoch, our own or another's: from now on its recmaster is obeyed.
    fn adopt(&mut self, epoch: Epoch, cx: &mut Cx) {
        self.leader.epoch = epoch;
        self.leader.known = true;
        self.leader.none_since = None;
        self.leader.first_run_done = false;
        self.leader.recovered = false;
        self.leader.dropped = false;
        self.controls.new_epoch();
        self.persist(cx);
        cx.journal(Kind::Leader, None, format!("node {} is recmaster, epoch {epoch}", epoch.pnn));
        cx.log(Level::Notice, format!("node {} is recmaster (leader), epoch {epoch}", epoch.pnn));
        self.leader.recovery_op = None;
        // A node whose `setup` has not ended takes no part yet; it catches up when it has.
        if self.runstate >= RunState::FirstRecovery {
            self.begin_recovery(cx);
        }
        self.announce_state(cx);
        self.resend_requests(cx);
        if self.leader.leading() {
            self.request_run_here(format!("epoch {epoch} begins"));
        }
    }

    /// The recovery of the present epoch begins here, if there is a recmaster.
    pub(super) fn begin_recovery(&mut self, cx: &mut Cx) {
        if self.leader.known {
            let timeout = self.tunables.event_script_timeout();
            self.leader.recovery_op = Some(cx.run_event(Event::StartRecovery, timeout));
        }
    }

    /// `startrecovery` or `recovered` ended. Both only prepare services: a time-out counts as success, as in CTDB.
    pub(super) fn on_recovery_event(&mut self, op: u64, cx: &mut Cx) -> bool {
        if self.leader.recovery_op != Some(op) {
            return false;
        }
        if self.leader.recovered {
            self.leader.recovery_op = None;
            self.first_recovery_done(cx);
        } else {
            self.leader.recovered = true;
            let timeout = self.tunables.event_script_timeout();
            self.leader.recovery_op = Some(cx.run_event(Event::Recovered, timeout));
        }
        true
    }

    /// What a peer says about epochs.
    pub(super) fn on_peer_epoch(&mut self, from: Pnn, epoch: Epoch, leads: bool, cx: &mut Cx) {
        if epoch > self.leader.epoch {
            if self.leader.role != Role::Follower && self.cfg.leases {
                // Epochs are the lease layer's business; it will say.
            } else if self.leader.role != Role::Follower && !leads {
                let pause = self.tunables.election_timeout();
                if !self.leader.holds_lock && self.leader.moved.is_some_and(|t| cx.now < t + pause) {
                    // Somebody leads whom it sees and we do not: two would outbid each other without end.
                    self.leader.quiet_until = cx.now + pause;
                    return self.step_down(&format!("node {from} follows the higher epoch {epoch}"), cx);
                }
                self.leader.moved = Some(cx.now);
                // It remembers an epoch that the lock does not: ours must be above it, or it refuses our controls.
                cx.log(Level::Notice, format!("node {from} has seen epoch {epoch}, ours moves above it"));
                self.abort_runs("a node has seen a higher epoch", cx);
                if self.leader.holds_lock {
                    self.record_epoch(epoch.next(self.cfg.me), cx);
                } else {
                    self.lead(epoch.next(self.cfg.me), cx);
                }
            } else if leads && from == epoch.pnn {
                if self.leader.role != Role::Follower {
                    self.step_down(&format!("node {from} leads with the higher epoch {epoch}"), cx);
                }
                self.adopt(epoch, cx);
            }
        } else if epoch == self.leader.epoch && leads && from == epoch.pnn && !self.leader.known {
            self.adopt(epoch, cx);
        } else if from == self.leader.epoch.pnn && self.leader.known && !leads && epoch == self.leader.epoch {
            self.no_leader(&format!("node {from} leads no more"), cx);
        }
    }

    /// A control of a higher epoch is proof enough that its sender leads.
    pub(super) fn on_control_epoch(&mut self, from: Pnn, epoch: Epoch, cx: &mut Cx) {
        if epoch > self.leader.epoch || (epoch == self.leader.epoch && !self.leader.known) {
            self.on_peer_epoch(from, epoch, true, cx);
        }
    }

    pub(super) fn leader_peer_lost(&mut self, pnn: Pnn, cx: &mut Cx) {
        if self.leader.pnn() == Some(pnn) {
            self.no_leader(&format!("node {pnn} disconnected"), cx);
        }
    }

    fn no_leader(&mut self, why: &str, cx: &mut Cx) {
        self.leader.known = false;
        self.leader.none_since = Some(cx.now);
        self.controls.run_over();
        cx.journal(Kind::Leader, None, format!("no recmaster: {why}"));
        cx.log(Level::Warning, format!("no recmaster (leader): {why}"));
    }

    /// Stop leading, keep queueing.
    fn step_down(&mut self, why: &str, cx: &mut Cx) {
        self.leader.role = Role::Follower;
        self.abort_runs(why, cx);
        self.no_leader(why, cx);
        if self.leader.holds_lock {
            self.leave_lock(cx);
        }
        self.announce_state(cx);
    }

    /// Stop leading and leave the queue: the node is inactive or shuts down.
    pub(super) fn give_up_leadership(&mut self, why: &str, cx: &mut Cx) {
        if self.leader.role != Role::Follower {
            self.step_down(why, cx);
        } else if self.leader.queued {
            self.leave_lock(cx);
        }
    }

    fn leave_lock(&mut self, cx: &mut Cx) {
        self.leader.holds_lock = false;
        self.leader.queued = false;
        cx.actions.push(Action::Lock(LockAction::Release));
    }

    /// The lease protocol says that this node leads.
    pub(super) fn lease_lead(&mut self, epoch: Epoch, cx: &mut Cx) {
        self.lead(epoch, cx);
    }

    /// The lease protocol says that this node leads no more.
    pub(super) fn lease_step_down(&mut self, why: &str, cx: &mut Cx) {
        self.step_down(why, cx);
    }

    pub(super) fn due_leader(&mut self, cx: &mut Cx) {
        if self.cfg.leases {
            // A recmaster that stops leads until its own addresses are handed over.
            let yes = self.may_lead() || (self.leader.leading() && self.runstate == RunState::Shutdown);
            self.tell_capable(yes, cx);
        } else if self.may_lead() {
            if self.cfg.has_lock {
                if !self.leader.queued {
                    self.leader.queued = true;
                    cx.actions.push(Action::Lock(LockAction::Acquire));
                }
            } else if self.leader.role == Role::Follower && self.may_claim(cx.now) {
                self.lead(self.leader.epoch.next(self.cfg.me), cx);
            }
        }
        if self.drop_all_due().is_some_and(|at| at <= cx.now) {
            self.leader.dropped = true;
            cx.log(
                Level::Error,
                "no recmaster for RecoveryDropAllIPs seconds: dropping all public addresses",
            );
            self.drop_all_ips("there was no recmaster for too long (RecoveryDropAllIPs)", cx);
        }
    }

    fn drop_all_due(&self) -> Option<Mono> {
        let since = self.leader.none_since.filter(|_| !self.leader.dropped)?;
        Some(since + self.tunables.recovery_drop_all_ips()?)
    }

    /// Without a lock: nobody leads, and of those that could we have run longest. Everybody must have had the chance to be heard:
    /// all peers are connected or were seen to go, or ElectionTimeout has passed.
    fn may_claim(&self, now: Mono) -> bool {
        let Some(since) = self.leader.none_since else { return false };
        if now < self.leader.quiet_until {
            return false;
        }
        let all_heard =
            self.peers.iter().all(|(_, p)| if p.connected() { p.state.is_some() } else { p.known_before });
        if !all_heard && now < since + self.tunables.election_timeout() {
            return false;
        }
        let mine = (now.since(self.started).as_millis(), Reverse(self.cfg.me));
        self.peers
            .connected()
            .filter(|(_, p)| {
                p.state.as_ref().is_some_and(|s| {
                    s.leader_capable && !s.flags.is_inactive() && s.runstate >= RunState::FirstRecovery
                })
            })
            .all(|(pnn, p)| (p.uptime_ms(now), Reverse(pnn)) < mine)
    }

    pub(super) fn leader_deadline(&self) -> Option<Mono> {
        let claim = self
            .leader
            .none_since
            .filter(|_| !self.cfg.leases && !self.cfg.has_lock && self.may_lead())
            .map(|since| (since + self.tunables.election_timeout()).max(self.leader.quiet_until));
        [claim, self.drop_all_due()].into_iter().flatten().min()
    }
}
