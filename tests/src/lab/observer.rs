//! Says when this machine stood still: an idle thread on every core that wakes each millisecond, more important than all daemons.
//!
//! When such a thread is late, nothing on its core ran: the machine's host gave the time to others, or the kernel itself was busy. What
//! lost its lease then lost it with a reason. Decides nothing.

use super::{clock, sys};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(1);
/// Above the daemons' lease threads (10), below the kernel's interrupt threads (50).
const PRIORITY: i32 = 40;

/// A core stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Which one.
    pub core: usize,
    /// From when it stood still, on `CLOCK_REALTIME` in nanoseconds, as in journals.
    pub from_ns: u64,
    /// For how long, in nanoseconds.
    pub for_ns: u64,
}

/// The running threads; they end when it is dropped.
#[derive(Debug)]
pub struct Observer {
    go_on: Arc<AtomicBool>,
    stalls: Arc<Mutex<Vec<Stall>>>,
    threads: Vec<JoinHandle<bool>>,
}

impl Observer {
    /// Watches every core for stalls that are at least this long.
    #[must_use]
    pub fn start(at_least: Duration) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (go_on, stalls) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<Stall>>>::default());
        let threads = (0..cores)
            .map(|core| {
                let (go_on, stalls) = (Arc::clone(&go_on), Arc::clone(&stalls));
                thread::spawn(move || watch(core, at_least, &go_on, &stalls))
            })
            .collect();
        Self { go_on, stalls, threads }
    }

    /// All stalls so far.
    #[must_use]
    pub fn stalls(&self) -> Vec<Stall> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.go_on.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It only looks at a clock.
            let _ = thread.join();
        }
    }
}

/// Says whether it could be a thread that is worth listening to.
fn watch(core: usize, at_least: Duration, go_on: &AtomicBool, stalls: &Mutex<Vec<Stall>>) -> bool {
    let mut only = CpuSet::new();
    let pinned = only.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &only)).is_ok();
    let important = sys::real_time(PRIORITY);
    let least = u64::try_from(at_least.as_nanos()).unwrap_or(u64::MAX);
    while go_on.load(Ordering::Relaxed) {
        let before = clock::now_ns();
        thread::sleep(TICK);
        let for_ns = (clock::now_ns() - before).saturating_sub(1_000_000);
        if for_ns >= least {
            let from_ns = clock::realtime_ns().saturating_sub(for_ns);
            stalls.lock().unwrap_or_else(PoisonError::into_inner).push(Stall { core, from_ns, for_ns });
        }
    }
    pinned && important
}
