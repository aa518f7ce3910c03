//! A real etcd server on a host of the lab, for daemons whose cluster lock is in it.

use super::process::Process;
use super::{Host, Lab, LabError};
use std::fs::OpenOptions;
use std::process::{Command, Stdio};

/// Where clients of it connect.
const PORT: u16 = 2379;
/// The client host of the lab, which every node reaches.
const ADDRESS: &str = "10.0.0.9";

/// A running server of one member; ends when dropped.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
}

impl Etcd {
    /// Starts it on the lab's client; nothing where there is no etcd. It listens some time later: a daemon's lock waits for it.
    ///
    /// # Errors
    /// Its log cannot be written, or it cannot be run.
    pub fn start(lab: &Lab) -> Result<Option<Self>, LabError> {
        let found =
            Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            return Ok(None);
        }
        let host: &Host = lab.client();
        let path = lab.dir().join("etcd.log");
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let both = log.and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) = both.map_err(|e| LabError::io(format!("open {}", path.display()), e))?;
        let (client, peer) = (format!("http://{ADDRESS}:{PORT}"), format!("http://{ADDRESS}:{}", PORT + 1));
        let process = host
            .command("etcd")
            .args(["--name", "m0", "--data-dir"])
            .arg(lab.dir().join("etcd"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("m0={peer}"), "--logger", "zap", "--log-level", "error"])
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        Ok(Some(Self { process }))
    }

    /// The `cluster lock` of `ctdb.conf` for a key in it that is bound to a lease of that many seconds.
    #[must_use]
    pub fn lock_text(ttl: u32) -> String {
        format!("etcd:{ADDRESS}:{PORT}/reclock?ttl={ttl}")
    }

    /// Stops it where it is (SIGSTOP).
    ///
    /// # Errors
    /// The kernel's.
    pub fn freeze(&self) -> Result<(), LabError> {
        self.process.freeze()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn thaw(&self) -> Result<(), LabError> {
        self.process.thaw()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended with its lab already.
        self.process.kill9().ok();
    }
}
