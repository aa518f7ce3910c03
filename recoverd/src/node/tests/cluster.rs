//! A cluster in memory that is not kind: links that break and lose, kernels that tell late, events that fail, hang and are slow,
//! processes that freeze and die. Every choice comes from one seed. The rules that must hold always are in `rules`, what is done to
//! the cluster is in `faults`; `world` is its kind sister for stories.

use super::rng::Rng;
use super::rules::Rules;
use crate::input::Input;
use crate::model::*;
use crate::msg::PeerMsg;
use crate::node::{Config, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) const MS: fn(u64) -> Duration = Duration::from_millis;
pub(super) const US: fn(u64) -> Duration = Duration::from_micros;

/// Something that will happen to a host.
pub(super) enum Item {
    Input(Input),
    PeerUp(u32, u64),
    PeerDown(u32),
    Msg(u32, u64, PeerMsg),
    Dump(Mono),
    EventEnd(u64, Event, EventOutcome, bool),
    Granted(u64),
    Recorded(u64, Epoch),
    LockLost(u64),
    /// What cleans up behind a dead daemon.
    Sweep,
}

pub(super) struct Host {
    pub(super) node: Option<Node>,
    pub(super) life: u64,
    pub(super) cfg: Config,
    pub(super) kernel: KernelState,
    pub(super) by_hand: BTreeSet<IpAddr>,
    pub(super) frozen: Mono,
    /// Peers it is connected to, with the number of the connection.
    pub(super) links: BTreeMap<u32, u64>,
    pub(super) events: BTreeMap<u64, Event>,
    pub(super) deadline: Option<Mono>,
    pub(super) dumping: bool,
    pub(super) dump_again: bool,
    told: Mono,
    pub(super) ticket: Option<u64>,
}

pub(super) struct Cluster {
    pub(super) hosts: Vec<Host>,
    pub(super) now: Mono,
    pub(super) rng: Rng,
    pub(super) rules: Rules,
    pub(super) trace: Option<Vec<String>>,
    /// Per event: per cent that fail, per cent that hang, and longest time.
    pub(super) trouble: BTreeMap<&'static str, (u64, u64, Duration)>,
    pub(super) delay: Duration,
    pub(super) cut: BTreeSet<(u32, u32)>,
    pub(super) queue: BTreeMap<(Mono, u64), (u32, u64, Item)>,
    count: u64,
    sent: BTreeMap<(u32, u32), Mono>,
    pub(super) lock_holder: Option<(u32, u64)>,
    pub(super) lock_queue: Vec<(u32, u64)>,
    pub(super) lock_record: Option<Epoch>,
}

