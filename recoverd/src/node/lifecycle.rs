//! From start to stop: run states, the events that go with them, bans that run out, and the orderly way out.
//!
//! CTDB's order (reference/ctdb.md 1.5): init, setup, first recovery, startup (retried every 5 s), running. A stop hands over first and
//! ends second: the node says SHUTDOWN, waits for the run that moves its addresses, a group's among them (at most `shutdown failover timeout`), lets go of
//! what is left, runs `shutdown`, and exits.

use super::requests::Waiter;
use super::{Cx, Node};
use crate::action::{Action, Kind, LeaseWish, Level};
use crate::command::Reply;
use crate::model::{Event, EventOutcome, Mono, NodeFlags, RunState};
use crate::msg::RunRequest;
use std::time::Duration;

const STARTUP_RETRY: Duration = Duration::from_secs(5);
/// A release that hangs must not keep a stopping daemon for ever.
const LAST_RELEASES: Duration = Duration::from_secs(5);

/// Where a stopping node is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Until then the recmaster may move the addresses.
    HandingOver(Mono),
    /// Until then what is left may be released.
    Releasing(Mono),
    /// Everything is released; until then services may finish what the fail-over left them.
    Lingering(Mono),
    /// The `shutdown` event runs.
    LastEvent,
    Gone,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// The event of the present run state.
    op: Option<u64>,
    retry_startup: Option<Mono>,
    leaving: Option<Leaving>,
    /// `ctdb shutdown` commands to answer.
    commands: Vec<u64>,
    /// `ctdb stop` of the recmaster: until then it may hand its addresses over, before somebody else must become recmaster.
    stopping: Option<Mono>,
}

impl Life {
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let leaving = match self.leaving {
            Some(Leaving::HandingOver(t) | Leaving::Releasing(t) | Leaving::Lingering(t)) => Some(t),
            _ => None,
        };
        [self.retry_startup, leaving, self.stopping].into_iter().flatten().min()
    }

    /// The node hands its addresses over to be stopped then.
    pub(super) fn stopping(&self) -> bool {
        self.stopping.is_some()
    }
}

impl Node {
    pub(super) fn on_start(&mut self, cx: &mut Cx) {
        cx.actions.push(Action::Observe);
        self.life.op = Some(cx.run_event(Event::Init, self.tunables.event_script_timeout()));
    }

    fn enter(&mut self, runstate: RunState, cx: &mut Cx) {
        self.runstate = runstate;
        cx.log(Level::Notice, format!("run state {runstate}"));
        self.hosting_changed(format!("node {} is {runstate}", self.cfg.me), cx);
        self.drop_progress(cx);
    }

    pub(super) fn on_event_done(&mut self, op: u64, outcome: &EventOutcome, cx: &mut Cx) {
        let known = self.on_ip_event(op, outcome, cx)
            || self.on_run_event(op, outcome, cx)
            || self.on_monitor_done(op, outcome, cx)
            || self.on_recovery_event(op, cx);
        if known {
            self.shutdown_progress(cx);
        } else if self.life.op == Some(op) {
            self.life.op = None;
            self.on_life_event(outcome, cx);
        }
    }

