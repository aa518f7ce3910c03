//! A fake cluster for the tests of the run: nodes with records and interfaces, faults, and messages that are delivered in any order.

use crate::control::{Answer, Control, ControlKind, IfaceLink, NodeInfo, PublicIp, Unavailable};
use crate::model::{Epoch, Mono, NodeFlags, Pnn, RunId, RunState, Tunables};
use crate::takeover::{Run, RunAction, RunConfig, RunReport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// One address on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) owner: Option<Pnn>,
    pub(crate) held: bool,
    pub(crate) link: bool,
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) flags: NodeFlags,
    pub(crate) runstate: RunState,
    pub(crate) addrs: BTreeMap<IpAddr, Entry>,
    /// Refuses these.
    pub(crate) refuses: BTreeSet<ControlKind>,
    /// Does not answer these.
    pub(crate) silent: BTreeSet<ControlKind>,
}

/// The cluster.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) tunables: Tunables,
    pub(crate) now: Mono,
    /// Releases that were sent and not answered with success: (address, node).
    pub(crate) unreleased: BTreeSet<(IpAddr, Pnn)>,
    /// Messages sent, in order.
    pub(crate) sent: Vec<(Pnn, Control)>,
    /// What went wrong in the world itself.
    pub(crate) broken: Vec<String>,
}

pub(crate) fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

pub(crate) fn run_id() -> RunId {
    RunId { epoch: Epoch { number: 7, pnn: Pnn(0) }, count: 1 }
}

pub(crate) fn config() -> RunConfig {
    RunConfig::new(run_id(), Pnn(0), 1)
}

impl World {
    /// Healthy nodes that all know the addresses 10.0.0.1 to 10.0.0.N; `owners` gives each its holder.
    pub(crate) fn healthy(nodes: u32, owners: &[Option<u32>]) -> Self {
        let node = |n: u32| Node {
            flags: NodeFlags::NONE,
            runstate: RunState::Running,
            addrs: owners
                .iter()
                .zip(1..)
                .map(|(o, i)| (ip(i), Entry { owner: o.map(Pnn), held: *o == Some(n), link: true }))
                .collect(),
            refuses: BTreeSet::new(),
            silent: BTreeSet::new(),
        };
        Self {
            nodes: (0..nodes).map(node).collect(),
            tunables: Tunables::default(),
            now: Mono(1_000),
            unreleased: BTreeSet::new(),
            sent: Vec::new(),
            broken: Vec::new(),
        }
    }

    pub(crate) fn node(&mut self, pnn: u32) -> &mut Node {
        &mut self.nodes[pnn as usize]
    }

    pub(crate) fn entry(&mut self, pnn: u32, addr: IpAddr) -> &mut Entry {
        self.node(pnn).addrs.get_mut(&addr).unwrap()
    }

    /// Who holds an address.
    pub(crate) fn holders(&self, addr: IpAddr) -> Vec<u32> {
        let held = |n: &Node| n.addrs.get(&addr).is_some_and(|e| e.held);
        (0..).zip(&self.nodes).filter(|(_, n)| held(n)).map(|(i, _)| i).collect()
    }

    /// What was sent of one kind: (node, addresses).
    pub(crate) fn sent_of(&self, kind: ControlKind) -> Vec<(u32, Vec<IpAddr>)> {
        let of_kind = self.sent.iter().filter(|(_, c)| c.kind() == kind);
        of_kind.map(|(n, c)| (n.0, addrs_of(c))).collect()
    }

    pub(crate) fn public_ips(&self, pnn: Pnn, available_only: bool) -> Vec<PublicIp> {
        let node = &self.nodes[pnn.index()];
        let entries = node.addrs.iter().map(|(addr, e)| PublicIp {
            addr: *addr,
            owner: e.owner,
            held: e.held,
            unavailable: if node.flags.is_out_of_service() {
                Some(Unavailable::Flags(node.flags))
            } else if node.runstate != RunState::Running {
                Some(Unavailable::RunState(node.runstate))
            } else {
                (!e.link).then(|| Unavailable::NoLink(vec!["eth1".to_owned()]))
            },
            ifaces: vec![IfaceLink { name: "eth1".to_owned(), up: e.link }],
        });
        entries.filter(|ip| !available_only || ip.unavailable.is_none()).collect()
    }

    /// Notes a message as it is sent; checks the order release → take.
    pub(crate) fn note(&mut self, to: Pnn, control: &Control) {
        self.sent.push((to, control.clone()));
        match control {
            Control::ReleaseIp { addrs, .. } => self.unreleased.extend(addrs.iter().map(|(a, _)| (*a, to))),
            Control::TakeoverIp { addrs, .. } => {
                for addr in addrs {
                    if let Some((_, n)) = self.unreleased.iter().find(|(a, _)| a == addr) {
                        self.broken.push(format!("{addr} taken by node {to} before node {n} released it"));
                    }
                }
            }
            _ => {}
        }
    }

