//! Two handles on real files, and a holder in a process of its own.

use super::{LockFile, Unproven};
use crate::lock::record::BLOCK;
use crate::lock::{LockEvent, LockHandle, LockRecord, Ticket};
use crate::testns::report;
use recoverd::model::{Epoch, Mono, Pnn, Session};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

fn record(number: u64) -> LockRecord {
    let epoch = Epoch { number, pnn: Pnn(2) };
    let fields = serde_json::json!({ "epoch": epoch, "session": Session(0xfeed), "host": "node2" });
    serde_json::from_value(fields).unwrap()
}

/// A handle with its events.
struct Node {
    handle: LockHandle,
    events: Receiver<LockEvent>,
}

impl Node {
    fn on(path: &Path) -> Self {
        let (sender, events) = mpsc::channel(16);
        Self { handle: LockHandle::file(path.to_owned(), sender), events }
    }

    async fn event(&mut self, what: &str) -> LockEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .unwrap_or_else(|_| panic!("no event within {PATIENCE:?}, wanted {what}"))
            .unwrap_or_else(|| panic!("the worker ended, wanted {what}"))
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

    /// Asks for a proof that must succeed.
    async fn proved(&mut self, at: u64) {
        self.handle.prove(Mono(at));
        match self.event("Proved").await {
            LockEvent::Proved { asked_at, .. } => assert_eq!(asked_at, Mono(at)),
            other => panic!("wanted Proved, got {other:?}"),
        }
    }

    fn silent(&mut self) {
        assert_eq!(self.events.try_recv().ok(), None);
    }
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reclock");
    (dir, path)
}

/// Waits until `n` nodes are blocked in the queue of `path`, by the kernel's own list of lock requests.
async fn queued(path: &Path, n: usize) {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    let start = Instant::now();
    loop {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        if locks.lines().filter(|l| l.contains("->") && l.contains(&inode)).count() == n {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "not {n} in the queue of {inode}:\n{locks}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn the_lock_goes_to_the_next_in_the_queue_when_its_holder_lets_go() {
    let (_dir, path) = directory();
    let (mut one, mut two) = (Node::on(&path), Node::on(&path));
    let mut took = Vec::new();
    one.handle.acquire();
    assert_eq!(one.acquired().await.1, None);
    for round in 1..=20 {
        one.handle.record(record(round));
        one.proved(round).await;
        two.handle.acquire();
        queued(&path, 1).await;
        two.silent();
        let start = Instant::now();
        one.handle.release();
        assert_eq!(two.acquired().await.1, Some(record(round)), "the record of the last holder is handed on");
        took.push(start.elapsed());
        std::mem::swap(&mut one, &mut two);
    }
    took.sort();
    report(&format!("measured: lock handed over on release: median {:?}, worst {:?}", took[10], took[19]));
    assert!(took[10] < Duration::from_millis(500), "blocking, not polling: {took:?}");
}

#[tokio::test]
async fn dropping_the_handle_frees_the_lock() {
    let (_dir, path) = directory();
    let (mut one, mut two) = (Node::on(&path), Node::on(&path));
    one.handle.acquire();
    one.acquired().await;
    two.handle.acquire();
    queued(&path, 1).await;
    drop(one);
    two.acquired().await;
    two.proved(1).await;
}

#[tokio::test]
async fn one_who_left_the_queue_does_not_keep_the_lock() {
    let (_dir, path) = directory();
    let (mut one, mut two, mut three) = (Node::on(&path), Node::on(&path), Node::on(&path));
    one.handle.acquire();
    one.acquired().await;
    let left = two.handle.acquire();
    queued(&path, 1).await;
    two.handle.release();
    three.handle.acquire();
    queued(&path, 2).await;
    one.handle.release();
    three.acquired().await;
    two.silent();
    // Asked again, it queues again, with a new ticket.
    let again = two.handle.acquire();
    assert_ne!(left, again);
    three.handle.release();
    assert_eq!(two.acquired().await.0, again);
    two.handle.release();
    // A stopped one in the queue does not keep it either.
    three.handle.acquire();
    three.acquired().await;
    two.handle.acquire();
    queued(&path, 1).await;
    two.handle.stop();
    three.handle.release();
    one.handle.acquire();
    one.acquired().await;
}

#[tokio::test]
async fn leaving_the_queue_and_coming_back_uses_the_same_place() {
    let (_dir, path) = directory();
    let (mut one, mut two) = (Node::on(&path), Node::on(&path));
    one.handle.acquire();
    one.acquired().await;
    for _ in 0..5 {
        two.handle.acquire();
        queued(&path, 1).await;
        two.handle.release();
    }
    let last = two.handle.acquire();
    queued(&path, 1).await;
    one.handle.release();
    assert_eq!(two.acquired().await.0, last);
}

#[tokio::test]
async fn the_lock_of_a_killed_process_is_free_at_once() {
    let (_dir, path) = directory();
    let mut holder = holder_process(&path);
    let mut node = Node::on(&path);
    node.handle.acquire();
    queued(&path, 1).await;
    let start = Instant::now();
    holder.kill().unwrap();
    assert_eq!(node.acquired().await.1, Some(record(77)));
    report(&format!("measured: lock had {:?} after kill -9 of its holder", start.elapsed()));
    holder.wait().unwrap();
}

const HOLD: &str = "CTDBD_TEST_HOLD_LOCK";

/// Another process that holds the lock until it is killed.
fn holder_process(path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["lock::file::tests::holder", "--exact", "--nocapture", "--test-threads=1"])
        .env(HOLD, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|l| l.contains("holding")), "the child took the lock");
    child
}

