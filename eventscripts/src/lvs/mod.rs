//! `91.lvs`: one address for a group of nodes, of which one takes all connections in and spreads them over the others. Built in, no fork.
//!
//! Mirrors CTDB's script of that name and its variables `CTDB_LVS_*` (ctdb-script.options(5)). Without `CTDB_LVS_NODES` nothing is done.
//! Who leads and which nodes serve: `recoverd::group`, as for `ctdb lvs`. What becomes of it is done by a [`GroupDirector`] of the daemon.
//! Differences on purpose:
//!
//! - It decides by the nodes as the *recmaster* sees them in a run. A leader that shall lead no more lets go at `startipreallocate`, which
//!   every node answers before the run goes on; a new one begins at `ipreallocated` of the same run. So no two lead at once, except where the
//!   files differ (`docs/lvs.md`).
//! - Nothing is touched that stays as it is: CTDB's script makes the services anew after every run.
//! - What is wrong is said and does not fail a run; a kernel without IPVS is said at each event, where CTDB's script is silent.
//!
//! | event | does |
//! | --- | --- |
//! | setup | refuses a configuration that cannot be right, with file and line |
//! | startup | the address on `lo` for this host alone, ARP settings, no services |
//! | startipreallocate | lets go what another node shall lead, or what is not configured any more; takes over a changed configuration |
//! | ipreallocated | leads, if it is this node's turn |
//! | monitor | says when the options have changed; the configuration is right and the interface has a link, else it fails |
//! | shutdown | takes everything off |

mod config;

use self::config::Config;
pub use self::config::LvsAddress;
use crate::catalogue;
use crate::handler::{BoxFuture, Handled, Handler};
use crate::netif::NetIf;
use crate::options::Options;
use recoverd::group::Kind;
use recoverd::model::{Event, Pnn, PublicAddress};
use recoverd::view::NodeRow;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

const NAME: &str = "91.lvs";

/// What a run said of the nodes, as of its last event here.
#[derive(Debug, Clone)]
pub struct GroupRun {
    /// Everybody who leads no more has let go.
    pub over: bool,
    /// In which life of the gate's addresses it was said: what is taken for an earlier one stays silent.
    pub life: u64,
    /// This node.
    pub this_node: Pnn,
    /// The nodes as the recmaster sees them.
    pub nodes: Vec<NodeRow>,
}

/// What a leader is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The group's address.
    pub address: LvsAddress,
    /// See [`GroupRun::life`].
    pub life: u64,
    /// Private addresses of the usable nodes.
    pub nodes: Vec<IpAddr>,
    /// This node's own.
    pub me: IpAddr,
}

/// The daemon's side: address, ARP, services. Each call may be repeated; what is so already costs no request. Errors are sentences.
pub trait GroupDirector: Send + Sync {
    /// The address that [`GroupDirector::begin`] was called with last, if it is not ended.
    fn begun(&self) -> BoxFuture<'_, Option<LvsAddress>>;

    /// The address on `lo` for this host alone, and no services; what there was of another one goes.
    fn begin<'a>(&'a self, address: &'a LvsAddress) -> BoxFuture<'a, Result<(), String>>;

    /// This node leads.
    fn lead(&self, lead: Lead) -> BoxFuture<'_, Result<(), String>>;

