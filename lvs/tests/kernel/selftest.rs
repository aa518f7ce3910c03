//! R3-1: the self-test on a kernel that forwards, and on one that is kept from it.

use crate::net::{alone, run as program};
use lvs::ipvs::selftest::{Method, Tried, run};

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_1_a_good_kernel_forwards() {
    let test = run(&Method::ALL, &mut |_| ()).expect("IPVS");
    assert!(!test.failed(), "{test}");
    for (method, tried) in &test.methods {
        assert!(matches!(tried, Tried::Forwards(_)), "{method}: {test}");
    }
    let module = test.host.module.as_ref().expect("ip_vs in the index of modules");
    assert!(module.vermagic.as_ref().is_some_and(|v| v.starts_with(&test.host.running)), "{}", module.file);
    assert!(test.to_string().contains("NAT: ip_vs forwards"), "a line for each method");
}

/// It leaves nothing behind in the namespace from which it is called, and changes nothing there.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_1_it_leaves_nothing_behind() {
    alone(|| {
        let links = || {
            let text = std::fs::read_to_string("/proc/thread-self/net/dev").expect("links");
            // Counters change, names do not.
            text.lines()
                .filter_map(|l| l.split_once(':').map(|(name, _)| name.trim().to_owned()))
                .collect::<Vec<_>>()
        };
        let here = std::fs::read_link("/proc/thread-self/ns/net").expect("namespace");
        let before = links();
        run(&[Method::Dr], &mut |_| ()).expect("IPVS");
        assert_eq!(links(), before);
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").expect("namespace"), here);
        assert_eq!(crate::net::ipvsadm(), Vec::<String>::new());
    });
}

/// A director whose IPVS gets no packet: what a broken module looks like from outside.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_1_a_kernel_that_does_not_forward_is_named() {
    let mut broken = false;
    let mut tried = Vec::new();
    let test = run(&Method::ALL, &mut |method| {
        tried.push(method);
        if !std::mem::replace(&mut broken, true) {
            let rules =
                "table ip broken { chain in { type filter hook input priority -300; tcp dport 80 drop; }; }";
            within_thread("lvs-director", move || drop(program("nft", &["-f", "-"], rules)));
        }
    });
    let test = test.expect("IPVS");
    assert_eq!(tried, Method::ALL);
    for (method, tried) in &test.methods {
        assert!(matches!(tried, Tried::DoesNotForward(_)), "{method}: {test}");
    }
    let text = test.to_string();
    let module = test.host.module.as_ref().expect("ip_vs in the index of modules");
    for part in ["DR: ip_vs is loaded but does not forward", module.file.as_str(), &test.host.running] {
        assert!(text.contains(part), "{text}");
    }
}

/// Runs something in the network namespace of a thread of this process.
fn within_thread(name: &str, job: impl FnOnce() + Send + 'static) {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads").flatten().map(|t| t.path());
    let task =
        tasks.into_iter().find(|t| std::fs::read_to_string(t.join("comm")).is_ok_and(|c| c.trim() == name));
    let namespace = std::fs::File::open(task.expect(name).join("ns/net")).expect("its namespace");
    let thread = std::thread::spawn(move || {
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("enter it");
        job();
    });
    thread.join().expect("the thread");
}
