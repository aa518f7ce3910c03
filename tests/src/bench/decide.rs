//! What one takeover run of the recmaster costs in itself: the pure machine, fed by nodes that answer at once. No daemon, no network.

use recoverd::control::{Answer, Control, NodeInfo, PublicIp};
use recoverd::model::{Epoch, Mono, NodeFlags, Pnn, RunId, RunState, Tunables};
use recoverd::takeover::{Run, RunAction, RunConfig};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// A cluster that exists in the recmaster's eyes only.
#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    /// Nodes, at least 2.
    pub nodes: u32,
    /// Public addresses.
    pub addresses: u32,
    /// How many nodes know each address, in a row; at most all.
    pub hosts: u32,
    /// IPAllocAlgorithm, 0 to 3.
    pub algorithm: u32,
}

/// One run. Times in milliseconds of the machine alone.
#[derive(Debug, Clone, Serialize)]
pub struct Decided {
    /// What has happened before it.
    pub what: &'static str,
    /// IPAllocAlgorithm.
    pub algorithm: u32,
    /// All calls of the run together.
    pub run: f64,
    /// The longest single call: the one that allocates, plans and checks. The recmaster's daemon does nothing else meanwhile.
    pub decision: f64,
    /// Controls sent, by kind.
    pub controls: BTreeMap<&'static str, usize>,
    /// Answers received: one for each control, or each address of it.
    pub answers: usize,
    /// Controls that failed: none.
    pub failed: usize,
}

/// A cold start, the loss of the last node, and its return. Tells of each when it is done.
pub fn decide(cluster: Cluster, mut told: impl FnMut(&Decided)) {
    let mut owners = BTreeMap::new();
    for (what, lost) in
        [("cold start", false), ("nothing to do", false), ("a node is lost", true), ("it is back", false)]
    {
        let (decided, now) = run(&cluster, what, lost, &owners);
        owners = now;
        told(&decided);
    }
}

type Owners = BTreeMap<IpAddr, Pnn>;

fn run(cluster: &Cluster, what: &'static str, lost: bool, owners: &Owners) -> (Decided, Owners) {
    let id = RunId { epoch: Epoch { number: 1, pnn: Pnn(0) }, count: 1 };
    let mut decided = Decided {
        what,
        algorithm: cluster.algorithm,
        run: 0.0,
        decision: 0.0,
        controls: BTreeMap::new(),
        answers: 0,
        failed: 0,
    };
    let mut after = owners.clone();
    if lost {
        after.retain(|_, owner| owner.0 + 1 != cluster.nodes);
    }
    let before = after.clone();
    let (mut run, first) = Run::start(RunConfig::new(id, Pnn(0), 0), Mono(0));
    let mut todo = VecDeque::from(first);
    while let Some(action) = todo.pop_front() {
        let (to, req, control) = match action {
            RunAction::Send { to, req, control } => (to, req, control),
            RunAction::Finished(report) => {
                decided.failed = report.failed_controls.len();
                continue;
            }
        };
        *decided.controls.entry(control.kind().as_str()).or_default() += 1;
        let mut feed = |feed: &mut dyn FnMut(&mut Run) -> Vec<RunAction>| {
            let begin = Instant::now();
            let actions = feed(&mut run);
            let took = millis(begin.elapsed());
            decided.run += took;
            decided.decision = decided.decision.max(took);
            decided.answers += 1;
            todo.extend(actions);
        };
        let mut one_by_one = |addrs: &[IpAddr]| {
            for addr in addrs {
                feed(&mut |run| run.ip_answer(req, to, *addr, Ok(()), Mono(0)));
            }
        };
        let answer = match control {
            Control::ReleaseIp { addrs, .. } => {
                one_by_one(&addrs.into_iter().map(|(addr, _)| addr).collect::<Vec<_>>());
                continue;
            }
            Control::TakeoverIp { addrs, .. } => {
                after.extend(addrs.iter().map(|addr| (*addr, to)));
                one_by_one(&addrs);
                continue;
            }
            Control::GetAllTunables => Answer::Tunables(tunables(cluster.algorithm)),
            Control::GetNodemap => Answer::Nodemap(nodemap(cluster, lost)),
            Control::GetPublicIps { .. } => Answer::PublicIps(known(cluster, to, &before)),
            Control::StartIpreallocate { .. } | Control::Ipreallocated { .. } => Answer::Ok,
        };
        let mut answer = Some(answer);
        feed(&mut |run| run.answer(req, to, answer.take().unwrap_or(Answer::Ok), Mono(0)));
    }
    (decided, after)
}

fn tunables(algorithm: u32) -> Tunables {
    let mut tunables = Tunables::default();
    // The name stands in the table of tunables.
    let _known = tunables.set("IPAllocAlgorithm", algorithm);
    tunables
}

fn nodemap(cluster: &Cluster, lost: bool) -> Vec<NodeInfo> {
    let flags =
        |pnn: u32| NodeFlags::default().with(NodeFlags::DISCONNECTED, lost && pnn + 1 == cluster.nodes);
    (0..cluster.nodes)
        .map(|pnn| NodeInfo { pnn: Pnn(pnn), flags: flags(pnn), runstate: RunState::Running })
        .collect()
}

/// What a node says of its addresses: each is known to `hosts` nodes in a row.
fn known(cluster: &Cluster, me: Pnn, owners: &Owners) -> Vec<PublicIp> {
    let first = u32::from(Ipv4Addr::new(10, 0, 0, 1));
    let knows = |n: &u32| (me.0 + cluster.nodes - n % cluster.nodes) % cluster.nodes < cluster.hosts;
    let ip = |n: u32| {
        let addr = IpAddr::from(Ipv4Addr::from(first + n));
        let owner = owners.get(&addr).copied();
        PublicIp { addr, owner, held: owner == Some(me), unavailable: None, ifaces: Vec::new() }
    };
    (0..cluster.addresses).filter(knows).map(ip).collect()
}

fn millis(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}
