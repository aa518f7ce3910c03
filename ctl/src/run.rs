//! From the command line to an exit status.

use crate::ask::Asker;
use crate::cli::{self, Cli, Cmd, ConfigCmd, EventCmd, Link, LvsCmd, Options, ScriptCmd, Switch};
use crate::group::{self, Kind, Question};
use crate::nodes::Target;
use crate::out::{Failure, Outcome, Output, Style, finish};
use crate::{
    admin, config_check, daemon, event, foreign, gather, helper, ip, killtcp, lease, lvs, lvs_director,
    nodes_file, nodestatus, plan, port, reload, statistics, status, tickle, timeline, usage, vars,
};
use clap::Parser;
use clap::error::ErrorKind;
use futures_util::future::join_all;
use recoverd::command::{Command, DaemonCommand};
use recoverd::model::Pnn;
use recoverd::view::lvs::LvsState;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The program `ctdb`. Arguments and environment are the process's.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(outcome) = helper::without_command(&args) {
        return ExitCode::from(finish(outcome));
    }
    ExitCode::from(match Cli::try_parse_from(helper::command_line(args)) {
        Ok(cli) => finish(execute(cli)),
        Err(e) => refused(&e),
    })
}

/// Help and version go to stdout and are no error; everything else is exit status 1, as in CTDB (2 and 3 mean something in `plan`).
fn refused(error: &clap::Error) -> u8 {
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
    if cli.options.usage {
        return Ok(Output::text(usage::text(&cli::command())));
    }
    let style = cli.options.style()?;
    let Some(command) = cli.command else {
        return Err(Failure::new(format!("Usage: {}\nctdb help lists options and commands", cli::USAGE)));
    };
    let ask = Ask { style, verbose: cli.options.verbose, command };
    if let Some(outcome) = without_daemon(&cli.options, &ask.command, style) {
        return outcome.map(|output| output.never_silent(style));
    }
    let fail = |e: std::io::Error| Failure::new(format!("cannot start: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let limit = Duration::from_secs(cli.options.maxruntime.max(1).into());
    match runtime.block_on(async { tokio::time::timeout(limit, ask.anywhere(&cli.options)).await }) {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::new("Maximum runtime exceeded - exiting")),
    }
}

/// A command with the way in which its answer is wanted.
struct Ask {
    style: Style,
    verbose: bool,
    command: Cmd,
}

impl Ask {
    /// Asks the nodes that are meant.
    async fn anywhere(&self, options: &Options) -> Outcome {
        let mut asker = Asker::connect(options).await.map_err(|f| self.failed(f))?;
        let Some(nodes) = &options.node else { return self.at(asker).await };
        let status = asker.status().await.map_err(|f| self.failed(f))?;
        let targets = nodes.targets(&status).map_err(|why| self.failed(Failure::new(why)))?;
        let here = status.this_node;
        if nodes.several() {
            let flags = matches!(self.command, Cmd::Nodestatus { .. });
            return Ok(gather::merge(self.everywhere(&asker, targets, here).await, self.style, flags));
        }
        match targets.into_iter().next() {
            Some(target) => self.reach(&asker, &target, here).await,
            None => Err(self.failed(Failure::new("there is no such node; see `ctdb status`"))),
        }
    }

    /// Asks all of them at once; the daemon that passes the questions on ends last.
    async fn everywhere(&self, asker: &Asker, targets: Vec<Target>, here: Pnn) -> Vec<(Target, Outcome)> {
        let last = |t: &Target| t.pnn == here && matches!(self.command, Cmd::Shutdown);
        let mut answers = join_all(targets.iter().map(|target| async {
            if last(target) { None } else { Some(self.reach(asker, target, here).await) }
        }))
        .await;
        for (target, answer) in targets.iter().zip(&mut answers) {
            if answer.is_none() {
                *answer = Some(self.reach(asker, target, here).await);
            }
        }
        targets.into_iter().zip(answers.into_iter().flatten()).collect()
    }

    async fn reach(&self, asker: &Asker, target: &Target, here: Pnn) -> Outcome {
        match &target.unreachable {
            Some(why) => Err(self.failed(Failure::new(why.clone()))),
            None => self.at(asker.at(target.pnn, here)).await,
        }
    }

    async fn at(&self, mut asker: Asker) -> Outcome {
        let outcome = with_daemon(&mut asker, self.verbose, self.command.clone(), self.style).await;
        outcome.map(|output| output.never_silent(self.style)).map_err(|f| self.failed(f))
    }

    /// Any exit status of `nodestatus` but 255 would read as flags.
    fn failed(&self, failure: Failure) -> Failure {
        if matches!(self.command, Cmd::Nodestatus { .. }) {
            Failure { code: 255, ..failure }
        } else {
            failure
        }
    }
}

/// Refuses `-n` where it means nothing. CTDB has two texts: one for commands that ask no daemon, one for those that ask about a group.
fn refuses_node(command: &Cmd) -> Option<String> {
    let (cannot, name) = match command {
        Cmd::Listnodes => ("Cannot specify node for command", "listnodes"),
        Cmd::Checktcpport { .. } => ("Cannot specify node for command", "checktcpport"),
        Cmd::Tickle { .. } => ("Cannot specify node for command", "tickle"),
        Cmd::Killtcp { .. } => ("Cannot specify node for command", "killtcp"),
        Cmd::Reloadnodes => ("Node cannot be specified for command", "reloadnodes"),
        Cmd::Config(_) => ("Cannot specify node for command", "config"),
        Cmd::Natgw { .. } | Cmd::Natgwlist => ("Node cannot be specified for command", "natgw"),
        // The director is one of each node.
        Cmd::Lvs {
            what: Some(LvsCmd::Services | LvsCmd::Reload | LvsCmd::Drain { .. } | LvsCmd::Undrain { .. }),
        } => return None,
        Cmd::Lvs { .. } | Cmd::Lvsmaster => ("Node cannot be specified for command", "lvs"),
        _ => return None,
    };
    Some(format!("{cannot} {name}"))
}

/// Commands that need no daemon; `None` for all others.
fn without_daemon(options: &Options, command: &Cmd, style: Style) -> Option<Outcome> {
    if let Some(why) = refuses_node(command).filter(|_| options.node.is_some()) {
        return Some(Err(Failure::new(why)));
    }
    match command {
        Cmd::Listnodes => {
            Some(nodes_file::read(&nodes_file::base()).map(|nodes| status::listnodes(&nodes, style)))
        }
        Cmd::Checktcpport { port } => Some(port::check(*port)),
        Cmd::Setlmasterrole { .. } => Some(Ok(admin::setlmasterrole())),
        Cmd::Tickle { ends } => Some(tickle::tickle(ends)),
        Cmd::Killtcp { ends, .. } => Some(killtcp::run(ends)),
        Cmd::Config(ConfigCmd::Check { dir }) => Some(config_check::run(dir.clone(), style)),
        Cmd::Lvs { what: Some(what) } => lvs::run(what, style),
        Cmd::Version if options.node.is_none() => Some(Ok(daemon::version(env!("CARGO_PKG_VERSION"), style))),
        Cmd::Other(words) => {
            Some(Err(Failure::new(foreign::message(words.first().map_or("", String::as_str)))))
        }
        _ => None,
    }
}

async fn with_daemon(asker: &mut Asker, verbose: bool, command: Cmd, style: Style) -> Outcome {
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
        Cmd::Addip { ip, iface } => reload::addip(asker, &ip, &iface).await,
        Cmd::Delip { ip } => reload::delip(asker, &ip).await,
        Cmd::Reloadips { nodes } => reload::reloadips(asker, nodes.as_deref()).await,
        Cmd::Reloadnodes => reload::reloadnodes(asker).await,
        Cmd::Ipreallocate | Cmd::Recover => admin::change(asker, Command::IpReallocate).await,
        Cmd::Setifacelink { iface, link } => admin::setifacelink(asker, &iface, link == Link::Up).await,
        Cmd::Gratarp { ip, iface } => admin::gratarp(asker, &ip, &iface).await,
        Cmd::Setleaderrole { role } => {
            admin::change(asker, Command::SetLeaderRole { on: role == Switch::On }).await
        }
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
        Cmd::Gettickles { ip, port } => tickle::gettickles(asker, &ip, port, style).await,
        Cmd::Addtickle { ends } => tickle::addtickle(asker, &ends).await,
        Cmd::Deltickle { ends } => tickle::deltickle(asker, &ends).await,
        Cmd::Statistics => statistics::statistics(asker, style).await,
        Cmd::Statisticsreset => statistics::reset(asker).await,
        Cmd::Stats { count } => statistics::stats(asker, count, style).await,
        Cmd::Natgw { what } => group::ask(asker, Kind::Natgw, what.into(), style).await,
        Cmd::Natgwlist => group::ask(asker, Kind::Natgw, Question::List, style).await,
        Cmd::Lvs { what: Some(LvsCmd::Services) } => lvs_director::services(asker, style).await,
        Cmd::Lvs { what: Some(LvsCmd::Status) } if !group::is_there(Kind::Lvs) => {
            match lvs_director::report(asker).await? {
                report if report.state == LvsState::Off => {
                    group::ask(asker, Kind::Lvs, Question::Status, style).await
                }
                report => Ok(lvs_director::show(&report, style)),
            }
        }
        Cmd::Lvs { what: Some(LvsCmd::Status) } => {
            let shown = group::ask(asker, Kind::Lvs, Question::Status, style).await?;
            Ok(lvs_director::with_trouble(asker, shown).await)
        }
        Cmd::Lvs { what: Some(LvsCmd::Reload) } => {
            lvs_director::change(asker, "lvs reload", DaemonCommand::LvsReload).await
        }
        Cmd::Lvs { what: Some(LvsCmd::Drain { service, real, deadline }) } => {
            let command = DaemonCommand::LvsDrain { service, real, deadline_s: deadline };
            lvs_director::change(asker, "lvs drain", command).await
        }
        Cmd::Lvs { what: Some(LvsCmd::Undrain { service, real }) } => {
            lvs_director::change(asker, "lvs undrain", DaemonCommand::LvsUndrain { service, real }).await
        }
        Cmd::Lvs { what } => {
            let question = what.as_ref().and_then(Question::of_lvs).unwrap_or(Question::List);
            group::ask(asker, Kind::Lvs, question, style).await
        }
        Cmd::Lvsmaster => group::ask(asker, Kind::Lvs, Question::Leader, style).await,
        Cmd::Listnodes
        | Cmd::Checktcpport { .. }
        | Cmd::Setlmasterrole { .. }
        | Cmd::Tickle { .. }
        | Cmd::Killtcp { .. }
        | Cmd::Config(_)
        | Cmd::Other(_) => unreachable!("handled by without_daemon"),
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
