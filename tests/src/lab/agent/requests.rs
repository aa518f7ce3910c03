//! Serves the requests of the test: addresses, links and neighbours of any host; remembers every address event of the kernel.
//!
//! Ends when the test closes its end of the socket.

use super::topology::{Host, link, set_link};
use crate::lab::clock;
use crate::lab::protocol::{AddressEvent, HeldAddress, LinkState, Reply, Request};
use anyhow::{Context, anyhow};
use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

type Events = Rc<RefCell<Vec<AddressEvent>>>;

/// Answers until the other side is gone.
pub(super) async fn serve(control: OwnedFd, mut hosts: Vec<Host>) -> anyhow::Result<()> {
    let stream = StdStream::from(control);
    stream.set_nonblocking(true)?;
    let (reader, mut writer) = UnixStream::from_std(stream)?.into_split();
    let mut lines = BufReader::new(reader).lines();
    let events = Events::default();
    let watchers = futures_util::stream::FuturesUnordered::new();
    for (number, host) in hosts.iter_mut().enumerate() {
        if let Some(notifications) = host.notifications.take() {
            watchers.push(watch(number, notifications, Rc::clone(&events)));
        }
    }
    let answer = async {
        while let Some(line) = lines.next_line().await? {
            let reply = match serde_json::from_str(&line) {
                Ok(request) => perform(&hosts, &events, request)
                    .await
                    .unwrap_or_else(|error| Reply::Error(format!("{error:#}"))),
                Err(error) => Reply::Error(format!("request not understood: {error}")),
            };
            let mut text = serde_json::to_vec(&reply)?;
            text.push(b'\n');
            writer.write_all(&text).await?;
        }
        Ok(())
    };
    tokio::select! {
        result = answer => result,
        () = async { watchers.collect::<Vec<()>>().await; std::future::pending().await } => Ok(()),
    }
}

async fn watch(host: usize, mut notifications: super::topology::Notifications, events: Events) {
    // The kernel also announces an address that only got another lifetime.
    let mut there = HashSet::new();
    while let Some(message) = notifications.next().await {
        let (message, added) = match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(m)) => (m, true),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(m)) => (m, false),
            _ => continue,
        };
        let Some(address) = local_address(&message) else { continue };
        let place = (message.header.index, address);
        let news = if added { there.insert(place) } else { there.remove(&place) };
        if news {
            events.borrow_mut().push(AddressEvent { at_ns: clock::now_ns(), host, address, added });
        }
    }
}

async fn perform(hosts: &[Host], events: &Events, request: Request) -> anyhow::Result<Reply> {
    let at = |number: usize| hosts.get(number).map(|h| &h.netlink).ok_or_else(|| anyhow!("no host {number}"));
    match request {
        Request::Addresses { host } => Ok(Reply::Addresses(addresses(at(host)?).await?)),
        Request::AddAddress { host, iface, address, prefix } => {
            let index = link(at(host)?, &iface).await?.header.index;
            let request = at(host)?.address().add(index, address, prefix);
            request.execute().await.with_context(|| format!("add {address}/{prefix} to {iface}"))?;
            Ok(Reply::Done)
        }
        Request::DelAddress { host, iface, address } => {
            let index = link(at(host)?, &iface).await?.header.index;
            let found = at(host)?.address().get().set_link_index_filter(index).set_address_filter(address);
            let messages: Vec<_> = found.execute().try_collect().await?;
            let message =
                messages.into_iter().next().ok_or_else(|| anyhow!("{address} is not on {iface}"))?;
            at(host)?.address().del(message).execute().await.with_context(|| format!("delete {address}"))?;
            Ok(Reply::Done)
        }
        Request::SetLink { host, iface, up } => {
            set_link(at(host)?, &iface, up).await?;
            Ok(Reply::Done)
        }
        Request::LinkState { host, iface } => Ok(Reply::Link(link_state(at(host)?, &iface).await?)),
        Request::FlushNeighbours { host, iface } => {
            let index = link(at(host)?, &iface).await?.header.index;
            let entries: Vec<_> = at(host)?.neighbours().get().execute().try_collect().await?;
            for entry in entries.into_iter().filter(|e| e.header.ifindex == index) {
                // Entries may go by themselves between the listing and here.
                at(host)?.neighbours().del(entry).execute().await.ok();
            }
            Ok(Reply::Done)
        }
        Request::SetNeighbour { host, iface, address, mac } => {
            let index = link(at(host)?, &iface).await?.header.index;
            let request = at(host)?.neighbours().add(index, address).link_layer_address(&mac).replace();
            request.execute().await.with_context(|| format!("set neighbour {address} on {iface}"))?;
            Ok(Reply::Done)
        }
        Request::AddressEvents => Ok(Reply::Events(events.borrow().clone())),
    }
}

async fn addresses(netlink: &rtnetlink::Handle) -> anyhow::Result<Vec<HeldAddress>> {
    let links: Vec<_> = netlink.link().get().execute().try_collect().await?;
    let names: HashMap<u32, String> = links
        .into_iter()
        .filter_map(|link| {
            let name = link.attributes.into_iter().find_map(|a| match a {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            });
            name.map(|name| (link.header.index, name))
        })
        .collect();
    let found: Vec<_> = netlink.address().get().execute().try_collect().await?;
    Ok(found
        .iter()
        .filter_map(|message| {
            let iface = names.get(&message.header.index)?.clone();
            let address = local_address(message)?;
            Some(HeldAddress { iface, address, prefix: message.header.prefix_len })
        })
        .collect())
}

/// `Local` is the interface's own address where both are given (IPv4); IPv6 gives `Address` only.
fn local_address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|a| match a {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

async fn link_state(netlink: &rtnetlink::Handle, iface: &str) -> anyhow::Result<LinkState> {
    let link = link(netlink, iface).await?;
    let mac = link.attributes.iter().find_map(|a| match a {
        LinkAttribute::Address(bytes) => <[u8; 6]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    });
    Ok(LinkState {
        up: link.header.flags.contains(LinkFlags::Up),
        carrier: link.header.flags.contains(LinkFlags::LowerUp),
        mac: mac.unwrap_or_default(),
    })
}
