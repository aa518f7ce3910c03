//! The grammar of the command line: CTDB's options and commands, old names as silent aliases.

mod options;

pub(crate) use options::{Level, Options};

use clap::{Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};

/// The grammar as clap's value, for man pages and completions.
#[must_use]
pub fn command() -> Command {
    Cli::command()
}

/// The first line of help, and all of `--usage`.
pub(crate) const USAGE: &str = "ctdb [OPTIONS] COMMAND [ARGS]";

/// Ask and steer a node of a ctdb-ip cluster: the daemon of this host, or with -n, through it, another node.
#[derive(Debug, Parser)]
#[command(
    name = "ctdb",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    allow_external_subcommands = true,
    override_usage = USAGE,
    after_help = "Start with:  ctdb status   ctdb ip -v   ctdb timeline   ctdb plan\n\
        Environment: CTDB_SOCKET (the daemon's socket, default /run/ctdb/ctdbd.socket), CTDB_TIMEOUT (as -T),\n\
        CTDB_BASE (configuration, default /etc/ctdb)."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Option<Cmd>,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Cmd {
    /// Nodes and their states, generation, recovery mode, leader.
    Status,
    /// Public addresses and the nodes that serve them.
    Ip {
        /// "all": ask every connected node, not only this one.
        #[arg(value_parser = ["all"])]
        all: Option<String>,
    },
    /// One public address with its interfaces.
    Ipinfo {
        /// The address.
        ip: String,
    },
    /// Interfaces of the public addresses, their links, addresses on each.
    Ifaces,
    /// The number of the node.
    Pnn,
    /// Ask the daemon for a sign of life.
    Ping,
    /// The number of the leader (recmaster).
    #[command(alias = "recmaster")]
    Leader,
    /// The nodes of the nodes file; needs no daemon.
    Listnodes,
    /// State of nodes; the exit status is their flags or'ed together.
    Nodestatus {
        /// "all", or numbers separated by commas; default is the current node.
        nodes: Option<String>,
    },
    /// When the daemon started and when the last takeover run was.
    Uptime,
    /// The run state; with states, fail unless it is one of them.
    Runstate {
        /// UNKNOWN INIT SETUP FIRST_RECOVERY STARTUP RUNNING SHUTDOWN.
        states: Vec<String>,
    },
    /// One tunable.
    Getvar {
        /// Its name; case does not matter.
        name: String,
    },
    /// Change a tunable of this node until it restarts.
    Setvar {
        /// Its name; case does not matter.
        name: String,
        /// The new value.
        value: u32,
    },
    /// All tunables.
    Listvars,
    /// Serve no public addresses until enabled again.
    Disable,
    /// Take `disable` back.
    Enable,
    /// Leave the cluster's work, keep the daemon.
    Stop,
    /// Take `stop` back.
    Continue,
    /// Ban the node for some time.
    Ban {
        /// For how long.
        seconds: u32,
    },
    /// Take a ban back.
    Unban,
    /// Move a public address to another node.
    Moveip {
        /// The address.
        ip: String,
        /// The node that shall have it.
        pnn: u32,
    },
    /// Treat an interface as having link or not, until its link changes.
    Setifacelink {
        /// An interface of a public address.
        iface: String,
        /// With link or without.
        link: Link,
    },
    /// Announce an address once: gratuitous ARP, or an unsolicited neighbour advertisement.
    Gratarp {
        /// The address.
        ip: String,
        /// The interface.
        iface: String,
    },
    /// A public address more on the node, until it restarts or reloads.
    Addip {
        /// The address with its mask, e.g. 10.0.0.31/24.
        #[arg(value_name = "IP/MASK")]
        ip: String,
        /// Its interface, or several with commas between.
        iface: String,
    },
    /// A public address less on the node, until it restarts or reloads.
    Delip {
        /// The address.
        ip: String,
    },
    /// Let nodes read their public_addresses anew.
    Reloadips {
        /// "all", or numbers separated by commas; default is the current node.
        nodes: Option<String>,
    },
    /// Let all nodes read the nodes file anew, which must be the same everywhere.
    Reloadnodes,
    /// Let the leader run a takeover now and wait for its end.
    #[command(alias = "sync")]
    Ipreallocate,
    /// Let the leader run a takeover now: CTDB's recovery, of which ctdb-ip has the part that is about addresses.
    Recover,
    /// Events and their scripts.
    #[command(subcommand)]
    Event(EventCmd),
    /// The last run of an event (the old way to say "event status legacy EVENT").
    Scriptstatus {
        /// Name of the event.
        #[arg(default_value = "monitor")]
        event: String,
    },
    #[command(hide = true)]
    Enablescript { script: String },
    #[command(hide = true)]
    Disablescript { script: String },
    /// Hand over the addresses, then end the daemon.
    Shutdown,
    /// The version of this program; with -n, of that node's daemon.
    Version,
    /// What the node saw, decided and did, newest last.
    Timeline {
        /// How many entries.
        #[arg(default_value_t = 20)]
        count: u32,
    },
    /// What a takeover run would change, without doing it: exit status 0 nothing, 2 something moves, 3 something is unserved.
    Plan(PlanArgs),
    /// Why a public address is where it is, and why nowhere else.
    Why {
        /// The address.
        ip: String,
    },
    /// The process id of the daemon.
    Getpid,
    /// The log level of the daemon.
    Getdebug,
    /// Change the log level of the daemon until it restarts.
    Setdebug {
        /// The new level.
        #[arg(ignore_case = true)]
        level: Level,
    },
    /// Until when this node may serve, what extended that last, and the kernel gate.
    Lease,
    /// The files of the configuration; needs no daemon.
    #[command(subcommand)]
    Config(ConfigCmd),
    /// Clients that are connected to a public address, as far as the node knows.
    Gettickles {
        /// The address.
        ip: String,
        /// Only this port of it.
        port: Option<u16>,
    },
    /// Send a tickle ACK to a client, so that its stack looks whether the connection still stands; needs no daemon.
    Tickle {
        /// The client's end and the server's, SRC:PORT DST:PORT; none: pairs on standard input.
        #[arg(num_args = 0..=2)]
        ends: Vec<String>,
    },
    /// End TCP connections of this host, as CTDB's ctdb_killtcp for event scripts; needs no daemon.
    #[command(hide = true)]
    Killtcp {
        /// The public interface.
        iface: String,
        /// Both ends, SRC:PORT DST:PORT; none: pairs on standard input.
        #[arg(num_args = 0..=2)]
        ends: Vec<String>,
    },
    /// Tell the node of a client's connection.
    Addtickle {
        /// The client's end and the server's, SRC:PORT DST:PORT; none: pairs on standard input.
        #[arg(num_args = 0..=2)]
        ends: Vec<String>,
    },
    /// Take `addtickle` back.
    Deltickle {
        /// The client's end and the server's, SRC:PORT DST:PORT; none: pairs on standard input.
        #[arg(num_args = 0..=2)]
        ends: Vec<String>,
    },
    /// The cluster lock: path or helper; nothing when there is none.
    Getreclock,
    /// What the node may become.
    Getcapabilities,
    /// May this node be the leader (recmaster), until it restarts.
    #[command(alias = "setrecmasterrole")]
    Setleaderrole {
        /// It may or may not.
        role: Switch,
    },
    /// Accepted for scripts, without effect: there is no database, and nobody is a location master.
    Setlmasterrole {
        /// No matter.
        role: Switch,
    },
    /// Is a TCP port of this host free: exit status 0, or the system's error (98 when it is in use); needs no daemon.
    Checktcpport {
        /// The port.
        port: u16,
    },
    /// What the daemon has counted since its start or the last reset.
    Statistics,
    /// Count from zero again.
    Statisticsreset,
    /// What the daemon has counted in each of the last intervals of StatHistoryInterval, newest first.
    Stats {
        /// How many intervals; all that are kept when nothing is said.
        #[arg(default_value_t = u32::MAX, hide_default_value = true)]
        count: u32,
    },
    /// The NAT gateway group of natgw_nodes.
    Natgw {
        /// What of it.
        #[command(subcommand)]
        what: GroupCmd,
    },
    #[command(hide = true)]
    Natgwlist,
    /// The LVS director: its configuration, real servers, the doctor; and the LVS group of lvs_nodes.
    Lvs {
        /// What of it; the usable nodes of the group when nothing is said.
        #[command(subcommand)]
        what: Option<LvsCmd>,
    },
    #[command(hide = true)]
    Lvsmaster,
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// The link of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Link {
    /// It has link.
    Up,
    /// It has none.
    Down,
}

