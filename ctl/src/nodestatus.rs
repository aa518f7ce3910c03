//! `ctdb nodestatus`, and the node lines that `status` shares with it.

use crate::ask::Asker;
use crate::out::{Failure, Outcome, Output, Style, row};
use crate::status::{count_line, shown};
use recoverd::model::{NodeFlags, Pnn};
use recoverd::view::{NodeRow, StatusView};
use serde_json::{Map, Value, json};

/// `ctdb nodestatus [all|PNN,…]`. The exit status is the flags of these nodes or'ed together.
pub(crate) async fn nodestatus(asker: &mut Asker, which: Option<&str>, style: Style) -> Outcome {
    let view = asker.status().await?;
    let nodes = select(&view, which).map_err(Failure::new)?;
    let output = Output::styled(
        style,
        || nodestatus_plain(&view, &nodes, which == Some("all")),
        |sep| node_table(&view, &nodes, sep),
        || nodes_json(&view, &nodes),
    );
    Ok(output.with_code(exit_status(&nodes)))
}

fn nodestatus_plain(view: &StatusView, nodes: &[&NodeRow], all: bool) -> String {
    let mut text = if all { count_line(view) } else { String::new() };
    nodes.iter().for_each(|n| text.push_str(&node_line(view, n)));
    text
}

/// The nodes that are meant; the current one when nothing is said.
fn select<'a>(view: &'a StatusView, which: Option<&str>) -> Result<Vec<&'a NodeRow>, String> {
    let find = |pnn: Pnn| {
        shown(view).into_iter().find(|n| n.pnn == pnn).ok_or_else(|| format!("Node {pnn} does not exist"))
    };
    match which {
        None => Ok(vec![find(view.this_node)?]),
        Some("all") => Ok(shown(view)),
        Some(list) => list
            .split(',')
            .map(|word| {
                let number = word.trim().parse().map_err(|_| format!("Invalid node number '{word}'"))?;
                find(Pnn(number))
            })
            .collect(),
    }
}

/// Of nodes that are listed, which deleted ones are not.
fn exit_status(nodes: &[&NodeRow]) -> u8 {
    let flags = nodes.iter().fold(NodeFlags::NONE, |sum, n| sum | n.flags);
    flags.0.to_le_bytes()[0]
}

/// `pnn:%u %-16s %s%s`.
pub(crate) fn node_line(view: &StatusView, node: &NodeRow) -> String {
    let this = if node.pnn == view.this_node { " (THIS NODE)" } else { "" };
    format!("pnn:{} {:<16} {}{this}\n", node.pnn, node.addr.to_string(), flags_text(node))
}

/// The flags, with UNKNOWN in its place, and PARTIALLYONLINE when there is none.
fn flags_text(node: &NodeRow) -> String {
    let ok = node.flags == NodeFlags::NONE;
    match (node.unknown, ok) {
        (false, true) if node.partially_online => "PARTIALLYONLINE".to_owned(),
        (false, _) => node.flags.to_string(),
        (true, true) => "UNKNOWN".to_owned(),
        (true, false) => {
            let text = node.flags.to_string();
            match text.strip_prefix("DISCONNECTED|") {
                Some(rest) => format!("DISCONNECTED|UNKNOWN|{rest}"),
                None => format!("UNKNOWN|{text}"),
            }
        }
    }
}

fn is_ok(node: &NodeRow) -> bool {
    node.flags == NodeFlags::NONE && !node.unknown
}

/// The node table of `-X status` and `-X nodestatus`; the columns are not in the order of the flags.
pub(crate) fn node_table(view: &StatusView, nodes: &[&NodeRow], sep: char) -> String {
    let mut text = row(
        sep,
        [
            "Node",
            "IP",
            "Disconnected",
            "Unknown",
            "Banned",
            "Disabled",
            "Unhealthy",
            "Stopped",
            "Inactive",
            "PartiallyOnline",
            "ThisNode",
        ],
    );
    for n in nodes {
        let is = |flag| n.flags.intersects(flag);
        let bits = [
            is(NodeFlags::DISCONNECTED),
            n.unknown,
            is(NodeFlags::BANNED),
            is(NodeFlags::DISABLED),
            is(NodeFlags::UNHEALTHY),
            is(NodeFlags::STOPPED),
            n.flags.is_inactive(),
            is_ok(n) && n.partially_online,
        ];
        let mut cells = vec![n.pnn.to_string(), n.addr.to_string()];
        cells.extend(bits.map(|b| u8::from(b).to_string()));
        cells.push(if n.pnn == view.this_node { "Y" } else { "N" }.to_owned());
        text.push_str(&row(sep, cells));
    }
    text
}

