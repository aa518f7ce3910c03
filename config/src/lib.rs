//! The daemon's configuration: CTDB's own files, read once at start and again on reload.
//!
//! Parsers ([`tini`], [`ctdb_conf`], [`nodes`], [`public_addresses`], [`tunables_file`]) are pure functions of text; [`Config::load`] reads the files
//! and puts the command line over them, as CTDB does. A configuration that cannot be right is refused as a whole with one line that
//! names file, line and remedy; the caller keeps the running one. What is merely without effect comes back as [`Warning`]s.
//! Interfaces are not looked at here (DESIGN §9). `home_nodes` is read as text; `recoverd::alloc` parses it.

pub mod cli;
pub mod ctdb_conf;
mod error;
mod level;
pub mod nodes;
mod paths;
mod place;
pub mod public_addresses;
mod source;
pub mod tini;
pub mod tunables_file;

pub use ctdb_conf::{ClusterLock, CtdbConf, EtcdLock, EtcdTls, LOCK_LOSS_TIME, NodesSource};
pub use error::{ConfigError, Warning};
pub use level::{BadLevel, BadLocation, LogLevel, LogLocation, Syslog};
pub use nodes::{NodeLine, Nodes};
pub use paths::Paths;
pub use place::Place;
pub use source::CommandFault;

use cli::Cli;
use public_addresses::{AddressFault, AddressLine};
use recoverd::model::{Pnn, PublicAddress, Tunables};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest run of a nodes list command.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error: `-i` without `--logging`.
    Stderr,
    /// Where the configuration says.
    Location(LogLocation),
}

/// An address of this host with the mask of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub addr: IpAddr,
    /// Mask bits.
    pub prefix: u8,
}

/// A file whose lines somebody else parses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// For messages.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Everything the daemon was told, with the command line already applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directories and socket.
    pub paths: Paths,
    /// `ctdb.conf` under the command line.
    pub conf: CtdbConf,
    /// Where the log goes.
    pub log: LogTarget,
    /// Where the pid is written.
    pub pid_file: PathBuf,
    /// TCP port of the node service, on all nodes.
    pub port: u16,
    /// The script to run when an event hangs, absolute.
    pub debug_script: Option<PathBuf>,
    /// Where the nodes list comes from.
    pub nodes_source: NodesSource,
    /// All nodes.
    pub nodes: Nodes,
    /// This node's number.
    pub pnn: Pnn,
    /// This node's private address.
    pub address: IpAddr,
    /// Addresses this node may serve, in the order of the file.
    pub public_addresses: Vec<PublicAddress>,
    /// Values of all tunables.
    pub tunables: Tunables,
    /// `home_nodes`, when there is one.
    pub home_nodes: Option<TextFile>,
    /// What to tell the operator.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads everything. Blocks, for up to 30 s when the nodes list is a command.
    ///
    /// # Errors
    /// The first thing that cannot be right.
    pub fn load(paths: &Paths, cli: &Cli) -> Result<Self, ConfigError> {
        let here = match local_addresses() {
            Ok(here) => here,
            Err(source) if cli.listen.is_none() => return Err(ConfigError::LocalAddresses { source }),
            Err(_) => Vec::new(),
        };
        Self::load_on(paths, cli, &here)
    }

    /// As [`Config::load`], on a host with these addresses.
    ///
    /// # Errors
    /// The first thing that cannot be right.
    pub fn load_on(paths: &Paths, cli: &Cli, here: &[LocalAddress]) -> Result<Self, ConfigError> {
        let mut paths = paths.clone();
        if let Some(socket) = &cli.socket {
            paths.socket.clone_from(socket);
        }
        let mut warnings = Vec::new();
        let mut conf = load_conf(&paths.base.join("ctdb.conf"), &mut warnings)?;
        let log = apply_cli(&mut conf, cli)?;

        let nodes_source = match &cli.nlist {
            Some(list) => match list.strip_prefix('!') {
                Some(command) => {
                    NodesSource::Command(command.split_whitespace().map(str::to_owned).collect())
                }
                None => NodesSource::File(list.into()),
            },
            None => conf.nodes_list.clone().unwrap_or_else(|| NodesSource::File(paths.base.join("nodes"))),
        };
        let nodes = load_nodes(&nodes_source)?;
        warnings.extend(nodes.comments.iter().map(|(pnn, line)| Warning::CommentIsNode {
            place: Place::line(&nodes.source, *line),
            pnn: *pnn,
        }));
        let configured = match (cli.listen, conf.node_address) {
            (Some(addr), _) => Some((addr, "--listen")),
            (None, Some(addr)) => Some((addr, "node address in ctdb.conf")),
            (None, None) => None,
        };
        let addresses: Vec<IpAddr> = here.iter().map(|l| l.addr).collect();
        let (pnn, address) = nodes.own(configured, &addresses)?;

        let file = public_addresses_file(&paths, cli);
        let lines = load_public_addresses(&paths, cli)?;
        check_against_nodes(&lines, &file, &nodes)?;
        let network = here.iter().find(|l| l.addr == address);
        warnings.extend(lines.iter().filter_map(|line| in_network(line, &file, network?)));

        let tunables = load_tunables(&paths.base, &mut warnings)?;
        let home_path = paths.base.join("home_nodes");
        let home_nodes = source::read(&home_path)?.map(|text| TextFile { path: home_path, text });
        Ok(Self {
            log,
            pid_file: cli.pidfile.clone().unwrap_or_else(|| paths.rundir.join("ctdbd.pid")),
            port: cli.port,
            debug_script: conf.debug_script.as_ref().map(|script| paths.base.join(script)),
            conf,
            nodes_source,
            nodes,
            pnn,
            address,
            public_addresses: lines.into_iter().map(|l| l.address).collect(),
            tunables,
            home_nodes,
            warnings,
            paths,
        })
    }
}

