//! The LVS director in real daemons, on a real kernel with IPVS (issue 7). Build machines have none, so [`on_a_real_kernel`] boots one, as
//! the crate `lvs` does for its own tests: this very binary runs in it, once, with every test here that is marked `needs IPVS`.
//!
//! The emulated machine is many times slower than the one it runs on, and that one is busy: all times here are generous.

mod alarm;
mod crash;
mod failover;
mod members;
mod service;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Lab, LabConfig, Process, binaries, wait_for};
use tests::vm;

/// For everything that is waited for.
const LONG: Duration = Duration::from_secs(180);
/// The address of all services here; the cluster moves it.
const VIP: &str = "10.0.0.31";
/// What the tests call beside `ip`: program and Debian package.
const PROGRAMS: [(&str, &str); 2] = [("ipvsadm", "ipvsadm"), ("nft", "nftables")];
/// Seconds for all tests, which take six minutes of a busy machine; memory in MiB; processors.
const MACHINE: [&str; 6] = ["-t", "1200", "-m", "1024", "-c", "2"];

#[test]
fn on_a_real_kernel() {
    if vm::ready("director::on_a_real_kernel", &PROGRAMS) {
        // In the machine nothing can be built.
        binaries().unwrap();
        vm::run_ignored(&MACHINE, "director::", &[("LAB_BUILD", "never")]);
    }
}

/// The first nodes are directors with daemons, the others are servers without.
struct Directors {
    c: Cluster,
    /// Servers by node; those that are not here any more were killed.
    servers: Vec<Option<Process>>,
}

impl Directors {
    /// A lab with the daemons running and the address served. `None`: there is no lab to be had.
    fn new(test: &str, directors: usize, servers: usize, conf: &str) -> Option<Self> {
        Self::with(test, directors, servers, |d| (0..directors).for_each(|node| d.configure(node, conf)))
    }

    /// The same, configured by `configure` before the daemons start.
    fn with(test: &str, directors: usize, servers: usize, configure: impl FnOnce(&Self)) -> Option<Self> {
        let nodes = directors + servers;
        let lab = Lab::for_test(test, &LabConfig { nodes, public_ifaces: vec!["pub0".to_owned()] })?;
        let config = ClusterConfig {
            nodes: directors,
            ifaces: vec!["pub0".to_owned()],
            addresses: vec![format!("{VIP}/24")],
            // A busy machine under emulation is late: nobody is to be banned for it, and only where an address moves is it waited for.
            tunables: vec![
                ("LeaseTime".to_owned(), if directors > 1 { 5000 } else { 20_000 }),
                ("EnableBans".to_owned(), 0),
            ],
            ..ClusterConfig::default()
        };
        let c = Cluster::prepare(lab, &config).unwrap();
        let mut d = Self { c, servers: (0..nodes).map(|_| None).collect() };
        let members: String = (0..directors).map(|n| format!("192.168.20.{}\n", 41 + n)).collect();
        for node in 0..directors {
            fs::write(d.c.lab.paths(node).base.join("nodes"), &members).unwrap();
        }
        configure(&d);
        for node in directors..nodes {
            fs::create_dir_all(d.c.lab.paths(node).var).unwrap();
            d.ctdb(node, &["lvs", "realserver", "up", VIP]);
            d.serve(node);
        }
        for node in 0..directors {
            d.c.start(node).unwrap();
        }
        d.wait("the address on a node", || d.holder().ok_or_else(|| format!("{:?}", d.c.holders())));
        Some(d)
    }

    /// Waits until a node sees another as healthy.
    fn wait_ok(&self, at: usize, of: usize) {
        let start = format!("pnn:{of} ");
        self.wait(&format!("node {of} to be OK for node {at}"), || {
            let out = self.try_ctdb(at, &["status"]).1;
            let line = out.lines().find(|l| l.starts_with(&start));
            let ok = line.and_then(|l| l.split_whitespace().nth(2)) == Some("OK");
            if ok { Ok(()) } else { Err(out) }
        });
    }

    fn configure(&self, node: usize, conf: &str) {
        fs::write(self.c.lab.paths(node).base.join("virtual_servers.conf"), conf).unwrap();
    }

    /// Starts the server that says the number of its node.
    fn serve(&mut self, node: usize) {
        let agent = binaries().unwrap().ctdbd.with_file_name("lab-agent");
        let command = self.c.lab.node(node).command(agent).args(["tcp-serve", "--node", &node.to_string()]);
        self.servers[node] = Some(command.spawn().unwrap());
    }

    /// The only node with the address whose daemon runs.
    fn holder(&self) -> Option<usize> {
        let vip: IpAddr = VIP.parse().unwrap();
        let holders = self.c.holders().remove(&vip)?;
        if let [node] = holders[..] { Some(node) } else { None }
    }