/// CTDB's `node_status`.
pub(crate) fn nodes_json(view: &StatusView, nodes: &[&NodeRow]) -> Value {
    let entry = |n: &&NodeRow| {
        let is = |flag| n.flags.intersects(flag);
        let mut value = json!({
            "pnn": n.pnn.0,
            "address": n.addr.to_string(),
            "partially_online": is_ok(n) && n.partially_online,
            "flags_raw": n.flags.0,
            "flags_ok": is_ok(n),
            "flags": {
                "disconnected": is(NodeFlags::DISCONNECTED),
                "unknown": n.unknown,
                "disabled": is(NodeFlags::DISABLED),
                "banned": is(NodeFlags::BANNED),
                "unhealthy": is(NodeFlags::UNHEALTHY),
                "deleted": is(NodeFlags::DELETED),
                "stopped": is(NodeFlags::STOPPED),
                "inactive": n.flags.is_inactive(),
            },
            "this_node": n.pnn == view.this_node,
        });
        // Ours: CTDB's shape stays as it is while there is nothing to say.
        if let Some(host) = n.host {
            value["host"] = json!(host);
        }
        (n.pnn.to_string(), value)
    };
    json!({
        "node_count": view.nodes.len(),
        "deleted_node_count": view.nodes.len() - shown(view).len(),
        "nodes": nodes.iter().map(entry).collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::three_nodes;

    #[test]
    fn the_header_comes_with_all_only() {
        let view = three_nodes();
        let one = select(&view, None).unwrap();
        assert_eq!(nodestatus_plain(&view, &one, false), "pnn:0 192.168.20.41    OK (THIS NODE)\n");
        let all = select(&view, Some("all")).unwrap();
        assert_eq!(
            nodestatus_plain(&view, &all, true),
            "Number of nodes:3\npnn:0 192.168.20.41    OK (THIS NODE)\npnn:1 192.168.20.42    UNHEALTHY\npnn:2 192.168.20.43    DISCONNECTED|INACTIVE\n"
        );
    }

    #[test]
    fn the_exit_status_is_the_flags() {
        let mut view = three_nodes();
        let code = |view: &StatusView, which| exit_status(&select(view, which).unwrap());
        assert_eq!(code(&view, None), 0);
        assert_eq!(code(&view, Some("0,1")), 0x2);
        assert_eq!(code(&view, Some("all")), 0x3);
        view.nodes[0].flags = NodeFlags::STOPPED | NodeFlags::BANNED | NodeFlags::DISABLED;
        assert_eq!(code(&view, Some("all")), 0x2f);
        view.nodes[1].flags = NodeFlags::DELETED;
        assert_eq!(code(&view, Some("all")), 0x2d);
    }

    #[test]
    fn every_flag_has_its_column() {
        let mut view = three_nodes();
        view.nodes.truncate(1);
        let mut cells = |flags: u32, unknown, partially_online| {
            let node = &mut view.nodes[0];
            (node.flags, node.unknown, node.partially_online) = (NodeFlags(flags), unknown, partially_online);
            let table = node_table(&view, &shown(&view), '|');
            table.lines().nth(1).unwrap().trim_start_matches("|0|192.168.20.41").to_owned()
        };
        assert_eq!(cells(0x1, false, true), "|1|0|0|0|0|0|1|0|Y|");
        assert_eq!(cells(0x0, true, true), "|0|1|0|0|0|0|0|0|Y|");
        assert_eq!(cells(0x8, false, false), "|0|0|1|0|0|0|1|0|Y|");
        assert_eq!(cells(0x4, false, false), "|0|0|0|1|0|0|0|0|Y|");
        assert_eq!(cells(0x2, false, false), "|0|0|0|0|1|0|0|0|Y|");
        assert_eq!(cells(0x20, false, false), "|0|0|0|0|0|1|1|0|Y|");
        assert_eq!(cells(0x0, false, true), "|0|0|0|0|0|0|0|1|Y|");
    }

    #[test]
    fn nodes_that_do_not_exist_are_named() {
        let mut view = three_nodes();
        assert_eq!(select(&view, Some("0,7")).unwrap_err(), "Node 7 does not exist");
        assert_eq!(select(&view, Some("0,x")).unwrap_err(), "Invalid node number 'x'");
        view.nodes[2].flags = NodeFlags::DELETED;
        assert_eq!(select(&view, Some("2")).unwrap_err(), "Node 2 does not exist");
    }

    #[test]
    fn flags_stand_in_the_order_of_ctdb() {
        let mut node = three_nodes().nodes.remove(0);
        let mut text = |flags: u32, unknown, partially_online| {
            node = NodeRow { flags: NodeFlags(flags), unknown, partially_online, ..node.clone() };
            flags_text(&node)
        };
        assert_eq!(text(0, false, true), "PARTIALLYONLINE");
        assert_eq!(text(2, false, true), "UNHEALTHY");
        assert_eq!(text(0, true, true), "UNKNOWN");
        assert_eq!(text(1, true, false), "DISCONNECTED|UNKNOWN|INACTIVE");
        assert_eq!(text(4, true, false), "UNKNOWN|DISABLED");
        assert_eq!(
            text(0x2f, true, false),
            "DISCONNECTED|UNKNOWN|DISABLED|BANNED|UNHEALTHY|STOPPED|INACTIVE"
        );
    }
}
