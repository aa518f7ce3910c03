//! The rule that maps the reference's record of a takeover run to what ours must do (docs/takeover-run.md).
//!
//! It works on the record alone and asks neither the allocator nor the machine: where the addresses were to go is read from who was told
//! to release them. Four differences: redundant releases and takes are not sent; faults on what is not sent have no effect; an
//! address waits for its own releases only; IPREALLOCATED follows every run in which something could be released or taken.

use super::takeover::{FaultKind, Vector, VectorError};
use super::takeover_outcome::{FailedEntry, Outcome, OwnerEntry, StageEntry};
use recoverd::control::ControlKind;
use recoverd::model::{NodeFlags, addr_key};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Why the rule cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The vector itself is wrong.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// It has no record.
    #[error("the vector has no `expect`")]
    NoRecord,
    /// The releases of the record fit no set of new owners.
    #[error("the RELEASE_IP stage of the record cannot be read: {0:?}")]
    Releases(Vec<u32>),
}

/// An address in the record.
#[derive(Debug)]
struct Addr {
    addr: IpAddr,
    /// Connected nodes that have it configured, ascending.
    knowers: Vec<u32>,
    /// The one that had it.
    from: Option<u32>,
}

/// What our run must do where the reference did what the vector records.
///
/// # Errors
/// The vector has no record, or one that cannot be read.
pub fn expected(vector: &Vector) -> Result<Outcome, RuleError> {
    let record = vector.expect.clone().ok_or(RuleError::NoRecord)?;
    let early = |c: ControlKind| {
        !matches!(c, ControlKind::ReleaseIp | ControlKind::TakeoverIp | ControlKind::Ipreallocated)
    };
    let started = record.stages.iter().any(|s| s.control == ControlKind::StartIpreallocate);
    if !started || record.failed_controls.iter().any(|f| early(f.control)) {
        return Ok(record);
    }
    let addrs = addresses(vector)?;
    let nodes_of = |kind| {
        record.stages.iter().filter(|s| s.control == kind).flat_map(|s| s.nodes.clone()).collect::<Vec<_>>()
    };
    let told = nodes_of(ControlKind::ReleaseIp);
    let takes = record.stages.iter().any(|s| s.control == ControlKind::TakeoverIp);
    let takers = takes.then(|| nodes_of(ControlKind::TakeoverIp));
    let targets = targets(&addrs, &told, takers.as_deref()).ok_or(RuleError::Releases(told))?;
    Ok(Replay { vector, addrs, targets }.outcome(record)?)
}

/// The addresses that a run learns about, descending.
fn addresses(vector: &Vector) -> Result<Vec<Addr>, VectorError> {
    let mut connected = BTreeSet::new();
    for n in &vector.nodes {
        if !n.flags()?.intersects(NodeFlags::DISCONNECTED) {
            connected.insert(n.pnn);
        }
    }
    let mut addrs: Vec<Addr> = vector
        .ips
        .iter()
        .map(|ip| {
            let mut knowers: Vec<u32> =
                ip.configured.iter().copied().filter(|n| connected.contains(n)).collect();
            knowers.sort_unstable();
            let from = u32::try_from(ip.owner).ok().filter(|n| knowers.contains(n));
            Addr { addr: ip.addr.to_canonical(), knowers, from }
        })
        .filter(|a| !a.knowers.is_empty())
        .collect();
    addrs.sort_by_key(|a| Reverse(addr_key(a.addr)));
    Ok(addrs)
}

/// New owners that explain the record: the reference tells everybody who knows an address to release it, except its new owner.
fn targets(addrs: &[Addr], told: &[u32], takers: Option<&[u32]>) -> Option<Vec<Option<u32>>> {
    let Some((first, rest)) = addrs.split_first() else {
        return (told.is_empty() && takers.is_none_or(<[u32]>::is_empty)).then(Vec::new);
    };
    let choices = first.knowers.iter().copied().map(Some).chain([None]);
    choices.into_iter().find_map(|target| {
        let group: Vec<u32> = first.knowers.iter().copied().filter(|n| Some(*n) != target).collect();
        let told = told.strip_prefix(group.as_slice())?;
        let takers = match (takers, target) {
            (Some(list), Some(n)) => Some(list.strip_prefix(&[n])?),
            (list, _) => list,
        };
        let mut found = targets(rest, told, takers)?;
        found.insert(0, target);
        Some(found)
    })
}

struct Replay<'a> {
    vector: &'a Vector,
    addrs: Vec<Addr>,
    targets: Vec<Option<u32>>,
}