/// The body of that process; as a test of its own it has nothing to do.
#[test]
fn holder() {
    let Some(path) = std::env::var_os(HOLD) else { return };
    let file = LockFile::open(Path::new(&path)).unwrap();
    assert!(file.try_lock().unwrap());
    file.write_record(&record(77)).unwrap();
    writeln!(std::io::stdout(), "holding").unwrap();
    // Until killed, or until the parent is gone.
    let _end_of_file = std::io::stdin().read(&mut [0]);
}

#[tokio::test]
async fn a_replaced_file_is_a_lost_lock_and_the_new_one_is_queued_for() {
    let (dir, path) = directory();
    let mut node = Node::on(&path);
    let ticket = node.handle.acquire();
    node.acquired().await;
    node.handle.record(record(1));
    node.proved(1).await;
    let other = dir.path().join("other");
    fs::write(&other, "").unwrap();
    fs::rename(&other, &path).unwrap();
    node.handle.prove(Mono(2));
    let reason = node.lost().await;
    assert!(reason.ends_with("was replaced by another file"), "{reason}");
    assert_eq!(node.acquired().await, (ticket, None), "now the lock on the new file");
    fs::remove_file(&path).unwrap();
    // Found by the worker itself, too: nobody asks for a proof here.
    let reason = node.lost().await;
    assert!(reason.ends_with("was removed or moved away"), "{reason}");
    node.acquired().await;
    node.proved(3).await;
}

#[tokio::test]
async fn one_who_waits_in_the_queue_of_a_replaced_file_turns_to_the_new_one() {
    let (dir, path) = directory();
    let (mut one, mut two) = (Node::on(&path), Node::on(&path));
    one.handle.acquire();
    one.acquired().await;
    one.handle.release();
    // The old file's lock never comes free: this test holds it.
    let old = LockFile::open(&path).unwrap();
    old.wait_lock().unwrap();
    two.handle.acquire();
    queued(&path, 1).await;
    let other = dir.path().join("other");
    fs::write(&other, "").unwrap();
    fs::rename(&other, &path).unwrap();
    two.acquired().await;
    two.proved(1).await;
    drop(old);
    two.proved(2).await;
}

#[test]
fn each_part_of_the_proof_can_fail() {
    let (_dir, path) = directory();
    let mine = record(5);
    let locked = || {
        let file = LockFile::open(&path).unwrap();
        assert!(file.try_lock().unwrap());
        file.write_record(&mine).unwrap();
        assert_eq!(file.prove(Some(&mine)), Ok(()));
        file
    };
    let lost = |file: &LockFile| match file.prove(Some(&mine)) {
        Err(Unproven::Lost(reason)) => reason,
        other => panic!("wanted Lost, got {other:?}"),
    };
    let file = locked();
    file.unlock_behind_the_back();
    assert!(lost(&file).contains("not locked any more"));
    // Another has it now, and has not yet written who it is.
    let rival = LockFile::open(&path).unwrap();
    assert!(rival.try_lock().unwrap());
    assert!(lost(&file).contains("another node holds the lock"));
    rival.write_record(&record(6)).unwrap();
    assert_eq!(lost(&file), "the record is that of epoch 6.2 on node2");
    drop((file, rival));
    let file = locked();
    fs::write(&path, "").unwrap();
    assert_eq!(lost(&file), "the record was wiped out");
    fs::write(&path, "garbage").unwrap();
    assert!(lost(&file).starts_with("the record was overwritten: not a record of ctdb-ip"));
}

#[test]
fn an_old_proof_is_not_given_again_by_locking_again() {
    let (_dir, path) = directory();
    let file = LockFile::open(&path).unwrap();
    assert!(file.try_lock().unwrap());
    file.unlock_behind_the_back();
    assert!(file.prove(None).is_err());
    assert!(LockFile::open(&path).unwrap().try_lock().unwrap(), "the failed proof did not take the lock");
}

#[test]
fn records_survive_the_round_trip() {
    let mut long = record(u64::MAX);
    for host in ["", "node1", "\"quoted\\ \n", "ü€"] {
        long.host = host.to_owned();
        assert_eq!(LockRecord::parse(&long.to_block().unwrap()), Ok(Some(long.clone())));
    }
    long.host = "\u{1}".repeat(300);
    let cut = LockRecord::parse(&long.to_block().unwrap()).unwrap().unwrap();
    assert!(long.host.starts_with(&cut.host) && cut.epoch == long.epoch && cut.session == long.session);
    assert_eq!(LockRecord::parse(b""), Ok(None));
    assert_eq!(LockRecord::parse(&[0; BLOCK]), Ok(None));
    assert!(LockRecord::parse(b"{\"epoch\":1}").is_err());
}

#[tokio::test]
async fn garbage_in_the_file_is_not_a_record_and_no_obstacle() {
    let (_dir, path) = directory();
    fs::write(&path, [0xff; 4096]).unwrap();
    let mut node = Node::on(&path);
    node.handle.acquire();
    assert_eq!(node.acquired().await.1, None);
    node.handle.record(record(3));
    node.proved(1).await;
}

#[tokio::test]
async fn a_missing_directory_is_named_once_and_tried_again() {
    let (dir, _) = directory();
    let path = dir.path().join("not-mounted").join("reclock");
    let mut node = Node::on(&path);
    node.handle.acquire();
    match node.event("Error").await {
        LockEvent::Error { text } => {
            assert!(text.contains(&format!("cannot open cluster lock file {}", path.display())), "{text}");
            assert!(text.contains("create the directory") && text.contains("every second"), "{text}");
        }
        other => panic!("wanted Error, got {other:?}"),
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    node.silent();
    fs::create_dir(path.parent().unwrap()).unwrap();
    node.acquired().await;
}
