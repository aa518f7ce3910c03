//! The simulated cluster: many lease machines, one seed, a fake network, fake clocks, kernels and lock.
//!
//! One thread, discrete events. Safety is checked after every event (`invariants`); then all faults stop and the cluster must
//! serve every address within 60 T. A history is its [`Plan`]: the same plan replays exactly.

mod daemon;
mod directed;
mod faults;
mod figures;
mod giver;
mod invariants;
mod lists;
mod lock;
mod locking;
mod meddle;
mod mutants;
mod node;
mod plays;
mod prng;
mod scripts;
mod setup;
mod stories;
mod strike;

pub use faults::DIRECTED;
pub use figures::{Figure, freeze_of};
pub use mutants::{Mutant, hunt, mutants};
pub use setup::{LockChoice, Plan, World};
pub use stories::{Story, last_man_standing, majority_wins};

use daemon::Event;
use lock::Store;
use node::Node;
use prng::Prng;
use recoverd::model::Epoch;
use setup::{Change, Frame};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How a history ended.
#[derive(Debug)]
pub struct Outcome {
    /// Events processed.
    pub events: u64,
    /// Leases that lapsed while their daemon was neither frozen nor dead.
    pub lapses: u64,
    /// The invariant that broke.
    pub violation: Option<String>,
    /// All addresses were served in the end.
    pub healed: bool,
    /// True time from the end of the faults until all was served, in T.
    pub heal_time: f64,
    /// Lines, if asked for.
    pub trace: Vec<String>,
}

/// A cluster in the middle of a history.
struct Sim {
    plan: Plan,
    frame: Frame,
    p: Prng,
    now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Slot)>>,
    nodes: Vec<Node>,
    /// Links cut, from and to.
    cut: Vec<Vec<bool>>,
    slow_to: Vec<u64>,
    store: Store,
    schedule: Vec<(u64, faults::Fault)>,
    calm: bool,
    last_holder: usize,
    /// M, X and Y.
    cast: [usize; 5],
    meddling: Vec<(u64, meddle::Meddling)>,
    sessions: u64,
    violation: Option<String>,
    lapses: u64,
    trace: Vec<String>,
}

/// An event in the queue; ordered by time and number only.
struct Slot(Event);

impl PartialEq for Slot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Slot {}
impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Slot {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Runs one history.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let mut p = Prng::new(plan.seed);
    let nodes = plan.directed.and_then(|d| plays::nodes(d.checked_sub(directed::COUNT)?, &mut p));
    let mut frame = Frame::draw(&mut p, plan.directed.is_some(), nodes);
    let mut schedule = faults::schedule(&mut p, &mut frame, plan.directed);
    if plan.lists {
        lists::schedule(&mut p, &mut frame, &mut schedule);
    }
    let mut sim = Sim::new(plan.clone(), frame, p, schedule);
    sim.set_up();
    let chaos = sim.frame.chaos;
    let mut events = 0;
    let mut calm_events = 0;
    let mut healed = false;
    let end = chaos + 60 * sim.frame.t;
    let grace = 0;
    while let Some(Reverse((at, _, Slot(event)))) = sim.queue.pop() {
        sim.now = at;
        events += 1;
        sim.dispatch(event);
        sim.check();
        if sim.violation.is_some() || at > end + grace {
            break;
        }
        if sim.calm {
            calm_events += 1;
            if calm_events > 20 && invariants::all_served(&sim.nodes, at, plan.world) {
                healed = true;
                break;
            }
        }
    }
    let heal_time = sim.now.saturating_sub(chaos) as f64 / sim.frame.t as f64;
    Outcome {
        events,
        lapses: sim.lapses,
        violation: sim.violation.take(),
        healed,
        heal_time,
        trace: std::mem::take(&mut sim.trace),
    }
}

impl Sim {
    fn new(plan: Plan, frame: Frame, mut p: Prng, schedule: Vec<(u64, faults::Fault)>) -> Self {
        let n = frame.nodes;
        let nodes = (0..n)
            .map(|i| Node {
                rates: frame.rates[i],
                origin: (p.range(1 << 30, 1 << 40), p.range(1 << 30, 1 << 40)),
                kernel: node::Kernel::default(),
                boots: 0,
                life: 0,
                lease: None,
                paused: false,
                park_next: None,
                parked: None,
                backlog: std::collections::VecDeque::new(),
                wake_at: 0,
                file: 1,
                absent: frame.change == Some(Change::Added) && i + 1 == n,
                stored: Epoch::NONE,
                stored_before: Epoch::NONE,
                epoch_seen: Epoch::NONE,
                giver: giver::Giver::default(),
                guarding: false,
                start_due: false,
                session: None,
                taking: None,
            })
            .collect();
        Self {
            store: Store { hangs_until: vec![0; n], ..Store::default() },
            cut: vec![vec![false; n]; n],
            slow_to: vec![0; n],
            plan,
            p,
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            nodes,
            schedule,
            calm: false,
            last_holder: 0,
            cast: [0; 5],
            meddling: Vec::new(),
            sessions: 0,
            violation: None,
            lapses: 0,
            trace: Vec::new(),
            frame,
        }
    }

    fn set_up(&mut self) {
        for i in 0..self.nodes.len() {
            let at = self.p.log_range(self.frame.t / 100, self.frame.t / 2);
            self.nodes[i].start_due = true;
            self.later(at, Event::Start { node: i });
        }
        for i in 0..self.schedule.len() {
            let at = self.schedule[i].0;
            self.later(at, Event::Strike { index: i });
        }
        self.later(self.frame.chaos, Event::Calm);
    }

    /// Queues an event `d` from now.
    fn later(&mut self, d: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((self.now + d, self.order, Slot(event))));
    }

    fn check(&mut self) {
        let r = invariants::one_holder(&self.nodes, self.now, self.plan.world);
        self.broken(r);
    }

    fn broken(&mut self, r: Result<(), String>) {
        if let (Err(what), None) = (r, &self.violation) {
            self.note(|| format!("VIOLATION {what}"));
            self.violation = Some(format!("at {:.4} T: {what}", self.now as f64 / self.frame.t as f64));
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.plan.trace {
            self.trace.push(format!("{:9.4} T  {}", self.now as f64 / self.frame.t as f64, text()));
        }
    }
}
