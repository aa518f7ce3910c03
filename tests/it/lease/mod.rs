//! Leases on real kernels (issue 4): whatever breaks, two nodes never answer for one address at the same time, what was lost is
//! served again, and whoever is not affected loses nothing.
//!
//! Two observers on the client: the probe follows ARP as a client does and measures silence; the witness asks every node for every
//! address whatever ARP says. "Power-off" is SIGKILL, a "freeze" SIGSTOP, of the daemon and its guard together: the kernel goes on
//! with the addresses and the gate, which is harder than a machine that is gone. Times are printed; they fail a test only when they
//! are an order of magnitude off, for CI is slow.

mod etcd;
mod freeze;
mod kill;
mod link;
mod lost;
mod network;
mod random;
mod scheduling;
mod second;

use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Mark, Probe, ProbeReport, Witness, wait_for};

/// A cluster under observation.
struct Trial {
    c: Cluster,
    probe: Probe,
    witness: Witness,
    name: &'static str,
    lease_time: Duration,
    /// When a daemon was last started.
    started: Instant,
}

/// Six addresses, two of them of IPv6, on three nodes with these tunables and a lock file.
fn trial(name: &'static str, tunables: &[(&str, u32)]) -> Option<Trial> {
    observed(name, tunables, false)
}

/// The same, but the nodes' own votes are the lock.
fn trial_by_quorum(name: &'static str, tunables: &[(&str, u32)]) -> Option<Trial> {
    observed(name, tunables, true)
}

