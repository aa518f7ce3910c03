use super::*;
use std::fs;

/// A configuration directory with these files, checked on a host with these interfaces and addresses.
fn findings(files: &[(&str, &str)]) -> (Vec<String>, Report) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("events/legacy")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text.replace("DIR", &dir.path().display().to_string())).unwrap();
    }
    let local = |addr: &str| LocalAddress { addr: addr.parse().unwrap(), prefix: 24 };
    let host = Host {
        addresses: vec![local("10.0.0.2")],
        interfaces: ["lo", "eth0", "eth1"].map(str::to_owned).into(),
    };
    let report = check(dir.path(), &host);
    let place = format!("{}/", dir.path().display());
    let text = |f: &Finding| format!("{} {}", if f.severity == Severity::Error { "E" } else { "w" }, f.text);
    (report.findings.iter().map(|f| text(f).replace(&place, "")).collect(), report)
}

/// The findings begin with these, in this order, and there are no others.
fn expect(files: &[(&str, &str)], expected: &[&str]) {
    let (found, _) = findings(files);
    assert_eq!(found.len(), expected.len(), "{files:?}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nand not {expected}");
    }
}

const NODES: (&str, &str) = ("nodes", "10.0.0.1\n10.0.0.2\n#10.0.0.3\n10.0.0.4\n");
const CONF: (&str, &str) = ("ctdb.conf", "[cluster]\ncluster lock = DIR/reclock\n");
const PUBLIC: (&str, &str) = ("public_addresses", "10.1.0.5/24 eth0\n10.1.0.6/24 eth0,eth1\n");

#[test]
fn a_good_directory() {
    let (found, report) = findings(&[
        NODES,
        CONF,
        PUBLIC,
        ("ctdb.tunables", "IPAllocAlgorithm=0\n"),
        ("home_nodes", "10.1.0.5 0\n10.1.0.6 3\n"),
        (
            "script.options",
            "# all\nCTDB_NATGW_NODES=$CTDB_BASE/natgw_nodes\nCTDB_NATGW_PUBLIC_IP=10.1.0.9/24\n",
        ),
        (
            "events/legacy/11.natgw.options",
            "CTDB_NATGW_PUBLIC_IFACE=eth0\nCTDB_NATGW_PRIVATE_NETWORK=10.0.0.0/24\nCTDB_NATGW_PUBLIC_IP=10.1.0.10/24\n",
        ),
        ("natgw_nodes", "10.0.0.1\n10.0.0.2 slave-only\n"),
        ("lvs_nodes.example", "not read\n"),
        (
            "events/legacy/13.per_ip_routing.options",
            "CTDB_PER_IP_ROUTING_CONF=\"$CTDB_BASE/policy_routing\"\nCTDB_PER_IP_ROUTING_RULE_PREF=100\n\
             CTDB_PER_IP_ROUTING_TABLE_ID_LOW=1000\nCTDB_PER_IP_ROUTING_TABLE_ID_HIGH=9000\n",
        ),
        ("policy_routing", "10.1.0.5 0.0.0.0/0 10.1.0.1\n"),
        ("static-routes", "eth1 10.9.0.0/16 10.1.0.1\n"),
    ]);
    assert_eq!(found, [""; 0]);
    assert_eq!(
        report.counts,
        [
            ("nodes", 3),
            ("deleted nodes", 1),
            ("public addresses", 2),
            ("script variables", 8),
            ("NAT gateway nodes", 2),
            ("policy routes", 1),
            ("static routes", 1),
            ("event scripts", 0),
            ("home nodes", 2),
        ]
    );
}

#[test]
fn faults_of_the_daemons_files_are_errors() {
    expect(
        &[
            ("ctdb.conf", "[cluster]\nleader timeout = x\n[database]\nlock debug script = y\n"),
            ("nodes", "10.0.0.2\nhost\n"),
            ("public_addresses", "10.1.0.5 eth0\n10.0.0.2/24 eth0\n"),
        ],
        &[
            "E ctdb.conf:2: leader timeout cannot",
            "E nodes:2: \"host\" is not",
            "E public_addresses:1: \"10.1.0.5\" has no mask",
            "E public_addresses:2: 10.0.0.2 is the private address of node 0",
            "w ctdb.conf: accepted without effect: [database] lock debug script (line 4)",
        ],
    );
    expect(&[], &["E nodes: cannot read it: No such file"]);
}

#[test]
fn what_may_differ_on_the_node_is_a_warning() {
    expect(
        &[CONF, ("nodes", "10.9.0.1\n"), ("public_addresses", "10.1.0.5/24 eth0,eth7\n")],
        &[
            "w nodes: none of its addresses is on this host (here: 10.0.0.2)",
            "w public_addresses:1: this host has no interface eth7;",
        ],
    );
    expect(
        &[("ctdb.conf", "[cluster]\nnode address = 10.0.0.1\ncluster lock = /no/such/lock\n"), NODES],
        &[
            "w nodes: this node's address 10.0.0.1 (node address in ctdb.conf) is not on this host",
            "w ctdb.conf: cluster lock: there is no directory /no/such; mount",
        ],
    );
    expect(
        &[("ctdb.conf", "[cluster]\nnode address = 10.0.0.9\ncluster lock = quorum\n"), NODES],
        &["E nodes: does not contain this node's address 10.0.0.9 (from node address in ctdb.conf)"],
    );
}

