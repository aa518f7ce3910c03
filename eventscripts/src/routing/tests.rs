use super::*;

#[test]
fn networks_are_read_and_cut() {
    for (text, want) in [
        ("10.0.0.31/24", Some("10.0.0.0/24")),
        ("10.0.0.31", Some("10.0.0.31/32")),
        ("0.0.0.0/0", Some("0.0.0.0/0")),
        ("10.0.0.31/0", Some("0.0.0.0/0")),
        ("fd00::1:2/64", Some("fd00::/64")),
        ("fd00::1", Some("fd00::1/128")),
        ("::1/0", Some("::/0")),
        ("10.0.0.0/33", None),
        ("10.0.0/24", None),
        ("10.0.0.0/", None),
        ("x", None),
    ] {
        assert_eq!(Net::parse(text).map(|n| n.network().to_string()).as_deref(), want, "{text}");
    }
}

#[test]
fn a_route_reads_as_ip_would_be_asked() {
    let mut route = Route {
        dest: Net::parse("10.3.3.0/24").unwrap(),
        gateway: Some("10.0.0.1".parse().unwrap()),
        iface: Some("bond1".to_owned()),
        metric: Some(10),
        table: MAIN_TABLE,
    };
    assert_eq!(route.to_string(), "10.3.3.0/24 via 10.0.0.1 dev bond1 metric 10");
    route = Route { gateway: None, metric: None, table: 1000, ..route };
    assert_eq!(route.to_string(), "10.3.3.0/24 dev bond1 table 1000");
}
