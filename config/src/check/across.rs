//! What one file says against another, and against the machine.

use super::scripts::{Group, Scripts, is_executable};
use super::{Host, Report};
use crate::ctdb_conf::{ClusterLock, NodesSource};
use crate::load::Files;
use crate::place::Place;
use recoverd::alloc::HomeNodes;
use recoverd::model::Pnn;
use std::net::IpAddr;
use std::path::Path;

/// Algorithms that look at `home_nodes`.
const WITH_HOMES: [u32; 2] = [0, 3];

pub(super) fn check(
    base: &Path,
    files: &Files,
    scripts: &Scripts,
    own: Option<IpAddr>,
    host: &Host,
    report: &mut Report,
) {
    let conf = base.join("ctdb.conf");
    cluster_lock(&conf, files, report);
    programs(base, &conf, files, report);
    home_nodes(base, files, report);
    interfaces(files, host, report);
    group(files, scripts.natgw.as_ref(), "the NAT gateway", report);
    group(files, scripts.lvs.as_ref(), "LVS", report);
    natgw(files, scripts, own, report);
    lvs(files, scripts, report);
    policy_routing(files, scripts, report);
}

/// A lock must be where it is said to be; without one, two halves of a cluster may both serve.
fn cluster_lock(conf: &Path, files: &Files, report: &mut Report) {
    let place = || Place::File(conf.to_owned());
    let nodes = files.nodes.iter().flat_map(|n| &n.lines).filter(|n| n.addr.is_some()).count();
    match &files.conf.cluster_lock {
        Some(ClusterLock::File(path)) => {
            let dir = path.parent().unwrap_or(Path::new("/"));
            if !dir.is_dir() {
                let what = format!(
                    "cluster lock: there is no directory {}; mount the shared file system on this node, or correct the path",
                    dir.display()
                );
                report.warning(place(), what);
            } else if path.is_dir() {
                let what = format!("cluster lock: {} is a directory; write the path of a file in it", path.display());
                report.error(place(), what);
            }
        }
        Some(ClusterLock::Helper(argv)) => {
            if let Some(program) = argv.first().filter(|p| !is_executable(Path::new(p))) {
                let what =
                    format!("cluster lock: {program} is not an executable file; install the helper or correct the path");
                report.error(place(), what);
            }
        }
        Some(ClusterLock::Etcd(etcd)) => {
            let tls = etcd.tls.iter().flat_map(|tls| {
                [Some(&tls.ca), tls.identity.as_ref().map(|i| &i.0), tls.identity.as_ref().map(|i| &i.1)]
            });
            for file in tls.flatten().filter(|f| !f.is_file()) {
                let what = format!("cluster lock: there is no file {}; put the certificate there", file.display());
                report.error(place(), what);
            }
        }
        Some(ClusterLock::Quorum) if nodes == 2 => report.warning(
            place(),
            "cluster lock quorum with two nodes: when one of them is lost the other serves nothing; use a file or etcd",
        ),
        Some(ClusterLock::Quorum) => {}
        None if nodes == 2 => report.warning(
            place(),
            "no cluster lock: if the private network between the two nodes breaks, BOTH serve all public addresses; set cluster lock in [cluster] (docs/cluster-lock.md)",
        ),
        None if nodes > 2 => report.warning(
            place(),
            "no cluster lock: the nodes decide by quorum, so less than half of them serve nothing; write cluster lock = quorum if that is meant",
        ),
        None => {}
    }
}

/// Programs that `ctdb.conf` names.
fn programs(base: &Path, conf: &Path, files: &Files, report: &mut Report) {
    if let Some(script) = files.conf.debug_script.as_ref().map(|s| base.join(s)).filter(|s| !is_executable(s))
    {
        let what = format!(
            "debug script: {} is not an executable file; nothing is run when an event hangs",
            script.display()
        );
        report.warning(Place::File(conf.to_owned()), what);
    }
    if let NodesSource::File(path) = &files.nodes_source
        && path != &base.join("nodes")
        && base.join("nodes").exists()
    {
        let what = format!("not read: nodes list in ctdb.conf names {}", path.display());
        report.warning(Place::File(base.join("nodes")), what);
    }
}

/// Homes of addresses and on nodes that do not exist have no effect.
fn home_nodes(base: &Path, files: &Files, report: &mut Report) {
    let file = base.join("home_nodes");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut homes = 0;
    for (index, line) in text.lines().enumerate() {
        let Ok(Some((addr, pnn))) = HomeNodes::parse_line(line) else { continue };
        homes += 1;
        let place = Place::line(&file, index + 1);
        if !files.addresses.iter().any(|l| l.address.addr == addr.to_canonical()) {
            let what = format!(
                "{addr} does not stand in public_addresses of this node; right if other nodes have it"
            );
            report.warning(place.clone(), what);
        }
        if files.nodes_are_good && !has_node(files, pnn) {
            report.warning(
                place,
                format!("there is no node {pnn}; write a number that `ctdb listnodes -X` shows"),
            );
        }
    }
    if homes == 0 {
        return;
    }
    report.count("home nodes", homes);
    let algorithm = files.tunables.ip_alloc_algorithm();
    if !WITH_HOMES.contains(&algorithm) {
        let what = format!(
            "without effect: IPAllocAlgorithm is {algorithm}; set it to 0 (deterministic) or 3 (minimal move) in ctdb.tunables"
        );
        report.warning(Place::File(file), what);
    }
}

