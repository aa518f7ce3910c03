//! Connections of clients in the kernel: ending them when an address is let go, waking their clients when it is taken, finding them.
//!
//! The work itself is done by the crate `conn`, which blocks; here it is given to threads, bounded in time, and done once for many
//! addresses. Which connections are known in the cluster is kept by `recoverd::connections`; [`crate::driver`] brings both together.
//!
//! CTDB does this in its `10.interface` script (`ctdb_killtcp` or `ss -K`, by `CTDB_KILLTCP_USE_SS_KILL`) and in its daemon (tickle ACKs with each
//! gratuitous ARP). Here every release does it, before the first script and with the gate open, so that clients get their RST.

mod end;
mod find;
mod wake;

#[cfg(test)]
mod tests;

pub use end::{Ender, end_all};
pub use find::find;
pub use wake::Waker;
