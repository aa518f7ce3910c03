//! Bad input: what cannot be right is refused with one line that names file and line; nonsense from the network costs nothing.

mod garbage;
mod solo;

use solo::Solo;
use std::fs;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Lab, LabConfig};

/// A daemon with one file written so is refused, and its one line holds all these words.
fn refused(file: &str, text: &str, words: &[&str]) {
    let solo = Solo::new();
    solo.write(file, text);
    let said = solo.refused(&[]);
    for word in words {
        assert!(said.contains(word), "{file} {text:?}: {word:?} is not in {said:?}");
    }
}

#[test]
fn bad_nodes_file_without_own_address() {
    let solo = Solo::new();
    solo.write("nodes", "203.0.113.1\n203.0.113.2\n");
    let said = solo.refused(&[]);
    assert!(said.contains("/nodes") && said.contains(&solo.addr.to_string()), "{said}");
    // Without --listen the daemon looks for the line that this host has.
    let said = solo.refused_plain(&["-i"]);
    assert!(said.contains("/nodes") && said.contains("this host"), "{said}");
}

#[test]
fn bad_nodes_file_lines() {
    refused("nodes", "203.0.113.1\n203.0.113.2\n203.0.113.1\n", &["nodes:3: 203.0.113.1", "line 1"]);
    refused("nodes", "203.0.113.1\n203.0.113.300\n", &["nodes:2: ", "203.0.113.300"]);
    refused("nodes", "203.0.113.1\nnode-b.example\n", &["nodes:2: ", "node-b.example"]);
    refused("nodes", "", &["nodes: ", "names no node"]);
}

#[test]
fn bad_nodes_file_is_missing() {
    let solo = Solo::new();
    fs::remove_file(solo.file("nodes")).unwrap();
    let said = solo.refused(&[]);
    assert!(said.contains("/nodes: cannot read it: No such file") && said.contains("one per line"), "{said}");
}

#[test]
fn bad_public_addresses() {
    let file = "public_addresses";
    refused(file, "10.0.0.31/24 bond0\n10.0.0.256/24 bond0\n", &["public_addresses:2: ", "10.0.0.256"]);
    refused(file, "# c\n10.0.0.31/33 bond0\n", &["public_addresses:2: mask", "1 to 32"]);
    refused(file, "10.0.0.31 bond0\n", &["public_addresses:1: ", "no mask"]);
    refused(file, "fd00::1/129 bond0\n", &["public_addresses:1: mask", "1 to 128"]);
    refused(file, "10.0.0.31/24 bond0\n10.0.0.31/24 bond1\n", &["public_addresses:2: ", "line 1"]);
    refused(file, "10.0.0.31/24 a-name-that-is-too-long\n", &["public_addresses:1: ", "interface name"]);
}

#[test]
fn bad_ctdb_conf() {
    refused("ctdb.conf", "[cluster]\n\tcluster lock = reclock\n", &["ctdb.conf:2: ", "absolute path"]);
    refused("ctdb.conf", "[cluster]\n\n\tleader timeout = soon\n", &["ctdb.conf:3: ", "whole seconds"]);
    refused("ctdb.conf", "[cluster\n", &["ctdb.conf:1: ", "closing bracket"]);
    refused("ctdb.conf", "[failover]\ndisabled = maybe\n", &["ctdb.conf:2: ", "true or false"]);
    refused("ctdb.conf", "just words\n", &["ctdb.conf:1: ", "KEY = VALUE"]);
}

#[test]
fn bad_tunables() {
    refused("ctdb.tunables", "KeepaliveInterval=3\nRecoverIntervall=1\n", &[":2: ", "RecoverInterval"]);
    refused("ctdb.tunables", "KeepaliveInterval=-3\n", &["ctdb.tunables:1: ", "whole number"]);
    refused("ctdb.tunables", "\nKeepaliveInterval 3\n", &["ctdb.tunables:2: ", "NAME=VALUE"]);
    refused("tunables.d/10-x.tunables", "NoSuch=1\n", &["10-x.tunables:1: ", "listvars"]);
}

#[test]
fn bad_home_nodes() {
    refused("home_nodes", "10.0.0.31 0\nnode-b 1\n", &["home_nodes:2: ", "node-b"]);
}

#[test]
fn bad_file_that_is_no_text() {
    let solo = Solo::new();
    fs::write(solo.file("nodes"), b"203.0.113.1\n\xff\xfe\n").unwrap();
    let said = solo.refused(&[]);
    assert!(said.contains("nodes:2: ") && said.contains("UTF-8"), "{said}");
}

