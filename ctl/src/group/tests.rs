//! Who leads, in which states. The cases were tried out with Debian's `ctdb_natgw` and `ctdb_lvs` (4.17) and a scripted `ctdb`.

use super::*;
use crate::status::tests::three_nodes;
use recoverd::model::{NodeFlags, Pnn};

const OK: NodeFlags = NodeFlags::NONE;
const SICK: NodeFlags = NodeFlags::UNHEALTHY;
const STOPPED: NodeFlags = NodeFlags::STOPPED;
const BANNED: NodeFlags = NodeFlags::BANNED;
const DISABLED: NodeFlags = NodeFlags::DISABLED;
const GONE: NodeFlags = NodeFlags::DISCONNECTED;

/// Nodes 0, 1, 2 with these flags.
fn view(flags: [NodeFlags; 3]) -> StatusView {
    let mut view = three_nodes();
    view.nodes.iter_mut().zip(flags).for_each(|(n, f)| n.flags = f);
    view
}

fn leader_of(kind: Kind, view: &StatusView, members: &[Member]) -> Option<Pnn> {
    Group::new(kind, view, members).leader().map(|n| n.pnn)
}

/// A file with the nodes in this order; followers are negative, from -1 for node 0.
fn members(order: &[i32]) -> Vec<Member> {
    let nodes = three_nodes().nodes;
    let member = |(line, n): (usize, &i32)| {
        let (index, follower_only) = if *n < 0 { (-n - 1, true) } else { (*n, false) };
        Member { addr: nodes[usize::try_from(index).unwrap()].addr, follower_only, line: line + 1 }
    };
    order.iter().enumerate().map(member).collect()
}

fn said(kind: Kind, question: Question, flags: [NodeFlags; 3], order: &[i32]) -> (String, u8) {
    let (view, members) = (view(flags), members(order));
    let group = Group::new(kind, &view, &members);
    let output = answer(&group, &view, &members, question, Style::Plain);
    (output.text, output.code)
}

#[test]
fn the_first_good_node_by_number_leads() {
    let leader = |kind, flags, order: &[i32]| leader_of(kind, &view(flags), &members(order)).map(|p| p.0);
    for (flags, order, natgw, lvs) in [
        ([OK, OK, OK], &[2, 1, 0] as &[i32], Some(0), Some(0)),
        ([OK, OK, OK], &[2, 1], Some(1), Some(1)),
        ([OK, OK, SICK], &[2, 1, -1], Some(1), Some(1)),
        // Only a follower is well: a sick one leads.
        ([OK, SICK, SICK], &[2, 1, -1], Some(1), Some(1)),
        ([SICK, OK, OK], &[0, 1, 2], Some(1), Some(1)),
        ([SICK, SICK, GONE], &[0, 1, 2], Some(0), Some(0)),
        // Inactive nodes can be the gateway, but cannot be used by LVS; a banned one comes before a stopped one.
        ([STOPPED, STOPPED, BANNED], &[0, 1, 2], Some(2), None),
        ([STOPPED, STOPPED, GONE], &[0, 1, 2], Some(0), None),
        ([DISABLED, DISABLED, GONE], &[0, 1, 2], None, None),
        ([OK, OK, OK], &[-1, -2], None, None),
        ([OK, OK, OK], &[], None, None),
    ] {
        assert_eq!(leader(Kind::Natgw, flags, order), natgw, "natgw {flags:?} {order:?}");
        assert_eq!(leader(Kind::Lvs, flags, order), lvs, "lvs {flags:?} {order:?}");
    }
}

#[test]
fn an_unknown_node_is_not_among_the_best() {
    let mut view = view([OK, OK, OK]);
    view.nodes[0].unknown = true;
    assert_eq!(leader_of(Kind::Natgw, &view, &members(&[0, 1])), Some(Pnn(1)));
    assert_eq!(leader_of(Kind::Natgw, &view, &members(&[0])), Some(Pnn(0)));
}

#[test]
fn a_leader_is_one_line_and_none_is_an_exit_status() {
    let leader = |kind, flags| said(kind, Question::Leader, flags, &[0, 1, 2]);
    assert_eq!(leader(Kind::Natgw, [SICK, OK, OK]), ("1 192.168.20.42\n".into(), 0));
    assert_eq!(leader(Kind::Lvs, [SICK, OK, OK]), ("1\n".into(), 0));
    assert_eq!(leader(Kind::Natgw, [GONE, GONE, GONE]), (String::new(), 2));
    assert_eq!(leader(Kind::Lvs, [GONE, GONE, GONE]), (String::new(), 255));
}

#[test]
fn lists_are_those_of_the_helpers() {
    let list = |kind, flags| said(kind, Question::List, flags, &[2, 1, -1]).0;
    assert_eq!(
        list(Kind::Natgw, [OK, OK, SICK]),
        "192.168.20.43\n192.168.20.42\tLEADER\n192.168.20.41\tfollower-only\n"
    );
    // A follower can be used, and only the best are.
    assert_eq!(list(Kind::Lvs, [OK, OK, SICK]), "0 192.168.20.41\n1 192.168.20.42\n");
    assert_eq!(list(Kind::Lvs, [OK, SICK, SICK]), "0 192.168.20.41\n");
    assert_eq!(said(Kind::Lvs, Question::List, [STOPPED; 3], &[0, 1]), (String::new(), 0));
}

#[test]
fn status_has_the_rows_of_the_group_only() {
    let status = said(Kind::Lvs, Question::Status, [OK, SICK, GONE], &[2, 0]);
    let rows = "pnn:0 192.168.20.41    OK (THIS NODE)\npnn:2 192.168.20.43    DISCONNECTED|INACTIVE\n";
    assert_eq!(status, (rows.into(), 0));
}

#[test]
fn files_that_are_missing_or_wrong_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("natgw_nodes");
    let message = |kind| read(kind, &file).unwrap_err().message;
    assert!(
        message(Kind::Natgw).starts_with(&format!("NAT gateway nodes file \"{}\" not found", file.display()))
    );
    assert!(message(Kind::Lvs).starts_with("LVS nodes file "));
    std::fs::write(&file, "10.0.0.1\n10.0.0.2 leader\nx\n").unwrap();
    let said = message(Kind::Natgw);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with(&format!("{}:2: \"leader\" is not an option", file.display())), "{said}");
    assert!(lines[1].starts_with(&format!("{}:3: ", file.display())), "{said}");
}

#[test]
fn the_options_of_event_scripts_may_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    assert_eq!(path(Kind::Natgw, base), base.join("natgw_nodes"));
    assert_eq!(path(Kind::Lvs, base), base.join("lvs_nodes"));
    let write = |name: &str, text: &str| std::fs::write(base.join(name), text).unwrap();
    write(
        "script.options",
        "# ours\nCTDB_NATGW_NODES=\"${CTDB_BASE}/gateway\"\nexport CTDB_LVS_NODES=/x/lvs\n",
    );
    assert_eq!(path(Kind::Natgw, base), base.join("gateway"));
    assert_eq!(path(Kind::Lvs, base), Path::new("/x/lvs"));
    std::fs::create_dir_all(base.join("events/legacy")).unwrap();
    write("events/legacy/91.lvs.options", "CTDB_LVS_NODES=/y/lvs\n");
    assert_eq!(path(Kind::Lvs, base), Path::new("/y/lvs"));
}
