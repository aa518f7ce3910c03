//! The nodes list for `ctdb listnodes`, which needs no daemon.
//!
//! Reads what the daemon reads, by the same code: `nodes list` of `ctdb.conf` (a path, or `!command`), else `nodes` in `CTDB_BASE`.

use crate::out::Failure;
use config::{CtdbConf, NodesSource, load_nodes};
use recoverd::model::Pnn;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

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

/// The nodes of the configuration below `base`. The daemon judges `ctdb.conf`; here only its `nodes list` counts.
pub(crate) fn read(base: &Path) -> Result<Vec<Node>, Failure> {
    let file = base.join("ctdb.conf");
    let (conf, _) = CtdbConf::parse(&std::fs::read_to_string(&file).unwrap_or_default(), &file).value;
    let source = conf.nodes_list.unwrap_or_else(|| NodesSource::File(base.join("nodes")));
    let nodes = load_nodes(&source).map_err(|e| Failure::new(e.to_string()))?;
    Ok(nodes.lines.into_iter().filter_map(|l| Some(Node { pnn: l.pnn, addr: l.addr? })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) {
        std::fs::write(dir.join(name), text).unwrap();
    }

    #[test]
    fn deleted_nodes_keep_the_numbering_and_blank_lines_do_not() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "nodes", "10.0.0.1\n\n#10.0.0.2\n  10.0.0.3 \n");
        let found = read(dir.path()).unwrap();
        let found: Vec<_> = found.iter().map(|n| (n.pnn.0, n.addr.to_string())).collect();
        assert_eq!(found, [(0, "10.0.0.1".to_owned()), (2, "10.0.0.3".to_owned())]);
    }

    #[test]
    fn the_nodes_list_of_the_configuration_wins() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "list", "10.0.0.9\n");
        let list = dir.path().join("list").display().to_string();
        for value in [list.clone(), format!("!cat {list}")] {
            write(
                dir.path(),
                "ctdb.conf",
                &format!("[cluster]\nleader timeout = soon\nnodes list = {value}\n"),
            );
            let found = read(dir.path()).unwrap();
            assert_eq!(found, [Node { pnn: Pnn(0), addr: "10.0.0.9".parse().unwrap() }]);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let said = || read(dir.path()).unwrap_err().message;
        assert!(said().contains(&dir.path().join("nodes").display().to_string()), "{}", said());
        write(dir.path(), "nodes", "10.0.0.1\nnode2\n");
        assert!(said().contains("nodes:2: ") && said().contains("node2"), "{}", said());
        write(dir.path(), "ctdb.conf", "[cluster]\nnodes list = !false\n");
        assert!(said().contains("false"), "{}", said());
    }
}
