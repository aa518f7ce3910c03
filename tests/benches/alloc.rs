//! Speed of the allocation engine at scale: `cargo bench -p tests --bench alloc`.
//!
//! Layout and situations are those of `../shared/conformance/SCALE.md`, so that figures stand beside the reference's: addresses in max(4, n/100)
//! subnets, filled round robin, every address hostable everywhere. *cold*: nothing assigned. *down*: from the cold result,
//! node N/2 becomes unhealthy. *join*: from a cold result made with the last node unhealthy, then all healthy.

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use recoverd::alloc::{AddrState, Algorithm, NodeSet, Problem, allocate};
use recoverd::model::Pnn;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const SIZES: [(u32, u32); 5] = [(4, 100), (16, 256), (32, 1000), (64, 2000), (128, 10_000)];
const SITUATIONS: [&str; 3] = ["cold", "down", "join"];

fn addresses(count: u32, v6: bool) -> Vec<IpAddr> {
    let subnets = (count / 100).max(4);
    let addr = |i: u32| match (i % subnets + 1, i / subnets) {
        (net, host) if v6 => {
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, net as u16, 0, 0, 0, 0x10 + host as u16))
        }
        (net, host) => IpAddr::V4(Ipv4Addr::new(10, 20, net as u8, 10 + host as u8)),
    };
    (0..count).map(addr).collect()
}

fn healthy_but(nodes: u32, unhealthy: Option<u32>) -> NodeSet {
    (0..nodes).filter(|n| Some(*n) != unhealthy).map(Pnn).collect()
}

fn cold(algorithm: Algorithm, nodes: u32, addrs: &[IpAddr], unhealthy: Option<u32>) -> Problem {
    let available = healthy_but(nodes, unhealthy);
    let state = |addr: &IpAddr| AddrState { addr: *addr, owner: None, available: available.clone() };
    Problem { algorithm, num_nodes: nodes, addrs: addrs.iter().map(state).collect(), ..Problem::default() }
}

/// The problem after `before` was solved, with another set of healthy nodes.
fn then(before: &Problem, unhealthy: Option<u32>) -> Problem {
    let mut p = before.clone();
    p.addrs = allocate(before)
        .owners
        .iter()
        .map(|a| AddrState { addr: a.addr, owner: a.to, available: healthy_but(p.num_nodes, unhealthy) })
        .collect();
    p
}

fn situation(name: &str, algorithm: Algorithm, nodes: u32, addrs: &[IpAddr]) -> Problem {
    match name {
        "cold" => cold(algorithm, nodes, addrs, None),
        "down" => then(&cold(algorithm, nodes, addrs, None), Some(nodes / 2)),
        _ => then(&cold(algorithm, nodes, addrs, Some(nodes - 1)), None),
    }
}

fn bench(c: &mut Criterion, algorithm: Algorithm, families: &[(&str, bool)]) {
    let mut group = c.benchmark_group(algorithm.to_string());
    group.sample_size(10).sampling_mode(SamplingMode::Flat).nresamples(1000);
    group.warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(200));
    for (nodes, count) in SIZES {
        for (family, v6) in families {
            for name in SITUATIONS {
                let problem = situation(name, algorithm, nodes, &addresses(count, *v6));
                let id = BenchmarkId::new(format!("{nodes}x{count}"), format!("{family}/{name}"));
                group.bench_with_input(id, &problem, |b, p| b.iter(|| black_box(allocate(p))));
            }
        }
    }
    group.finish();
}

fn all(c: &mut Criterion) {
    bench(c, Algorithm::Lcp2, &[("v4", false), ("v6", true)]);
    for algorithm in [Algorithm::Deterministic, Algorithm::NonDeterministic, Algorithm::MinimalMove] {
        bench(c, algorithm, &[("v4", false)]);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
