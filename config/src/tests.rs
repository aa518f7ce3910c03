use super::*;
use crate::cli::Cli;
use clap::Parser;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

struct Tree {
    dir: tempfile::TempDir,
    paths: Paths,
}

impl Tree {
    /// A configuration directory with these files.
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("etc");
        fs::create_dir_all(base.join("tunables.d")).unwrap();
        for (name, text) in files {
            fs::write(base.join(name), text).unwrap();
        }
        let at = |name: &str| Some(dir.path().join(name).into_os_string());
        let paths = Paths::from_lookup(|name| match name {
            "CTDB_BASE" => at("etc"),
            "CTDB_RUNDIR" => at("run"),
            _ => at("var"),
        });
        Self { dir, paths }
    }

    fn load(&self, args: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from(["ctdbd"].iter().chain(args)).unwrap();
        let here = [("127.0.0.1", 8), ("10.0.0.2", 24)]
            .map(|(addr, prefix)| LocalAddress { addr: addr.parse().unwrap(), prefix });
        Config::load_on(&self.paths, &cli, &here).map_err(|e| {
            let text = e.to_string();
            assert_eq!(text.lines().count(), e.0.len(), "a line each: {text}");
            text.replace(&self.dir.path().display().to_string(), "")
        })
    }

    fn warnings(&self, args: &[&str]) -> Vec<String> {
        let place = self.dir.path().display().to_string();
        self.load(args).unwrap().warnings.iter().map(|w| w.to_string().replace(&place, "")).collect()
    }
}

const NODES: (&str, &str) = ("nodes", "10.0.0.1\n10.0.0.2\n10.0.0.3\n");

#[test]
fn a_nodes_file_is_enough() {
    let tree = Tree::new(&[NODES]);
    let config = tree.load(&[]).unwrap();
    assert_eq!(config.pnn, Pnn(1));
    assert_eq!(config.address, "10.0.0.2".parse::<IpAddr>().unwrap());
    assert_eq!(config.port, 4379);
    assert_eq!(config.conf, CtdbConf::default());
    assert_eq!(config.tunables, Tunables::default());
    assert_eq!(config.log, LogTarget::Location(LogLocation::File("/var/log/ctdb/log.ctdb".into())));
    assert_eq!(config.pid_file, tree.paths.rundir.join("ctdbd.pid"));
    assert!(
        config.public_addresses.is_empty()
            && config.warnings.is_empty()
            && config.home_nodes == HomeNodes::default()
    );
}

#[test]
fn all_files() {
    let tree = Tree::new(&[
        NODES,
        ("ctdb.conf", "[cluster]\nrecovery lock = /shared/lock\n[event]\ndebug script = dbg.sh\n"),
        ("public_addresses", "10.1.0.5/24 eth0\nfd00::5/64 eth0,eth1\n"),
        ("ctdb.tunables", "KeepaliveInterval=1\nKeepaliveLimit=2\n"),
        ("tunables.d/20-b.tunables", "KeepaliveInterval=20\n"),
        ("tunables.d/10-a.tunables", "KeepaliveInterval=10\nRecoverInterval=2\n"),
        ("tunables.d/README", "not read\n"),
        ("tunables.d/.hidden.tunables", "not read\n"),
        ("home_nodes", "10.1.0.5 1\n"),
    ]);
    let config = tree.load(&["-i"]).unwrap();
    assert_eq!(config.conf.cluster_lock, Some(ClusterLock::File("/shared/lock".into())));
    assert_eq!(config.debug_script, Some(tree.paths.base.join("dbg.sh")));
    assert_eq!(config.public_addresses.len(), 2);
    assert_eq!(config.tunables.get("KeepaliveInterval"), Ok(20));
    assert_eq!(config.tunables.get("RecoverInterval"), Ok(2));
    assert_eq!(config.tunables.get("KeepaliveLimit"), Ok(2));
    assert_eq!(config.home_nodes.get("10.1.0.5".parse().unwrap()), Some(Pnn(1)));
    assert_eq!(config.log, LogTarget::Stderr);
    assert_eq!(config.warnings, []);
}

#[test]
fn options_win() {
    let tree = Tree::new(&[
        NODES,
        (
            "ctdb.conf",
            "[cluster]\ncluster lock = /l\nnode address = 10.0.0.1\n[logging]\nlog level = ERROR\n",
        ),
        ("other", "10.0.0.9\n10.0.0.2\n"),
        ("pa", "10.1.0.5/24\n"),
    ]);
    let base = tree.paths.base.display().to_string();
    let config = tree
        .load(&[
            "-i",
            "--reclock=/m",
            &format!("--nlist={base}/other"),
            &format!("--public-addresses={base}/pa"),
            "--public-interface=eth7",
            "--listen=10.0.0.9",
            "-dDEBUG",
            "--socket=/s",
            "--no-recmaster",
            "--start-as-stopped",
            "--logging=syslog",
            "--pidfile=/pid",
            "--port=5",
        ])
        .unwrap();
    assert_eq!(config.conf.cluster_lock, Some(ClusterLock::File("/m".into())));
    assert_eq!((config.pnn, config.nodes.lines.len()), (Pnn(0), 2));
    assert_eq!(config.public_addresses[0].ifaces, ["eth7"]);
    assert_eq!(config.conf.log_level, LogLevel::Debug);
    assert_eq!(config.paths.socket, PathBuf::from("/s"));
    assert!(!config.conf.leader_capability && config.conf.start_as_stopped);
    assert_eq!(config.log, LogTarget::Location(LogLocation::Syslog(Syslog::Local)));
    assert_eq!((config.pid_file, config.port), (PathBuf::from("/pid"), 5));
    assert_eq!(tree.load(&[]).unwrap().pnn, Pnn(0), "node address of ctdb.conf");
}