    fn on_life_event(&mut self, outcome: &EventOutcome, cx: &mut Cx) {
        let timeout = self.tunables.event_script_timeout();
        match (self.runstate, outcome) {
            (RunState::Init | RunState::Setup, bad) if !bad.is_ok() => {
                let event = if self.runstate == RunState::Init { "init" } else { "setup" };
                cx.actions.push(Action::Exit { code: 1, why: format!("event {event}: {bad}") });
            }
            (RunState::Init, _) => {
                self.enter(RunState::Setup, cx);
                self.life.op = Some(cx.run_event(Event::Setup, timeout));
            }
            (RunState::Setup, _) => {
                self.enter(RunState::FirstRecovery, cx);
                // A node that starts stopped or banned takes no part in a recovery: it is as far as it can come.
                if self.flags.is_inactive() {
                    self.begin_startup(cx);
                } else {
                    self.begin_recovery(cx);
                }
            }
            (RunState::Startup, EventOutcome::Ok) => {
                self.enter(RunState::Running, cx);
                cx.journal(Kind::State, None, format!("node {} is running", self.cfg.me));
                self.health.check_now(cx.now);
            }
            (RunState::Startup, bad) => {
                let text = format!("startup: {bad}; trying again in {} s", STARTUP_RETRY.as_secs());
                cx.journal(Kind::Event, None, text.clone());
                cx.log(Level::Error, text);
                self.life.retry_startup = Some(cx.now + STARTUP_RETRY);
            }
            (RunState::Shutdown, _) => self.leave(outcome, cx),
            (RunState::Unknown | RunState::FirstRecovery | RunState::Running, _) => {}
        }
    }

    fn begin_startup(&mut self, cx: &mut Cx) {
        self.enter(RunState::Startup, cx);
        self.life.op = Some(cx.run_event(Event::Startup, self.tunables.event_script_timeout()));
    }

    /// A recovery of the present epoch is over here.
    pub(super) fn first_recovery_done(&mut self, cx: &mut Cx) {
        if self.runstate == RunState::FirstRecovery {
            self.begin_startup(cx);
        }
    }

    pub(super) fn due_lifecycle(&mut self, cx: &mut Cx) {
        if self.life.retry_startup.is_some_and(|at| at <= cx.now) && self.runstate == RunState::Startup {
            self.life.retry_startup = None;
            self.life.op = Some(cx.run_event(Event::Startup, self.tunables.event_script_timeout()));
        }
        if self.life.stopping.is_some_and(|at| at <= cx.now) {
            self.now_stopped(cx);
        }
        match self.life.leaving {
            Some(Leaving::HandingOver(until)) if until <= cx.now => {
                cx.log(
                    Level::Warning,
                    "the addresses were not taken over in time: releasing them without that",
                );
                self.handed_over(cx);
            }
            Some(Leaving::Releasing(until)) if until <= cx.now => {
                cx.log(Level::Error, "some public address could not be released before the daemon ends");
                self.linger(cx);
            }
            Some(Leaving::Lingering(until)) if until <= cx.now => self.last_event(cx),
            _ => {}
        }
    }

    /// `ctdb stop`. A recmaster hands its addresses over while it can; in CTDB nobody serves them until there is another one (bug 16082).
    pub(super) fn begin_stop(&mut self, id: u64, cx: &mut Cx) {
        if self.life.stopping() {
            return self.stop_now(id, cx);
        }
        let me = self.cfg.me;
        let can = self.leader.leading() && self.accounted();
        // A stopped node does not lead.
        if !can || !self.has_to_hand_over() || self.runstate != RunState::Running {
            return self.switch(id, NodeFlags::STOPPED, true, cx);
        }
        self.operator("stop".to_owned(), cx);
        self.life.stopping = Some(cx.now + self.cfg.shutdown_timeout);
        self.availability_changed();
        let cause = format!("operator: stop on node {me}");
        self.request_run(RunRequest { cause, ..RunRequest::default() }, Waiter::Stop(id), cx);
    }

    /// The addresses are handed over, or were not in time.
    pub(super) fn stop_now(&mut self, id: u64, cx: &mut Cx) {
        self.now_stopped(cx);
        cx.actions.push(Action::Reply { id, reply: Reply::Ok });
    }

    /// `ctdb continue` before the stop is done.
    pub(super) fn stay(&mut self, id: u64, cx: &mut Cx) {
        self.operator("continue".to_owned(), cx);
        self.life.stopping = None;
        self.availability_changed();
        self.reallocate(id, "continue", cx);
    }

    fn now_stopped(&mut self, cx: &mut Cx) {
        if self.life.stopping.take().is_some() {
            self.change_flags(NodeFlags::STOPPED, true, "operator: stop", cx);
        }
    }

