//! Figures from the simulation: how long after a freeze the addresses are served again.

use super::faults::Role;
use super::prng::Prng;
use super::setup::{Frame, LockChoice, Plan, Rates};
use super::{Sim, Slot};
use std::cmp::Reverse;

/// Times until all was served again, in T, sorted.
#[derive(Debug)]
pub struct Figure(pub Vec<f64>);

impl Figure {
    /// The value below which that share of all runs lies.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Freezes a holder, or the recmaster, in the steady state of three nodes with exact clocks, T = 1 s.
#[must_use]
pub fn freeze_of(recmaster: bool, lock: LockChoice, runs: u64) -> Figure {
    let mut out: Vec<f64> = (0..runs).filter_map(|seed| one(recmaster, lock, seed)).collect();
    out.sort_by(f64::total_cmp);
    Figure(out)
}

/// Three nodes with exact clocks and a good network, T = 1 s, and no end of the faults.
pub(super) fn steady(p: &mut Prng) -> Frame {
    let t = 1_000_000;
    let mut frame = Frame::draw(p, true, Some(3));
    frame.t = t;
    (frame.loss, frame.dup, frame.slow, frame.slow_scripts) = (0, 0, 0, 0);
    frame.g = 120 * t;
    frame.chaos = 200 * t;
    frame.rates = vec![Rates { boot: 1_000_000, raw: 1_000_000 }; 3];
    frame
}

fn one(recmaster: bool, lock: LockChoice, seed: u64) -> Option<f64> {
    let mut p = Prng::new(seed ^ 0xf16);
    let frame = steady(&mut p);
    let t = frame.t;
    let at = 10 * t + p.below(t);
    let role = if recmaster { Role::Leader } else { Role::Holder };
    let mut sim = Sim::new(Plan::new(seed, lock, Some(0)), frame, p, Vec::new());
    sim.set_up();
    let (mut frozen, mut missing) = (false, false);
    while let Some(Reverse((now, _, Slot(event)))) = sim.queue.pop() {
        if now > at && !frozen {
            frozen = true;
            sim.now = at;
            let victim = sim.choose(role);
            if (victim == sim.choose(Role::Leader)) != recmaster {
                return None;
            }
            if sim.nodes[victim].serving(at, sim.plan.world) == 0 {
                return None;
            }
            sim.pause(victim, 100 * t, false);
        }
        sim.now = now;
        sim.dispatch(event);
        sim.check();
        if frozen {
            let served = super::invariants::all_served(&sim.nodes, now, sim.plan.world);
            if served && missing {
                return Some((now - at) as f64 / t as f64);
            }
            missing |= !served;
        }
        if now > at + 60 * t {
            return None;
        }
    }
    None
}
