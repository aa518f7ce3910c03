//! piranha's lvs.cf (Red Hat Enterprise Linux 3 to 6): `KEY = VALUE`, `virtual NAME { server NAME { } }`.
//!
//! Fields as Red Hat's manuals have them. One `nanny` per real server looked at it every so often, took it out after `timeout` seconds
//! of silence and back after `reentry` seconds; here that is `delay_loop`, `retry` and `rise`.

use super::{Found, Kind};
use crate::config::report::Place;
use crate::config::token::Word;
use crate::config::tree::Statement;
use std::net::IpAddr;

/// Converts.
pub(super) fn read(statements: &[Statement]) -> Found {
    let mut found = Found::default();
    let method = match text(statements, "network").as_deref() {
        Some("direct") => "DR",
        Some("tunnel") => "TUN",
        _ => "NAT",
    };
    for s in statements {
        match s.name() {
            "virtual" => virtual_server(s, method, &mut found),
            "failover" => found.note(
                s.at(),
                Kind::Becomes,
                "an event script in /etc/ctdb/events/legacy: a service on the nodes themselves",
            ),
            _ => global(s, statements, &mut found),
        }
    }
    heartbeat(statements, &mut found);
    found
}

/// The value of `KEY = VALUE`.
fn value(s: &Statement) -> String {
    let words = s.texts();
    words.strip_prefix(&["="]).unwrap_or(&words).join(" ")
}

/// The value of a key of a block.
fn text(block: &[Statement], key: &str) -> Option<String> {
    block.iter().find(|s| s.name() == key && s.block.is_none()).map(value).filter(|v| !v.is_empty())
}

fn number(block: &[Statement], key: &str) -> Option<u64> {
    text(block, key)?.parse().ok()
}

fn global(s: &Statement, all: &[Statement], found: &mut Found) {
    let v = value(s);
    match s.name() {
        "network" | "keepalive" | "deadtime" | "heartbeat" => {}
        "primary" | "backup" if v == "0.0.0.0" => {}
        "primary" | "backup" => {
            let private = text(all, &format!("{}_private", s.name())).unwrap_or(v);
            found.note(s.at(), Kind::Becomes, format!("a line of /etc/ctdb/nodes: {private}"));
            found.nodes.push(private);
        }
        "primary_private" | "backup_private" => {}
        "nat_router" => {
            let mask = text(all, "nat_nmask").unwrap_or_default();
            public(s, &v, &mask, found);
        }
        "nat_nmask" => {}
        "syncdaemon" if v == "1" => {
            let said =
                "lvs_sync_daemon: write \"lvs_sync_daemon INTERFACE\" with the private network's interface";
            found.note(s.at(), Kind::Becomes, said);
        }
        "syncdaemon" | "backup_active" | "serial_no" => {}
        "service" if v == "lvs" => {}
        "service" => found.note(s.at(), Kind::Lost, format!("service = {v}: only lvs is converted")),
        "heartbeat_port" => {
            found.note(s.at(), Kind::Becomes, "nothing: nodes talk on TCP port 4379 and the lease port")
        }
        name => found.note(s.at(), Kind::Lost, format!("{name} has no counterpart")),
    }
}

/// Field report R0: `keepalive = 30` with `deadtime = 18`: the peer was dead between two of its heartbeats.
fn heartbeat(all: &[Statement], found: &mut Found) {
    let (Some(every), Some(dead)) = (number(all, "keepalive"), number(all, "deadtime")) else { return };
    let at = |key| all.iter().find(|s| s.name() == key).map(Statement::at).cloned();
    let Some(at) = at("keepalive") else { return };
    if every >= dead {
        let said = format!(
            "a heartbeat every {every} s is rarer than the dead time of {dead} s: each director takes the other for dead between two \
             heartbeats"
        );
        found.note(&at, Kind::Wrong, said);
    }
    let said = format!(
        "the tunable LeaseTime (1000 ms unless set) instead of keepalive = {every} and deadtime = {dead}"
    );
    found.note(&at, Kind::Becomes, said);
}

