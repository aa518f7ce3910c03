//! Directed schedules: kinds of trouble that random ones bring together too seldom.

use super::faults::{Fault, Memory, Role, role};
use super::prng::Prng;
use super::setup::Frame;

/// How many.
pub(super) const COUNT: usize = 9;

pub(super) fn schedule(p: &mut Prng, f: &Frame, which: usize) -> Vec<(u64, Fault)> {
    let t = f.t;
    let mut out = Vec::new();
    let at = p.range(4 * t, 6 * t);
    let near = |p: &mut Prng, r: u64| at - r / 2 + p.below(r + 1);
    let crash = |p: &mut Prng, who, down: u64| Fault::Crash {
        who,
        guard: false,
        host: p.percent(30),
        down: p.log_range(t / 50, down),
        memory: Memory::draw(p, 60),
    };
    match which {
        // A link is cut, and a grantor restarts.
        0 => {
            out.push((at, Fault::LeaderHolder { one_way: p.percent(30) }));
            out.push((near(p, 2 * t), crash(p, Role::Third, t / 5)));
            out.push((near(p, 2 * t), Fault::Link));
            if p.percent(50) {
                out.push((at + p.below(2 * t), crash(p, Role::Third, t / 5)));
            }
        }
        // The recmaster and one other are cut off while the lock moves.
        1 => {
            out.push((at, Fault::LeaderAndOne));
            out.push((near(p, 2 * t), Fault::LockLoss));
            out.push((at + p.below(3 * t), Fault::HealNet));
            out.push((at + p.below(3 * t), Fault::Link));
        }
        // A freeze in the steady state.
        2 => {
            out.push((at, Fault::Pause { who: role(p), long: p.range(t / 2, 6 * t), parked: p.percent(50) }));
            if p.percent(50) {
                out.push((at + p.below(2 * t), Fault::LockLoss));
            }
        }
        // The recmaster freezes, the lock moves, it resumes.
        3 => {
            out.push((
                at,
                Fault::Pause { who: Role::Leader, long: p.range(t / 2, 5 * t), parked: p.percent(40) },
            ));
            out.push((at + p.below(t), Fault::LockLoss));
            out.push((at + p.below(2 * t), Fault::LeaderHolder { one_way: p.percent(50) }));
            out.push((near(p, 3 * t), crash(p, Role::Third, t / 2)));
        }
        // The recmaster dies while its takes are on the way to a slow node.
        4 => {
            out.push((
                at.saturating_sub(p.below(t)),
                Fault::SlowTo { who: Role::Any, long: p.range(t, 3 * t) },
            ));
            for _ in 0..p.range(1, 3) {
                out.push((near(p, t), Fault::Move));
            }
            let kill = crash(p, Role::Holder, t);
            out.push((near(p, 2 * t), kill));
            out.push((at + p.below(t), crash(p, Role::Leader, 3 * t)));
        }
        // Chains of recmasters: lost locks and deaf links one after the other.
        5 => {
            let mut when = at;
            for _ in 0..p.range(2, 4) {
                let f = match p.below(4) {
                    0 => Fault::LeaderAlone,
                    1 => Fault::LeaderHolder { one_way: true },
                    2 => {
                        Fault::Pause { who: Role::Leader, long: p.range(t / 2, 3 * t), parked: p.percent(40) }
                    }
                    _ => Fault::LeaderAndOne,
                };
                out.push((when, f));
                out.push((when + p.below(t), Fault::LockLoss));
                when += p.range(t / 2, 2 * t);
            }
            out.push((when, Fault::HealNet));
        }
        // A node lives twice within the delays of the network.
        7 => {
            out.push((at, Fault::SlowTo { who: Role::Leader, long: p.range(t, 3 * t) }));
            out.push((at + p.below(t), crash(p, Role::Holder, t / 10)));
            out.push((at + p.below(t), crash(p, Role::Holder, t / 10)));
            out.push((at + p.below(2 * t), crash(p, Role::Third, t / 10)));
            for _ in 0..3 {
                out.push((at + p.below(3 * t), Fault::Move));
            }
        }
        // The lock moves while one node hears everybody and is heard by all but the recmaster.
        8 => {
            out.push((at, Fault::LeaderHolder { one_way: true }));
            out.push((at + p.below(t / 2), Fault::LockLoss));
            out.push((at + p.below(t), Fault::LeaderHolder { one_way: true }));
            out.push((at + p.range(t / 10, t), Fault::LeaderHolder { one_way: true }));
            out.push((at + p.below(2 * t), crash(p, Role::Third, t / 2)));
            if p.percent(40) {
                out.push((at + p.below(2 * t), Fault::LeaderAlone));
            }
        }
        // A node is cut off while the store hangs: the others live on grants.
        _ => {
            out.push((at, Fault::LockHang { all: p.percent(70), long: p.range(2 * t, 9 * t) }));
            out.push((at + p.below(4 * t), Fault::Deaf { to: p.percent(50) }));
            out.push((at + p.below(5 * t), Fault::LockLoss));
            out.push((at + p.below(5 * t), Fault::LeaderHolder { one_way: p.percent(50) }));
            if p.percent(50) {
                out.push((at + p.below(3 * t), Fault::Partition));
            }
        }
    }
    out
}
