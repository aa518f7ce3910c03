//! What a history is made of: its kind, its switches, and the random frame (sizes, clocks, network) drawn from the seed.

use super::prng::Prng;
use recoverd::lease::{LeaseConfig, LockKind, Rules};
use recoverd::model::Pnn;
use std::time::Duration;

/// Which lock the cluster uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LockChoice {
    /// A lock file, or etcd.
    File,
    /// The nodes' own votes, plain rule.
    Quorum,
    /// The nodes' own votes, short count.
    QuorumShort,
    /// A helper process.
    Helper,
}

impl LockChoice {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::File, Self::Quorum, Self::QuorumShort, Self::Helper];
}

/// Rules that the simulated kernel, clock and store keep, not the machine. All true = kept.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the mutation check")]
pub struct World {
    /// D2: two clocks.
    pub two_clocks: bool,
    /// D9: the gate's deadline is a point in time, not a duration from the moment of writing.
    pub anchored: bool,
    /// D10: an address passes only if this session was given it.
    pub held_set: bool,
    /// d21: a proof never takes the lock again.
    pub no_retake: bool,
    /// The release of an address ends the claim on it only when it is answered.
    pub release_answered: bool,
    /// d22: a daemon that starts on a changed nodes file is told the list before it.
    pub list_before: bool,
}

impl World {
    /// Every rule kept.
    #[must_use]
    pub fn full() -> Self {
        Self {
            two_clocks: true,
            anchored: true,
            held_set: true,
            no_retake: true,
            release_answered: true,
            list_before: true,
        }
    }
}

/// One history to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed: with the same plan it replays exactly.
    pub seed: u64,
    /// The lock.
    pub lock: LockChoice,
    /// A directed schedule (0..[`super::DIRECTED`]) or a random one.
    pub directed: Option<usize>,
    /// The machine's rules.
    pub rules: Rules,
    /// The world's rules.
    pub world: World,
    /// The nodes list changes on the way.
    pub lists: bool,
    /// Keep a trace.
    pub trace: bool,
}

impl Plan {
    /// A history with all rules kept.
    #[must_use]
    pub fn new(seed: u64, lock: LockChoice, directed: Option<usize>) -> Self {
        Self { seed, lock, directed, rules: Rules::full(), world: World::full(), lists: false, trace: false }
    }
}

/// The rates of a node's clocks, in parts per million of true time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) boot: u64,
    pub(super) raw: u64,
}

/// What changes between the nodes lists 1 and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The last node is in the second only, and has never run before.
    Added,
    /// This node is in the first only; it is dead, or seems so.
    Deleted(usize),
}

/// The frame of a history.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) nodes: usize,
    pub(super) t: u64,
    pub(super) loss: u64,
    pub(super) dup: u64,
    pub(super) slow: u64,
    pub(super) slow_scripts: u64,
    pub(super) chaos: u64,
    pub(super) faults: u64,
    pub(super) rates: Vec<Rates>,
    pub(super) g: u64,
    pub(super) loss_time: u64,
    /// How the second nodes list differs from the first.
    pub(super) change: Option<Change>,
}

impl Frame {
    pub(super) fn draw(p: &mut Prng, directed: bool, nodes: Option<usize>) -> Self {
        let nodes = match nodes {
            Some(n) => n,
            None if directed => p.range(2, 5) as usize,
            None => [1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7, 9][p.below(14) as usize],
        };
        let t = [300_000, 1_000_000, 1_000_000, 10_000_000][p.below(4) as usize];
        let quiet = p.percent(if directed { 60 } else { 25 });
        let style = p.below(4);
        let slew = p.percent(40);
        let one = |p: &mut Prng| {
            if slew {
                let raw = p.range(999_500, 1_000_500);
                let slewed =
                    [916_700, 1_083_300, 1_000_000, p.range(916_700, 1_083_300)][p.below(4) as usize];
                Rates { boot: raw * slewed / 1_000_000, raw }
            } else {
                let r = match style {
                    0 => 1_000_000,
                    1 => p.range(950_000, 1_050_000),
                    _ => [950_000, 1_050_000][p.below(2) as usize],
                };
                Rates { boot: r, raw: r }
            }
        };
        let rates = (0..nodes).map(|_| one(p)).collect();
        Self {
            nodes,
            t,
            loss: if quiet { 0 } else { p.range(0, 10) },
            dup: if quiet { 0 } else { p.range(0, 20) },
            slow: if quiet { 0 } else { [0, 0, 1, 3, 10][p.below(5) as usize] },
            slow_scripts: [0, 5, 30][p.below(3) as usize],
            chaos: p.range(8, 20) * t,
            faults: if directed { p.range(0, 2) } else { p.range(2, 14) },
            rates,
            g: p.range(2, 5) * t,
            loss_time: p.range(1, 3) * t,
            change: None,
        }
    }

    /// The nodes of a list.
    pub(super) fn list(&self, list: u64) -> Vec<Pnn> {
        let absent = match self.change {
            Some(Change::Added) if list == 1 => Some(self.nodes - 1),
            Some(Change::Deleted(i)) if list == 2 => Some(i),
            _ => None,
        };
        (0..self.nodes).filter(|i| Some(*i) != absent).map(|i| Pnn(i as u32)).collect()
    }

    pub(super) fn config(&self, me: usize, list: u64, lock: LockChoice) -> LeaseConfig {
        LeaseConfig {
            me: Pnn(me as u32),
            nodes: self.list(list),
            list,
            lease_time: Duration::from_micros(self.t),
            leaderless_grace: Duration::from_micros(self.g),
            lock: match lock {
                LockChoice::File => LockKind::Store,
                LockChoice::Quorum => LockKind::Quorum { short_count: false },
                LockChoice::QuorumShort => LockKind::Quorum { short_count: true },
                LockChoice::Helper => LockKind::Helper { loss_time: Duration::from_micros(self.loss_time) },
            },
        }
    }
}
