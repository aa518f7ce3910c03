//! `ctdb ip [all] [-v]`, `ipinfo`, `ifaces`.

use crate::ask::{Asker, Patience, unexpected};
use crate::out::{Failure, Outcome, Output, Style, row};
use recoverd::command::{Command, Reply};
use recoverd::model::{NodeFlags, Pnn, addr_key};
use recoverd::view::{IfaceRow, IpRow};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// `ctdb ip`.
pub(crate) async fn ip(asker: &mut Asker, all: bool, verbose: bool, style: Style) -> Outcome {
    let mut rows;
    let whose;
    if all {
        rows = everywhere(asker).await?;
        whose = "ALL nodes".to_owned();
    } else {
        rows = rows_at(asker, asker.addressee()).await?;
        whose = format!("node {}", asker.pnn().await?);
    }
    rows.sort_by_key(|r| addr_key(r.addr));
    Ok(Output::styled(
        style,
        || ip_plain(&rows, &whose, verbose),
        |sep| ip_table(&rows, verbose, sep),
        || ip_json(&rows),
    ))
}

async fn rows_at(asker: &mut Asker, to: Option<Pnn>) -> Result<Vec<IpRow>, Failure> {
    match asker.ask_at(to, Command::Ips, Patience::Question).await? {
        Reply::Ips(rows) => Ok(rows),
        other => Err(unexpected("ips", &other)),
    }
}

async fn everywhere(asker: &mut Asker) -> Result<Vec<IpRow>, Failure> {
    let status = asker.status().await?;
    let mut answers = Vec::new();
    for node in status.nodes {
        if !node.flags.intersects(NodeFlags::DISCONNECTED | NodeFlags::DELETED) {
            answers.push((node.pnn, rows_at(asker, Some(node.pnn)).await?));
        }
    }
    Ok(merge(answers))
}

/// What the nodes say, as one list: only a node's claim for itself counts, and of several the highest number wins, as in CTDB. The
/// interfaces are those of the owner; an unassigned address has none.
fn merge(answers: Vec<(Pnn, Vec<IpRow>)>) -> Vec<IpRow> {
    let mut merged: BTreeMap<IpAddr, (Option<Pnn>, IpRow)> = BTreeMap::new();
    for (pnn, rows) in answers {
        for mut r in rows {
            let claims = r.owner == Some(pnn);
            if !claims {
                r = IpRow {
                    owner: None,
                    active: None,
                    available: Vec::new(),
                    configured: Vec::new(),
                    can_host: false,
                    ..r
                };
            }
            let claim = claims.then_some(pnn);
            match merged.get(&r.addr) {
                Some((known, _)) if *known >= claim => {}
                _ => {
                    merged.insert(r.addr, (claim, r));
                }
            }
        }
    }
    merged.into_values().map(|(_, r)| r).collect()
}

fn owner_text(owner: Option<Pnn>) -> String {
    owner.map_or_else(|| "-1".to_owned(), |p| p.to_string())
}

fn ip_plain(rows: &[IpRow], whose: &str, verbose: bool) -> String {
    let mut text = format!("Public IPs on {whose}\n");
    for r in rows {
        let owner = owner_text(r.owner);
        text.push_str(&if verbose {
            format!(
                "{} node[{owner}] active[{}] available[{}] configured[{}]\n",
                r.addr,
                r.active.as_deref().unwrap_or_default(),
                r.available.join(","),
                r.configured.join(",")
            )
        } else {
            format!("{} {owner}\n", r.addr)
        });
    }
    text
}

fn ip_table(rows: &[IpRow], verbose: bool, sep: char) -> String {
    let columns = ["Public IP", "Node", "ActiveInterfaces", "AvailableInterfaces", "ConfiguredInterfaces"];
    let shown = if verbose { columns.len() } else { 2 };
    let mut text = row(sep, &columns[..shown]);
    for r in rows {
        let cells = [
            r.addr.to_string(),
            owner_text(r.owner),
            r.active.clone().unwrap_or_default(),
            r.available.join(","),
            r.configured.join(","),
        ];
        text.push_str(&row(sep, &cells[..shown]));
    }
    text
}

fn ip_json(rows: &[IpRow]) -> Value {
    let rows = rows.iter().map(|r| {
        json!({
            "address": r.addr.to_string(),
            "prefix": r.prefix,
            "node": r.owner.map(|p| p.0),
            "active": r.active,
            "available": r.available,
            "configured": r.configured,
        })
    });
    json!({ "public_ips": rows.collect::<Vec<_>>() })
}

