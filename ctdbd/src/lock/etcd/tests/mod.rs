//! Against real etcd servers of Debian's `etcd-server`.

mod server;

use super::EtcdLock;
use super::client::Client;
use crate::lock::{LockEvent, LockHandle, LockRecord, Ticket};
use crate::testns::report;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use recoverd::model::{Epoch, Mono, Pnn, Session};
use server::Etcd;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

fn record(number: u64) -> LockRecord {
    let epoch = Epoch { number, pnn: Pnn(2) };
    let fields = serde_json::json!({ "epoch": epoch, "session": Session(0xfeed), "host": "node2" });
    serde_json::from_value(fields).unwrap()
}

struct Node {
    handle: LockHandle,
    events: Receiver<LockEvent>,
    /// Errors that came while another event was waited for.
    errors: Vec<String>,
}

impl Node {
    fn on(text: &str) -> Self {
        let (sender, events) = mpsc::channel(16);
        Self { handle: LockHandle::etcd(text.parse().unwrap(), sender), events, errors: Vec::new() }
    }

    /// The next event that is not an error.
    async fn event(&mut self, what: &str) -> LockEvent {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let event = tokio::time::timeout_at(deadline, self.events.recv())
                .await
                .unwrap_or_else(|_| panic!("wanted {what}, had {:?}", self.errors))
                .unwrap_or_else(|| panic!("the worker ended, wanted {what}"));
            match event {
                LockEvent::Error { text } => self.errors.push(text),
                event => return event,
            }
        }
    }

    async fn acquired(&mut self) -> (Ticket, Option<LockRecord>) {
        match self.event("Acquired").await {
            LockEvent::Acquired { ticket, record, .. } => (ticket, record),
            other => panic!("wanted Acquired, got {other:?}"),
        }
    }

    async fn lost(&mut self) -> String {
        match self.event("Lost").await {
            LockEvent::Lost { reason, .. } => reason,
            other => panic!("wanted Lost, got {other:?}"),
        }
    }

    /// Asks for proofs until one is given: one that etcd does not answer is forgotten.
    async fn proved(&mut self, at: u64) {
        for _ in 0..50 {
            self.handle.prove(Mono(at));
            match timeout(PATIENCE / 50, self.event("Proved")).await {
                Ok(LockEvent::Proved { asked_at, .. }) if asked_at == Mono(at) => return,
                // A late answer to a former question of this test.
                Ok(LockEvent::Proved { asked_at, .. }) if asked_at < Mono(at) => {}
                Ok(other) => panic!("wanted Proved, got {other:?}"),
                Err(_) => {}
            }
        }
        panic!("no proof; {:?}", self.errors);
    }

    fn silent_but_errors(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                LockEvent::Error { text } => self.errors.push(text),
                other => panic!("wanted nothing, got {other:?}"),
            }
        }
    }

    fn silent(&mut self) {
        assert_eq!(self.events.try_recv().ok(), None);
    }
}

#[tokio::test]
async fn the_lock_goes_to_the_next_when_its_holder_lets_go() {
    let Some(etcd) = Etcd::start("the_lock_goes_to_the_next_when_its_holder_lets_go", 1, false) else {
        return;
    };
    let text = format!("etcd:{}/reclock", etcd.endpoints());
    let (mut one, mut two) = (Node::on(&text), Node::on(&text));
    one.handle.acquire();
    assert_eq!(one.acquired().await.1, None);
    let mut took = Vec::new();
    for round in 1..=10 {
        one.handle.record(record(round));
        one.proved(round).await;
        two.handle.acquire();
        sleep(Duration::from_millis(100)).await;
        two.silent();
        let start = Instant::now();
        one.handle.release();
        assert_eq!(two.acquired().await.1, Some(record(round)), "the record of the last holder is handed on");
        took.push(start.elapsed());
        std::mem::swap(&mut one, &mut two);
    }
    took.sort();
    report(&format!("measured: etcd lock handed over on release: median {:?}, worst {:?}", took[5], took[9]));
    assert!(took[5] < Duration::from_secs(1), "watching, not polling: {took:?}");
    // The handle that is dropped lets go, too.
    two.handle.acquire();
    drop(one);
    two.acquired().await;
}

