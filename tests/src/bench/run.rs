//! Plays scenarios against products and takes down what the client saw.

use super::bed::{Bed, IFACE, millis};
use super::product::Peer;
use super::scenario::{Over, Scenario};
use crate::lab::{LabError, Mark, ProbeReport, chain, now_ns, wait_for};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// What to play.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The products.
    pub peers: Vec<Peer>,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// How often each, for ctdb-ip.
    pub repetitions: usize,
    /// How often each, for the others: some of their scenarios last a minute.
    pub peer_repetitions: usize,
    /// How often each is started from nothing, at least once.
    pub cold_starts: usize,
    /// After how long a scenario is given up ("never").
    pub limit: Duration,
}

/// What was seen of one scenario once. Times in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// The product.
    pub peer: Peer,
    /// The scenario; nothing: the cold start.
    pub scenario: Option<Scenario>,
    /// The longest silence of an affected address that the client saw (below 3 ms: 0); nothing: it did not end within the limit.
    pub gap: Option<f64>,
    /// From the fault until other nodes (or whoever had it) answered for all affected addresses.
    pub served: Option<f64>,
    /// For how long two nodes answered for one address.
    pub dual: f64,
    /// The longest time in which an affected address was on no node.
    pub unserved: f64,
    /// The longest silence while it was mended.
    pub gap_mended: Option<f64>,
    /// For how long two nodes answered while it was mended.
    pub dual_mended: f64,
    /// The longest silence of the addresses that were not affected.
    pub others: f64,
    /// How late the client's prober itself was at worst: silences of that order are the machine's.
    pub noise: f64,
}

/// Plays all; `told` hears of every sample and of every failure as it comes.
///
/// # Errors
/// No lab can be made, or a product cannot be started at all.
pub fn play(plan: &Plan, mut told: impl FnMut(&str)) -> Result<Vec<Sample>, LabError> {
    let mut samples = Vec::new();
    for peer in &plan.peers {
        let times = if peer.is_ours() { plan.repetitions } else { plan.peer_repetitions };
        let mut bed = cold(*peer, &mut samples, &mut told)?;
        for scenario in &plan.scenarios {
            for round in 0..times {
                match once(&mut bed, *peer, *scenario, plan.limit) {
                    Ok(Some(sample)) => {
                        told(&line(&sample, round));
                        samples.push(sample);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        told(&format!("{}: {}: {}", peer.title(), scenario.title(), chain(&error)));
                        drop(bed);
                        bed = cold(*peer, &mut samples, &mut told)?;
                    }
                }
            }
        }
        // Cold starts are few otherwise.
        drop(bed);
        for _ in 1..plan.cold_starts {
            drop(cold(*peer, &mut samples, &mut told)?);
        }
    }
    Ok(samples)
}

fn cold(peer: Peer, samples: &mut Vec<Sample>, told: &mut impl FnMut(&str)) -> Result<Bed, LabError> {
    let bed = Bed::new(peer)?;
    told(&format!("{}: started, all answered after {:.0} ms", peer.title(), bed.cold_start_ms));
    samples.push(Sample {
        peer,
        scenario: None,
        gap: None,
        served: Some(bed.cold_start_ms),
        dual: 0.0,
        unserved: 0.0,
        gap_mended: None,
        dual_mended: 0.0,
        others: 0.0,
        noise: 0.0,
    });
    Ok(bed)
}

fn line(s: &Sample, round: usize) -> String {
    let ms = |v: Option<f64>| v.map_or("never".to_owned(), |v| format!("{v:.1}"));
    format!(
        "{}: {} #{}: gap {} served {} dual {:.0} unserved {:.1}; mended: gap {} dual {:.0}; others {:.1}; noise {:.1}",
        s.peer.title(),
        s.scenario.map_or("cold start", Scenario::title),
        round + 1,
        ms(s.gap),
        ms(s.served),
        s.dual,
        s.unserved,
        ms(s.gap_mended),
        s.dual_mended,
        s.others,
        s.noise
    )
}

