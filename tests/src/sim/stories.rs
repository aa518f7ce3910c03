//! Stories of L5 with an expected end: a last man standing keeps its addresses, a cut-off recmaster gives way to a majority.
//!
//! They are about needless loss, which the invariants do not see: three nodes, exact clocks, a good network, one misfortune.

use super::figures::steady;
use super::invariants::all_served;
use super::prng::Prng;
use super::setup::{LockChoice, Plan};
use super::{Sim, Slot};
use recoverd::lease::Rules;
use std::cmp::Reverse;

/// A story: `None` if the seed does not fit it, else how it went wrong.
pub type Story = fn(seed: u64, rules: &Rules) -> Option<Result<(), String>>;

/// When the misfortune comes, in T.
const AT: u64 = 10;
/// G, in T.
const GRACE: u64 = 6;

/// A cluster at peace and its recmaster, which answers for some address.
fn at_peace(seed: u64, rules: &Rules) -> Option<(Sim, usize, u64)> {
    let mut p = Prng::new(seed ^ 0x57_0e1e5);
    let mut frame = steady(&mut p);
    frame.g = GRACE * frame.t;
    let t = frame.t;
    let end = AT * t + p.below(t);
    let mut plan = Plan::new(seed, LockChoice::File, Some(0));
    plan.rules = rules.clone();
    let mut sim = Sim::new(plan, frame, p, Vec::new());
    sim.set_up();
    go_on(&mut sim, end, |_| true);
    let m = sim.choose(super::faults::Role::Leader);
    let serves = sim.nodes[m].serving(sim.now, sim.plan.world) != 0;
    (serves && all_served(&sim.nodes, sim.now, sim.plan.world)).then_some((sim, m, t))
}

/// Runs until that time, or until `each` says no, which is the answer.
fn go_on(sim: &mut Sim, end: u64, mut each: impl FnMut(&Sim) -> bool) -> bool {
    while let Some(Reverse((now, _, Slot(event)))) = sim.queue.pop() {
        sim.now = now;
        sim.dispatch(event);
        sim.check();
        if !each(sim) {
            return false;
        }
        if now > end {
            break;
        }
    }
    true
}

/// Both other nodes die for good: the recmaster's own addresses stay, the others' come after G + T.
pub fn last_man_standing(seed: u64, rules: &Rules) -> Option<Result<(), String>> {
    let (mut sim, m, t) = at_peace(seed, rules)?;
    for i in (0..3).filter(|i| *i != m) {
        sim.bury(i, true);
    }
    let own = sim.nodes[m].serving(sim.now, sim.plan.world);
    let begun = sim.now;
    let kept = go_on(&mut sim, begun + 40 * t, |s| s.nodes[m].serving(s.now, s.plan.world) & own == own);
    let after = (sim.now - begun) as f64 / t as f64;
    Some(if !kept {
        Err(format!("the last node lost its own addresses after {after:.1} T"))
    } else if !all_served(&sim.nodes, sim.now, sim.plan.world) {
        Err("the last node never got the addresses of the dead".into())
    } else {
        sim.violation.map_or(Ok(()), Err)
    })
}

/// The recmaster is cut off, wholly or so that it hears but is not heard: the others serve everything long before G is over.
pub fn majority_wins(seed: u64, rules: &Rules) -> Option<Result<(), String>> {
    let (mut sim, m, t) = at_peace(seed, rules)?;
    let deaf = seed.is_multiple_of(2);
    for i in (0..3).filter(|i| *i != m) {
        sim.cut[m][i] = true;
        sim.cut[i][m] = deaf;
    }
    let begun = sim.now;
    let waiting =
        |s: &Sim| s.nodes[m].serving(s.now, s.plan.world) != 0 || !all_served(&s.nodes, s.now, s.plan.world);
    let late = go_on(&mut sim, begun + GRACE * t, waiting);
    Some(if late {
        Err(format!(
            "the majority had to wait for a recmaster that {} cut off",
            if deaf { "is" } else { "is not heard, as if" }
        ))
    } else {
        sim.violation.map_or(Ok(()), Err)
    })
}