/// `ctdb.conf`; a missing one is all defaults, as in CTDB.
fn load_conf(file: &Path, warnings: &mut Vec<Warning>) -> Result<CtdbConf, ConfigError> {
    let Some(text) = source::read(file)? else { return Ok(CtdbConf::default()) };
    let (conf, keys) = CtdbConf::parse(&text, file)?;
    if !keys.is_empty() {
        warnings.push(Warning::Ignored { file: file.to_owned(), keys });
    }
    Ok(conf)
}

/// Puts the options over the settings that they stand for, and says where the log goes.
fn apply_cli(conf: &mut CtdbConf, cli: &Cli) -> Result<LogTarget, ConfigError> {
    if let Some(lock) = &cli.reclock {
        conf.cluster_lock = ctdb_conf::cluster_lock(lock)
            .map_err(|fault| ConfigError::Conf { place: Place::Option("--reclock"), fault })?;
    }
    if let Some(level) = cli.debug {
        conf.log_level = level;
    }
    conf.start_as_disabled |= cli.start_as_disabled;
    conf.start_as_stopped |= cli.start_as_stopped;
    conf.lmaster_capability &= !cli.no_lmaster;
    conf.leader_capability &= !cli.no_recmaster;
    Ok(match &cli.logging {
        Some(location) => LogTarget::Location(location.clone()),
        None if cli.interactive && !cli.detached => LogTarget::Stderr,
        None => LogTarget::Location(conf.log_location.clone().unwrap_or_default()),
    })
}

/// Reads the nodes list: at start, and for `ctdb reloadnodes`.
///
/// # Errors
/// It cannot be read, or a line of it is wrong.
pub fn load_nodes(from: &NodesSource) -> Result<Nodes, ConfigError> {
    match from {
        NodesSource::File(path) => {
            let text = source::read(path)?.ok_or_else(|| ConfigError::Read {
                path: path.clone(),
                source: nix::errno::Errno::ENOENT.into(),
                hint: "write the private address of each node into it, one per line, the same file on all nodes",
            })?;
            Ok(Nodes::parse(&text, path)?)
        }
        NodesSource::Command(argv) => {
            let command = argv.join(" ");
            let text = source::run(argv, COMMAND_LIMIT)
                .map_err(|fault| ConfigError::NodesCommand { command: command.clone(), fault })?;
            Ok(Nodes::parse(&text, Path::new(&format!("!{command}")))?)
        }
    }
}

fn public_addresses_file(paths: &Paths, cli: &Cli) -> PathBuf {
    cli.public_addresses.clone().unwrap_or_else(|| paths.base.join("public_addresses"))
}

