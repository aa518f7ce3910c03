//! What a node costs when nothing happens: memory, processor, wake-ups, packets.

use super::bed::{Bed, IFACE};
use super::ours::Ours;
use super::product::{Peer, Product};
use crate::lab::{Lab, LabConfig, LabError};
use serde::Serialize;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Memory of some processes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Resident memory, KiB; shared pages count in every process.
    pub rss_kib: u64,
    /// Proportional memory, KiB; shared pages count once.
    pub pss_kib: u64,
}

/// The cost of one node at rest.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// The product.
    pub product: String,
    /// How many public addresses the cluster has.
    pub addresses: usize,
    /// The node decides (recmaster, master).
    pub leads: bool,
    /// Its processes.
    pub processes: usize,
    /// Their memory.
    pub usage: Usage,
    /// Share of one core, percent.
    pub cpu_percent: f64,
    /// Voluntary and involuntary switches of all threads, per second.
    pub wakeups: f64,
    /// Packets sent to the other nodes, per second.
    pub packets: f64,
}

/// Watches a settled cluster of three for `time`. With [`Peer::Ours`] there may be any number of addresses; the others have six.
///
/// # Errors
/// The lab or the product fails.
pub fn idle(peer: Peer, addresses: usize, time: Duration) -> Result<Vec<Idle>, LabError> {
    if addresses == 6 {
        let bed = Bed::new(peer)?;
        let leader = bed.product.leader(&bed.lab)?;
        return watch(&bed.lab, peer.title(), addresses, leader, time);
    }
    let lab = Lab::new(&LabConfig { nodes: 3, public_ifaces: vec![IFACE.to_owned()] })?;
    let first = u32::from(Ipv4Addr::new(10, 1, 0, 1));
    let many: Vec<IpAddr> = (first..).take(addresses).map(|n| Ipv4Addr::from(n).into()).collect();
    let mut product = Ours::default();
    product.prepare_wide(&lab, &many, IFACE)?;
    let _running = (0..3).map(|n| product.start(&lab, n)).collect::<Result<Vec<_>, _>>()?;
    crate::lab::wait_for("all addresses", Duration::from_secs(120), || {
        let held = (0..3).map(|n| lab.node(n).all_addresses().map(|a| a.len()));
        let held = held.sum::<Result<usize, _>>().map_err(|e| e.to_string())?;
        if held >= addresses { Ok(()) } else { Err(format!("{held} addresses")) }
    })?;
    let leader = product.leader(&lab)?;
    watch(&lab, peer.title(), addresses, leader, time)
}

fn watch(
    lab: &Lab,
    product: &str,
    addresses: usize,
    leader: usize,
    time: Duration,
) -> Result<Vec<Idle>, LabError> {
    // What follows a start (announcements, first monitor events) is not rest.
    std::thread::sleep(Duration::from_secs(10));
    let processes = |node: usize| -> Result<Vec<i32>, LabError> {
        let service = lab.service(node);
        Ok(lab.node(node).processes()?.into_iter().filter(|p| Some(*p) != service).collect())
    };
    let before = (0..lab.nodes()).map(processes).collect::<Result<Vec<_>, _>>()?;
    let start: Vec<Counted> = before.iter().map(|p| counted(p)).collect();
    std::thread::sleep(time);
    let seconds = time.as_secs_f64();
    let row = |(node, (pids, start)): (usize, (&Vec<i32>, &Counted))| {
        let end = counted(pids);
        Idle {
            product: product.to_owned(),
            addresses,
            leads: node == leader,
            processes: pids.len(),
            usage: usage(pids),
            cpu_percent: (end.ticks.saturating_sub(start.ticks)) as f64 / seconds,
            wakeups: (end.switches.saturating_sub(start.switches)) as f64 / seconds,
            packets: (end.packets.saturating_sub(start.packets)) as f64 / seconds,
        }
    };
    Ok(before.iter().zip(&start).enumerate().map(row).collect())
}

/// Memory of these processes together.
pub(super) fn usage(pids: &[i32]) -> Usage {
    let mut sum = Usage::default();
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        sum.rss_kib += field("Rss:");
        sum.pss_kib += field("Pss:");
    }
    sum
}

struct Counted {
    /// Of the processor, hundredths of a second (the kernel's USER_HZ); children that ended included.
    ticks: u64,
    switches: u64,
    packets: u64,
}

fn counted(pids: &[i32]) -> Counted {
    let mut all = Counted { ticks: 0, switches: 0, packets: 0 };
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect())
            .unwrap_or_default();
        // utime, stime, cutime, cstime are fields 14 to 17; the first after the name is 3.
        all.ticks += fields.iter().skip(11).take(4).sum::<u64>();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let text = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let lines = text.lines().filter(|l| l.contains("ctxt_switches"));
            all.switches +=
                lines.filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>();
        }
    }
    if let Some(pid) = pids.first() {
        all.packets = sent(*pid);
    }
    all
}

/// Packets that the node of this process has sent to other nodes so far.
pub(super) fn sent(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.trim_start().strip_prefix("priv0:"));
    line.and_then(|l| l.split_whitespace().nth(9)?.parse().ok()).unwrap_or(0)
}
