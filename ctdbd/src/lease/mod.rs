//! The lease thread: runs `recoverd::lease::Lease` and drives the kernel gate.
//!
//! An OS thread of its own, with real-time priority where that is allowed, with its own UDP socket (same port number as the node
//! service), so that neither a busy runtime nor a hung script or disk delays a beat. It decides nothing: the machine does. What takes
//! time (the cluster lock, dropping addresses) is done by the driver, which is told by [`LeaseNews`] and answers by [`LeaseHandle`]. It
//! never waits for an ordinary thread (`mailbox`), and says why a lease was not extended (`cause`).

mod cause;
mod clocks;
mod handle;
mod mailbox;
mod proofs;
mod thread;
mod wire;

#[cfg(test)]
mod tests;

pub use clocks::now;
pub use handle::{LeaseHandle, LeaseSetup, Waiting};
pub use proofs::Proofs;
pub use wire::fenced;

use recoverd::lease::LockOrder;
use recoverd::view::LeaseView;

/// What the driver must know or do.
#[derive(Debug)]
pub enum LeaseNews {
    /// The state of the lease layer has changed.
    View(LeaseView),
    /// For the cluster lock.
    Lock {
        /// What to do.
        order: LockOrder,
        /// The wish that it belongs to; news of the lock name it.
        wish: u64,
    },
    /// This nodes list (its hash) is in force, and no older one counts beside it.
    ListInForce(u64),
    /// For the journal.
    Journal(String),
}
