use super::*;
use crate::diff::{Change, diff};
use crate::director::Director;
use crate::drain::Connections;
use crate::model::Table;
use proptest::prelude::*;

const ME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 20, 41));

fn members(leads: bool, nodes: &[u8]) -> Members {
    let nodes = nodes.iter().map(|n| IpAddr::from([192, 168, 20, 41 + n])).collect();
    let at = Place { file: "script.options".into(), line: 2 };
    Members { vip: Ipv4Addr::new(10, 0, 0, 228), at, leads, nodes, me: ME }
}

fn table(of: &Members) -> Table {
    let mut director = Director::new(1, [].into());
    director.reload(of.with(Config::default()), Duration::ZERO);
    director.desired(&Table::new(), &Connections::new(), Duration::ZERO)
}

/// `ipvsadm -A -t VIP -p 1999999 -s lc`, `-a -t VIP -r NODE -g`, `-r 127.0.0.1`, and the same with `-u`.
#[test]
fn the_leader_has_the_table_of_91_lvs() {
    let table = table(&members(true, &[0, 1, 2]));
    let ids: Vec<String> = table.services.keys().map(ToString::to_string).collect();
    assert_eq!(ids, ["tcp 10.0.0.228:0", "udp 10.0.0.228:0"]);
    for service in table.services.values() {
        assert_eq!(service.settings.scheduler.as_str(), "lc");
        assert_eq!(service.settings.persistence.as_ref().map(|p| p.timeout), Some(1_999_999));
        let dests: Vec<String> =
            service.dests.iter().map(|(id, d)| format!("{id} {} {}", d.forward, d.weight)).collect();
        let forward = Forward::Dr;
        assert_eq!(
            dests,
            ["127.0.0.1:0", "192.168.20.42:0", "192.168.20.43:0"].map(|d| format!("{d} {forward} 1"))
        );
    }
    assert!(self::table(&members(false, &[])).services.is_empty(), "who does not lead has none");
}

#[test]
fn a_conflict_names_both_places() {
    let file = members(true, &[0]).with(Config::default());
    let mut other = members(true, &[0]);
    other.at = Place { file: "91.lvs.options".into(), line: 7 };
    let said = other.conflict(&file).unwrap();
    assert!(said.starts_with("script.options:2: tcp 10.0.0.228:0 is also"), "{said}");
    assert!(said.contains("91.lvs.options:7"), "{said}");
    other.leads = false;
    assert!(other.conflict(&file).is_some(), "whoever leads: it is told before that");
    other.vip = Ipv4Addr::new(10, 0, 0, 229);
    assert_eq!(other.conflict(&file), None);
}

proptest! {
    /// Only nodes that came or went are touched, twice each; nothing at all when none did.
    #[test]
    fn a_change_of_the_list_is_its_difference(a: u8, b: u8) {
        let list = |bits: u8| (0..8).filter(|n| *n == 0 || bits & (1 << n) != 0).collect::<Vec<u8>>();
        let (before, after) = (table(&members(true, &list(a))), table(&members(true, &list(b))));
        let changes = diff(&after, &before, &[].into());
        let differ = ((a ^ b) & !1).count_ones() as usize;
        prop_assert_eq!(changes.len(), 2 * differ);
        let all_dests = changes.iter().all(|c| matches!(c, Change::AddDest { .. } | Change::DelDest { .. }));
        prop_assert!(all_dests, "{:?}", changes);
    }
}
