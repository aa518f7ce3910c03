//! `simulate`: runs histories of the simulated cluster by the thousand, checks the mutants, prints figures.

#![expect(clippy::print_stdout, reason = "a command: stdout is its output")]

use clap::Parser;
use std::process::ExitCode;
use std::time::Instant;
use tests::sim::{DIRECTED, LockChoice, Plan, freeze_of, hunt, mutants, run};

/// Runs the simulated cluster.
#[derive(Debug, Parser)]
struct Args {
    /// How many histories for each lock (10 000 unless given), at most how many for each mutant (20 000).
    #[arg(long)]
    histories: Option<u64>,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One lock only.
    #[arg(long)]
    lock: Option<LockChoice>,
    /// Directed schedules instead of random ones, all of them or one.
    #[arg(long, num_args = 0..=1, default_missing_value = "99")]
    directed: Option<usize>,
    /// The nodes list changes on the way.
    #[arg(long)]
    lists: bool,
    /// Break each rule in turn; every break must be found.
    #[arg(long)]
    mutants: bool,
    /// Only this mutant.
    #[arg(long)]
    only: Option<String>,
    /// Replay one seed with a trace.
    #[arg(long)]
    replay: Option<u64>,
    /// Print how long a freeze lasts.
    #[arg(long)]
    figures: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ok = if args.figures {
        figures(args.histories.unwrap_or(2000));
        true
    } else if let Some(seed) = args.replay {
        replay(&args, seed)
    } else if args.mutants {
        check_mutants(&args)
    } else {
        histories(&args)
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn locks(args: &Args) -> Vec<LockChoice> {
    args.lock.map_or_else(|| LockChoice::ALL.to_vec(), |l| vec![l])
}

fn schedule(args: &Args, seed: u64) -> Option<usize> {
    args.directed.map(|d| if d < DIRECTED { d } else { seed as usize % DIRECTED })
}

fn histories(args: &Args) -> bool {
    let (mut bad, count) = (0, args.histories.unwrap_or(10_000));
    for lock in locks(args) {
        let begun = Instant::now();
        let (mut events, mut lapses, mut slowest) = (0, 0, 0.0_f64);
        for seed in args.seed..args.seed + count {
            let mut plan = Plan::new(seed, lock, schedule(args, seed));
            plan.lists = args.lists;
            let o = run(&plan);
            events += o.events;
            lapses += o.lapses;
            slowest = slowest.max(o.heal_time);
            let what = o.violation.or_else(|| (!o.healed).then(|| "not healed".to_owned()));
            if let Some(what) = what {
                bad += 1;
                println!("{lock:?} seed {seed}: {what}");
                if bad > 20 {
                    return false;
                }
            }
        }
        let took = begun.elapsed().as_secs_f64();
        println!(
            "{lock:?}: {} histories, {events} events in {took:.1} s ({:.0} events/s), {lapses} lapses, slowest heal {slowest:.1} T",
            count,
            events as f64 / took
        );
    }
    bad == 0
}

fn replay(args: &Args, seed: u64) -> bool {
    let lock = args.lock.unwrap_or(LockChoice::File);
    let mut plan = Plan::new(seed, lock, schedule(args, seed));
    (plan.trace, plan.lists) = (true, args.lists);
    for m in mutants().iter().filter(|m| Some(m.rule) == args.only.as_deref()) {
        (m.apply)(&mut plan);
    }
    let o = run(&plan);
    for line in &o.trace {
        println!("{line}");
    }
    println!("{} events, healed {} after {:.1} T, {:?}", o.events, o.healed, o.heal_time, o.violation);
    o.violation.is_none() && o.healed
}

fn check_mutants(args: &Args) -> bool {
    let (mut ok, budget) = (true, args.histories.unwrap_or(20_000));
    for m in mutants().iter().filter(|m| args.only.as_deref().is_none_or(|o| o == m.rule)) {
        let found = hunt(m, args.seed, budget);
        match (found, m.survives) {
            (Some((n, what)), _) => println!("caught   {:8} after {n:7}  {} | {what}", m.rule, m.words),
            (None, Some(why)) => println!("accepted {:8} {} | {why}", m.rule, m.words),
            (None, None) => {
                ok = false;
                println!("SURVIVED {:8} {} | {budget} histories", m.rule, m.words);
            }
        }
    }
    ok
}

fn figures(runs: u64) {
    for (name, recmaster) in [("freeze of a holder", false), ("freeze of the recmaster", true)] {
        for lock in [LockChoice::File, LockChoice::Quorum, LockChoice::QuorumShort] {
            let f = freeze_of(recmaster, lock, runs);
            println!(
                "{name}, {lock:?}: served again after median {:.3} T, p95 {:.3} T, max {:.3} T ({} runs)",
                f.quantile(0.5),
                f.quantile(0.95),
                f.quantile(1.0),
                f.0.len()
            );
        }
    }
}
