//! Helpers of every behaviour, written in shell; and CTDB's own where it is installed.

use crate::lock::{LockEvent, LockHandle, LockRecord, Ticket};
use crate::testns::report;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use recoverd::model::{Epoch, Mono, Pnn, Session};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough to be told from none, short enough for a test.
const LOSS_TIME: Duration = Duration::from_millis(300);

struct Node {
    handle: LockHandle,
    events: Receiver<LockEvent>,
}

impl Node {
    fn new(argv: &[&str], loss_time: Duration) -> Self {
        let (sender, events) = mpsc::channel(16);
        let argv = argv.iter().map(|a| (*a).to_owned()).collect();
        Self { handle: LockHandle::helper(argv, loss_time, sender), events }
    }

    /// One whose helper is this shell script; `$1` in it is the directory.
    fn script(dir: &Path, script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script, "helper", &dir.display().to_string()], LOSS_TIME)
    }

    async fn event(&mut self, what: &str) -> LockEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .unwrap_or_else(|_| panic!("no event within {PATIENCE:?}, wanted {what}"))
            .unwrap_or_else(|| panic!("the worker ended, wanted {what}"))
    }

    async fn acquired(&mut self) -> Ticket {
        match self.event("Acquired").await {
            LockEvent::Acquired { ticket, record, .. } => {
                assert_eq!(record, None);
                ticket
            }
            other => panic!("wanted Acquired, got {other:?}"),
        }
    }

    async fn lost(&mut self) {
        match self.event("Lost").await {
            LockEvent::Lost { reason, .. } => assert!(reason.ends_with(" has ended"), "{reason}"),
            other => panic!("wanted Lost, got {other:?}"),
        }
    }

    async fn error(&mut self) -> String {
        match self.event("Error").await {
            LockEvent::Error { text } => text,
            other => panic!("wanted Error, got {other:?}"),
        }
    }

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

/// Waits until something holds, and says what it was that did not.
async fn wait_until(what: &str, mut good: impl FnMut() -> bool) {
    let start = Instant::now();
    while !good() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn last_pid(file: &Path) -> Pid {
    Pid::from_raw(lines(file).last().unwrap().parse().unwrap())
}

fn runs(pid: Pid) -> bool {
    // A zombie has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| !c.is_empty())
}

/// Holds a lock by a directory of its own, as a shell can; the trap lets go.
const HOLD: &str = r#"echo $$ >>"$1/pids"
trap 'echo term >>"$1/said"; exit 0' TERM
printf 0
while :; do sleep 0.01; done"#;

#[tokio::test]
async fn zero_is_held_after_the_loss_time_until_release() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::script(dir.path(), HOLD);
    let start = Instant::now();
    let ticket = node.handle.acquire();
    assert_eq!(node.acquired().await, ticket);
    assert!(start.elapsed() >= LOSS_TIME, "{:?}", start.elapsed());
    let epoch = Epoch { number: 3, pnn: Pnn(0) };
    let fields = serde_json::json!({ "epoch": epoch, "session": Session(1), "host": "node0" });
    let record: LockRecord = serde_json::from_value(fields).unwrap();
    node.handle.record(record);
    node.proved(1).await;
    node.proved(2).await;
    let pid = last_pid(&dir.path().join("pids"));
    assert!(runs(pid));
    assert_eq!(nix::unistd::getpgid(Some(pid)), Ok(pid), "a process group of its own");
    node.handle.release();
    wait_until("the helper has ended", || !runs(pid)).await;
    assert_eq!(lines(&dir.path().join("said")), ["term"], "asked to, not killed");
    node.silent();
    assert_ne!(node.handle.acquire(), ticket);
    node.acquired().await;
    let pid = last_pid(&dir.path().join("pids"));
    drop(node);
    wait_until("the helper has ended with its handle", || !runs(pid)).await;
}

#[tokio::test]
async fn a_killed_helper_is_a_lost_lock_and_another_is_started() {
    let dir = tempfile::tempdir().unwrap();
    // What it starts keeps its output open: that must not hide its death, and must not be left.
    let script = r#"echo $$ >>"$1/pids"; sleep 1000 & echo $! >>"$1/children"; printf 0; wait"#;
    let mut node = Node::script(dir.path(), script);
    let ticket = node.handle.acquire();
    node.acquired().await;
    let start = Instant::now();
    kill(last_pid(&dir.path().join("pids")), Signal::SIGKILL).unwrap();
    node.lost().await;
    report(&format!("measured: death of a helper noticed after {:?}", start.elapsed()));
    let child = last_pid(&dir.path().join("children"));
    wait_until("its child has ended", || !runs(child)).await;
    assert_eq!(node.acquired().await, ticket, "the request stays in force");
    node.proved(9).await;
}

#[tokio::test]
async fn closing_the_output_is_a_lost_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::script(
        dir.path(),
        r#"printf 0; while [ ! -e "$1/close" ]; do sleep 0.01; done; exec >&- ; sleep 1000"#,
    );
    node.handle.acquire();
    node.acquired().await;
    node.proved(1).await;
    fs::write(dir.path().join("close"), "").unwrap();
    node.lost().await;
}

