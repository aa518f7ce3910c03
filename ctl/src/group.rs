//! `ctdb natgw …` and `ctdb lvs leader|list|status`: groups of nodes of which one leads.
//!
//! CTDB has these as helper scripts over `nodestatus`; answers and exit statuses are theirs (tried out with Debian's). The group is a
//! file of addresses; who leads is decided by `recoverd::group`, as for the built-in gateway.

use crate::ask::Asker;
use crate::cli::{GroupCmd, LvsCmd};
use crate::nodestatus::{node_line, node_table, nodes_json};
use crate::out::{Failure, Outcome, Output, Style, row};
use crate::status::shown;
use config::node_group::Member;
pub(crate) use recoverd::group::Kind;
use recoverd::view::{NodeRow, StatusView};
use serde_json::json;
use std::path::{Path, PathBuf};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who leads.
    Leader,
    /// Who is there.
    List,
    /// The states of all.
    Status,
}

impl From<GroupCmd> for Question {
    fn from(command: GroupCmd) -> Self {
        match command {
            GroupCmd::Leader => Self::Leader,
            GroupCmd::List => Self::List,
            GroupCmd::Status => Self::Status,
        }
    }
}

impl Question {
    /// What of the group a command of `ctdb lvs` asks; none when it is not about the group.
    pub(crate) fn of_lvs(command: &LvsCmd) -> Option<Self> {
        match command {
            LvsCmd::Leader => Some(Self::Leader),
            LvsCmd::List => Some(Self::List),
            LvsCmd::Status => Some(Self::Status),
            // Of the director, or of this host alone.
            LvsCmd::Services
            | LvsCmd::Reload
            | LvsCmd::Drain { .. }
            | LvsCmd::Undrain { .. }
            | LvsCmd::Check { .. }
            | LvsCmd::Import { .. }
            | LvsCmd::Realserver(_)
            | LvsCmd::Doctor(_) => None,
        }
    }
}

/// How the operator calls a group, and the names of its variable and file.
fn names(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Natgw => ("NAT gateway", "CTDB_NATGW_NODES", "natgw_nodes"),
        Kind::Lvs => ("LVS", "CTDB_LVS_NODES", "lvs_nodes"),
    }
}

/// The options of its event script.
fn options(kind: Kind) -> &'static str {
    match kind {
        Kind::Natgw => "11.natgw.options",
        Kind::Lvs => "91.lvs.options",
    }
}

/// The exit status when nobody leads.
fn nobody(kind: Kind) -> u8 {
    match kind {
        Kind::Natgw => 2,
        Kind::Lvs => 255,
    }
}

/// The nodes of a group that are in the cluster, by their numbers.
struct Group<'a> {
    kind: Kind,
    nodes: Vec<(&'a NodeRow, Member)>,
}

impl<'a> Group<'a> {
    fn new(kind: Kind, view: &'a StatusView, members: &[Member]) -> Self {
        let of = |n: &'a NodeRow| {
            let member = members.iter().find(|m| m.addr == n.addr.to_canonical())?;
            Some((n, *member))
        };
        Self { kind, nodes: shown(view).into_iter().filter_map(of).collect() }
    }

    /// The best nodes among those that may be used.
    fn best(&self, may: impl Fn(&Member) -> bool) -> Vec<&'a NodeRow> {
        self.kind.best(self.nodes.iter().filter(|(_, m)| may(m)).map(|(n, _)| *n))
    }

    fn leader(&self) -> Option<&'a NodeRow> {
        self.best(|m| !m.follower_only).first().copied()
    }
}

/// Whether there is a file of the group.
pub(crate) fn is_there(kind: Kind) -> bool {
    path(kind, &crate::nodes_file::base()).exists()
}

/// The answer to a question about a group.
pub(crate) async fn ask(asker: &mut Asker, kind: Kind, question: Question, style: Style) -> Outcome {
    let members = read(kind, &path(kind, &crate::nodes_file::base()))?;
    let view = asker.status().await?;
    Ok(answer(&Group::new(kind, &view, &members), &view, &members, question, style))
}

fn answer(
    group: &Group<'_>,
    view: &StatusView,
    members: &[Member],
    question: Question,
    style: Style,
) -> Output {
    match (question, group.kind) {
        (Question::Leader, kind) => leader(group.leader(), kind, style),
        (Question::List, Kind::Natgw) => members_list(group.leader(), members, style),
        (Question::List, Kind::Lvs) => usable(&group.best(|_| true), style),
        (Question::Status, _) => {
            let nodes: Vec<&NodeRow> = group.nodes.iter().map(|(n, _)| *n).collect();
            Output::styled(
                style,
                || nodes.iter().map(|n| node_line(view, n)).collect(),
                |sep| node_table(view, &nodes, sep),
                || nodes_json(view, &nodes),
            )
        }
    }
}