fn observed(name: &'static str, tunables: &[(&str, u32)], no_reclock: bool) -> Option<Trial> {
    let config = ClusterConfig {
        tunables: tunables.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
        no_reclock,
        addresses: [
            "10.0.0.31/24",
            "10.0.0.32/24",
            "10.0.0.33/24",
            "10.0.0.34/24",
            "fd00:a::35/64",
            "fd00:a::36/64",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..ClusterConfig::default()
    };
    let c = Cluster::for_test(name, &config)?;
    let lease_time = tunables.iter().find(|(n, _)| *n == "LeaseTime").map_or(1000, |(_, v)| *v);
    Some(trial_in(c, name, Duration::from_millis(lease_time.into())))
}

/// The observers of a cluster that runs.
fn trial_in(c: Cluster, name: &'static str, lease_time: Duration) -> Trial {
    let leader = c.leader_seen_by(0);
    c.settle(leader);
    let witness = c.lab.witness(&c.iface, &c.addresses).unwrap();
    let probe = c.probe();
    Trial { c, probe, witness, name, lease_time, started: Instant::now() }
}

impl Trial {
    /// Starts the daemon of a node again.
    fn start(&mut self, node: usize) {
        self.c.start(node).unwrap();
        self.started = Instant::now();
    }

    /// Waits until no daemon is young: for a little more than twice the LeaseTime a node's grants count only together with those of
    /// all others (docs/leases.md, d18), and a second fault in that time may cost everybody's lease.
    fn grown_up(&self) {
        let grown = self.lease_time * 9 / 4 + Duration::from_millis(100);
        std::thread::sleep(grown.saturating_sub(self.started.elapsed()));
    }

    /// Strikes the victims and waits until others answer for all that these had. While most nodes are left, their addresses lose
    /// no request.
    fn strike(&mut self, label: &str, victims: &[usize], bound: Duration, fault: impl FnOnce(&mut Self)) {
        self.grown_up();
        let holders = self.c.holders();
        let (lost, kept): (Vec<IpAddr>, Vec<IpAddr>) =
            self.c.addresses.iter().partition(|a| holders[*a].iter().any(|n| victims.contains(n)));
        let mark = self.probe.mark(label);
        fault(self);
        let report = self.wait_served(&mark, &lost, victims);
        let seen = || lost.iter().filter_map(|a| report.get(*a));
        let silence = seen().map(tests::lab::AddressReport::longest_gap).max().unwrap_or_default();
        let by_others =
            seen().flat_map(|s| s.transitions.iter().filter(|t| !victims.contains(&usize::from(t.node))));
        let served = by_others.map(|t| Duration::from_nanos(t.at_ns.saturating_sub(mark.at_ns))).max();
        println!(
            "measured: {}: {label}: served by others after {:.0} ms, longest silence {:.0} ms; the prober was up to {:.0} ms late",
            self.name,
            served.unwrap_or_default().as_secs_f64() * 1e3,
            silence.as_secs_f64() * 1e3,
            report.worst_pace_ns as f64 / 1e6,
        );
        for address in kept.into_iter().filter(|_| victims.len() == 1) {
            let seen = report.get(address).unwrap();
            assert_eq!(seen.lost, 0, "{label}: {address} was not affected, but silent: {:?}", seen.gaps);
        }
        assert!(silence < bound, "{label}: silence of {silence:?}, bound {bound:?}\n{}", self.c.describe());
        self.nothing_twice(label);
    }

    /// Does something that must not cost these addresses a single request for `how_long`.
    fn undisturbed(
        &mut self,
        label: &str,
        kept: &[IpAddr],
        how_long: Duration,
        fault: impl FnOnce(&mut Self),
    ) {
        self.grown_up();
        let mark = self.probe.mark(label);
        fault(self);
        std::thread::sleep(how_long);
        let report = self.probe.report_since(&mark).unwrap();
        for address in kept {
            let seen = report.get(*address).unwrap();
            assert_eq!(seen.lost, 0, "{label}: {address} was silent: {:?}", seen.gaps);
        }
        self.nothing_twice(label);
    }

    /// Waits until these are answered for by others than the victims; the report since the mark.
    fn wait_served(&self, mark: &Mark, addresses: &[IpAddr], victims: &[usize]) -> ProbeReport {
        let good = |report: &ProbeReport, address: &IpAddr| {
            let seen = report.get(*address);
            let last = seen.and_then(|s| s.last);
            last.is_some_and(|l| !victims.contains(&usize::from(l.node)))
                && seen.is_some_and(|s| !s.gaps.iter().any(|g| g.open))
        };
        let waited = wait_for(&format!("{}: others to answer for {addresses:?}", mark.label), SOON, || {
            let report = self.probe.report_since(mark).map_err(|e| e.to_string())?;
            if addresses.iter().all(|a| good(&report, a)) {
                Ok(report)
            } else {
                let last = |(a, s): &(IpAddr, tests::lab::AddressReport)| format!("{a}: {:?}", s.transitions);
                Err(report.addresses.iter().map(last).collect::<Vec<_>>().join("; "))
            }
        });
        waited.unwrap_or_else(|e| panic!("{e}\n{}", self.c.describe()))
    }

    /// All three nodes serve again, in a balanced way, and every address answers.
    fn whole_again(&self, label: &str) {
        self.c.wait_balanced(&[0, 1, 2]);
        if let Err(e) = self.probe.wait_all_answer(SOON) {
            panic!("{label}: {e}\n{}", self.c.describe());
        }
        self.nothing_twice(label);
    }

    /// The promise.
    fn nothing_twice(&self, label: &str) {
        let report = self.witness.report().unwrap();
        assert!(report.answers > 0, "{label}: the witness heard nothing");
        assert!(report.duals.is_empty(), "{label}: two nodes answered at the same time: {:?}", report.duals);
    }

    /// A node other than the recmaster, and the recmaster.
    fn roles(&self) -> (usize, usize) {
        let leader = self.c.leader_seen_by(0);
        ((leader + 1) % 3, leader)
    }

    /// The daemon of a node with all its children: the guard, and scripts that run.
    fn processes(&self, node: usize) -> Vec<i32> {
        let daemon = self.c.daemon(node).pid();
        let mut family = vec![daemon];
        family.extend(children(daemon));
        family
    }

    /// A machine that loses its power, but for its kernel.
    fn kill_everything(&self, node: usize) {
        let family = self.processes(node);
        // Stopped first, so that none sees another one's end.
        signal(&family, Signal::SIGSTOP);
        signal(&family, Signal::SIGKILL);
        self.c.daemon(node).wait_exit(SOON).unwrap();
    }

    fn freeze(&self, node: usize) {
        signal(&self.processes(node), Signal::SIGSTOP);
    }

    fn thaw(&self, node: usize) {
        signal(&self.processes(node), Signal::SIGCONT);
    }
}

fn signal(processes: &[i32], signal: Signal) {
    for pid in processes {
        // A script may have ended meanwhile.
        send(Pid::from_raw(*pid), signal).ok();
    }
}

/// Processes whose parent is this one.
fn children(parent: i32) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let parent_of = |pid: &i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which is in parentheses: state, parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    pids.filter(|pid| parent_of(pid) == Some(parent)).collect()
}

/// Bounds for a LeaseTime of one second.
const BOUND: Duration = Duration::from_secs(12);
