//! One daemon on this host's loopback, without any public address: for what needs no network of its own.

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tests::lab::{binaries, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// A config tree of its own and, once started, a daemon.
pub(super) struct Solo {
    dir: TempDir,
    /// Its address, node 0 of its nodes file. No other test has it.
    pub(super) addr: IpAddr,
    /// Node 1, which does not run.
    pub(super) peer: IpAddr,
    child: Option<Child>,
}

impl Solo {
    /// A config tree with which a daemon starts.
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = u8::try_from(COUNT.fetch_add(2, Ordering::Relaxed)).unwrap();
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let addr = |n| IpAddr::from([127, 1 | high, low, n]);
        let dir = tempfile::tempdir().unwrap();
        let solo = Self { dir, addr: addr(count + 10), peer: addr(count + 11), child: None };
        for dir in ["etc/tunables.d", "run", "var"] {
            fs::create_dir_all(solo.dir.path().join(dir)).unwrap();
        }
        solo.write("nodes", &format!("{}\n{}\n", solo.addr, solo.peer));
        let lock = solo.dir.path().join("reclock");
        solo.write("ctdb.conf", &format!("[cluster]\n\tcluster lock = {}\n", lock.display()));
        solo
    }

    /// A file below `etc`, the directory of the configuration.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("etc").join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command
            .env("CTDB_BASE", self.dir.path().join("etc"))
            .env("CTDB_RUNDIR", self.dir.path().join("run"))
            .env("CTDB_VARDIR", self.dir.path().join("var"))
            .env_remove("CTDB_SOCKET")
            .env_remove("CTDB_PORT")
            .stdin(Stdio::null());
        command
    }

    /// Starts a daemon that must end by itself, with exit code 1 and one line on standard error. The line.
    pub(super) fn refused(&self, args: &[&str]) -> String {
        let listen = format!("--listen={}", self.addr);
        let all: Vec<&str> = ["-i", &listen].into_iter().chain(args.iter().copied()).collect();
        self.refused_plain(&all)
    }

    /// The same without `-i` and `--listen`.
    pub(super) fn refused_plain(&self, args: &[&str]) -> String {
        let output = finished(self.command(binaries().unwrap().ctdbd).args(args));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        // A warning of the log may come before it.
        let last = said.trim_end().lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("ctdbd: "), "{args:?}: {said}");
        assert!(said.lines().filter(|l| l.starts_with("ctdbd: ")).count() == 1, "{said}");
        assert!(!said.contains("panicked"), "{said}");
        last
    }

    /// Starts the daemon and waits until it answers.
    pub(super) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command(binaries().unwrap().ctdbd);
        command.arg("-i").arg(format!("--listen={}", self.addr)).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        self.wait_until("an answer to `ctdb ping`", || self.ctdb(&["ping"]).0 == 0);
    }

    /// Kills the daemon without warning.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Runs `ctdb`: exit code, standard output, standard error.
    pub(super) fn ctdb(&self, args: &[&str]) -> (i32, String, String) {
        let output = finished(self.command(binaries().unwrap().ctdb).args(args));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// The daemon is the one that was started, has not panicked, and answers.
    pub(super) fn assert_serves(&mut self) {
        let ended = self.child.as_mut().map(|c| c.try_wait().unwrap());
        assert_eq!(ended, Some(None), "the daemon ended:\n{}", self.log());
        let (code, out, err) = self.ctdb(&["status"]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What the daemon has logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Waits for a line of the log with all these words.
    pub(super) fn wait_log(&self, words: &[&str]) {
        let good = || self.log().lines().any(|l| words.iter().all(|w| l.contains(w)));
        self.wait_until(&format!("a line of the log with {words:?}"), good);
    }

    fn wait_until(&self, what: &str, good: impl Fn() -> bool) {
        let waited = wait_for(what, SOON, || if good() { Ok(()) } else { Err(self.log()) });
        waited.unwrap_or_else(|e| panic!("{e}"));
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Runs a program to its end, which must come soon.
fn finished(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = wait_for(&format!("the end of {command:?}"), SOON, || match child.try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    if ended.is_err() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(ended.is_ok(), "{command:?} does not end: {}", String::from_utf8_lossy(&output.stderr));
    output
}
