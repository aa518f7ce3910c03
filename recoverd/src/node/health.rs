//! Health: the monitor event, when it runs and what its outcome means.
//!
//! CTDB's rules (reference/ctdb.md 1.4, 1.7): a node starts UNHEALTHY and must pass one monitor; a failure makes it UNHEALTHY at once,
//! a time-out only after MonitorTimeoutCount in a row. The interval grows 2, 4, 8 … to MonitorInterval after a start, and is 5 s after
//! a change of flags. Unlike CTDB a change of a link runs it at once instead of at the next turn.

use super::{Cx, Node};
use crate::action::{Kind, Level};
use crate::model::{Event, EventOutcome, Mono, NodeFlags, RunState};
use std::time::Duration;

const FIRST_INTERVAL: Duration = Duration::from_secs(2);
const AFTER_CHANGE: Duration = Duration::from_secs(5);
/// `monitor` gives way to other events; it is wanted all the same, as soon as they are done.
const AFTER_CANCEL: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Health {
    next: Mono,
    op: Option<u64>,
    interval: Option<Duration>,
    timeouts: u32,
    /// Something changed while a monitor was running: its outcome may be stale, run another.
    again: bool,
}

impl Health {
    /// Monitor as soon as possible.
    pub(super) fn check_now(&mut self, now: Mono) {
        self.again = self.op.is_some();
        self.next = now;
    }

    pub(super) fn flags_changed(&mut self, now: Mono) {
        self.next = self.next.min(now + AFTER_CHANGE);
    }

    pub(super) fn cancelled(&mut self, op: u64, now: Mono) {
        if self.op == Some(op) {
            self.op = None;
            self.next = now + AFTER_CANCEL;
        }
    }

    pub(super) fn next_deadline(&self, runstate: RunState) -> Option<Mono> {
        (self.op.is_none() && runstate == RunState::Running).then_some(self.next)
    }
}

impl Node {
    pub(super) fn due_health(&mut self, cx: &mut Cx) {
        if self.health.next_deadline(self.runstate).is_some_and(|at| at <= cx.now) {
            // CTDB does not monitor stopped and banned nodes: nothing hangs on the outcome.
            if self.flags.intersects(NodeFlags::STOPPED | NodeFlags::BANNED) {
                self.health.next = cx.now + self.tunables.monitor_interval();
                return;
            }
            self.health.again = false;
            self.health.op = Some(cx.run_event(Event::Monitor, self.tunables.event_script_timeout()));
        }
    }

    pub(super) fn on_monitor_done(&mut self, op: u64, outcome: &EventOutcome, cx: &mut Cx) -> bool {
        if self.health.op != Some(op) {
            return false;
        }
        self.health.op = None;
        let max = self.tunables.monitor_interval();
        let interval = self.health.interval.map_or(FIRST_INTERVAL, |i| i * 2).min(max);
        self.health.interval = Some(interval);
        self.health.next = if self.health.again { cx.now } else { cx.now + interval };
        match outcome {
            EventOutcome::Ok => {
                self.health.timeouts = 0;
                self.change_flags(NodeFlags::UNHEALTHY, false, "the monitor event succeeded", cx);
            }
            EventOutcome::Failed { .. } => {
                self.health.timeouts = 0;
                self.unhealthy(&format!("monitor: {outcome}"), cx);
            }
            EventOutcome::TimedOut { script } => {
                self.health.timeouts += 1;
                let limit = self.tunables.monitor_timeout_count();
                cx.journal(
                    Kind::Event,
                    None,
                    format!("monitor: {script} timed out, {} in a row", self.health.timeouts),
                );
                cx.log(
                    Level::Warning,
                    format!(
                        "monitor: {script} timed out, {} in a row; the node becomes UNHEALTHY at {limit} \
                         (MonitorTimeoutCount)",
                        self.health.timeouts
                    ),
                );
                if self.health.timeouts >= limit {
                    self.unhealthy(
                        &format!("monitor: {script} timed out {} times", self.health.timeouts),
                        cx,
                    );
                }
            }
        }
        true
    }

    fn unhealthy(&mut self, why: &str, cx: &mut Cx) {
        if !self.flags.intersects(NodeFlags::UNHEALTHY) {
            cx.log(Level::Error, format!("the node becomes UNHEALTHY: {why}"));
        }
        self.change_flags(NodeFlags::UNHEALTHY, true, why, cx);
    }
}