/// Nothing: the product has no such command.
fn once(bed: &mut Bed, peer: Peer, scenario: Scenario, limit: Duration) -> Result<Option<Sample>, LabError> {
    bed.settle()?;
    // Settling ends in step with the product's own clock; a fault does not come in step with anything.
    std::thread::sleep(Duration::from_nanos(now_ns() % 997 * 1_000_000));
    let holders = bed.holders()?;
    let leader = bed.product.leader(&bed.lab)?;
    let has = |n: usize| holders.values().any(|on| on == &[n]);
    let follower = (0..bed.lab.nodes()).find(|n| *n != leader && has(*n));
    // keepalived has one node with addresses, its master.
    let victim = if scenario.hits_leader() { leader } else { follower.unwrap_or(leader) };
    let mut affected: Vec<IpAddr> =
        bed.addresses.iter().copied().filter(|a| holders[a] == [victim]).collect();
    if matches!(scenario, Scenario::AddrDel | Scenario::MoveIp) {
        affected.truncate(1);
    }
    if scenario.hits_leader() && !bed.product.balances() {
        return Ok(None);
    }
    let dual_before = bed.dual_rounds()?;
    let mark = bed.probe.mark("fault");
    if !strike(bed, scenario, victim, affected[0])? {
        return Ok(None);
    }
    let blind = bed.product.blind();
    let done = wait_over(bed, scenario.over(blind), &mark, &affected, victim, limit);
    let report = bed.probe.report_since(&mark)?;
    let seen = || affected.iter().filter_map(|a| report.get(*a));
    let gap = done.then(|| seen().flat_map(|r| &r.gaps).map(|g| millis(g.length_ns)).fold(0.0, f64::max));
    let served = done.then(|| {
        // Another node began to answer, or the same one again.
        let moved = seen().filter_map(|r| r.transitions.last()).map(|t| t.at_ns);
        // An address's longest silence is the fault's; shorter ones, seconds later, are the machine's hiccups too.
        let longest = seen().filter_map(|r| r.gaps.iter().max_by_key(|g| g.length_ns));
        let back = longest.map(|g| g.from_ns + g.length_ns);
        millis(moved.chain(back).max().unwrap_or(mark.at_ns).saturating_sub(mark.at_ns))
    });
    let others = report.addresses.iter().filter(|(a, _)| !affected.contains(a));
    let others = others.flat_map(|(_, r)| &r.gaps).map(|g| millis(g.length_ns)).fold(0.0, f64::max);
    let dual_after = bed.dual_rounds()?;
    let unserved = bed.unserved_ms(mark.at_ns, &affected)?;
    let healing = bed.probe.mark("mend");
    mend(bed, scenario, victim, affected[0])?;
    bed.settle()?;
    let mended = bed.probe.report_since(&healing)?;
    let dual_end = bed.dual_rounds()?;
    let gap_mended = scenario.mended().is_some() && done;
    let rounds = |from: usize, to: usize| to.saturating_sub(from) as f64;
    Ok(Some(Sample {
        peer,
        scenario: Some(scenario),
        gap,
        served,
        dual: rounds(dual_before, dual_after),
        unserved,
        gap_mended: gap_mended.then(|| mended.longest_gap().as_secs_f64() * 1e3),
        dual_mended: rounds(dual_after, dual_end),
        others,
        noise: millis(report.worst_pace_ns),
    }))
}

