//! On real interfaces, each test in a network namespace of its own.

mod lifetimes;
mod neighbours;

use super::mirror::Mirror;
use super::{Change, Netif, NetifError, OnIface, Update, Watch};
use crate::testns::{delete_link, in_own_network, report, set_link, veth};
use eventscripts::NetIfError;
use futures_util::StreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use recoverd::model::KernelState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn nth(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    Ipv4Addr::new(10, 9, high, low).into()
}

fn many(iface: &str, n: u16) -> Vec<OnIface> {
    (1..=n).map(|n| OnIface { iface: iface.to_owned(), addr: nth(n), prefix: 16 }).collect()
}

/// Collects updates until `done` holds of the state.
async fn until(watch: &mut Watch, what: &str, done: impl Fn(&KernelState) -> bool) -> (Vec<Change>, u32) {
    let (mut changes, mut updates) = (Vec::new(), 0);
    let wait = async {
        while !done(&watch.state()) {
            let Some(Update { changes: new, .. }) = watch.next().await else { return };
            changes.extend(new);
            updates += 1;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), wait).await.is_ok();
    assert!(in_time, "waited 10 s for {what}; now {:?}", watch.state());
    (changes, updates)
}

fn link(index: u32, name: &str, family: AddressFamily) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.interface_family = family;
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    message
}

#[test]
fn a_bridge_port_that_leaves_its_bridge_and_a_renamed_link_are_still_links() {
    let (mut mirror, mut changes) = (Mirror::default(), Vec::new());
    let mut address = AddressMessage::default();
    (address.header.index, address.header.prefix_len) = (7, 24);
    address.attributes.push(AddressAttribute::Local(ip("10.0.0.1")));
    for message in [
        RouteNetlinkMessage::NewLink(link(7, "eth0", AddressFamily::Unspec)),
        RouteNetlinkMessage::NewAddress(address.clone()),
        RouteNetlinkMessage::DelLink(link(7, "eth0", AddressFamily::Bridge)),
        RouteNetlinkMessage::NewLink(link(7, "wan", AddressFamily::Unspec)),
    ] {
        assert!(mirror.apply(&message, &mut changes));
    }
    let state = mirror.state();
    assert_eq!(state.links.keys().collect::<Vec<_>>(), ["wan"]);
    assert_eq!(state.places(ip("10.0.0.1"))[0].iface, "wan");
    // An address on a link that nobody announced: something was missed.
    address.header.index = 8;
    assert!(!mirror.apply(&RouteNetlinkMessage::NewAddress(address), &mut changes));
}

/// Waits until the mirror says what the kernel says. Link-local addresses come of themselves some time after their link.
async fn agree(netif: &Netif, watch: &mut Watch) {
    let start = Instant::now();
    while *watch.state() != netif.observe().await.unwrap() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the mirror and the kernel still differ after 10 s"
        );
        let _nothing_new = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
    }
}

/// Those of the addresses that tests made.
fn ours(changes: &[Change]) -> usize {
    let is_ours = |change: &&Change| match change {
        Change::AddressAdded { addr, .. } | Change::AddressRemoved { addr, .. } => addr.is_ipv4(),
        Change::LinkChanged { .. } => false,
    };
    changes.iter().filter(is_ours).count()
}

#[test]
fn addresses_are_added_and_deleted_twice_without_harm() {
    in_own_network("netif::tests::addresses_are_added_and_deleted_twice_without_harm", || async {
        veth("pub.1", "far").await;
        let netif = Netif::requests_only().unwrap();
        for (addr, prefix) in [(ip("10.1.2.3"), 24), (ip("10.1.2.4"), 32), (ip("fd00::1"), 64)] {
            assert!(netif.add_address("pub.1", addr, prefix).await.unwrap(), "{addr} was not there");
            assert!(!netif.add_address("pub.1", addr, prefix).await.unwrap(), "{addr} was there");
            let state = netif.observe().await.unwrap();
            let places = state.places(addr);
            assert_eq!((places.len(), places[0].iface.as_str(), places[0].prefix), (1, "pub.1", prefix));
            assert!(netif.del_address("pub.1", addr, prefix).await.unwrap(), "{addr} was there");
            assert!(!netif.del_address("pub.1", addr, prefix).await.unwrap(), "{addr} was not there");
            assert!(netif.observe().await.unwrap().places(addr).is_empty());
        }
    });
}

