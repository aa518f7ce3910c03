//! Faults in a row, drawn by lot.

use super::network::{mute, unmute};
use super::{BOUND, SOON, Trial, trial_by_quorum};
use std::time::{Duration, Instant};

/// The lot: the same in every run.
const SEED: u64 = 4;
const FAULTS: usize = 20;

const KINDS: [&str; 7] = [
    "kill -9 of the daemon",
    "kill -9 of daemon and guard",
    "hang",
    "cut off from its peers",
    "not heard by its peers",
    "public cable pulled",
    "stopped in order",
];

fn next(lot: &mut u64) -> usize {
    *lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*lot >> 33).unwrap()
}

fn fault(t: &mut Trial, number: usize, victim: usize, kind: usize) {
    let label = format!("fault {number}: node {victim}: {}", KINDS[kind]);
    t.strike(&label, &[victim], BOUND, |t| match kind {
        0 => drop(t.c.daemon(victim).kill9().unwrap()),
        1 => t.kill_everything(victim),
        2 => t.freeze(victim),
        3 => t.c.lab.cut_private(victim).unwrap(),
        4 => mute(t, victim),
        5 => t.c.lab.cut_cable(victim, &t.c.iface).unwrap(),
        _ => t.c.daemon(victim).terminate().unwrap(),
    });
    // To the witness an address that is back within 60 ms never left.
    std::thread::sleep(Duration::from_millis(100));
    match kind {
        0 | 1 => t.start(victim),
        2 => t.thaw(victim),
        3 => t.c.lab.heal_private(victim).unwrap(),
        4 => unmute(t, victim),
        5 => t.c.lab.plug_cable(victim, &t.c.iface).unwrap(),
        _ => {
            t.c.daemon(victim).wait_exit(SOON).unwrap();
            t.start(victim);
        }
    }
    t.whole_again(&label);
}

#[test]
fn twenty_random_faults_in_a_row() {
    let Some(mut t) = trial_by_quorum("twenty_random_faults_in_a_row", &[("LeaseTime", 300)]) else { return };
    let (mut lot, began) = (SEED, Instant::now());
    for number in 0..FAULTS {
        let (victim, kind) = (next(&mut lot) % 3, next(&mut lot) % KINDS.len());
        fault(&mut t, number, victim, kind);
    }
    println!("measured: {FAULTS} faults in {:?}", began.elapsed());
}
