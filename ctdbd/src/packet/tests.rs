//! Frames byte by byte, and on a real wire: a veth pair in a namespace of its own.

use super::frames::announcement;
use super::{Announcements, Announcer, Claim, Series, listen};
use crate::netif::Netif;
use crate::testns::{in_own_network, set_link, veth};
use recoverd::model::PublicAddress;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn gratuitous_arp_byte_by_byte() {
    let head = |op: u8| [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, op];
    let frames = announcement(MAC, ip("10.1.2.3"));
    let request = [&[0xff; 6][..], &MAC, &head(1), &MAC, &[10, 1, 2, 3], &[0; 6], &[10, 1, 2, 3]].concat();
    let reply = [&[0xff; 6][..], &MAC, &head(2), &MAC, &[10, 1, 2, 3], &MAC, &[10, 1, 2, 3]].concat();
    assert_eq!(frames.iter().map(|f| f.bytes.clone()).collect::<Vec<_>>(), [request, reply]);
    assert!(frames.iter().all(|f| f.ethertype == 0x0806));
}

#[test]
fn unsolicited_neighbour_advertisement_byte_by_byte() {
    let frames = announcement(MAC, ip("fd00::5"));
    assert_eq!(frames.len(), 1);
    let bytes = &frames[0].bytes;
    let addr: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    let all: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let ethernet = [&[0x33, 0x33, 0, 0, 0, 1][..], &MAC, &[0x86, 0xdd]].concat();
    assert_eq!(bytes[..14], ethernet);
    assert_eq!(bytes[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255], "32 bytes of ICMPv6, hop limit 255");
    assert_eq!((&bytes[22..38], &bytes[38..54]), (&addr[..], &all[..]));
    assert_eq!((bytes[54], bytes[55]), (136, 0));
    assert_eq!(bytes[58..62], [0x20, 0, 0, 0], "override, and neither router nor solicited");
    assert_eq!(bytes[62..], [&addr[..], &[2, 1], &MAC].concat());
    // The sum over pseudo header and message, check sum included, is all ones.
    let mut sum: u32 = 32 + 58;
    for pair in bytes[22..].chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
}

/// Everything that arrives on `iface`, from now on.
fn tap(netif_index: u32) -> Socket {
    // ETH_P_ALL, in network order.
    let all = Protocol::from(i32::from(3_u16.to_be()));
    let tap = Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap();
    tap.bind(&crate::sys::packet_address(netif_index, 3).unwrap()).unwrap();
    tap.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    tap
}

/// Reads frames until one is among `wanted`; the kernel says things of its own on a new link.
fn next_of(tap: &mut Socket, wanted: &[Vec<u8>]) -> usize {
    let mut buffer = [0; 2048];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let n = tap.read(&mut buffer).expect("a frame within 5 s");
        if let Some(which) = wanted.iter().position(|w| *w == buffer[..n]) {
            return which;
        }
    }
    panic!("none of the expected frames within 5 s");
}

