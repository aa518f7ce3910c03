//! Real connections in a network of their own: both ends are local, with different addresses.

use super::{Ender, end_all, find};
use crate::netif::Netif;
use crate::testns::{in_own_network, report, set_link};
use conn::{Diag, Sender, reset};
use recoverd::connections::canonical;
use recoverd::model::Connection;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Address of the client and of the server.
const PAIRS: [(&str, &str); 2] = [("10.1.0.9", "10.1.0.31"), ("fd00::9", "fd00::31")];

/// Client's and server's end of a connection.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    connection: Connection,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A network with these addresses.
async fn network() {
    set_link("lo", true).await;
    let netif = Netif::requests_only().unwrap();
    for addr in PAIRS.iter().flat_map(|(c, s)| [ip(c), ip(s)]) {
        netif.add_address("lo", addr, if addr.is_ipv4() { 32 } else { 128 }).await.unwrap();
    }
}

/// A dual-stack service, as most are.
fn service() -> TcpListener {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 445)).into()).unwrap();
    socket.listen(64).unwrap();
    socket.into()
}

fn connect(service: &TcpListener, from: &str, to: &str) -> Pair {
    let began = Instant::now();
    let client: TcpStream = loop {
        let from = SocketAddr::new(ip(from), 0);
        let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
        let connected =
            socket.bind(&from.into()).and_then(|()| socket.connect(&SocketAddr::new(ip(to), 445).into()));
        match connected {
            Ok(()) => break socket.into(),
            // The kernel adds the route of an IPv6 address a little later than the address.
            Err(e) => assert!(began.elapsed() < Duration::from_secs(5), "from {from} to {to}: {e}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (server, peer) = service.accept().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let connection = canonical(Connection { client: peer, server: server.local_addr().unwrap() });
    Pair { client, server, connection }
}

/// How a read at this end of a connection fails.
fn fate(mut end: &TcpStream) -> ErrorKind {
    end.read(&mut [0; 8]).map(|n| panic!("read {n} bytes")).unwrap_err().kind()
}

/// What the kernel has between two addresses.
fn in_kernel() -> BTreeSet<Connection> {
    Diag::open().unwrap().connections().unwrap().into_iter().map(|f| f.connection).collect()
}

#[test]
fn connections_to_an_address_are_destroyed_and_no_others() {
    in_own_network("conn::tests::connections_to_an_address_are_destroyed_and_no_others", || async {
        network().await;
        let service = service();
        for (n, (from, to)) in PAIRS.into_iter().enumerate() {
            let (one, two) = (connect(&service, from, to), connect(&service, from, to));
            let other = PAIRS[1 - n];
            let bystander = connect(&service, other.0, other.1);
            let both = BTreeSet::from([one.connection, two.connection]);
            assert!(both.is_subset(&in_kernel()), "{both:?} in {:?}", in_kernel());
            let found = find(BTreeSet::new()).await.unwrap();
            assert!(both.iter().all(|c| found.contains(c)), "{both:?} in {found:?}");
            let began = Instant::now();
            let ended: BTreeSet<Connection> = Ender::default().end(ip(to)).await.into_iter().collect();
            assert_eq!(ended, both);
            report(&format!("measured: two connections to {to} destroyed in {:?}", began.elapsed()));
            assert!(both.is_disjoint(&in_kernel()), "half open: {:?}", in_kernel());
            for pair in [&one, &two] {
                assert_eq!(fate(&pair.client), ErrorKind::ConnectionReset, "the client is told");
                assert_eq!(fate(&pair.server), ErrorKind::ConnectionAborted, "and so is the service");
            }
            assert!(in_kernel().contains(&bystander.connection));
            // The service goes on.
            let again = connect(&service, from, to);
            assert!(in_kernel().contains(&again.connection));
            assert_eq!(end_all(&[ip(to)].into()), [again.connection]);
        }
    });
}

#[test]
fn connections_to_absent_addresses_are_ended_by_a_look() {
    in_own_network("conn::tests::connections_to_absent_addresses_are_ended_by_a_look", || async {
        network().await;
        let service = service();
        let (from, to) = PAIRS[0];
        let pair = connect(&service, from, to);
        let netif = Netif::requests_only().unwrap();
        netif.del_address("lo", ip(to), 32).await.unwrap();
        assert!(find(BTreeSet::new()).await.unwrap().contains(&pair.connection));
        find([ip(to)].into()).await.unwrap();
        assert!(!in_kernel().contains(&pair.connection));
        assert_eq!(fate(&pair.server), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn without_sock_destroy_both_ends_are_reset_by_packets() {
    in_own_network("conn::tests::without_sock_destroy_both_ends_are_reset_by_packets", || async {
        network().await;
        let service = service();
        let pairs: Vec<Pair> = PAIRS.iter().map(|(from, to)| connect(&service, from, to)).collect();
        let (from, to) = PAIRS[0];
        let bystander = connect(&service, from, to);
        let connections: Vec<Connection> = pairs.iter().map(|p| p.connection).collect();
        let began = Instant::now();
        let deaf = reset(&mut Sender::default(), &connections, Duration::from_secs(5)).unwrap();
        report(&format!("measured: {} connections reset by packets in {:?}", pairs.len(), began.elapsed()));
        assert_eq!(deaf, []);
        for pair in &pairs {
            assert_eq!(fate(&pair.client), ErrorKind::ConnectionReset, "{}", pair.connection);
            assert_eq!(fate(&pair.server), ErrorKind::ConnectionReset, "{}", pair.connection);
            assert!(!in_kernel().contains(&pair.connection));
        }
        assert!(in_kernel().contains(&bystander.connection));
        // A client that is gone costs no more than the time allowed.
        let gone = Connection { client: SocketAddr::new(ip("10.1.0.77"), 1), ..connections[0] };
        let limit = Duration::from_millis(50);
        assert!(reset(&mut Sender::default(), &[gone], limit).map_or(true, |deaf| deaf == [gone]));
    });
}

#[test]
fn many_addresses_without_clients_are_let_go_with_few_looks() {
    in_own_network("conn::tests::many_addresses_without_clients_are_let_go_with_few_looks", || async {
        network().await;
        let ender = Ender::default();
        for count in [1_u8, 250] {
            let began = Instant::now();
            let tasks: Vec<_> = (0..count)
                .map(|n| {
                    let ender = ender.clone();
                    tokio::spawn(async move { ender.end(IpAddr::from([10, 2, 0, n])).await })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            report(&format!("measured: {count} addresses without clients let go in {:?}", began.elapsed()));
        }
    });
}
