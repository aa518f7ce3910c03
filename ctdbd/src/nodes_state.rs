//! The nodes list that was in force when the daemon last ran: `nodes.json` in the state directory.
//!
//! A nodes file may be changed while all daemons are down. Whoever starts on the new one must know the old one, because quorums of both
//! count until the lease layer has settled the change (`recoverd::lease`, rule d22), and because a cluster lock whose record names a list
//! that nobody knows is let go. Written when a list is in force and no older one counts beside it; a file that cannot be read is no list.

use crate::admin_state::replace;
use recoverd::model::Pnn;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A nodes list as the lease layer counts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesList {
    /// Hash of the nodes file.
    pub hash: u64,
    /// The nodes that are not deleted.
    pub nodes: Vec<Pnn>,
}

/// The file of one daemon.
#[derive(Debug, Clone)]
pub struct NodesState {
    path: PathBuf,
}

impl NodesState {
    /// The file in `vardir`, and what it says.
    #[must_use]
    pub fn open(vardir: &Path) -> (Self, Option<NodesList>) {
        let path = vardir.join("nodes.json");
        let list = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .inspect_err(|e| {
                    tracing::warn!("{} is damaged ({e}): the former nodes list is not known", path.display())
                })
                .ok(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                tracing::warn!("{} cannot be read ({e}): the former nodes list is not known", path.display());
                None
            }
        };
        (Self { path }, list)
    }

    /// Writes the list; when this returns it survives a power failure, or the log says why not. Blocks on the disk.
    pub fn save(&self, list: &NodesList) {
        let written = serde_json::to_vec(list).map_err(io::Error::from).and_then(|t| replace(&self.path, &t));
        if let Err(e) = written {
            tracing::warn!(
                "{} cannot be written ({e}): a nodes file that is changed while all daemons are down may need \
                 the cluster lock's file to be removed",
                self.path.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_knows_the_former_list_and_damage_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (file, list) = NodesState::open(dir.path());
        assert_eq!(list, None);
        let list = NodesList { hash: 7, nodes: vec![Pnn(0), Pnn(2)] };
        file.save(&list);
        assert_eq!(NodesState::open(dir.path()).1, Some(list));
        std::fs::write(dir.path().join("nodes.json"), "{").unwrap();
        assert_eq!(NodesState::open(dir.path()).1, None);
    }
}
