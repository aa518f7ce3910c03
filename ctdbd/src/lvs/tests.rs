//! The director's task with a table in memory, and real servers on 127.0.0.1 or probes of the test's making.

use super::forwards::Tester;
use super::kernel::{Backend, Opener};
use super::probes::{self, Prober};
use super::{FILE, Lvs};
use ::lvs::checker::ProbeResult;
use ::lvs::config::{SyncDaemon, Timeouts};
use ::lvs::diff::Change;
use ::lvs::ipvs::{Fake, Ipvs, IpvsError, Performed, Reading, Role};
use ::lvs::model::{DestId, ServiceId};
use ::lvs::reconcile::{KernelError, Object};
use recoverd::command::{AnyReply, DaemonCommand, DaemonReply};
use recoverd::model::{KernelAddr, KernelState, Link, PublicAddress};
use recoverd::view::lvs::{LvsReport, LvsState};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Longest wait for anything; the machine may be busy.
const LONG: Duration = Duration::from_secs(60);

/// A table that outlives the director, and what its sync daemons are.
#[derive(Clone, Default)]
struct Shared {
    fake: Arc<Mutex<Fake>>,
    sync: Arc<Mutex<Vec<Role>>>,
    /// A change of the sync daemons takes as long as this is set.
    slow: Arc<AtomicBool>,
}

impl Ipvs for Shared {
    fn read(&mut self) -> Result<Reading, IpvsError> {
        self.fake.lock().unwrap().read()
    }

    fn perform(&mut self, change: &Change) -> Result<Performed, KernelError> {
        self.fake.lock().unwrap().perform(change)
    }
}

impl Backend for Shared {
    fn set_timeouts(&mut self, _: &Timeouts) -> Result<(), String> {
        Ok(())
    }

    fn set_sync(&mut self, wanted: Option<&(Vec<Role>, SyncDaemon)>) -> Result<Vec<String>, String> {
        while self.slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        *self.sync.lock().unwrap() = wanted.map(|(roles, _)| roles.clone()).unwrap_or_default();
        Ok(Vec::new())
    }

    fn answered(&mut self) -> BTreeSet<DestId> {
        BTreeSet::new()
    }
}

struct Rig {
    dir: tempfile::TempDir,
    shared: Shared,
    lvs: Lvs,
    _public: watch::Sender<Arc<[PublicAddress]>>,
}

