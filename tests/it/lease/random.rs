//! Faults in a row, drawn by lot.

use super::{BOUND, Trial, trial_by_quorum};

/// The lot: the same in every run.
const SEED: u64 = 4;
const FAULTS: usize = 8;

fn next(lot: &mut u64) -> usize {
    *lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*lot >> 33).unwrap()
}

fn fault(t: &mut Trial, number: usize, victim: usize, kind: usize) {
    let name = ["kill -9 of the daemon", "kill -9 of daemon and guard", "hang", "cut off"][kind];
    let label = format!("fault {number}: node {victim}: {name}");
    t.strike(&label, &[victim], BOUND, |t| match kind {
        0 => drop(t.c.daemon(victim).kill9().unwrap()),
        1 => t.kill_everything(victim),
        2 => t.freeze(victim),
        _ => t.c.lab.cut_private(victim).unwrap(),
    });
    match kind {
        0 | 1 => t.start(victim),
        2 => t.thaw(victim),
        _ => t.c.lab.heal_private(victim).unwrap(),
    }
    t.whole_again(&label);
}

#[test]
fn random_faults_in_a_row() {
    let Some(mut t) = trial_by_quorum("random_faults_in_a_row", &[("LeaseTime", 500)]) else { return };
    let mut lot = SEED;
    for number in 0..FAULTS {
        let (victim, kind) = (next(&mut lot) % 3, next(&mut lot) % 4);
        fault(&mut t, number, victim, kind);
    }
}
