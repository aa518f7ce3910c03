//! Reads the daemon's files and puts them together: [`Config::load`], and the parts that a reload reads again.
//!
//! Everything is read before anything is refused, so that an operator sees all faults at once.

use crate::cli::Cli;
use crate::ctdb_conf::{self, CtdbConf, NodesSource};
use crate::error::{ConfigError, ConfigErrors, Warning};
use crate::nodes::Nodes;
use crate::parsed::Parsed;
use crate::paths::Paths;
use crate::place::Place;
use crate::public_addresses::{self, AddressFault, AddressLine};
use crate::{Config, LocalAddress, LogTarget, local_addresses, source, tunables_file};
use recoverd::alloc::HomeNodes;
use recoverd::model::Tunables;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest run of a nodes list command.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// The daemon's files, as far as they can be read, and all that is wrong with them.
#[derive(Debug)]
pub(crate) struct Files {
    /// `ctdb.conf` under the command line.
    pub(crate) conf: CtdbConf,
    pub(crate) log: LogTarget,
    pub(crate) nodes_source: NodesSource,
    /// `None` when the list cannot be read at all.
    pub(crate) nodes: Option<Nodes>,
    /// No fault was found in the list: what it does not name, it does not name on purpose.
    pub(crate) nodes_are_good: bool,
    pub(crate) addresses_file: PathBuf,
    pub(crate) addresses: Vec<AddressLine>,
    pub(crate) tunables: Tunables,
    pub(crate) home_nodes: HomeNodes,
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) warnings: Vec<Warning>,
}

impl Files {
    /// Reads all files. Blocks, for up to 30 s when the nodes list is a command.
    pub(crate) fn read(paths: &Paths, cli: &Cli) -> Self {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let mut conf = load_conf(&paths.base.join("ctdb.conf"), &mut errors, &mut warnings);
        let log = apply_cli(&mut conf, cli, &mut errors);

        let nodes_source = nodes_source(&conf, paths, cli);
        let before = errors.len();
        let nodes = match read_nodes(&nodes_source) {
            Ok(parsed) => Some(keep(parsed, &mut errors)),
            Err(error) => {
                errors.push(error);
                None
            }
        };
        let nodes_are_good = errors.len() == before;
        for (pnn, line) in nodes.iter().flat_map(|nodes| &nodes.comments) {
            let file = nodes.as_ref().map_or(Path::new(""), |n| &n.source);
            warnings.push(Warning::CommentIsNode { place: Place::line(file, *line), pnn: *pnn });
        }

        let addresses_file = public_addresses_file(paths, cli);
        let addresses = match read_public_addresses(&addresses_file, cli) {
            Ok(parsed) => keep(parsed, &mut errors),
            Err(error) => {
                errors.push(error);
                Vec::new()
            }
        };
        if let Some(nodes) = &nodes {
            errors.extend(against_nodes(&addresses, &addresses_file, nodes));
        }

        let mut tunables = Tunables::default();
        read_tunables(&paths.base, &mut tunables, &mut errors, &mut warnings);
        let home_nodes = read_home_nodes(&paths.base.join("home_nodes"), &mut errors);
        Self {
            conf,
            log,
            nodes_source,
            nodes,
            nodes_are_good,
            addresses_file,
            addresses,
            tunables,
            home_nodes,
            errors,
            warnings,
        }
    }

    /// This node's address as it was configured, and where.
    pub(crate) fn configured_address(&self, cli: &Cli) -> Option<(IpAddr, &'static str)> {
        match (cli.listen, self.conf.node_address) {
            (Some(addr), _) => Some((addr, "--listen")),
            (None, Some(addr)) => Some((addr, "node address in ctdb.conf")),
            (None, None) => None,
        }
    }

    /// Remarks on public addresses in the network of this node's private address.
    pub(crate) fn in_private_network<'a>(
        &'a self,
        own: &'a LocalAddress,
    ) -> impl Iterator<Item = Warning> + 'a {
        self.addresses.iter().filter_map(|line| in_network(line, &self.addresses_file, own))
    }
}

impl Config {
    /// Reads everything. Blocks, for up to 30 s when the nodes list is a command.
    ///
    /// # Errors
    /// All that cannot be right.
    pub fn load(paths: &Paths, cli: &Cli) -> Result<Self, ConfigErrors> {
        let here = match local_addresses() {
            Ok(here) => here,
            Err(source) if cli.listen.is_none() => return Err(ConfigError::LocalAddresses { source }.into()),
            Err(_) => Vec::new(),
        };
        Self::load_on(paths, cli, &here)
    }