    /// Waits for something.
    fn wait<T>(&self, what: &str, look: impl FnMut() -> Result<T, String>) -> T {
        let waited = wait_for(what, LONG, look);
        waited.unwrap_or_else(|e| panic!("{e}\n{}", self.c.describe()))
    }

    /// Runs `ctdb` on a node: exit status, standard output, standard error. Patient, unlike the cluster's own.
    fn try_ctdb(&self, node: usize, args: &[&str]) -> (i32, String, String) {
        let host = self.c.lab.node(node).command(binaries().unwrap().ctdb);
        // Its own patience, 10 s, is too little for a starved machine.
        let host = host.args(["-t", "120"]).args(args);
        let done = host.envs(self.c.lab.paths(node).env()).output(LONG).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
    }

    /// The same, which must do; its output.
    fn ctdb(&self, node: usize, args: &[&str]) -> String {
        let (code, out, err) = self.try_ctdb(node, args);
        assert_eq!(code, 0, "`ctdb {}` on node {node}\n{out}{err}", args.join(" "));
        out
    }

    /// The texts of the director's entries in the journal of a node.
    fn journal(&self, node: usize) -> Vec<String> {
        let text = self.ctdb(node, &["--json", "timeline", "1000"]);
        let all: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let ours = all.into_iter().filter(|e| e["kind"] == "lvs");
        ours.map(|e| e["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Runs a program on a node, which must do; its output.
    fn on(&self, node: usize, program: &str, args: &[&str]) -> String {
        let done = self.c.lab.node(node).command(program).args(args).output(LONG).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(done.status.success(), "{program} {args:?}: {}{}", text(&done.stdout), text(&done.stderr));
        text(&done.stdout)
    }

    /// The kernel's table of a node as `ipvsadm` prints it, sorted.
    fn table(&self, node: usize) -> Vec<String> {
        let text = self.on(node, "ipvsadm", &["-Sn"]);
        let mut lines: Vec<String> = text.lines().map(|l| l.trim().to_owned()).collect();
        lines.sort();
        lines
    }

    /// Waits for a table; lines in any order.
    fn wait_table(&self, node: usize, lines: &[&str]) {
        let mut wanted = lines.to_vec();
        wanted.sort_unstable();
        self.wait(&format!("the table of node {node} to be {wanted:#?}"), || {
            let table = self.table(node);
            if table == wanted { Ok(()) } else { Err(format!("{table:#?}")) }
        });
    }

    /// `ctdb lvs services --json` of a node; its exit status is in it as `exit`.
    fn services(&self, node: usize) -> Value {
        self.wait_services(node, "an answer", |_| true)
    }

    /// Waits until these are good.
    fn wait_services(&self, node: usize, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        self.wait(&format!("{what} in `ctdb lvs services` of node {node}"), || {
            let (code, out, err) = self.try_ctdb(node, &["--json", "lvs", "services"]);
            // A daemon that is short of time may not have answered at all.
            let mut seen: Value = serde_json::from_str(&out).map_err(|e| format!("{e}: {out}{err}"))?;
            seen["exit"] = code.into();
            if good(&seen) { Ok(seen) } else { Err(format!("{seen:#}")) }
        })
    }

    /// Connects to the address, as the client: a connection that stays.
    fn connect(&self) -> Connection {
        self.connect_to(VIP, &[])
    }

    /// Connects to an address, with these further options of the client.
    fn connect_to(&self, addr: &str, more: &[&str]) -> Connection {
        let agent = binaries().unwrap().ctdbd.with_file_name("lab-agent");
        let command =
            self.c.lab.client().command(agent).args(["tcp-client", "--addr", addr, "--try-ms", "2000"]);
        let mut process = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
        let out = process.stdout.take().unwrap();
        let (tell, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // The test may not want any more.
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line)));
        });
        Connection { process, lines }
    }

    /// Which server answers a new connection.
    fn who(&self) -> usize {
        let connection = self.connect();
        let (server, _) = connection.connected();
        connection.end();
        server
    }

    /// Who answers so many, sorted.
    fn who_all(&self, times: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..times).map(|_| self.who()).collect();
        all.sort_unstable();
        all
    }
}

/// A client that stays connected, and connects anew when it is not.
struct Connection {
    process: Process,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Connection {
    /// Waits until it is connected: the server's number, and the client's end.
    fn connected(&self) -> (usize, SocketAddr) {
        let line = self.lines.recv_timeout(LONG).expect("a connection");
        let words: Vec<&str> = line.split(' ').collect();
        let ["connected", _, server, local] = words[..] else { panic!("{line}") };
        (server.parse().expect(&line), local.parse().expect(&line))
    }

    /// What it has said since it was last asked.
    fn said(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    fn end(self) {
        self.process.kill9().unwrap();
    }
}

/// The destinations of the one service in what [`Directors::services`] gives.
fn dests(services: &Value) -> &Vec<Value> {
    services["services"][0]["kernel"][0]["dests"].as_array().expect("destinations")
}
