//! Shapes of reference/ctdb.md 1.3, and the merge of `ip all`.

use super::*;
use crate::out::json_text;

fn names(text: &str) -> Vec<String> {
    text.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

fn ip_row(addr: &str, owner: Option<u32>, active: &str) -> IpRow {
    IpRow {
        addr: addr.parse().unwrap(),
        prefix: 24,
        owner: owner.map(Pnn),
        active: Some(active.to_owned()).filter(|a| !a.is_empty()),
        available: names("eth2,eth1"),
        configured: names("eth2,eth1"),
        can_host: true,
    }
}

fn two() -> Vec<IpRow> {
    vec![ip_row("10.0.0.31", Some(0), "eth2"), ip_row("10.0.0.32", None, "")]
}

#[test]
fn ip_for_a_person() {
    assert_eq!(ip_plain(&two(), "node 0", false), "Public IPs on node 0\n10.0.0.31 0\n10.0.0.32 -1\n");
    assert_eq!(
        ip_plain(&two(), "ALL nodes", true),
        "\
Public IPs on ALL nodes
10.0.0.31 node[0] active[eth2] available[eth2,eth1] configured[eth2,eth1]
10.0.0.32 node[-1] active[] available[eth2,eth1] configured[eth2,eth1]
"
    );
}

#[test]
fn ip_for_a_script() {
    assert_eq!(ip_table(&two(), false, '|'), "|Public IP|Node|\n|10.0.0.31|0|\n|10.0.0.32|-1|\n");
    assert_eq!(
        ip_table(&two()[..1], true, '|'),
        "\
|Public IP|Node|ActiveInterfaces|AvailableInterfaces|ConfiguredInterfaces|
|10.0.0.31|0|eth2|eth2,eth1|eth2,eth1|
"
    );
    assert_eq!(ip_table(&two()[..1], false, ':'), ":Public IP:Node:\n:10.0.0.31:0:\n");
}

#[test]
fn ip_for_a_program() {
    assert_eq!(
        json_text(&ip_json(&two()[1..])),
        r#"{
  "public_ips": [
    {
      "address": "10.0.0.32",
      "prefix": 24,
      "node": null,
      "active": null,
      "available": [
        "eth2",
        "eth1"
      ],
      "configured": [
        "eth2",
        "eth1"
      ]
    }
  ]
}
"#
    );
}

#[test]
fn only_claims_for_oneself_count_and_the_highest_wins() {
    let merged = merge(vec![
        (
            Pnn(0),
            vec![
                ip_row("10.0.0.1", Some(0), "a"),
                ip_row("10.0.0.2", Some(1), ""),
                ip_row("10.0.0.3", Some(2), ""),
            ],
        ),
        (Pnn(1), vec![ip_row("10.0.0.1", Some(1), "b"), ip_row("10.0.0.2", Some(1), "c")]),
        (
            Pnn(2),
            vec![
                ip_row("10.0.0.1", Some(0), "d"),
                ip_row("10.0.0.3", None, ""),
                ip_row("10.0.0.4", None, ""),
            ],
        ),
    ]);
    let facts: Vec<_> =
        merged.iter().map(|r| (r.addr.to_string(), r.owner.map(|p| p.0), r.active.as_deref())).collect();
    assert_eq!(
        facts,
        [
            ("10.0.0.1".to_owned(), Some(1), Some("b")),
            ("10.0.0.2".to_owned(), Some(1), Some("c")),
            ("10.0.0.3".to_owned(), None, None),
            ("10.0.0.4".to_owned(), None, None),
        ]
    );
    assert!(merged[3].configured.is_empty());
}

#[test]
fn ipinfo_as_ctdb_prints_it() {
    let mut address = ip_row("10.0.0.31", Some(0), "eth2");
    address.available = names("eth2");
    let ifaces = [IfaceRow { name: "eth2".into(), up: true, references: 1 }];
    assert_eq!(
        ipinfo_plain(&address, &info_rows(&address, &ifaces), Pnn(0)),
        "\
Public IP[10.0.0.31] info on node 0
IP:10.0.0.31
CurrentNode:0
NumInterfaces:2
Interface[1]: Name:eth2 Link:up References:1 (active)
Interface[2]: Name:eth1 Link:down References:0
"
    );
    address.owner = None;
    let text = ipinfo_plain(&address, &info_rows(&address, &ifaces), Pnn(0));
    assert!(text.contains("CurrentNode:4294967295\n"), "{text}");
    assert_eq!(ipinfo_json(&address, &[])["node"], Value::Null);
}

#[test]
fn ifaces_in_both_shapes() {
    let rows = [
        IfaceRow { name: "eth2".into(), up: true, references: 2 },
        IfaceRow { name: "eth1".into(), up: false, references: 0 },
    ];
    assert_eq!(
        ifaces_plain(&rows, Pnn(0)),
        "Interfaces on node 0\nname:eth2 link:up references:2\nname:eth1 link:down references:0\n"
    );
    assert_eq!(ifaces_table(&rows, '|'), "|Name|LinkStatus|References|\n|eth2|1|2|\n|eth1|0|0|\n");
    assert_eq!(ifaces_plain(&[], Pnn(0)), "No interfaces configured on node 0\n");
}

#[test]
fn what_is_no_address_is_refused() {
    assert_eq!(parse_ip("10.0.0").unwrap_err().message, "Invalid IP address 10.0.0");
}
