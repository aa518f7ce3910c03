//! Two holders of one address, for people: both Ethernet addresses in the journals of both (field report R2, acceptance line R2-2).
//!
//! Who has to let go is decided by `recoverd` and done at once; nothing here delays it. The node that had an address of another asks by
//! ARP who else answers ([`Driver::ask_holder`]); the rightful holder hears it ask, or hears anybody else who claims the address
//! ([`Driver::on_claim`]).

use super::Driver;
use crate::packet::{Claim, mac_text, mark};
use nix::ifaddrs::getifaddrs;
use recoverd::action::Kind;
use recoverd::model::Pnn;
use serde_json::json;
use std::net::IpAddr;

impl Driver {
    /// An address of another was found here and is being removed: who else has it?
    pub(super) fn ask_holder(&self, iface: String, addr: IpAddr) {
        let IpAddr::V4(v4) = addr else { return };
        let (journal, me) = (self.journal.clone(), self.node.pnn());
        tokio::task::spawn_blocking(move || {
            let own = macs(Some(&iface)).pop();
            let others = match lvs::doctor::who_has(&iface, v4, mark(me)) {
                Ok(others) => others,
                Err(e) => return tracing::warn!("nobody could be asked who else has {addr}: {e}"),
            };
            let text = stray_text(addr, &iface, own, &others);
            tracing::warn!("{text}");
            let data = json!({ "address": addr, "interface": iface, "own_mac": own.map(mac_text), "other_macs": others });
            journal.record(Kind::Stray.as_str(), text, data);
        });
    }

    /// Somebody else has an address: it matters if it is ours.
    pub(super) fn on_claim(&self, claim: Claim) {
        let addr = IpAddr::V4(claim.addr);
        if claim.node == Some(self.node.pnn()) || !self.node.serves(addr) {
            return;
        }
        let Some(iface) =
            self.node.ip_rows().into_iter().find(|row| row.addr == addr).and_then(|row| row.active)
        else {
            return;
        };
        let journal = self.journal.clone();
        tokio::task::spawn_blocking(move || {
            // Another interface of ours in the same segment, or a frame of ours that a bond or a switch sent back.
            if macs(None).contains(&claim.mac) {
                return;
            }
            let own = macs(Some(&iface)).pop();
            let text = claim_text(&claim, &iface, own);
            match claim.node {
                Some(_) => tracing::warn!("{text}"),
                None => tracing::error!("{text}"),
            }
            let data = json!({
                "address": addr,
                "interface": iface,
                "own_mac": own.map(mac_text),
                "other_macs": [mac_text(claim.mac)],
                "node": claim.node.map(|pnn| pnn.0),
            });
            journal.record(Kind::Stray.as_str(), text, data);
        });
    }
}

/// Ethernet addresses of this host, or of one of its interfaces.
fn macs(of: Option<&str>) -> Vec<[u8; 6]> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    all.filter(|a| of.is_none_or(|iface| a.interface_name == iface))
        .filter_map(|a| a.address?.as_link_addr()?.addr())
        .filter(|mac| *mac != [0; 6])
        .collect()
}

fn own_text(own: Option<[u8; 6]>) -> String {
    own.map_or_else(|| "without Ethernet address".to_owned(), mac_text)
}

fn stray_text(addr: IpAddr, iface: &str, own: Option<[u8; 6]>, others: &[String]) -> String {
    let own = own_text(own);
    match others {
        [] => format!("public address {addr} was on {iface} here ({own}); nobody else answers for it"),
        others => format!(
            "two holders of public address {addr}: {iface} here ({own}), which lets it go, and {}, which answers for it",
            others.join(", ")
        ),
    }
}

fn claim_text(claim: &Claim, iface: &str, own: Option<[u8; 6]>) -> String {
    let (addr, other, own) = (claim.addr, mac_text(claim.mac), own_text(own));
    match claim.node {
        Some(Pnn(node)) => format!(
            "two holders of public address {addr}: {iface} here ({own}), which keeps it, and node {node} ({other}), which lets it go"
        ),
        None => format!(
            "two holders of public address {addr}: {iface} here ({own}), where it belongs, and {other}, which claims it by ARP: take it off that host"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];

    #[test]
    fn both_ethernet_addresses_are_named() {
        let addr: std::net::Ipv4Addr = [10, 0, 0, 31].into();
        let by_node = Claim { addr, mac: OTHER, node: Some(Pnn(1)) };
        let anybody = Claim { node: None, ..by_node };
        let texts = [
            stray_text(addr.into(), "bond0", Some(OWN), &[mac_text(OTHER)]),
            claim_text(&by_node, "bond0", Some(OWN)),
            claim_text(&anybody, "bond0", Some(OWN)),
        ];
        for text in &texts {
            for part in ["10.0.0.31", "bond0 here (02:00:00:00:00:01)", "02:00:00:00:00:09"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        assert!(texts[1].contains("node 1 (02:00:00:00:00:09), which lets it go"), "{}", texts[1]);
        assert!(stray_text(addr.into(), "bond0", None, &[]).contains("nobody else answers"));
    }
}
