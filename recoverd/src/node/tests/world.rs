//! A cluster in memory: machines, a kernel for each, links that deliver in order, one cluster lock, virtual time.
//!
//! Everything is deterministic. Events take [`World::event_time`], messages [`World::message_time`]. After every step no address is on
//! two kernels of live nodes, or the test fails at once.

use crate::action::{Action, Entry, LockAction, Persistent};
use crate::command::{Command, Reply};
use crate::input::{Input, LockInput};
use crate::model::*;
use crate::msg::PeerMsg;
use crate::node::{Config, Node, NodeConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Host {
    pub(super) node: Option<Node>,
    pub(super) kernel: KernelState,
    pub(super) journal: Vec<Entry>,
    pub(super) events: Vec<String>,
    pub(super) exited: Option<u8>,
    pub(super) fail: BTreeMap<&'static str, EventOutcome>,
    session: u64,
    deadline: Option<Mono>,
}

pub(super) struct World {
    pub(super) hosts: Vec<Host>,
    pub(super) now: Mono,
    pub(super) replies: BTreeMap<u64, Reply>,
    pub(super) cfg: Config,
    pub(super) controls: Vec<(u32, u32, &'static str)>,
    /// Messages to other nodes.
    pub(super) sent: usize,
    /// What one sends to the other is lost, and nobody sees the link break.
    pub(super) mute: BTreeSet<(u32, u32)>,
    queue: BTreeMap<(Mono, u64), (u32, u64, Input)>,
    seq: u64,
    links: BTreeSet<(u32, u32)>,
    lock_holder: Option<u32>,
    lock_queue: Vec<u32>,
    lock_record: Option<Epoch>,
    next_command: u64,
}

pub(super) const IFACE: &str = "bond0";

impl World {
    pub(super) fn new(nodes: u32, addrs: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let public =
            |a: &&str| PublicAddress { addr: a.parse().unwrap(), prefix: 24, ifaces: vec![IFACE.into()] };
        let mut cfg = Config {
            me: Pnn(0),
            nodes: (0..nodes)
                .map(|n| NodeConfig { addr: IpAddr::from([192, 168, 20, 41 + n as u8]), deleted: false })
                .collect(),
            public_addresses: addrs.iter().map(public).collect(),
            tunables: Tunables::default(),
            session: Session(0),
            has_lock: true,
            leases: false,
            leader_capable: true,
            failover_disabled: false,
            groups: false,
            shutdown_timeout: Duration::from_secs(10),
            shutdown_extra: Duration::ZERO,
            persistent: Persistent { epoch: Epoch::NONE, disabled: false, stopped: false, banned_for: None },
            home_nodes: crate::alloc::HomeNodes::default(),
        };
        change(&mut cfg);
        let host = || Host {
            node: None,
            kernel: KernelState::default(),
            journal: Vec::new(),
            events: Vec::new(),
            exited: None,
            fail: BTreeMap::new(),
            session: 0,
            deadline: None,
        };
        let mut world = Self {
            hosts: (0..nodes).map(|_| host()).collect(),
            now: Mono(1_000_000),
            replies: BTreeMap::new(),
            cfg,
            controls: Vec::new(),
            sent: 0,
            mute: BTreeSet::new(),
            queue: BTreeMap::new(),
            seq: 0,
            links: BTreeSet::new(),
            lock_holder: None,
            lock_queue: Vec::new(),
            lock_record: None,
            next_command: 1,
        };
        for n in 0..nodes {
            world.set_link(n, true);
        }
        world
    }

    /// A world whose nodes all run and serve.
    pub(super) fn serving(nodes: u32, addrs: &[&str], change: impl FnOnce(&mut Config)) -> Self {
        let mut w = Self::new(nodes, addrs, change);
        (0..nodes).for_each(|n| w.start(n));
        w.run(Duration::from_secs(1));
        w.controls.clear();
        w
    }

    pub(super) fn start(&mut self, n: u32) {
        let host = &mut self.hosts[n as usize];
        host.session += 1;
        let cfg =
            Config { me: Pnn(n), session: Session(u64::from(n) * 1000 + host.session), ..self.cfg.clone() };
        host.node = Some(Node::new(cfg, self.now));
        host.deadline = None;
        host.exited = None;
        self.push(n, Duration::ZERO, Input::Start);
        for peer in 0..self.hosts.len() as u32 {
            if peer != n && self.hosts[peer as usize].node.is_some() {
                self.connect(n, peer);
            }
        }
    }

    pub(super) fn connect(&mut self, a: u32, b: u32) {
        self.links.extend([(a, b), (b, a)]);
        for (x, y) in [(a, b), (b, a)] {
            let session = Session(u64::from(y) * 1000 + self.hosts[y as usize].session);
            self.push(x, Duration::from_millis(1), Input::PeerUp { pnn: Pnn(y), session });
        }
    }

    /// kill -9, and the addresses are taken off by what cleans up behind it.
    pub(super) fn kill(&mut self, n: u32) {
        self.hosts[n as usize].node = None;
        self.gone(n);
        let addrs: Vec<IpAddr> = self.hosts[n as usize].kernel.addrs.keys().copied().collect();
        addrs.into_iter().for_each(|a| self.set_addr(n, a, None));
    }

    fn gone(&mut self, n: u32) {
        self.links.retain(|(a, b)| *a != n && *b != n);
        self.queue.retain(|_, (to, ..)| *to != n);
        for peer in 0..self.hosts.len() as u32 {
            let why = "connection reset by peer".to_owned();
            self.push(peer, Duration::from_millis(1), Input::PeerDown { pnn: Pnn(n), why });
        }
        self.lock_leave(n);
    }

    pub(super) fn command(&mut self, n: u32, command: Command) -> u64 {
        let id = self.next_command;
        self.next_command += 1;
        self.push(n, Duration::ZERO, Input::Command { id, command });
        id
    }

    /// Gives a command and waits for its reply.
    pub(super) fn ask(&mut self, n: u32, command: Command) -> Reply {
        let id = self.command(n, command.clone());
        for _ in 0..200 {
            self.run(Duration::from_millis(50));
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
        }
        panic!("no reply to {command:?} in 10 s\n{}", self.describe());
    }

    pub(super) fn set_link(&mut self, n: u32, up: bool) {
        let link = Link { index: 2, admin_up: true, lower_up: up };
        self.hosts[n as usize].kernel.links.insert(IFACE.into(), link);
        self.notify(n);
    }

    /// Somebody else changes an address.
    pub(super) fn set_addr(&mut self, n: u32, addr: IpAddr, iface: Option<&str>) {
        let kernel = &mut self.hosts[n as usize].kernel;
        kernel.addrs.remove(&addr);
        if let Some(iface) = iface {
            kernel.addrs.insert(addr, vec![KernelAddr { iface: iface.into(), prefix: 24 }]);
        }
        self.notify(n);
    }

    fn notify(&mut self, n: u32) {
        if self.hosts[n as usize].node.is_some() {
            let state = Arc::new(self.hosts[n as usize].kernel.clone());
            self.push(n, Duration::from_micros(100), Input::Kernel { state, asked_at: None, culprit: None });
        }
    }

    pub(super) fn push(&mut self, to: u32, delay: Duration, input: Input) {
        if self.hosts[to as usize].node.is_some() {
            self.seq += 1;
            let session = self.hosts[to as usize].session;
            self.queue.insert((self.now + delay, self.seq), (to, session, input));
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, d: Duration) {
        let end = self.now + d;
        loop {
            let tick = (0u32..)
                .zip(&self.hosts)
                .filter(|(_, h)| h.node.is_some())
                .filter_map(|(n, h)| h.deadline.map(|t| (t.max(self.now), n)))
                .min();
            let queued = self.queue.keys().next().copied();
            match (queued, tick) {
                (Some((t, seq)), tick) if t <= end && tick.is_none_or(|(tt, _)| t <= tt) => {
                    self.now = t;
                    let Some((to, session, input)) = self.queue.remove(&(t, seq)) else { continue };
                    if self.hosts[to as usize].session == session {
                        self.step(to, input);
                    }
                }
                (_, Some((t, n))) if t <= end => {
                    self.now = t;
                    self.step(n, Input::Tick);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn step(&mut self, n: u32, input: Input) {
        let host = &mut self.hosts[n as usize];
        let Some(node) = &mut host.node else { return };
        let actions = node.handle(input, self.now);
        host.deadline = node.next_deadline();
        for action in actions {
            self.perform(n, action);
        }
        for addr in &self.cfg.public_addresses {
            let on: Vec<usize> = (0..self.hosts.len())
                .filter(|i| self.hosts[*i].kernel.addrs.contains_key(&addr.addr))
                .collect();
            let by_hand = self.hosts.iter().any(|h| h.events.iter().any(|e| e == "by hand"));
            assert!(on.len() < 2 || by_hand, "{} is on {on:?}\n{}", addr.addr, self.describe());
        }
    }

    fn perform(&mut self, n: u32, action: Action) {
        let host = &mut self.hosts[n as usize];
        match action {
            Action::Send { to, msg } => {
                if let PeerMsg::Control { control, .. } = &msg {
                    self.controls.push((n, to.0, control.kind().as_str()));
                }
                self.sent += 1;
                if self.links.contains(&(n, to.0)) && !self.mute.contains(&(n, to.0)) {
                    self.push(to.0, Duration::from_micros(200), Input::Peer { from: Pnn(n), msg });
                }
            }
            Action::RunEvent { op, event, .. } => {
                host.events.push(event.to_string());
                let outcome = host.fail.get(event.name()).cloned().unwrap_or(EventOutcome::Ok);
                if outcome.is_ok() {
                    match &event {
                        Event::TakeIp { iface, addr, .. } => self.set_addr(n, *addr, Some(iface)),
                        Event::ReleaseIp { addr, .. } => self.set_addr(n, *addr, None),
                        Event::UpdateIp { new, addr, .. } => self.set_addr(n, *addr, Some(new)),
                        _ => {}
                    }
                }
                self.push(n, Duration::from_millis(2), Input::EventDone { op, outcome });
            }
            Action::Observe => {
                let state = Arc::new(host.kernel.clone());
                let asked_at = Some(self.now);
                self.push(n, Duration::from_micros(300), Input::Kernel { state, asked_at, culprit: None });
            }
            Action::Lock(LockAction::Acquire) => {
                self.lock_queue.push(n);
                self.lock_grant();
            }
            Action::Lock(LockAction::Release) => self.lock_leave(n),
            Action::Lock(LockAction::Record(epoch)) => {
                self.lock_record = Some(epoch);
                self.push(n, Duration::from_micros(200), Input::Lock(LockInput::Recorded { epoch }));
            }
            Action::Lease(_) => {}
            Action::Reply { id, reply } => {
                self.replies.insert(id, reply);
            }
            Action::Journal(entry) => host.journal.push(entry),
            Action::DropPeer { pnn } => {
                self.links.remove(&(n, pnn.0));
                self.links.remove(&(pnn.0, n));
                if !self.mute.contains(&(n, pnn.0)) {
                    let why = "it closed the link".to_owned();
                    self.push(pnn.0, Duration::from_millis(1), Input::PeerDown { pnn: Pnn(n), why });
                }
            }
            Action::Exit { code, .. } => {
                host.exited = Some(code);
                host.node = None;
                self.gone(n);
            }
            Action::Announce { .. }
            | Action::AskHolder { .. }
            | Action::StopAnnounce { .. }
            | Action::PublicAddresses { .. }
            | Action::RunSeen(_)
            | Action::Persist(_)
            | Action::Log { .. } => {}
        }
    }

    fn lock_leave(&mut self, n: u32) {
        self.lock_queue.retain(|x| *x != n);
        if self.lock_holder == Some(n) {
            self.lock_holder = None;
        }
        self.lock_grant();
    }

    fn lock_grant(&mut self) {
        if self.lock_holder.is_none() && !self.lock_queue.is_empty() {
            let n = self.lock_queue.remove(0);
            self.lock_holder = Some(n);
            let previous = self.lock_record;
            self.push(n, Duration::from_millis(1), Input::Lock(LockInput::Acquired { previous }));
        }
    }

    /// Who has each address in its kernel.
    pub(super) fn holders(&self) -> Vec<Option<u32>> {
        let holder = |addr| {
            (0u32..).zip(&self.hosts).find(|(_, h)| h.kernel.addrs.contains_key(&addr)).map(|(n, _)| n)
        };
        self.cfg.public_addresses.iter().map(|p| holder(p.addr)).collect()
    }

    /// How many addresses each node has in its kernel.
    pub(super) fn counts(&self) -> Vec<usize> {
        let holders = self.holders();
        (0..self.hosts.len() as u32).map(|n| holders.iter().filter(|h| **h == Some(n)).count()).collect()
    }

    pub(super) fn journal_has(&self, n: u32, text: &str) -> bool {
        self.hosts[n as usize].journal.iter().any(|e| e.text.contains(text))
    }

    pub(super) fn describe(&self) -> String {
        let mut out = format!("at {:?}: holders {:?}\n", self.now, self.holders());
        for (n, h) in self.hosts.iter().enumerate() {
            out += &format!(
                "node {n}: {:?}\n",
                h.node.as_ref().map(|n| {
                    let s = n.status();
                    (s.leader, s.epoch, s.runstate, s.nodes.iter().map(|n| n.flags).collect::<Vec<_>>())
                })
            );
            out += &h.journal.iter().map(|e| format!("   {}\n", e.text)).collect::<String>();
            out += &format!("   events {:?}\n", h.events);
        }
        out
    }
}
