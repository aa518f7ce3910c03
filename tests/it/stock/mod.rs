//! CTDB's own event scripts, unmodified, under our daemon: what each of them changes in the kernel (issue 5), beside a real service.
//!
//! The scripts and the file `functions` are those of Debian's package `ctdb`, linked into a node's configuration as `ctdb event script
//! enable` does; their options are an operator's. `ctdb` is ours. Where the package is absent these tests are skipped.

mod housekeeping;
mod interface;
mod lvs;
mod lvs_change;
mod lvs_leave;
mod natgw;
mod notify;
mod per_ip_routing;
mod routing;
mod service;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::{Lab, LabConfig, wait_for};

/// Where Debian has CTDB's scripts, and what they all read.
const SHIPPED: &str = "/usr/share/ctdb/events/legacy";
const FUNCTIONS: &str = "/etc/ctdb/functions";

/// Says why a test is skipped, past the harness, which would swallow it.
fn skip(test: &str, needs: &str) {
    writeln!(std::io::stderr(), "skipped: {test}: needs {needs}").ok();
}

/// Whether a program is there; if not, the test is skipped.
fn has(test: &str, program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = dirs.map(|d| d.join(program)).any(|p| p.exists());
    if !found {
        skip(test, &format!("{program} (Debian's package {package})"));
    }
    found
}

/// A lab with configured nodes and no daemon yet, or nothing where no lab can be had.
fn bare(test: &str, config: &ClusterConfig) -> Option<Cluster> {
    let lab_config = LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() };
    Some(Cluster::prepare(Lab::for_test(test, &lab_config)?, config).unwrap())
}

/// The same with the stock scripts `scripts` in place; nothing where their package is not installed.
fn prepare(test: &str, scripts: &[&str], config: &ClusterConfig) -> Option<Cluster> {
    if !Path::new(FUNCTIONS).exists() || !Path::new(SHIPPED).exists() {
        skip(test, &format!("Debian's package ctdb ({FUNCTIONS} is missing)"));
        return None;
    }
    let c = bare(test, config)?;
    for node in 0..config.nodes {
        let base = c.lab.paths(node).base;
        symlink(FUNCTIONS, base.join("functions")).unwrap();
        for script in scripts {
            let file = format!("{script}.script");
            symlink(Path::new(SHIPPED).join(&file), base.join("events/legacy").join(&file)).unwrap();
        }
    }
    Some(c)
}

/// Starts all daemons and waits until all addresses are served.
fn start(c: &mut Cluster) {
    let nodes: Vec<usize> = (0..c.lab.nodes()).collect();
    nodes.iter().for_each(|n| c.start(*n).unwrap());
    c.wait_balanced(&nodes);
    nodes.iter().for_each(|n| c.wait_flags(0, *n, "OK"));
}

/// Writes a file below a node's `CTDB_BASE`; `BASE` in the text stands for that directory.
fn write(c: &Cluster, node: usize, name: &str, text: &str) {
    let base = c.lab.paths(node).base;
    fs::write(base.join(name), text.replace("BASE", &base.display().to_string())).unwrap();
}

/// What a program prints on a node, errors included.
fn on(c: &Cluster, node: usize, program: &str, args: &[&str]) -> String {
    let done = c.lab.node(node).command(program).args(args).output(Duration::from_secs(20)).unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

/// Waits until what a program prints on a node is good.
fn wait_on(c: &Cluster, node: usize, words: &[&str], good: impl Fn(&str) -> bool) -> String {
    let waited = wait_for(&format!("the right output of `{}` on node {node}", words.join(" ")), SOON, || {
        let out = on(c, node, words[0], &words[1..]);
        if good(&out) { Ok(out) } else { Err(out) }
    });
    waited.unwrap_or_else(|e| panic!("{e}\n{}", c.describe()))
}

/// Gives a node a directory of its own in the place of one that all machines of the lab share.
fn cover(c: &Cluster, node: usize, dir: &str, with: &Path) {
    let with = with.display().to_string();
    assert_eq!(on(c, node, "mount", &["--bind", &with, dir]), "", "bind {with} over {dir}");
}

/// Waits until a script's line in the last run of an event begins so, e.g. `10.interface         OK`.
fn wait_script(c: &Cluster, node: usize, event: &str, script: &str, state: &str) -> String {
    let start = format!("{script:<20} {state}");
    c.wait_output(node, &["event", "status", "legacy", event], |o| o.lines().any(|l| l.starts_with(&start)))
}