    /// It does not. An error: this node may still answer for the address.
    fn follow(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Undoes everything.
    fn end(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Why virtual services are not served, as far as it is known.
    fn trouble(&self) -> Option<String>;
}

/// The built-in `91.lvs`.
pub struct LvsGroup {
    options: Options,
    public: watch::Receiver<Arc<[PublicAddress]>>,
    run: watch::Receiver<Option<Arc<GroupRun>>>,
    netif: Arc<dyn NetIf>,
    director: Arc<dyn GroupDirector>,
    /// From `startup` to `shutdown`: only then changed options are taken over.
    up: AtomicBool,
}

impl LvsGroup {
    /// The address that gate and guard shall know before the first event; none where there is no group, where its options are wrong (which
    /// `setup` says), or where a file takes the place of this handler.
    #[must_use]
    pub fn address(base: &Path) -> Option<LvsAddress> {
        let replaced = catalogue::read(&base.join("events/legacy")).is_ok_and(|all| all.contains_key(NAME));
        if replaced { None } else { LvsAddress::read(&Options::new(base, NAME).read()).ok().flatten() }
    }

    /// With the options below `base` (`CTDB_BASE`), which are read at each event. `run` is what the recmaster said last.
    #[must_use]
    pub fn new(
        base: &Path,
        public: watch::Receiver<Arc<[PublicAddress]>>,
        run: watch::Receiver<Option<Arc<GroupRun>>>,
        netif: Arc<dyn NetIf>,
        director: Arc<dyn GroupDirector>,
    ) -> Self {
        Self { options: Options::new(base, NAME), public, run, netif, director, up: AtomicBool::new(false) }
    }

    fn config(&self) -> Result<Option<Config>, String> {
        let Some(config) = Config::read(&self.options.read())? else { return Ok(None) };
        let vip = config.address.vip;
        if self.public.borrow().iter().any(|p| p.addr == vip) {
            return Err(format!("ERROR: CTDB_LVS_PUBLIC_IP same as a public address: {vip}; use another"));
        }
        Ok(Some(config))
    }

    async fn startup(&self) -> Result<String, String> {
        let config = self.config()?;
        self.up.store(true, Ordering::SeqCst);
        let Some(config) = config else { return Ok(String::new()) };
        self.director.begin(&config.address).await?;
        Ok(self.trouble())
    }

    /// Whether this is not the address that was begun with.
    async fn changed(&self, config: Option<&Config>) -> bool {
        match (self.director.begun().await, config) {
            (Some(begun), Some(config)) => !begun.same(&config.address),
            (begun, config) => begun.is_some() != config.is_some(),
        }
    }

    /// Takes over what was changed in the options since. An error: this node may still answer for the former address. In words: what
    /// else is wrong.
    async fn take_over(&self, config: Option<&Config>) -> Result<Option<String>, String> {
        if !self.up.load(Ordering::SeqCst) || !self.changed(config).await {
            return Ok(None);
        }
        self.director.follow().await?;
        let done = match config {
            Some(config) => self.director.begin(&config.address).await,
            None => self.director.end().await,
        };
        Ok(done
            .err()
            .map(|why| format!("ERROR: the changed options of the LVS group are not in force: {why}")))
    }

    /// What follows from the last run. Whatever is wrong, a node that cannot say that it leads lets go; it is an error only when it cannot.
    async fn settle(&self, over: bool) -> Result<String, String> {
        let config = self.config();
        if let Ok(config) = &config
            && let Some(why) = self.take_over(config.as_ref()).await?
        {
            return Ok(why);
        }
        let run = self.run.borrow().clone();
        let over = over && run.as_ref().is_some_and(|r| r.over);
        let turn = match (&config, &run) {
            (Ok(Some(config)), Some(run)) => turn(config, run),
            _ => None,
        };
        match turn {
            // One that leads goes on; a new one begins when all others have let go. A late event of an earlier run is neither.
            Some(lead) if over => {
                if let Err(why) = self.director.lead(lead).await {
                    return Ok(format!("ERROR: this node cannot lead the LVS group: {why}"));
                }
            }
            Some(_) => {}
            None => self.director.follow().await?,
        }
        Ok(match config {
            Ok(Some(_)) => self.trouble(),
            Ok(None) => String::new(),
            Err(why) => why,
        })
    }

    fn trouble(&self) -> String {
        self.director.trouble().map_or_else(String::new, |why| format!("ERROR: LVS does not serve: {why}"))
    }

    async fn monitor(&self) -> Result<String, String> {
        let config = self.config()?;
        let later = self.up.load(Ordering::SeqCst) && self.changed(config.as_ref()).await;
        let later = if later {
            "the options of the LVS group have changed: in force with the next `ctdb ipreallocate`"
        } else {
            ""
        };
        let Some(config) = config else { return Ok(later.to_owned()) };
        let state = self.netif.observe().await.map_err(|e| e.to_string())?;
        if state.link_up(&config.address.iface) {
            Ok([later, &self.trouble()].into_iter().filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n"))
        } else {
            Err(format!("ERROR: No link on the LVS group's interface {}", config.address.iface))
        }
    }
}

/// What this node does if it leads by this run.
fn turn(config: &Config, run: &GroupRun) -> Option<Lead> {
    let follows = |addr| config.nodes.iter().find(|m| m.addr == addr).map(|m| m.follower_only);
    let (leader, usable) = Kind::Lvs.standing(&run.nodes, follows);
    let me = leader.filter(|n| n.pnn == run.this_node)?.addr.to_canonical();
    let nodes = usable.iter().map(|n| n.addr.to_canonical()).collect();
    Some(Lead { address: config.address.clone(), life: run.life, nodes, me })
}

impl Handler for LvsGroup {
    fn name(&self) -> &str {
        NAME
    }

    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async move {
            let done = match event {
                Event::Setup => self.config().map(|_| String::new()),
                Event::Startup => self.startup().await,
                Event::StartIpreallocate => self.settle(false).await,
                Event::Ipreallocated => self.settle(true).await,
                Event::Monitor => self.monitor().await,
                Event::Shutdown => {
                    self.up.store(false, Ordering::SeqCst);
                    self.director.end().await.map(|()| String::new())
                }
                _ => Ok(String::new()),
            };
            match done {
                Ok(output) => Handled { failed: false, output },
                Err(e) => Handled::failed(e),
            }
        })
    }
}

#[cfg(test)]
mod tests;