#[test]
fn announcements_reach_the_other_end_of_the_wire() {
    in_own_network("packet::tests::announcements_reach_the_other_end_of_the_wire", || async {
        veth("pub", "far").await;
        let netif = Netif::requests_only().unwrap();
        let mac = netif.hardware("pub").await.unwrap().mac.unwrap();
        let mut tap = tap(netif.hardware("far").await.unwrap().index);
        let announcer = Announcer::open(netif).unwrap();
        for addr in [ip("10.1.2.3"), ip("fd00::5")] {
            announcer.announce("pub", addr).await.unwrap();
            for frame in announcement(mac, addr) {
                next_of(&mut tap, &[frame.bytes]);
            }
        }
        // No ARP on the loopback interface: nothing to say, and nothing wrong with that.
        announcer.announce("lo", ip("10.1.2.3")).await.unwrap();
        let missing = announcer.announce("nope", ip("10.1.2.3")).await.unwrap_err().to_string();
        assert!(
            missing.starts_with("cannot announce 10.1.2.3: cannot read the Ethernet address on nope: ENODEV")
        );
        set_link("pub", false).await;
        let down = announcer.announce("pub", ip("10.1.2.3")).await.unwrap_err().to_string();
        assert!(down.contains("on pub: Network is down"), "{down}");
        let all = announcer
            .announce_all(&[("lo".to_owned(), ip("10.0.0.1")), ("pub".to_owned(), ip("10.0.0.2"))])
            .await;
        assert_eq!(all.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    });
}

/// R2-2: whoever else has one of our addresses is heard, whoever has another one does not wake anybody.
#[test]
fn others_who_have_our_addresses_are_heard() {
    in_own_network("packet::tests::others_who_have_our_addresses_are_heard", || async {
        veth("pub", "far").await;
        let of = |addr: &str| PublicAddress { addr: ip(addr), prefix: 24, ifaces: vec!["pub".into()] };
        let (public, seen) = watch::channel(Arc::from(vec![of("10.0.0.1"), of("fd00::1")]));
        let (claims, mut heard) = mpsc::unbounded_channel();
        listen(seen, claims).unwrap();
        let netif = Netif::requests_only().unwrap();
        let mac = netif.hardware("far").await.unwrap().mac.unwrap();
        let announcer = Announcer::open(netif).unwrap();
        // Not ours, ours, and ours again, which is told once.
        for addr in ["10.0.0.2", "10.0.0.1", "10.0.0.1"] {
            announcer.announce("far", ip(addr)).await.unwrap();
        }
        let claim = |last: u8| Claim { addr: [10, 0, 0, last].into(), mac, node: None };
        let next = async |heard: &mut mpsc::UnboundedReceiver<Claim>| {
            tokio::time::timeout(Duration::from_secs(20), heard.recv())
                .await
                .expect("nothing is heard")
                .unwrap()
        };
        assert_eq!(next(&mut heard).await, claim(1));
        public.send_replace(Arc::from(vec![of("10.0.0.2")]));
        let begin = Instant::now();
        while heard.is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(20), "a new address is never listened for");
            announcer.announce("far", ip("10.0.0.2")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(next(&mut heard).await, claim(2));
    });
}

#[test]
fn a_series_is_sent_in_full_and_ends_when_stopped() {
    in_own_network("packet::tests::a_series_is_sent_in_full_and_ends_when_stopped", || async {
        veth("pub", "far").await;
        let netif = Netif::requests_only().unwrap();
        let mac = netif.hardware("pub").await.unwrap().mac.unwrap();
        let mut tap = tap(netif.hardware("far").await.unwrap().index);
        let series = Announcements::new(Arc::new(Announcer::open(netif).unwrap()));
        let request = |addr: &str| announcement(mac, ip(addr))[0].bytes.clone();
        let (short, long, last) = (request("10.0.0.1"), request("10.0.0.2"), request("10.0.0.3"));
        let every = Duration::from_millis(30);
        let times = |count: u32| Series { count, every, rate: 0 };
        let start = Instant::now();
        series.start("pub", ip("10.0.0.1"), times(3), || ());
        series.start("pub", ip("10.0.0.2"), times(1000), || ());
        for _ in 0..3 {
            next_of(&mut tap, std::slice::from_ref(&short));
        }
        assert!(start.elapsed() >= every * 2, "two pauses lie between three announcements");
        series.stop(ip("10.0.0.2"));
        tokio::time::sleep(every).await;
        // Behind a mark, nothing of either series follows while three more would have been due.
        series.start("pub", ip("10.0.0.3"), times(1), || ());
        while next_of(&mut tap, &[short.clone(), long.clone(), last.clone()]) != 2 {}
        series.start("pub", ip("10.0.0.3"), times(4), || ());
        for _ in 0..4 {
            assert_eq!(next_of(&mut tap, &[short.clone(), long.clone(), last.clone()]), 2);
        }
    });
}