/// A role is given or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// The node may.
    On,
    /// The node may not.
    Off,
}

/// `ctdb natgw …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum GroupCmd {
    /// The node that is the gateway; exit status 2 when there is none.
    #[command(alias = "master")]
    Leader,
    /// The nodes of the group.
    List,
    /// Their states.
    Status,
}

/// `ctdb lvs …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum LvsCmd {
    /// The node that directs; exit status 255 when there is none.
    #[command(alias = "master")]
    Leader,
    /// The nodes that can be used.
    List,
    /// The states of all nodes of the group; without a group but with a director, as `services`.
    Status,
    /// The director's virtual services: real servers with the last reason, destinations, connections, rates; exit status 1 when something
    /// is wrong.
    Services,
    /// Let the director read virtual_servers.conf anew; a bad file changes nothing.
    Reload,
    /// Take a real server out of a service: no new connections, and gone at the deadline.
    Drain {
        /// The service as `ctdb lvs services` prints it, e.g. "tcp 192.0.2.1:80".
        service: String,
        /// Address and port of the real server, e.g. 10.0.0.1:80.
        real: String,
        /// After how many seconds it goes even with connections.
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        deadline: u32,
    },
    /// Take a drained real server back into service.
    Undrain {
        /// The service as `ctdb lvs services` prints it.
        service: String,
        /// Address and port of the real server.
        real: String,
    },
    /// Find everything that is wrong in virtual_servers.conf; exit status 1 when there is an error. Needs no daemon.
    Check {
        /// The file [default: virtual_servers.conf in $CTDB_BASE or /etc/ctdb].
        file: Option<std::path::PathBuf>,
    },
    /// Make a virtual_servers.conf of a keepalived.conf or a piranha lvs.cf; exit status 1 when something in it is wrong. Needs no daemon.
    Import {
        /// The old file.
        file: std::path::PathBuf,
        /// Write the configuration here instead of to standard output; an existing file is not overwritten.
        #[arg(short, long, value_name = "FILE")]
        output: Option<std::path::PathBuf>,
    },
    /// This host as a real server of direct routing or tunnels: addresses on lo, without ARP. Needs no daemon.
    #[command(subcommand)]
    Realserver(RealServerCmd),
    /// Look for what keeps virtual services from working, a line for each check; exit status 1 for warnings and failures. Needs no daemon.
    Doctor(DoctorArgs),
}

