//! Lifetimes of addresses, on a real interface.

use crate::netif::{Keeper, LifetimePolicy, Netif, OnIface};
use crate::testns::{in_own_network, report, veth};
use eventscripts::NetIf;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn some(n: u16) -> Vec<OnIface> {
    let on = |addr: IpAddr, prefix| OnIface { iface: "pub".to_owned(), addr, prefix };
    let [high, low] = n.to_be_bytes();
    let four = (1..=n).map(|n| {
        let [high, low] = n.to_be_bytes();
        on(Ipv4Addr::new(10, 9, high, low).into(), 16)
    });
    let six = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, u16::from(high), u16::from(low));
    four.chain([on(six.into(), 64)]).collect()
}

/// Address, preferred and valid seconds, and whether the kernel skips duplicate address detection; in the kernel's order.
async fn list(netif: &Netif) -> Vec<(IpAddr, u32, u32, bool)> {
    let mut all = Vec::new();
    for message in netif.list_addresses().await.unwrap() {
        let RouteNetlinkMessage::NewAddress(message) = message else { continue };
        let mut entry = (None, 0, 0, message.header.flags.contains(AddressHeaderFlags::Nodad));
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::CacheInfo(info) => {
                    (entry.1, entry.2) = (info.ifa_preferred, info.ifa_valid)
                }
                AddressAttribute::Address(addr) => entry.0 = Some(*addr),
                _ => {}
            }
        }
        if let (Some(addr), preferred, valid, nodad) = entry
            && (addr.to_string().starts_with("10.9.") || addr.to_string().starts_with("fd09"))
        {
            all.push((addr, preferred, valid, nodad));
        }
    }
    all
}

#[test]
fn addresses_live_as_long_as_they_are_refreshed() {
    in_own_network("netif::tests::lifetimes::addresses_live_as_long_as_they_are_refreshed", async || {
        veth("pub", "far").await;
        let netif = Netif::requests_only().unwrap();
        netif.promote_secondaries("pub").unwrap();
        let all = some(20);
        let (kept, left) = (&all[5..], &all[..5]);
        let added = netif.add_addresses_for(&all, Duration::from_secs(2)).await;
        assert!(added.into_iter().all(|a| a.unwrap()));
        let before = list(&netif).await;
        assert!(
            before.iter().all(|a| a.1 == a.2 && (1..=2).contains(&a.2)),
            "preferred as valid: {before:?}"
        );
        let start = Instant::now();
        assert!(netif.refresh_lifetimes(kept, Duration::from_secs(60)).await.into_iter().all(|a| a.unwrap()));
        report(&format!("measured: {} lifetimes refreshed in {:?}", kept.len(), start.elapsed()));
        let after = list(&netif).await;
        let addresses = |list: &[(IpAddr, u32, u32, bool)]| list.iter().map(|a| a.0).collect::<Vec<_>>();
        assert_eq!(addresses(&before), addresses(&after), "refreshed in place");
        for (addr, preferred, valid, nodad) in after {
            let refreshed = kept.iter().any(|k| k.addr == addr);
            assert_eq!((preferred, valid > 50), (valid, refreshed), "{addr}: {valid} s");
            assert_eq!(nodad, addr.is_ipv6(), "{addr}: no duplicate address detection");
        }
        // Among those that expire is the first of the subnet.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut now = list(&netif).await;
        while now.iter().any(|a| left.iter().any(|l| l.addr == a.0)) {
            assert!(Instant::now() < deadline, "still there: {now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            now = list(&netif).await;
        }
        assert_eq!(now.len(), kept.len(), "the others stayed: {now:?}");
    });
}

#[test]
fn lifetimes_grow_with_the_number_of_addresses() {
    let policy = |gate, lease_ms| LifetimePolicy { gate, lease_time: Duration::from_millis(lease_ms) };
    for (gate, lease_ms, all, ipv6, expected) in [
        (true, 1000, 0, 0, 15),
        (true, 1000, 99, 99, 15),
        (true, 1000, 100, 0, 60),
        (true, 1000, 100, 100, 120),
        (true, 1000, 2000, 500, 300),
        (true, 60_000, 6, 0, 180),
        (true, 5001, 6, 0, 16),
        (false, 1000, 6, 0, 5),
        (false, 5000, 6, 6, 15),
        (false, 1000, 100, 100, 15),
        (false, 1000, 2000, 2000, 60),
    ] {
        assert_eq!(policy(gate, lease_ms).lifetime(all, ipv6).as_secs(), expected, "{all} {ipv6} {lease_ms}");
    }
}

/// No gate and short leases: the shortest lifetimes there are.
const SHORT: LifetimePolicy = LifetimePolicy { gate: false, lease_time: Duration::from_millis(200) };

#[test]
fn the_keeper_refreshes_what_is_kept_and_puts_nothing_back() {
    let name = "netif::tests::lifetimes::the_keeper_refreshes_what_is_kept_and_puts_nothing_back";
    in_own_network(name, async || {
        veth("pub", "far").await;
        let netif = Netif::requests_only().unwrap();
        netif.promote_secondaries("pub").unwrap();
        let all = some(20);
        let serves = Arc::new(AtomicBool::new(true));
        let may = Arc::clone(&serves);
        let keeper = Keeper::start(&netif, SHORT, move || may.load(Ordering::Relaxed));
        // As the handlers of events do it.
        for one in &all {
            NetIf::add_address(&netif, &one.iface, one.addr, one.prefix).await.unwrap();
        }
        assert!(list(&netif).await.iter().all(|a| (4..=5).contains(&a.2)), "added for 5 s");
        let (kept, left) = (&all[8..], &all[..8]);
        kept.iter().for_each(|one| keeper.keep(one.addr));
        let start = Instant::now();
        // Released one after the other, while refreshes go on.
        let (stay, go) = kept.split_at(2);
        let mut released = Vec::new();
        for one in go {
            keeper.forget(one.addr).await;
            assert!(netif.del_address(&one.iface, one.addr, one.prefix).await.unwrap(), "it was kept");
            released.push(one.addr);
            tokio::time::sleep(Duration::from_millis(400)).await;
            let now = list(&netif).await;
            assert!(now.iter().all(|a| !released.contains(&a.0)), "put back: {now:?} of {released:?}");
        }
        let mut now = list(&netif).await;
        while start.elapsed() < Duration::from_secs(7)
            || now.iter().any(|a| left.iter().any(|l| l.addr == a.0))
        {
            assert!(start.elapsed() < Duration::from_secs(20), "still there: {now:?}");
            assert!(stay.iter().all(|s| now.iter().any(|a| a.0 == s.addr)), "kept: {now:?}");
            assert!(now.iter().all(|a| a.1 == a.2), "never deprecated: {now:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            now = list(&netif).await;
        }
        // A node that may not serve refreshes nothing.
        serves.store(false, Ordering::Relaxed);
        let start = Instant::now();
        while !list(&netif).await.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        report(&format!("measured: addresses that nobody refreshes are gone after {:?}", start.elapsed()));
    });
}
