//! One machine on a bench: node 1 of two, its peer played by hand. For what needs an exact order of inputs.

use super::world::{IFACE, World};
use crate::action::Action;
use crate::control::Control;
use crate::input::Input;
use crate::model::*;
use crate::msg::{NodeState, PeerMsg};
use crate::node::{Config, Node};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) const PEER: Pnn = Pnn(0);
const SESSION: Session = Session(77);

pub(super) struct Bench {
    pub(super) node: Node,
    pub(super) now: Mono,
    pub(super) kernel: KernelState,
    pub(super) epoch: Epoch,
    /// Events that run, by what they are called with.
    pub(super) running: BTreeMap<String, u64>,
    /// Whether the peer's version asks for signs of life, and whether it does with what it says.
    pub(super) asking: (bool, bool),
    seq: u64,
}

impl Bench {
    /// Has started, nothing else.
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let world = World::new(2, &["10.0.0.31", "10.0.0.32"], |_| {});
        let mut cfg = Config { me: Pnn(1), session: Session(1), ..world.cfg };
        change(&mut cfg);
        let now = Mono(1_000_000);
        let mut bench = Self {
            node: Node::new(cfg, now),
            now,
            kernel: world.hosts[0].kernel.clone(),
            epoch: Epoch { number: 1, pnn: PEER },
            running: BTreeMap::new(),
            asking: (true, false),
            seq: 0,
        };
        bench.feed(Input::Start);
        bench.notify();
        bench
    }

    /// Runs and is healthy, in the epoch of its peer, whose first run is over.
    pub(super) fn serving() -> Self {
        let mut b = Self::new(|_| {});
        b.peer_up();
        b.state(true);
        for event in ["init", "setup", "startrecovery", "recovered", "startup", "monitor"] {
            b.end(event, EventOutcome::Ok);
        }
        assert_eq!(b.node.runstate(), RunState::Running);
        let run = RunId { epoch: b.epoch, count: 1 };
        b.control(Control::Ipreallocated { run, owners: Vec::new(), nodes: Vec::new() });
        b.end("ipreallocated", EventOutcome::Ok);
        b.dump();
        b
    }

    pub(super) fn addr(&self) -> IpAddr {
        "10.0.0.31".parse().unwrap()
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Action> {
        self.now = self.now + Duration::from_millis(1);
        let actions = self.node.handle(input, self.now);
        for action in &actions {
            if let Action::RunEvent { op, event, .. } = action {
                self.running.insert(event.to_string(), *op);
            }
        }
        actions
    }

    /// An event ends; `event` is how it begins.
    pub(super) fn end(&mut self, event: &str, outcome: EventOutcome) -> Vec<Action> {
        let name = self.running.keys().find(|k| k.starts_with(event)).cloned();
        let name = name.unwrap_or_else(|| panic!("{event} does not run: {:?}", self.running));
        let op = self.running.remove(&name).unwrap();
        self.feed(Input::EventDone { op, outcome })
    }

    pub(super) fn peer_up(&mut self) -> Vec<Action> {
        self.feed(Input::PeerUp { pnn: PEER, session: SESSION })
    }

    pub(super) fn peer(&mut self, msg: PeerMsg) -> Vec<Action> {
        self.feed(Input::Peer { from: PEER, msg })
    }

    /// The peer says that it runs, is well, and whether it leads `epoch`.
    pub(super) fn state(&mut self, leads: bool) -> Vec<Action> {
        self.seq += 1;
        let state = NodeState {
            seq: self.seq,
            session: SESSION,
            flags: NodeFlags::NONE,
            runstate: RunState::Running,
            epoch: self.epoch,
            leads,
            leader_capable: true,
            uptime_ms: 0,
            partially_online: false,
            availability: 0,
            asks: self.asking.0,
            answer_wanted: self.asking.1,
            silent: Default::default(),
        };
        self.peer(PeerMsg::State(state))
    }

    pub(super) fn control(&mut self, control: Control) -> Vec<Action> {
        self.peer(PeerMsg::Control { req: 5, epoch: self.epoch, session: None, control })
    }

    pub(super) fn take(&mut self) -> Vec<Action> {
        let run = RunId { epoch: self.epoch, count: 2 };
        self.control(Control::TakeoverIp { run, addrs: vec![self.addr()] })
    }

    pub(super) fn release(&mut self) -> Vec<Action> {
        let run = RunId { epoch: self.epoch, count: 3 };
        self.control(Control::ReleaseIp { run, addrs: vec![(self.addr(), Some(PEER))] })
    }

    pub(super) fn put(&mut self, ifaces: &[&str]) {
        let place = |i: &&str| KernelAddr { iface: (*i).to_owned(), prefix: 24 };
        self.kernel.addrs.insert(self.addr(), ifaces.iter().map(place).collect());
        self.kernel.addrs.retain(|_, p| !p.is_empty());
    }

    pub(super) fn notify(&mut self) -> Vec<Action> {
        let state = Arc::new(self.kernel.clone());
        self.feed(Input::Kernel { state, asked_at: None, culprit: None })
    }

    pub(super) fn dump(&mut self) -> Vec<Action> {
        let state = Arc::new(self.kernel.clone());
        let asked_at = Some(self.now);
        self.now = self.now + Duration::from_millis(1);
        self.feed(Input::Kernel { state, asked_at, culprit: None })
    }

    /// Serving, with its address taken and seen.
    pub(super) fn holding() -> Self {
        let mut b = Self::serving();
        b.take();
        b.put(&[IFACE]);
        b.end("takeip", EventOutcome::Ok);
        b.dump();
        b
    }

    pub(super) fn later(&mut self, d: Duration) -> Vec<Action> {
        self.now = self.now + d;
        self.feed(Input::Tick)
    }
}

/// What was answered about the address.
pub(super) fn ip_answers(actions: &[Action]) -> Vec<bool> {
    let answer = |a: &Action| match a {
        Action::Send { msg: PeerMsg::IpAnswer { result, .. }, .. } => Some(result.is_ok()),
        _ => None,
    };
    actions.iter().filter_map(answer).collect()
}

/// The events that were begun, in words.
pub(super) fn begun(actions: &[Action]) -> Vec<String> {
    let event = |a: &Action| match a {
        Action::RunEvent { event, .. } => Some(event.to_string()),
        _ => None,
    };
    actions.iter().filter_map(event).collect()
}
