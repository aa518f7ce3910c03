//! Another nodes file for a running node: `ctdb reloadnodes`.
//!
//! Numbers are for ever, so there are three changes only: a node more at the end, a node that is deleted (it must be disconnected: the
//! daemon has seen to that), one that is back. Who counts for the lease protocol is decided by `crate::lease`, with a new epoch.

use super::{Cx, Node, NodeConfig};
use crate::action::{Kind, Level};
use crate::model::Pnn;

impl Node {
    pub(super) fn on_nodes(&mut self, nodes: Vec<NodeConfig>, cx: &mut Cx) {
        let former = std::mem::replace(&mut self.cfg.nodes, nodes);
        let none = NodeConfig::absent();
        for n in 0..former.len().max(self.cfg.nodes.len()) {
            let (old, new) = (former.get(n).unwrap_or(&none), self.cfg.nodes.get(n).unwrap_or(&none));
            let what = match (old.deleted, new.deleted) {
                (true, false) if n < former.len() => "UNDELETED",
                (true, false) => "NEW",
                (false, true) => "DELETED",
                _ => continue,
            };
            let pnn = Pnn(u32::try_from(n).unwrap_or(u32::MAX));
            let text = format!("Node {pnn} is {what}");
            cx.log(Level::Notice, text.clone());
            cx.journal(Kind::Peer, None, text);
            if new.deleted {
                self.on_peer_down(pnn, "it was deleted from the nodes file", cx);
            }
        }
        self.peers.replace(&self.cfg.nodes, self.cfg.me);
        if self.leader.leading() {
            self.request_run_here("the nodes file changed".to_owned());
        }
    }
}
