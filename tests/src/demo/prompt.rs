//! `cargo demo -- --stay`: the cluster stays up and takes `ctdb` command lines, and a few words that break things.

use super::screen::Screen;
use super::watch::list;
use crate::cluster::Cluster;
use crate::lab::{Binaries, binaries};
use std::io::{BufRead, IsTerminal};
use std::net::IpAddr;
use std::time::Duration;

const HELP: &str = "\
status, ip, moveip ADDR PNN, …   any ctdb command, on the node of the prompt
node N                           go to another node
holders                          which kernel has which address
!COMMAND                         a shell command on this node, for example: !ip addr
del ADDR                         remove an address from this node behind the daemon's back
add ADDR                         put one up
cut, plug                        pull the cable of this node's public interface; plug it in
kill, start                      kill -9 the daemon of this node; start it (again)
log                              the last lines of this node's log
exit                             the end (also Ctrl-D, Ctrl-C); the whole lab goes with it";

/// Longest time of a shell command.
const SHELL: Duration = Duration::from_secs(600);

/// Reads commands until the end of input.
pub(super) fn run(mut cluster: Cluster, screen: Screen) -> anyhow::Result<()> {
    let programs = binaries()?;
    screen.title("The cluster stays up. `help` lists what can be said here; Ctrl-D ends it.");
    elsewhere(&cluster, &programs, screen);
    let mut node = 0;
    let mut lines = std::io::stdin().lock().lines();
    loop {
        screen.prompt(&format!("node{node}> "));
        let Some(line) = lines.next() else { break };
        let line = line?;
        let line = line.trim();
        if !std::io::stdin().is_terminal() {
            screen.line(line);
        }
        if matches!(line, "exit" | "quit") {
            return Ok(());
        }
        if let Err(e) = obey(&mut cluster, &mut node, line, screen) {
            screen.bad(&format!("{e:#}"));
        }
    }
    screen.line("");
    Ok(())
}

/// How to talk to the cluster from another terminal.
fn elsewhere(cluster: &Cluster, programs: &Binaries, screen: Screen) {
    let paths = cluster.lab.paths(0);
    let pid = cluster.daemon(0).pid();
    screen.note("from another terminal, as the same user (n0 can be n1 or n2):");
    screen.line(&format!(
        "    export CTDB_BASE={} CTDB_SOCKET={}",
        paths.base.display(),
        paths.socket.display()
    ));
    screen.line(&format!("    {} status", programs.ctdb.display()));
    let user = if nix::unistd::geteuid().is_root() { "" } else { " -U --preserve-credentials" };
    screen.note("a shell on node 0:");
    screen.line(&format!("    nsenter -t {pid}{user} -m -n -p"));
}

fn obey(cluster: &mut Cluster, node: &mut usize, line: &str, screen: Screen) -> anyhow::Result<()> {
    if let Some(command) = line.strip_prefix('!') {
        let shell = cluster.lab.node(*node).command("/bin/sh").args(["-c", command]);
        let output = shell.envs(cluster.lab.paths(*node).env()).output(SHELL)?;
        screen.output(&String::from_utf8_lossy(&output.stdout));
        screen.output(&String::from_utf8_lossy(&output.stderr));
        return Ok(());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let iface = cluster.iface.clone();
    match words.as_slice() {
        [] => {}
        ["help" | "?"] => screen.output(HELP),
        ["node", number] => match number.parse() {
            Ok(n) if n < cluster.lab.nodes() => *node = n,
            _ => anyhow::bail!("there is no node {number}; nodes are 0 to {}", cluster.lab.nodes() - 1),
        },
        ["holders"] => {
            for n in 0..cluster.lab.nodes() {
                screen.output(&format!("node {n}: {}", list(&cluster.of(n))));
            }
        }
        ["del", addr] => cluster.lab.node(*node).del_address(&iface, addr.parse::<IpAddr>()?)?,
        ["add", addr] => cluster.lab.node(*node).add_address(&iface, addr.parse::<IpAddr>()?, 24)?,
        ["cut"] => cluster.lab.cut_cable(*node, &iface)?,
        ["plug"] => cluster.lab.plug_cable(*node, &iface)?,
        ["kill"] => drop(cluster.daemon(*node).kill9()?),
        ["start"] if cluster.daemon(*node).try_wait()?.is_some() => cluster.start(*node)?,
        ["start"] => anyhow::bail!("the daemon of node {node} runs; `kill` or `shutdown` ends it"),
        ["log"] => {
            let paths = cluster.lab.paths(*node);
            let text = std::fs::read_to_string(&paths.log).unwrap_or_default()
                + &std::fs::read_to_string(&paths.stderr).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            screen.output(&lines[lines.len().saturating_sub(20)..].join("\n"));
        }
        all => {
            let args = all.strip_prefix(&["ctdb"]).unwrap_or(all);
            let (code, out, err) = cluster.try_ctdb(*node, args);
            screen.output(&out);
            screen.output(&err);
            if code != 0 {
                screen.note(&format!("exit status {code}"));
            }
        }
    }
    Ok(())
}