fn has_node(files: &Files, pnn: Pnn) -> bool {
    files.nodes.iter().flat_map(|n| &n.lines).any(|n| n.pnn == pnn && n.addr.is_some())
}

/// An interface that is missing here costs its addresses only, so it is a remark.
fn interfaces(files: &Files, host: &Host, report: &mut Report) {
    for line in files.addresses.iter().filter(|_| !host.interfaces.is_empty()) {
        for iface in line.address.ifaces.iter().filter(|i| !host.interfaces.contains(i)) {
            let what = format!("this host has no interface {iface}; its addresses are not served on it");
            report.warning(Place::line(&files.addresses_file, line.line), what);
        }
    }
}

/// A group consists of nodes of the cluster, of which one at least may lead.
fn group(files: &Files, group: Option<&Group>, what: &str, report: &mut Report) {
    let Some(Group { file, members }) = group else { return };
    for member in members.iter().filter(|_| files.nodes_are_good) {
        let addr = member.addr;
        if !files.nodes.iter().flat_map(|n| &n.lines).any(|n| n.addr == Some(addr)) {
            let text = format!("{addr} is not in the nodes list; write the private address of a node");
            report.error(Place::line(file, member.line), text);
        }
    }
    if members.iter().all(|m| m.follower_only) {
        let text = format!("no node may lead {what}; name one that is not follower-only");
        report.warning(Place::File(file.clone()), text);
    }
}

/// The NAT gateway needs its variables on every node that may lead it, and an address of its own.
fn natgw(files: &Files, scripts: &Scripts, own: Option<IpAddr>, report: &mut Report) {
    let place = scripts.get("CTDB_NATGW_NODES").map(|(_, place)| place.clone());
    let follows =
        scripts.natgw.iter().flat_map(|g| &g.members).any(|m| m.follower_only && own == Some(m.addr));
    if let Some(place) = place.filter(|_| !follows) {
        for name in ["CTDB_NATGW_PUBLIC_IP", "CTDB_NATGW_PUBLIC_IFACE", "CTDB_NATGW_PRIVATE_NETWORK"] {
            if !scripts.is_set(name) {
                report.error(
                    place.clone(),
                    format!("the NAT gateway needs {name} beside CTDB_NATGW_NODES; set it"),
                );
            }
        }
    }
    own_address_of(files, scripts, "CTDB_NATGW_PUBLIC_IP", report);
}

/// LVS needs its variables on every node of its group, and an address of its own.
fn lvs(files: &Files, scripts: &Scripts, report: &mut Report) {
    if let Some((_, place)) = scripts.get("CTDB_LVS_NODES") {
        for name in ["CTDB_LVS_PUBLIC_IP", "CTDB_LVS_PUBLIC_IFACE"] {
            if !scripts.is_set(name) {
                report.error(place.clone(), format!("LVS needs {name} beside CTDB_LVS_NODES; set it"));
            }
        }
    }
    own_address_of(files, scripts, "CTDB_LVS_PUBLIC_IP", report);
}

/// An address that a script moves must be nobody else's.
fn own_address_of(files: &Files, scripts: &Scripts, variable: &str, report: &mut Report) {
    let Some((value, place)) = scripts.get(variable) else { return };
    let Ok(addr) = value.split('/').next().unwrap_or_default().parse::<IpAddr>() else { return };
    let whose = if let Some(line) = files.addresses.iter().find(|l| l.address.addr == addr) {
        format!("a public address ({}:{})", files.addresses_file.display(), line.line)
    } else if let Some(node) = files.nodes.iter().flat_map(|n| &n.lines).find(|n| n.addr == Some(addr)) {
        format!("the private address of node {}", node.pnn)
    } else {
        return;
    };
    let what = format!("{variable} {addr} is also {whose}: two would move one address; write another one");
    report.error(place.clone(), what);
}

/// Routes of addresses that do not exist, and numbers of tables that leave no room.
fn policy_routing(files: &Files, scripts: &Scripts, report: &mut Report) {
    for (file, route) in
        scripts.policy.iter().flat_map(|(file, routes)| routes.iter().map(move |r| (file, r)))
    {
        if !files.addresses.iter().any(|l| l.address.addr == route.source) {
            let what = format!(
                "{} does not stand in public_addresses of this node; the line has no effect here",
                route.source
            );
            report.warning(Place::line(file, route.line), what);
        }
    }
    let number =
        |name| scripts.get(name).and_then(|(value, place)| Some((value.parse::<u32>().ok()?, place)));
    let low = number("CTDB_PER_IP_ROUTING_TABLE_ID_LOW");
    let high = number("CTDB_PER_IP_ROUTING_TABLE_ID_HIGH");
    if let (Some((low, _)), Some((high, place))) = (low, high)
        && low > high
    {
        let what = format!(
            "CTDB_PER_IP_ROUTING_TABLE_ID_HIGH {high} is below CTDB_PER_IP_ROUTING_TABLE_ID_LOW {low}; write a greater number"
        );
        report.error(place.clone(), what);
    }
    if let Some((_, place)) = scripts.get("CTDB_PER_IP_ROUTING_CONF") {
        for name in [
            "CTDB_PER_IP_ROUTING_RULE_PREF",
            "CTDB_PER_IP_ROUTING_TABLE_ID_LOW",
            "CTDB_PER_IP_ROUTING_TABLE_ID_HIGH",
        ] {
            if !scripts.is_set(name) {
                report.error(
                    place.clone(),
                    format!("policy routing needs {name} beside CTDB_PER_IP_ROUTING_CONF; set it"),
                );
            }
        }
    }
}
