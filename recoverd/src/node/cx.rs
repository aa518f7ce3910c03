//! The context of one call of the machine: the time, the actions collected so far, and what the node says to itself.

use crate::action::{Action, Entry, Kind, Level};
use crate::model::{Event, Mono, Pnn, RunId};
use crate::msg::PeerMsg;
use std::collections::VecDeque;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(super) struct Cx {
    pub(super) now: Mono,
    pub(super) actions: Vec<Action>,
    pub(super) next_id: u64,
    me: Pnn,
    loopback: VecDeque<PeerMsg>,
}

impl Cx {
    pub(super) fn new(now: Mono, me: Pnn, next_id: u64) -> Self {
        Self { now, actions: Vec::new(), next_id, me, loopback: VecDeque::new() }
    }

    /// A number that this machine has never used, for requests and events.
    pub(super) fn id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Sends to a node; what is meant for this node is handled before the call returns.
    pub(super) fn send(&mut self, to: Pnn, msg: PeerMsg) {
        if to == self.me {
            self.loopback.push_back(msg);
        } else {
            self.actions.push(Action::Send { to, msg });
        }
    }

    pub(super) fn pop_loopback(&mut self) -> Option<PeerMsg> {
        self.loopback.pop_front()
    }

    pub(super) fn talks_to_itself(&self) -> bool {
        !self.loopback.is_empty()
    }

    pub(super) fn run_event(&mut self, event: Event, timeout: Duration) -> u64 {
        let op = self.id();
        self.actions.push(Action::RunEvent { op, event, timeout });
        op
    }

    pub(super) fn log(&mut self, level: Level, text: impl Into<String>) {
        self.actions.push(Action::Log { level, text: text.into() });
    }

    pub(super) fn journal(&mut self, kind: Kind, run: Option<RunId>, text: impl Into<String>) {
        self.actions.push(Action::Journal(Entry { kind, run, text: text.into(), report: None }));
    }
}
