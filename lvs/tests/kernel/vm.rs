//! Runs this binary's ignored tests in a virtual machine, once, with bounded time; or says what is missing for that.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds for all tests in the VM: minutes, and several times as many when the host is busy.
const LIMIT: &str = "1200";

/// What the VM and the tests in it need: program and Debian package.
const NEEDED: [(&str, &str); 8] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("xz", "xz-utils"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("flock", "util-linux"),
    ("ip", "iproute2"),
    ("ipvsadm", "ipvsadm"),
    ("nft", "nftables"),
];

/// A line that libtest does not capture.
pub(crate) fn say(line: &str) {
    // Standard error may be closed: then nobody wants to read it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a program is installed.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = ["/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(places).any(|dir| dir.join(program).is_file())
}

fn vm_lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vm/vm-lab")
}

/// Runs them and shows their output when one fails; passes their own `skipped` lines on.
pub(crate) fn run_ignored(test: &str) {
    if cfg!(not(target_arch = "x86_64")) {
        return say(&format!("skipped: {test}: needs x86_64 for its virtual machine"));
    }
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(p, _)| !installed(p)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        return say(&format!("skipped: {test}: needs {}", missing.join(", ")));
    }
    let prepared = Command::new(vm_lab()).arg("--prepare").output().expect("vm-lab");
    if !prepared.status.success() {
        let why = String::from_utf8_lossy(&prepared.stderr);
        let why = why.trim().lines().last().unwrap_or_default();
        return say(&format!(
            "skipped: {test}: needs Debian's kernel package, which apt-get cannot download: {why}"
        ));
    }
    let binary = std::env::current_exe().expect("this binary");
    let run = Command::new(vm_lab())
        .args(["-t", LIMIT])
        .arg(binary)
        .args(["--ignored", "--test-threads=1", "--nocapture"])
        .output()
        .expect("vm-lab");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    for line in out.lines().chain(err.lines()).filter(|l| l.starts_with("skipped:")) {
        say(line);
    }
    let summary = out.lines().find(|l| l.starts_with("test result:"));
    assert!(
        run.status.success() && summary.is_some_and(|s| !s.contains(" 0 passed")),
        "in the VM ({}):\n{out}\n{err}",
        run.status
    );
    say(&format!("in the VM: {}", summary.unwrap_or_default()));
}
