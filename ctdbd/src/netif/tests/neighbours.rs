//! Neighbours that were asked for in vain while a link was down.

use super::{ip, until};
use crate::netif::Netif;
use crate::testns::{in_own_network, report, set_link, veth};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// The states of the neighbours 10.9.0.77 and fd09::77.
async fn states(netif: &Netif) -> Vec<NeighbourState> {
    let ours = |message: &RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewNeighbour(entry) = message else { return None };
        let known = entry.attributes.iter().any(|a| match a {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => a.octets() == [10, 9, 0, 77],
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(a)) => a.segments()[7] == 0x77,
            _ => false,
        });
        // On `lo` the kernel notes who has no route.
        (known && entry.header.state != NeighbourState::Noarp).then_some(entry.header.state)
    };
    netif.list_neighbours().await.unwrap().iter().filter_map(ours).collect()
}

#[test]
fn whoever_could_not_be_asked_is_forgotten_before_the_link_is_told_of() {
    let name = "netif::tests::neighbours::whoever_could_not_be_asked_is_forgotten_before_the_link_is_told_of";
    in_own_network(name, || async {
        veth("pub", "far").await;
        let (netif, mut watch) = Netif::open().await.unwrap();
        until(&mut watch, "both ends up", |s| s.link_up("pub") && s.link_up("far")).await;
        netif.add_address("pub", ip("10.9.0.1"), 24).await.unwrap();
        netif.add_address("pub", ip("fd09::1"), 64).await.unwrap();
        set_link("far", false).await;
        until(&mut watch, "no carrier", |s| !s.link_up("pub")).await;
        for (from, to) in [("10.9.0.1:0", "10.9.0.77:9"), ("[fd09::1]:0", "[fd09::77]:9")] {
            // The kernel may say at once that nobody is there: asking is what counts.
            let _ = UdpSocket::bind(from).unwrap().send_to(b"reply", to);
        }
        let start = Instant::now();
        let mut before = states(&netif).await;
        while before.len() < 2 {
            assert!(start.elapsed() < Duration::from_secs(5), "no neighbours are asked for: {before:?}");
            before = states(&netif).await;
        }
        assert!(
            before.iter().all(|s| matches!(s, NeighbourState::Incomplete | NeighbourState::Failed)),
            "{before:?}"
        );
        set_link("far", true).await;
        until(&mut watch, "both ends up", |s| s.link_up("pub") && s.link_up("far")).await;
        assert_eq!(states(&netif).await, [], "when the link is told of");
        let start = Instant::now();
        assert_eq!(netif.forget_unanswered(&[u32::MAX]).await.unwrap(), 0);
        report(&format!("measured: a look at the neighbours in {:?}", start.elapsed()));
    });
}