/// An address that an operator typed.
pub(crate) fn parse_ip(text: &str) -> Result<IpAddr, Failure> {
    text.parse().map_err(|_| Failure::new(format!("Invalid IP address {text}")))
}

/// `ctdb ipinfo`.
pub(crate) async fn ipinfo(asker: &mut Asker, text: &str, style: Style) -> Outcome {
    let addr = parse_ip(text)?;
    let pnn = asker.pnn().await?;
    let rows = rows_at(asker, asker.addressee()).await?;
    let Some(found) = rows.iter().find(|r| r.addr.to_canonical() == addr.to_canonical()) else {
        return Err(Failure::new(format!("Node {pnn} does not know about IP {addr}")));
    };
    let ifaces = iface_rows(asker).await?;
    let info = info_rows(found, &ifaces);
    let plain = || ipinfo_plain(found, &info, pnn);
    Ok(Output::styled(style, plain, |_| ipinfo_plain(found, &info, pnn), || ipinfo_json(found, &info)))
}

/// An interface of an address, with what the node says about it.
struct InfoRow<'a> {
    name: &'a str,
    up: bool,
    references: u32,
    active: bool,
}

fn info_rows<'a>(address: &'a IpRow, ifaces: &[IfaceRow]) -> Vec<InfoRow<'a>> {
    let rows = address.configured.iter().map(|name| InfoRow {
        name,
        up: address.available.contains(name),
        references: ifaces.iter().find(|i| i.name == *name).map_or(0, |i| i.references),
        active: address.active.as_ref() == Some(name),
    });
    rows.collect()
}

/// CTDB prints the number of an unassigned address unsigned here, unlike `ctdb ip`.
fn ipinfo_plain(address: &IpRow, ifaces: &[InfoRow<'_>], pnn: Pnn) -> String {
    let addr = address.addr;
    let owner = address.owner.map_or(u32::MAX, |p| p.0);
    let mut text = format!(
        "Public IP[{addr}] info on node {pnn}\nIP:{addr}\nCurrentNode:{owner}\nNumInterfaces:{}\n",
        ifaces.len()
    );
    for (i, r) in (1..).zip(ifaces) {
        let link = if r.up { "up" } else { "down" };
        let active = if r.active { " (active)" } else { "" };
        text.push_str(&format!(
            "Interface[{i}]: Name:{} Link:{link} References:{}{active}\n",
            r.name, r.references
        ));
    }
    text
}

fn ipinfo_json(address: &IpRow, ifaces: &[InfoRow<'_>]) -> Value {
    let ifaces = ifaces
        .iter()
        .map(|r| json!({ "name": r.name, "link_up": r.up, "references": r.references, "active": r.active }));
    json!({
        "address": address.addr.to_string(),
        "prefix": address.prefix,
        "node": address.owner.map(|p| p.0),
        "interfaces": ifaces.collect::<Vec<_>>(),
    })
}

/// The addressee's interfaces of public addresses.
pub(crate) async fn iface_rows(asker: &mut Asker) -> Result<Vec<IfaceRow>, Failure> {
    match asker.node(Command::Ifaces).await? {
        Reply::Ifaces(rows) => Ok(rows),
        other => Err(unexpected("ifaces", &other)),
    }
}

/// `ctdb ifaces`.
pub(crate) async fn ifaces(asker: &mut Asker, style: Style) -> Outcome {
    let rows = iface_rows(asker).await?;
    let pnn = asker.pnn().await?;
    Ok(Output::styled(
        style,
        || ifaces_plain(&rows, pnn),
        |sep| ifaces_table(&rows, sep),
        || {
            let rows =
                rows.iter().map(|r| json!({ "name": r.name, "link_up": r.up, "references": r.references }));
            json!({ "interfaces": rows.collect::<Vec<_>>() })
        },
    ))
}

fn ifaces_plain(rows: &[IfaceRow], pnn: Pnn) -> String {
    if rows.is_empty() {
        return format!("No interfaces configured on node {pnn}\n");
    }
    let mut text = format!("Interfaces on node {pnn}\n");
    for r in rows {
        let link = if r.up { "up" } else { "down" };
        text.push_str(&format!("name:{} link:{link} references:{}\n", r.name, r.references));
    }
    text
}

fn ifaces_table(rows: &[IfaceRow], sep: char) -> String {
    let mut text = row(sep, ["Name", "LinkStatus", "References"]);
    for r in rows {
        text.push_str(&row(sep, [r.name.clone(), u8::from(r.up).to_string(), r.references.to_string()]));
    }
    text
}

#[cfg(test)]
mod tests;
