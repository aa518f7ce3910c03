//! `lab-soak`: real daemons for minutes, with every core of the machine busy, and nothing wrong with any of them: whatever loses its
//! lease, moves an address, answers twice or not at all does so without a reason, but for one: the machine itself stood still.

#![expect(clippy::print_stdout, reason = "a command: stdout is its output")]

use anyhow::{Context, bail};
use clap::Parser;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Lab, LabConfig, Observer, Stall, chain};

/// How often the figures are looked at: the prober remembers ten minutes.
const LOOK: Duration = Duration::from_secs(15);
/// Shorter pauses of the machine cost nobody a lease.
const STALL: Duration = Duration::from_millis(20);
/// The memory that a busy thread runs through.
const MEMORY: usize = 32 << 20;

/// Three daemons with six addresses on this machine, in network namespaces, while other threads keep its cores busy. Counts leases that
/// lapsed, addresses that moved (false fail-overs), addresses that two nodes answered for at the same time, and requests that nobody
/// answered within 50 ms. Fails if there is one of the first three, unless the machine stood still before all leases that lapsed: an idle
/// thread on each core, more important than all others, did not run for half a LeaseTime.
#[derive(Debug, Parser)]
struct Args {
    /// How long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// LeaseTime in milliseconds; 200 is the profile `fast`.
    #[arg(long, default_value_t = 200)]
    lease_time: u32,
    /// How many threads do nothing but use a core, and memory.
    #[arg(long, default_value_t = 2)]
    busy: usize,
    /// The lock: a file that all nodes share instead of their votes.
    #[arg(long)]
    lock_file: bool,
}