    /// As [`Config::load`], on a host with these addresses.
    ///
    /// # Errors
    /// All that cannot be right.
    pub fn load_on(paths: &Paths, cli: &Cli, here: &[LocalAddress]) -> Result<Self, ConfigErrors> {
        let mut paths = paths.clone();
        if let Some(socket) = &cli.socket {
            paths.socket.clone_from(socket);
        }
        let mut files = Files::read(&paths, cli);
        let addresses: Vec<IpAddr> = here.iter().map(|l| l.addr).collect();
        let configured = files.configured_address(cli);
        let own = match files.nodes.take() {
            // A wrong line may be this node's: that is said already.
            Some(nodes) if files.nodes_are_good => match nodes.own(configured, &addresses) {
                Ok(own) => Some((nodes, own)),
                Err(fault) => {
                    files.errors.push(fault.into());
                    None
                }
            },
            _ => None,
        };
        let Some((nodes, (pnn, address))) = own.filter(|_| files.errors.is_empty()) else {
            return Err(ConfigErrors(files.errors));
        };
        let mut warnings = std::mem::take(&mut files.warnings);
        if let Some(network) = here.iter().find(|l| l.addr == address) {
            warnings.extend(files.in_private_network(network));
        }
        Ok(Self {
            log: files.log,
            pid_file: cli.pidfile.clone().unwrap_or_else(|| paths.rundir.join("ctdbd.pid")),
            port: cli.port,
            debug_script: files.conf.debug_script.as_ref().map(|script| paths.base.join(script)),
            conf: files.conf,
            nodes_source: files.nodes_source,
            nodes,
            pnn,
            address,
            public_addresses: files.addresses.into_iter().map(|l| l.address).collect(),
            tunables: files.tunables,
            home_nodes: files.home_nodes,
            warnings,
            paths,
        })
    }
}

/// The value; its faults go to the others.
fn keep<T, F>(parsed: Parsed<T, F>, errors: &mut Vec<ConfigError>) -> T
where
    ConfigError: From<(Place, F)>,
{
    errors.extend(parsed.faults.into_iter().map(ConfigError::from));
    parsed.value
}

/// The value, if there is no fault.
fn all_good<T, F>(parsed: Parsed<T, F>) -> Result<T, ConfigErrors>
where
    ConfigError: From<(Place, F)>,
{
    parsed.good().map_err(|faults| ConfigErrors(faults.into_iter().map(ConfigError::from).collect()))
}

/// `ctdb.conf`; a missing one is all defaults, as in CTDB.
fn load_conf(file: &Path, errors: &mut Vec<ConfigError>, warnings: &mut Vec<Warning>) -> CtdbConf {
    match source::read(file) {
        Ok(Some(text)) => {
            let (conf, keys) = keep(CtdbConf::parse(&text, file), errors);
            if !keys.is_empty() {
                warnings.push(Warning::Ignored { file: file.to_owned(), keys });
            }
            conf
        }
        Ok(None) => CtdbConf::default(),
        Err(error) => {
            errors.push(error);
            CtdbConf::default()
        }
    }
}

/// Puts the options over the settings that they stand for, and says where the log goes.
fn apply_cli(conf: &mut CtdbConf, cli: &Cli, errors: &mut Vec<ConfigError>) -> LogTarget {
    if let Some(lock) = &cli.reclock {
        match ctdb_conf::cluster_lock(lock) {
            Ok(lock) => conf.cluster_lock = lock,
            Err(fault) => errors.push(ConfigError::Conf { place: Place::Option("--reclock"), fault }),
        }
    }
    if let Some(level) = cli.debug {
        conf.log_level = level;
    }
    conf.start_as_disabled |= cli.start_as_disabled;
    conf.start_as_stopped |= cli.start_as_stopped;
    conf.lmaster_capability &= !cli.no_lmaster;
    conf.leader_capability &= !cli.no_recmaster;
    match &cli.logging {
        Some(location) => LogTarget::Location(location.clone()),
        None if cli.interactive && !cli.detached => LogTarget::Stderr,
        None => LogTarget::Location(conf.log_location.clone().unwrap_or_default()),
    }
}

/// Where the nodes list comes from: the command line, `ctdb.conf`, or the file `nodes`.
fn nodes_source(conf: &CtdbConf, paths: &Paths, cli: &Cli) -> NodesSource {
    match &cli.nlist {
        Some(list) => match list.strip_prefix('!') {
            Some(command) => NodesSource::Command(command.split_whitespace().map(str::to_owned).collect()),
            None => NodesSource::File(list.into()),
        },
        None => conf.nodes_list.clone().unwrap_or_else(|| NodesSource::File(paths.base.join("nodes"))),
    }
}