#[tokio::test]
async fn a_killed_holder_is_replaced_when_its_lease_ends() {
    let Some(etcd) = Etcd::start("a_killed_holder_is_replaced_when_its_lease_ends", 1, false) else { return };
    for ttl in [2, 5] {
        let text = format!("etcd:{}/reclock?ttl={ttl}", etcd.endpoints());
        let (mut holder, _lines) = holder_process(&text);
        let mut node = Node::on(&text);
        node.handle.acquire();
        sleep(Duration::from_millis(300)).await;
        node.silent();
        let start = Instant::now();
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(node.acquired().await.1, Some(record(77)), "its record outlives its key");
        let took = start.elapsed();
        report(&format!(
            "measured: etcd lock with a lease of {ttl} s had {took:?} after kill -9 of its holder"
        ));
        assert!(took < Duration::from_secs(ttl + 3), "{took:?}");
        node.proved(1).await;
        node.handle.release();
    }
}

#[tokio::test]
async fn a_frozen_holder_finds_its_lock_lost() {
    let Some(etcd) = Etcd::start("a_frozen_holder_finds_its_lock_lost", 1, false) else { return };
    let text = format!("etcd:{}/reclock?ttl=2", etcd.endpoints());
    let (mut holder, mut lines) = holder_process(&text);
    let mut node = Node::on(&text);
    node.handle.acquire();
    let pid = Pid::from_raw(holder.id().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    node.acquired().await;
    node.proved(1).await;
    kill(pid, Signal::SIGCONT).unwrap();
    let line = tokio::task::spawn_blocking(move || lines.find_map(Result::ok).unwrap()).await.unwrap();
    assert!(line.contains("Lost {"), "{line}");
    node.proved(2).await;
    holder.kill().unwrap();
    holder.wait().unwrap();
}

const HOLD: &str = "CTDBD_TEST_HOLD_ETCD";

/// Another process that holds the lock until it is killed, and the lines that it prints from then on.
fn holder_process(text: &str) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["lock::etcd::tests::holder", "--exact", "--nocapture", "--test-threads=1"])
        .env(HOLD, text)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|l| l.contains("holding")), "the child took the lock");
    (child, lines)
}

/// The body of that process; as a test of its own it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn holder() {
    let Ok(text) = std::env::var(HOLD) else { return };
    let mut node = Node::on(&text);
    node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(77));
    node.proved(1).await;
    writeln!(std::io::stdout(), "holding").unwrap();
    // Until killed, or until the parent is gone.
    let (gone, parent_gone) = oneshot::channel();
    std::thread::spawn(|| {
        let _end_of_file = std::io::stdin().read(&mut [0]);
        gone.send(())
    });
    tokio::pin!(parent_gone);
    tokio::select! {
        event = node.events.recv() => writeln!(std::io::stdout(), "{event:?}").unwrap(),
        _ = &mut parent_gone => return,
    }
    // Whoever waits for the end of this process must not take the test's for it.
    let _parent_gone = parent_gone.await;
}

#[tokio::test]
async fn an_outage_shorter_than_the_lease_does_not_matter() {
    let Some(mut etcd) = Etcd::start("an_outage_shorter_than_the_lease_does_not_matter", 1, false) else {
        return;
    };
    let mut node = Node::on(&format!("etcd:{}/reclock?ttl=20", etcd.endpoints()));
    node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(1));
    node.proved(1).await;
    etcd.signal(0, Signal::SIGSTOP);
    node.handle.prove(Mono(2));
    sleep(Duration::from_secs(5)).await;
    etcd.signal(0, Signal::SIGCONT);
    node.proved(3).await;
    // A restart keeps leases and keys, too.
    etcd.kill(0);
    sleep(Duration::from_secs(1)).await;
    etcd.run(0);
    node.proved(4).await;
}

#[tokio::test]
async fn a_longer_outage_is_a_loss_in_time_and_mended() {
    let Some(etcd) = Etcd::start("a_longer_outage_is_a_loss_in_time_and_mended", 1, false) else { return };
    let mut node = Node::on(&format!("etcd:{}/reclock?ttl=3", etcd.endpoints()));
    let ticket = node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(1));
    node.proved(1).await;
    etcd.signal(0, Signal::SIGSTOP);
    let start = Instant::now();
    let reason = node.lost().await;
    let took = start.elapsed();
    assert!(reason.starts_with("etcd has not renewed our lease for 2"), "{reason}");
    assert!(took < Duration::from_millis(2700), "before the lease can have ended: {took:?}");
    assert!(node.errors.iter().any(|e| e.contains("no answer within 500 ms")), "{:?}", node.errors);
    sleep(Duration::from_secs(5).saturating_sub(start.elapsed())).await;
    node.silent_but_errors();
    etcd.signal(0, Signal::SIGCONT);
    assert_eq!(node.acquired().await, (ticket, Some(record(1))));
    node.proved(2).await;
    assert!(node.errors.len() < 6, "not one error for every try: {:?}", node.errors);
}

