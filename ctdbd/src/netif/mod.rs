//! Links and addresses of this node, through rtnetlink: observe, change, and (in [`watch`]) be told of changes.
//!
//! Does what CTDB leaves to `ip addr` in its `10.interface` script, with one system call for many addresses and no fork. Decides
//! nothing: which address belongs where is `recoverd`'s business. Adding what is there and deleting what is not are successes, so
//! that every action can be repeated. Links are never set up or down here: a link that an operator set down stays down.
//!
//! All requests share one netlink socket of the network namespace in which [`Netif::open`] was called.

mod change;
mod error;
mod handlers;
mod keeper;
mod mirror;
mod neighbours;
mod query;
mod routing;
mod together;
mod watch;

#[cfg(test)]
mod tests;

pub use change::OnIface;
pub use error::NetifError;
pub use keeper::{Keeper, LifetimePolicy};
pub use query::Hardware;
pub use watch::{Change, Update, Watch};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_proto::ConnectionHandle;
use netlink_sys::AsyncSocket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Room for what the kernel says while nobody reads; the kernel's default holds about 250 notifications.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The kernel answers rtnetlink requests at once or, when its answer found no room, never.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle for requests about links and addresses; clones share one socket.
#[derive(Debug, Clone)]
pub struct Netif {
    handle: ConnectionHandle<RouteNetlinkMessage>,
    /// The kernel allows one dump at a time on a socket (`EBUSY` otherwise).
    dumping: Arc<Mutex<()>>,
    /// With what lifetime event handlers add addresses.
    lifetime: keeper::Lifetime,
    /// What event handlers ask for at the same time.
    together: together::Together,
}

impl Netif {
    /// Opens the sockets, subscribes to notifications and takes the first picture. Must be called inside a tokio runtime,
    /// which from then on drives the sockets.
    ///
    /// # Errors
    /// No netlink socket can be had, or the first dump fails.
    pub async fn open() -> Result<(Self, Watch), NetifError> {
        let netif = Self::requests_only()?;
        let watch = Watch::open(netif.clone()).await?;
        Ok((netif, watch))
    }

    /// Another subscription to notifications, after the former one ended.
    ///
    /// # Errors
    /// No netlink socket can be had, or the dump fails.
    pub async fn watch_again(&self) -> Result<Watch, NetifError> {
        Watch::open(self.clone()).await
    }

    /// As [`Netif::open`], for a caller that wants no notifications.
    ///
    /// # Errors
    /// No netlink socket can be had.
    pub fn requests_only() -> Result<Self, NetifError> {
        let (mut connection, handle, _unsolicited) =
            netlink_proto::new_connection(NETLINK_ROUTE).map_err(NetifError::Open)?;
        // An acknowledgement per request is how the answers of a batch are matched with its requests.
        connection.set_forward_ack(true);
        enlarge_receive_buffer(connection.socket_mut().socket_mut()).map_err(NetifError::Open)?;
        tokio::spawn(connection);
        Ok(Self {
            handle,
            dumping: Arc::default(),
            lifetime: Default::default(),
            together: Default::default(),
        })
    }
}

/// Asks for [`RECEIVE_BUFFER`], beyond the system's limit where that is allowed.
fn enlarge_receive_buffer(socket: &impl AsFd) -> io::Result<()> {
    setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER))
        .map_err(io::Error::from)
}
