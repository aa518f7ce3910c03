//! Histories: how a cluster is made from a seed, and what is done to it.

use super::cluster::{Cluster, MS, pair};
use super::rng::Rng;
use crate::action::Persistent;
use crate::command::Command;
use crate::input::Input;
use crate::model::*;
use crate::node::{Config, NodeConfig};
use std::net::IpAddr;
use std::time::Duration;

const EVENTS: [&str; 12] = Event::NAMES;

/// A cluster that has not started.
pub(super) fn build(seed: u64, trace: bool) -> Cluster {
    let mut rng = Rng::new(seed);
    let nodes = 1 + rng.below(6) as u32;
    let ifaces: Vec<String> = (0..1 + rng.below(3)).map(|i| format!("eth{i}")).collect();
    let count = rng.below(13);
    let addrs: Vec<PublicAddress> = (0..count)
        .map(|i| {
            let mut ifaces = ifaces.clone();
            let first = rng.below(ifaces.len() as u64) as usize;
            ifaces.rotate_left(first);
            ifaces.truncate(1 + rng.below(ifaces.len() as u64) as usize);
            let addr = if i % 4 == 3 { format!("fd00:a::{i}") } else { format!("10.0.{}.{}", i % 2, 31 + i) };
            PublicAddress { addr: addr.parse().unwrap(), prefix: 24, ifaces }
        })
        .collect();
    let mut tunables = Tunables::default();
    let fixed = [
        ("KeepaliveInterval", 1 + rng.below(2) as u32),
        ("KeepaliveLimit", 2 + rng.below(3) as u32),
        ("EventScriptTimeout", 3 + rng.below(6) as u32),
        ("TakeoverTimeout", 2 + rng.below(4) as u32),
        ("RecoveryBanPeriod", 5 + rng.below(10) as u32),
        ("RecoveryDropAllIPs", 4 + rng.below(20) as u32),
        ("MonitorInterval", 5),
        ("MonitorTimeoutCount", 1 + rng.below(3) as u32),
        ("IPAllocAlgorithm", rng.below(4) as u32),
        ("LocalRepair", rng.below(2) as u32),
    ];
    fixed.iter().for_each(|(name, value)| assert!(tunables.set(name, *value).is_ok()));
    let has_lock = rng.percent(60);
    let same = rng.percent(60);
    let extra = if rng.percent(20) { Duration::from_secs(1) } else { Duration::ZERO };
    let mut capable = rng.below(64) | rng.below(64) | 1 << rng.below(nodes.into());
    if rng.percent(70) {
        capable = 63;
    }
    let configs = (0..nodes)
        .map(|n| Config {
            leases: false,
            me: Pnn(n),
            nodes: (0..nodes)
                .map(|n| NodeConfig { addr: IpAddr::from([192, 168, 20, 41 + n as u8]), deleted: false })
                .collect(),
            public_addresses: addrs.iter().filter(|_| same || rng.percent(75)).cloned().collect(),
            tunables: tunables.clone(),
            session: Session(0),
            has_lock,
            leader_capable: capable & (1 << n) != 0,
            failover_disabled: false,
            groups: false,
            shutdown_timeout: Duration::from_secs(5),
            shutdown_extra: extra,
            persistent: Persistent { epoch: Epoch::NONE, disabled: false, stopped: false, banned_for: None },
            home_nodes: crate::alloc::HomeNodes::default(),
        })
        .collect();
    let delay = rng.pick(&[MS(1), MS(5), MS(50)]);
    let mut c = Cluster::new(rng, configs, trace);
    c.delay = delay;
    for n in 0..nodes {
        for (i, name) in (2u32..).zip(&ifaces) {
            let link = Link { index: i, admin_up: true, lower_up: true };
            c.hosts[n as usize].kernel.links.insert(name.clone(), link);
        }
    }
    c
}

impl Cluster {
    fn any_host(&mut self) -> u32 {
        self.rng.below(self.hosts.len() as u64) as u32
    }

    fn any_addr(&mut self) -> Option<PublicAddress> {
        let n = self.any_host() as usize;
        let of = self.hosts[n].cfg.public_addresses.len() as u64;
        let i = self.rng.below(of) as usize;
        self.hosts[n].cfg.public_addresses.get(i).cloned()
    }

    pub(super) fn command(&mut self, n: u32, command: Command) {
        if self.hosts[n as usize].node.is_none() {
            return;
        }
        let id = self.number();
        self.note(|| format!("command {id} to node {n}: {command:?}"));
        let life = self.hosts[n as usize].life;
        self.rules.commands.insert(id, (n, life, format!("{command:?}")));
        self.push(n, Duration::ZERO, super::cluster::Item::Input(Input::Command { id, command }));
    }

    pub(super) fn set_link(&mut self, n: u32, iface: &str, up: bool) {
        self.kernel(n, |k| {
            if let Some(link) = k.links.get_mut(iface) {
                link.lower_up = up;
            }
        });
    }

