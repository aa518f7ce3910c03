//! Two of three nodes are lost for good, with daemon and guard: what the last one keeps, what it gets, and when.
//!
//! With a lock file it keeps its own addresses throughout (docs/leases.md section 6) and gets those of the dead once no grant of theirs
//! can count any more: W(G + T) after the last word of the recmaster, W(x) = 1.11 x + 10 ms. With lock `quorum` it is a minority and serves
//! nothing, until one node is back.

use super::{BOUND, Trial, trial, trial_by_quorum};
use std::net::IpAddr;
use std::time::Duration;
use tests::cluster::SOON;
use tests::lab::{AddressReport, wait_for};

const T: u64 = 1000;
const G: u64 = 1500;

/// The last node waits W(G + T) from its last word to the dead, which is not older than T/2 when they die: a node that hears nothing for so
/// long asks all, and the answer is a word.
const AT_LEAST: Duration = Duration::from_millis((G + T) * 111 / 100 + 10 - T / 2 - 50);

impl Trial {
    /// Loses all nodes but this one, the recmaster last: nobody takes the lock over who is about to die.
    fn lose_all_but(&self, survivor: usize) {
        let (_, leader) = self.roles();
        for node in (0..3).filter(|n| *n != survivor && *n != leader) {
            self.kill_everything(node);
        }
        if leader != survivor {
            self.kill_everything(leader);
        }
    }
}

/// Two die, of them the recmaster or not; the last one serves everything, its own without a gap; the two come back.
fn last_with_a_lock_file(name: &'static str, recmaster_dies: bool) {
    let tunables = [("LeaseTime", T), ("LeaderlessGrace", G)].map(|(n, ms)| (n, u32::try_from(ms).unwrap()));
    let Some(mut t) = trial(name, &tunables) else { return };
    let (follower, leader) = t.roles();
    let survivor = if recmaster_dies { follower } else { leader };
    let own = t.c.of(survivor);
    let others: Vec<usize> = (0..3).filter(|n| *n != survivor).collect();
    assert_eq!(own.len(), 2, "{}", t.c.describe());
    let lost: Vec<IpAddr> = t.c.addresses.iter().copied().filter(|a| !own.contains(a)).collect();
    let label = format!("{others:?} are lost, {survivor} is left");
    t.grown_up();
    let mark = t.probe.mark(&label);
    t.lose_all_but(survivor);
    let report = t.wait_served(&mark, &lost, &others);
    for address in own {
        let seen = report.get(address).unwrap();
        assert_eq!(seen.lost, 0, "{label}: {address} was its own, but silent: {:?}", seen.gaps);
    }
    let served = |s: &AddressReport| s.transitions.iter().find(|t| usize::from(t.node) == survivor).copied();
    for address in lost {
        let at = served(report.get(address).unwrap()).unwrap().at_ns;
        let after = Duration::from_nanos(at.saturating_sub(mark.at_ns));
        println!(
            "measured: {name}: {address} is served by the last node after {after:?}, at least {AT_LEAST:?}"
        );
        assert!(
            after > AT_LEAST,
            "{label}: {address} after {after:?}, before the lease of the dead was over"
        );
        assert!(after < BOUND, "{label}: {address} after {after:?}");
    }
    t.nothing_twice(&label);
    for node in others {
        t.start(node);
    }
    t.whole_again("the two are back");
}

#[test]
fn the_recmaster_is_the_last_and_keeps_its_own() {
    last_with_a_lock_file("the_recmaster_is_the_last_and_keeps_its_own", false);
}

#[test]
fn a_follower_is_the_last_and_keeps_its_own() {
    last_with_a_lock_file("a_follower_is_the_last_and_keeps_its_own", true);
}

#[test]
fn the_last_voter_serves_nothing_until_another_is_back() {
    let name = "the_last_voter_serves_nothing_until_another_is_back";
    let Some(mut t) = trial_by_quorum(name, &[]) else { return };
    let (follower, leader) = t.roles();
    let (survivor, dead) = (leader, [follower, 3 - follower - leader]);
    let own = t.c.of(survivor);
    t.grown_up();
    let mark = t.probe.mark("two of three voters are lost");
    t.lose_all_but(survivor);
    wait_for("the last voter to let its addresses go", SOON, || {
        let left = t.c.of(survivor);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .unwrap();
    t.c.wait_output(survivor, &["lease"], |out| out.contains("Gate: shut"));
    // Nobody to vote for it, however long: the grace of a lock file does not exist here.
    std::thread::sleep(Duration::from_millis(4 * T));
    assert_eq!(t.c.of(survivor), [] as [IpAddr; 0], "{}", t.c.describe());
    let report = t.probe.report_since(&mark).unwrap();
    for address in own {
        let seen = report.get(address).unwrap();
        assert!(seen.gaps.iter().any(|g| g.open), "{address} is still answered: {seen:?}");
    }
    t.nothing_twice("a minority of voters");
    t.start(dead[0]);
    t.c.wait_balanced(&[survivor.min(dead[0]), survivor.max(dead[0])]);
    t.probe.wait_all_answer(SOON).unwrap_or_else(|e| panic!("{e}\n{}", t.c.describe()));
    t.nothing_twice("two of three voters again");
    t.start(dead[1]);
    t.whole_again("all voters are back");
}
