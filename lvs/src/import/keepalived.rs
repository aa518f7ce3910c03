//! A whole keepalived.conf: virtual servers are taken, VRRP becomes public addresses, the rest is named.

use super::{Found, Kind};
use crate::config::token::Word;
use crate::config::tree::Statement;
use std::net::IpAddr;

/// Keywords within virtual servers that have no counterpart here, wherever they stand: (keyword, what to say).
const DROPPED: [(&str, &str); 6] = [
    ("snmp_name", "SNMP is not part of ctdb-ip"),
    ("smtp_alert", "mail is not part of ctdb-ip: use notify_up, notify_down, quorum_up, quorum_down"),
    ("nat_mask", "it is obsolete since Linux 2.2"),
    ("regex_stack", "our expressions need no stack of their own"),
    ("BFD_CHECK", "BFD is not part of ctdb-ip: use PING_CHECK or a MISC_CHECK"),
    ("FILE_CHECK", "a MISC_CHECK with misc_dynamic can read the file"),
];

/// Keywords that take a program.
const PROGRAMS: [&str; 5] = ["misc_path", "quorum_up", "quorum_down", "notify_up", "notify_down"];

/// What VRRP's settings become: (keyword, what to say).
const VRRP: [(&str, Kind, &str); 14] = [
    (
        "state",
        Kind::Becomes,
        "nothing: who serves what is decided by the takeover run (home_nodes for a preferred node)",
    ),
    (
        "priority",
        Kind::Becomes,
        "nothing: addresses are spread over all healthy nodes (home_nodes for a preferred node)",
    ),
    (
        "virtual_router_id",
        Kind::Becomes,
        "nothing: nodes know each other from /etc/ctdb/nodes, not from a number on the wire",
    ),
    (
        "advert_int",
        Kind::Becomes,
        "the tunable LeaseTime: how long a node that is silent may still hold an address",
    ),
    ("nopreempt", Kind::Becomes, "the tunable NoIPFailback"),
    ("preempt_delay", Kind::Lost, "an address moves back with the next takeover run"),
    ("authentication", Kind::Lost, "VRRP passwords protect nothing; keep the private network private"),
    ("track_interface", Kind::Becomes, "nothing: the interfaces of public_addresses are watched"),
    ("track_script", Kind::Becomes, "an event script with a monitor event in /etc/ctdb/events/legacy"),
    ("track_process", Kind::Becomes, "an event script with a monitor event in /etc/ctdb/events/legacy"),
    ("virtual_routes", Kind::Becomes, "11.routing (/etc/ctdb/static-routes)"),
    ("virtual_rules", Kind::Becomes, "13.per_ip_routing"),
    ("use_vmac", Kind::Lost, "addresses keep the interface's own MAC; neighbours are told by gratuitous ARP"),
    ("garp_master_delay", Kind::Lost, "gratuitous ARP is sent when an address is taken"),
];

/// Converts.
pub(super) fn read(statements: &[Statement]) -> Found {
    let mut found = Found::default();
    for s in statements {
        match s.name() {
            "virtual_server" | "virtual_server_group" | "SSL" => {
                let kept = keep(s, &mut found);
                found.statements.extend(kept);
            }
            "global_defs" => globals(s, &mut found),
            "vrrp_instance" => instance(s, &mut found),
            "vrrp_sync_group" => found.note(
                s.at(),
                Kind::Lost,
                "a sync group moves addresses together; here they move one by one, and each virtual server follows its own",
            ),
            "vrrp_script" => script(s, &mut found),
            "static_ipaddress" | "static_routes" | "static_rules" => found.note(
                s.at(),
                Kind::Lost,
                format!("{}: configure it in the system's network configuration", s.name()),
            ),
            name => found.note(s.at(), Kind::Lost, format!("{name} has no counterpart")),
        }
    }
    found
}

/// A statement of a virtual server with what has no counterpart taken out, and programs quoted.
fn keep(s: &Statement, found: &mut Found) -> Option<Statement> {
    if let Some((name, why)) = DROPPED.iter().find(|(k, _)| *k == s.name()) {
        found.note(s.at(), Kind::Lost, format!("{name}: {why}"));
        return None;
    }
    let mut kept = s.clone();
    if PROGRAMS.contains(&s.name()) && unquoted_program(s) {
        let program = s.texts().join(" ");
        found.note(
            s.at(),
            Kind::Wrong,
            format!("the program of {} has arguments but no quotes, so only its first word was run; written as \"{program}\"", s.name()),
        );
        kept.args = vec![Word { text: program, quoted: true, at: s.at().clone() }];
    }
    if let Some(block) = &s.block {
        kept.block = Some(block.iter().filter_map(|s| keep(s, found)).collect());
    }
    Some(kept)
}

