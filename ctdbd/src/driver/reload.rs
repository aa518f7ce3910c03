//! Configuration files read anew while the daemon runs: `ctdb reloadips` and `ctdb reloadnodes`; and who must know of other addresses.
//!
//! Reading may take long (a nodes list can be a command), so tasks do it. What cannot be right changes nothing: the answer names file
//! and line, and the running configuration stays in force. `ctdb reloadnodes` compares the files of all nodes before it comes here; what
//! this node alone can judge is judged here again. Unlike CTDB's, a deleted or new node costs no recovery: links stay up, and the lease layer
//! changes who counts with a new epoch (docs/leases.md, "Nodes list").
//!
//! A signal reads nothing: like CTDB's, this daemon is told by its commands; SIGHUP only opens the log again. The cluster lock, ports and tunables files are read at start only.

use super::Driver;
use crate::calls::Calls;
use crate::config::cli::Cli;
use crate::config::{
    Config, Nodes, NodesSource, Paths, check_against_nodes, load_nodes, load_public_addresses,
};
use crate::peer::{Dialer, Identity, LinkEvent};
use eventscripts::LvsAddress;
use recoverd::command::{AnyCommand, AnyReply, Command, DaemonReply, Reply};
use recoverd::input::Input;
use recoverd::model::{NodeFlags, Pnn, PublicAddress};
use recoverd::node::NodeConfig;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Where the files are.
struct Files {
    paths: Paths,
    cli: Cli,
    nodes: NodesSource,
}

/// A nodes file that was read for `ctdb reloadnodes`, and who waits for it.
pub(super) struct NodesRead {
    nodes: Nodes,
    reply: oneshot::Sender<AnyReply>,
}

/// What the driver needs to change its configuration.
pub(super) struct Reload {
    files: Arc<Files>,
    pub(super) id: Arc<Identity>,
    links: mpsc::Sender<LinkEvent>,
    calls: Calls,
    read: mpsc::UnboundedSender<NodesRead>,
    /// For event handlers.
    public: watch::Sender<Arc<[PublicAddress]>>,
    /// Without a cluster lock two nodes have no leases and three have: that cannot change while they run.
    no_lock: bool,
}

impl Reload {
    pub(super) fn new(
        config: &Config,
        cli: Cli,
        id: Arc<Identity>,
        links: mpsc::Sender<LinkEvent>,
        calls: Calls,
        public: watch::Sender<Arc<[PublicAddress]>>,
    ) -> (Self, mpsc::UnboundedReceiver<NodesRead>) {
        let (read, reads) = mpsc::unbounded_channel();
        let files = Files { paths: config.paths.clone(), cli, nodes: config.nodes_source.clone() };
        let no_lock = config.conf.cluster_lock.is_none();
        (Self { files: Arc::new(files), id, links, calls, read, public, no_lock }, reads)
    }
}

/// The file as it is now.
fn public_addresses(files: &Files) -> Result<Vec<PublicAddress>, String> {
    let lines = load_public_addresses(&files.paths, &files.cli).map_err(|e| e.to_string())?;
    let nodes = load_nodes(&files.nodes).map_err(|e| e.to_string())?;
    let file =
        files.cli.public_addresses.clone().unwrap_or_else(|| files.paths.base.join("public_addresses"));
    check_against_nodes(&lines, &file, &nodes).map_err(|e| e.to_string())?;
    Ok(lines.into_iter().map(|l| l.address).collect())
}

/// Lets a task read; a panic of it is an error like others.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
}

/// The nodes by number; `None` for deleted ones.
fn addresses(nodes: &Nodes) -> Vec<Option<IpAddr>> {
    nodes.lines.iter().map(|l| l.addr).collect()
}

fn node_config(addr: &Option<IpAddr>) -> NodeConfig {
    NodeConfig { addr: addr.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), deleted: addr.is_none() }
}

