//! Adding and deleting addresses: idempotent, many with one system call.

use super::mirror::own_address;
use super::{ANSWER_TIMEOUT, Netif, NetifError};
use crate::trace::{TARGET, variant};
use futures_util::StreamExt;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, CacheInfo};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::SocketAddr;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tracing::Instrument;

/// Requests in one datagram. Their answers (768 bytes of kernel memory each) fit into the smallest default receive buffer.
const BATCH: usize = 128;

/// An address with its mask bits on an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnIface {
    /// Interface name.
    pub iface: String,
    /// The address.
    pub addr: IpAddr,
    /// Mask bits.
    pub prefix: u8,
}

impl fmt::Display for OnIface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on {}", self.addr, self.prefix, self.iface)
    }
}

/// A request and whose it is: its position in the caller's list.
type Deletion = (usize, NetlinkMessage<RouteNetlinkMessage>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// For that long; `None`: for ever.
    Add(Option<Duration>),
    /// Replaces the lifetime of an address that is there.
    Refresh(Duration),
    Del,
}

impl Verb {
    pub(super) fn describe(self, what: &OnIface) -> String {
        let verb = match self {
            Self::Add(_) => "add",
            Self::Refresh(_) => "refresh the lifetime of",
            Self::Del => "delete",
        };
        format!("{verb} address {}/{}", what.addr, what.prefix)
    }

    /// Whether the kernel's no means that things already are as asked.
    fn is_done(self, errno: Errno) -> bool {
        match self {
            Self::Add(_) => errno == Errno::EEXIST,
            Self::Refresh(_) => false,
            Self::Del => matches!(errno, Errno::EADDRNOTAVAIL | Errno::ENOENT),
        }
    }
}

impl Netif {
    /// Puts an address on an interface, for ever, and says whether that changed anything: an address that is there already is a
    /// success. IPv4 gets the broadcast address of its subnet (as `ip addr add … brd +`), IPv6 is usable at once (no duplicate address
    /// detection: the lease says that it is ours).
    ///
    /// # Errors
    /// The kernel refused, or there is no such interface.
    pub async fn add_address(&self, iface: &str, addr: IpAddr, prefix: u8) -> Result<bool, NetifError> {
        self.change_one(Verb::Add(None), iface, addr, prefix).await
    }

    /// Takes an address off an interface and says whether it was there.
    ///
    /// # Errors
    /// The kernel refused, or there is no such interface.
    pub async fn del_address(&self, iface: &str, addr: IpAddr, prefix: u8) -> Result<bool, NetifError> {
        self.change_one(Verb::Del, iface, addr, prefix).await
    }

    /// [`Netif::add_address`] for many, answered in the same order. One failure does not keep the others from being done.
    pub async fn add_addresses(&self, what: &[OnIface]) -> Vec<Result<bool, NetifError>> {
        self.change(Verb::Add(None), what).await
    }

    /// [`Netif::add_addresses`], for a time: the kernel removes an address whose lifetime ends, and uses it as a source until then (it
    /// is never *deprecated*, which would change which source address the node's own connections get). An address that is there
    /// already keeps the lifetime it has. The second layer behind the gate: a dead daemon's addresses go away.
    ///
    /// The kernel counts whole seconds and is up to 0.7 s late. Set `promote_secondaries` first ([`Netif::promote_secondaries`]): the
    /// first address of a subnet takes all others along when it expires.
    pub async fn add_addresses_for(
        &self,
        what: &[OnIface],
        lifetime: Duration,
    ) -> Vec<Result<bool, NetifError>> {
        self.change(Verb::Add(Some(lifetime)), what).await
    }

    /// Gives addresses a new lifetime from now on, in place: their order, and which of a subnet is the first, stay. To be called for
    /// addresses that are there; **one that is not is added**, so a release must not run beside it. Answered in the same order.
    ///
    /// IPv6 costs the square of their number (Linux 6.18: 100 in 4 ms, 500 in 100 ms, 2000 in 1.1 to 1.8 s, with the kernel's network
    /// configuration locked meanwhile): let the lifetime grow with the number. [`super::Keeper`] does all of this.
    pub async fn refresh_lifetimes(
        &self,
        what: &[OnIface],
        lifetime: Duration,
    ) -> Vec<Result<bool, NetifError>> {
        self.change(Verb::Refresh(lifetime), what).await
    }

    /// [`Netif::del_address`] for many, answered in the same order. One failure does not keep the others from being done.
    ///
    /// Prefer it to many single deletions: it takes the secondary addresses of a subnet first. Deleting the first address of a
    /// subnet makes the kernel promote the next and set up all others anew; a thousand deletions in the order of their addition
    /// took 9 s, in the opposite order 0.02 s (measured, Linux 6.18).
    pub async fn del_addresses(&self, what: &[OnIface]) -> Vec<Result<bool, NetifError>> {
        self.change(Verb::Del, what).await
    }

    /// Sets `promote_secondaries` on an interface, without which the kernel deletes all addresses of a subnet with the first.
    ///
    /// # Errors
    /// The name cannot be an interface's, there is no such interface, or `/proc/sys` cannot be written.
    pub fn promote_secondaries(&self, iface: &str) -> Result<(), NetifError> {
        let bad = iface.is_empty()
            || iface.len() > 15
            || matches!(iface, "." | "..")
            || iface.contains(|c: char| c == '/' || c.is_whitespace());
        if bad {
            return Err(NetifError::BadName { name: iface.to_owned() });
        }
        // The directory bears the interface's name as it is, dots included: only sysctl(8) writes them as slashes.
        let path = format!("/proc/sys/net/ipv4/conf/{iface}/promote_secondaries");
        if fs::read_to_string(&path).is_ok_and(|now| now.trim() == "1") {
            return Ok(());
        }
        fs::write(&path, "1").map_err(|source| NetifError::Sysctl { path, value: "1", source })
    }