/// `ctdb lvs realserver …`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum RealServerCmd {
    /// Put virtual addresses on lo and suppress ARP for them.
    Up {
        /// Virtual addresses.
        #[arg(required = true, value_name = "VIP")]
        vips: Vec<std::net::IpAddr>,
    },
    /// Undo what `up` did; for all addresses when none is named.
    Down {
        /// Virtual addresses.
        #[arg(value_name = "VIP")]
        vips: Vec<std::net::IpAddr>,
    },
    /// What `up` did, and how it is now; exit status 1 when an address is not as `up` left it.
    Show {
        /// Virtual addresses; default is those that `up` has put up.
        #[arg(value_name = "VIP")]
        vips: Vec<std::net::IpAddr>,
    },
}

/// The questions of `ctdb lvs doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct DoctorArgs {
    /// Only services of this address.
    #[arg(value_name = "VIP")]
    pub(crate) vip: Option<std::net::IpAddr>,
    /// The configuration [default: virtual_servers.conf in $CTDB_BASE or /etc/ctdb].
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<std::path::PathBuf>,
    /// For how many seconds connections are watched.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) window: u64,
    /// Leave out the self-test of the kernel in throw-away namespaces.
    #[arg(long)]
    pub(crate) no_selftest: bool,
}

/// `ctdb event …`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum EventCmd {
    /// The last run of an event; the exit status is its result.
    Status {
        /// Always "legacy".
        component: String,
        /// Name of the event.
        event: String,
    },
    /// Run an event now.
    Run {
        /// Seconds for the whole event.
        timeout: u32,
        /// Always "legacy".
        component: String,
        /// Name of the event.
        event: String,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Scripts of the events.
    #[command(subcommand)]
    Script(ScriptCmd),
}

/// `ctdb event script …`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ScriptCmd {
    /// All scripts; those with a star run.
    List {
        /// Always "legacy".
        component: String,
    },
    /// Let a script run.
    Enable {
        /// Always "legacy".
        component: String,
        /// Name of the script.
        script: String,
    },
    /// Let a script run no longer.
    Disable {
        /// Always "legacy".
        component: String,
        /// Name of the script.
        script: String,
    },
}

/// What to do with the configuration.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCmd {
    /// Find everything that is wrong in all files; exit status 1 when there is an error.
    Check {
        /// The directory [default: $CTDB_BASE or /etc/ctdb].
        dir: Option<std::path::PathBuf>,
    },
}

/// The questions of `ctdb plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// If these nodes were gone.
    #[arg(long, value_name = "PNN", value_delimiter = ',')]
    pub(crate) down: Vec<u32>,
    /// If these nodes were healthy.
    #[arg(long, value_name = "PNN", value_delimiter = ',')]
    pub(crate) up: Vec<u32>,
    /// If this address existed on every node.
    #[arg(long, value_name = "IP/MASK", value_delimiter = ',')]
    pub(crate) add: Vec<String>,
    /// If this interface of that node had no link.
    #[arg(long, value_name = "IFACE@PNN", value_delimiter = ',')]
    pub(crate) without: Vec<String>,
    /// With another IPAllocAlgorithm: 0 deterministic, 1 non-deterministic, 2 LCP2, 3 minimal move.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=3))]
    pub(crate) algorithm: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn old_names_are_aliases() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().command.unwrap();
        assert!(matches!(parse("ctdb recmaster"), Cmd::Leader));
        assert!(matches!(parse("ctdb sync"), Cmd::Ipreallocate));
        assert!(matches!(parse("ctdb scriptstatus"), Cmd::Scriptstatus { event } if event == "monitor"));
        assert!(matches!(
            parse("ctdb setrecmasterrole on"),
            Cmd::Setleaderrole { role } if role == Switch::On
        ));
        assert!(matches!(parse("ctdb natgw master"), Cmd::Natgw { what: GroupCmd::Leader }));
        assert!(matches!(parse("ctdb natgwlist"), Cmd::Natgwlist));
        assert!(matches!(parse("ctdb lvs"), Cmd::Lvs { what: None }));
        assert!(matches!(parse("ctdb lvs master"), Cmd::Lvs { what: Some(LvsCmd::Leader) }));
        assert!(matches!(parse("ctdb lvsmaster"), Cmd::Lvsmaster));
    }
}