impl Rig {
    fn with(config: Option<&str>, shared: Shared, opener: Opener, prober: Prober) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(config) = config {
            std::fs::write(dir.path().join(FILE), config).unwrap();
        }
        Self::at(dir, shared, opener, prober)
    }

    fn at(dir: tempfile::TempDir, shared: Shared, opener: Opener, prober: Prober) -> Self {
        Self::tested(dir, shared, opener, prober, None)
    }

    fn tested(
        dir: tempfile::TempDir,
        shared: Shared,
        opener: Opener,
        prober: Prober,
        tester: Option<Tester>,
    ) -> Self {
        let vip = PublicAddress { addr: ip("192.0.2.1"), prefix: 24, ifaces: vec!["eth1".into()] };
        let (public, seen) = watch::channel(Arc::from(vec![vip]));
        let lvs = Lvs::spawn_with((dir.path(), dir.path()), seen, None, opener, prober, tester);
        let rig = Self { dir, shared, lvs, _public: public };
        rig.addresses(&[]);
        rig
    }

    fn new(config: &str, prober: Prober) -> Self {
        let shared = Shared::default();
        let opener = opener(&shared);
        Self::with(Some(config), shared, opener, prober)
    }

    async fn ask(&self, command: DaemonCommand) -> DaemonReply {
        let (reply, answer) = oneshot::channel();
        self.lvs.ask(command, reply);
        match tokio::time::timeout(LONG, answer).await {
            Ok(Ok(AnyReply::Daemon(reply))) => reply,
            other => panic!("no answer: {other:?}"),
        }
    }

    async fn report(&self) -> LvsReport {
        match self.ask(DaemonCommand::LvsServices).await {
            DaemonReply::Lvs(report) => *report,
            other => panic!("no report: {other:?}"),
        }
    }

    /// Waits until the report is as wanted.
    async fn until(&self, what: &str, wanted: impl Fn(&LvsReport) -> bool) -> LvsReport {
        let begin = Instant::now();
        loop {
            let report = self.report().await;
            if wanted(&report) {
                return report;
            }
            assert!(begin.elapsed() < LONG, "{what}: {report:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn addresses(&self, addrs: &[(&str, &str)]) {
        let addr = |(addr, iface): &(&str, &str)| {
            (ip(addr), vec![KernelAddr { iface: (*iface).into(), prefix: 24 }])
        };
        let link = Link { index: 2, admin_up: true, lower_up: true };
        let state =
            KernelState { links: [("eth1".into(), link)].into(), addrs: addrs.iter().map(addr).collect() };
        self.lvs.kernel_seen(&Arc::new(state));
    }

    fn write(&self, config: &str) {
        std::fs::write(self.dir.path().join(FILE), config).unwrap();
    }
}

fn opener(shared: &Shared) -> Opener {
    let shared = shared.clone();
    Arc::new(move || Ok(Box::new(shared.clone()) as Box<dyn Backend>))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Real servers by address: pass, fail, or panic.
fn scripted(panics: &'static str, fails: &'static str) -> Prober {
    Arc::new(move |check, _| {
        Box::pin(async move {
            let addr = check.target.addr.to_string();
            assert!(addr != panics, "made to panic");
            ProbeResult { pass: addr != fails, reason: format!("asked {addr}"), status: None }
        })
    })
}

fn conf(servers: &[&str]) -> String {
    let mut text = "virtual_server 192.0.2.1 80 {\n delay_loop 1\n warmup 0\n retry 0\n".to_owned();
    for server in servers {
        text += &format!(" real_server {server} 80 {{\n TCP_CHECK {{\n }}\n }}\n");
    }
    text + "}\n"
}

fn dests(report: &LvsReport) -> Vec<String> {
    report.services.iter().flat_map(|s| &s.kernel).flat_map(|k| &k.dests).map(|d| d.dest.clone()).collect()
}

fn states(report: &LvsReport) -> Vec<&str> {
    report.services.iter().flat_map(|s| &s.servers).map(|s| s.state.as_str()).collect()
}

#[tokio::test]
async fn without_a_file_there_is_no_director_until_one_is_read() {
    let shared = Shared::default();
    let opener = opener(&shared);
    let rig = Rig::with(None, shared, opener, scripted("", ""));
    assert_eq!(rig.report().await.state, LvsState::Off);
    rig.write(&conf(&["10.0.0.1"]));
    assert_eq!(rig.ask(DaemonCommand::LvsReload).await, DaemonReply::Ok);
    rig.until("the service is there", |r| dests(r) == ["10.0.0.1:80"]).await;
    std::fs::remove_file(rig.dir.path().join(FILE)).unwrap();
    assert!(matches!(rig.ask(DaemonCommand::LvsReload).await, DaemonReply::Note(_)));
    assert_eq!(rig.report().await.state, LvsState::Off);
    assert!(rig.shared.fake.lock().unwrap().table.services.is_empty(), "what was ours is gone");
}

/// Probes on the wire: one server listens, one does not.
#[tokio::test]
async fn the_table_follows_the_health_of_real_servers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bad = gone.local_addr().unwrap().port();
    drop(gone);
    let server = |port| format!(" real_server 127.0.0.1 {port} {{\n TCP_CHECK {{\n }}\n }}\n");
    let text = format!(
        "virtual_server 192.0.2.1 80 {{\n delay_loop 1\n warmup 0\n retry 0\n{}{}}}\n",
        server(good),
        server(bad)
    );
    let rig = Rig::new(&text, probes::real());
    let report = rig.until("one is down", |r| states(r) == ["up", "down"]).await;
    let reason = &report.services[0].servers[1].reason;
    assert!(reason.contains("connection refused"), "{reason}");
    rig.until("it has left the table", |r| dests(r) == [format!("127.0.0.1:{good}")]).await;
}

/// R0-4: a checker task that dies concerns its own server only, which stays as it was.
#[tokio::test]
async fn a_check_that_dies_marks_one_server_unknown() {
    let rig = Rig::new(&conf(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]), scripted("10.0.0.2", "10.0.0.3"));
    let report = rig.until("all are judged", |r| states(r) == ["up", "unknown", "down"]).await;
    let reason = &report.services[0].servers[1].reason;
    assert!(reason.starts_with("error:") && reason.contains("made to panic"), "{reason}");
    rig.until("it stays in service", |r| dests(r) == ["10.0.0.1:80", "10.0.0.2:80"]).await;
}

