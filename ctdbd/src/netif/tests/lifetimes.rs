//! Lifetimes of addresses, on a real interface.

use crate::netif::{Netif, OnIface, lifetime_for};
use crate::testns::{in_own_network, report, veth};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
fn lifetimes_grow_with_the_number_of_ipv6_addresses() {
    assert_eq!([0, 99, 100, 500, 2000].map(|n| lifetime_for(n).as_secs()), [60, 60, 120, 300, 300]);
}
