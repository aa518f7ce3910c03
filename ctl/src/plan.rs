//! `ctdb plan` and `ctdb why`: what a takeover run would do, and why an address is where it is. The leader answers.

use crate::ask::{Asker, Patience, unexpected};
use crate::cli::PlanArgs;
use crate::ip::parse_ip;
use crate::out::{Failure, Outcome, Output, Style, row};
use recoverd::alloc::Algorithm;
use recoverd::command::{Command, Reply, WhyReply};
use recoverd::model::{Pnn, addr_key};
use recoverd::takeover::{RunReport, RunResult, WhatIf};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

/// Nothing would change.
const NOTHING: u8 = 0;
/// Something would move.
const MOVES: u8 = 2;
/// Something would be unserved.
const UNSERVED: u8 = 3;

/// Asks the leader. Who leads may change between two questions, so the question follows it, three times at most.
async fn ask_leader(asker: &mut Asker, command: Command) -> Result<Reply, Failure> {
    let mut to = asker.addressee();
    for _ in 0..3 {
        match asker.ask_at(to, command.clone(), Patience::Question).await? {
            Reply::AskLeader(Some(leader)) => to = Some(leader),
            Reply::AskLeader(None) => {
                return Err(Failure::new(
                    "there is no leader now, and only a leader can plan; wait for `ctdb leader` to print a number",
                ));
            }
            reply => return Ok(reply),
        }
    }
    Err(Failure::new(
        "the nodes do not agree about the leader yet; try again, and see `ctdb leader` on each node",
    ))
}

/// `ctdb plan`.
pub(crate) async fn plan(asker: &mut Asker, args: &PlanArgs, style: Style) -> Outcome {
    let what_if = what_if(args).map_err(Failure::new)?;
    match ask_leader(asker, Command::Plan { what_if }).await? {
        Reply::Plan(reply) => plan_output(&reply.report, style),
        other => Err(unexpected("plan", &other)),
    }
}

fn what_if(args: &PlanArgs) -> Result<WhatIf, String> {
    Ok(WhatIf {
        down: args.down.iter().copied().map(Pnn).collect(),
        up: args.up.iter().copied().map(Pnn).collect(),
        add: args.add.iter().map(|text| parse_added(text)).collect::<Result<_, _>>()?,
        without: args.without.iter().map(|text| parse_iface(text)).collect::<Result<_, _>>()?,
        algorithm: args.algorithm.map(Algorithm::from_tunable),
    })
}

/// `IP/MASK`, as in the public_addresses file; the mask changes nothing in a plan and may be left out.
fn parse_added(text: &str) -> Result<IpAddr, String> {
    let (ip, mask) = text.split_once('/').map_or((text, None), |(ip, mask)| (ip, Some(mask)));
    let addr: IpAddr = ip.parse().map_err(|_| format!("Invalid IP address {ip}"))?;
    let most = if addr.is_ipv4() { 32 } else { 128 };
    match mask.map(str::parse::<u8>) {
        None => Ok(addr),
        Some(Ok(bits)) if (1..=most).contains(&bits) => Ok(addr),
        Some(_) => Err(format!("Invalid mask in {text}: it must be a number from 1 to {most}")),
    }
}

fn parse_iface(text: &str) -> Result<(String, Pnn), String> {
    let parts = text.rsplit_once('@').and_then(|(iface, pnn)| Some((iface, pnn.parse().ok()?)));
    match parts {
        Some((iface, pnn)) if !iface.is_empty() => Ok((iface.to_owned(), Pnn(pnn))),
        _ => Err(format!("'{text}' is not IFACE@PNN, such as eth1@2")),
    }
}

fn plan_output(report: &RunReport, style: Style) -> Outcome {
    if report.result != RunResult::Ok {
        return Err(Failure::new(format!(
            "the leader could not make a plan: the dry run {}; see `ctdb status` and `ctdb timeline` there",
            report.result
        )));
    }
    let output =
        Output::styled(style, || plan_plain(report), |sep| plan_table(report, sep), || plan_json(report));
    Ok(output.with_code(plan_code(report)))
}

/// Addresses that nobody would serve, ascending.
fn unserved(report: &RunReport) -> Vec<IpAddr> {
    let homeless = report.owners.iter().filter(|(_, owner)| owner.is_none()).map(|(addr, _)| *addr);
    let mut all: Vec<IpAddr> = report.unallocatable.iter().copied().chain(homeless).collect();
    all.sort_by_key(|a| addr_key(*a));
    all.dedup();
    all
}

fn plan_code(report: &RunReport) -> u8 {
    if !unserved(report).is_empty() {
        UNSERVED
    } else if report.plan.as_ref().is_some_and(|p| !p.moves.is_empty() || !p.is_empty()) {
        MOVES
    } else {
        NOTHING
    }
}

/// What would happen to one address.
struct Change {
    addr: IpAddr,
    from: Option<Pnn>,
    to: Option<Pnn>,
    reason: String,
}

/// All changes: moves, and orders that move nothing (an owner that lost the address takes it again; a node that holds it without
/// being the owner lets go).
fn changes(report: &RunReport) -> Vec<Change> {
    let Some(plan) = &report.plan else { return Vec::new() };
    let mut all: Vec<Change> = plan
        .moves
        .iter()
        .map(|m| Change { addr: m.addr, from: m.from, to: m.to, reason: m.reason.to_string() })
        .collect();
    let moved = |addr: IpAddr| plan.moves.iter().any(|m| m.addr == addr);
    for (pnn, addrs) in &plan.takeovers {
        let pnn = Some(*pnn);
        let again = addrs.iter().copied().filter(|a| !moved(*a));
        all.extend(again.map(|addr| Change {
            addr,
            from: pnn,
            to: pnn,
            reason: "it is not on an interface of its owner, which takes it again".to_owned(),
        }));
    }
    for (pnn, addrs) in &plan.releases {
        let stray = addrs.iter().filter(|(a, _)| !moved(*a));
        all.extend(stray.map(|(addr, to)| Change {
            addr: *addr,
            from: Some(*pnn),
            to: *to,
            reason: format!("node {pnn} claims or holds it and is not its owner, so it lets go"),
        }));
    }
    all.sort_by_key(|c| addr_key(c.addr));
    all
}

