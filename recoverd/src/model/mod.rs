//! The words of the domain: nodes, flags, addresses, epochs, tunables, time.
//!
//! Nothing here decides; every other module speaks in these types. Names and bits are CTDB's.

mod address;
mod connection;
mod epoch;
mod event;
mod flags;
mod kernel;
mod pnn;
mod runstate;
mod time;
pub mod tunables;

pub use address::{AddrKey, PublicAddress, addr_key};
pub use connection::Connection;
pub use epoch::{Epoch, RunId, Session};
pub use event::{Event, EventOutcome};
pub use flags::NodeFlags;
pub use kernel::{KernelAddr, KernelState, Link};
pub use pnn::Pnn;
pub use runstate::RunState;
pub use time::Mono;
pub use tunables::Tunables;
