//! Builds the machines and cables of a lab: one network and one mount namespace per host, two bridges in the switch.
//!
//! Everything goes over netlink sockets opened in the right namespace; no program is run. Duplicate address detection is off
//! (IPv6 addresses are usable at once) and `promote_secondaries` is on, as CTDB's documentation asks of a cluster node.

use crate::lab::protocol::{
    CLIENT_V4, CLIENT_V6, InitConfig, private_v4, private_v6, static_v4, static_v6, switch_port,
};
use anyhow::{Context, anyhow};
use futures_util::TryStreamExt;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage, State,
};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, MulticastGroup};
use std::fs;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// What the kernel tells about addresses, unasked.
pub(super) type Notifications =
    Box<dyn futures_util::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Unpin>;

/// One host: its namespaces and a netlink connection into it.
pub(super) struct Host {
    pub(super) mount: OwnedFd,
    pub(super) net: OwnedFd,
    pub(super) netlink: Handle,
    pub(super) notifications: Option<Notifications>,
}

/// All hosts: nodes, client, switch.
pub(super) async fn build(config: &InitConfig) -> anyhow::Result<Vec<Host>> {
    let base: OwnedFd = fs::File::open("/proc/self/ns/mnt").context("own mount namespace")?.into();
    let mut hosts = Vec::new();
    for index in 0..config.nodes + 2 {
        let is_switch = index == config.nodes + 1;
        hosts.push(host(&base, is_switch).with_context(|| format!("host {index}"))?);
    }
    setns(&base, CloneFlags::CLONE_NEWNS).context("back to the lab's mount namespace")?;
    cable(config, &hosts).await?;
    Ok(hosts)
}

fn host(base: &OwnedFd, is_switch: bool) -> anyhow::Result<Host> {
    setns(base, CloneFlags::CLONE_NEWNS).context("enter the lab's mount namespace")?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        .context("make a network and a mount namespace")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), flags, Some("mode=755")).context("a /run of its own")?;
    // The host's own /sys/class/net, where the kernel allows it; programs that use netlink don't miss it.
    mount(Some("sysfs"), "/sys", Some("sysfs"), flags | MsFlags::MS_NOEXEC, None::<&str>).ok();
    sysctl("ipv4/conf", "promote_secondaries", "1")?;
    if Path::new("/proc/sys/net/ipv6").exists() {
        sysctl("ipv6/conf", "accept_dad", "0")?;
        sysctl("ipv6/conf", "accept_ra", "0")?;
        if is_switch {
            sysctl("ipv6/conf", "disable_ipv6", "1")?;
        }
    }
    let open = |name: &str| fs::File::open(format!("/proc/self/ns/{name}")).map(OwnedFd::from);
    let (connection, netlink, _) = rtnetlink::new_connection().context("netlink")?;
    tokio::spawn(connection);
    let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
    let (connection, _, messages) =
        rtnetlink::new_multicast_connection(&groups).context("netlink notifications")?;
    tokio::spawn(connection);
    let notifications: Notifications =
        Box::new(futures_util::StreamExt::map(messages, |(message, _from)| message));
    Ok(Host { mount: open("mnt")?, net: open("net")?, netlink, notifications: Some(notifications) })
}

fn sysctl(family: &str, name: &str, value: &str) -> anyhow::Result<()> {
    for scope in ["all", "default"] {
        let path = format!("/proc/sys/net/{family}/{scope}/{name}");
        fs::write(&path, value).with_context(|| path.clone())?;
    }
    Ok(())
}