/// Why these nodes cannot be in force instead of the old ones, in CTDB's words. `connected` says which nodes are.
fn refusal(
    me: Pnn,
    old: &[Option<IpAddr>],
    new: &[Option<IpAddr>],
    connected: impl Fn(Pnn) -> bool,
    public: impl Fn(IpAddr) -> bool,
) -> Option<String> {
    for (n, was) in (0u32..).zip(old) {
        let Some(was) = was else { continue };
        match new.get(n as usize) {
            None => return Some(format!("Node {n} ({was}) missing from nodes file")),
            Some(Some(now)) if now != was => {
                return Some(format!("Node {n} has changed IP address (was {was}, now {now})"));
            }
            Some(None) if Pnn(n) == me || connected(Pnn(n)) => {
                return Some(format!(
                    "ERROR: Node {n} is still connected; `ctdb -n {n} shutdown` first, then delete it"
                ));
            }
            Some(_) => {}
        }
    }
    let clash = new.iter().flatten().find(|a| !old.contains(&Some(**a)) && public(**a))?;
    Some(format!("{clash} is a public address here and cannot be a node's private address"))
}

impl Driver {
    /// `Action::PublicAddresses`: the guard, the gate and the event handlers follow, in the order in which the machine says it.
    pub(super) fn public_addresses(&mut self, list: Vec<PublicAddress>) {
        match &mut self.lease {
            Some(lease) => lease.set_addresses(&list, &self.guard),
            None => self.guard.public(list.iter().map(|p| p.addr).chain(self.lvs_vip).collect()),
        }
        self.reload.public.send_replace(list.into());
    }

    /// The LVS group's address is this one from now on, to guard and gate and in the runs of this node.
    pub(super) fn group_address(&mut self, address: Option<LvsAddress>) {
        let vip = address.as_ref().map(|a| IpAddr::V4(a.vip));
        self.lvs_vip = vip;
        let list = Arc::clone(&self.reload.public.borrow());
        match &mut self.lease {
            Some(lease) => lease.set_group(address, &list, &self.guard),
            None => self.guard.public(list.iter().map(|p| p.addr).chain(vip).collect()),
        }
        self.feed(Input::Group(vip.is_some()));
    }

    /// `ctdb reloadips`.
    pub(super) fn reload_ips(&self, limit: Duration, reply: oneshot::Sender<AnyReply>) {
        let (files, calls) = (Arc::clone(&self.reload.files), self.reload.calls.clone());
        tokio::spawn(async move {
            let done = match reading(move || public_addresses(&files)).await {
                Ok(list) => {
                    let command = AnyCommand::Node(Command::SetPublicAddresses { list });
                    match calls.ask(command, limit).await {
                        Ok(AnyReply::Node(Reply::Error(why))) => DaemonReply::Error(why),
                        Ok(_) => DaemonReply::Ok,
                        Err(status) => DaemonReply::Error(status.message().to_owned()),
                    }
                }
                Err(why) => DaemonReply::Error(format!(
                    "{why}\nThe public addresses stay as they were; correct this and run reloadips again"
                )),
            };
            let _ = reply.send(AnyReply::Daemon(done));
        });
    }

    /// The nodes file as it is now, for `ctdb reloadnodes`.
    pub(super) fn nodes_file(&self, reply: oneshot::Sender<AnyReply>) {
        let files = Arc::clone(&self.reload.files);
        tokio::spawn(async move {
            let done = match reading(move || load_nodes(&files.nodes).map_err(|e| e.to_string())).await {
                Ok(nodes) => DaemonReply::NodesFile(addresses(&nodes).iter().map(node_config).collect()),
                Err(why) => DaemonReply::Error(why),
            };
            let _ = reply.send(AnyReply::Daemon(done));
        });
    }

    /// `ctdb reloadnodes`: reads the file, and comes back with it.
    pub(super) fn reload_nodes(&self, reply: oneshot::Sender<AnyReply>) {
        let (files, read) = (Arc::clone(&self.reload.files), self.reload.read.clone());
        tokio::spawn(async move {
            match reading(move || load_nodes(&files.nodes).map_err(|e| e.to_string())).await {
                // The driver is gone only when the daemon has ended.
                Ok(nodes) => drop(read.send(NodesRead { nodes, reply })),
                Err(why) => drop(reply.send(AnyReply::Daemon(DaemonReply::Error(why)))),
            }
        });
    }

