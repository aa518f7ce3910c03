//! One director in its daily work: time-outs, drain, quorum and sorry server, the doctor beside it, the kernel's list of connections.

use super::{Directors, VIP, dests};
use serde_json::Value;

const CONF: &str = "
lvs_timeouts tcp 7200 tcpfin 30
virtual_server 10.0.0.31 7008 {
    delay_loop 1
    lvs_sched rr
    lvs_method DR
    quorum 2
    sorry_server 10.0.0.14 7008
    real_server 10.0.0.12 7008 {
        TCP_CHECK {
            connect_timeout 10
        }
    }
    real_server 10.0.0.13 7008 {
        TCP_CHECK {
            connect_timeout 10
        }
    }
}";

const SERVICE: &str = "tcp 10.0.0.31:7008";
const ADD: &str = "-A -t 10.0.0.31:7008 -s rr";

fn line(real: &str, weight: u32) -> String {
    format!("-a -t 10.0.0.31:7008 -r {real}:7008 -g -w {weight}")
}

fn wait_timeouts(d: &Directors, wanted: &str) {
    d.wait(&format!("the time-outs {wanted}"), || {
        let text = d.on(0, "ipvsadm", &["-Ln", "--timeout"]);
        if text.trim_end().ends_with(wanted) { Ok(()) } else { Err(text) }
    });
}

/// `ctdb lvs doctor` beside a director that serves: everything that can be looked at from here is good.
fn doctor_is_content(d: &Directors) {
    let (code, out, err) = d.try_ctdb(0, &["--json", "lvs", "doctor", VIP, "--window", "1"]);
    let value: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let findings = value["findings"].as_array().unwrap();
    let all = |check: &str| -> Vec<&str> {
        let of = findings.iter().filter(|f| f["check"] == check);
        of.map(|f| f["verdict"].as_str().unwrap_or_default()).collect()
    };
    for check in ["ip_vs", "forwarding", "segment", "arp", "firewall", "listens", "black-hole"] {
        let verdicts = all(check);
        assert!(!verdicts.is_empty() && verdicts.iter().all(|v| *v == "ok"), "{check}: {value:#}");
    }
    assert_eq!(all("through"), ["not_looked_at"], "this host holds the address: {value:#}");
    assert_eq!((code, &value["ok"]), (0, &Value::Bool(true)), "{value:#}");
}

/// The list of connections has the form that the daemon reads (`ctdbd::lvs::conns`).
fn connections_have_the_known_form(d: &Directors, port: u16, dest: &str) {
    let text = d.on(0, "cat", &["/proc/net/ip_vs_conn"]);
    let mut lines = text.lines();
    assert_eq!(
        lines.next().map(str::trim_end),
        Some("Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData"),
        "{text}"
    );
    let begin = format!("TCP 0A000009 {port:04X} 0A00001F 1B60 {dest} 1B60 ESTABLISHED ");
    let line = lines.find(|l| l.starts_with(&begin)).unwrap_or_else(|| panic!("{begin}: {text}"));
    let rest = line[begin.len()..].trim();
    // The time-out of the configuration, counted down.
    assert!(rest.parse::<u32>().is_ok_and(|s| s > 900 && s <= 7200), "{line}");
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn drain_quorum_time_outs_and_the_doctor() {
    let test = "director::service::drain_quorum_time_outs_and_the_doctor";
    let Some(mut d) = Directors::new(test, 1, 3, CONF) else { return };
    let (one, two) = (line("10.0.0.12", 1), line("10.0.0.13", 1));
    d.wait_table(0, &[ADD, &one, &two]);
    assert_eq!(d.who_all(4), [1, 1, 2, 2]);
    wait_timeouts(&d, " 7200 30 300");
    doctor_is_content(&d);

    // Drained: the connection lives, and no other comes.
    let open = d.connect();
    let (server, local) = open.connected();
    let (drained, other) = if server == 1 { ("10.0.0.12", two.clone()) } else { ("10.0.0.13", one.clone()) };
    connections_have_the_known_form(&d, local.port(), &format!("0A0000{:02X}", 11 + server));
    let real = format!("{drained}:7008");
    d.ctdb(0, &["lvs", "drain", SERVICE, &real, "--deadline", "600"]);
    d.wait_table(0, &[ADD, &line(drained, 0), &other]);
    assert_eq!(d.who_all(3), [3 - server; 3]);
    let seen = d.services(0);
    let dest = dests(&seen).iter().find(|d| d["dest"] == real.as_str()).expect("it is there");
    assert!(dest["active"] == 1 && dest["drain_s"].as_u64().is_some_and(|s| s > 300), "{seen:#}");
    // The deadline comes before the connection ends.
    d.ctdb(0, &["lvs", "drain", SERVICE, &real, "--deadline", "2"]);
    d.wait_table(0, &[ADD, &other]);
    d.ctdb(0, &["lvs", "undrain", SERVICE, &real]);
    d.wait_table(0, &[ADD, &one, &two]);
    open.end();

    // Two are wanted and one is left: the sorry server serves, alone.
    d.servers[2].take().unwrap().kill9().unwrap();
    d.wait_table(0, &[ADD, &line("10.0.0.14", 1)]);
    assert_eq!(d.who_all(2), [3, 3]);
    let seen = d.services(0);
    assert!(seen["services"][0]["quorum"] == false && seen["services"][0]["sorry"] == true, "{seen:#}");
    let text = d.try_ctdb(0, &["lvs", "services"]).1;
    assert!(text.contains("virtual server 10.0.0.31 7008, NO QUORUM, the sorry server serves"), "{text}");
    d.serve(2);
    d.wait_table(0, &[ADD, &one, &two]);
    assert_eq!(d.who_all(2), [1, 2]);
    for what in ["the quorum is lost", "the quorum is there"] {
        assert!(d.journal(0).iter().any(|e| e.contains(what)), "{:#?}", d.journal(0));
    }

    // Other time-outs: what is not said any more stays as it is.
    d.configure(0, &CONF.replace("tcp 7200 tcpfin 30", "tcp 3600 udp 20"));
    d.ctdb(0, &["lvs", "reload"]);
    wait_timeouts(&d, " 3600 30 20");
    assert_eq!(d.table(0).len(), 3);
}
