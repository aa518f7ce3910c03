//! `ctdb lvs realserver` and `ctdb lvs doctor` on real kernels' addresses, settings and packet filters.

use serde_json::Value;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::lab::{Lab, LabConfig, binaries};

/// Generous: the machine is loaded.
const LONG: Duration = Duration::from_secs(60);
const VIP: &str = "10.0.0.200";
const VIP6: &str = "fd00:a::200";
const SETTINGS: [&str; 4] = ["all/arp_ignore", "all/arp_announce", "lo/arp_ignore", "lo/arp_announce"];

fn lab(test: &str) -> Option<Lab> {
    Lab::for_test(test, &LabConfig { nodes: 2, public_ifaces: vec!["pub0".to_owned()] })
}

fn on(lab: &Lab, node: usize, program: impl AsRef<Path>, args: &[&str]) -> (i32, String, String) {
    let base = base(lab, node);
    fs::create_dir_all(&base).unwrap();
    let command = lab.node(node).command(program.as_ref()).args(args);
    let output = command.env("CTDB_BASE", &base).env("CTDB_VARDIR", base.join("var")).output(LONG).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// The configuration of one node; its variable state is below it.
fn base(lab: &Lab, node: usize) -> PathBuf {
    lab.dir().join(format!("lvs{node}"))
}

fn ctdb(lab: &Lab, node: usize, args: &[&str]) -> (i32, String, String) {
    on(lab, node, &binaries().unwrap().ctdb, args)
}

/// The kernel's settings and addresses of `lo`.
fn state(lab: &Lab, node: usize) -> (Vec<String>, Vec<(IpAddr, u8)>) {
    let files: Vec<String> = SETTINGS.iter().map(|s| format!("/proc/sys/net/ipv4/conf/{s}")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, out, err) = on(lab, node, "cat", &files);
    assert_eq!(code, 0, "{err}");
    (out.lines().map(str::to_owned).collect(), lab.node(node).addresses("lo").unwrap())
}

fn set(lab: &Lab, node: usize, name: &str, value: &str) {
    let file = format!("of=/proc/sys/net/ipv4/conf/{name}");
    let input = lab.dir().join("value");
    fs::write(&input, value).unwrap();
    let (code, _, err) = on(lab, node, "dd", &[&format!("if={}", input.display()), &file, "status=none"]);
    assert_eq!(code, 0, "{err}");
}

/// The findings of a check, each as verdict and whole text.
fn findings(json: &str, check: &str) -> Vec<(String, String)> {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    let all = value["findings"].as_array().unwrap().iter().filter(|f| f["check"] == check);
    all.map(|f| (f["verdict"].as_str().unwrap().to_owned(), f.to_string())).collect()
}

#[test]
fn realserver_up_and_down_leave_no_trace() {
    let Some(lab) = lab("realserver_up_and_down_leave_no_trace") else { return };
    set(&lab, 0, "lo/arp_announce", "1");
    let before = state(&lab, 0);
    let (code, out, err) = ctdb(&lab, 0, &["lvs", "realserver", "up", VIP, VIP6]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.contains(&format!("added {VIP} to lo")) && out.contains(&format!("added {VIP6} to lo")),
        "{out}"
    );
    let (settings, addresses) = state(&lab, 0);
    assert_eq!(settings, ["1", "2", "1", "2"]);
    for (vip, bits) in [(VIP, 32), (VIP6, 128)] {
        assert!(addresses.contains(&(vip.parse().unwrap(), bits)), "{addresses:?}");
    }
    // Again: nothing to do. Another one shares the settings.
    assert_eq!(ctdb(&lab, 0, &["lvs", "realserver", "up", VIP]), (0, String::new(), String::new()));
    assert_eq!(ctdb(&lab, 0, &["lvs", "realserver", "up", "10.0.0.201"]).0, 0);
    let (code, out, _) = ctdb(&lab, 0, &["lvs", "realserver", "show"]);
    assert!(code == 0 && out.contains(&format!("{VIP}: OK (put up by ctdb)")), "{out}");
    assert_eq!(ctdb(&lab, 0, &["lvs", "realserver", "down", VIP, VIP6]).0, 0);
    assert_eq!(state(&lab, 0).0, ["1", "2", "1", "2"]);
    assert_eq!(ctdb(&lab, 0, &["lvs", "realserver", "down"]).0, 0);
    assert_eq!(state(&lab, 0), before);
    // An address that this host is heard to have is refused.
    let (code, _, err) = ctdb(&lab, 0, &["lvs", "realserver", "up", "10.0.0.11"]);
    assert!(code == 1 && err.contains("10.0.0.11 is on pub0"), "{err}");
    assert_eq!(state(&lab, 0), before);
}

#[test]
fn r2_3_the_doctor_hears_a_real_server_answer_for_the_address() {
    let Some(lab) = lab("r2_3_the_doctor_hears_a_real_server_answer_for_the_address") else { return };
    let file = lab.dir().join("vs.conf");
    fs::write(
        &file,
        format!("virtual_server {VIP} 80 {{\n lvs_method DR\n real_server 10.0.0.11 80 {{\n  TCP_CHECK {{ }}\n }}\n}}\n"),
    )
    .unwrap();
    lab.node(1).add_address("pub0", VIP.parse().unwrap(), 24).unwrap();
    lab.node(0).add_address("lo", VIP.parse().unwrap(), 32).unwrap();
    let doctor = || {
        let file = file.display().to_string();
        let args = ["--json", "lvs", "doctor", VIP, "--file", &file, "--no-selftest", "--window", "1"];
        let (code, out, err) = ctdb(&lab, 1, &args);
        assert_eq!(err, "", "{out}");
        (code, out)
    };
    let (code, out) = doctor();
    let arp = findings(&out, "arp");
    let mac = lab.node(0).link_state("pub0").unwrap().mac.map(|b| format!("{b:02x}")).join(":");
    assert!(code == 1 && arp.len() == 1 && arp[0].0 == "failure", "{out}");
    for part in [mac.as_str(), "also answers for it on pub0", "ctdb lvs realserver up"] {
        assert!(arp[0].1.contains(part), "{part:?}: {out}");
    }
    // Nobody listens at the real server's port, and it is in the segment.
    assert_eq!(findings(&out, "listens")[0].0, "failure", "{out}");
    assert!(findings(&out, "segment")[0].1.contains("10.0.0.11:80 is on the link pub0"), "{out}");
    assert_eq!(ctdb(&lab, 0, &["lvs", "realserver", "up", VIP]).0, 0);
    let (_, out) = doctor();
    let arp = findings(&out, "arp");
    assert!(arp[0].0 == "ok" && arp[0].1.contains("nobody else answers"), "{out}");
}

#[test]
fn r2_1_and_r2_6_the_doctor_names_the_rule() {
    let test = "r2_1_and_r2_6_the_doctor_names_the_rule";
    if !Command::new("nft").arg("--version").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: {test}: needs nft (package nftables)");
        return;
    }
    let Some(lab) = lab(test) else { return };
    let base = base(&lab, 1);
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("nodes"), "192.168.20.41\n192.168.20.42\n").unwrap();
    fs::write(
        base.join("virtual_servers.conf"),
        format!("virtual_server {VIP} 80 {{\n lvs_method DR\n real_server 10.0.0.11 80 {{ }}\n}}\n"),
    )
    .unwrap();
    let rules = lab.dir().join("rules.nft");
    let doctor = |text: &str| {
        fs::write(&rules, format!("flush ruleset\n{text}")).unwrap();
        let (code, out, err) = on(&lab, 1, "nft", &["-f", &rules.display().to_string()]);
        assert_eq!(code, 0, "{out}{err}");
        ctdb(&lab, 1, &["--json", "lvs", "doctor", "--no-selftest", "--window", "1"]).1
    };
    // Nothing listens on 4379: the host is alive, and no rule is to blame.
    let out = doctor("");
    let heartbeat = findings(&out, "heartbeat");
    assert!(heartbeat.len() == 1 && heartbeat[0].0 == "warning", "{out}");
    assert!(
        heartbeat[0].1.contains("192.168.20.41") && heartbeat[0].1.contains("no daemon listens"),
        "{out}"
    );
    assert_eq!(findings(&out, "firewall")[0].0, "ok", "{out}");
    let out = doctor(
        "table inet site {\n chain in {\n type filter hook input priority 0; policy drop;\n iif lo accept\n \
         icmp type echo-request accept\n tcp dport 22 accept\n tcp dport 80 ct state new accept\n }\n}\n",
    );
    let heartbeat = findings(&out, "heartbeat");
    for part in ["peer alive", "heartbeat filtered by the policy drop of nft inet site in", "UDP 4379 in"] {
        assert!(heartbeat[0].1.contains(part), "{part:?}: {out}");
    }
    let firewall = findings(&out, "firewall");
    assert!(
        firewall[0].0 == "failure" && firewall[0].1.contains("accept NEW packets, and drop the ESTABLISHED"),
        "{out}"
    );
    let out = doctor(
        "table ip site {\n chain in {\n type filter hook input priority 0; policy accept;\n ip saddr 192.168.20.0/24 udp dport \
         { 4379, 5000-5010 } counter drop\n ct state established,related accept\n tcp dport 80 ct state new accept\n }\n}\n",
    );
    let heartbeat = findings(&out, "heartbeat");
    for part in
        ["heartbeat filtered by nft ip site in handle", "saddr 192.168.20.0/24", "dport 4379,5000-5010 drop"]
    {
        assert!(heartbeat[0].1.contains(part), "{part:?}: {out}");
    }
    assert_eq!(findings(&out, "firewall")[0].0, "ok", "{out}");
}