/// What must not happen, and what should not.
#[derive(Debug, Default)]
struct Count {
    moves: usize,
    lost: u64,
    sent: u64,
    longest: Duration,
    prober_late: Duration,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match soak(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            println!("lab-soak: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn soak(args: &Args) -> anyhow::Result<bool> {
    let config = ClusterConfig {
        tunables: vec![("LeaseTime".to_owned(), args.lease_time)],
        no_reclock: !args.lock_file,
        ..ClusterConfig::default()
    };
    let nodes: Vec<usize> = (0..config.nodes).collect();
    let lab_config = LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() };
    let lab = Lab::new(&lab_config).map_err(|e| anyhow::anyhow!("no lab: {}", chain(&e)))?;
    let mut cluster = Cluster::prepare(lab, &config)?;
    for node in &nodes {
        cluster.start(*node)?;
    }
    cluster.wait_balanced(&nodes);
    cluster.settle(cluster.leader_seen_by(0));
    let witness = cluster.lab.witness(&cluster.iface, &cluster.addresses)?;
    let probe = cluster.probe();
    let observer = Observer::start(STALL);
    let before = lapses(&cluster, &nodes)?;
    let ran: Vec<Duration> = nodes.iter().map(|n| lease_thread_ran(cluster.daemon(*n).pid())).collect();
    let busy = Busy::start(args.busy);
    println!("LeaseTime {} ms, {} busy threads, {} min", args.lease_time, args.busy, args.minutes);
    let (began, mut count) = (Instant::now(), Count::default());
    let end = Duration::from_secs(args.minutes * 60);
    let (start, stolen) = (probe.mark("soak"), stolen_ms());
    while began.elapsed() < end {
        let mark = probe.mark("look");
        thread::sleep(LOOK.min(end.saturating_sub(began.elapsed())));
        let report = probe.report_since(&mark)?;
        for (_, seen) in &report.addresses {
            count.lost += seen.lost;
            count.sent += seen.sent;
        }
        count.longest = count.longest.max(report.longest_gap());
        count.prober_late = Duration::from_nanos(report.worst_pace_ns);
        println!(
            "{:>5.0} s: {} of {} requests lost, longest silence {:.0} ms; the prober was up to {:.0} ms late; {} ms of CPU time were stolen",
            began.elapsed().as_secs_f64(),
            count.lost,
            count.sent,
            count.longest.as_secs_f64() * 1e3,
            count.prober_late.as_secs_f64() * 1e3,
            stolen_ms().saturating_sub(stolen),
        );
    }
    let (took, stalls) = (began.elapsed(), observer.stalls());
    drop(busy);
    let ours = cluster.lab.address_events()?.into_iter().filter(|e| cluster.addresses.contains(&e.address));
    count.moves = ours.filter(|e| e.at_ns >= start.at_ns).count();
    let after = lapses(&cluster, &nodes)?;
    let lapsed: u64 = nodes.iter().map(|n| after[n].saturating_sub(before[n])).sum();
    let heard = witness.report()?;
    println!(
        "false fences: {lapsed} leases lapsed, {} changes of addresses; dual answers: {} in {} heard; lost probes: {} of {}; \
         longest silence {:.0} ms; the prober itself was up to {:.0} ms late",
        count.moves,
        heard.duals.len(),
        heard.answers,
        count.lost,
        count.sent,
        count.longest.as_secs_f64() * 1e3,
        count.prober_late.as_secs_f64() * 1e3,
    );
    for (node, before) in nodes.iter().zip(ran) {
        let ran = lease_thread_ran(cluster.daemon(*node).pid()).saturating_sub(before);
        println!(
            "node {node}: the lease thread used {:.3} % of a core and was up to {:.1} ms late",
            ran.as_secs_f64() / took.as_secs_f64() * 100.0,
            lease_report(&cluster, *node)?["late_max_us"].as_f64().unwrap_or(f64::NAN) / 1e3,
        );
    }
    let longest = stalls.iter().map(|s| s.for_ns).max().unwrap_or(0);
    println!(
        "the machine: a core stood still for {} ms or more {} times, for {:.0} ms at worst",
        STALL.as_millis(),
        stalls.len(),
        longest as f64 / 1e6
    );
    let excused = excused(&cluster, &nodes, &stalls, Duration::from_millis(args.lease_time.into()));
    println!(
        "of {lapsed} lapses {excused} came when the machine stood still, {} are ours",
        lapsed.saturating_sub(excused)
    );
    let moved = count.moves > 0 && lapsed == 0;
    let good = lapsed <= excused && !moved && heard.duals.is_empty();
    if !good {
        println!("{}", cluster.describe());
        for node in nodes {
            for kind in ["state", "lease"] {
                println!("--- node {node}: journal, {kind}\n{}", cluster.entries(node, kind).join("\n"));
            }
        }
    }
    Ok(good)
}

/// For how long this machine's CPUs did not run although they had work, since it started: its host gave the time to others. A lease
/// shorter than one such pause lapses with a reason.
fn stolen_ms() -> u64 {
    const MS_PER_TICK: u64 = 10;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.lines().next().and_then(|all| all.split_whitespace().nth(8)?.parse::<u64>().ok());
    ticks.unwrap_or(0) * MS_PER_TICK
}

/// How many leases lapsed within a LeaseTime of a stall of half a LeaseTime, by the wall-clock times of the journals' entries.
fn excused(cluster: &Cluster, nodes: &[usize], stalls: &[Stall], lease_time: Duration) -> u64 {
    let lease_ns = u64::try_from(lease_time.as_nanos()).unwrap_or(u64::MAX);
    let long = || stalls.iter().filter(|s| s.for_ns >= lease_ns / 2);
    let near = |at: u64| long().any(|s| (s.from_ns..=s.from_ns + s.for_ns + 2 * lease_ns).contains(&at));
    let of = |node: &usize| {
        let all = cluster.timeline(*node).into_iter().filter(|e| e["kind"] == "lease");
        let lapses =
            all.filter(|e| e["text"].as_str().is_some_and(|t| t.contains("was not extended in time")));
        lapses.filter(|e| e["wall_us"].as_u64().is_some_and(|us| near(us * 1000))).count() as u64
    };
    nodes.iter().map(of).sum()
}

/// For how long a daemon's lease thread has run on a core.
fn lease_thread_ran(daemon: i32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{daemon}/task")).into_iter().flatten().flatten();
    let read =
        |task: &std::path::Path, file: &str| std::fs::read_to_string(task.join(file)).unwrap_or_default();
    let lease = tasks.map(|t| t.path()).find(|t| read(t, "comm").trim() == "lease");
    let ns = lease.and_then(|t| read(&t, "schedstat").split_whitespace().next()?.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

/// `ctdb lease --json`.
fn lease_report(cluster: &Cluster, node: usize) -> anyhow::Result<serde_json::Value> {
    let (code, out, err) = cluster.try_ctdb(node, &["--json", "lease"]);
    if code != 0 {
        bail!("`ctdb lease` on node {node} exited with {code}: {err}");
    }
    serde_json::from_str(&out).context("`ctdb lease --json`")
}

/// How often each node's lease has lapsed since its start.
fn lapses(cluster: &Cluster, nodes: &[usize]) -> anyhow::Result<BTreeMap<usize, u64>> {
    let of = |node: &usize| {
        let report = lease_report(cluster, *node)?;
        let lapses = report["lapses"].as_u64().with_context(|| format!("no lapses in {report}"))?;
        Ok((*node, lapses))
    };
    nodes.iter().map(of).collect()
}

/// Threads that use cores and memory bandwidth; they end when this is dropped.
struct Busy {
    go_on: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn start(threads: usize) -> Self {
        let go_on = Arc::new(AtomicBool::new(true));
        let spin = |go_on: Arc<AtomicBool>| {
            let mut memory = vec![0_u8; MEMORY];
            while go_on.load(Ordering::Relaxed) {
                memory.iter_mut().step_by(64).for_each(|b| *b = black_box(b.wrapping_add(1)));
            }
        };
        let threads = (0..threads)
            .map(|_| {
                let go_on = Arc::clone(&go_on);
                thread::spawn(move || spin(go_on))
            })
            .collect();
        Self { go_on, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.go_on.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It only adds.
            let _ = thread.join();
        }
    }
}
