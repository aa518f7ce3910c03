//! Other addresses and other nodes for a running cluster: `addip`, `delip`, `reloadips`, `reloadnodes`.
//!
//! `reloadnodes` is CTDB's: this command compares the nodes files of all connected nodes with each other and with the nodes in force, prints
//! what changes, and only when all of it can be has every node take its file. The recmaster comes last: it begins the epoch in which the new
//! nodes count, and the others know them by then. `reloadips` asks all nodes at once, so that one takeover run serves them together.

use crate::admin::change;
use crate::ask::{Asker, Patience, unexpected};
use crate::ip::parse_ip;
use crate::out::{Failure, Outcome, Output};
use futures_util::future::join_all;
use recoverd::command::{Command, DaemonCommand, DaemonReply};
use recoverd::model::{NodeFlags, Pnn};
use recoverd::node::NodeConfig;
use recoverd::view::{NodeRow, StatusView};

/// `ctdb addip`.
pub(crate) async fn addip(asker: &mut Asker, ip: &str, iface: &str) -> Outcome {
    let public = config::public_addresses::parse_line(&format!("{ip} {iface}"), None)
        .map_err(|fault| Failure::new(fault.to_string()))?;
    change(asker, Command::AddIp { public }).await
}

/// `ctdb delip`.
pub(crate) async fn delip(asker: &mut Asker, ip: &str) -> Outcome {
    let addr = parse_ip(ip)?;
    change(asker, Command::DelIp { addr }).await
}

/// `ctdb reloadips [all|PNN,…]`.
pub(crate) async fn reloadips(asker: &mut Asker, which: Option<&str>) -> Outcome {
    let status = asker.status().await?;
    let nodes = match which {
        None => vec![asker.pnn().await?],
        Some("all") => connected(&status),
        Some(list) => list.split(',').map(|word| one(&status, word)).collect::<Result<_, _>>()?,
    };
    let mut wrong = Vec::new();
    for (pnn, answer) in ask_all(asker, &nodes, DaemonCommand::ReloadIps, Patience::Run).await {
        match answer {
            Ok(DaemonReply::Ok) => {}
            Ok(other) => wrong.push(format!("node {pnn}: {}", unexpected("reloadips", &other).message)),
            Err(e) => wrong.push(format!("node {pnn}: {}", e.message)),
        }
    }
    if wrong.is_empty() { Ok(Output::silent()) } else { Err(Failure::new(wrong.join("\n"))) }
}

/// `ctdb reloadnodes`.
pub(crate) async fn reloadnodes(asker: &mut Asker) -> Outcome {
    let status = asker.status().await?;
    let me = status.this_node;
    let mine = nodes_file(asker.daemon(DaemonCommand::NodesFile, Patience::Question).await?)?;
    let others: Vec<Pnn> = connected(&status).into_iter().filter(|p| *p != me).collect();
    let mut errors = Vec::new();
    for (pnn, file) in ask_all(asker, &others, DaemonCommand::NodesFile, Patience::Question).await {
        match file.and_then(nodes_file) {
            Ok(file) if file == mine => {}
            Ok(_) => {
                errors.push(format!("ERROR: Nodes file on node {pnn} differs from current node ({me})"));
            }
            Err(e) => errors.push(format!("ERROR: Failed to get nodes file from node {pnn}: {}", e.message)),
        }
    }
    let change = Change::of(&status, &mine);
    errors.extend(change.errors);
    let text: String = change.lines.iter().map(|l| format!("{l}\n")).collect();
    if !errors.is_empty() {
        errors.push("ERROR: Nodes will not be reloaded due to previous error".to_owned());
        return Ok(Output { text, notes: [change.warnings, errors].concat(), code: 1 });
    }
    if change.lines.is_empty() {
        return Ok(Output {
            text: "No change in nodes file, skipping unnecessary reload\n".to_owned(),
            notes: change.warnings,
            code: 0,
        });
    }
    let mut notes = change.warnings;
    let last = status.leader.unwrap_or(me);
    let (before, after): (Vec<Pnn>, Vec<Pnn>) = connected(&status).into_iter().partition(|p| *p != last);
    for group in [before, after] {
        for (pnn, answer) in ask_all(asker, &group, DaemonCommand::ReloadNodes, Patience::Question).await {
            if let Err(e) = answer {
                notes.push(format!("ERROR: Failed to reload nodes file on node {pnn}: {}", e.message));
            }
        }
        if notes.iter().any(|n| n.starts_with("ERROR")) {
            notes.push("Correct this and run reloadnodes again: nodes that have the new file keep it, and go on with the others".to_owned());
            return Ok(Output { text, notes, code: 1 });
        }
    }
    Ok(Output { text, notes, code: 0 })
}

