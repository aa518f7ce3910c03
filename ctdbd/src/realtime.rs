//! Real-time priority and locked memory, so that a busy machine does not cost this node its lease.
//!
//! CTDB's daemon runs with the lowest real-time priority and all its memory locked, unless `[legacy] realtime scheduling = false`. Here
//! only the threads that keep leases do; the others are ordinary. Decides the priorities, nothing else.

use crate::sys;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which thread asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// The gate's watch: above all that is not real-time.
    Gate,
    /// The lease thread: also above programs that took the lowest real-time priority (CTDB's own choice), below the kernel's interrupt
    /// threads, which have 50.
    Lease,
}

impl Urgency {
    fn priority(self) -> i32 {
        match self {
            Self::Gate => 1,
            Self::Lease => 10,
        }
    }
}

/// Why a thread is an ordinary one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRealTime {
    /// By configuration.
    #[error("ordinary scheduling, as [legacy] realtime scheduling = false in ctdb.conf wants it")]
    SwitchedOff,
    /// The right is missing.
    #[error(
        "ordinary scheduling, real-time priority was refused: {0}; a busy machine may cost this node its lease (grant CAP_SYS_NICE or LimitRTPRIO=10)"
    )]
    Refused(#[from] io::Error),
}

/// Set before any thread asks.
static SWITCHED_OFF: AtomicBool = AtomicBool::new(false);

/// From now on no thread of this process asks for real-time priority, and no memory is locked: `[legacy] realtime scheduling = false`.
pub(crate) fn switch_off() {
    SWITCHED_OFF.store(true, Ordering::Relaxed);
}

/// Gives the calling thread its priority; the lowest one where it may have no better.
///
/// # Errors
/// It stays an ordinary thread.
pub(crate) fn get(urgency: Urgency) -> Result<(), NotRealTime> {
    if SWITCHED_OFF.load(Ordering::Relaxed) {
        return Err(NotRealTime::SwitchedOff);
    }
    sys::real_time(urgency.priority()).or_else(|_| sys::real_time(Urgency::Gate.priority()))?;
    Ok(())
}

/// Keeps in memory whatever this process uses, now and later: a page that must be fetched from a busy disk takes longer than a lease.
///
/// # Errors
/// The right is missing (CAP_IPC_LOCK, or RLIMIT_MEMLOCK), or it is switched off; nothing is locked.
pub(crate) fn lock_memory() -> Result<(), NotRealTime> {
    if SWITCHED_OFF.load(Ordering::Relaxed) {
        return Err(NotRealTime::SwitchedOff);
    }
    Ok(sys::lock_memory()?)
}
