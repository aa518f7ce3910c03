//! What goes wrong: random schedules, and the directed ones of the histories that random ones find too seldom.

use super::prng::Prng;
use super::setup::{Frame, LockChoice};

/// Number of directed schedules.
pub const DIRECTED: usize = 9;

/// A fault. Nodes are chosen by role when it strikes, where the role matters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Random groups.
    Partition,
    /// One direction of one link.
    OneWay,
    /// One link, both directions.
    Link,
    /// Everything to, or from, one node.
    Deaf {
        to: bool,
    },
    /// The link between recmaster and a holder.
    LeaderHolder {
        one_way: bool,
    },
    /// Recmaster and one other node against the rest.
    LeaderAndOne,
    /// The recmaster alone.
    LeaderAlone,
    HealNet,
    Pause {
        who: Role,
        long: u64,
        parked: bool,
    },
    Crash {
        who: Role,
        guard: bool,
        host: bool,
        down: u64,
        lose_store: bool,
    },
    Stop {
        who: Role,
        down: u64,
    },
    LockLoss,
    LockHang {
        all: bool,
        long: u64,
    },
    Move,
    Capable {
        yes: bool,
    },
    /// Datagrams under way to this node are late.
    SlowTo {
        who: Role,
        long: u64,
    },
}

/// Who is struck.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Any,
    Leader,
    /// A node that answers for an address, not the recmaster.
    Holder,
    /// Neither recmaster nor the holder last struck.
    Third,
}

fn role(p: &mut Prng) -> Role {
    [Role::Any, Role::Any, Role::Leader, Role::Holder][p.below(4) as usize]
}

fn random(p: &mut Prng, t: u64) -> Fault {
    let who = role(p);
    match p.below(26) {
        0..=2 => Fault::Partition,
        3 => Fault::OneWay,
        4 => Fault::Link,
        5 => Fault::Deaf { to: p.percent(50) },
        6 => Fault::LeaderHolder { one_way: p.percent(50) },
        7 => Fault::LeaderAndOne,
        8 => Fault::LeaderAlone,
        9..=11 => Fault::HealNet,
        12..=14 => Fault::Pause { who, long: p.log_range(t / 16, 6 * t), parked: p.percent(40) },
        15..=17 => Fault::Crash {
            who,
            guard: p.percent(40),
            host: p.percent(30),
            down: p.log_range(t / 50, 4 * t),
            lose_store: p.percent(40),
        },
        18 => Fault::Stop { who, down: p.log_range(t / 50, 2 * t) },
        19 | 20 => Fault::LockLoss,
        21 => Fault::LockHang { all: p.percent(50), long: p.log_range(t / 4, 8 * t) },
        22 => Fault::SlowTo { who, long: p.range(t / 2, 3 * t) },
        23 => Fault::Capable { yes: p.percent(50) },
        _ => Fault::Move,
    }
}

/// When what strikes; faults end at `frame.chaos`.
pub(super) fn schedule(
    p: &mut Prng,
    f: &Frame,
    directed: Option<usize>,
    _lock: LockChoice,
) -> Vec<(u64, Fault)> {
    let t = f.t;
    let mut out = Vec::new();
    if let Some(which) = directed {
        let at = p.range(4 * t, 6 * t);
        let near = |p: &mut Prng, r: u64| at - r / 2 + p.below(r + 1);
        let crash = |p: &mut Prng, who, down: u64| Fault::Crash {
            who,
            guard: false,
            host: p.percent(30),
            down: p.log_range(t / 50, down),
            lose_store: p.percent(60),
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
                out.push((
                    at,
                    Fault::Pause { who: role(p), long: p.range(t / 2, 6 * t), parked: p.percent(50) },
                ));
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
                        2 => Fault::Pause {
                            who: Role::Leader,
                            long: p.range(t / 2, 3 * t),
                            parked: p.percent(40),
                        },
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
    }
    for _ in 0..f.faults {
        out.push((p.range(t / 10, f.chaos - 1), random(p, t)));
    }
    out.sort_by_key(|(at, _)| *at);
    out
}
