//! Runs the running test binary's ignored tests in a virtual machine (`tests/vm/vm-lab`), once, with bounded time; or says what is missing
//! for that. The tests of the crate `lvs` have this file as a module of theirs, too.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a virtual machine needs: program and Debian package.
const NEEDED: [(&str, &str); 6] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("xz", "xz-utils"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("flock", "util-linux"),
    ("ip", "iproute2"),
];

/// A line that libtest does not capture.
pub fn say(line: &str) {
    // Standard error may be closed: then nobody wants to read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a program is installed.
#[must_use]
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = ["/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(places).any(|dir| dir.join(program).is_file())
}

fn vm_lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vm/vm-lab")
}

/// Whether the machine and these programs can be had; if not, the test is said to be skipped.
///
/// # Panics
/// When `vm-lab` is not there.
#[must_use]
pub fn ready(test: &str, programs: &[(&str, &str)]) -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        say(&format!("skipped: {test}: needs x86_64 for its virtual machine"));
        return false;
    }
    let all = NEEDED.iter().chain(programs);
    let missing: Vec<&str> = all.filter(|(p, _)| !installed(p)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        say(&format!("skipped: {test}: needs {}", missing.join(", ")));
        return false;
    }
    let prepared = Command::new(vm_lab()).arg("--prepare").output().expect("vm-lab");
    if !prepared.status.success() {
        let why = String::from_utf8_lossy(&prepared.stderr);
        let why = why.trim().lines().last().unwrap_or_default();
        say(&format!("skipped: {test}: needs Debian's kernel package, which apt-get cannot download: {why}"));
    }
    prepared.status.success()
}

/// Runs those of this binary's ignored tests whose names contain `filter` (all: empty), with these options of `vm-lab`. Shows their output
/// when one fails; passes their own lines `skipped: …` and `measured: …` on.
///
/// # Panics
/// When a test fails, or none was run.
pub fn run_ignored(options: &[&str], filter: &str, env: &[(&str, &str)]) {
    let binary = std::env::current_exe().expect("this binary");
    let run = Command::new(vm_lab())
        .args(options)
        .arg("--")
        .arg(binary)
        .args((!filter.is_empty()).then_some(filter))
        .args(["--ignored", "--test-threads=1", "--nocapture"])
        .envs(env.iter().copied())
        .output()
        .expect("vm-lab");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    let worth = |line: &&str| line.starts_with("skipped:") || line.starts_with("measured:");
    out.lines().chain(err.lines()).filter(worth).for_each(say);
    let summary = out.lines().find(|l| l.starts_with("test result:"));
    assert!(
        run.status.success() && summary.is_some_and(|s| !s.contains(" 0 passed")),
        "in the VM ({}):\n{out}\n{err}",
        run.status
    );
    say(&format!("in the VM: {}", summary.unwrap_or_default()));
}