/// Breaks something; false: the product has no such command.
fn strike(bed: &Bed, scenario: Scenario, victim: usize, address: IpAddr) -> Result<bool, LabError> {
    let (lab, product) = (&bed.lab, &bed.product);
    Ok(match scenario {
        Scenario::AddrDel => lab.node(victim).del_address(IFACE, address).map(|()| true)?,
        Scenario::MoveIp => product.move_ip(lab, address, (victim + 1) % lab.nodes())?,
        Scenario::Disable => product.disable(lab, victim, true)?,
        Scenario::Stop => product.stop(lab, victim, bed.process(victim)?).map(|()| true)?,
        Scenario::KillFollower | Scenario::KillLeader => {
            bed.kill_daemon_and_service(victim).map(|()| true)?
        }
        Scenario::PowerOffFollower | Scenario::PowerOffLeader => {
            bed.hang(victim, true)?;
            lab.cut_cable(victim, IFACE)?;
            lab.cut_private(victim).map(|()| true)?
        }
        Scenario::Hang => bed.hang(victim, true).map(|()| true)?,
        Scenario::Cable => lab.cut_cable(victim, IFACE).map(|()| true)?,
        Scenario::LinkDown => lab.link_down(victim, IFACE).map(|()| true)?,
        Scenario::NetworkRestart => {
            let mut lost = lab.node(victim).flush_addresses(IFACE)?;
            lost.retain(|(a, _)| !bed.addresses.contains(a));
            lab.link_down(victim, IFACE)?;
            std::thread::sleep(Duration::from_secs(1));
            lab.link_up(victim, IFACE)?;
            put_back(bed, victim, &lost)?;
            true
        }
        Scenario::Partition => product.cut(lab, victim, true).map(|()| true)?,
    })
}

fn put_back(bed: &Bed, node: usize, lost: &[(IpAddr, u8)]) -> Result<(), LabError> {
    for (address, prefix) in lost {
        match bed.lab.node(node).add_address(IFACE, *address, *prefix) {
            // IPv4 addresses may have survived the link.
            Ok(()) | Err(LabError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn mend(bed: &mut Bed, scenario: Scenario, victim: usize, address: IpAddr) -> Result<(), LabError> {
    match scenario {
        Scenario::AddrDel | Scenario::NetworkRestart => Ok(()),
        Scenario::MoveIp => bed.product.move_ip(&bed.lab, address, victim).map(drop),
        Scenario::Disable => bed.product.disable(&bed.lab, victim, false).map(drop),
        Scenario::Stop => bed.start(victim),
        Scenario::KillFollower | Scenario::KillLeader => bed.revive(victim),
        Scenario::PowerOffFollower | Scenario::PowerOffLeader => {
            bed.lab.plug_cable(victim, IFACE)?;
            bed.lab.heal_private(victim)?;
            bed.hang(victim, false)
        }
        Scenario::Hang => bed.hang(victim, false),
        Scenario::Cable => bed.lab.plug_cable(victim, IFACE),
        Scenario::LinkDown => bed.lab.link_up(victim, IFACE),
        Scenario::Partition => bed.product.cut(&bed.lab, victim, false),
    }
}

/// Waits for the end of a scenario; false when it does not end within the limit.
fn wait_over(
    bed: &Bed,
    over: Over,
    mark: &Mark,
    affected: &[IpAddr],
    victim: usize,
    limit: Duration,
) -> bool {
    if let Over::After(time) = over {
        std::thread::sleep(time);
        return true;
    }
    // Long enough after the fault for the silence to have begun.
    let begun = Duration::from_millis(300);
    let good = |report: &ProbeReport, a: &IpAddr| {
        let Some(seen) = report.get(*a) else { return false };
        let Some(last) = seen.last else { return false };
        let settled = !seen.gaps.iter().any(|g| g.open);
        let whom = over == Over::Answered || usize::from(last.node) != victim;
        settled && whom && report.now_ns.saturating_sub(last.at_ns) < 20_000_000
    };
    wait_for("the end of the scenario", limit, || {
        let report = bed.probe.report_since(mark).map_err(|e| e.to_string())?;
        let late = report.now_ns.saturating_sub(mark.at_ns) >= begun.as_nanos() as u64;
        let lost = over == Over::Answered
            && bed
                .holders()
                .map_err(|e| e.to_string())?
                .iter()
                .any(|(a, on)| affected.contains(a) && on.is_empty());
        if late && !lost && affected.iter().all(|a| good(&report, a)) { Ok(()) } else { Err(String::new()) }
    })
    .is_ok()
}