/// `ADDRESS DEVICE:LABEL` with a netmask: a line of `public_addresses`.
fn public(s: &Statement, address: &str, mask: &str, found: &mut Found) {
    let mut words = address.split_whitespace();
    let addr = words.next().unwrap_or_default();
    let dev = words.next().map(|d| d.split(':').next().unwrap_or(d));
    let bits = match mask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) if mask != std::net::Ipv4Addr::UNSPECIFIED => u32::from(mask).leading_ones(),
        _ => 32,
    };
    let Some(dev) = dev else {
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

fn virtual_server(s: &Statement, method: &str, found: &mut Found) {
    let name = s.args.first().map_or("", |w| w.text.as_str()).to_owned();
    let block = s.block.as_deref().unwrap_or_default();
    if text(block, "active").as_deref() == Some("0") {
        found.note(s.at(), Kind::Lost, format!("virtual {name} is not active"));
        return;
    }
    let Some(address) = text(block, "address") else {
        found.note(s.at(), Kind::Wrong, format!("virtual {name} has no address"));
        return;
    };
    let vip = address.split_whitespace().next().unwrap_or_default().to_owned();
    public(s, &address, &text(block, "vip_nmask").unwrap_or_default(), found);
    let port = text(block, "port").unwrap_or_else(|| "80".to_owned());
    let words = match text(block, "fwmark").filter(|m| m != "0") {
        Some(mark) => vec!["fwmark".to_owned(), mark],
        None => vec![vip, port.clone()],
    };
    let times = Times::of(block);
    let mut body = vec![
        line(s.at(), "delay_loop", &[&times.delay.to_string()]),
        line(s.at(), "lvs_sched", &[&text(block, "scheduler").unwrap_or_else(|| "wlc".to_owned())]),
        line(s.at(), "lvs_method", &[method]),
        line(
            s.at(),
            "protocol",
            &[&text(block, "protocol").unwrap_or_else(|| "tcp".to_owned()).to_uppercase()],
        ),
        line(s.at(), "retry", &["1"]),
        line(s.at(), "delay_before_retry", &[&times.delay.to_string()]),
        line(s.at(), "rise", &[&times.rise.to_string()]),
    ];
    for s in block {
        match s.name() {
            "persistent" if value(s) != "0" => body.push(line(s.at(), "persistence_timeout", &[&value(s)])),
            "pmask" if number(block, "persistent").is_some_and(|p| p > 0) => {
                body.push(line(s.at(), "persistence_granularity", &[&value(s)]));
            }
            "quiesce_server" if value(s) == "1" => body.push(line(s.at(), "inhibit_on_failure", &[])),
            "load_monitor" if value(s) != "none" => {
                let said = "load_monitor: weights by load need a MISC_CHECK with misc_dynamic";
                found.note(s.at(), Kind::Lost, said);
            }
            _ => {}
        }
    }
    let check = check(block, found);
    for server in block.iter().filter(|s| s.name() == "server") {
        real_server(server, &port, check.as_ref(), &mut body, found);
    }
    let mut out = line(s.at(), "virtual_server", &words.iter().map(String::as_str).collect::<Vec<_>>());
    out.block = Some(body);
    found.statements.push(out);
}

/// Seconds between checks, and how many must pass before a server is back.
struct Times {
    delay: u64,
    rise: u64,
}

impl Times {
    /// Down after about `timeout` seconds (two checks), up after about `reentry`.
    fn of(block: &[Statement]) -> Self {
        let timeout = number(block, "timeout").unwrap_or(6).clamp(1, 86400);
        let reentry = number(block, "reentry").unwrap_or(15).clamp(1, 86400);
        let delay = (timeout / 2).max(1);
        Self { delay, rise: reentry.div_ceil(delay).clamp(1, 1000) }
    }
}

fn real_server(
    s: &Statement,
    vport: &str,
    check: Option<&Statement>,
    body: &mut Vec<Statement>,
    found: &mut Found,
) {
    let name = s.args.first().map_or("", |w| w.text.as_str());
    let block = s.block.as_deref().unwrap_or_default();
    let Some(addr) = text(block, "address") else {
        found.note(s.at(), Kind::Wrong, format!("server {name} has no address"));
        return;
    };
    if text(block, "active").as_deref() == Some("0") {
        found.note(s.at(), Kind::Lost, format!("server {name} ({addr}) is not active"));
        return;
    }
    if addr.parse::<IpAddr>().is_err() {
        found.note(s.at(), Kind::Wrong, format!("server {name}: \"{addr}\" is no address"));
        return;
    }
    // The port's own line is where a wrong one is reported.
    let at = block.iter().find(|s| s.name() == "port").unwrap_or(s).at();
    let port = text(block, "port").unwrap_or_else(|| vport.to_owned());
    let mut real = line(at, "real_server", &[&addr, &port]);
    let weight = text(block, "weight").unwrap_or_else(|| "1".to_owned());
    real.block =
        Some([Some(line(s.at(), "weight", &[&weight])), check.cloned()].into_iter().flatten().collect());
    body.push(real);
}

/// The check that `send` and `expect` stand for.
fn check(block: &[Statement], found: &mut Found) -> Option<Statement> {
    let of = |key: &str| block.iter().find(|s| s.name() == key);
    if let Some(s) = of("send_program") {
        let said = format!(
            "send_program {}: it was judged by what it prints, a MISC_CHECK is judged by its exit status (0 for well); adapt it and \
             write misc_path \"PROGRAM ADDRESS\" in each real_server. A TCP_CHECK stands in for it",
            value(s)
        );
        found.note(s.at(), Kind::Lost, said);
    }
    if text(block, "protocol").as_deref() == Some("udp") {
        return Some(line(of("protocol")?.at(), "UDP_CHECK", &[]));
    }
    let send = of("send").filter(|_| of("send_program").is_none());
    let path = send.and_then(|s| {
        value(s).strip_prefix("GET ").map(|r| r.split_whitespace().next().unwrap_or("/").to_owned())
    });
    let expect = text(block, "expect").unwrap_or_default();
    let (Some(send), Some(path)) = (send, path) else {
        let at = send.or_else(|| of("expect")).or_else(|| block.first())?.at().clone();
        if let Some(send) = send {
            found.note(
                &at,
                Kind::Lost,
                format!(
                    "send = {:?}: only GET has a counterpart (HTTP_GET); TCP_CHECK stands in",
                    value(send)
                ),
            );
        }
        return Some(line(&at, "TCP_CHECK", &[]));
    };
    let at = send.at();
    let mut url = vec![line(at, "path", &[&path])];
    // piranha compared the beginning of the answer, so any status line would do for "HTTP".
    url.push(line(at, "status_code", &["100-599"]));
    if !expect.is_empty() && expect != "HTTP" {
        let said = format!(
            "expect = {expect:?}: it was compared with the whole answer; write regex or status_code in the url"
        );
        found.note(at, Kind::Lost, said);
    } else {
        found.note(
            at,
            Kind::Becomes,
            "HTTP_GET; any status passed, so 100-599 does: 200-299 would be a better check",
        );
    }
    let mut url_block = line(at, "url", &[]);
    url_block.block = Some(url);
    let mut http = line(at, "HTTP_GET", &[]);
    http.block = Some(vec![url_block]);
    Some(http)
}

/// A statement of ours that stands for a line of the old file.
fn line(at: &Place, keyword: &str, args: &[&str]) -> Statement {
    let word = |text: &str| Word { text: text.to_owned(), quoted: false, at: at.clone() };
    Statement { keyword: word(keyword), args: args.iter().map(|a| word(a)).collect(), block: None }
}
