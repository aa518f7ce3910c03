//! The nodes list for `ctdb listnodes`, which needs no daemon.
//!
//! Mirrors what the daemon reads: `nodes list` of `ctdb.conf` (a path, or `!command`), else `nodes` in `CTDB_BASE`. A line that starts
//! with `#` is a deleted node and keeps the numbering; blank lines count for nothing.

use crate::out::Failure;
use recoverd::model::Pnn;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A node that is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) pnn: Pnn,
    pub(crate) addr: IpAddr,
}

/// The configuration: `CTDB_BASE`, or `/etc/ctdb`.
pub(crate) fn base() -> PathBuf {
    let named = std::env::var_os("CTDB_BASE").filter(|v| !v.is_empty());
    named.map_or_else(|| PathBuf::from("/etc/ctdb"), PathBuf::from)
}

/// The nodes of the configuration below `base`.
pub(crate) fn read(base: &Path) -> Result<Vec<Node>, Failure> {
    let conf = std::fs::read_to_string(base.join("ctdb.conf")).unwrap_or_default();
    let source = nodes_list(&conf).unwrap_or_else(|| base.join("nodes").display().to_string());
    let text = match source.strip_prefix('!') {
        Some(command) => output_of(command)?,
        None => std::fs::read_to_string(&source).map_err(|e| {
            Failure::new(format!(
                "cannot read the nodes file {source}: {e}; write one private address per line, the same file on every node"
            ))
        })?,
    };
    parse(&source, &text)
}

/// The value of `[cluster] nodes list` in a ctdb.conf. The daemon judges the file; here all else is passed over.
fn nodes_list(conf: &str) -> Option<String> {
    let mut in_cluster = false;
    let mut found = None;
    for line in conf.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';'])) {
        if let Some(section) = line.strip_prefix('[') {
            in_cluster = section.trim_end_matches(']').trim() == "cluster";
        } else if let Some((key, value)) = line.split_once('=')
            && in_cluster
            && key.split_whitespace().eq(["nodes", "list"])
        {
            found = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
        }
    }
    found
}

fn output_of(command: &str) -> Result<String, Failure> {
    let fail = |why: String| Failure::new(format!("nodes list command '{command}' failed: {why}"));
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| fail("it is empty".to_owned()))?;
    let output = Command::new(program).args(words).output().map_err(|e| fail(e.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(fail(format!("{}: {}", output.status, said.trim())));
    }
    String::from_utf8(output.stdout).map_err(|e| fail(e.to_string()))
}

fn parse(source: &str, text: &str) -> Result<Vec<Node>, Failure> {
    let mut nodes = Vec::new();
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).filter(|(_, l)| !l.is_empty());
    for (pnn, (line, word)) in (0..).map(Pnn).zip(lines) {
        if word.starts_with('#') {
            continue;
        }
        let addr = word.parse().map_err(|_| {
            Failure::new(format!(
                "{source}:{line}: {word:?} is not a node address; write the node's private IP address alone on the line"
            ))
        })?;
        nodes.push(Node { pnn, addr });
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<(u32, String)> {
        parse("nodes", text).unwrap().iter().map(|n| (n.pnn.0, n.addr.to_string())).collect()
    }

    #[test]
    fn deleted_nodes_keep_the_numbering_and_blank_lines_do_not() {
        let found = numbers("10.0.0.1\n\n#10.0.0.2\n  10.0.0.3 \n");
        assert_eq!(found, [(0, "10.0.0.1".to_owned()), (2, "10.0.0.3".to_owned())]);
    }

    #[test]
    fn a_line_that_is_no_address_is_named() {
        let message = parse("/etc/ctdb/nodes", "10.0.0.1\nnode2\n").unwrap_err().message;
        assert!(message.starts_with("/etc/ctdb/nodes:2: \"node2\" is not a node address"), "{message}");
    }

    #[test]
    fn the_nodes_list_of_the_configuration_wins() {
        let conf =
            "[logging]\n nodes list = /wrong\n[cluster]\n # nodes list = /no\n  nodes  list = !cat /x\n";
        assert_eq!(nodes_list(conf), Some("!cat /x".to_owned()));
        assert_eq!(nodes_list("[cluster]\nnodes list =\n"), None);
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        std::fs::write(&list, "10.0.0.9\n").unwrap();
        for value in [list.display().to_string(), format!("!cat {}", list.display())] {
            std::fs::write(dir.path().join("ctdb.conf"), format!("[cluster]\nnodes list = {value}\n"))
                .unwrap();
            let found = read(dir.path()).unwrap();
            assert_eq!(found, [Node { pnn: Pnn(0), addr: "10.0.0.9".parse().unwrap() }]);
        }
    }

    #[test]
    fn a_missing_file_and_a_failing_command_say_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap_err().message.starts_with("cannot read the nodes file "));
        std::fs::write(dir.path().join("ctdb.conf"), "[cluster]\nnodes list = !false\n").unwrap();
        assert!(read(dir.path()).unwrap_err().message.contains("'false' failed: exit status: 1"));
    }
}
