//! The words of IPVS: virtual services, destinations, how packets are forwarded, and the table of them all.
//!
//! These are the kernel's notions, not the configuration's: a [`Table`] is what `ipvsadm -Sn` would print, so that what is wanted
//! and what the kernel has can be compared field by field ([`crate::diff`]). Nothing here knows of checks, quorum or files.
//! Values that only others put into the kernel (SCTP, local node) can be represented, so that reading never loses anything.

mod dest;
mod error;
mod forward;
mod scheduler;
mod service;
mod table;

pub use dest::{DestId, DestSettings};
pub use error::ModelError;
pub use forward::{Checksum, Forward, Tunnel};
pub use scheduler::{SchedFlags, Scheduler};
pub use service::{Family, Granularity, Persistence, Protocol, ServiceId, ServiceSettings};
pub use table::{Service, Table};

#[cfg(test)]
mod tests;