    /// A node performs a control and the run hears the answer; nothing happens where the node is silent.
    pub(crate) fn deliver(&mut self, run: &mut Run, to: Pnn, req: u64, control: Control) -> Vec<RunAction> {
        let (kind, now) = (control.kind(), self.now);
        let node = &self.nodes[to.index()];
        if node.silent.contains(&kind) {
            return Vec::new();
        }
        if node.refuses.contains(&kind) {
            return run.answer(req, to, Answer::Failed("told to fail".to_owned()), now);
        }
        let mut actions = Vec::new();
        match control {
            Control::GetAllTunables => {
                return run.answer(req, to, Answer::Tunables(self.tunables.clone()), now);
            }
            Control::GetNodemap => {
                let info = |(n, node): (u32, &Node)| NodeInfo {
                    pnn: Pnn(n),
                    flags: node.flags,
                    runstate: node.runstate,
                };
                let map = (0..).zip(&self.nodes).map(info).collect();
                return run.answer(req, to, Answer::Nodemap(map), now);
            }
            Control::GetPublicIps { available_only } => {
                let ips = self.public_ips(to, available_only);
                return run.answer(req, to, Answer::PublicIps(ips), now);
            }
            Control::StartIpreallocate { .. } | Control::Ipreallocated { .. } => {
                return run.answer(req, to, Answer::Ok, now);
            }
            Control::ReleaseIp { addrs, .. } => {
                for (addr, owner) in addrs {
                    let e = self.entry(to.0, addr);
                    e.held = false;
                    e.owner = owner;
                    self.unreleased.remove(&(addr, to));
                    actions.extend(run.ip_answer(req, to, addr, Ok(()), now));
                }
            }
            Control::TakeoverIp { addrs, .. } => {
                for addr in addrs {
                    let others: Vec<u32> = self.holders(addr).into_iter().filter(|n| *n != to.0).collect();
                    if others.iter().any(|n| !self.gone(*n)) {
                        self.broken.push(format!("{addr} taken by node {to}, held by {others:?}"));
                    }
                    let e = self.entry(to.0, addr);
                    e.held = true;
                    e.owner = Some(to);
                    actions.extend(run.ip_answer(req, to, addr, Ok(()), now));
                }
            }
        }
        actions
    }

    /// Not connected: nobody can tell it anything, it has to fall silent by itself.
    fn gone(&self, pnn: u32) -> bool {
        self.nodes[pnn as usize].flags.intersects(NodeFlags::DISCONNECTED)
    }

    /// Runs to the end. `pick` chooses which of so many waiting messages is delivered next.
    pub(crate) fn run(
        &mut self,
        config: RunConfig,
        mut pick: impl FnMut(usize) -> usize,
    ) -> (Run, Box<RunReport>) {
        let begin = self.now;
        let (mut run, actions) = Run::start(config, self.now);
        let mut inbox: Vec<(Pnn, u64, Control)> = Vec::new();
        let mut fresh = actions;
        loop {
            for action in std::mem::take(&mut fresh) {
                match action {
                    RunAction::Send { to, req, control } => {
                        self.note(to, &control);
                        inbox.push((to, req, control));
                    }
                    RunAction::Finished(report) => {
                        let longest = Duration::from_secs(9) + self.tunables.takeover_timeout() * 7;
                        if self.now.since(begin) > longest {
                            self.broken.push(format!("the run took {:?}", self.now.since(begin)));
                        }
                        return (run, report);
                    }
                }
            }
            if inbox.is_empty() {
                let deadline = run.deadline().expect("a run that is not finished has a deadline");
                assert!(deadline >= self.now, "deadline in the past with nothing to wait for");
                self.now = deadline;
                fresh = run.tick(deadline);
                assert!(!fresh.is_empty(), "a tick at the deadline must get the run on");
            } else {
                self.now = self.now + Duration::from_micros(100);
                let (to, req, control) = inbox.remove(pick(inbox.len()));
                fresh = self.deliver(&mut run, to, req, control);
            }
        }
    }
}

pub(crate) fn addrs_of(control: &Control) -> Vec<IpAddr> {
    match control {
        Control::ReleaseIp { addrs, .. } => addrs.iter().map(|(a, _)| *a).collect(),
        Control::TakeoverIp { addrs, .. } => addrs.clone(),
        _ => Vec::new(),
    }
}
