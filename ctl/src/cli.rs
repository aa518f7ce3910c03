//! The grammar of the command line: CTDB's options and commands, old names as silent aliases.

use crate::out::{Failure, Style};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Ask and steer a node of a ctdb-ip cluster: the daemon of this host, or with -n, through it, another node.
#[derive(Debug, Parser)]
#[command(
    name = "ctdb",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    allow_external_subcommands = true,
    override_usage = "ctdb [OPTIONS] COMMAND [ARGS]",
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

/// Options that all commands have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// Ask this node instead of the one that runs here.
    #[arg(short = 'n', long, value_name = "PNN", global = true)]
    pub(crate) node: Option<u32>,
    /// Machine readable: columns between '|' (or the separator of -x).
    #[arg(short = 'Y', long = "machinereadable", global = true)]
    machine_readable: bool,
    /// Machine parsable: the same as -Y -x '|'.
    #[arg(short = 'X', long = "machineparsable", global = true)]
    machine_parsable: bool,
    /// Separator between columns, one character; implies -Y.
    #[arg(short = 'x', long, value_name = "CHAR", global = true)]
    separator: Option<String>,
    /// Print JSON.
    #[arg(short, long, global = true)]
    json: bool,
    /// Print more.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Longest wait for one answer, in seconds. Commands that wait for a takeover run have the time of -T.
    #[arg(short = 't', long, value_name = "SEC", default_value_t = 10, global = true)]
    pub(crate) timelimit: u32,
    /// Longest time for the whole command, in seconds.
    #[arg(short = 'T', long, value_name = "SEC", default_value_t = MAX_RUNTIME, value_parser = seconds, env = "CTDB_TIMEOUT", global = true)]
    pub(crate) maxruntime: u32,
    /// What to tell on stderr; DEBUG names every question to the daemon.
    #[arg(short, long, value_name = "LEVEL", default_value = "ERROR", ignore_case = true, global = true)]
    pub(crate) debug: Level,
    /// Print help (on a command: ctdb help COMMAND).
    #[arg(short = '?', short_alias = 'h', long, action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,
    /// Print the version of this program.
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Seconds for a whole command when nothing is said.
const MAX_RUNTIME: u32 = 120;

/// Seconds; an empty text, such as `CTDB_TIMEOUT=` in a script, says nothing.
fn seconds(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(MAX_RUNTIME);
    }
    text.parse().map_err(|_| "write whole seconds".to_owned())
}

/// CTDB's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    /// CTDB's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

impl Options {
    /// The style that the options ask for.
    pub(crate) fn style(&self) -> Result<Style, Failure> {
        let table = self.machine_readable || self.machine_parsable || self.separator.is_some();
        if self.json && table {
            return Err(Failure::new("--json and -Y options are mutually exclusive"));
        }
        let sep = self.separator.as_deref().filter(|_| !self.machine_parsable).unwrap_or("|");
        let mut chars = sep.chars();
        let (Some(sep), None) = (chars.next(), chars.next()) else {
            return Err(Failure::new(format!("Invalid separator '{sep}' - must be a single character")));
        };
        Ok(if self.json {
            Style::Json
        } else if table {
            Style::Table(sep)
        } else {
            Style::Plain
        })
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
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
    /// Let the leader run a takeover now and wait for its end.
    #[command(alias = "sync")]
    Ipreallocate,
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
    /// The cluster lock: path or helper; nothing when there is none.
    Getreclock,
    /// What the node may become.
    Getcapabilities,
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// `ctdb event …`.
#[derive(Debug, Subcommand)]
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
#[derive(Debug, Subcommand)]
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

/// The questions of `ctdb plan`.
#[derive(Debug, Args)]
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
    use clap::CommandFactory;

    fn style(args: &[&str]) -> Result<Style, String> {
        let args = ["ctdb"].iter().chain(args);
        Cli::try_parse_from(args).unwrap().options.style().map_err(|f| f.message)
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_choose_the_style_before_and_after_the_command() {
        assert_eq!(style(&["ip"]), Ok(Style::Plain));
        assert_eq!(style(&["-X", "ip"]), Ok(Style::Table('|')));
        assert_eq!(style(&["ip", "-Y"]), Ok(Style::Table('|')));
        assert_eq!(style(&["ip", "-x", ":"]), Ok(Style::Table(':')));
        assert_eq!(style(&["-Y", "-x", ",", "ip"]), Ok(Style::Table(',')));
        assert_eq!(style(&["-X", "-x", ",", "ip"]), Ok(Style::Table('|')));
        assert_eq!(style(&["ip", "--json"]), Ok(Style::Json));
        assert_eq!(style(&["-j", "-Y", "ip"]), Err("--json and -Y options are mutually exclusive".into()));
        assert_eq!(
            style(&["-x", "::", "ip"]),
            Err("Invalid separator '::' - must be a single character".into())
        );
    }

    #[test]
    fn old_names_are_aliases() {
        let parse = |word| Cli::try_parse_from(["ctdb", word]).unwrap().command.unwrap();
        assert!(matches!(parse("recmaster"), Cmd::Leader));
        assert!(matches!(parse("sync"), Cmd::Ipreallocate));
        assert!(matches!(parse("scriptstatus"), Cmd::Scriptstatus { event } if event == "monitor"));
    }
}