#[test]
fn refused_with_file_line_and_remedy() {
    let good = ("public_addresses", "10.1.0.5/24 eth0\n");
    for (files, args, expected) in [
        (
            &[][..],
            &[][..],
            "/etc/nodes: cannot read it: No such file or directory (os error 2); write the private",
        ),
        (
            &[("nodes", "10.0.0.1\n10.0.0.3\n")],
            &[],
            "/etc/nodes: none of its addresses is on this host (here: 127.0.0.1, 10.0.0.2); add",
        ),
        (
            &[("nodes", "10.0.0.2\n10.0.0.2\n")],
            &[],
            "/etc/nodes:2: 10.0.0.2 stands already on line 1 (/etc/nodes:1)",
        ),
        (&[("nodes", "10.0.0.2\n127.0.0.1\n")], &[], "/etc/nodes: two of its addresses are on this host"),
        (
            &[NODES],
            &["--listen=10.9.9.9"],
            "/etc/nodes: does not contain this node's address 10.9.9.9 (from --listen)",
        ),
        (
            &[NODES, ("public_addresses", "10.1.0.5/40 eth0\n")],
            &[],
            "/etc/public_addresses:1: mask \"40\" does not fit",
        ),
        (
            &[NODES, ("public_addresses", "# x\n10.0.0.3/24 eth0\n")],
            &[],
            "/etc/public_addresses:2: 10.0.0.3 is the private address of node 2;",
        ),
        (
            &[NODES, ("ctdb.tunables", "RecoverIntervall=1\n")],
            &[],
            "/etc/ctdb.tunables:1: no tunable is called",
        ),
        (&[NODES, ("tunables.d/x.tunables", "\nfoo\n")], &[], "/etc/tunables.d/x.tunables:2: \"foo\" is not"),
        (
            &[NODES, ("ctdb.conf", "[cluster]\nleader timeout = x\n")],
            &[],
            "/etc/ctdb.conf:2: leader timeout cannot",
        ),
        (
            &[NODES, good],
            &["--reclock=lock"],
            "--reclock: cluster lock cannot be \"lock\"; write an absolute",
        ),
        (
            &[NODES, good],
            &["--public-addresses=/none/x"],
            "/none/x: cannot read it: No such file or directory (os error 2); write it, or start",
        ),
        (&[], &["--nlist=/none/y"], "/none/y: cannot read it: No such file"),
    ] {
        let error = Tree::new(files).load(args).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn all_faults_of_all_files_at_once() {
    let tree = Tree::new(&[
        ("ctdb.conf", "[cluster]\nleader timeout = x\nwords\n[failover]\ndisabled = 2\n"),
        ("nodes", "10.0.0.1\nhost\n10.0.0.1\n"),
        ("public_addresses", "10.1.0.5/24 eth0\n10.1.0.6 eth0\n10.0.0.1/24 eth0\n10.1.0.5/24 eth1\n"),
        ("ctdb.tunables", "RecoverIntervall=1\nLeaseTime=x\n"),
        ("tunables.d/x.tunables", "foo\n"),
        ("home_nodes", "10.1.0.5 0\n# no\n10.1.0.6 x\n"),
    ]);
    let said = tree.load(&["--reclock=lock"]).unwrap_err();
    let expected = [
        "/etc/ctdb.conf:2: leader timeout cannot",
        "/etc/ctdb.conf:3: \"words\" is neither",
        "/etc/ctdb.conf:5: disabled cannot",
        "--reclock: cluster lock cannot",
        "/etc/nodes:2: \"host\" is not",
        "/etc/nodes:3: 10.0.0.1 stands already on line 1",
        "/etc/public_addresses:2: \"10.1.0.6\" has no mask",
        "/etc/public_addresses:4: 10.1.0.5 stands already on line 1",
        "/etc/public_addresses:3: 10.0.0.1 is the private address of node 0;",
        "/etc/ctdb.tunables:1: no tunable",
        "/etc/ctdb.tunables:2: LeaseTime cannot",
        "/etc/tunables.d/x.tunables:1: \"foo\" is not",
        "/etc/home_nodes:2: `#` is not an address",
        "/etc/home_nodes:3: `x` is not a node number",
    ];
    assert_eq!(said.lines().count(), expected.len(), "{said}");
    for (line, expected) in said.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn remarks() {
    let tree = Tree::new(&[
        ("nodes", "# our nodes\n10.0.0.2\n"),
        ("ctdb.conf", "[database]\ntdb mutexes = false\n[cluster]\nleder timeout = 3\n"),
        ("public_addresses", "10.1.0.5/24 eth0\n10.0.0.77/24 eth0\nfd00::1/64 eth0\n"),
        ("ctdb.tunables", "LCP2PublicIPs=0\nVacuumInterval=1\n"),
    ]);
    let found = tree.warnings(&[]);
    let expected = [
        "/etc/ctdb.conf: accepted without effect: [database] tdb mutexes (line 2), [cluster] leder timeout (line 4; is leader timeout meant?)",
        "/etc/nodes:1: this comment takes node number 0 (a deleted node)",
        "/etc/ctdb.tunables:1: LCP2PublicIPs is obsolete and has no effect",
        "/etc/ctdb.tunables:2: VacuumInterval is about CTDB's database and has no effect",
        "/etc/public_addresses:2: 10.0.0.77 is in the network of the private address 10.0.0.2/24;",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let tree = Tree::new(&[NODES]);
    fs::write(tree.paths.base.join("public_addresses"), b"# x\n10.1.0.5/24 eth0\n\xff\xfe\n").unwrap();
    let error = tree.load(&[]).unwrap_err();
    assert!(error.starts_with("/etc/public_addresses:3: a byte here is not UTF-8"), "{error}");
    fs::remove_file(tree.paths.base.join("public_addresses")).unwrap();
    fs::create_dir(tree.paths.base.join("public_addresses")).unwrap();
    let error = tree.load(&[]).unwrap_err();
    assert!(
        error.starts_with("/etc/public_addresses: cannot read it: Is a directory (os error 21);"),
        "{error}"
    );

    let tree = Tree::new(&[("nodes", "\u{feff}10.0.0.2\n")]);
    assert_eq!(tree.load(&[]).unwrap().pnn, Pnn(0), "a byte order mark is no part of the address");

    fs::set_permissions(tree.paths.base.join("nodes"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(tree.paths.base.join("nodes")).is_err() {
        let error = tree.load(&[]).unwrap_err();
        assert!(error.contains("Permission denied (os error 13); make it readable"), "{error}");
    } else {
        let denied = ConfigError::Read {
            path: "/x".into(),
            source: nix::errno::Errno::EACCES.into(),
            hint: "make it readable",
        };
        assert_eq!(
            denied.to_string(),
            "/x: cannot read it: Permission denied (os error 13); make it readable",
            "root reads everything, so only the message is looked at"
        );
    }
}

#[test]
fn a_command_as_nodes_list() {
    let script = |body: &str| {
        let tree = Tree::new(&[]);
        let path = tree.paths.base.join("list");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let conf = format!("[cluster]\nnodes list = !{} 10.0.0.1 10.0.0.2\n", path.display());
        fs::write(tree.paths.base.join("ctdb.conf"), conf).unwrap();
        tree.load(&[])
    };
    assert_eq!(script("for a; do echo $a; done").unwrap().pnn, Pnn(1));
    for (body, expected) in [
        ("echo $1; echo x", "!/etc/list 10.0.0.1 10.0.0.2:2: \"x\" is not a node address"),
        ("true", "!/etc/list 10.0.0.1 10.0.0.2: names no node"),
        (
            "echo no route >&2; echo >&2; exit 3",
            "nodes list command \"/etc/list 10.0.0.1 10.0.0.2\": exit status: 3, it said \"no route\"; run it by hand",
        ),
        ("kill -9 $$", "nodes list command \"/etc/list 10.0.0.1 10.0.0.2\": signal: 9 (SIGKILL); run it"),
        ("printf '\\377'", "nodes list command \"/etc/list 10.0.0.1 10.0.0.2\": its output is no text"),
    ] {
        let error = script(body).unwrap_err();
        assert!(error.starts_with(expected), "{body}: {error}");
    }
    let error = Tree::new(&[]).load(&["--nlist=!/none/list"]).unwrap_err();
    assert!(error.starts_with("nodes list command \"/none/list\": cannot start it: No such file"), "{error}");
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}.tmp; mv {0}.tmp {0}; wait", pid_file.display());
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned);
    let fault = source::run(&argv, Duration::from_millis(500)).unwrap_err();
    assert!(matches!(fault, CommandFault::Timeout(_)), "{fault}");
    let pid = fs::read_to_string(pid_file).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        let gone = stat.as_ref().map_or(true, |s| s.contains(") Z "));
        if gone {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "still there: {stat:?}");
        std::thread::yield_now();
    }
}

#[test]
fn this_host_has_addresses() {
    let here = local_addresses().unwrap();
    let lo = here.iter().find(|l| l.addr.is_loopback() && l.addr.is_ipv4());
    assert!(lo.is_none_or(|l| l.prefix == 8), "{here:?}");
}
