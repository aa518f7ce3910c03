//! Story g: IPv6 addresses go the same way.

use super::{BOUND, STAMPS, assert_undisturbed, measure, one_of, recorded};
use tests::cluster::{Cluster, SOON};

#[test]
fn ipv6_addresses_are_served_move_and_are_repaired() {
    let mut config = recorded();
    config.addresses =
        ["fd00:a::31/64", "fd00:a::32/64", "fd00:a::33/64", "10.0.0.31/24", "10.0.0.32/24", "10.0.0.33/24"]
            .map(str::to_owned)
            .to_vec();
    let Some(c) = Cluster::for_test("ipv6_addresses_are_served", &config) else { return };
    let probe = c.probe();
    let v6 = |node| c.of(node).into_iter().filter(std::net::IpAddr::is_ipv6).collect::<Vec<_>>();
    let node = (0..3).find(|n| !v6(*n).is_empty()).unwrap();
    let others: Vec<usize> = (0..3).filter(|n| *n != node).collect();
    let moved = c.of(node);
    // The client's neighbour cache is not touched here: only an unsolicited advertisement can tell it.
    let mark = probe.mark("disable, IPv6");
    let _ = c.ctdb(node, &["disable"]);
    measure(&probe, &mark, &moved, BOUND);
    assert_undisturbed(&probe, &mark, c.addresses.iter().copied().filter(|a| !moved.contains(a)));
    c.wait_balanced(&others);
    for address in moved.iter().filter(|a| a.is_ipv6()) {
        let taker = c.holder(*address);
        probe.wait_answers_from(*address, u16::try_from(taker).unwrap(), SOON).unwrap();
        let seen = super::record(&c, taker);
        assert!(seen.contains(&format!("takeip {} {address} 64", c.iface)), "{seen:?}");
    }
    let _ = c.ctdb(node, &["enable"]);
    c.wait_balanced(&[0, 1, 2]);
    c.settle(node);
    let holder = (0..3).find(|n| !v6(*n).is_empty()).unwrap();
    let address = v6(holder)[0];
    let to = (holder + 1) % 3;
    let mark = probe.mark("moveip, IPv6");
    let _ = c.ctdb(0, &["moveip", &address.to_string(), &to.to_string()]);
    assert_eq!(c.holder(address), to);
    measure(&probe, &mark, &[address], BOUND);
    assert_eq!(c.overlaps(0, STAMPS), [] as [String; 0]);
    let mark = probe.mark("removed by hand, IPv6");
    c.lab.node(to).del_address(&c.iface, address).unwrap();
    c.lab.node(to).wait_address(address, true, SOON).unwrap();
    measure(&probe, &mark, &[address], BOUND);
    c.wait_entry(to, "repair", |t| t.contains(&format!("put {address} back")));
    let stray = one_of(&c, to);
    let bits = if stray.is_ipv6() { 64 } else { 24 };
    c.lab.node(holder).add_address(&c.iface, stray, bits).unwrap();
    c.lab.node(holder).wait_address(stray, false, SOON).unwrap();
}
