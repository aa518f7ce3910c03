//! `bench`: what a client of the cluster sees when something breaks; ctdb-ip beside CTDB and keepalived. Measures, judges nothing.

#![expect(clippy::print_stdout, reason = "a command: stdout is its output")]

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;
use tests::bench::{
    ALL, Cluster, Machine, PATHS, Peer, Plan, Scenario, decide, idle, many_nodes, markdown, path, play, plot,
    scale, timeline,
};

/// Measures fail-over in the lab. Best on a machine that does nothing else, as root, from a release build:
/// `cargo run --release -p tests --bin bench -- scenarios --peer ctdb --peer keepalived`.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The scenarios of BASELINE.md with three nodes and six addresses.
    Scenarios {
        /// Measure this product too (may be repeated; needs root and Debian's package).
        #[arg(long)]
        peer: Vec<Peer>,
        /// Only the peers, not ctdb-ip.
        #[arg(long)]
        no_ours: bool,
        /// Only these scenarios (may be repeated).
        #[arg(long)]
        only: Vec<Scenario>,
        /// How often each.
        #[arg(long, default_value_t = 10)]
        repetitions: usize,
        /// How often each for CTDB and keepalived: a run of theirs can last a minute.
        #[arg(long, default_value_t = 10)]
        peer_repetitions: usize,
        /// How often each product is started from nothing.
        #[arg(long, default_value_t = 10)]
        cold_starts: usize,
        /// Seconds after which a scenario is given up.
        #[arg(long, default_value_t = 60)]
        limit: u64,
        /// Write the samples here, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Write the tables here, as Markdown.
        #[arg(long)]
        markdown: Option<PathBuf>,
        /// Write the picture here, as SVG.
        #[arg(long)]
        plot: Option<PathBuf>,
    },
    /// Tables and picture of samples that were written before (several files are joined).
    Show {
        /// The JSON files.
        #[arg(required = true)]
        json: Vec<PathBuf>,
        /// Write the picture here.
        #[arg(long)]
        plot: Option<PathBuf>,
    },
    /// Many addresses on three nodes.
    Scale {
        /// How many.
        #[arg(default_values_t = [1000, 5000])]
        addresses: Vec<usize>,
    },
    /// Many nodes.
    Nodes {
        /// How many, each in turn.
        #[arg(default_values_t = [4, 16, 64])]
        nodes: Vec<usize>,
        /// Public addresses.
        #[arg(long, default_value_t = 1000)]
        addresses: usize,
    },
    /// One run's decision in the pure machine: time and number of messages, without daemons.
    Decide {
        /// Nodes.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..))]
        nodes: u32,
        /// Public addresses.
        #[arg(long, default_value_t = 20_000)]
        addresses: u32,
        /// How many nodes know each address (all take gigabytes at the default size).
        #[arg(long, default_value_t = 32)]
        hosts: u32,
        /// IPAllocAlgorithm (may be repeated).
        #[arg(long, default_values_t = [2, 3])]
        algorithm: Vec<u32>,
    },
    /// Where the time goes on the ways that clients wait for: timelines of steps.
    Path {
        /// How often each; the run with the median silence is shown.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// Only these (may be repeated): addr-del, disable, kill-follower, kill-leader.
        #[arg(long)]
        only: Vec<Scenario>,
    },
    /// Memory, processor and wake-ups at rest.
    Idle {
        /// Measure this product too.
        #[arg(long)]
        peer: Vec<Peer>,
        /// Seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

/// What a file of samples holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    machine: Machine,
    samples: Vec<tests::bench::Sample>,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().what {
        What::Scenarios {
            peer,
            no_ours,
            only,
            repetitions,
            peer_repetitions,
            cold_starts,
            limit,
            json,
            markdown: table,
            plot: picture,
        } => {
            let mut peers = if no_ours { Vec::new() } else { vec![Peer::Ours] };
            peers.extend(peer.iter().filter(|p| !no_ours || **p != Peer::Ours));
            peers.dedup();
            let scenarios = if only.is_empty() { ALL.to_vec() } else { only };
            let limit = Duration::from_secs(limit);
            let mut machine = Machine::here();
            let plan = Plan { peers, scenarios, repetitions, peer_repetitions, cold_starts, limit };
            let samples = play(&plan, |line| println!("{line}"))?;
            machine.ended();
            let text = markdown(&samples, &machine);
            println!("\n{text}");
            if let Some(path) = table {
                std::fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
            }
            if let Some(path) = picture {
                plot(&samples, &path).map_err(|e| anyhow!(e))?;
            }
            if let Some(path) = json {
                let record = serde_json::to_vec_pretty(&Record { machine, samples })?;
                std::fs::write(&path, record).with_context(|| format!("write {}", path.display()))?;
            }
        }
        What::Show { json, plot: picture } => {
            let mut all: Option<Record> = None;
            for path in json {
                let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                let record: Record =
                    serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
                match &mut all {
                    Some(all) => all.samples.extend(record.samples),
                    None => all = Some(record),
                }
            }
            let all = all.context("no samples")?;
            println!("{}", markdown(&all.samples, &all.machine));
            if let Some(path) = picture {
                plot(&all.samples, &path).map_err(|e| anyhow!(e))?;
            }
        }
        What::Scale { addresses } => {
            for count in addresses {
                let report = scale(count, |line| println!("{line}"))?;
                println!("{}", serde_json::to_string_pretty(&report)?);
            }
        }
        What::Nodes { nodes, addresses } => {
            for count in nodes {
                let crowd = many_nodes(count, addresses, |line| println!("{line}"))?;
                println!("{}", serde_json::to_string_pretty(&crowd)?);
            }
        }
        What::Decide { nodes, addresses, hosts, algorithm } => {
            for algorithm in algorithm {
                let mut problem = None;
                decide(
                    Cluster { nodes, addresses, hosts, algorithm },
                    |decided| match serde_json::to_string(decided) {
                        Ok(line) => println!("{line}"),
                        Err(e) => problem = Some(e),
                    },
                );
                problem.map_or(Ok(()), Err)?;
            }
        }
        What::Path { repetitions, only } => {
            for scenario in PATHS.into_iter().filter(|s| only.is_empty() || only.contains(s)) {
                println!("{}", timeline(&path(scenario, repetitions)?));
            }
        }
        What::Idle { peer, seconds } => {
            let time = Duration::from_secs(seconds);
            let ours = [(Peer::Ours, 6), (Peer::Ours, 1000)];
            for (peer, addresses) in ours.into_iter().chain(peer.into_iter().map(|p| (p, 6))) {
                for row in idle(peer, addresses, time)? {
                    println!("{}", serde_json::to_string(&row)?);
                }
            }
        }
    }
    Ok(())
}
