//! `ctdb status`, `pnn`, `leader`, `listnodes`.

use crate::ask::Asker;
use crate::nodes_file::Node;
use crate::nodestatus::{node_line, node_table, nodes_json};
use crate::out::{Outcome, Output, Style, row};
use recoverd::host::HostSeen;
use recoverd::model::{NodeFlags, Pnn};
use recoverd::view::{NodeRow, StatusView};
use serde_json::{Value, json};
use std::fmt::Write;

/// `ctdb status`.
pub(crate) async fn status(asker: &mut Asker, style: Style) -> Outcome {
    let view = asker.status().await?;
    let lease = if style == Style::Plain { crate::lease::status_line(asker).await } else { None };
    let mut output = Output::styled(
        style,
        || status_plain(&view) + &lease.unwrap_or_default() + &filtered(&view),
        |sep| node_table(&view, &shown(&view), sep),
        || status_json(&view),
    );
    if all_banned(&view) {
        output.notes.push("Warning: All nodes are banned.".to_owned());
    }
    Ok(output)
}

/// The nodes that are listed: all but deleted ones.
pub(crate) fn shown(view: &StatusView) -> Vec<&NodeRow> {
    view.nodes.iter().filter(|n| !n.flags.intersects(NodeFlags::DELETED)).collect()
}

fn all_banned(view: &StatusView) -> bool {
    let nodes = shown(view);
    !nodes.is_empty() && nodes.iter().all(|n| n.flags.intersects(NodeFlags::BANNED))
}

/// The nodes that take part, which CTDB calls the VNN map.
fn active(view: &StatusView) -> Vec<Pnn> {
    view.nodes.iter().filter(|n| !n.flags.is_inactive()).map(|n| n.pnn).collect()
}

/// The header of `status` and of `nodestatus all`.
pub(crate) fn count_line(view: &StatusView) -> String {
    let deleted = view.nodes.len() - shown(view).len();
    if deleted == 0 {
        format!("Number of nodes:{}\n", view.nodes.len())
    } else {
        format!("Number of nodes:{} (including {deleted} deleted nodes)\n", view.nodes.len())
    }
}

fn status_plain(view: &StatusView) -> String {
    let mut text = count_line(view);
    for node in shown(view) {
        text.push_str(&node_line(view, node));
    }
    let active = active(view);
    let generation = if view.epoch.is_some() { view.epoch.number.to_string() } else { "INVALID".to_owned() };
    let _infallible = write!(text, "Generation:{generation}\nSize:{}\n", active.len());
    for (hash, lmaster) in active.iter().enumerate() {
        let _infallible = writeln!(text, "hash:{hash} lmaster:{lmaster}");
    }
    let (mode, raw) = recovery_mode(view);
    let _infallible = write!(text, "Recovery mode:{mode} ({raw})\nLeader:{}\n", leader_text(view.leader));
    text
}

/// A line for each peer that would be connected if a firewall let it: CTDB says DISCONNECTED, which looks like a dead host.
fn filtered(view: &StatusView) -> String {
    let those = shown(view).into_iter().filter(|n| n.host == Some(HostSeen::Filtered));
    let line = |n: &NodeRow| {
        format!(
            "Node {} ({}): {}; run `ctdb lvs doctor` here and there to find the rule that drops TCP and UDP port 4379\n",
            n.pnn,
            n.addr,
            HostSeen::Filtered.words()
        )
    };
    those.map(line).collect()
}

fn status_json(view: &StatusView) -> Value {
    let map = active(view).into_iter().enumerate();
    let map: Vec<Value> = map.map(|(i, p)| json!({ "hash": i, "lmaster": p.0 })).collect();
    let (mode, raw) = recovery_mode(view);
    json!({
        "node_status": nodes_json(view, &shown(view)),
        "vnn_status": {
            "generation": view.epoch.is_some().then_some(view.epoch.number),
            "size": map.len(),
            "vnn_map": map,
        },
        "recovery_mode": mode,
        "recovery_mode_raw": raw,
        "leader": view.leader.map(|p| p.0),
    })
}

fn recovery_mode(view: &StatusView) -> (&'static str, u32) {
    if view.in_recovery { ("RECOVERY", 1) } else { ("NORMAL", 0) }
}

fn leader_text(leader: Option<Pnn>) -> String {
    leader.map_or_else(|| "UNKNOWN".to_owned(), |p| p.to_string())
}

/// `ctdb pnn`.
pub(crate) async fn pnn(asker: &mut Asker, style: Style) -> Outcome {
    let pnn = asker.pnn().await?;
    Ok(Output::line(style, pnn, || json!({ "pnn": pnn.0 })))
}

/// `ctdb leader`.
pub(crate) async fn leader(asker: &mut Asker, style: Style) -> Outcome {
    let leader = asker.status().await?.leader;
    Ok(Output::line(style, leader_text(leader), || json!({ "leader": leader.map(|p| p.0) })))
}

/// `ctdb listnodes`: of the nodes file.
pub(crate) fn listnodes(nodes: &[Node], style: Style) -> Output {
    let line = |n: &Node| format!("{}\n", n.addr);
    Output::styled(
        style,
        || nodes.iter().map(line).collect(),
        |sep| nodes.iter().map(|n| row(sep, [n.pnn.to_string(), n.addr.to_string()])).collect(),
        || {
            let rows: Vec<Value> =
                nodes.iter().map(|n| json!({ "pnn": n.pnn.0, "address": n.addr.to_string() })).collect();
            json!({ "nodes": rows })
        },
    )
}

#[cfg(test)]
pub(crate) mod tests;
