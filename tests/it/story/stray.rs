//! Story b: an address is where it should not be.

use super::one_of;
use tests::cluster::{Cluster, ClusterConfig, SOON};

#[test]
fn address_assigned_elsewhere_is_removed_here() {
    let Some(c) = Cluster::for_test("address_assigned_elsewhere_is_removed_here", &ClusterConfig::default())
    else {
        return;
    };
    c.settle(0);
    let before = c.holders();
    for (owner, here) in [(0, 1), (1, 2), (2, 0)] {
        let address = one_of(&c, owner);
        c.lab.node(here).add_address(&c.iface, address, 24).unwrap();
        c.lab.node(here).wait_address(address, false, SOON).unwrap();
        let said = c.wait_entry(here, "stray", |t| t.contains(&address.to_string()));
        assert!(said.contains(&format!("is assigned to node {owner} but is on {}", c.iface)), "{said}");
        assert!(c.log(here).contains(&said), "{}", c.log(here));
        assert_eq!(c.holder(address), owner, "the rightful holder keeps it");
        // R2-2: both say so, and with which Ethernet addresses.
        let mac = |node: usize| {
            let mac = c.lab.node(node).link_state(&c.iface).unwrap().mac;
            mac.map(|b| format!("{b:02x}")).join(":")
        };
        let both = |t: &str| {
            let parts = [format!("two holders of public address {address}"), mac(owner), mac(here)];
            parts.iter().all(|part| t.contains(part))
        };
        let said = c.wait_entry(here, "stray", both);
        assert!(said.contains("lets it go, and"), "{said}");
        let said = c.wait_entry(owner, "stray", both);
        assert!(said.contains("keeps it") && said.contains(&format!("node {here} ")), "{said}");
    }
    assert_eq!(c.holders(), before);
}

#[test]
fn address_assigned_to_nobody_is_removed() {
    let Some(c) = Cluster::for_test("address_assigned_to_nobody_is_removed", &ClusterConfig::default())
    else {
        return;
    };
    for node in 0..3 {
        let _ = c.ctdb(node, &["disable"]);
    }
    c.wait("no address anywhere", |holders| holders.values().all(Vec::is_empty));
    let address = c.addresses[3];
    c.lab.node(1).add_address(&c.iface, address, 24).unwrap();
    c.lab.node(1).wait_address(address, false, SOON).unwrap();
    let said = c.wait_entry(1, "stray", |t| t.contains(&address.to_string()));
    assert!(said.contains("is assigned to nobody"), "{said}");
    for node in 0..3 {
        let _ = c.ctdb(node, &["enable"]);
    }
    c.wait_balanced(&[0, 1, 2]);
}
