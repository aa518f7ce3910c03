//! What the built-in handlers ask of the kernel's network interfaces.
//!
//! `ctdbd` implements this with rtnetlink, tests with a table. Links are never set up here: one that an operator set down
//! stays down (DESIGN section 10), unlike with CTDB's script.

use crate::handler::BoxFuture;
use nix::errno::Errno;
use recoverd::model::KernelState;
use std::net::IpAddr;

/// A request to the kernel that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetIfError {
    /// The interface does not exist.
    #[error("{request}: interface {iface} doesn't exist")]
    NoInterface {
        /// What was asked, as `add address 10.0.0.1/24`.
        request: String,
        /// The interface.
        iface: String,
    },
    /// The kernel refused.
    #[error("{request} on {object}: {errno}")]
    Refused {
        /// What was asked, as `add address 10.0.0.1/24`.
        request: String,
        /// Of what: an interface or a file.
        object: String,
        /// The kernel's answer; shown with name and text.
        errno: Errno,
    },
    /// The kernel could not be asked, or its answer not be read.
    #[error("{request}: {reason}")]
    Unreachable {
        /// What was asked.
        request: String,
        /// Why there is no answer.
        reason: String,
    },
}

/// Requests about interfaces and addresses. All may be repeated without harm.
pub trait NetIf: Send + Sync {
    /// All links and addresses, now.
    fn observe(&self) -> BoxFuture<'_, Result<KernelState, NetIfError>>;

    /// Puts an address on an interface. One that is already there (`EEXIST`) is a success.
    fn add_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<(), NetIfError>>;

    /// Takes an address off an interface and says whether it was there: `EADDRNOTAVAIL` and `ENOENT` are `Ok(false)`.
    /// [`NetIfError::NoInterface`] when there is no such interface.
    fn del_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>>;

    /// Sets `net.ipv4.conf.IFACE.promote_secondaries=1`: taking off an address must not take off the others of its subnet.
    /// Nothing is written when it is set already.
    fn promote_secondaries<'a>(&'a self, iface: &'a str) -> BoxFuture<'a, Result<(), NetIfError>>;
}