/// Reads the nodes list: for `ctdb reloadnodes` and `ctdb listnodes`.
///
/// # Errors
/// It cannot be read, or lines of it are wrong.
pub fn load_nodes(from: &NodesSource) -> Result<Nodes, ConfigErrors> {
    all_good(read_nodes(from)?)
}

fn read_nodes(from: &NodesSource) -> Result<Parsed<Nodes, crate::nodes::NodesFault>, ConfigError> {
    match from {
        NodesSource::File(path) => {
            let text = source::read(path)?.ok_or_else(|| ConfigError::Read {
                path: path.clone(),
                source: nix::errno::Errno::ENOENT.into(),
                hint: "write the private address of each node into it, one per line, the same file on all nodes",
            })?;
            Ok(Nodes::parse(&text, path))
        }
        NodesSource::Command(argv) => {
            let command = argv.join(" ");
            let text = source::run(argv, COMMAND_LIMIT)
                .map_err(|fault| ConfigError::NodesCommand { command: command.clone(), fault })?;
            Ok(Nodes::parse(&text, Path::new(&format!("!{command}"))))
        }
    }
}

fn public_addresses_file(paths: &Paths, cli: &Cli) -> PathBuf {
    cli.public_addresses.clone().unwrap_or_else(|| paths.base.join("public_addresses"))
}

/// Reads the public addresses for `ctdb reloadips`. No file means none, unless the command line names one.
///
/// # Errors
/// It cannot be read, or lines of it are wrong.
pub fn load_public_addresses(paths: &Paths, cli: &Cli) -> Result<Vec<AddressLine>, ConfigErrors> {
    all_good(read_public_addresses(&public_addresses_file(paths, cli), cli)?)
}

fn read_public_addresses(
    file: &Path,
    cli: &Cli,
) -> Result<Parsed<Vec<AddressLine>, AddressFault>, ConfigError> {
    match source::read(file)? {
        Some(text) => Ok(public_addresses::parse(&text, file, cli.public_interface.as_deref())),
        None if cli.public_addresses.is_none() => Ok(Parsed { value: Vec::new(), faults: Vec::new() }),
        None => Err(ConfigError::Read {
            path: file.to_owned(),
            source: nix::errno::Errno::ENOENT.into(),
            hint: "write it, or start ctdbd without --public-addresses",
        }),
    }
}

/// Refuses a public address that is some node's private one: releasing it would cut that node off.
///
/// # Errors
/// All such lines.
pub fn check_against_nodes(lines: &[AddressLine], file: &Path, nodes: &Nodes) -> Result<(), ConfigErrors> {
    let errors: Vec<ConfigError> = against_nodes(lines, file, nodes).collect();
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}

fn against_nodes<'a>(
    lines: &'a [AddressLine],
    file: &'a Path,
    nodes: &'a Nodes,
) -> impl Iterator<Item = ConfigError> + 'a {
    lines.iter().filter_map(move |AddressLine { address, line }| {
        let node = nodes.lines.iter().find(|n| n.addr == Some(address.addr))?;
        let fault = AddressFault::OfNode { addr: address.addr, pnn: node.pnn.0 };
        Some((Place::line(file, *line), fault).into())
    })
}

/// Reads `ctdb.tunables`, then `tunables.d/*.tunables` in the order of their names.
///
/// # Errors
/// One cannot be read, or lines are wrong.
pub fn load_tunables(base: &Path, warnings: &mut Vec<Warning>) -> Result<Tunables, ConfigErrors> {
    let (mut tunables, mut errors) = (Tunables::default(), Vec::new());
    read_tunables(base, &mut tunables, &mut errors, warnings);
    if errors.is_empty() { Ok(tunables) } else { Err(ConfigErrors(errors)) }
}

fn read_tunables(
    base: &Path,
    tunables: &mut Tunables,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<Warning>,
) {
    let mut files = vec![base.join("ctdb.tunables")];
    match source::list(&base.join("tunables.d"), ".tunables") {
        Ok(more) => files.extend(more),
        Err(error) => errors.push(error),
    }
    for file in files {
        match source::read(&file) {
            Ok(Some(text)) => {
                let inert = keep(tunables_file::apply(tunables, &text, &file), errors);
                warnings.extend(
                    inert
                        .into_iter()
                        .map(|inert| Warning::Inert { place: Place::line(&file, inert.line), inert }),
                );
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
}

/// `home_nodes`; a missing one names nothing.
fn read_home_nodes(file: &Path, errors: &mut Vec<ConfigError>) -> HomeNodes {
    let text = match source::read(file) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            errors.push(error);
            return HomeNodes::default();
        }
    };
    HomeNodes::parse(&text).unwrap_or_else(|faults| {
        errors.extend(faults.into_iter().map(|(line, fault)| (Place::line(file, line), fault).into()));
        HomeNodes::default()
    })
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