impl Replay<'_> {
    fn fault(&self, control: ControlKind, node: u32) -> Option<FaultKind> {
        self.vector.faults.iter().find(|f| f.control == control && f.node == node).map(|f| f.kind)
    }

    fn outcome(&self, mut record: Outcome) -> Result<Outcome, VectorError> {
        let (mut releases, mut takes) = (Vec::new(), Vec::new());
        let (mut unreleased, mut untaken) = (Vec::new(), Vec::new());
        let mut owners: BTreeMap<IpAddr, Option<u32>> = BTreeMap::new();
        for (a, to) in self.addrs.iter().zip(&self.targets) {
            let mut owner = *to;
            let entry = |control, node, kind| FailedEntry {
                control,
                node,
                status: if kind == FaultKind::Timeout { 110 } else { -1 },
                addr: Some(a.addr),
            };
            let from = a.from.filter(|n| Some(*n) != *to);
            releases.extend(from);
            let failed = from.and_then(|n| Some((n, self.fault(ControlKind::ReleaseIp, n)?)));
            if let Some((n, kind)) = failed {
                unreleased.push(entry(ControlKind::ReleaseIp, n, kind));
                owner = Some(n);
            } else if let Some(n) = to.filter(|n| a.from != Some(*n)) {
                takes.push(n);
                if let Some(kind) = self.fault(ControlKind::TakeoverIp, n) {
                    untaken.push(entry(ControlKind::TakeoverIp, n, kind));
                    owner = None;
                }
            }
            owners.insert(a.addr, owner);
        }
        let mut connected: Vec<u32> = Vec::new();
        let mut active = BTreeSet::new();
        for n in &self.vector.nodes {
            let flags = n.flags()?;
            if !flags.intersects(NodeFlags::DISCONNECTED) {
                connected.push(n.pnn);
            }
            if !flags.is_inactive() {
                active.insert(n.pnn);
            }
        }
        connected.sort_unstable();
        let fails = |kind| {
            connected.iter().copied().find(|n| self.fault(ControlKind::Ipreallocated, *n) == Some(kind))
        };
        // Of one group the first failing answer counts, and silence is noticed last.
        let refused = fails(FaultKind::Error).map(|n| (n, -1));
        let late = refused.or_else(|| fails(FaultKind::Timeout).map(|n| (n, 110)));
        let late = late.map(|(node, status)| FailedEntry {
            control: ControlKind::Ipreallocated,
            node,
            status,
            addr: None,
        });
        record.failed_controls = [unreleased, untaken, Vec::from_iter(late)]
            .into_iter()
            .find(|stage| !stage.is_empty())
            .unwrap_or_default();
        // Refusals are seen at once, silence at the end.
        record.failed_controls.sort_by_key(|f| f.status == 110);
        self.conclude(&mut record);
        record.owners_after = record.owners_after.map(|_| {
            let seen = |addr: IpAddr| {
                let owner = owners.get(&addr.to_canonical()).copied().flatten();
                owner.filter(|n| active.contains(n)).map_or(-1, i64::from)
            };
            self.vector.ips.iter().map(|ip| OwnerEntry { addr: ip.addr, owner: seen(ip.addr) }).collect()
        });
        record.stages.retain(|s| {
            !matches!(
                s.control,
                ControlKind::ReleaseIp | ControlKind::TakeoverIp | ControlKind::Ipreallocated
            )
        });
        let stages = [
            (ControlKind::ReleaseIp, releases),
            (ControlKind::TakeoverIp, takes),
            (ControlKind::Ipreallocated, connected),
        ];
        let sent = stages.into_iter().filter(|(_, nodes)| !nodes.is_empty());
        record.stages.extend(sent.map(|(control, nodes)| StageEntry { control, nodes, what: None }));
        Ok(record)
    }

    /// Result and blame from the failures.
    fn conclude(&self, record: &mut Outcome) {
        let last = record.failed_controls.last().map_or(0, |f| f.status);
        record.reference_status = last;
        record.result = match last {
            0 => "ok",
            110 => "timeout",
            _ => "error",
        }
        .to_owned();
        let mut credits: BTreeMap<u32, u32> = BTreeMap::new();
        record.failed_controls.iter().for_each(|f| *credits.entry(f.node).or_insert(0) += 1);
        let worst = credits.iter().max_by_key(|(n, c)| (**c, Reverse(**n))).map(|(n, _)| *n);
        record.ban_credits_to = worst.filter(|_| self.vector.bans());
    }
}