pub(super) fn pair(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

impl Cluster {
    pub(super) fn new(rng: Rng, configs: Vec<Config>, trace: bool) -> Self {
        let host = |cfg: Config| Host {
            node: None,
            life: 0,
            cfg,
            kernel: KernelState::default(),
            by_hand: BTreeSet::new(),
            frozen: Mono(0),
            links: BTreeMap::new(),
            events: BTreeMap::new(),
            deadline: None,
            dumping: false,
            dump_again: false,
            told: Mono(0),
            ticket: None,
        };
        Self {
            hosts: configs.into_iter().map(host).collect(),
            now: Mono(10_000_000),
            rng,
            rules: Rules::default(),
            trace: trace.then(Vec::new),
            trouble: BTreeMap::new(),
            delay: US(300),
            cut: BTreeSet::new(),
            queue: BTreeMap::new(),
            count: 1,
            sent: BTreeMap::new(),
            lock_holder: None,
            lock_queue: Vec::new(),
            lock_record: None,
        }
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12.6} {}", self.now.0 as f64 / 1e6, text()));
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(super) fn push(&mut self, to: u32, delay: Duration, item: Item) {
        let key = (self.now + delay, self.number());
        self.queue.insert(key, (to, self.hosts[to as usize].life, item));
    }

    /// In order behind everything else that `from` sent to `to`.
    pub(super) fn push_in_order(&mut self, from: u32, to: u32, item: Item) {
        let at = self.now + self.rng.time(US(100), self.delay);
        let last = self.sent.entry((from, to)).or_default();
        *last = at.max(*last);
        let delay = last.since(self.now);
        self.push(to, delay, item);
    }

    pub(super) fn live(&self) -> Vec<u32> {
        (0u32..).zip(&self.hosts).filter(|(_, h)| h.node.is_some()).map(|(n, _)| n).collect()
    }

    pub(super) fn start(&mut self, n: u32) {
        let now = self.now;
        let host = &mut self.hosts[n as usize];
        if host.node.is_some() {
            return;
        }
        host.life += 1;
        host.cfg.session = Session(u64::from(n) * 1000 + host.life);
        host.node = Some(Node::new(host.cfg.clone(), now));
        (host.frozen, host.dumping, host.dump_again, host.ticket) = (Mono(0), false, false, None);
        host.links.clear();
        host.events.clear();
        self.rules.disturbed(now);
        self.rules.started(n);
        self.note(|| format!("node {n} starts"));
        self.push(n, Duration::ZERO, Item::Input(Input::Start));
        self.live().into_iter().filter(|p| *p != n).for_each(|p| self.dial(n, p));
    }

    /// Connects two nodes if nothing is in the way.
    pub(super) fn dial(&mut self, a: u32, b: u32) {
        let ready =
            |x: u32| self.hosts[x as usize].node.is_some() && self.hosts[x as usize].frozen <= self.now;
        if a == b || !ready(a) || !ready(b) || self.cut.contains(&pair(a, b)) {
            return;
        }
        self.disconnect(a, b);
        let link = self.number();
        for (x, y) in [(a, b), (b, a)] {
            self.push_in_order(y, x, Item::PeerUp(y, link));
        }
    }

    /// Both ends will see that the link is gone, if they still think that it is there.
    pub(super) fn disconnect(&mut self, a: u32, b: u32) {
        for (x, y) in [(a, b), (b, a)] {
            if self.hosts[x as usize].node.is_some() {
                self.push_in_order(y, x, Item::PeerDown(y));
            }
        }
    }

    /// The daemon is gone, by its own wish or not.
    pub(super) fn gone(&mut self, n: u32) {
        let host = &mut self.hosts[n as usize];
        (host.node, host.deadline) = (None, None);
        host.links.clear();
        host.events.clear();
        let life = host.life;
        self.rules.disturbed(self.now);
        for p in self.live() {
            self.push_in_order(n, p, Item::PeerDown(n));
        }
        let delay = self.rng.time(US(100), MS(20));
        self.queue.retain(|_, (to, l, _)| (*to, *l) != (n, life));
        self.push(n, delay, Item::Sweep);
        self.lock_leave(n);
    }

    /// The kernel of a host changes.
    pub(super) fn kernel(&mut self, n: u32, change: impl FnOnce(&mut KernelState)) {
        let (now, delay) = (self.now, self.rng.time(US(50), self.delay));
        let host = &mut self.hosts[n as usize];
        let before = host.kernel.clone();
        change(&mut host.kernel);
        host.kernel.addrs.retain(|_, places| !places.is_empty());
        if host.kernel == before {
            return;
        }
        let gone: Vec<IpAddr> =
            host.by_hand.iter().filter(|a| !host.kernel.addrs.contains_key(a)).copied().collect();
        host.by_hand.retain(|a| !gone.contains(a));
        host.told = host.told.max(now + delay);
        let (at, state) = (host.told, Arc::new(host.kernel.clone()));
        self.note(|| format!("kernel {n}: {:?}", state.addrs));
        let input = Input::Kernel { state, asked_at: None, culprit: None };
        if self.hosts[n as usize].node.is_some() {
            self.push(n, at.since(now), Item::Input(input));
        }
    }
}
