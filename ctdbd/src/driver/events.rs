//! What event scripts get from this daemon: their environment, the programs that they call, and the built-in handlers beside them.
//!
//! The environment is CTDB's (DESIGN section 7). CTDB's own scripts also call helper programs of `CTDB_HELPER_BINDIR`; `ctdb` is all of
//! them, under their names (`ctl`'s module `helper`). The links are made in the run directory at each start, so that nothing needs to
//! be installed where CTDB has its own, and the helpers are always those of this daemon.

use super::setup::{Fatal, system};
use crate::config::{Config, NodesSource};
use crate::journal::JournalHandle;
use crate::lvs::{Drivers, Lvs};
use crate::netif::Netif;
use eventscripts::{
    GroupRun, Interface, LvsGroup, NatGw, Notifier, PerIpRouting, Runner, RunnerConfig, StaticRoutes,
};
use recoverd::model::PublicAddress;
use recoverd::view::StatusView;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The helper programs that CTDB's event scripts call.
const HELPERS: [&str; 4] = ["ctdb-config", "ctdb_killtcp", "ctdb_lvs", "ctdb_natgw"];

/// Events as the driver sees them.
pub(super) struct Events {
    /// Runs them, with scripts and built-in handlers.
    pub(super) runner: Arc<Runner>,
    /// Calls `notify.sh`.
    pub(super) notifier: Notifier,
    /// What handlers may know of the nodes; set before an event.
    pub(super) cluster: watch::Sender<Option<Arc<StatusView>>>,
    /// What the recmaster said of them in the last run.
    pub(super) run: watch::Sender<Option<Arc<GroupRun>>>,
    /// The LVS director.
    pub(super) lvs: Lvs,
    /// The public addresses, for handlers; set when they change.
    pub(super) public: watch::Sender<Arc<[PublicAddress]>>,
}

/// Everything that events need. `drivers` is for the LVS group.
pub(super) fn events(
    config: &Config,
    netif: &Netif,
    drivers: Drivers,
    journal: &JournalHandle,
) -> Result<Events, Fatal> {
    let base = &config.paths.base;
    let env = environment(config).map_err(system("make the links to ctdb in CTDB_RUNDIR/helper"))?;
    let events_dir = base.join("events/legacy");
    let options = vec![base.join("script.options"), events_dir.join("10.interface.options")];
    let addresses = watch::Sender::new(config.public_addresses.clone().into());
    let public: watch::Receiver<Arc<[PublicAddress]>> = addresses.subscribe();
    let cluster = watch::Sender::new(None);
    let run = watch::Sender::new(None);
    let director =
        Lvs::spawn(base, &config.paths.vardir, public.clone(), journal.clone(), config.conf.lvs_self_test);
    let group = director.group(config.paths.vardir.clone(), drivers);
    let netif = Arc::new(netif.clone());
    let interface = Interface::new(Arc::<Netif>::clone(&netif), public.clone(), options);
    let natgw = NatGw::new(
        base,
        public.clone(),
        cluster.subscribe(),
        Arc::<Netif>::clone(&netif),
        Arc::<Netif>::clone(&netif),
    );
    let lvs_group =
        LvsGroup::new(base, public.clone(), run.subscribe(), Arc::<Netif>::clone(&netif), Arc::new(group));
    let static_routes = StaticRoutes::new(base, Arc::<Netif>::clone(&netif));
    let per_ip_routing = PerIpRouting::new(base, public, Arc::<Netif>::clone(&netif), netif);
    let notifier = Notifier::spawn(base.join("notify.sh"), env.clone());
    let runner = Runner::new(RunnerConfig {
        events_dir,
        installed_dir: Some(PathBuf::from("/usr/share/ctdb/events/legacy")),
        env,
        debug_hung_script: config.debug_script.clone(),
        handlers: vec![
            Arc::new(interface),
            Arc::new(natgw),
            Arc::new(static_routes),
            Arc::new(per_ip_routing),
            Arc::new(lvs_group),
        ],
        max_processes: 32,
    });
    Ok(Events { runner: Arc::new(runner), notifier, cluster, run, lvs: director, public: addresses })
}

/// All of the environment of scripts.
fn environment(config: &Config) -> io::Result<Vec<(String, String)>> {
    let paths = &config.paths;
    let text = |p: &Path| p.display().to_string();
    let mut env = vec![
        ("CTDB_BASE".to_owned(), text(&paths.base)),
        ("CTDB_VARDIR".to_owned(), text(&paths.vardir)),
        // CTDB's `functions` would take `/var/lib/ctdb/scripts` wherever the daemon keeps its state.
        ("CTDB_SCRIPT_VARDIR".to_owned(), text(&paths.vardir.join("scripts"))),
        ("CTDB_RUNDIR".to_owned(), text(&paths.rundir)),
        ("CTDB_SOCKET".to_owned(), text(&paths.socket)),
        ("CTDB_DEBUGLEVEL".to_owned(), config.conf.script_log_level.to_string()),
    ];
    // Scripts call `ctdb`: the one that belongs to this daemon comes first.
    let mut search = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    let exe_dir = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_owned));
    if let Some(dir) = exe_dir {
        let ctdb = dir.join("ctdb");
        env.push(("CTDB_HELPER_BINDIR".to_owned(), text(&helpers(&paths.rundir, &ctdb)?)));
        env.push(("CTDB".to_owned(), text(&ctdb)));
        search = format!("{}:{search}", dir.display());
    }
    env.push(("PATH".to_owned(), search));
    if let NodesSource::File(file) = &config.nodes_source {
        env.push(("CTDB_NODES".to_owned(), text(file)));
    }
    Ok(env)
}

/// Makes the links to `ctdb` under the names of the helpers and returns their directory. Those of an earlier start are replaced.
fn helpers(rundir: &Path, ctdb: &Path) -> io::Result<PathBuf> {
    let dir = rundir.join("helper");
    std::fs::create_dir_all(&dir)?;
    for name in HELPERS {
        let link = dir.join(name);
        match std::fs::remove_file(&link) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => symlink(ctdb, &link)?,
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_an_earlier_start_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for ctdb in ["/old/ctdb", "/new/ctdb"] {
            let helpers = helpers(dir.path(), Path::new(ctdb)).unwrap();
            for name in HELPERS {
                assert_eq!(std::fs::read_link(helpers.join(name)).unwrap(), Path::new(ctdb), "{name}");
            }
        }
    }
}