fn leader(leader: Option<&NodeRow>, kind: Kind, style: Style) -> Output {
    let line = |n: &NodeRow| match kind {
        Kind::Natgw => format!("{} {}\n", n.pnn, n.addr),
        Kind::Lvs => format!("{}\n", n.pnn),
    };
    let plain = || leader.map(line).unwrap_or_default();
    let address = leader.map(|n| n.addr.to_string());
    let json = || json!({ "leader": leader.map(|n| n.pnn.0), "address": address });
    let code = if leader.is_some() { 0 } else { nobody(kind) };
    Output::styled(style, plain, |_| plain(), json).with_code(code)
}

/// `natgw list`: in the order of the file, also nodes that are not in the cluster.
fn members_list(leader: Option<&NodeRow>, members: &[Member], style: Style) -> Output {
    let leads = |m: &Member| leader.is_some_and(|n| n.addr.to_canonical() == m.addr);
    let line = |m: &Member| match (leads(m), m.follower_only) {
        (true, _) => format!("{}\tLEADER\n", m.addr),
        (false, true) => format!("{}\tfollower-only\n", m.addr),
        (false, false) => format!("{}\n", m.addr),
    };
    Output::styled(
        style,
        || members.iter().map(line).collect(),
        |sep| {
            let bits = |m: &Member| [leads(m), m.follower_only].map(|b| u8::from(b).to_string());
            let cells = |m: &Member| row(sep, std::iter::once(m.addr.to_string()).chain(bits(m)));
            row(sep, ["IP", "Leader", "FollowerOnly"]) + &members.iter().map(cells).collect::<String>()
        },
        || {
            let entry = |m: &Member| json!({ "address": m.addr.to_string(), "leader": leads(m), "follower_only": m.follower_only });
            json!({ "nodes": members.iter().map(entry).collect::<Vec<_>>() })
        },
    )
}

/// `lvs list`.
fn usable(nodes: &[&NodeRow], style: Style) -> Output {
    Output::styled(
        style,
        || nodes.iter().map(|n| format!("{} {}\n", n.pnn, n.addr)).collect(),
        |sep| {
            let cells = |n: &&NodeRow| row(sep, [n.pnn.to_string(), n.addr.to_string()]);
            row(sep, ["Node", "IP"]) + &nodes.iter().map(cells).collect::<String>()
        },
        || {
            let entry = |n: &&NodeRow| json!({ "pnn": n.pnn.0, "address": n.addr.to_string() });
            json!({ "nodes": nodes.iter().map(entry).collect::<Vec<_>>() })
        },
    )
}

/// The file of the group: the variable of the environment (event scripts have it there), else of the options that the event scripts read,
/// else the usual place.
fn path(kind: Kind, base: &Path) -> PathBuf {
    let (_, variable, file) = names(kind);
    let environment = |name: &str| match name {
        "CTDB_BASE" => Some(base.display().to_string()),
        _ => std::env::var(name).ok(),
    };
    if let Some(named) = std::env::var_os(variable).filter(|v| !v.is_empty()) {
        return named.into();
    }
    let option = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).ok()?;
        let found = config::shell::parse(&text, &file, &environment).value;
        found.get(variable).filter(|a| !a.dynamic && !a.value.is_empty()).map(|a| PathBuf::from(&a.value))
    };
    // The options of the script win over those of all scripts.
    let own = option(base.join("events/legacy").join(options(kind)));
    own.or_else(|| option(base.join("script.options"))).unwrap_or_else(|| base.join(file))
}

fn read(kind: Kind, path: &Path) -> Result<Vec<Member>, Failure> {
    let (group, variable, _) = names(kind);
    let text = std::fs::read_to_string(path).map_err(|e| {
        let path = path.display();
        Failure::new(match e.kind() {
            std::io::ErrorKind::NotFound => format!(
                "{group} nodes file \"{path}\" not found; write one private address per line, or name the file in {variable}"
            ),
            _ => format!("{group} nodes file \"{path}\" cannot be read: {e}"),
        })
    })?;
    let parsed = config::node_group::parse(&text, path);
    match parsed.faults.as_slice() {
        [] => Ok(parsed.value),
        faults => {
            let lines: Vec<String> =
                faults.iter().map(|(place, fault)| format!("{place}: {fault}")).collect();
            Err(Failure::new(lines.join("\n")))
        }
    }
}

#[cfg(test)]
mod tests;
