//! `ctdb lvs check` and `import`: streams, exit statuses, styles. What they find has its tests in the crate `lvs`.

use super::{ctdb, told};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Field report R0: piranha, direct routing, and real servers at another port.
const R0: &str = "\
serial_no = 43
primary = 192.168.142.10
service = lvs
backup_active = 1
backup = 192.168.142.11
heartbeat = 1
heartbeat_port = 539
keepalive = 30
deadtime = 18
network = direct
virtual web {
     active = 1
     address = 192.168.142.100 eth0:1
     vip_nmask = 255.255.255.0
     port = 80
     protocol = tcp
     scheduler = rr
     server one {
         active = 1
         address = 192.168.142.158
         port = 8080
         weight = 1
     }
}
";

const GOOD: &str = "virtual_server 192.0.2.1 80 {\n lvs_method DR\n real_server 10.0.0.1 80 {\n  TCP_CHECK { }\n }\n real_server 10.0.0.2 80 { }\n}\n";

fn run(files: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let place = dir.path().display().to_string();
    let args: Vec<String> = args.iter().map(|a| a.replace("DIR", &place)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = ctdb(Path::new("/no/daemon"), &args);
    let (code, out, err) = told(command.env("CTDB_BASE", dir.path()).output().unwrap());
    (code, out.replace(&place, "DIR"), err.replace(&place, "DIR"))
}

#[test]
fn a_good_file_is_ok_with_a_summary() {
    let (code, out, err) = run(&[("virtual_servers.conf", GOOD)], &["lvs", "check"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(out, "OK: 1 virtual server, 1 service, 2 real servers\n");
}

#[test]
fn r0_1_every_error_has_file_line_and_remedy() {
    let bad =
        GOOD.replace("10.0.0.1 80", "10.0.0.1 8080").replace("lvs_method DR", "lvs_method DR\n quorums 2");
    let (code, out, err) = run(&[("vs.conf", &bad)], &["lvs", "check", "DIR/vs.conf"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("DIR/vs.conf:3: "), "{err}");
    assert!(
        err.contains(
            "DIR/vs.conf:4: direct routing cannot change the port: the real server must listen on 80, or use nat"
        ),
        "{err}"
    );
    assert!(err.ends_with("2 errors in DIR/vs.conf; a director would not apply any of it\n"), "{err}");
    let (code, out, err) = run(&[("vs.conf", &bad)], &["lvs", "check", "DIR/vs.conf", "--json"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str(), &value["ok"]), (1, "", &Value::Bool(false)));
    assert_eq!(value["errors"][1]["line"], 4);
    let (_, out, _) = run(&[("vs.conf", &bad)], &["-X", "lvs", "check", "DIR/vs.conf"]);
    assert!(out.starts_with("|Severity|File|Line|Message|\n|error|DIR/vs.conf|3|"), "{out}");
    let (code, _, err) = run(&[], &["lvs", "check"]);
    assert!(
        code == 1 && err.starts_with("DIR/virtual_servers.conf:1: cannot be read: No such file"),
        "{err}"
    );
}

#[test]
fn r0_5_the_import_of_the_reports_file_names_both_defects() {
    let (code, out, err) = run(&[("lvs.cf", R0)], &["lvs", "import", "DIR/lvs.cf"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("virtual_server 192.168.142.100 80 {"), "{out}");
    let wrong: Vec<&str> = err.lines().filter(|l| l.contains(": wrong: ")).collect();
    assert!(wrong.iter().any(|l| l.contains("direct routing cannot change the port")), "{err}");
    assert!(
        wrong.iter().any(|l| l.contains("a heartbeat every 30 s is rarer than the dead time of 18 s")),
        "{err}"
    );
    assert!(
        err.lines().last().unwrap().starts_with("DIR/lvs.cf was read as lvs.cf: 2 lines to repair"),
        "{err}"
    );
}

#[test]
fn an_import_is_written_once_and_passes_the_check() {
    let old = format!("global_defs {{\n router_id x\n}}\n{GOOD}");
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("keepalived.conf"), old).unwrap();
    let import = || {
        let args = ["lvs", "import", &path("keepalived.conf"), "-o", &path("vs.conf")];
        told(ctdb(Path::new("/no/daemon"), &args).output().unwrap())
    };
    let (code, out, err) = import();
    assert_eq!((code, out), (0, format!("{} is written\n", path("vs.conf"))), "{err}");
    let check = ctdb(Path::new("/no/daemon"), &["lvs", "check", &path("vs.conf")]).output().unwrap();
    assert_eq!(told(check).0, 0);
    let (code, out, err) = import();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("is there already; name another file"), "{err}");
}

#[test]
fn what_is_no_configuration_is_not_converted() {
    let (code, out, err) = run(&[("x", "virtual_server {\n")], &["lvs", "import", "DIR/x"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("DIR/x:1: ") && err.contains("nothing is converted"), "{err}");
    let (code, out, _) = run(&[("x", "virtual_server {\n")], &["lvs", "import", "DIR/x", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["ok"].as_bool()), (1, Some(false)));
}

#[test]
fn the_doctor_wants_a_sound_configuration() {
    let (code, out, err) = run(&[("virtual_servers.conf", "virtual_sever x\n")], &["lvs", "doctor"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("DIR/virtual_servers.conf:1: ") && err.contains("the doctor wants"), "{err}");
    let (code, _, err) = run(&[("virtual_servers.conf", GOOD)], &["lvs", "doctor", "192.0.2.9"]);
    assert!(code == 1 && err.contains("has no service of 192.0.2.9"), "{err}");
}

#[test]
fn groups_still_need_the_daemon_and_no_node_is_meant() {
    assert!(run(&[], &["lvs", "leader"]).2.contains("Failed to connect to CTDB daemon"));
    assert_eq!(run(&[], &["-n", "1", "lvs", "check"]).2, "Node cannot be specified for command lvs\n");
}
