//! The daemon's command line: CTDB's old options, which win over `ctdb.conf`, and `--port`, which is ours.

use crate::{LogLevel, LogLocation};
use clap::Parser;
use std::net::IpAddr;
use std::path::PathBuf;

/// The node service's port, TCP and UDP, where none is configured.
pub const DEFAULT_PORT: u16 = 4379;

/// The ctdb-ip daemon: keeps every public address on exactly one healthy node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "ctdbd",
    version,
    after_help = "Files: ctdb.conf, nodes, public_addresses, ctdb.tunables in $CTDB_BASE (/etc/ctdb). Other variables: CTDB_SOCKET, CTDB_RUNDIR, CTDB_VARDIR.\nAn option wins over the same setting in ctdb.conf."
)]
pub struct Cli {
    /// Stay in the foreground and log to standard error.
    #[arg(short, long)]
    pub interactive: bool,

    /// Cluster lock (reclock): a file that all nodes share.
    #[arg(long, value_name = "LOCK", alias = "cluster-lock")]
    pub reclock: Option<String>,

    /// Nodes list: a file, or !COMMAND [default: nodes in $CTDB_BASE].
    #[arg(long, value_name = "FILE")]
    pub nlist: Option<String>,

    /// Public addresses of this node [default: public_addresses in $CTDB_BASE].
    #[arg(long, value_name = "FILE")]
    pub public_addresses: Option<PathBuf>,

    /// Interface for lines of the public addresses file that name none.
    #[arg(long, value_name = "IFACE")]
    pub public_interface: Option<String>,

    /// Log level: ERROR, WARNING, NOTICE, INFO, DEBUG or 0 to 10.
    #[arg(short, long, value_name = "LEVEL")]
    pub debug: Option<LogLevel>,

    /// Unix socket of the local service [default: ctdbd.socket in $CTDB_RUNDIR].
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Private address of this node, as it stands in the nodes list.
    #[arg(long, value_name = "IP", visible_alias = "node-ip")]
    pub listen: Option<IpAddr>,

    /// Log location: file:/PATH or syslog[:nonblocking|udp|udp-rfc5424].
    #[arg(long, value_name = "LOCATION")]
    pub logging: Option<LogLocation>,

    /// Where to write the process number [default: ctdbd.pid in $CTDB_RUNDIR].
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,

    /// Start with the node disabled: it hosts no address until `ctdb enable`.
    #[arg(long)]
    pub start_as_disabled: bool,

    /// Start with the node stopped: it takes no part until `ctdb continue`.
    #[arg(long)]
    pub start_as_stopped: bool,

    /// Without lmaster capability (shown only: there is no database).
    #[arg(long)]
    pub no_lmaster: bool,

    /// Never become recmaster (leader).
    #[arg(long)]
    pub no_recmaster: bool,

    /// TCP port of the node service, the same on all nodes.
    #[arg(long, env = "CTDB_PORT", value_name = "PORT", default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Set by a ctdbd that starts itself in the background.
    #[arg(long, hide = true)]
    pub detached: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn old_command_line() {
        let cli = Cli::try_parse_from([
            "ctdbd",
            "-i",
            "--reclock=/shared/lock",
            "--nlist=/x/nodes",
            "--public-addresses=/x/pa",
            "--public-interface=eth0",
            "-d",
            "3",
            "--socket=/x/s",
            "--node-ip=fd00::1",
            "--logging=syslog",
            "--pidfile=/x/pid",
            "--start-as-disabled",
            "--start-as-stopped",
            "--no-lmaster",
            "--no-recmaster",
        ])
        .unwrap();
        assert!(cli.interactive && cli.start_as_disabled && cli.start_as_stopped);
        assert!(cli.no_lmaster && cli.no_recmaster && !cli.detached);
        assert_eq!(cli.reclock.as_deref(), Some("/shared/lock"));
        assert_eq!(cli.debug, Some(LogLevel::Notice));
        assert_eq!(cli.listen, Some("fd00::1".parse().unwrap()));
        assert_eq!(cli.public_interface.as_deref(), Some("eth0"));
    }

    #[test]
    fn levels_by_name_and_number() {
        for (args, level) in
            [(["ctdbd", "--debug=DEBUG"], LogLevel::Debug), (["ctdbd", "-dERROR"], LogLevel::Error)]
        {
            assert_eq!(Cli::try_parse_from(args).unwrap().debug, Some(level));
        }
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        for (arg, word) in [
            ("--debug=LOUD", "no log level"),
            ("--debug=11", "0 to 10"),
            ("--listen=host", "--listen"),
            ("--port=0", "--port"),
            ("--port=70000", "--port"),
            ("--logging=tape", "no log location"),
            ("--no-such", "--no-such"),
            ("extra", "extra"),
        ] {
            let error = Cli::try_parse_from(["ctdbd", arg]).unwrap_err().to_string();
            assert!(error.contains(word), "{arg}: {error}");
        }
    }
}