#[tokio::test]
async fn one_member_of_three_may_be_lost() {
    let Some(mut etcd) = Etcd::start("one_member_of_three_may_be_lost", 3, false) else { return };
    let text = format!("etcd:{}/reclock?ttl=6", etcd.endpoints());
    let (mut node, mut other) = (Node::on(&text), Node::on(&text));
    node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(1));
    node.proved(1).await;
    other.handle.acquire();
    // Each in turn, so one of them leads and one is the one in use; one is killed, one only frozen.
    for n in 0..3 {
        if n == 1 {
            etcd.signal(n, Signal::SIGSTOP)
        } else {
            etcd.kill(n)
        }
        for round in 0..4 {
            sleep(Duration::from_secs(1)).await;
            node.proved(10 * n as u64 + round).await;
        }
        if n == 1 {
            etcd.signal(n, Signal::SIGCONT)
        } else {
            etcd.run(n)
        }
        sleep(Duration::from_secs(2)).await;
    }
    other.silent_but_errors();
    let start = Instant::now();
    node.handle.release();
    assert_eq!(other.acquired().await.1, Some(record(1)));
    report(&format!(
        "measured: etcd lock of three members handed over after faults in {:?}",
        start.elapsed()
    ));
    // Two lost: no majority.
    etcd.kill(0);
    etcd.kill(1);
    other.lost().await;
    etcd.run(0);
    other.acquired().await;
}

#[tokio::test]
async fn a_lost_lease_and_a_removed_key_are_losses() {
    let Some(etcd) = Etcd::start("a_lost_lease_and_a_removed_key_are_losses", 1, false) else { return };
    let text = format!("etcd:{}/reclock?ttl=2", etcd.endpoints());
    let lock: EtcdLock = text.parse().unwrap();
    let mut operator = Client::new(lock, Duration::from_secs(2));
    let mut node = Node::on(&text);
    node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(1));
    node.proved(1).await;
    let lease = operator.read().await.unwrap().0.unwrap().lease;
    operator.revoke(lease).await.unwrap();
    // Nobody asks for a proof: found when the lease is renewed.
    let reason = node.lost().await;
    assert_eq!(reason, "etcd has ended our lease");
    assert_eq!(node.acquired().await.1, Some(record(1)));
    node.handle.record(record(2));
    node.proved(2).await;
    // Overwritten by somebody who does not keep to the rules, within our lease and outside of it.
    for (lease, expected) in [
        (operator.read().await.unwrap().0.unwrap().lease, "the record in etcd was overwritten"),
        (0, "the key in etcd is another's"),
    ] {
        operator.overwrite(b"{}", lease).await.unwrap();
        node.handle.prove(Mono(3));
        assert_eq!(node.lost().await, expected);
        operator.delete().await.unwrap();
        assert_eq!(node.acquired().await.1, Some(record(2)));
        node.handle.record(record(2));
        node.proved(4).await;
    }
    operator.delete().await.unwrap();
    node.handle.prove(Mono(5));
    assert_eq!(node.lost().await, "the key in etcd was removed");
    node.acquired().await;
    node.proved(6).await;
}

#[tokio::test]
async fn with_certificates_on_both_sides() {
    let Some(etcd) = Etcd::start("with_certificates_on_both_sides", 1, true) else { return };
    let (ca, cert, key) = (etcd.file("ca.pem"), etcd.file("client.pem"), etcd.file("client.key"));
    let bare = format!("etcd+tls:{}/reclock?ca={}", etcd.endpoints(), ca.display());
    let mut stranger = Node::on(&bare);
    stranger.handle.acquire();
    match timeout(PATIENCE, stranger.events.recv()).await.unwrap() {
        Some(LockEvent::Error { text }) => report(&format!("without a certificate: {text}")),
        other => panic!("wanted Error, got {other:?}"),
    }
    let mut node = Node::on(&format!("{bare}&cert={}&key={}", cert.display(), key.display()));
    node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(1));
    node.proved(1).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_once() {
    let mut node = Node::on("etcd:127.0.0.1:1/reclock");
    node.handle.acquire();
    let text = match timeout(PATIENCE, node.events.recv()).await.unwrap() {
        Some(LockEvent::Error { text }) => text,
        other => panic!("wanted Error, got {other:?}"),
    };
    assert!(text.starts_with("etcd at 127.0.0.1:1: ") && text.contains("onnection refused"), "{text}");
    sleep(Duration::from_millis(1500)).await;
    node.silent();
    node.handle.stop();
    assert_eq!(timeout(PATIENCE, node.events.recv()).await.unwrap(), None, "the worker ended");
}