#[tokio::test]
async fn contention_is_silent_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"echo $$ >>"$1/pids"; [ -e "$1/free" ] && { printf 0; exec sleep 1000; }; printf 1; exec sleep 1000"#;
    let mut node = Node::script(dir.path(), script);
    node.handle.acquire();
    let pids = dir.path().join("pids");
    wait_until("three tries", || lines(&pids).len() >= 3).await;
    node.silent();
    fs::write(dir.path().join("free"), "").unwrap();
    node.acquired().await;
    let all = lines(&pids);
    let left: Vec<_> = all.iter().filter(|p| runs(Pid::from_raw(p.parse().unwrap()))).collect();
    assert_eq!(left, [all.last().unwrap()], "those that said 1 are gone");
}

#[tokio::test]
async fn each_failure_is_told_once_and_tried_again() {
    for (script, expected) in [
        ("printf 3", "failed (3)"),
        ("sleep 0.2; printf 2", "says that it took too long (2)"),
        ("exit 0", "ended without an answer"),
        ("exec >&-; sleep 1000", "ended without an answer"),
        ("echo hello", "printed \"h\", which is none of 0, 1, 2 and 3"),
        ("printf '\\377'", "printed \"\\xff\""),
        ("printf 0; exit 0", "lost the lock before it counted as taken"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let again = format!(
            "echo $$ >>\"$1/pids\"; [ -e \"$1/good\" ] && {{ printf 0; exec sleep 1000; }}; {script}"
        );
        let mut node = Node::script(dir.path(), &again);
        node.handle.acquire();
        let text = node.error().await;
        assert!(text.starts_with("cluster lock helper /bin/sh ") && text.contains(expected), "{text}");
        wait_until("a second try", || lines(&dir.path().join("pids")).len() >= 2).await;
        node.silent();
        fs::write(dir.path().join("good"), "").unwrap();
        node.acquired().await;
    }
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let mut node = Node::new(&["/no/such/helper", "x"], LOSS_TIME);
    node.handle.acquire();
    let text = node.error().await;
    assert!(text.starts_with("cannot run cluster lock helper /no/such/helper: No such file"), "{text}");
    node.handle.stop();
    assert_eq!(timeout(PATIENCE, node.events.recv()).await.unwrap(), None, "the worker ended");
}

#[tokio::test]
async fn one_that_is_not_wanted_any_more_is_ended_before_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::script(dir.path(), r#"echo $$ >>"$1/pids"; exec sleep 1000"#);
    node.handle.acquire();
    let pids = dir.path().join("pids");
    wait_until("it runs", || !lines(&pids).is_empty()).await;
    node.handle.release();
    wait_until("it has ended", || !runs(last_pid(&pids))).await;
    node.silent();
}

#[tokio::test]
async fn one_that_ignores_term_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::script(
        dir.path(),
        r#"trap '' TERM; echo $$ >>"$1/pids"; printf 0; while :; do sleep 0.1; done"#,
    );
    node.handle.acquire();
    node.acquired().await;
    let pid = last_pid(&dir.path().join("pids"));
    node.handle.release();
    wait_until("it has ended", || !runs(pid)).await;
}

/// Where Debian's package `ctdb` puts it, in old and new releases.
fn fcntl_helper() -> Option<PathBuf> {
    ["/usr/libexec/ctdb", "/usr/lib/ctdb", "/usr/libexec/samba/ctdb"]
        .iter()
        .map(|d| Path::new(d).join("ctdb_mutex_fcntl_helper"))
        .find(|p| p.exists())
}

#[tokio::test]
async fn ctdbs_own_helper() {
    let Some(helper) = fcntl_helper() else {
        return report("skipped: ctdbs_own_helper: needs ctdb_mutex_fcntl_helper (package ctdb)");
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lock");
    // It looks for the loss of its file every second.
    let (helper, lock) = (helper.display().to_string(), file.display().to_string());
    let argv = [helper.as_str(), &lock, "1"];
    let (mut one, mut two) = (Node::new(&argv, LOSS_TIME), Node::new(&argv, LOSS_TIME));
    one.handle.acquire();
    one.acquired().await;
    one.proved(1).await;
    two.handle.acquire();
    sleep(Duration::from_millis(1500)).await;
    two.silent();
    let start = Instant::now();
    one.handle.release();
    two.acquired().await;
    report(&format!(
        "measured: fcntl helper: lock had {:?} after release (loss time {LOSS_TIME:?}, tried every {:?})",
        start.elapsed(),
        super::RETRY
    ));
    two.proved(2).await;
    // The file goes: the helper notices, and its successor makes a new one.
    fs::remove_file(&file).unwrap();
    two.lost().await;
    two.acquired().await;
    two.proved(3).await;
    two.handle.release();
    let file = dir.path().join("other");
    let lock = file.display().to_string();
    let mut holder = std::process::Command::new(&helper)
        .args([&lock, "1"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut zero = [0];
    holder.stdout.as_mut().unwrap().read_exact(&mut zero).unwrap();
    assert_eq!(&zero, b"0");
    let mut next = Node::new(&[helper.as_str(), &lock, "1"], LOSS_TIME);
    next.handle.acquire();
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    holder.kill().unwrap();
    holder.wait().unwrap();
    next.acquired().await;
    report(&format!(
        "measured: fcntl helper: lock had {:?} after kill -9 of its holder (loss time {LOSS_TIME:?})",
        start.elapsed()
    ));
}
