//! Reading links, addresses and neighbours. The dump is the truth; notifications are hints.

use super::mirror::Mirror;
use super::{ANSWER_TIMEOUT, Netif, NetifError};
use futures_util::StreamExt;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_sys::SocketAddr;
use recoverd::model::KernelState;

/// A dump during which the list changed is read again, this often at most.
const TRIES: u32 = 10;

/// What is needed to send frames out of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// Kernel index.
    pub index: u32,
    /// The Ethernet address; `None` on an interface without one, or without ARP (loopback, tunnels).
    pub mac: Option<[u8; 6]>,
}

impl Netif {
    /// All links and all addresses, of both families, at this moment.
    ///
    /// # Errors
    /// The kernel refused or did not answer, or the lists never stood still.
    pub async fn observe(&self) -> Result<KernelState, NetifError> {
        self.picture().await.map(Mirror::into_state)
    }

    /// Index and Ethernet address of an interface.
    ///
    /// # Errors
    /// There is no such interface, or the kernel did not answer.
    pub async fn hardware(&self, iface: &str) -> Result<Hardware, NetifError> {
        let request = || "read the Ethernet address".to_owned();
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(iface.to_owned()));
        let mut answers =
            self.ask(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST, request(), iface).await?;
        let Some(RouteNetlinkMessage::NewLink(link)) = answers.pop() else {
            return Err(NetifError::NoAnswer { request: request() });
        };
        let mac = link.attributes.iter().find_map(|a| match a {
            LinkAttribute::Address(mac) => <[u8; 6]>::try_from(mac.as_slice()).ok(),
            _ => None,
        });
        let mute = link.header.flags.intersects(LinkFlags::Loopback | LinkFlags::Noarp);
        Ok(Hardware { index: link.header.index, mac: mac.filter(|_| !mute) })
    }

    /// Links and addresses with what is needed to follow notifications from here on.
    pub(super) async fn picture(&self) -> Result<Mirror, NetifError> {
        let _one_dump_at_a_time = self.dumping.lock().await;
        let links = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), "list the links").await?;
        let addresses = self.dump_addresses().await?;
        let mut mirror = Mirror::default();
        for message in links.iter().chain(&addresses) {
            // An address on a link that came into being between the two dumps is left to the notification of that link.
            mirror.apply(message, &mut Vec::new());
        }
        Ok(mirror)
    }

    /// All addresses as the kernel lists them: on each interface the first address of a subnet before its secondaries.
    pub(super) async fn list_addresses(&self) -> Result<Vec<RouteNetlinkMessage>, NetifError> {
        let _one_dump_at_a_time = self.dumping.lock().await;
        self.dump_addresses().await
    }

    /// All neighbours of all interfaces, of both families.
    pub(super) async fn list_neighbours(&self) -> Result<Vec<RouteNetlinkMessage>, NetifError> {
        let _one_dump_at_a_time = self.dumping.lock().await;
        self.dump(RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()), "list the neighbours").await
    }

    async fn dump_addresses(&self) -> Result<Vec<RouteNetlinkMessage>, NetifError> {
        self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), "list the addresses").await
    }

    pub(super) async fn dump(
        &self,
        message: RouteNetlinkMessage,
        what: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, NetifError> {
        for _ in 0..TRIES {
            match self.ask(message.clone(), NLM_F_REQUEST | NLM_F_DUMP, what.to_owned(), "this node").await {
                Err(NetifError::Unsettled { .. }) => {}
                other => return other,
            }
        }
        Err(NetifError::Unsettled { request: what.to_owned(), tries: TRIES })
    }

    async fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: String,
        object: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, NetifError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        let Ok(mut stream) = self.handle.request(request, SocketAddr::new(0, 0)) else {
            return Err(NetifError::NoAnswer { request: what });
        };
        let read = async {
            let mut answers = Vec::new();
            let mut interrupted = false;
            while let Some(message) = stream.next().await {
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    NetlinkPayload::Error(e) if e.code.is_some() => return Err(Some(e.raw_code())),
                    _ => {}
                }
            }
            if interrupted { Err(None) } else { Ok(answers) }
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, read).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(Some(errno))) => Err(NetifError::refused(what, object, errno)),
            Ok(Err(None)) => Err(NetifError::Unsettled { request: what, tries: 1 }),
            Err(_elapsed) => Err(NetifError::NoAnswer { request: what }),
        }
    }
}