#[test]
fn bad_file_that_cannot_be_read() {
    for file in ["nodes", "public_addresses", "ctdb.conf", "ctdb.tunables", "home_nodes"] {
        let solo = Solo::new();
        fs::remove_file(solo.file(file)).ok();
        fs::create_dir(solo.file(file)).unwrap();
        let said = solo.refused(&[]);
        assert!(said.contains(&format!("/{file}: cannot read it: ")), "{said}");
        assert!(said.contains("put a file there"), "{said}");
    }
    if nix::unistd::geteuid().is_root() {
        println!(
            "skipped: bad_file_that_cannot_be_read (mode 000): needs an ordinary user, root may read everything"
        );
        return;
    }
    let solo = Solo::new();
    fs::set_permissions(solo.file("nodes"), fs::Permissions::from_mode(0o000)).unwrap();
    let said = solo.refused(&[]);
    assert!(said.contains("/nodes: cannot read it: ") && said.contains("make it readable"), "{said}");
}

#[test]
fn bad_log_location() {
    let solo = Solo::new();
    let path = solo.file("nodes").join("log");
    let said = solo.refused(&[&format!("--logging=file:{}", path.display())]);
    assert!(said.contains("cannot open the log") && said.contains("location"), "{said}");
}

#[test]
fn bad_second_daemon_on_the_same_socket() {
    let mut first = Solo::new();
    first.start();
    let pid = first.ctdb(&["getpid"]).1;
    let said = first.refused(&["--port=43790"]);
    assert!(said.contains("another ctdbd answers on ") && said.contains("ctdb shutdown"), "{said}");
    // The first one has lost nothing: neither its socket nor its pid file.
    assert_eq!(first.ctdb(&["getpid"]).1, pid);
    assert!(first.file("../run/ctdbd.pid").exists());
}

#[test]
fn bad_second_daemon_with_the_same_state() {
    let mut first = Solo::new();
    first.start();
    let socket = first.file("../run/other.socket");
    let said = first.refused(&["--port=43790", &format!("--socket={}", socket.display())]);
    assert!(said.contains("another ctdbd uses it") && said.contains("CTDB_VARDIR"), "{said}");
    first.assert_serves();
}

#[test]
fn bad_port_that_is_in_use() {
    let solo = Solo::new();
    let taken = TcpListener::bind((solo.addr, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = solo.refused(&[&format!("--port={port}")]);
    assert!(said.contains(&format!("cannot listen on {}:{port}: ", solo.addr)), "{said}");
    assert!(said.contains("ss -ltnp"), "{said}");
    // Nothing is left behind that would hinder the next start.
    drop(taken);
    let mut solo = solo;
    solo.start();
}

#[test]
fn bad_stale_socket_is_replaced() {
    let mut solo = Solo::new();
    solo.start();
    solo.kill();
    assert!(solo.file("../run/ctdbd.socket").exists(), "kill -9 leaves the socket");
    solo.start();
}

#[test]
fn bad_interface_costs_only_its_addresses() {
    let test = "bad_interface_costs_only_its_addresses";
    let lab_config = LabConfig { nodes: 1, public_ifaces: vec!["bond0".to_owned()] };
    let Some(lab) = Lab::for_test(test, &lab_config) else { return };
    let [good, both, nowhere] = ["10.0.0.31", "10.0.0.32", "10.0.0.33"].map(|a| a.parse::<IpAddr>().unwrap());
    let config = ClusterConfig {
        nodes: 1,
        addresses: [good, both, nowhere].iter().map(|a| format!("{a}/24")).collect(),
        ..ClusterConfig::default()
    };
    let mut c = Cluster::prepare(lab, &config).unwrap();
    let lines = format!("{good}/24 bond0\n{both}/24 nosuch0,bond0\n{nowhere}/24 nosuch0\n");
    fs::write(c.lab.paths(0).base.join("public_addresses"), lines).unwrap();
    c.start(0).unwrap();
    c.wait("the addresses that can be served", |holders| {
        holders[&good] == [0] && holders[&both] == [0] && holders[&nowhere].is_empty()
    });
    c.wait_output(0, &["ifaces"], |out| out.contains("name:nosuch0 link:down"));
    let log = c.daemon(0).stderr();
    assert!(log.contains("public network interface nosuch0 doesn't exist"), "{log}");
    c.wait_output(0, &["status"], |out| !out.contains("UNHEALTHY"));
}
