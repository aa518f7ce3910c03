//! Fake nodes for `takeover-run-vector/1`: they answer at once, refuse, or stay silent, as the vector says.

use super::takeover::{FaultKind, Vector, VectorError};
use super::takeover_outcome::OwnerEntry;
use recoverd::control::{Answer, Control, ControlKind, NodeInfo, PublicIp, Unavailable};
use recoverd::model::{Mono, Pnn, RunState, Tunables};
use recoverd::takeover::{Run, RunAction};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One message to a node; for releases and takes one for each address.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Position of its stage in a run.
    pub stage: u32,
    /// What.
    pub control: ControlKind,
    /// Which of the two rounds of GET_PUBLIC_IPS.
    pub what: Option<&'static str>,
    /// To whom.
    pub node: Pnn,
    /// About what.
    pub addr: Option<IpAddr>,
}

/// All nodes of a vector.
#[derive(Debug)]
pub struct FakeNodes {
    tunables: Tunables,
    run_on: Pnn,
    map: Vec<NodeInfo>,
    /// Owner of each known address in each node's own record.
    records: BTreeMap<Pnn, BTreeMap<IpAddr, Option<Pnn>>>,
    /// The addresses in the order of the vector.
    addrs: Vec<IpAddr>,
    faults: BTreeMap<(ControlKind, Pnn), FaultKind>,
    sent: Vec<Sent>,
}

impl FakeNodes {
    /// The nodes of a vector as they are before the run.
    ///
    /// # Errors
    /// A flag does not exist.
    pub fn new(vector: &Vector, tunables: Tunables) -> Result<Self, VectorError> {
        let mut map = Vec::new();
        for n in &vector.nodes {
            map.push(NodeInfo { pnn: Pnn(n.pnn), flags: n.flags()?, runstate: n.runstate() });
        }
        let mut records: BTreeMap<Pnn, BTreeMap<_, _>> = BTreeMap::new();
        for ip in &vector.ips {
            let owner = u32::try_from(ip.owner).ok().map(Pnn);
            for n in &ip.configured {
                records.entry(Pnn(*n)).or_default().insert(ip.addr.to_canonical(), owner);
            }
        }
        Ok(Self {
            tunables,
            run_on: Pnn(vector.run_on),
            map,
            records,
            addrs: vector.ips.iter().map(|ip| ip.addr).collect(),
            faults: vector.faults.iter().map(|f| ((f.control, Pnn(f.node)), f.kind)).collect(),
            sent: Vec::new(),
        })
    }

    /// All messages so far.
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// What a cluster-wide listing says: a node counts as owner only if it says so itself, inactive nodes are not asked. None if a node
    /// cannot answer the listing.
    #[must_use]
    pub fn listing(&self) -> Option<Vec<OwnerEntry>> {
        let active: Vec<Pnn> = self.map.iter().filter(|n| !n.flags.is_inactive()).map(|n| n.pnn).collect();
        let deaf = |pnn: Pnn| self.faults.contains_key(&(ControlKind::GetPublicIps, pnn));
        if self.faults.contains_key(&(ControlKind::GetNodemap, self.run_on))
            || active.iter().any(|n| deaf(*n))
        {
            return None;
        }
        let says_so = |pnn: Pnn, addr: IpAddr| {
            self.records.get(&pnn).and_then(|r| r.get(&addr.to_canonical())) == Some(&Some(pnn))
        };
        let owner = |addr| active.iter().rev().find(|n| says_so(**n, addr)).map_or(-1, |n| i64::from(n.0));
        Some(self.addrs.iter().map(|addr| OwnerEntry { addr: *addr, owner: owner(*addr) }).collect())
    }

    /// A control arrives at a node.
    pub fn receive(
        &mut self,
        run: &mut Run,
        to: Pnn,
        req: u64,
        control: Control,
        now: Mono,
    ) -> Vec<RunAction> {
        self.write_down(to, &control);
        let fault = self.faults.get(&(control.kind(), to)).copied();
        let refused = format!("node {to} refuses {}", control.kind());
        match (fault, control) {
            (Some(FaultKind::Timeout), _) => Vec::new(),
            (Some(FaultKind::Error), _) => run.answer(req, to, Answer::Failed(refused), now),
            (None, Control::GetAllTunables) => {
                run.answer(req, to, Answer::Tunables(self.tunables.clone()), now)
            }
            (None, Control::GetNodemap) => run.answer(req, to, Answer::Nodemap(self.map.clone()), now),
            (None, Control::GetPublicIps { available_only }) => {
                run.answer(req, to, Answer::PublicIps(self.public_ips(to, available_only)), now)
            }
            (None, Control::StartIpreallocate { .. }) => run.answer(req, to, Answer::Ok, now),
            (None, Control::ReleaseIp { addrs, .. }) => {
                let release = addrs.into_iter().flat_map(|(addr, new_owner)| {
                    self.records.entry(to).or_default().insert(addr, new_owner);
                    run.ip_answer(req, to, addr, Ok(()), now)
                });
                release.collect()
            }
            (None, Control::TakeoverIp { addrs, .. }) => {
                let take = addrs.into_iter().flat_map(|addr| {
                    self.records.entry(to).or_default().insert(addr, Some(to));
                    run.ip_answer(req, to, addr, Ok(()), now)
                });
                take.collect()
            }
            (None, Control::Ipreallocated { owners, .. }) => {
                // Only news about others: what this node has it learned by release and take.
                let record = self.records.entry(to).or_default();
                for (addr, owner) in owners {
                    if let Some(known) = record.get_mut(&addr)
                        && *known != Some(to)
                        && owner != Some(to)
                    {
                        *known = owner;
                    }
                }
                run.answer(req, to, Answer::Ok, now)
            }
        }
    }

    fn public_ips(&self, pnn: Pnn, available_only: bool) -> Vec<PublicIp> {
        let Some(node) = self.map.iter().find(|n| n.pnn == pnn) else { return Vec::new() };
        let unavailable = if node.flags.is_out_of_service() {
            Some(Unavailable::Flags(node.flags))
        } else {
            Some(Unavailable::RunState(node.runstate)).filter(|_| node.runstate != RunState::Running)
        };
        if available_only && unavailable.is_some() {
            return Vec::new();
        }
        let known = self.records.get(&pnn).into_iter().flatten().map(|(addr, owner)| PublicIp {
            addr: *addr,
            owner: *owner,
            held: *owner == Some(pnn),
            unavailable: unavailable.clone(),
            ifaces: Vec::new(),
        });
        known.collect()
    }

    fn write_down(&mut self, node: Pnn, control: &Control) {
        let kind = control.kind();
        let (stage, what, addrs): (u32, Option<&'static str>, Vec<Option<IpAddr>>) = match control {
            Control::GetAllTunables => (0, None, vec![None]),
            Control::GetNodemap => (1, None, vec![None]),
            Control::GetPublicIps { available_only: false } => (2, Some("known"), vec![None]),
            Control::GetPublicIps { available_only: true } => (3, Some("available"), vec![None]),
            Control::StartIpreallocate { .. } => (4, None, vec![None]),
            Control::ReleaseIp { addrs, .. } => (5, None, addrs.iter().map(|(a, _)| Some(*a)).collect()),
            Control::TakeoverIp { addrs, .. } => (6, None, addrs.iter().copied().map(Some).collect()),
            Control::Ipreallocated { .. } => (7, None, vec![None]),
        };
        let sent = addrs.into_iter().map(|addr| Sent { stage, control: kind, what, node, addr });
        self.sent.extend(sent);
    }
}