fn node_text(pnn: Option<Pnn>) -> String {
    pnn.map_or_else(|| "nobody".to_owned(), |p| format!("node {p}"))
}

fn plan_plain(report: &RunReport) -> String {
    let mut text = String::new();
    let changes = changes(report);
    if report.failover_disabled {
        text.push_str("Failover is disabled: a takeover run moves nothing.\n");
    } else if report.no_host_shortcut {
        text.push_str("No node can host any address now: a takeover run moves nothing.\n");
    } else if changes.is_empty() {
        text.push_str("A takeover run would change nothing.\n");
    }
    for c in &changes {
        let _infallible =
            writeln!(text, "{}: {} -> {}: {}", c.addr, node_text(c.from), node_text(c.to), c.reason);
    }
    let nodes: BTreeMap<Pnn, (u32, u32)> = report
        .balance_before
        .keys()
        .chain(report.balance_after.keys())
        .map(|pnn| {
            let count = |balance: &BTreeMap<Pnn, u32>| balance.get(pnn).copied().unwrap_or(0);
            (*pnn, (count(&report.balance_before), count(&report.balance_after)))
        })
        .collect();
    if !nodes.is_empty() {
        let parts: Vec<String> =
            nodes.iter().map(|(pnn, (before, after))| format!("node {pnn}: {before} -> {after}")).collect();
        let _infallible = writeln!(text, "Addresses per node: {}", parts.join(", "));
    }
    let unserved = unserved(report);
    if !unserved.is_empty() {
        let list: Vec<String> = unserved.iter().map(ToString::to_string).collect();
        let _infallible = writeln!(text, "Unserved: {} (ctdb why IP tells the reasons)", list.join(" "));
    }
    text
}

fn plan_table(report: &RunReport, sep: char) -> String {
    let number = |pnn: Option<Pnn>| pnn.map_or_else(|| "-1".to_owned(), |p| p.to_string());
    let mut text = row(sep, ["Public IP", "From", "To", "Reason"]);
    for c in changes(report) {
        text.push_str(&row(sep, [c.addr.to_string(), number(c.from), number(c.to), c.reason]));
    }
    text
}

fn plan_json(report: &RunReport) -> Value {
    let changes = changes(report).into_iter().map(|c| {
        json!({
            "address": c.addr.to_string(),
            "from": c.from.map(|p| p.0),
            "to": c.to.map(|p| p.0),
            "reason": c.reason,
        })
    });
    let text = |a: &IpAddr| a.to_string();
    json!({
        "changes": changes.collect::<Vec<_>>(),
        "unserved": unserved(report).iter().map(text).collect::<Vec<_>>(),
        "balance_before": report.balance_before,
        "balance_after": report.balance_after,
        "failover_disabled": report.failover_disabled,
        "nothing_can_be_hosted": report.no_host_shortcut,
        "report": report,
    })
}

/// `ctdb why IP`.
pub(crate) async fn why(asker: &mut Asker, ip: &str, style: Style) -> Outcome {
    let addr = parse_ip(ip)?;
    match ask_leader(asker, Command::Why { addr }).await? {
        Reply::Why(reply) => why_output(&reply, style),
        other => Err(unexpected("why", &other)),
    }
}

fn why_output(reply: &WhyReply, style: Style) -> Outcome {
    let e = &reply.explanation;
    if e.owner.is_none() && e.why.is_none() {
        return Err(Failure::new(e.one_sentence()));
    }
    Ok(Output::styled(style, || why_plain(reply), |sep| why_table(reply, sep), || why_json(reply)))
}

fn why_plain(reply: &WhyReply) -> String {
    let decided = match reply.decided_by {
        Some(run) => format!("Decided by run {run}."),
        None => "Decided before the present leader's runs, or not yet by any.".to_owned(),
    };
    format!("{}\n{decided}\n", reply.explanation)
}

fn why_table(reply: &WhyReply, sep: char) -> String {
    let e = &reply.explanation;
    let mut text = row(sep, ["Public IP", "Node", "Owner", "Reason"]);
    let addr = e.addr.to_string();
    if let Some(owner) = e.owner {
        let why = e.why.map(|w| w.to_string()).unwrap_or_default();
        text.push_str(&row(sep, [addr.clone(), owner.to_string(), "Y".to_owned(), why]));
    }
    for (pnn, why_not) in &e.others {
        text.push_str(&row(sep, [addr.clone(), pnn.to_string(), "N".to_owned(), why_not.to_string()]));
    }
    text
}

fn why_json(reply: &WhyReply) -> Value {
    let e = &reply.explanation;
    let others = e.others.iter().map(|(pnn, why)| json!({ "node": pnn.0, "why_not": why.to_string() }));
    json!({
        "address": e.addr.to_string(),
        "node": e.owner.map(|p| p.0),
        "before": e.before.map(|p| p.0),
        "why": e.why.map(|w| w.to_string()),
        "others": others.collect::<Vec<_>>(),
        "decided_by": reply.decided_by.map(|r| r.to_string()),
        "explanation": e,
    })
}

#[cfg(test)]
pub(crate) mod tests;
