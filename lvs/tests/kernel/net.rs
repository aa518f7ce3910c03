//! Network namespaces for tests: bare ones for tables, and a switch with hosts for traffic.

use lvs::diff::diff;
use lvs::ipvs::{Answer, Ipvs, Kernel, Outcome, pass};
use lvs::model::Table;
use lvs::reconcile::Reconciler;
use nix::sched::{CloneFlags, setns, unshare};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs something in a network namespace of its own. Programs that it starts are in there, too.
pub(crate) fn alone<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        // Without any address there is no routing table, and the kernel refuses every IPv4 destination (EINVAL).
        run("ip", &["link", "set", "lo", "up"], "");
        job()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs something in a namespace that `ip netns` knows.
pub(crate) fn within<T: Send + 'static>(name: &str, job: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(format!("/run/netns/{name}")).expect(name);
    let thread = std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
        job()
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a program; its output. Fails the test when it fails.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect(program);
    let out = child.wait_with_output().expect(program);
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?}: {}\n{err}\n{input}", out.status);
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The table of this namespace as `ipvsadm` prints it, sorted.
pub(crate) fn ipvsadm() -> Vec<String> {
    let mut lines: Vec<String> = run("ipvsadm", &["-Sn"], "").lines().map(|l| l.trim().to_owned()).collect();
    lines.sort();
    lines
}

/// Puts lines of `ipvsadm -R` into the table, as somebody else.
pub(crate) fn others(lines: &str) {
    run("ipvsadm", &["-R"], lines);
}

/// The kernel's table of this namespace.
pub(crate) fn read(kernel: &mut Kernel) -> Table {
    let reading = kernel.read().expect("the table");
    assert_eq!(reading.foreign, Vec::<String>::new());
    reading.table
}

/// One pass to `desired`, all services ours. Every request must be performed; then nothing is left to do.
pub(crate) fn converge(kernel: &mut Kernel, desired: &Table) {
    let actual = read(kernel);
    let owned: BTreeSet<_> = actual.services.keys().chain(desired.services.keys()).copied().collect();
    let answers = pass(kernel, &mut Reconciler::default(), desired, &actual, &owned, Duration::ZERO);
    let bad: Vec<&Answer> = answers.iter().filter(|a| a.outcome != Outcome::Done).collect();
    assert!(bad.is_empty(), "{} requests failed, the first: {:#?}", bad.len(), bad[0]);
    assert_eq!(read(kernel), *desired);
    assert_eq!(diff(desired, &read(kernel), &owned), []);
}

/// Waits for something, with what it shows when it does not come.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match look() {
            Ok(found) => return found,
            Err(state) if Instant::now() > end => panic!("waited 30 s for {what}; {state}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Hosts on one switch: `{prefix}h1`, `{prefix}h2` … with 10.9.0.N and fd00:9::N on `eth0`. Gone when it is dropped.
pub(crate) struct Switch {
    prefix: String,
    hosts: usize,
}

impl Switch {
    pub(crate) fn new(prefix: &str, hosts: usize) -> Self {
        let switch = Self { prefix: prefix.to_owned(), hosts };
        let sw = switch.name(0);
        let mut add = format!("netns add {sw}\n");
        let mut links = String::from("link add br0 type bridge mcast_snooping 0\nlink set br0 up\n");
        for n in 1..=hosts {
            let host = switch.name(n);
            add += &format!("netns add {host}\n");
            links += &format!(
                "link add port{n} type veth peer name eth0 netns {host}\nlink set port{n} master br0 up\n"
            );
        }
        run("ip", &["-batch", "-"], &add);
        run("ip", &["-n", &sw, "-batch", "-"], &links);
        for n in 1..=hosts {
            within(&switch.name(n), || {
                for (name, value) in [
                    ("all/rp_filter", "0"),
                    ("eth0/rp_filter", "0"),
                    ("all/send_redirects", "0"),
                    ("eth0/send_redirects", "0"),
                ] {
                    sysctl(&format!("ipv4/conf/{name}"), value);
                }
                sysctl("ipv6/conf/eth0/accept_dad", "0");
            });
            switch.ip(n, &format!("link set lo up\naddr add 10.9.0.{n}/24 dev eth0\naddr add fd00:9::{n}/64 dev eth0\nlink set eth0 up\n"));
        }
        switch
    }

    pub(crate) fn name(&self, host: usize) -> String {
        format!("{}h{host}", self.prefix)
    }

    /// Lines for `ip -batch` on a host.
    pub(crate) fn ip(&self, host: usize, lines: &str) {
        run("ip", &["-n", &self.name(host), "-batch", "-"], lines);
    }

    /// Runs something on a host.
    pub(crate) fn on<T: Send + 'static>(&self, host: usize, job: impl FnOnce() -> T + Send + 'static) -> T {
        within(&self.name(host), job)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for n in 0..=self.hosts {
            // Best effort: the VM ends anyway.
            let _ = Command::new("ip").args(["netns", "del", &self.name(n)]).status();
        }
    }
}

/// Sets a sysctl of this thread's namespace.
pub(crate) fn sysctl(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}"));
}
