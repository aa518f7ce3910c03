//! TCP connections as the kernel has them: list them, destroy them, wake the other end, reset both ends by packets.
//!
//! What CTDB does with `ctdb_killtcp`, `ss -K` and its tickle ACKs. Used by the daemon (when an address is released or taken) and by `ctdb
//! tickle`; each call blocks for a bounded time. Decides nothing: which connections are meant is the caller's business.

mod diag;
mod packet;
mod raw;
mod reset;
#[cfg(test)]
mod tests;

pub use diag::{Destroyed, Diag, DiagError, Found};
pub use raw::{SendError, Sender};
pub use reset::reset;
