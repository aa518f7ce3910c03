use super::*;
use crate::parsed::told;
use proptest::prelude::*;

fn read(text: &str) -> Result<Nodes, String> {
    told(Nodes::parse(text, Path::new("n")))
}

fn addrs(text: &str) -> Vec<Option<String>> {
    read(text).unwrap().lines.iter().map(|n| n.addr.map(|a| a.to_string())).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn good_lists() {
    for (text, expected) in [
        ("10.0.0.1\n10.0.0.2\n", vec![Some("10.0.0.1"), Some("10.0.0.2")]),
        ("10.0.0.1", vec![Some("10.0.0.1")]),
        ("  10.0.0.1 \t\r\n\n   \n10.0.0.2\r\n", vec![Some("10.0.0.1"), Some("10.0.0.2")]),
        ("10.0.0.1\n#10.0.0.2\n10.0.0.3\n", vec![Some("10.0.0.1"), None, Some("10.0.0.3")]),
        ("# a comment\n10.0.0.1\n# the end", vec![None, Some("10.0.0.1"), None]),
        ("fd00::1\nFD00:0::2\n", vec![Some("fd00::1"), Some("fd00::2")]),
        ("::ffff:10.0.0.1", vec![Some("10.0.0.1")]),
        ("127.0.0.1\n127.0.0.2", vec![Some("127.0.0.1"), Some("127.0.0.2")]),
        ("#10.0.0.1\n10.0.0.1", vec![None, Some("10.0.0.1")]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|a| a.map(str::to_owned)).collect();
        assert_eq!(addrs(text), expected, "{text:?}");
    }
}

#[test]
fn numbers_and_lines() {
    let nodes = read("\n10.0.0.1\n\n# note\n#10.0.0.9\n10.0.0.2\n").unwrap();
    let found: Vec<_> = nodes.lines.iter().map(|n| (n.pnn.0, n.line)).collect();
    assert_eq!(found, [(0, 2), (1, 4), (2, 5), (3, 6)]);
    assert_eq!(nodes.comments, [(Pnn(1), 4)]);
}

#[test]
fn bad_lists_name_the_line_and_what_to_write() {
    for (text, expected) in [
        ("", "n: names no node; write the private address of each node"),
        ("\n#10.0.0.1\n", "n: names no node"),
        (
            "10.0.0.1\n10.0.0.256\n",
            "n:2: \"10.0.0.256\" is not a node address; write one IP address per line",
        ),
        ("node1\n", "n:1: \"node1\" is not a node address; write one IP address"),
        (
            "10.0.0.1:4379",
            "n:1: \"10.0.0.1:4379\" is not a node address; write one IP address per line, no host",
        ),
        ("10.0.0.1/24", "n:1: \"10.0.0.1/24\" is not a node address; write it without the mask"),
        ("fe80::1%eth0", "n:1: \"fe80::1%eth0\" is not a node address; write it without the interface"),
        ("10.0.0.1 # first", "n:1: \"10.0.0.1 # first\" is not a node address; write the address alone"),
        ("10.0.0.01", "n:1: \"10.0.0.01\" is not"),
        ("; comment", "n:1: "),
        ("0.0.0.0", "n:1: 0.0.0.0 is the unspecified address and cannot be"),
        ("ff02::1", "n:1: ff02::1 is a multicast address"),
        ("255.255.255.255", "n:1: 255.255.255.255 is the broadcast address"),
        (
            "10.0.0.1\n\n10.0.0.2\n10.0.0.1",
            "n:4: 10.0.0.1 stands already on line 1 (n:1); give each node one line",
        ),
        ("fd00::1\nfd00:0:0::1", "n:2: fd00::1 stands already on line 1"),
        ("10.0.0.1\n::ffff:10.0.0.1", "n:2: 10.0.0.1 stands already on line 1"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn which_node_is_this() {
    let nodes = read("10.0.0.1\n#10.0.0.2\n10.0.0.3\nfd00::4\n").unwrap();
    let own = |configured: Option<&str>, here: &[&str]| {
        let here: Vec<IpAddr> = here.iter().map(|a| ip(a)).collect();
        nodes
            .own(configured.map(|a| (ip(a), "the test")), &here)
            .map(|(pnn, addr)| (pnn.0, addr.to_string()))
            .map_err(|(place, fault)| format!("{place}: {fault}"))
    };
    assert_eq!(own(None, &["127.0.0.1", "10.0.0.3"]), Ok((2, "10.0.0.3".into())));
    assert_eq!(own(None, &["fd00::4", "::1"]), Ok((3, "fd00::4".into())));
    assert_eq!(own(None, &["::ffff:10.0.0.1"]), Ok((0, "10.0.0.1".into())));
    assert_eq!(own(Some("10.0.0.3"), &["10.0.0.1"]), Ok((2, "10.0.0.3".into())), "the setting wins");
    assert_eq!(own(None, &["10.0.0.3", "10.0.0.2"]), Ok((2, "10.0.0.3".into())), "placeholders do not count");
    for (configured, here, expected) in [
        (
            None,
            &["127.0.0.1", "192.0.2.7"][..],
            "n: none of its addresses is on this host (here: 127.0.0.1, 192.0.2.7); add this node's private",
        ),
        (None, &[], "n: none of its addresses is on this host (here: no address)"),
        (
            None,
            &["10.0.0.1", "10.0.0.3"],
            "n: two of its addresses are on this host: 10.0.0.1 (line 1) and 10.0.0.3 (line 3); set \"node address\"",
        ),
        (
            Some("10.0.0.9"),
            &["10.0.0.1"],
            "n: does not contain this node's address 10.0.0.9 (from the test); add",
        ),
        (None, &["10.0.0.2"], "n:2: 10.0.0.2 is this host and its line says that the node is deleted"),
        (Some("10.0.0.2"), &[], "n:2: 10.0.0.2 is this host and its line"),
    ] {
        let error = own(configured, here).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_long_list_of_addresses_is_cut() {
    let list = AddressList((1..=20).map(|i| ip(&format!("10.0.0.{i}"))).collect());
    assert!(list.to_string().ends_with("10.0.0.8 and 12 more"));
}

proptest! {
    #[test]
    fn any_text_gives_one_line_a_fault(text in "\\PC*|[0-9a-f.:# \n\t]*") {
        match read(&text) {
            Ok(nodes) => {
                for (i, node) in nodes.lines.iter().enumerate() {
                    prop_assert_eq!(node.pnn.index(), i);
                }
            }
            Err(error) => prop_assert!(error.lines().all(|l| l.starts_with('n')), "{}", error),
        }
    }
}