/// Asks several nodes at the same time.
async fn ask_all(
    asker: &Asker,
    nodes: &[Pnn],
    command: DaemonCommand,
    patience: Patience,
) -> Vec<(Pnn, Result<DaemonReply, Failure>)> {
    let ask = |pnn: Pnn| {
        let (mut asker, command) = (asker.clone(), command.clone());
        async move { (pnn, asker.daemon_at(Some(pnn), command, patience).await) }
    };
    join_all(nodes.iter().copied().map(ask)).await
}

fn nodes_file(reply: DaemonReply) -> Result<Vec<NodeConfig>, Failure> {
    match reply {
        DaemonReply::NodesFile(nodes) => Ok(nodes),
        other => Err(unexpected("nodesfile", &other)),
    }
}

fn connected(status: &StatusView) -> Vec<Pnn> {
    let gone = NodeFlags::DISCONNECTED | NodeFlags::DELETED;
    status.nodes.iter().filter(|n| !n.flags.intersects(gone)).map(|n| n.pnn).collect()
}

fn one(status: &StatusView, word: &str) -> Result<Pnn, Failure> {
    let pnn = Pnn(word.trim().parse().map_err(|_| Failure::new(format!("Invalid node number '{word}'")))?);
    match status.nodes.iter().find(|n| n.pnn == pnn && !n.flags.intersects(NodeFlags::DELETED)) {
        None => Err(Failure::new(format!("Node {pnn} does not exist"))),
        Some(n) if n.flags.intersects(NodeFlags::DISCONNECTED) => {
            Err(Failure::new(format!("Node {pnn} has status {}", n.flags)))
        }
        Some(_) => Ok(pnn),
    }
}

/// What a nodes file changes, in CTDB's words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    lines: Vec<String>,
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl Change {
    fn of(status: &StatusView, file: &[NodeConfig]) -> Self {
        let mut change = Self::default();
        for (n, new) in file.iter().enumerate() {
            let old = status.nodes.iter().find(|row| row.pnn.index() == n);
            change.node(n, old, new);
        }
        let missing = |row: &&NodeRow| row.pnn.index() >= file.len() && !deleted(row);
        for row in status.nodes.iter().filter(missing) {
            change.errors.push(format!("ERROR: Node {} ({}) missing from nodes file", row.pnn, row.addr));
        }
        change
    }

    fn node(&mut self, n: usize, old: Option<&NodeRow>, new: &NodeConfig) {
        let disconnected = |row: &NodeRow| row.flags.intersects(NodeFlags::DISCONNECTED);
        match old {
            None if new.deleted => self.lines.push(format!("Node {n} is DELETED")),
            None => self.lines.push(format!("Node {n} is NEW")),
            Some(old) if deleted(old) && new.deleted => {}
            Some(old) if deleted(old) => self.lines.push(format!("Node {n} is UNDELETED")),
            Some(old) if new.deleted => {
                self.lines.push(format!("Node {n} is DELETED"));
                if !disconnected(old) {
                    self.errors.push(format!("ERROR: Node {n} is still connected"));
                }
            }
            Some(old) if old.addr != new.addr => self
                .errors
                .push(format!("ERROR: Node {n} has changed IP address (was {}, now {})", old.addr, new.addr)),
            Some(old) if disconnected(old) => self
                .warnings
                .push(format!("WARNING: Node {n} is disconnected. You MUST fix this node manually!")),
            Some(_) => {}
        }
    }
}

fn deleted(row: &NodeRow) -> bool {
    row.flags.intersects(NodeFlags::DELETED)
}

#[cfg(test)]
mod tests;