/// Whether arguments follow a program outside of its quotes. `notify_*` and `quorum_*` take a user and a group there.
fn unquoted_program(s: &Statement) -> bool {
    let most = if s.name() == "misc_path" { 1 } else { 3 };
    s.args.len() > most || s.args.iter().skip(1).any(|w| w.text.starts_with(['-', '/']))
}

fn globals(s: &Statement, found: &mut Found) {
    for s in s.block.iter().flatten() {
        match s.name() {
            "lvs_sync_daemon" | "lvs_timeouts" => found.statements.push(s.clone()),
            "router_id" | "lvs_id" => {
                found.note(s.at(), Kind::Becomes, "nothing: a node is known by its line in /etc/ctdb/nodes")
            }
            "notification_email"
            | "notification_email_from"
            | "smtp_server"
            | "smtp_connect_timeout"
            | "smtp_helo_name"
            | "smtp_alert"
            | "smtp_alert_checker"
            | "smtp_alert_vrrp" => {
                found.note(
                    s.at(),
                    Kind::Lost,
                    format!(
                        "{}: mail is not part of ctdb-ip; /etc/ctdb/notify.sh is told of changes",
                        s.name()
                    ),
                );
            }
            "lvs_flush" => {
                found.note(s.at(), Kind::Lost, "lvs_flush: services that others made are never touched")
            }
            "script_user" => found.note(
                s.at(),
                Kind::Lost,
                "script_user: write the user in each MISC_CHECK (user) and behind each notify program",
            ),
            name => found.note(s.at(), Kind::Lost, format!("{name} (global_defs) has no counterpart")),
        }
    }
}

fn instance(s: &Statement, found: &mut Found) {
    let name = s.args.first().map_or("", |w| w.text.as_str());
    let block = s.block.as_deref().unwrap_or_default();
    let iface =
        block.iter().find(|s| s.name() == "interface").and_then(|s| s.args.first()).map(|w| w.text.as_str());
    for s in block {
        match s.name() {
            "virtual_ipaddress" | "virtual_ipaddress_excluded" => {
                for line in s.block.iter().flatten() {
                    address(line, iface, found);
                }
            }
            "interface" => {}
            "unicast_src_ip" => {
                let own = s.args.first().map(|w| w.text.clone());
                found.nodes.extend(own);
                found.note(
                    s.at(),
                    Kind::Becomes,
                    "a line of /etc/ctdb/nodes (the same file, in the same order, on every node)",
                );
            }
            "unicast_peer" => {
                for peer in s.block.iter().flatten() {
                    found.nodes.push(peer.name().to_owned());
                    found.note(
                        peer.at(),
                        Kind::Becomes,
                        "a line of /etc/ctdb/nodes (the same file, in the same order, on every node)",
                    );
                }
            }
            notify if notify.starts_with("notify") => {
                let said = "an event script in /etc/ctdb/events/legacy (takeip, releaseip, ipreallocated)";
                found.note(s.at(), Kind::Becomes, format!("{notify}: {said}"));
            }
            other => match VRRP.iter().find(|(k, ..)| *k == other) {
                Some((_, kind, text)) => found.note(s.at(), *kind, format!("{other}: {text}")),
                None => found.note(
                    s.at(),
                    Kind::Lost,
                    format!("{other} (vrrp_instance {name}) has no counterpart"),
                ),
            },
        }
    }
}

/// `ADDR[/BITS] [brd …] [dev IF] [label …]`: a line of `public_addresses`.
fn address(s: &Statement, iface: Option<&str>, found: &mut Found) {
    let (addr, bits) = s.name().split_once('/').unwrap_or((s.name(), ""));
    let Ok(addr) = addr.parse::<IpAddr>() else {
        found.note(s.at(), Kind::Wrong, format!("\"{}\" is no address", s.name()));
        return;
    };
    let whole = if addr.is_ipv4() { "32" } else { "128" };
    let bits = if bits.is_empty() { whole } else { bits };
    let dev =
        s.args.iter().position(|w| w.text == "dev").and_then(|n| s.args.get(n + 1)).map(|w| w.text.as_str());
    let Some(dev) = dev.or(iface) else {
        found.note(
            s.at(),
            Kind::Wrong,
            format!("{addr} has no interface: write one behind it in public_addresses"),
        );
        return;
    };
    let line = format!("{addr}/{bits} {dev}");
    found.note(s.at(), Kind::Becomes, format!("public_addresses: {line}"));
    found.public(line);
}

fn script(s: &Statement, found: &mut Found) {
    let name = s.args.first().map_or("", |w| w.text.as_str());
    for s in s.block.iter().flatten().filter(|s| s.name() == "script" && s.args.len() > 1) {
        let program = s.texts().join(" ");
        found.note(
            s.at(),
            Kind::Wrong,
            format!("the script has arguments but no quotes: it should be \"{program}\""),
        );
    }
    let said = "an event script with a monitor event in /etc/ctdb/events/legacy";
    found.note(s.at(), Kind::Becomes, format!("vrrp_script {name}: {said}"));
}
