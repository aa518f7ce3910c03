//! Lines of configuration files, connections, statistics.

use super::{addr, pnn, text};
use proptest::collection::vec;
use proptest::prelude::*;
use recoverd::connections::ConnectionUpdate;
use recoverd::model::{Connection, PublicAddress};
use recoverd::node::NodeConfig;
use recoverd::view::{CounterRow, LatencyRow, StatisticsView};
use std::net::{IpAddr, SocketAddr};

pub(super) fn public_address() -> impl Strategy<Value = PublicAddress> {
    (addr(), any::<u8>(), vec(text(), 1..3)).prop_map(|(addr, bits, ifaces)| {
        let prefix = 1 + bits % if addr.is_ipv4() { 32 } else { 128 };
        PublicAddress { addr, prefix, ifaces }
    })
}

pub(super) fn node_line() -> impl Strategy<Value = NodeConfig> {
    (addr(), any::<bool>()).prop_map(|(addr, deleted)| NodeConfig { addr, deleted })
}

pub(super) fn connection() -> impl Strategy<Value = Connection> {
    let ends = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|ends| ends.map(IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|ends| ends.map(IpAddr::from)),
    ];
    (ends, any::<[u16; 2]>()).prop_map(|([client, server], [from, to])| Connection {
        client: SocketAddr::new(client, from),
        server: SocketAddr::new(server, to),
    })
}

pub(super) fn connection_update() -> impl Strategy<Value = ConnectionUpdate> {
    (addr(), pnn(), any::<bool>(), vec(connection(), 0..3), vec(connection(), 0..3))
        .prop_map(|(addr, server, reset, add, remove)| ConnectionUpdate { addr, server, reset, add, remove })
}

pub(super) fn statistics() -> impl Strategy<Value = StatisticsView> {
    let counter =
        (text(), text(), any::<u64>()).prop_map(|(group, name, value)| CounterRow { group, name, value });
    let latency = (text(), any::<[u64; 4]>()).prop_map(|(name, [count, min_us, max_us, total_us])| {
        LatencyRow { name, count, min_us, max_us, total_us }
    });
    (any::<i64>(), any::<i64>(), vec(counter, 0..3), vec(latency, 0..3)).prop_map(
        |(since_us, now_us, counters, latencies)| StatisticsView { since_us, now_us, counters, latencies },
    )
}
