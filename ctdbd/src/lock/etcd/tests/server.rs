//! Real etcd servers for a test: on loopback, in a directory that goes with them, ended by process id.

use crate::testns::report;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For a server to listen, on a busy machine.
const START: Duration = Duration::from_secs(20);

/// An etcd cluster.
pub(super) struct Etcd {
    members: Vec<Member>,
    dir: tempfile::TempDir,
}

struct Member {
    client: String,
    peer: String,
    child: Option<Child>,
}

impl Etcd {
    /// Starts a cluster; nothing where there is no etcd.
    pub(super) fn start(test: &str, members: usize, tls: bool) -> Option<Self> {
        let found =
            Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            report(&format!("skipped: {test}: needs etcd-server"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        if tls && !certificates(dir.path()) {
            report(&format!("skipped: {test}: needs openssl"));
            return None;
        }
        // All ports are had at once, so that they differ; they are free again when the servers take them.
        let ports: Vec<_> = (0..members * 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = ports.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
        drop(ports);
        let members = addresses
            .chunks(2)
            .map(|a| Member { client: a[0].clone(), peer: a[1].clone(), child: None })
            .collect();
        let mut etcd = Self { members, dir };
        (0..etcd.members.len()).for_each(|n| etcd.run(n));
        (0..etcd.members.len()).for_each(|n| etcd.wait_listening(n));
        Some(etcd)
    }

    /// Starts a member, anew or for the first time.
    pub(super) fn run(&mut self, n: usize) {
        let cluster: Vec<_> =
            self.members.iter().enumerate().map(|(i, m)| format!("m{i}=http://{}", m.peer)).collect();
        let log = File::options().append(true).create(true).open(self.file("log")).unwrap();
        let member = &self.members[n];
        let tls = self.file("ca.pem").exists();
        let client = format!("{}://{}", if tls { "https" } else { "http" }, member.client);
        let peer = format!("http://{}", member.peer);
        let mut command = Command::new("etcd");
        command
            .env_clear()
            .current_dir(self.dir.path())
            .args(["--name", &format!("m{n}"), "--data-dir", &format!("data{n}")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"])
            .args(["--logger", "zap", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if tls {
            command.args(["--cert-file", "server.pem", "--key-file", "server.key"]);
            command.args(["--client-cert-auth", "--trusted-ca-file", "ca.pem"]);
        }
        self.members[n].child = Some(command.spawn().unwrap());
    }

    fn wait_listening(&self, n: usize) {
        let start = Instant::now();
        while TcpStream::connect(&self.members[n].client).is_err() {
            let log = || std::fs::read_to_string(self.file("log")).unwrap_or_default();
            assert!(start.elapsed() < START, "etcd does not listen:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn signal(&self, n: usize, signal: Signal) {
        let child = self.members[n].child.as_ref().unwrap();
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    }

    /// Ends a member as a power cut would.
    pub(super) fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.members[n].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A file in the servers' directory.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `host:port` of all members, as `cluster lock` has them.
    pub(super) fn endpoints(&self) -> String {
        self.members.iter().map(|m| m.client.as_str()).collect::<Vec<_>>().join(",")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|n| self.kill(n));
    }
}

/// An authority, and certificates of a server on 127.0.0.1 and of a client.
fn certificates(dir: &Path) -> bool {
    let script = "set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
        for who in server client; do
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
            printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth,clientAuth\\n' >ext
            openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $who.pem
        done";
    let made = Command::new("sh").args(["-c", script]).current_dir(dir).output().unwrap();
    made.status.success()
}