/// Reads the public addresses: at start, and for `ctdb reloadips`. No file means none, unless the command line names one.
///
/// # Errors
/// It cannot be read, or a line of it is wrong.
pub fn load_public_addresses(paths: &Paths, cli: &Cli) -> Result<Vec<AddressLine>, ConfigError> {
    let file = public_addresses_file(paths, cli);
    match source::read(&file)? {
        Some(text) => Ok(public_addresses::parse(&text, &file, cli.public_interface.as_deref())?),
        None if cli.public_addresses.is_none() => Ok(Vec::new()),
        None => Err(ConfigError::Read {
            path: file,
            source: nix::errno::Errno::ENOENT.into(),
            hint: "write it, or start ctdbd without --public-addresses",
        }),
    }
}

/// Refuses a public address that is some node's private one: releasing it would cut that node off.
///
/// # Errors
/// The first such line.
pub fn check_against_nodes(lines: &[AddressLine], file: &Path, nodes: &Nodes) -> Result<(), ConfigError> {
    for AddressLine { address, line } in lines {
        if let Some(node) = nodes.lines.iter().find(|n| n.addr == Some(address.addr)) {
            let fault = AddressFault::OfNode { addr: address.addr, pnn: node.pnn.0 };
            return Err((Place::line(file, *line), fault).into());
        }
    }
    Ok(())
}

/// Reads `ctdb.tunables`, then `tunables.d/*.tunables` in the order of their names.
///
/// # Errors
/// One cannot be read, or a line is wrong.
pub fn load_tunables(base: &Path, warnings: &mut Vec<Warning>) -> Result<Tunables, ConfigError> {
    let mut files = vec![base.join("ctdb.tunables")];
    let dir = base.join("tunables.d");
    let unreadable = |source| ConfigError::Read {
        path: dir.clone(),
        source,
        hint: "make it a directory that the user that runs ctdbd can list",
    };
    match std::fs::read_dir(&dir) {
        Ok(entries) => {
            let mut found = Vec::new();
            for entry in entries {
                let name = entry.map_err(unreadable)?.file_name();
                let text = name.to_string_lossy();
                if text.ends_with(".tunables") && !text.starts_with('.') {
                    found.push(dir.join(&name));
                }
            }
            found.sort();
            files.extend(found);
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(unreadable(e)),
    }
    let mut tunables = Tunables::default();
    for file in files {
        let Some(text) = source::read(&file)? else { continue };
        let inert = tunables_file::apply(&mut tunables, &text, &file)?;
        warnings.extend(
            inert.into_iter().map(|inert| Warning::Inert { place: Place::line(&file, inert.line), inert }),
        );
    }
    Ok(tunables)
}

/// A remark when a public address lies in the network of this node's private address.
fn in_network(line: &AddressLine, file: &Path, own: &LocalAddress) -> Option<Warning> {
    let addr = line.address.addr;
    let same = match (addr, own.addr) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            own.prefix < 32 && (u32::from(a) ^ u32::from(b)).leading_zeros() >= own.prefix.into()
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            own.prefix < 128 && (u128::from(a) ^ u128::from(b)).leading_zeros() >= own.prefix.into()
        }
        _ => false,
    };
    let place = Place::line(file, line.line);
    same.then_some(Warning::PrivateNetwork { place, addr, own: own.addr, prefix: own.prefix })
}

/// The addresses of this host's interfaces, those that are down too.
///
/// # Errors
/// What the system says.
pub fn local_addresses() -> std::io::Result<Vec<LocalAddress>> {
    let of = |storage: &nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    let bits = |mask: IpAddr| match mask {
        IpAddr::V4(m) => u32::from(m).count_ones(),
        IpAddr::V6(m) => u128::from(m).count_ones(),
    };
    let all = nix::ifaddrs::getifaddrs().map_err(std::io::Error::from)?;
    Ok(all
        .filter_map(|interface| {
            let addr = of(&interface.address?)?;
            let prefix = interface.netmask.as_ref().and_then(of).map_or(128, bits);
            Some(LocalAddress { addr, prefix: u8::try_from(prefix).unwrap_or(128) })
        })
        .collect())
}

#[cfg(test)]
mod tests;