/// R0-4: a refusal of the kernel concerns its own destination only.
#[tokio::test]
async fn a_refused_destination_keeps_nobody_from_serving() {
    let shared = Shared::default();
    let service: ServiceId = "tcp 192.0.2.1:80".parse().unwrap();
    let object = Object { service, dest: Some("10.0.0.1:80".parse().unwrap()) };
    shared.fake.lock().unwrap().faults = BTreeMap::from([(object, 1)]);
    let opener = opener(&shared);
    let rig = Rig::with(Some(&conf(&["10.0.0.1", "10.0.0.2"])), shared, opener, scripted("", ""));
    let report = rig.until("the refusal is told", |r| !r.failures.is_empty()).await;
    assert_eq!(dests(&report), ["10.0.0.2:80"]);
    assert!(report.failures[0].contains("EPERM"), "{:?}", report.failures);
    rig.shared.fake.lock().unwrap().faults.clear();
    rig.until("it is tried again", |r| dests(r).len() == 2 && r.failures.is_empty()).await;
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_every_finding_is_told() {
    let rig = Rig::new(&conf(&["10.0.0.1"]), scripted("", ""));
    rig.until("it serves", |r| dests(r) == ["10.0.0.1:80"]).await;
    rig.write("virtual_server 192.0.2.1 80 {\n lvs_shed rr\n}\nvirtual_sever x\n");
    let DaemonReply::Error(text) = rig.ask(DaemonCommand::LvsReload).await else { panic!("taken") };
    for part in [":2:", ":4:", "stays in force", "ctdb lvs reload"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = rig.report().await;
    assert_eq!((report.state, report.refused.len()), (LvsState::On, 3), "{:?}", report.refused);
    let requests = rig.shared.fake.lock().unwrap().requests.len();
    rig.write(&conf(&["10.0.0.1"]));
    assert_eq!(rig.ask(DaemonCommand::LvsReload).await, DaemonReply::Ok);
    assert!(rig.report().await.refused.is_empty());
    assert_eq!(
        rig.shared.fake.lock().unwrap().requests.len(),
        requests,
        "R1-4: nothing changed, nothing sent"
    );

    let shared = Shared::default();
    let opener = opener(&shared);
    let rig = Rig::with(Some("nonsense\n"), shared, opener, scripted("", ""));
    let report = rig.until("it was read", |r| !r.refused.is_empty()).await;
    assert_eq!(report.state, LvsState::Refused);
}

#[tokio::test]
async fn a_kernel_without_ipvs_is_told_and_checks_go_on() {
    let opener: Opener = Arc::new(|| Err("no ip_vs: made by the test".to_owned()));
    let rig = Rig::with(
        Some(&conf(&["10.0.0.1", "10.0.0.2"])),
        Shared::default(),
        opener,
        scripted("", "10.0.0.2"),
    );
    let report = rig.until("checks run", |r| states(r) == ["up", "down"]).await;
    rig.until("the kernel's answer is told", |r| {
        r.state == LvsState::NoKernel("no ip_vs: made by the test".to_owned())
    })
    .await;
    assert!(dests(&report).is_empty());
}

/// A node that is a real server has the service in its table only while it holds the address; sync daemons follow, too.
#[tokio::test]
async fn services_follow_their_addresses() {
    let text = format!("lvs_sync_daemon eth1\n{}", conf(&["10.0.0.1", "10.0.0.9"]));
    let rig = Rig::new(&text, scripted("", ""));
    let place = |wanted: &'static str| {
        move |r: &LvsReport| r.services.iter().flat_map(|s| &s.kernel).all(|k| k.place == wanted)
    };
    rig.addresses(&[("10.0.0.1", "eth0")]);
    rig.until("not in the table", |r| {
        place("realserver")(r) && dests(r).is_empty() && r.state == LvsState::On
    })
    .await;
    rig.until("backup", |r| r.sync == ["backup on eth1"]).await;
    rig.addresses(&[("10.0.0.1", "eth0"), ("192.0.2.1", "eth1")]);
    rig.until("active", |r| place("active")(r) && dests(r).len() == 2).await;
    rig.until("master", |r| r.sync == ["master on eth1"]).await;
    assert_eq!(*rig.shared.sync.lock().unwrap(), [Role::Master]);
    rig.addresses(&[("10.0.0.7", "eth0"), ("192.0.2.1", "lo")]);
    rig.until("prepared", |r| place("prepared")(r) && dests(r).len() == 2).await;
}

/// What was wanted when the kernel was asked is not what is wanted now: the sync daemons follow all the same.
#[tokio::test]
async fn an_address_that_comes_while_the_kernel_works_is_not_forgotten() {
    let shared = Shared::default();
    shared.slow.store(true, Ordering::Relaxed);
    let text = format!("lvs_sync_daemon eth1\n{}", conf(&["10.0.0.1"]));
    let opener = opener(&shared);
    let rig = Rig::with(Some(&text), shared, opener, scripted("", ""));
    let place = |wanted: &'static str| move |r: &LvsReport| r.services[0].kernel[0].place == wanted;
    rig.until("prepared, and the kernel at work", |r| place("prepared")(r) && r.state == LvsState::On).await;
    rig.addresses(&[("192.0.2.1", "eth1")]);
    rig.until("active", place("active")).await;
    rig.shared.slow.store(false, Ordering::Relaxed);
    rig.until("master", |r| r.sync == ["master on eth1"]).await;
    assert_eq!(*rig.shared.sync.lock().unwrap(), [Role::Master]);
}

/// What a daemon that died left in the kernel is removed by the next one when it is not configured any more; others' services stay.
#[tokio::test]
async fn services_of_a_director_that_died_are_taken_over() {
    let rig = Rig::new(&conf(&["10.0.0.1"]), scripted("", ""));
    rig.until("it serves", |r| dests(r) == ["10.0.0.1:80"]).await;
    let others: ServiceId = "udp 198.51.100.1:53".parse().unwrap();
    rig.shared.fake.lock().unwrap().table.services.entry(others).or_default();
    let Rig { dir, shared, lvs, .. } = rig;
    drop(lvs);
    rewrite(dir.path());
    let opener = opener(&shared);
    let rig = Rig::at(dir, shared, opener, scripted("", ""));
    let ids = |r: &Rig| -> Vec<String> {
        r.shared.fake.lock().unwrap().table.services.keys().map(ToString::to_string).collect()
    };
    rig.until("the new one serves", |r| !dests(r).is_empty()).await;
    let begin = Instant::now();
    while ids(&rig) != ["tcp 192.0.2.1:8080", "udp 198.51.100.1:53"] {
        assert!(begin.elapsed() < LONG, "{:?}", ids(&rig));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let shared = rig.shared.clone();
    rig.lvs.stop().await;
    let left: Vec<_> = shared.fake.lock().unwrap().table.services.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["udp 198.51.100.1:53"], "a clean end leaves nothing of ours");
}

/// Also when the file is gone: then there is no director that would know it.
#[tokio::test]
async fn what_a_director_left_goes_without_a_file_too() {
    let text = format!("lvs_sync_daemon eth1\n{}", conf(&["10.0.0.1"]));
    let rig = Rig::new(&text, scripted("", ""));
    rig.until("it serves", |r| dests(r) == ["10.0.0.1:80"] && !r.sync.is_empty()).await;
    let Rig { dir, shared, lvs, .. } = rig;
    drop(lvs);
    std::fs::remove_file(dir.path().join(FILE)).unwrap();
    let opener = opener(&shared);
    let rig = Rig::at(dir, shared, opener, scripted("", ""));
    let left = || {
        let services: Vec<_> = rig.shared.fake.lock().unwrap().table.services.keys().copied().collect();
        (services, rig.shared.sync.lock().unwrap().clone())
    };
    let begin = Instant::now();
    while left() != (Vec::new(), Vec::new()) {
        assert!(begin.elapsed() < LONG, "{:?}", left());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.report().await.state, LvsState::Off);
}

fn rewrite(dir: &Path) {
    let text = conf(&["10.0.0.1"]).replace("192.0.2.1 80", "192.0.2.1 8080");
    std::fs::write(dir.join(FILE), text).unwrap();
}

mod drains;
mod group;
mod selftest;
