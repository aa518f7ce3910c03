//! The programs under test: found (and built once per process), started on nodes, asked.
//!
//! `LAB_BUILD=never` uses what is there, for a machine without cargo. Otherwise cargo decides whether anything is to be built,
//! with the profile and the target directory of the running program.

use super::process::{Process, no_forks};
use super::{Lab, LabError, NodePaths, say};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The programs of the project.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The daemon.
    pub ctdbd: PathBuf,
    /// The command.
    pub ctdb: PathBuf,
}

/// The directory of the profile: where cargo puts programs (`target/debug`).
fn profile_dir() -> Result<PathBuf, LabError> {
    let own = std::env::current_exe().map_err(|e| LabError::io("find the running program", e))?;
    // Test programs are in `deps`, examples in `examples`.
    let nested = |d: &Path| d.ends_with("deps") || d.ends_with("examples");
    let dir = own.ancestors().skip(1).find(|d| !nested(d)).map(Path::to_owned);
    dir.ok_or_else(|| LabError::Build(format!("no directory above {}", own.display())))
}

/// The lab's helper program. `cargo test` builds it with the tests; other programs have it built.
pub(crate) fn agent() -> Result<PathBuf, LabError> {
    let own = std::env::current_exe().map_err(|e| LabError::io("find the running program", e))?;
    let path = profile_dir()?.join("lab-agent");
    let in_deps = own.parent().is_some_and(|d| d.ends_with("deps"));
    if in_deps && path.exists() {
        return Ok(path);
    }
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build(&["-p", "tests", "--bin", "lab-agent"]).map_err(|e| e.to_string()))
        .clone()
        .map_err(LabError::Build)?;
    Ok(path)
}

/// The programs under test, built if need be.
///
/// # Errors
/// [`LabError::Build`] when they cannot be built or are missing; the same at every call.
pub fn binaries() -> Result<Binaries, LabError> {
    static FOUND: OnceLock<Result<Binaries, String>> = OnceLock::new();
    let find = || {
        build(&["-p", "ctdbd", "-p", "ctl", "--bins"])?;
        let dir = profile_dir()?;
        let found = Binaries { ctdbd: dir.join("ctdbd"), ctdb: dir.join("ctdb") };
        for path in [&found.ctdbd, &found.ctdb] {
            if !path.exists() {
                return Err(LabError::Build(format!(
                    "{} is missing: run `cargo build --workspace`",
                    path.display()
                )));
            }
        }
        Ok(found)
    };
    FOUND.get_or_init(|| find().map_err(|e| super::chain(&e))).clone().map_err(LabError::Build)
}

fn build(what: &[&str]) -> Result<(), LabError> {
    if std::env::var_os("LAB_BUILD").is_some_and(|v| v == "never") {
        return Ok(());
    }
    let dir = profile_dir()?;
    let (Some(target), Some(profile)) = (dir.parent(), dir.file_name().and_then(|n| n.to_str())) else {
        return Err(LabError::Build(format!("{} is no directory of cargo", dir.display())));
    };
    let profile = if profile == "debug" { "dev" } else { profile };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    say(&format!("building the programs under test: cargo build {}", what.join(" ")));
    let mut command = Command::new(&cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--profile", profile, "--target-dir"])
        .arg(target)
        .args(what)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let guard = no_forks();
    let started = command.spawn();
    drop(guard);
    let status = started.and_then(|mut child| child.wait()).map_err(|error| {
        let name = cargo.display();
        LabError::Build(format!(
            "cannot run {name}: {error}; set CARGO, or build first and set LAB_BUILD=never"
        ))
    })?;
    if status.success() { Ok(()) } else { Err(LabError::Build(format!("cargo build ended with {status}"))) }
}

/// A daemon on a node of the lab. Dropping it does not end it; the end of the lab does.
#[derive(Debug)]
pub struct Daemon {
    node: usize,
    process: Process,
    paths: NodePaths,
}

impl Daemon {
    /// The number of its node.
    #[must_use]
    pub fn node(&self) -> usize {
        self.node
    }

    /// Its process number, as seen by the test.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its files.
    #[must_use]
    pub fn paths(&self) -> &NodePaths {
        &self.paths
    }

    /// Kills it without warning and waits until it is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill9(&self) -> Result<ExitStatus, LabError> {
        self.process.kill9()
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// The kernel's.
    pub fn terminate(&self) -> Result<(), LabError> {
        self.process.terminate()
    }

    /// Stops it where it is (SIGSTOP); its addresses stay.
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

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The kernel's.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, LabError> {
        self.process.try_wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `timeout`.
    pub fn wait_exit(&self, timeout: Duration) -> Result<ExitStatus, LabError> {
        self.process.wait(timeout)
    }

    /// What it has said on standard output and standard error, over all starts on this node.
    #[must_use]
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.paths.stderr).unwrap_or_default()
    }
}

impl Lab {
    /// Starts `ctdbd -i` on a node whose config tree was written before.
    ///
    /// # Errors
    /// When it cannot be built or started; not when it ends by itself later.
    pub fn start_daemon(&self, node: usize) -> Result<Daemon, LabError> {
        self.start_daemon_with(node, &[], &[])
    }

    /// The same with more arguments and environment.
    ///
    /// # Errors
    /// As [`Self::start_daemon`].
    pub fn start_daemon_with(
        &self,
        node: usize,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Daemon, LabError> {
        let paths = self.paths(node);
        let open = OpenOptions::new().create(true).append(true).open(&paths.stderr);
        let both = open.and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) =
            both.map_err(|e| LabError::io(format!("open {}", paths.stderr.display()), e))?;
        let process = self
            .node(node)
            .command(binaries()?.ctdbd)
            .arg("-i")
            .args(args)
            .envs(paths.env())
            .envs(env.iter().copied())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        Ok(Daemon { node, process, paths })
    }

    /// Runs `ctdb ARGS` on a node and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or takes more than 60 seconds; its exit code is in the result.
    pub fn ctdb(&self, node: usize, args: &[&str]) -> Result<Output, LabError> {
        let command = self.node(node).command(binaries()?.ctdb).args(args).envs(self.paths(node).env());
        command.output(Duration::from_secs(60))
    }
}
