//! Where the time goes on the ways that clients wait for: the steps that the daemons and guards traced (`CTDB_TRACE`), the kernels' address events
//! and the client's silence of one fault, in one list.
//!
//! Of several runs of a scenario the one with the median silence is shown. Tracing itself costs a few microseconds a step.

use super::bed::{Bed, IFACE};
use super::ours::{Ours, trace_file};
use super::scenario::Scenario;
use crate::lab::{LabError, Mark, wait_for};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// The scenarios that have such a way.
pub const PATHS: [Scenario; 4] =
    [Scenario::AddrDel, Scenario::Disable, Scenario::KillFollower, Scenario::KillLeader];

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Since the fault, microseconds; below zero: before it.
    pub at_us: i64,
    /// How long it took, microseconds; nothing for a moment.
    pub took_us: Option<u64>,
    /// Whose: `node 1`, `guard 1`, `kernel 1`, `client`.
    pub who: String,
    /// What.
    pub what: String,
}

/// One run of a scenario.
#[derive(Debug, Clone, Serialize)]
pub struct Way {
    /// What was done.
    pub scenario: Scenario,
    /// The client's longest silence of an affected address, microseconds.
    pub silence_us: u64,
    /// In order of time.
    pub steps: Vec<Step>,
}

/// As a daemon writes it.
#[derive(Deserialize)]
struct Line {
    of: String,
    at_us: u64,
    took_us: Option<u64>,
    what: String,
    with: String,
}

/// Plays a scenario of [`PATHS`] `times` times; the run with the median silence.
///
/// # Errors
/// The lab or a daemon fails, or the trace cannot be read.
pub fn path(scenario: Scenario, times: usize) -> Result<Way, LabError> {
    let mut runs = Vec::new();
    let mut bed = Bed::of(Box::new(Ours { trace: true, ..Ours::default() }))?;
    for _ in 0..times.max(1) {
        runs.push(once(&mut bed, scenario)?);
    }
    runs.sort_by_key(|r| r.silence_us);
    Ok(runs.swap_remove(runs.len() / 2))
}

fn once(bed: &mut Bed, scenario: Scenario) -> Result<Way, LabError> {
    bed.settle()?;
    let holders = bed.holders()?;
    let leader = bed.product.leader(&bed.lab)?;
    let victim = if scenario.hits_leader() { leader } else { (leader + 1) % bed.lab.nodes() };
    let mut affected = bed.addresses.clone();
    affected.retain(|a| holders[a] == [victim]);
    if scenario == Scenario::AddrDel {
        affected.truncate(1);
    }
    let mark = bed.probe.mark(scenario.title());
    match scenario {
        Scenario::AddrDel => bed.lab.node(victim).del_address(IFACE, affected[0])?,
        Scenario::Disable => bed.product.disable(&bed.lab, victim, true).map(drop)?,
        // Nobody else may end later than the daemon itself: what dies is the daemon alone, and the client's service with it.
        _ => bed.kill_daemon_and_service(victim)?,
    }
    let back = |bed: &Bed| -> Result<Option<(u64, u64)>, LabError> {
        let report = bed.probe.report_since(&mark)?;
        let gaps = affected.iter().filter_map(|a| report.get(*a)).flat_map(|r| r.gaps.clone());
        let worst = gaps.max_by_key(|g| g.length_ns);
        Ok(worst.filter(|g| !g.open).map(|g| (g.from_ns, g.length_ns)))
    };
    let moved = |bed: &Bed| -> Result<bool, LabError> {
        let now = bed.holders()?;
        let elsewhere =
            |on: &Vec<usize>| on.len() == 1 && (scenario == Scenario::AddrDel) == (on[0] == victim);
        Ok(affected.iter().all(|a| elsewhere(&now[a])))
    };
    wait_for("the addresses to answer again", Duration::from_secs(20), || {
        if moved(bed).map_err(|e| e.to_string())? { Ok(()) } else { Err("not yet".to_owned()) }
    })?;
    // The last steps (announcements, the end of the run) are under way.
    std::thread::sleep(Duration::from_millis(100));
    let silence = back(bed)?;
    let steps = steps(bed, &mark, silence)?;
    match scenario {
        Scenario::Disable => bed.product.disable(&bed.lab, victim, false).map(drop)?,
        Scenario::AddrDel => {}
        _ => bed.revive(victim)?,
    }
    Ok(Way { scenario, silence_us: silence.map_or(0, |(_, length)| length / 1000), steps })
}

fn steps(bed: &Bed, mark: &Mark, silence: Option<(u64, u64)>) -> Result<Vec<Step>, LabError> {
    let since = |us: u64| us.cast_signed() - (mark.at_ns / 1000).cast_signed();
    let mut steps = Vec::new();
    for node in 0..bed.lab.nodes() {
        let file = trace_file(&bed.lab, node);
        let text = std::fs::read_to_string(file).map_err(|e| LabError::io("read the trace", e))?;
        let lines = text.lines().filter_map(|l| serde_json::from_str::<Line>(l).ok());
        steps.extend(lines.filter(|l| since(l.at_us) >= -1000).map(|l| {
            let what = format!("{} {}", l.what, l.with).trim().to_owned();
            Step { at_us: since(l.at_us), took_us: l.took_us, who: format!("{} {node}", l.of), what }
        }));
    }
    let events = bed.lab.address_events()?;
    let events = events.iter().filter(|e| e.at_ns >= mark.at_ns && bed.addresses.contains(&e.address));
    steps.extend(events.map(|e| {
        let what = format!("{} {}", e.address, if e.added { "is there" } else { "is gone" });
        Step { at_us: since(e.at_ns / 1000), took_us: None, who: format!("kernel {}", e.host), what }
    }));
    if let Some((from, length)) = silence {
        let what = "silence of an address".to_owned();
        let (at_us, took_us) = (since(from / 1000), Some(length / 1000));
        steps.push(Step { at_us, took_us, who: "client".to_owned(), what });
    }
    steps.sort_by_key(|s| s.at_us);
    Ok(steps)
}

/// The timeline for people.
#[must_use]
pub fn timeline(path: &Way) -> String {
    let mut out = format!(
        "### {}: silence {} µs\n\n| µs since the fault | who | what | took µs |\n| ---: | --- | --- | ---: |\n",
        path.scenario.title(),
        path.silence_us
    );
    for s in &path.steps {
        let took = s.took_us.map_or(String::new(), |t| t.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} | {} | {} | {took} |", s.at_us, s.who, s.what);
    }
    out
}
