//! Being told of changes of links and addresses within microseconds.
//!
//! Notifications are hints: they keep a mirror up to date, and when the kernel says that some were lost, everything is listed
//! again and compared. CTDB looks at links every 15 s and at addresses every second; here this is the first line, and the
//! recovery loop's own look ([`Netif::observe`]) the second.

use super::mirror::Mirror;
use super::{Netif, NetifError, enlarge_receive_buffer};
use futures_util::StreamExt;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{AsyncSocket, SocketAddr};
use recoverd::model::KernelState;
use rtnetlink::MulticastGroup;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Pause before listing is tried again after it failed.
const RETRY: Duration = Duration::from_millis(100);

/// Something is otherwise than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An address appeared on an interface, by our hand or another's.
    AddressAdded {
        /// Interface name.
        iface: String,
        /// The address.
        addr: IpAddr,
        /// Mask bits.
        prefix: u8,
    },
    /// An address vanished from an interface, by our hand or another's.
    AddressRemoved {
        /// Interface name.
        iface: String,
        /// The address.
        addr: IpAddr,
        /// Mask bits.
        prefix: u8,
    },
    /// A link came, went, or changed.
    LinkChanged {
        /// Interface name.
        iface: String,
        /// Whether it can carry a public address now; `false` also when it is gone.
        up: bool,
    },
}

/// What happened since the last update, in order, and how things stand after it.
#[derive(Debug, Clone)]
pub struct Update {
    /// Each change; an address that was removed and is back has both in here.
    pub changes: Vec<Change>,
    /// All links and addresses after the last change. Drop it before waiting for the next update to save a copy.
    pub state: Arc<KernelState>,
    /// Port of the netlink socket that asked for the last change of an address; mostly the number of the process that did.
    pub by: Option<u32>,
}

pub(super) type Notifications = Pin<Box<dyn futures_util::Stream<Item = Notification> + Send>>;
pub(super) type Notification = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr);

/// The subscription; made by [`Netif::open`].
pub struct Watch {
    netif: Netif,
    pub(super) notifications: Notifications,
    mirror: Mirror,
    pending: Vec<Change>,
    by: Option<u32>,
    /// Something was missed: list everything before saying anything.
    stale: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("mirror", &self.mirror)
            .field("stale", &self.stale)
            .finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) async fn open(netif: Netif) -> Result<Self, NetifError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (mut connection, _handle, notifications) =
            rtnetlink::new_multicast_connection(&groups).map_err(NetifError::Open)?;
        enlarge_receive_buffer(connection.socket_mut().socket_mut()).map_err(NetifError::Open)?;
        tokio::spawn(connection);
        // Subscribed first, listed second: what happens in between is told twice, which does no harm.
        let mirror = netif.picture().await?;
        let notifications: Notifications = Box::pin(notifications);
        Ok(Self { netif, notifications, mirror, pending: Vec::new(), by: None, stale: false })
    }

    /// How things stand as far as notifications tell.
    #[must_use]
    pub fn state(&self) -> Arc<KernelState> {
        self.mirror.state()
    }

    /// Waits for the next change, takes in everything that is readable, and returns it as one update. Cancel safe. `None` when
    /// the kernel's socket is gone for good, which happens only at the end of the runtime.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            if self.stale {
                self.list_again().await;
            }
            if !self.pending.is_empty() {
                return Some(self.hand_over().await);
            }
            let first = self.notifications.next().await?;
            self.absorb(&first.0);
            // Let the socket's task read what else has come, once, so that a burst makes few updates.
            tokio::task::yield_now().await;
            self.drain();
        }
    }

    /// Lists everything and returns the differences to what notifications told, `None` if there are none.
    ///
    /// # Errors
    /// As [`Netif::observe`].
    pub async fn resync(&mut self) -> Result<Option<Update>, NetifError> {
        self.drain();
        let fresh = self.netif.picture().await?;
        self.mirror.replace(fresh, &mut self.pending);
        self.stale = false;
        if self.pending.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.hand_over().await))
    }

    /// Before anybody hears that a link is up, and takes addresses on it, what its neighbours did not hear is forgotten.
    async fn hand_over(&mut self) -> Update {
        let links = &self.mirror.state().links;
        let came = self.pending.iter().filter_map(|change| match change {
            Change::LinkChanged { iface, up: true } => Some(links.get(iface)?.index),
            _ => None,
        });
        let came: Vec<u32> = came.collect();
        match self.netif.forget_unanswered(&came).await {
            Ok(0) => {}
            Ok(n) => {
                tracing::info!("a link is up: {n} neighbours that could not be asked before were forgotten")
            }
            // It only costs time.
            Err(e) => tracing::warn!("{e}"),
        }
        Update { changes: std::mem::take(&mut self.pending), state: self.mirror.state(), by: self.by.take() }
    }

    fn drain(&mut self) {
        use futures_util::FutureExt;
        while let Some(Some(next)) = self.notifications.next().now_or_never() {
            self.absorb(&next.0);
        }
    }

    fn absorb(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) {
        match &message.payload {
            NetlinkPayload::InnerMessage(inner) => {
                self.stale |= !self.mirror.apply(inner, &mut self.pending);
                let of_address =
                    matches!(inner, RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_));
                if of_address && message.header.port_number != 0 {
                    self.by = Some(message.header.port_number);
                }
            }
            NetlinkPayload::Overrun(_) => {
                tracing::warn!("the kernel dropped netlink notifications: listing links and addresses again");
                self.stale = true;
            }
            _ => {}
        }
    }

    async fn list_again(&mut self) {
        while self.stale {
            match self.netif.picture().await {
                Ok(fresh) => {
                    self.mirror.replace(fresh, &mut self.pending);
                    self.stale = false;
                }
                Err(e) => {
                    tracing::warn!("{e}");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}