    /// The nodes file was read: it takes force, or is refused.
    pub(super) fn on_nodes_read(&mut self, read: NodesRead) {
        let done = match self.new_nodes(addresses(&read.nodes)) {
            Ok(()) => DaemonReply::Ok,
            Err(why) => {
                tracing::error!("reloadnodes: {why}");
                DaemonReply::Error(why)
            }
        };
        // Who asked may have given up waiting.
        let _ = read.reply.send(AnyReply::Daemon(done));
    }

    fn new_nodes(&mut self, new: Vec<Option<IpAddr>>) -> Result<(), String> {
        let id = Arc::clone(&self.reload.id);
        let old = id.nodes();
        if new == old {
            return Ok(());
        }
        let status = self.node.status();
        let gone = NodeFlags::DISCONNECTED | NodeFlags::DELETED;
        let connected = |pnn| status.nodes.iter().any(|n| n.pnn == pnn && !n.flags.intersects(gone));
        let public = |addr| self.node.ip_rows().iter().any(|row| row.addr == addr);
        if let Some(why) = refusal(id.pnn, &old, &new, connected, public) {
            return Err(why);
        }
        let count = |nodes: &[Option<IpAddr>]| nodes.iter().flatten().count();
        if self.reload.no_lock && (count(&old) == 2) != (count(&new) == 2) {
            return Err(format!(
                "ERROR: {} nodes become {}: without a cluster lock two nodes work without leases and others with them, which \
                 cannot change while they run; set `cluster lock` in ctdb.conf of all nodes, or stop all daemons and start them again",
                count(&old),
                count(&new)
            ));
        }
        id.set_nodes(new.clone());
        let numbered = || (0u32..).map(Pnn).zip(&new).filter_map(|(pnn, addr)| Some((pnn, (*addr)?)));
        self.dialers.retain(|pnn, _| numbered().any(|(p, _)| p == *pnn));
        for (pnn, _) in (0u32..).map(Pnn).zip(&new).filter(|(_, addr)| addr.is_none()) {
            self.links.drop_peer(pnn);
        }
        for (pnn, addr) in numbered().filter(|(pnn, _)| *pnn != id.pnn) {
            let links = &self.reload.links;
            self.dialers
                .entry(pnn)
                .or_insert_with(|| Dialer::spawn(Arc::clone(&id), pnn, addr, links.clone()));
        }
        self.guard.peers(numbered().filter(|(pnn, _)| *pnn != id.pnn).map(|(_, addr)| addr).collect());
        self.feed(Input::Nodes(new.iter().map(node_config).collect()));
        if let Some(lease) = &self.lease {
            let peers = numbered().map(|(pnn, addr)| (pnn, SocketAddr::new(addr, id.port))).collect();
            lease.handle.nodes_list(peers, id.nodes_hash());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(nodes: &[&str]) -> Vec<Option<IpAddr>> {
        nodes.iter().map(|n| n.parse().ok()).collect()
    }

    #[test]
    fn numbers_and_addresses_of_living_nodes_stay() {
        let old = list(&["10.1.0.1", "10.1.0.2", "#", "10.1.0.4"]);
        let judge = |new: &[&str]| {
            refusal(Pnn(0), &old, &list(new), |p| p == Pnn(1), |a| a == IpAddr::from([10, 0, 0, 31]))
        };
        assert_eq!(judge(&["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5"]), None);
        assert_eq!(judge(&["10.1.0.1", "10.1.0.2", "#", "#"]), None, "a dead node may go");
        for (new, says) in [
            (&["10.1.0.1", "10.1.0.2"][..], "Node 3 (10.1.0.4) missing from nodes file"),
            (
                &["10.1.0.1", "10.1.0.9", "#", "10.1.0.4"],
                "Node 1 has changed IP address (was 10.1.0.2, now 10.1.0.9)",
            ),
            (&["10.1.0.1", "#", "#", "10.1.0.4"], "ERROR: Node 1 is still connected"),
            (&["#", "10.1.0.2", "#", "10.1.0.4"], "ERROR: Node 0 is still connected"),
            (&["10.1.0.1", "10.1.0.2", "10.0.0.31", "10.1.0.4"], "10.0.0.31 is a public address"),
        ] {
            let why = judge(new).unwrap_or_default();
            assert!(why.starts_with(says), "{new:?}: {why}");
        }
    }
}
