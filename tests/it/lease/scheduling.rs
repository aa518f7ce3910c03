//! The lease thread is a real-time thread with its memory locked, unless `ctdb.conf` or the machine says no; `ctdb lease` tells.

use tests::cluster::{Cluster, ClusterConfig};
use tests::lab::{Lab, LabConfig};

/// The lease thread's scheduling as the kernel has it: policy (1 is SCHED_FIFO) and real-time priority.
fn scheduling(daemon: i32) -> (u32, u32) {
    let tasks = std::fs::read_dir(format!("/proc/{daemon}/task")).unwrap();
    let stats = tasks.map(|t| std::fs::read_to_string(t.unwrap().path().join("stat")).unwrap());
    let lease = stats.into_iter().find(|s| s.contains("(lease)")).unwrap();
    let fields: Vec<&str> = lease.rsplit_once(") ").unwrap().1.split_whitespace().collect();
    // Fields 41 and 40 of proc(5); the first one here is the third.
    (fields[38].parse().unwrap(), fields[37].parse().unwrap())
}

fn locked_kib(daemon: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmLck:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn the_lease_thread_is_real_time_unless_it_must_not_be() {
    let name = "the_lease_thread_is_real_time_unless_it_must_not_be";
    let config = ClusterConfig { nodes: 1, no_reclock: true, ..ClusterConfig::default() };
    let lab_config = LabConfig { nodes: 1, public_ifaces: config.ifaces.clone() };
    let Some(lab) = Lab::for_test(name, &lab_config) else { return };
    let mut c = Cluster::prepare(lab, &config).unwrap();
    c.start(0).unwrap();
    c.wait_balanced(&[0]);
    let told = c.ctdb(0, &["lease"]);
    match scheduling(c.daemon(0).pid()) {
        (1, priority) => {
            assert!(told.contains("Lease thread: real-time; at most "), "{told}");
            assert!(priority > 1, "above the lab's observers: {priority}");
            assert!(locked_kib(c.daemon(0).pid()) > 0);
        }
        other => {
            assert_eq!(other, (0, 0));
            assert!(
                told.contains("Lease thread: ordinary scheduling, real-time priority was refused: "),
                "{told}"
            );
            println!("skipped: the first half of {name}: needs the right to real-time priority");
        }
    }
    c.daemon(0).terminate().unwrap();
    c.daemon(0).wait_exit(tests::cluster::SOON).unwrap();
    let conf = c.lab.paths(0).base.join("ctdb.conf");
    let text = std::fs::read_to_string(&conf).unwrap() + "\n[legacy]\n\trealtime scheduling = false\n";
    std::fs::write(&conf, text).unwrap();
    c.start(0).unwrap();
    c.wait_balanced(&[0]);
    let told = c.ctdb(0, &["lease"]);
    assert!(
        told.contains("Lease thread: ordinary scheduling, as [legacy] realtime scheduling = false"),
        "{told}"
    );
    assert_eq!(scheduling(c.daemon(0).pid()), (0, 0));
    assert_eq!(locked_kib(c.daemon(0).pid()), 0);
}