async fn cable(config: &InitConfig, hosts: &[Host]) -> anyhow::Result<()> {
    let client = config.nodes;
    let switch = &hosts[config.nodes + 1];
    let public = bridge(switch, "br-pub").await?;
    let private = bridge(switch, "br-priv").await?;
    for (index, host) in hosts.iter().enumerate() {
        set_link(&host.netlink, "lo", true).await?;
        if index < config.nodes {
            veth(switch, private, &switch_port(index, "priv0"), host, "priv0").await?;
            for iface in &config.public_ifaces {
                veth(switch, public, &switch_port(index, iface), host, iface).await?;
            }
            address(host, "priv0", private_v4(index).into(), 24).await?;
            address(host, "priv0", private_v6(index).into(), 64).await?;
            if let Some(iface) = config.public_ifaces.first() {
                address(host, iface, static_v4(index).into(), 24).await?;
                address(host, iface, static_v6(index).into(), 64).await?;
            }
        } else if index == client {
            veth(switch, public, "client", host, "eth0").await?;
            address(host, "eth0", CLIENT_V4.into(), 24).await?;
            address(host, "eth0", CLIENT_V6.into(), 64).await?;
        }
    }
    all_cables_up(hosts).await
}

/// An interface gets its queue only after its carrier is seen, a moment later; until then it drops what is sent. Bridges are
/// not waited for: nobody sends from them, and the kernel may take a second to note their carrier.
async fn all_cables_up(hosts: &[Host]) -> anyhow::Result<()> {
    for host in hosts {
        for _ in 0..1000 {
            let links: Vec<_> = host.netlink.link().get().execute().try_collect().await?;
            if links.iter().all(|link| !is_veth(link) || is_up(link)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(())
}

fn is_veth(link: &LinkMessage) -> bool {
    let veth = |info: &LinkInfo| matches!(info, LinkInfo::Kind(InfoKind::Veth));
    link.attributes.iter().any(|a| matches!(a, LinkAttribute::LinkInfo(all) if all.iter().any(veth)))
}

fn is_up(link: &LinkMessage) -> bool {
    link.attributes.contains(&LinkAttribute::OperState(State::Up))
}

async fn bridge(switch: &Host, name: &str) -> anyhow::Result<u32> {
    // No multicast snooping: neighbour discovery must reach every port, as on a plain switch.
    let data = InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)]);
    let message = LinkBridge::new(name).set_info_data(data).build();
    switch.netlink.link().add(message).execute().await.with_context(|| format!("bridge {name}"))?;
    Ok(link(&switch.netlink, name).await?.header.index)
}

async fn veth(switch: &Host, bridge: u32, port: &str, host: &Host, iface: &str) -> anyhow::Result<()> {
    let peer = LinkMessageBuilder::<LinkUnspec>::default()
        .name(iface)
        .append_extra_attribute(LinkAttribute::NetNsFd(host.net.as_raw_fd()))
        .build();
    // The kernel delays news of a carrier by up to a second if both ends of a cable have the same index (it takes the pair for
    // one interface). Ports are therefore numbered from 1000.
    let taken = switch.netlink.link().get().execute().try_collect::<Vec<_>>().await?;
    let index = taken.iter().map(|l| l.header.index).max().unwrap_or(0).max(999) + 1;
    let message = LinkVeth::new(port, "")
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .index(index)
        .controller(bridge)
        .up()
        .build();
    switch.netlink.link().add(message).execute().await.with_context(|| format!("cable {port}"))?;
    set_link(&host.netlink, iface, true).await
}

/// The link of that name.
pub(super) async fn link(netlink: &Handle, name: &str) -> anyhow::Result<LinkMessage> {
    let mut found = netlink.link().get().match_name(name.to_owned()).execute();
    let link = found.try_next().await.with_context(|| format!("interface {name}"))?;
    link.ok_or_else(|| anyhow!("no interface {name}"))
}

/// Sets a link up or down.
pub(super) async fn set_link(netlink: &Handle, name: &str, up: bool) -> anyhow::Result<()> {
    let builder = LinkUnspec::new_with_name(name);
    let message = if up { builder.up() } else { builder.down() }.build();
    let state = if up { "up" } else { "down" };
    netlink.link().set(message).execute().await.with_context(|| format!("set {name} {state}"))
}

async fn address(host: &Host, iface: &str, address: IpAddr, prefix: u8) -> anyhow::Result<()> {
    if address.is_ipv6() && !Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(());
    }
    let index = link(&host.netlink, iface).await?.header.index;
    let request = host.netlink.address().add(index, address, prefix);
    request.execute().await.with_context(|| format!("add {address}/{prefix} to {iface}"))
}