#[test]
fn an_ipv6_address_is_usable_at_once_and_ipv4_has_its_broadcast() {
    in_own_network("netif::tests::an_ipv6_address_is_usable_at_once_and_ipv4_has_its_broadcast", || async {
        veth("pub", "far").await;
        let netif = Netif::requests_only().unwrap();
        let v6: Ipv6Addr = "fd00::7".parse().unwrap();
        netif.add_address("pub", v6.into(), 64).await.unwrap();
        tokio::net::TcpListener::bind((v6, 0)).await.expect("bind fails on a tentative address");
        netif.add_address("pub", ip("10.1.2.3"), 24).await.unwrap();
        netif.add_address("pub", ip("10.1.3.3"), 32).await.unwrap();
        let mut broadcasts = Vec::new();
        for message in netif.list_addresses().await.unwrap() {
            let RouteNetlinkMessage::NewAddress(message) = message else { continue };
            broadcasts.extend(message.attributes.into_iter().filter_map(|a| match a {
                AddressAttribute::Broadcast(broadcast) => Some(broadcast),
                _ => None,
            }));
        }
        assert_eq!(broadcasts, [Ipv4Addr::new(10, 1, 2, 255)], "of the /24 only");
    });
}

#[test]
fn errors_name_request_object_and_remedy() {
    in_own_network("netif::tests::errors_name_request_object_and_remedy", || async {
        veth("pub", "far").await;
        let netif = Netif::requests_only().unwrap();
        let missing = netif.add_address("nope", ip("10.0.0.1"), 24).await.unwrap_err();
        assert_eq!(
            missing.to_string(),
            "cannot add address 10.0.0.1/24 on nope: ENODEV (No such device); there is no such interface now: \
             compare public_addresses with `ip link`"
        );
        assert!(
            matches!(NetIfError::from(missing), NetIfError::NoInterface { iface, .. } if iface == "nope")
        );
        let bad = netif.add_address("pub", ip("10.0.0.1"), 77).await.unwrap_err();
        assert!(matches!(bad, NetifError::Refused { errno: Errno::EINVAL, .. }), "{bad}");
        assert!(netif.promote_secondaries("../all").unwrap_err().to_string().contains("cannot be the name"));
        assert!(netif.hardware("nope").await.unwrap_err().to_string().contains("on nope: ENODEV"));
        // One failure in a batch leaves the others alone.
        let mut batch = many("pub", 3);
        batch[1].prefix = 77;
        batch.push(OnIface { iface: "nope".to_owned(), addr: nth(4), prefix: 16 });
        let ok: Vec<bool> = netif.add_addresses(&batch).await.iter().map(Result::is_ok).collect();
        assert_eq!(ok, [true, false, true, false]);
    });
}

#[test]
fn deleting_the_first_address_of_a_subnet_keeps_the_others() {
    in_own_network("netif::tests::deleting_the_first_address_of_a_subnet_keeps_the_others", || async {
        veth("pub.7", "far").await;
        let netif = Netif::requests_only().unwrap();
        match netif.promote_secondaries("pub.7") {
            Err(NetifError::Sysctl { source, .. }) if source.raw_os_error() == Some(Errno::EROFS as i32) => {
                report(
                    "skipped: deleting_the_first_address_of_a_subnet_keeps_the_others: needs a writable /proc/sys",
                );
                return;
            }
            other => other.unwrap(),
        }
        netif.add_addresses(&many("pub.7", 3)).await.into_iter().for_each(|r| assert!(r.unwrap()));
        netif.del_address("pub.7", nth(1), 16).await.unwrap();
        let state = netif.observe().await.unwrap();
        assert_eq!(state.places(nth(2)).len() + state.places(nth(3)).len(), 2, "{state:?}");
    });
}

#[test]
fn the_watch_tells_of_addresses_and_links() {
    in_own_network("netif::tests::the_watch_tells_of_addresses_and_links", || async {
        let (netif, mut watch) = Netif::open().await.unwrap();
        veth("pub", "far").await;
        until(&mut watch, "both ends up", |s| s.link_up("pub") && s.link_up("far")).await;
        netif.add_address("pub", nth(1), 16).await.unwrap();
        let added = Change::AddressAdded { iface: "pub".to_owned(), addr: nth(1), prefix: 16 };
        let (changes, _) = until(&mut watch, "the address", |s| !s.places(nth(1)).is_empty()).await;
        assert!(changes.contains(&added), "{changes:?}");
        netif.del_address("pub", nth(1), 16).await.unwrap();
        let removed = Change::AddressRemoved { iface: "pub".to_owned(), addr: nth(1), prefix: 16 };
        let (changes, _) = until(&mut watch, "its removal", |s| s.places(nth(1)).is_empty()).await;
        assert!(changes.contains(&removed), "{changes:?}");
        // The far end down takes the carrier of the near one, which stays set up.
        set_link("far", false).await;
        let down = Change::LinkChanged { iface: "pub".to_owned(), up: false };
        let (changes, _) = until(&mut watch, "no carrier", |s| !s.link_up("pub")).await;
        assert!(changes.contains(&down) && watch.state().links["pub"].admin_up, "{changes:?}");
        netif.add_address("pub", nth(2), 16).await.unwrap();
        delete_link("pub").await;
        let (changes, _) = until(&mut watch, "no link", |s| !s.links.contains_key("pub")).await;
        assert!(
            changes.contains(&Change::AddressRemoved { iface: "pub".to_owned(), addr: nth(2), prefix: 16 }),
            "{changes:?}"
        );
        agree(&netif, &mut watch).await;
    });
}

