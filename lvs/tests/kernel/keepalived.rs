//! keepalived 2.2.7 with the same file: the kernel's table must be the same, line by line.
//!
//! The files are `tests/vm/lvs/*.conf`. Real servers that they name do not exist; both programs take them for up until a first check has
//! failed, and the files put that off (`warmup`).

use crate::net::{alone, converge, ipvsadm, wait_for};
use crate::vm::{installed, say};
use lvs::config::Surroundings;
use lvs::director::Director;
use lvs::ipvs::Kernel;
use lvs::model::{Protocol, Table};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// This host, as far as a configuration asks for it.
struct Host;

impl Surroundings for Host {
    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|e| e.to_string())
    }
    fn expand(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    fn executable(&self, path: &str) -> Result<(), String> {
        Path::new(path).exists().then_some(()).ok_or_else(|| "no such file".to_owned())
    }
    fn service_port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
    fn account(&self, _: Option<&str>, _: Option<&str>) -> Result<(), String> {
        Ok(())
    }
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vm/lvs");
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "conf")).collect();
    files.sort();
    files
}

/// A keepalived that is ended with the test.
struct Keepalived(Child);

impl Keepalived {
    /// Starts the health checker alone, in this thread's namespace.
    fn start(file: &Path) -> Self {
        let name = file.file_stem().and_then(|n| n.to_str()).expect("a name");
        let pid = |kind: &str| format!("/run/{name}.{kind}.pid");
        let log = std::fs::File::create(format!("/run/{name}.log")).expect("a log");
        let child = Command::new("keepalived")
            .args(["--check", "--dont-fork", "--log-console", "--dont-respawn", "--no-syslog"])
            .args(["--pid", &pid("main"), "--checkers_pid", &pid("check"), "--vrrp_pid", &pid("vrrp")])
            .arg("--use-file")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("keepalived");
        Self(child)
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        // It takes its checker process with it.
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// What our configuration, director and netlink make of a file.
fn ours(file: &Path) -> Vec<String> {
    let path = file.to_str().expect("a path");
    let (config, findings) = lvs::config::load(path, &Host).unwrap_or_else(|e| panic!("{e:#?}"));
    assert_eq!(findings, [], "{path}");
    let mut director = Director::new(1, BTreeSet::new());
    director.reload(config, Duration::ZERO);
    let desired = director.desired(&Table::new(), &Default::default(), Duration::ZERO);
    alone(move || {
        converge(&mut Kernel::open().expect("IPVS"), &desired);
        ipvsadm()
    })
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn keepalived_makes_the_same_tables() {
    if !installed("keepalived") {
        return say("skipped: keepalived_makes_the_same_tables: needs keepalived");
    }
    let files: Vec<PathBuf> = files().into_iter().filter(|f| !differs(f)).collect();
    assert!(files.len() >= 10, "{files:?}");
    let mut different = Vec::new();
    for file in files {
        let wanted = ours(&file);
        assert!(wanted.len() > 1, "{}: an empty table proves nothing", file.display());
        let theirs = {
            let (file, wanted) = (file.clone(), wanted.clone());
            alone(move || {
                let _running = Keepalived::start(&file);
                let mut last = Vec::new();
                for _ in 0..100 {
                    last = ipvsadm();
                    if last == wanted {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                last
            })
        };
        if theirs != wanted {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let log = std::fs::read_to_string(format!("/run/{name}.log")).unwrap_or_default();
            different.push(format!("{name}\nours {wanted:#?}\nkeepalived's {theirs:#?}\n{log}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The file whose tables are not the same, on purpose; it has a test below.
fn differs(file: &Path) -> bool {
    file.ends_with("r0-dr-other-port.conf")
}

/// keepalived's table of a file, when it has as many lines as expected.
fn theirs(file: &Path, lines: usize) -> Vec<String> {
    let file = file.to_owned();
    alone(move || {
        let _running = Keepalived::start(&file);
        wait_for("keepalived's table", || {
            let table = ipvsadm();
            if table.len() >= lines { Ok(table) } else { Err(format!("{table:?}")) }
        })
    })
}

fn file(name: &str) -> PathBuf {
    files().into_iter().find(|f| f.ends_with(name)).unwrap_or_else(|| panic!("no {name}"))
}

/// A mark stands for many ports. With NAT a real server's port has a meaning then; with direct routing and tunnels it has none, and is in
/// neither table. keepalived's own is compared above.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn a_mark_with_a_port() {
    assert_eq!(
        ours(&file("mark-with-port.conf")),
        [
            "-A -f 9 -s lc",
            "-a -f 9 -r 10.0.0.1:8080 -m -w 1",
            "-a -f 9 -r 10.0.0.2:0 -g -w 1",
            "-a -f 9 -r 10.0.0.3:0 -i -w 1 --tun-type ipip"
        ]
    );
}

/// R0: direct routing with another port. keepalived takes it and silently puts the service's port in place of it. Here it is
/// refused, and says why.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r0_1_another_port_with_direct_routing() {
    let file = file("r0-dr-other-port.conf");
    let findings = lvs::config::load(file.to_str().expect("a path"), &Host).expect_err("refused");
    let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        said.contains("direct routing cannot change the port: the real server must listen on 80, or use nat"),
        "{said}"
    );
    if !installed("keepalived") {
        return say("skipped: r0_1_another_port_with_direct_routing (keepalived's part): needs keepalived");
    }
    // It says 8080 in the file and :80 in the table: nobody listens there.
    let line = |real: &str| format!("-a -t 192.168.142.100:80 -r {real}:80 -g -w 1");
    let all = ["-A -t 192.168.142.100:80 -s rr".to_owned(), line("192.168.142.158"), line("192.168.142.159")];
    assert_eq!(theirs(&file, 3), all);
}