    /// One thing goes wrong, or is done by somebody.
    pub(super) fn fault(&mut self) {
        let n = self.any_host();
        let other = self.any_host();
        let now = self.now;
        match self.rng.below(26) {
            0 if self.hosts[n as usize].node.is_some() => {
                self.note(|| format!("kill {n}"));
                self.gone(n);
            }
            1..=3 => self.live_or_not(),
            4 | 5 if n != other => {
                self.note(|| format!("cut {n} {other}"));
                self.rules.disturbed(now);
                self.cut.insert(pair(n, other));
            }
            6 | 7 => self.mend(),
            8 if self.hosts[n as usize].node.is_some() && self.hosts[n as usize].frozen < now => {
                let d = self.rng.time(MS(100), MS(12_000));
                self.note(|| format!("freeze {n} for {d:?}"));
                self.hosts[n as usize].frozen = now + d;
                self.rules.disturbed(now + d);
            }
            9 | 10 => {
                let names: Vec<String> = self.hosts[n as usize].kernel.links.keys().cloned().collect();
                let i = self.rng.below(names.len() as u64) as usize;
                let up = !self.hosts[n as usize].kernel.link_up(&names[i]);
                self.set_link(n, &names[i], up);
            }
            11 => self.lock_lost(),
            12 | 13 => self.by_hand(n),
            14 | 24 | 25 => {
                let event = self.rng.pick(&EVENTS);
                let bad = self.rng.pick(&[(30, 0), (0, 30), (100, 0), (0, 100), (0, 0)]);
                let slow = self.rng.pick(&[MS(2), MS(300), MS(3000)]);
                self.note(|| format!("trouble with {event}: {bad:?} {slow:?}"));
                self.trouble.insert(event, (bad.0, bad.1, slow));
            }
            15 => self.trouble.clear(),
            16 => {
                if let Some(&link) = self.hosts[n as usize].links.get(&other) {
                    self.push(n, Duration::ZERO, super::cluster::Item::PeerUp(other, link));
                }
            }
            _ => self.operate(n),
        }
    }

    fn live_or_not(&mut self) {
        let n = self.any_host();
        if self.hosts[n as usize].node.is_none() {
            self.start(n);
        } else if self.rng.percent(20) {
            self.push(n, Duration::ZERO, super::cluster::Item::Input(Input::Terminate));
        }
    }

    /// Links that were cut are connected again.
    pub(super) fn mend(&mut self) {
        self.rules.disturbed(self.now);
        for (a, b) in std::mem::take(&mut self.cut) {
            self.dial(a, b);
        }
    }

    /// The transport dials without end what is not connected.
    pub(super) fn redial(&mut self) {
        let live = self.live();
        for a in &live {
            for b in live.iter().filter(|b| *b > a) {
                let linked = |x: u32, y: u32| self.hosts[x as usize].links.get(&y).copied();
                let cut = self.cut.contains(&pair(*a, *b));
                if !cut && (linked(*a, *b).is_none() || linked(*a, *b) != linked(*b, *a)) {
                    self.rules.disturbed(self.now);
                    self.dial(*a, *b);
                } else if cut && self.rng.percent(10) {
                    self.disconnect(*a, *b);
                }
            }
        }
    }

    fn by_hand(&mut self, n: u32) {
        let Some(p) = self.any_addr() else { return };
        let addr = p.addr;
        if self.hosts[n as usize].kernel.addrs.contains_key(&addr) {
            self.note(|| format!("by hand: {addr} is taken off node {n}"));
            return self.kernel(n, |k| drop(k.addrs.remove(&addr)));
        }
        if self.hosts[n as usize].cfg.public_addresses.iter().any(|q| q.addr == addr) {
            self.note(|| format!("by hand: {addr} is put on node {n}"));
            let place = KernelAddr { iface: p.ifaces[0].clone(), prefix: p.prefix };
            self.kernel(n, |k| drop(k.addrs.insert(addr, vec![place])));
            self.hosts[n as usize].by_hand.insert(addr);
        }
    }

    fn operate(&mut self, n: u32) {
        let var = |name: &str, value: u64| Command::SetVar { name: name.into(), value: value as u32 };
        let bit = self.rng.below(2);
        let command = match self.rng.below(14) {
            0 => Command::Disable,
            1 => Command::Enable,
            2 => Command::Stop,
            3 => Command::Continue,
            4 => Command::Ban { seconds: 1 + self.rng.below(20) as u32 },
            5 => Command::Unban,
            6 => Command::IpReallocate,
            7 | 8 => match self.any_addr() {
                Some(p) => Command::MoveIp { addr: p.addr, to: Pnn(self.any_host()) },
                None => Command::Status,
            },
            9 => var("NoIPFailback", bit),
            10 => var("NoIPTakeover", bit),
            11 => var("IPAllocAlgorithm", self.rng.below(4)),
            12 => var("LocalRepair", bit),
            _ => var("EnableBans", bit),
        };
        self.command(n, command);
    }

    /// All faults end; operators put everything in order.
    pub(super) fn heal(&mut self) {
        self.note(|| "HEAL".to_owned());
        self.trouble.clear();
        self.mend();
        for n in 0..self.hosts.len() as u32 {
            let host = &self.hosts[n as usize];
            let names: Vec<String> = host.kernel.links.keys().cloned().collect();
            names.iter().for_each(|i| self.set_link(n, i, true));
            self.start(n);
            for c in [Command::Enable, Command::Continue, Command::Unban] {
                self.command(n, c);
            }
            for (name, value) in [("NoIPFailback", 0), ("NoIPTakeover", 0), ("EnableBans", 1)] {
                self.command(n, Command::SetVar { name: name.into(), value });
            }
        }
    }
}
