//! The kernel tried once, by a self-test of the test's making.

use super::*;
use ::lvs::ipvs::HostFacts;
use ::lvs::ipvs::selftest::{Method, SelfTest, Tried};

/// R3-1: the kernel is tried once, beside everything else; what does not forward is flagged with its evidence.
#[tokio::test]
async fn r3_1_a_kernel_that_does_not_forward_is_flagged_and_delays_nobody() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (wait, asked) = (Mutex::new(wait), Arc::new(Mutex::new(Vec::new())));
    let tester: Tester = Arc::new({
        let asked = Arc::clone(&asked);
        move |methods: &[Method]| {
            asked.lock().unwrap().push(methods.to_vec());
            wait.lock().unwrap().recv().unwrap();
            let broken = Tried::DoesNotForward("no answer to the client's SYN in 3 s".to_owned());
            let host = HostFacts { running: "5.10.0-60.139".to_owned(), ..HostFacts::default() };
            Ok(SelfTest { methods: methods.iter().map(|m| (*m, broken.clone())).collect(), host })
        }
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), conf(&["10.0.0.1"])).unwrap();
    let shared = Shared::default();
    let opener = opener(&shared);
    let rig = Rig::tested(dir, shared, opener, scripted("", ""), Some(tester));
    let report = rig.until("it serves while the test runs", |r| dests(r) == ["10.0.0.1:80"]).await;
    assert!(report.forwarding.is_empty() && !report.services[0].does_not_forward);
    go.send(()).unwrap();
    let report = rig.until("the service is flagged", |r| r.services[0].does_not_forward).await;
    assert_eq!(dests(&report), ["10.0.0.1:80"], "flagged, and served as well as it can be");
    let found = &report.forwarding[0];
    assert_eq!((found.method.as_str(), found.works), ("NAT", Some(false)));
    for part in ["ip_vs is loaded but does not forward", "vermagic", "running kernel 5.10.0-60.139"] {
        assert!(found.text.contains(part), "{part}: {}", found.text);
    }
    // Another method is tried when it comes; the first is not tried again.
    rig.write(&conf(&["10.0.0.1"]).replace("retry 0\n", "retry 0\n lvs_method DR\n"));
    assert_eq!(rig.ask(DaemonCommand::LvsReload).await, DaemonReply::Ok);
    go.send(()).unwrap();
    rig.until("both are known", |r| r.forwarding.len() == 2).await;
    assert_eq!(*asked.lock().unwrap(), [vec![Method::Nat], vec![Method::Dr]]);
}

/// A self-test that dies says nothing about the kernel.
#[tokio::test]
async fn a_self_test_that_dies_flags_nobody() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), conf(&["10.0.0.1"])).unwrap();
    let (died, seen) = std::sync::mpsc::channel::<()>();
    let died = Mutex::new(died);
    let tester: Tester = Arc::new(move |_: &[Method]| {
        died.lock().unwrap().send(()).unwrap();
        panic!("made by the test")
    });
    let shared = Shared::default();
    let opener = opener(&shared);
    let rig = Rig::tested(dir, shared, opener, scripted("", ""), Some(tester));
    rig.until("it serves", |r| dests(r) == ["10.0.0.1:80"]).await;
    tokio::task::spawn_blocking(move || seen.recv_timeout(LONG)).await.unwrap().unwrap();
    let report = rig.report().await;
    assert!(report.forwarding.is_empty() && !report.services[0].does_not_forward);
}
