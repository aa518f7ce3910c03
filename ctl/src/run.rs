//! From the command line to an exit status.

use crate::ask::Asker;
use crate::cli::{Cli, Cmd, EventCmd, Options, ScriptCmd};
use crate::out::{Failure, Outcome, Output, Style, finish};
use crate::{admin, daemon, event, foreign, helper, ip, lease, nodes_file, nodestatus, plan, status, timeline, vars};
use clap::Parser;
use clap::error::ErrorKind;
use recoverd::command::Command;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The program `ctdb`. Arguments and environment are the process's.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(match Cli::try_parse_from(helper::command_line(std::env::args_os().collect())) {
        Ok(cli) => finish(execute(cli)),
        Err(e) => usage(&e),
    })
}

/// Help and version go to stdout and are no error; everything else is exit status 1, as in CTDB (2 and 3 mean something in `plan`).
fn usage(error: &clap::Error) -> u8 {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => finish(Ok(Output::text(text.to_string()))),
        _ => {
            let _lost = write!(std::io::stderr().lock(), "{text}");
            1
        }
    }
}

fn execute(cli: Cli) -> Outcome {
    let style = cli.options.style()?;
    let Some(command) = cli.command else {
        return Err(Failure::new(
            "Usage: ctdb [OPTIONS] COMMAND [ARGS]\nctdb help lists options and commands",
        ));
    };
    if let Some(outcome) = without_daemon(&cli.options, &command, style) {
        return outcome;
    }
    let fail = |e: std::io::Error| Failure::new(format!("cannot start: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let limit = Duration::from_secs(cli.options.maxruntime.max(1).into());
    // Any exit status but 255 would read as flags.
    let failure_code = if matches!(command, Cmd::Nodestatus { .. }) { 255 } else { 1 };
    let work = async {
        let mut asker = Asker::connect(&cli.options).await?;
        with_daemon(&mut asker, &cli.options, command, style).await
    };
    match runtime.block_on(async { tokio::time::timeout(limit, work).await }) {
        Ok(outcome) => outcome.map_err(|f| Failure { code: failure_code, ..f }),
        Err(_) => Err(Failure::new("Maximum runtime exceeded - exiting")),
    }
}

/// Commands that need no daemon; `None` for all others.
fn without_daemon(options: &Options, command: &Cmd, style: Style) -> Option<Outcome> {
    match command {
        Cmd::Listnodes if options.node.is_some() => {
            Some(Err(Failure::new("Node cannot be specified for command listnodes")))
        }
        Cmd::Listnodes => {
            let base = std::env::var_os("CTDB_BASE").filter(|v| !v.is_empty());
            let base = PathBuf::from(base.unwrap_or_else(|| OsString::from("/etc/ctdb")));
            Some(nodes_file::read(&base).map(|nodes| status::listnodes(&nodes, style)))
        }
        Cmd::Version if options.node.is_none() => Some(Ok(daemon::version(env!("CARGO_PKG_VERSION"), style))),
        Cmd::Other(words) => {
            Some(Err(Failure::new(foreign::message(words.first().map_or("", String::as_str)))))
        }
        _ => None,
    }
}

async fn with_daemon(asker: &mut Asker, options: &Options, command: Cmd, style: Style) -> Outcome {
    let verbose = options.verbose;
    match command {
        Cmd::Status => status::status(asker, style).await,
        Cmd::Ip { all } => ip::ip(asker, all.is_some(), verbose, style).await,
        Cmd::Ipinfo { ip } => ip::ipinfo(asker, &ip, style).await,
        Cmd::Ifaces => ip::ifaces(asker, style).await,
        Cmd::Pnn => status::pnn(asker, style).await,
        Cmd::Ping => daemon::ping(asker, style).await,
        Cmd::Leader => status::leader(asker, style).await,
        Cmd::Nodestatus { nodes } => nodestatus::nodestatus(asker, nodes.as_deref(), style).await,
        Cmd::Uptime => daemon::uptime(asker, style).await,
        Cmd::Runstate { states } => daemon::runstate(asker, &states, style).await,
        Cmd::Getvar { name } => vars::getvar(asker, &name, style).await,
        Cmd::Setvar { name, value } => vars::setvar(asker, &name, value).await,
        Cmd::Listvars => vars::listvars(asker, style).await,
        Cmd::Disable => admin::change(asker, Command::Disable).await,
        Cmd::Enable => admin::change(asker, Command::Enable).await,
        Cmd::Stop => admin::change(asker, Command::Stop).await,
        Cmd::Continue => admin::change(asker, Command::Continue).await,
        Cmd::Ban { seconds } => admin::ban(asker, seconds).await,
        Cmd::Unban => admin::change(asker, Command::Unban).await,
        Cmd::Moveip { ip, pnn } => admin::moveip(asker, &ip, pnn).await,
        Cmd::Ipreallocate => admin::change(asker, Command::IpReallocate).await,
        Cmd::Shutdown => admin::change(asker, Command::Shutdown).await,
        Cmd::Event(what) => events(asker, what, verbose, style).await,
        Cmd::Scriptstatus { event } => event::status_legacy(asker, &event, verbose, style).await,
        Cmd::Enablescript { script } => event::switch_legacy(asker, &script, true).await,
        Cmd::Disablescript { script } => event::switch_legacy(asker, &script, false).await,
        Cmd::Version => daemon::version_of_node(asker, style).await,
        Cmd::Timeline { count } => timeline::timeline(asker, count, style).await,
        Cmd::Plan(args) => plan::plan(asker, &args, style).await,
        Cmd::Why { ip } => plan::why(asker, &ip, style).await,
        Cmd::Getpid => daemon::getpid(asker, style).await,
        Cmd::Getdebug => daemon::getdebug(asker, style).await,
        Cmd::Setdebug { level } => daemon::setdebug(asker, level).await,
        Cmd::Lease => lease::lease(asker, style).await,
        Cmd::Getreclock => daemon::getreclock(asker, style).await,
        Cmd::Getcapabilities => daemon::getcapabilities(asker, style).await,
        Cmd::Listnodes | Cmd::Other(_) => unreachable!("handled by without_daemon"),
    }
}

async fn events(asker: &mut Asker, what: EventCmd, verbose: bool, style: Style) -> Outcome {
    match what {
        EventCmd::Status { component, event } => {
            event::status(asker, &component, &event, verbose, style).await
        }
        EventCmd::Run { timeout, component, event, args } => {
            event::run(asker, timeout, &component, &event, &args).await
        }
        EventCmd::Script(ScriptCmd::List { component }) => event::list(asker, &component, style).await,
        EventCmd::Script(ScriptCmd::Enable { component, script }) => {
            event::switch(asker, &component, &script, true).await
        }
        EventCmd::Script(ScriptCmd::Disable { component, script }) => {
            event::switch(asker, &component, &script, false).await
        }
    }
}
