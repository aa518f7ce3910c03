//! From configuration to a running driver: what must be had before the first input, in the order in which failures cost least.
//!
//! Nothing of the network is touched before the sockets are ours: a second daemon ends here without having done anything.

use super::connections::ClientLink;
use super::connections::announced;
use super::events::{self, Events};
use super::lease::{LeaseLink, random_session};
use super::reload::Reload;
use super::{Driver, Inboxes, Lock};
use crate::admin_state::{AdminFile, AdminState, AdminStateError};
use crate::calls::Calls;
use crate::clock;
use crate::config::cli::Cli;
use crate::config::{ClusterLock, Config};
use crate::gate::{Gate, GateConfig};
use crate::guard::{self, Guard, GuardError};
use crate::journal::{self, KEEP, OpenError, SledJournal};
use crate::lease::{LeaseNews, LeaseSetup, Waiting};
use crate::local::{self, LocalService, SocketError};
use crate::lock::LockHandle;
use crate::logging::LogHandle;
use crate::lvs::Drivers;
use crate::netif::{Netif, NetifError, Watch};
use crate::nodes_state::NodesState;
use crate::packet::{self, Announcements, Announcer};
use crate::peer::{self, Dialer, Identity, LinkTable, NodeService};
use crate::statistics::Statistics;
use eventscripts::{LvsAddress, LvsGroup};
use recoverd::action::Persistent;
use recoverd::input::Input;
use recoverd::lease::{LeaseConfig, LockKind};
use recoverd::model::{Epoch, Mono, Pnn, Session};
use recoverd::node::{self, Node};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Why the daemon cannot start. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The local socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The node service's port.
    #[error("{0}")]
    Port(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The state file.
    #[error(transparent)]
    Admin(#[from] AdminStateError),
    /// The guard process.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Netlink.
    #[error(transparent)]
    Netif(#[from] NetifError),
    /// The system refuses something basic.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

pub(super) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Fatal {
    move |source| Fatal::System { what, source }
}

/// Starts everything and runs until the daemon ends. Returns the exit code and the reason in words.
///
/// # Errors
/// [`Fatal`], before anything of the network was touched.
pub async fn run(config: Config, cli: Cli, log: LogHandle) -> Result<(u8, String), Fatal> {
    // First, as by default it would end the daemon.
    let hup = signal(SignalKind::hangup()).map_err(system("watch SIGHUP"))?;
    let local = local::bind(&config.paths.socket)?;
    let listener = peer::listen(SocketAddr::new(config.address, config.port)).map_err(Fatal::Port)?;
    std::fs::create_dir_all(&config.paths.rundir).map_err(system("make CTDB_RUNDIR"))?;
    let (admin_file, admin_state) = AdminFile::open(&config.paths.vardir)?;
    let journal = SledJournal::open(&config.paths.vardir.join("journal"), KEEP)?;
    let journal = journal::start(Box::new(journal)).map_err(system("start the journal's thread"))?;
    let lvs_address = LvsGroup::address(&config.paths.base);
    let quiet = lvs_address.iter().map(|a| IpAddr::V4(a.vip));
    let guard = Guard::start(guard::Watch {
        rundir: config.paths.rundir.clone(),
        public: config.public_addresses.iter().map(|p| p.addr).chain(quiet).collect(),
        addr: config.address,
        peers: config.nodes.lines.iter().filter(|l| l.pnn != config.pnn).filter_map(|l| l.addr).collect(),
        port: config.port,
    })
    .await?;
    let (netif, kernel) = Netif::open().await?;
    if let Some(report) = guard::take_report(&config.paths.rundir) {
        tracing::warn!("{report}");
        journal.record("guard", report, serde_json::Value::Null);
    }
    std::fs::write(&config.pid_file, format!("{}\n", std::process::id()))
        .map_err(system("write the pid file"))?;

    let session = random_session();
    let id = Arc::new(identity(&config, session));
    let (inputs, inputs_rx) = mpsc::unbounded_channel();
    let (links, links_rx) = mpsc::channel(1024);
    let (lock_events, lock_rx) = mpsc::channel(64);
    let (finds, finds_rx) = mpsc::channel(64);
    let (calls, calls_rx) = Calls::new();
    let statistics = Arc::new(Statistics::new(clock::wall_us()));

    let (kernel_changes, kernel_rx) = mpsc::channel(1);
    watch_kernel(kernel, netif.clone(), kernel_changes);
    let lock = match &config.conf.cluster_lock {
        None | Some(ClusterLock::Quorum) => None,
        Some(ClusterLock::File(path)) => Some(LockHandle::file(path.clone(), lock_events)),
        Some(ClusterLock::Helper(argv)) => {
            Some(LockHandle::helper(argv.clone(), config.conf.cluster_lock_loss_time, lock_events))
        }
        Some(ClusterLock::Etcd(etcd)) => Some(LockHandle::etcd(etcd.clone(), lock_events)),
    };
    let lock =
        lock.map(|handle| Lock { handle, ticket: None, held: false, recording: None, prove_at: Mono(0) });
    let (lease_news, lease_rx) = mpsc::unbounded_channel();
    let (clients_seen, clients_rx) = mpsc::unbounded_channel();
    let lease = lease(&config, &id, admin_state.epoch, lease_news, &guard, &netif, lvs_address.as_ref())?;
    let held = lease.as_ref().and_then(LeaseLink::held);
    let announcements = match Announcer::open(netif.clone()) {
        Ok(announcer) => Some(Arc::new(Announcements::new(Arc::new(announcer)))),
        Err(e) => {
            tracing::error!("{e}; addresses will be taken without gratuitous ARP");
            None
        }
    };
    let series = watch::Sender::new(announced(&config.tunables));
    let (guarding, guarding_rx) = mpsc::unbounded_channel();
    let drivers =
        Drivers { held, announcements: announcements.clone(), series: series.subscribe(), guarding };
    let Events { runner, notifier, cluster, run, lvs, public } =
        events::events(&config, &netif, drivers, &journal)?;
    if lease.is_none() && config.nodes.lines.iter().filter(|l| l.addr.is_some()).count() > 1 {
        tracing::warn!(
            "no cluster lock is configured: if the private network breaks in two, BOTH parts will serve all public addresses; \
             set `cluster lock` in [cluster] of ctdb.conf (docs/cluster-lock.md)"
        );
    }
    id.allow_mixed_versions(config.tunables.allow_mixed_versions());
    let dialers = id
        .nodes()
        .iter()
        .enumerate()
        .filter_map(|(n, addr)| Some((Pnn(u32::try_from(n).ok()?), (*addr)?)))
        .filter(|(pnn, _)| *pnn != config.pnn)
        .map(|(pnn, addr)| (pnn, Dialer::spawn(Arc::clone(&id), pnn, addr, links.clone())))
        .collect::<BTreeMap<_, _>>();
    let node_service = NodeService::spawn(listener, Arc::clone(&id), links.clone(), calls.clone());
    let (claims, claims_rx) = mpsc::unbounded_channel();
    if let Err(e) = packet::listen(public.subscribe(), claims) {
        tracing::warn!(
            "others who have a public address of this node will not be heard: {e}; ctdbd needs CAP_NET_RAW"
        );
    }
    let (reload, nodes_read) = Reload::new(&config, cli, id, links, calls.clone(), public);
    let local_service = LocalService::spawn(local, config.pnn, calls, finds, &statistics);
    let boxes = Inboxes {
        inputs: inputs_rx,
        kernel: kernel_rx,
        links: links_rx,
        lock: lock_rx,
        lease: lease_rx,
        calls: calls_rx,
        finds: finds_rx,
        clients: clients_rx,
        claims: claims_rx,
        nodes_read,
        guarding: guarding_rx,
        term: signal(SignalKind::terminate()).map_err(system("watch SIGTERM"))?,
        int: signal(SignalKind::interrupt()).map_err(system("watch SIGINT"))?,
        hup,
    };
    let driver = Driver {
        node: Node::new(
            machine_config(&config, admin_state, session, lease.is_some(), lvs_address.is_some()),
            clock::mono(),
        ),
        inputs,
        session,
        host: hostname(),
        started_wall_us: clock::wall_us(),
        links: LinkTable::default(),
        dialers,
        lock_text: config.conf.cluster_lock.as_ref().map(ToString::to_string),
        lock,
        lease,
        guard,
        netif,
        reload,
        lvs,
        announcements,
        clients: ClientLink::new(config.pnn, clients_seen, clock::mono()),
        runner,
        notifier,
        cluster,
        run,
        series,
        lvs_vip: lvs_address.map(|a| a.vip.into()),
        unhealthy: true,
        journal,
        admin: admin_thread(admin_file)?,
        log,
        statistics,
        interval_ends: clock::mono() + Duration::from_secs(1),
        epoch: Epoch::NONE,
        lmaster: config.conf.lmaster_capability,
        asked: BTreeMap::new(),
        next_command: 1,
        observing: false,
        observe_again: false,
        dumped: Mono(0),
        exit: None,
    };
    tracing::info!("ctdbd {} starts as node {} ({})", env!("CARGO_PKG_VERSION"), config.pnn, config.address);
    let ended = driver.run(boxes).await;
    node_service.abort();
    local_service.abort();
    remove(&config.paths.socket);
    remove(&config.pid_file);
    Ok(ended)
}

/// Removes a file of ours; that it is gone already is no matter.
fn remove(path: &Path) {
    if let Err(e) = std::fs::remove_file(path) {
        tracing::debug!("removing {}: {e}", path.display());
    }
}

fn identity(config: &Config, session: Session) -> Identity {
    let nodes = config.nodes.lines.iter().map(|l| l.addr).collect();
    Identity::new(config.pnn, config.address, config.port, session, nodes)
}

fn machine_config(
    config: &Config,
    admin: AdminState,
    session: Session,
    leases: bool,
    groups: bool,
) -> node::Config {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let banned_for =
        admin.banned_until.map(|t| Duration::from_secs(t.saturating_sub(now))).filter(|d| !d.is_zero());
    node::Config {
        me: config.pnn,
        nodes: config
            .nodes
            .lines
            .iter()
            .map(|l| node::NodeConfig {
                addr: l.addr.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                deleted: l.addr.is_none(),
            })
            .collect(),
        public_addresses: config.public_addresses.clone(),
        tunables: config.tunables.clone(),
        session,
        has_lock: config.conf.cluster_lock.as_ref().is_some_and(|l| *l != ClusterLock::Quorum),
        leases,
        leader_capable: config.conf.leader_capability,
        failover_disabled: config.conf.failover_disabled,
        groups,
        shutdown_timeout: config.conf.shutdown_failover_timeout,
        shutdown_extra: config.conf.shutdown_extra_timeout,
        persistent: Persistent {
            epoch: admin.epoch,
            disabled: admin.disabled || config.conf.start_as_disabled,
            stopped: admin.stopped || config.conf.start_as_stopped,
            banned_for,
        },
        home_nodes: config.home_nodes.clone(),
    }
}

/// The lease layer, unless `LeaseTime` is 0 or two nodes have no cluster lock: then nothing could say which of them lives.
fn lease(
    config: &Config,
    id: &Identity,
    stored: Epoch,
    news: mpsc::UnboundedSender<LeaseNews>,
    guard: &Guard,
    netif: &Netif,
    lvs: Option<&LvsAddress>,
) -> Result<Option<LeaseLink>, Fatal> {
    let nodes: Vec<Pnn> = config.nodes.lines.iter().filter(|l| l.addr.is_some()).map(|l| l.pnn).collect();
    let lease_time = config.tunables.lease_time();
    if config.conf.cluster_lock == Some(ClusterLock::Quorum) && nodes.len() == 2 {
        tracing::warn!(
            "cluster lock quorum with two nodes: when one of them is lost the other serves nothing; use a file or etcd"
        );
    }
    let lock = match &config.conf.cluster_lock {
        Some(ClusterLock::File(_) | ClusterLock::Etcd(_)) => LockKind::Store,
        Some(ClusterLock::Helper(_)) => LockKind::Helper { loss_time: config.conf.cluster_lock_loss_time },
        Some(ClusterLock::Quorum) => LockKind::Quorum { short_count: true },
        None if nodes.len() != 2 => LockKind::Quorum { short_count: true },
        None => return Ok(None),
    };
    if lease_time.is_zero() {
        tracing::warn!(
            "LeaseTime is 0: without leases a node that freezes or is cut off goes on answering for its addresses"
        );
        return Ok(None);
    }
    if !config.conf.realtime_scheduling {
        crate::realtime::switch_off();
    }
    let waiting = Waiting::new().map_err(system("make an event descriptor"))?;
    let handle = waiting.handle();
    let mut interfaces: Vec<String> = config.public_addresses.iter().flat_map(|p| p.ifaces.clone()).collect();
    interfaces.extend(lvs.map(|a| a.iface.clone()));
    interfaces.sort();
    interfaces.dedup();
    let public = config.public_addresses.iter().map(|p| p.addr).collect();
    let quiet = lvs.map(|a| IpAddr::V4(a.vip)).into_iter().collect();
    let guarded = GateConfig { public, quiet, interfaces, lease_time };
    let gate = Gate::install(&guarded, {
        let handle = handle.clone();
        move || handle.wake()
    });
    let gate = gate.map(Arc::new).map_err(|e| {
        tracing::error!("degraded: no gate: {e}");
        e.to_string()
    });
    if let Ok(gate) = &gate {
        guard.gate(gate.mark_base());
    }
    let list = id.nodes_hash();
    let (nodes_state, saved) = NodesState::open(&config.paths.vardir);
    let before = saved.filter(|l| l.hash != list);
    if before.is_some() {
        tracing::warn!(
            "the nodes file is not the one of this daemon's last life: both count until all nodes of both have joined or are known to hold nothing"
        );
    }
    let setup = LeaseSetup {
        config: LeaseConfig {
            me: config.pnn,
            nodes,
            list,
            lease_time,
            leaderless_grace: config.tunables.leaderless_grace(),
            lock,
        },
        stored,
        before,
        addr: config.address,
        nodes: id.nodes(),
        port: config.port,
        gate: gate.as_ref().ok().cloned(),
        news,
    };
    let handle =
        waiting.start(setup).map_err(system("start the lease thread (UDP, the node service's port)"))?;
    Ok(Some(LeaseLink::new(handle, gate, guarded, lvs.map(|a| a.iface.clone()), netif, nodes_state)))
}

/// Who changed an address, by the port of its netlink socket: the first socket of a process has the process's number. Nothing for
/// ourselves, and for a number that no process can have. A process may be gone by now; then its number is all there is.
fn program_of(port: u32) -> Option<String> {
    const PID_MAX: u32 = 1 << 22;
    if port == std::process::id() || port > PID_MAX {
        return None;
    }
    let name = std::fs::read_to_string(format!("/proc/{port}/comm"));
    Some(name.map_or_else(|_| format!("process {port}"), |name| format!("{} (process {port})", name.trim())))
}

/// Tells the driver of every change of links and addresses: while it has not taken in the last news, what comes is put together, since each
/// costs it a look at all addresses. Each bears the time until which it tells. If the subscription ends it is opened again.
fn watch_kernel(mut kernel: Watch, netif: Netif, changes: mpsc::Sender<(Mono, Input)>) {
    tokio::spawn(async move {
        loop {
            while let Some(update) = kernel.next().await {
                let as_of = clock::mono();
                let culprit = update.by.and_then(program_of);
                let input = Input::Kernel { state: update.state, asked_at: None, culprit };
                if changes.send((as_of, input)).await.is_err() {
                    return;
                }
            }
            tracing::error!("netlink notifications ended: subscribing again");
            loop {
                match netif.watch_again().await {
                    Ok(again) => {
                        kernel = again;
                        break;
                    }
                    Err(e) => tracing::error!("{e}"),
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
}

/// Writes the state file in order, without making the driver wait for the disk: what is lost with a crash is learned from the peers.
fn admin_thread(file: AdminFile) -> Result<std::sync::mpsc::Sender<Persistent>, Fatal> {
    let (sender, states) = std::sync::mpsc::channel::<Persistent>();
    std::thread::Builder::new()
        .name("admin-state".into())
        .spawn(move || {
            while let Ok(mut state) = states.recv() {
                // Only the newest counts.
                while let Ok(newer) = states.try_recv() {
                    state = newer;
                }
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let saved = file.save(&AdminState {
                    epoch: state.epoch,
                    disabled: state.disabled,
                    stopped: state.stopped,
                    banned_until: state.banned_for.map(|d| now + d.as_secs()),
                });
                if let Err(e) = saved {
                    tracing::error!("{e}");
                }
            }
        })
        .map_err(system("start the thread of the state file"))?;
    Ok(sender)
}

fn hostname() -> String {
    nix::unistd::gethostname().map_or_else(|_| "?".to_owned(), |h| h.to_string_lossy().into_owned())
}
