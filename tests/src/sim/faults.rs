//! What can go wrong, and random schedules of it. `directed` and `plays` aim.

use super::meddle::Meddling;
use super::prng::Prng;
use super::setup::Frame;
use super::{directed, plays};

/// Number of directed schedules: the general ones, then one for each play.
pub const DIRECTED: usize = directed::COUNT + plays::COUNT;

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
        memory: Memory,
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
        who: Role,
        yes: bool,
    },
    /// Datagrams under way to this node are late.
    SlowTo {
        who: Role,
        long: u64,
    },
    /// Fixes who M, X and Y are from here on.
    Cast,
    /// One direction between two of the cast.
    Cut(Role, Role),
    Mend(Role, Role),
    /// Everything between one of the cast and the others.
    Isolate(Role),
    /// The store takes the lock from its holder without telling and gives it to this one, if it waits.
    LockTo(Role),
    HangFor {
        who: Role,
        long: u64,
    },
    /// Datagrams of one kind fare badly.
    Meddle(Meddling),
    /// The second nodes list comes to a node.
    File(Role),
    /// The node that is new in the second list starts for the first time.
    Newcomer,
    /// A node dies for good: the host, or only daemon and guard.
    Bury {
        who: Role,
        host: bool,
    },
}

/// What a daemon's store still knows after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    All,
    /// The last write had not reached the disk.
    AllButLast,
    Nothing,
}

impl Memory {
    pub(super) fn draw(p: &mut Prng, lost_percent: u64) -> Self {
        match p.percent(lost_percent) {
            false => Self::All,
            true if p.percent(20) => Self::AllButLast,
            true => Self::Nothing,
        }
    }
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
    /// Of the cast: the recmaster then.
    M,
    /// Of the cast: a holder then, not the recmaster.
    X,
    /// Of the cast: another one.
    Y,
    /// Of the cast: the fourth.
    P,
    /// Of the cast: the fifth.
    Q,
    /// This one.
    Node(usize),
}

pub(super) fn role(p: &mut Prng) -> Role {
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
            memory: Memory::draw(p, 40),
        },
        18 => Fault::Stop { who, down: p.log_range(t / 50, 2 * t) },
        19 | 20 => Fault::LockLoss,
        21 => Fault::LockHang { all: p.percent(50), long: p.log_range(t / 4, 8 * t) },
        22 => Fault::SlowTo { who, long: p.range(t / 2, 3 * t) },
        23 => Fault::Capable { who: Role::Any, yes: p.percent(50) },
        _ => Fault::Move,
    }
}

/// When what strikes; faults end at `frame.chaos`.
pub(super) fn schedule(p: &mut Prng, f: &mut Frame, directed: Option<usize>) -> Vec<(u64, Fault)> {
    let mut out = match directed {
        None => Vec::new(),
        Some(which) if which < directed::COUNT => directed::schedule(p, f, which),
        Some(which) => plays::schedule(p, f, which - directed::COUNT),
    };
    for _ in 0..f.faults {
        out.push((p.range(f.t / 10, f.chaos - 1), random(p, f.t)));
    }
    out.sort_by_key(|(at, _)| *at);
    out
}
