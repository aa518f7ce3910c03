//! The set `held` of the gate, as tasks change it: one transaction for all that is wanted while the one before it is under way.
//!
//! A transaction costs the kernel about as much for one address as for a hundred, and only one can be under way. So what comes meanwhile
//! is collected and done together; a single change begins at once. Each caller is answered when the kernel has done its own.

use crate::gate::{Gate, GateConfig, GateError};
use crate::lease::LeaseHandle;
use crate::trace::TARGET;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A handle. A take that was begun before everything was dropped must not come after it (leases.md D10), so each change bears the life of
/// the set in which it was wanted.
#[derive(Clone)]
pub(crate) struct Held {
    gate: Arc<Gate>,
    /// Opens the gate again after it was made anew.
    handle: LeaseHandle,
    /// What the gate shall guard; only the newest counts.
    wanted: Arc<Mutex<Option<GateConfig>>>,
    life: Arc<AtomicU64>,
    /// One change at a time, for as long as the kernel takes: not for the driver's own task.
    turn: Arc<Mutex<()>>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Wanted>,
    /// A thread is at work, and looks again before it ends.
    working: bool,
}

/// An address is to pass, or not any more.
struct Wanted {
    life: u64,
    addr: IpAddr,
    on: bool,
    done: oneshot::Sender<bool>,
}

impl Held {
    pub(super) fn new(gate: Arc<Gate>, handle: LeaseHandle) -> Self {
        Self {
            gate,
            handle,
            wanted: Arc::default(),
            life: Arc::default(),
            turn: Arc::default(),
            queue: Arc::default(),
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present life of the set.
    pub(crate) fn life(&self) -> u64 {
        self.life.load(Ordering::SeqCst)
    }

    /// Lets an address pass, or not any more. Waits for the kernel; what it refuses is logged, and the address stays silent. False if
    /// the gate does not know the address: it would not hold it back.
    pub(crate) async fn change(&self, life: u64, addr: IpAddr, on: bool) -> bool {
        let (done, answer) = oneshot::channel();
        let idle = {
            let mut queue = self.queue();
            queue.waiting.push(Wanted { life, addr, on, done });
            !std::mem::replace(&mut queue.working, true)
        };
        if idle {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.work());
        }
        // No answer: the daemon ends, and nothing is taken any more.
        answer.await.unwrap_or(false)
    }

    /// Does what is waiting until nothing is. Blocks.
    fn work(&self) {
        loop {
            let batch = {
                let mut queue = self.queue();
                queue.working = !queue.waiting.is_empty();
                std::mem::take(&mut queue.waiting)
            };
            if batch.is_empty() {
                return;
            }
            let done = self.change_all(&batch);
            if let Err(e) = &done {
                let addrs: Vec<String> = batch.iter().map(|w| w.addr.to_string()).collect();
                tracing::error!("gate: {}: {e}", addrs.join(", "));
            }
            for one in batch {
                // Who wanted it may have gone.
                let _ = one.done.send(done.is_ok());
            }
        }
    }

    /// One transaction. What was wanted in a former life of the set is left out, and its address stays silent.
    fn change_all(&self, batch: &[Wanted]) -> Result<(), GateError> {
        let _turn = self.turn();
        let life = self.life();
        // What was wanted last of an address is how it stands after all of them.
        let last: BTreeMap<IpAddr, bool> =
            batch.iter().filter(|w| w.life == life).map(|w| (w.addr, w.on)).collect();
        if last.is_empty() {
            return Ok(());
        }
        // What the gate does not guard yet would not be held back by it.
        self.guard_wanted()?;
        let (add, remove): (Vec<_>, Vec<_>) = last.into_iter().partition(|(_, on)| *on);
        let addrs = |list: Vec<(IpAddr, bool)>| list.into_iter().map(|(addr, _)| addr).collect::<Vec<_>>();
        let _step =
            tracing::trace_span!(target: TARGET, "gate", add = add.len(), remove = remove.len()).entered();
        self.gate.hold(&addrs(add), &addrs(remove))
    }

    /// Makes the gate guard this. Returns at once; what the kernel refuses is logged, and all is as before.
    pub(super) fn reconfigure(self, wanted: GateConfig) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
        tokio::task::spawn_blocking(move || {
            let _turn = self.turn();
            if let Err(e) = self.guard_wanted() {
                tracing::error!("gate: {e}");
            }
        });
    }

    /// Makes the gate guard what it shall, unless it does already. What the kernel refuses is tried again with the next change. In turn.
    fn guard_wanted(&self) -> Result<(), GateError> {
        let wanted = || self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(config) = wanted().take() else { return Ok(()) };
        match self.gate.reconfigure(&config) {
            Ok(()) => {
                // It may be shut now.
                self.handle.wake();
                Ok(())
            }
            Err(e) => {
                wanted().get_or_insert(config);
                Err(e)
            }
        }
    }

    /// Empties the set and ends its life: nothing wanted before passes any more. Blocks.
    pub(super) fn clear(&self) {
        let _turn = self.turn();
        self.life.fetch_add(1, Ordering::SeqCst);
        let held: Vec<IpAddr> = self.gate.held().into_iter().collect();
        if let Err(e) = self.gate.hold(&[], &held) {
            tracing::error!("gate: {e}");
        }
    }
}