#[test]
fn a_thousand_addresses_are_added_in_one_go_and_told_in_few_updates() {
    in_own_network(
        "netif::tests::a_thousand_addresses_are_added_in_one_go_and_told_in_few_updates",
        || async {
            veth("pub", "far").await;
            let (netif, mut watch) = Netif::open().await.unwrap();
            netif.promote_secondaries("pub").unwrap();
            let batch = many("pub", 1000);
            let start = Instant::now();
            let adding = tokio::spawn({
                let (netif, batch) = (netif.clone(), batch.clone());
                async move {
                    let results = netif.add_addresses(&batch).await;
                    (results, start.elapsed())
                }
            });
            let (changes, updates) =
                until(&mut watch, "all", |s| batch.iter().all(|b| !s.places(b.addr).is_empty())).await;
            let told = start.elapsed();
            let (results, added) = adding.await.unwrap();
            assert!(results.into_iter().all(|r| r.unwrap()));
            assert_eq!(ours(&changes), 1000);
            assert!(updates <= 200, "{updates} updates for 1000 addresses");
            agree(&netif, &mut watch).await;
            let start = Instant::now();
            netif.observe().await.unwrap();
            let observed = start.elapsed();
            let single = Instant::now();
            let ones = many("pub", 1300).split_off(1000);
            let each = ones.iter().map(|o| netif.add_address(&o.iface, o.addr, o.prefix));
            futures_util::future::join_all(each).await.into_iter().for_each(|r| assert!(r.unwrap()));
            let single = single.elapsed();
            agree(&netif, &mut watch).await;
            let start = Instant::now();
            netif.del_addresses(&batch).await.into_iter().for_each(|r| assert!(r.unwrap()));
            let deleted = start.elapsed();
            let gone = |s: &KernelState| batch.iter().all(|b| s.places(b.addr).is_empty());
            let (changes, _) = until(&mut watch, "none", gone).await;
            let first_of_subnet =
                Change::AddressRemoved { iface: "pub".to_owned(), addr: nth(1), prefix: 16 };
            assert_eq!(changes.iter().position(|c| *c == first_of_subnet), Some(999), "secondaries go first");
            report(&format!(
                "measured: 1000 adds in a batch {added:?}, all told after {told:?} in {updates} updates; observe {observed:?}; \
             300 adds by 300 callers {single:?}; 1000 deletes {deleted:?}"
            ));
        },
    );
}

#[test]
fn an_address_removed_by_hand_is_repaired_at_once() {
    in_own_network("netif::tests::an_address_removed_by_hand_is_repaired_at_once", || async {
        veth("pub", "far").await;
        let (netif, mut watch) = Netif::open().await.unwrap();
        let other = Netif::requests_only().unwrap();
        let mut took = Vec::new();
        for _ in 0..200 {
            netif.add_address("pub", nth(1), 16).await.unwrap();
            until(&mut watch, "the address", |s| !s.places(nth(1)).is_empty()).await;
            let start = Instant::now();
            other.del_address("pub", nth(1), 16).await.unwrap();
            until(&mut watch, "its removal", |s| s.places(nth(1)).is_empty()).await;
            assert!(netif.add_address("pub", nth(1), 16).await.unwrap());
            took.push(start.elapsed());
            until(&mut watch, "the address", |s| !s.places(nth(1)).is_empty()).await;
        }
        took.sort();
        report(&format!(
            "measured: removal seen and repaired: median {:?}, worst {:?}",
            took[100], took[199]
        ));
    });
}

#[test]
fn lost_notifications_are_made_up_for() {
    in_own_network("netif::tests::lost_notifications_are_made_up_for", || async {
        veth("pub", "far").await;
        let (netif, mut watch) = Netif::open().await.unwrap();
        netif.promote_secondaries("pub").unwrap();
        // As after an overrun: what was told is gone, what is known is old.
        let batch = many("pub", 5);
        netif.add_addresses(&batch).await;
        watch.notifications =
            Box::pin(futures_util::stream::iter([overrun()]).chain(futures_util::stream::pending()));
        let update = tokio::time::timeout(Duration::from_secs(5), watch.next()).await.unwrap().unwrap();
        assert_eq!(ours(&update.changes), 5, "{:?}", update.changes);
        assert!(batch.iter().all(|b| update.state.places(b.addr).len() == 1));
        drop(update);
        netif.del_addresses(&batch[..2]).await;
        assert_eq!(ours(&watch.resync().await.unwrap().unwrap().changes), 2);
        assert_eq!(watch.resync().await.unwrap().map_or(0, |u| ours(&u.changes)), 0);
        assert_eq!(Arc::strong_count(&watch.state()), 2, "nobody else holds the state");
    });
}

fn overrun() -> super::watch::Notification {
    use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
    let message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::Overrun(Vec::new()));
    (message, netlink_sys::SocketAddr::new(0, 0))
}
