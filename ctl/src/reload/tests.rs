use super::*;
use crate::status::tests::three_nodes;

/// A file of lines; `#` deletes.
fn file(lines: &[&str]) -> Vec<NodeConfig> {
    let node = |line: &&str| NodeConfig {
        addr: line.parse().unwrap_or_else(|_| "0.0.0.0".parse().unwrap()),
        deleted: *line == "#",
    };
    lines.iter().map(node).collect()
}

#[test]
fn every_change_has_its_line_and_every_impossible_one_its_error() {
    let mut status = three_nodes();
    status.nodes.iter_mut().for_each(|n| n.flags = NodeFlags::NONE);
    let addrs: Vec<String> = status.nodes.iter().map(|n| n.addr.to_string()).collect();
    let [a, b, c] = [0, 1, 2].map(|n: usize| addrs[n].as_str());
    let seen = |status: &StatusView, lines: &[&str]| {
        let change = Change::of(status, &file(lines));
        [change.lines, change.warnings, change.errors].concat()
    };
    assert_eq!(seen(&status, &[a, b, c]), [] as [&str; 0]);
    assert_eq!(seen(&status, &[a, b, c, "10.9.9.9"]), ["Node 3 is NEW"]);
    assert_eq!(
        seen(&status, &[a, "10.9.9.9", c]),
        [format!("ERROR: Node 1 has changed IP address (was {b}, now 10.9.9.9)")]
    );
    assert_eq!(seen(&status, &[a, b]), [format!("ERROR: Node 2 ({c}) missing from nodes file")]);
    assert_eq!(seen(&status, &[a, "#", c]), ["Node 1 is DELETED", "ERROR: Node 1 is still connected"]);
    status.nodes[1].flags = NodeFlags::DISCONNECTED;
    assert_eq!(seen(&status, &[a, "#", c]), ["Node 1 is DELETED"]);
    assert_eq!(
        seen(&status, &[a, b, c]),
        ["WARNING: Node 1 is disconnected. You MUST fix this node manually!"]
    );
    status.nodes[1].flags = NodeFlags::DELETED;
    assert_eq!(seen(&status, &[a, "#", c]), [] as [&str; 0]);
    assert_eq!(seen(&status, &[a, b, c]), ["Node 1 is UNDELETED"]);
}

#[test]
fn nodes_that_are_meant_must_be_there() {
    let mut status = three_nodes();
    status.nodes.iter_mut().for_each(|n| n.flags = NodeFlags::NONE);
    status.nodes[2].flags = NodeFlags::DISCONNECTED;
    assert_eq!(connected(&status), [Pnn(0), Pnn(1)]);
    assert_eq!(one(&status, "1").ok(), Some(Pnn(1)));
    for (word, says) in [
        ("x", "Invalid node number 'x'"),
        ("7", "Node 7 does not exist"),
        ("2", "Node 2 has status DISCONNECTED"),
    ] {
        assert!(one(&status, word).is_err_and(|e| e.message.starts_with(says)), "{word}");
    }
}
