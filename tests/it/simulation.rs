//! The lease protocol in the simulated cluster: thousands of histories, a few mutants, the figures (docs/leases.md).
//!
//! The long modes are `cargo run --release -p tests --bin simulate`.

use tests::sim::{
    DIRECTED, LockChoice, Plan, Story, freeze_of, hunt, last_man_standing, majority_wins, mutants, run,
};

/// Random and directed histories of one lock: no two holders, all healed.
fn histories(lock: LockChoice) {
    for seed in 1_000_000..1_000_600 {
        let directed = (seed % 2 == 0).then_some(seed as usize / 2 % DIRECTED);
        let o = run(&Plan::new(seed, lock, directed));
        let ask = format!("replay: simulate --replay {seed} --lock {lock:?}, directed {directed:?}");
        assert!(o.violation.is_none(), "{:?}; {ask}", o.violation);
        assert!(o.healed, "not healed; {ask}");
    }
}

#[test]
fn lock_file() {
    histories(LockChoice::File);
}

#[test]
fn lock_quorum() {
    histories(LockChoice::Quorum);
}

#[test]
fn lock_quorum_short_count() {
    histories(LockChoice::QuorumShort);
}

#[test]
fn lock_helper() {
    histories(LockChoice::Helper);
}

/// The nodes list changes on the way.
#[test]
fn a_changing_nodes_list() {
    for seed in 2_000_000..2_001_200 {
        let lock = LockChoice::ALL[seed as usize % LockChoice::ALL.len()];
        let o = run(&Plan { lists: true, ..Plan::new(seed, lock, None) });
        assert!(
            o.violation.is_none() && o.healed,
            "{:?}; simulate --lists --replay {seed} --lock {lock:?}",
            o.violation
        );
    }
}

/// The same plan gives the same history, event by event.
#[test]
fn a_seed_replays_exactly() {
    let mut plan = Plan::new(42, LockChoice::QuorumShort, None);
    plan.trace = true;
    let (a, b) = (run(&plan), run(&plan));
    assert!(!a.trace.is_empty());
    assert_eq!((a.events, a.trace), (b.events, b.trace));
}

/// Each rule that has a play of its own, or shows soon without one: the simulation can fail. The others need the long mode.
#[test]
fn broken_rules_are_found() {
    let rules = [
        "D3", "D6a", "D8", "D10", "d11b", "d11c", "d12", "d13b", "d14", "d15", "d15b", "d16", "d17a", "d17b",
        "d18", "d19b", "d19d", "d20", "d20b", "d21", "d22", "d22b", "d24", "d25", "d30", "d31", "L5", "L5a",
        "L5b", "L5c",
    ];
    for rule in rules {
        let m = mutants().into_iter().find(|m| m.rule == rule).unwrap();
        let found = hunt(&m, 1, 1000).is_some();
        assert!(found, "mutant {rule} ({}) survived 1000 histories", m.words);
    }
}

/// L5 with all rules kept: no seed that fits loses what it need not lose.
#[test]
fn a_minority_keeps_its_own_and_a_majority_wins() {
    let rules = recoverd::lease::Rules::full();
    for (name, story) in [("last man standing", last_man_standing as Story), ("majority wins", majority_wins)]
    {
        let ends: Vec<_> = (0..60).filter_map(|seed| Some((seed, story(seed, &rules)?))).collect();
        assert!(ends.len() > 20, "{name}: only {} seeds fit", ends.len());
        for (seed, end) in ends {
            assert_eq!(end, Ok(()), "{name}, seed {seed}");
        }
    }
}

/// DESIGN section 11, as far as the protocol alone decides it.
#[test]
fn a_freeze_is_short() {
    let holder = freeze_of(false, LockChoice::File, 100);
    let recmaster = freeze_of(true, LockChoice::QuorumShort, 100);
    assert!(holder.0.len() > 20 && recmaster.0.len() > 20, "{holder:?} {recmaster:?}");
    assert!(holder.quantile(1.0) <= 1.2, "{holder:?}");
    assert!(recmaster.quantile(0.5) <= 1.7, "{recmaster:?}");
}