    async fn change_one(
        &self,
        verb: Verb,
        iface: &str,
        addr: IpAddr,
        prefix: u8,
    ) -> Result<bool, NetifError> {
        let what = [OnIface { iface: iface.to_owned(), addr, prefix }];
        self.change(verb, &what).await.pop().unwrap_or(Ok(false))
    }

    pub(super) async fn change(&self, verb: Verb, what: &[OnIface]) -> Vec<Result<bool, NetifError>> {
        let mut indices: HashMap<&str, Result<u32, Errno>> = HashMap::new();
        let mut results: Vec<Result<bool, NetifError>> = Vec::with_capacity(what.len());
        let mut messages = Vec::with_capacity(what.len());
        for (position, one) in what.iter().enumerate() {
            let index = *indices.entry(&one.iface).or_insert_with(|| if_nametoindex(one.iface.as_str()));
            results.push(match index {
                Ok(index) => {
                    messages.push((position, request(verb, index, one)));
                    Ok(true)
                }
                Err(errno) => answer(verb, one, errno),
            });
        }
        if verb == Verb::Del && messages.len() > 1 {
            self.secondaries_first(&mut messages).await;
        }
        while !messages.is_empty() {
            let rest = messages.split_off(messages.len().min(BATCH));
            let (positions, batch): (Vec<usize>, Vec<_>) = messages.into_iter().unzip();
            let step =
                tracing::trace_span!(target: TARGET, "netlink", verb = variant(&verb), n = batch.len());
            let answers = self.send(batch).instrument(step).await;
            for (n, position) in positions.into_iter().enumerate() {
                results[position] = match answers.get(n) {
                    Some(None) => Ok(true),
                    Some(Some(errno)) => answer(verb, &what[position], *errno),
                    None => Err(NetifError::NoAnswer { request: verb.describe(&what[position]) }),
                };
            }
            messages = rest;
        }
        results
    }

    /// Orders deletions against the kernel's list, in which the first address of a subnet stands before its secondaries. If the list
    /// cannot be had, the order of the caller, reversed, is the best guess.
    async fn secondaries_first(&self, deletions: &mut [Deletion]) {
        deletions.reverse();
        let Ok(list) = self.list_addresses().await else { return };
        let place: HashMap<(u32, IpAddr, u8), usize> = list
            .iter()
            .filter_map(|m| match m {
                RouteNetlinkMessage::NewAddress(m) => key(m),
                _ => None,
            })
            .zip(0..)
            .collect();
        deletions.sort_by_key(|(_, message)| {
            let at = match &message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(m)) => {
                    key(m).and_then(|key| place.get(&key))
                }
                _ => None,
            };
            std::cmp::Reverse(at.copied())
        });
    }

    /// Sends requests in one datagram and returns the kernel's answers in the same order: `None` is its yes. The kernel works
    /// through a datagram in order and answers each request exactly once; fewer answers mean that it fell silent.
    pub(super) async fn send(&self, batch: Vec<NetlinkMessage<RouteNetlinkMessage>>) -> Vec<Option<Errno>> {
        let mut answers = Vec::with_capacity(batch.len());
        let Ok(mut stream) = self.handle.request_batch(batch, SocketAddr::new(0, 0)) else {
            return answers;
        };
        let read = async {
            while let Some(message) = stream.next().await {
                if let NetlinkPayload::Error(e) = message.payload {
                    answers.push(e.code.map(|c| Errno::from_raw(c.get().abs())));
                }
            }
        };
        // The time-out only cuts the list short, which the caller reports per address.
        let _elapsed = tokio::time::timeout(ANSWER_TIMEOUT, read).await;
        answers
    }
}

/// What tells an address in the kernel's list from others.
fn key(message: &AddressMessage) -> Option<(u32, IpAddr, u8)> {
    own_address(message).map(|addr| (message.header.index, addr, message.header.prefix_len))
}

fn answer(verb: Verb, what: &OnIface, errno: Errno) -> Result<bool, NetifError> {
    if verb.is_done(errno) {
        return Ok(false);
    }
    Err(NetifError::Refused { request: verb.describe(what), object: what.iface.clone(), errno })
}

fn request(verb: Verb, index: u32, what: &OnIface) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = what.prefix;
    message.attributes.push(AddressAttribute::Local(what.addr));
    message.attributes.push(AddressAttribute::Address(what.addr));
    match what.addr {
        IpAddr::V4(addr) => {
            message.header.family = AddressFamily::Inet;
            if verb != Verb::Del && what.prefix < 31 {
                message.attributes.push(AddressAttribute::Broadcast(broadcast(addr, what.prefix)));
            }
        }
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            // Repeated at each refresh, else the kernel forgets it.
            if verb != Verb::Del {
                message.header.flags = AddressHeaderFlags::Nodad;
            }
        }
    }
    if let Verb::Add(Some(lifetime)) | Verb::Refresh(lifetime) = verb {
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1);
        let mut info = CacheInfo::default();
        (info.ifa_preferred, info.ifa_valid) = (seconds, seconds);
        message.attributes.push(AddressAttribute::CacheInfo(info));
    }
    let (message, flags) = match verb {
        Verb::Refresh(_) => (RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE),
        Verb::Add(_) => (RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL),
        Verb::Del => (RouteNetlinkMessage::DelAddress(message), 0),
    };
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    request
}

/// The last address of the subnet. `prefix` is below 31.
fn broadcast(addr: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(addr) | (u32::MAX >> u32::from(prefix)))
}