    /// Whether a run would move something from here: public addresses, perhaps the address of a group.
    fn has_to_hand_over(&self) -> bool {
        let owns = self.ips.map.values().any(|e| e.owner == Some(self.cfg.me));
        self.cfg.groups || (owns && !self.cfg.failover_disabled)
    }

    /// `ctdb shutdown`, SIGTERM or SIGINT.
    pub(super) fn begin_shutdown(&mut self, command: Option<u64>, cx: &mut Cx) {
        self.life.commands.extend(command);
        if self.life.leaving.is_some() {
            return;
        }
        cx.journal(Kind::State, None, format!("node {} is shutting down", self.cfg.me));
        let was = self.runstate;
        self.life.leaving = Some(Leaving::HandingOver(cx.now + self.cfg.shutdown_timeout));
        self.enter(RunState::Shutdown, cx);
        if was == RunState::Running && self.has_to_hand_over() {
            let cause = format!("node {} is shutting down", self.cfg.me);
            self.request_run(RunRequest { cause, ..RunRequest::default() }, Waiter::Shutdown, cx);
        } else {
            self.handed_over(cx);
        }
    }

    /// The run that moved our addresses has ended, or will not come.
    pub(super) fn handed_over(&mut self, cx: &mut Cx) {
        if matches!(self.life.leaving, Some(Leaving::HandingOver(_))) {
            self.life.leaving = Some(Leaving::Releasing(cx.now + LAST_RELEASES));
            self.drop_all_ips("the daemon ends", cx);
            self.shutdown_progress(cx);
        }
    }

    /// Called whenever an address may have gone.
    pub(super) fn shutdown_progress(&mut self, cx: &mut Cx) {
        self.drop_progress(cx);
        if matches!(self.life.leaving, Some(Leaving::Releasing(_))) && self.ips.idle_and_empty() {
            self.linger(cx);
        }
    }

    fn linger(&mut self, cx: &mut Cx) {
        if self.cfg.shutdown_extra.is_zero() {
            self.last_event(cx);
        } else {
            self.life.leaving = Some(Leaving::Lingering(cx.now + self.cfg.shutdown_extra));
        }
    }

    fn last_event(&mut self, cx: &mut Cx) {
        self.life.leaving = Some(Leaving::LastEvent);
        self.life.op = Some(cx.run_event(Event::Shutdown, self.tunables.event_script_timeout()));
    }

    fn leave(&mut self, outcome: &EventOutcome, cx: &mut Cx) {
        if self.life.leaving == Some(Leaving::Gone) {
            return;
        }
        self.life.leaving = Some(Leaving::Gone);
        if !outcome.is_ok() {
            cx.log(Level::Error, format!("shutdown: {outcome}"));
        }
        self.give_up_leadership("the daemon ends", cx);
        if self.cfg.leases {
            cx.actions.push(Action::Lease(LeaseWish::Leaving));
        }
        for id in std::mem::take(&mut self.life.commands) {
            cx.actions.push(Action::Reply { id, reply: Reply::Ok });
        }
        cx.actions.push(Action::Exit { code: 0, why: "shut down".to_owned() });
    }

    /// Be banned: by the recmaster after failed runs, or by an operator.
    pub(super) fn ban(&mut self, seconds: u32, why: &str, cx: &mut Cx) {
        self.banned_until = Some(cx.now + Duration::from_secs(seconds.into()));
        if self.flags.intersects(NodeFlags::BANNED) {
            self.persist(cx);
        }
        self.change_flags(NodeFlags::BANNED, true, &format!("banned for {seconds} s: {why}"), cx);
    }

    pub(super) fn due_ban(&mut self, cx: &mut Cx) {
        if self.banned_until.is_some_and(|at| at <= cx.now) {
            self.banned_until = None;
            self.change_flags(NodeFlags::BANNED, false, "the ban has run out", cx);
        }
    }
}
