//! Shapes of reference/ctdb.md 1.3.

use super::*;
use crate::out::json_text;
use recoverd::model::{Epoch, RunState};

/// The reference's example: node 1 is unhealthy, node 2 is gone.
pub(crate) fn three_nodes() -> StatusView {
    let node = |pnn: u32, flags| NodeRow {
        pnn: Pnn(pnn),
        addr: format!("192.168.20.{}", 41 + pnn).parse().unwrap(),
        flags,
        unknown: false,
        partially_online: false,
        host: None,
    };
    StatusView {
        this_node: Pnn(0),
        nodes: vec![
            node(0, NodeFlags::NONE),
            node(1, NodeFlags::UNHEALTHY),
            node(2, NodeFlags::DISCONNECTED),
        ],
        epoch: Epoch { number: 654321, pnn: Pnn(0) },
        leader: Some(Pnn(0)),
        in_recovery: false,
        runstate: RunState::Running,
    }
}

#[test]
fn status_for_a_person() {
    assert_eq!(
        status_plain(&three_nodes()),
        "\
Number of nodes:3
pnn:0 192.168.20.41    OK (THIS NODE)
pnn:1 192.168.20.42    UNHEALTHY
pnn:2 192.168.20.43    DISCONNECTED|INACTIVE
Generation:654321
Size:2
hash:0 lmaster:0
hash:1 lmaster:1
Recovery mode:NORMAL (0)
Leader:0
"
    );
}

#[test]
fn status_without_leader_and_with_deleted_nodes() {
    let mut view = three_nodes();
    view.nodes[1].flags = NodeFlags::DELETED | NodeFlags::DISCONNECTED;
    view.nodes[2].unknown = true;
    view.nodes[2].flags = NodeFlags::NONE;
    view.epoch = Epoch::NONE;
    view.leader = None;
    view.in_recovery = true;
    assert_eq!(
        status_plain(&view),
        "\
Number of nodes:3 (including 1 deleted nodes)
pnn:0 192.168.20.41    OK (THIS NODE)
pnn:2 192.168.20.43    UNKNOWN
Generation:INVALID
Size:2
hash:0 lmaster:0
hash:1 lmaster:2
Recovery mode:RECOVERY (1)
Leader:UNKNOWN
"
    );
    assert_eq!(status_json(&view)["vnn_status"]["generation"], Value::Null);
    assert_eq!(status_json(&view)["leader"], Value::Null);
}

#[test]
fn status_for_a_script_is_the_node_table_only() {
    let view = three_nodes();
    assert_eq!(
        node_table(&view, &shown(&view), '|'),
        "\
|Node|IP|Disconnected|Unknown|Banned|Disabled|Unhealthy|Stopped|Inactive|PartiallyOnline|ThisNode|
|0|192.168.20.41|0|0|0|0|0|0|0|0|Y|
|1|192.168.20.42|0|0|0|0|1|0|0|0|N|
|2|192.168.20.43|1|0|0|0|0|0|1|0|N|
"
    );
    assert!(node_table(&view, &[], ':').starts_with(":Node:IP:Disconnected:"));
}

#[test]
fn status_as_json_has_the_shape_of_ctdb() {
    let mut view = three_nodes();
    view.nodes.truncate(1);
    assert_eq!(
        json_text(&status_json(&view)),
        r#"{
  "node_status": {
    "node_count": 1,
    "deleted_node_count": 0,
    "nodes": {
      "0": {
        "pnn": 0,
        "address": "192.168.20.41",
        "partially_online": false,
        "flags_raw": 0,
        "flags_ok": true,
        "flags": {
          "disconnected": false,
          "unknown": false,
          "disabled": false,
          "banned": false,
          "unhealthy": false,
          "deleted": false,
          "stopped": false,
          "inactive": false
        },
        "this_node": true
      }
    }
  },
  "vnn_status": {
    "generation": 654321,
    "size": 1,
    "vnn_map": [
      {
        "hash": 0,
        "lmaster": 0
      }
    ]
  },
  "recovery_mode": "NORMAL",
  "recovery_mode_raw": 0,
  "leader": 0
}
"#
    );
}

#[test]
fn all_nodes_banned_is_told() {
    let mut view = three_nodes();
    assert!(!all_banned(&view));
    view.nodes.iter_mut().for_each(|n| n.flags = NodeFlags::BANNED);
    assert!(all_banned(&view));
    view.nodes.clear();
    assert!(!all_banned(&view));
}

#[test]
fn nodes_of_the_file() {
    let nodes = [
        Node { pnn: Pnn(0), addr: "192.168.20.41".parse().unwrap() },
        Node { pnn: Pnn(2), addr: "fd00::3".parse().unwrap() },
    ];
    assert_eq!(listnodes(&nodes, Style::Plain).text, "192.168.20.41\nfd00::3\n");
    assert_eq!(listnodes(&nodes, Style::Table('|')).text, "|0|192.168.20.41|\n|2|fd00::3|\n");
    assert!(listnodes(&nodes, Style::Json).text.contains("\"address\": \"fd00::3\""));
}

/// R2-1: shown to people and in JSON; CTDB's own shapes are as they were.
#[test]
fn a_filtered_heartbeat_is_told_in_a_line_of_its_own() {
    let mut view = three_nodes();
    assert_eq!(filtered(&view), "");
    let table = node_table(&view, &shown(&view), ':');
    view.nodes[2].host = Some(HostSeen::Silent);
    assert_eq!(filtered(&view), "");
    view.nodes[2].host = Some(HostSeen::Filtered);
    let line = filtered(&view);
    assert!(
        line.starts_with("Node 2 (192.168.20.43): peer alive, heartbeat filtered; run `ctdb lvs doctor`"),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
    assert_eq!(node_table(&view, &shown(&view), ':'), table);
    assert_eq!(status_json(&view)["node_status"]["nodes"]["2"]["host"], "filtered");
}