#[test]
fn the_cluster_lock() {
    let two = ("nodes", "10.0.0.1\n10.0.0.2\n");
    for (nodes, lock, expected) in [
        (two, "", "w ctdb.conf: no cluster lock: if the private network between the two nodes breaks, BOTH"),
        (NODES, "", "w ctdb.conf: no cluster lock: the nodes decide by quorum"),
        (two, "quorum", "w ctdb.conf: cluster lock quorum with two nodes"),
        (NODES, "!/no/helper x", "E ctdb.conf: cluster lock: /no/helper is not an executable file"),
        (NODES, "!DIR/nodes", "E ctdb.conf: cluster lock: "),
        (NODES, "DIR", "E ctdb.conf: cluster lock: "),
        (NODES, "etcd+tls:h:1/k?ca=/no/ca", "E ctdb.conf: cluster lock: there is no file /no/ca"),
    ] {
        expect(&[nodes, ("ctdb.conf", &format!("[cluster]\ncluster lock = {lock}\n"))], &[expected]);
    }
    for (nodes, lock) in [(NODES, "quorum"), (two, "!/bin/sh x"), (two, "etcd:h:1/k"), (two, "DIR/lock")] {
        expect(&[nodes, ("ctdb.conf", &format!("[cluster]\ncluster lock = {lock}\n"))], &[]);
    }
    expect(&[("nodes", "10.0.0.2\n")], &[]);
}

#[test]
fn homes() {
    expect(
        &[NODES, CONF, PUBLIC, ("home_nodes", "10.1.0.5 2\n10.1.0.7 0\n")],
        &[
            "w home_nodes:1: there is no node 2;",
            "w home_nodes:2: 10.1.0.7 does not stand in public_addresses",
            "w home_nodes: without effect: IPAllocAlgorithm is 2;",
        ],
    );
}

#[test]
fn groups() {
    let options = "CTDB_NATGW_NODES=$CTDB_BASE/natgw_nodes\nCTDB_NATGW_PUBLIC_IP=10.1.0.5/24\nCTDB_LVS_NODES=/no/such\n";
    expect(
        &[
            NODES,
            CONF,
            PUBLIC,
            ("script.options", options),
            ("natgw_nodes", "10.0.0.3 follower-only\n10.0.0.1 leader\n"),
            ("lvs_nodes", "x\n"),
        ],
        &[
            "E natgw_nodes:2: \"leader\" is not an option",
            "E script.options:3: CTDB_LVS_NODES names /no/such, which does not exist",
            "E natgw_nodes:1: 10.0.0.3 is not in the nodes list",
            "w natgw_nodes: no node may lead the NAT gateway",
            "E script.options:1: the NAT gateway needs CTDB_NATGW_PUBLIC_IFACE beside",
            "E script.options:1: the NAT gateway needs CTDB_NATGW_PRIVATE_NETWORK beside",
            "E script.options:2: CTDB_NATGW_PUBLIC_IP 10.1.0.5 is also a public address (public_addresses:1)",
            "E script.options:3: LVS needs CTDB_LVS_PUBLIC_IP beside",
            "E script.options:3: LVS needs CTDB_LVS_PUBLIC_IFACE beside",
        ],
    );
    expect(
        &[NODES, CONF, ("lvs_nodes", "10.0.0.1\n")],
        &["w lvs_nodes: not in use: CTDB_LVS_NODES is not set; write CTDB_LVS_NODES="],
    );
    expect(
        &[NODES, CONF, ("script.options", "CTDB_LVS_PUBLIC_IP=10.0.0.4\n")],
        &["E script.options:1: CTDB_LVS_PUBLIC_IP 10.0.0.4 is also the private address of node 3"],
    );
}

#[test]
fn options() {
    let text = "CTDB_KILLTCP_USE_SS_KILL=1\nCTDB_NATGW_PUBLIC_IFCE=eth0\nCTDB_SAMBA_CHECK_PORTS=445 139\n. /other\n\
                CTDB_MONITOR_MEMORY_USAGE=$(limit)\nNFS_HOSTNAME=x\n";
    expect(
        &[
            NODES,
            CONF,
            ("script.options", text),
            ("static-routes", "eth0 10.0.0.0\n"),
            ("notify.sh", "#!/bin/sh\n"),
        ],
        &[
            "E script.options:3: \"139\" after the value of CTDB_SAMBA_CHECK_PORTS would be run",
            "w script.options:4: \". /other\" is no assignment",
            "E script.options:1: CTDB_KILLTCP_USE_SS_KILL cannot be \"1\"; write yes, no or try",
            "w script.options:2: no script reads CTDB_NATGW_PUBLIC_IFCE; write CTDB_NATGW_PUBLIC_IFACE",
            "E static-routes:1: \"eth0 10.0.0.0\" is not a route",
            "E notify.sh: is not executable and never called; chmod +x",
        ],
    );
}

#[test]
fn policy_routing() {
    let options = "CTDB_PER_IP_ROUTING_CONF=$CTDB_BASE/policy_routing\nCTDB_PER_IP_ROUTING_TABLE_ID_LOW=2000\n\
                   CTDB_PER_IP_ROUTING_TABLE_ID_HIGH=1000\n";
    expect(
        &[
            NODES,
            CONF,
            PUBLIC,
            ("script.options", options),
            ("policy_routing", "10.1.0.5 10.1.0.0/24\n10.1.0.8 10.1.0.0/24\n10.1.0.5 10.1.0.1/24\n"),
        ],
        &[
            "E policy_routing:3: \"10.1.0.1/24\" has bits behind its mask",
            "w policy_routing:2: 10.1.0.8 does not stand in public_addresses",
            "E script.options:3: CTDB_PER_IP_ROUTING_TABLE_ID_HIGH 1000 is below",
            "E script.options:1: policy routing needs CTDB_PER_IP_ROUTING_RULE_PREF",
        ],
    );
}
