//! The daemon itself: `ping`, `getpid`, `uptime`, `runstate`, `version`, `getdebug`, `setdebug`, `getreclock`, `getcapabilities`.

use crate::ask::{Asker, Patience, unexpected};
use crate::cli::Level;
use crate::clock::{ctime, span};
use crate::out::{Failure, Outcome, Output, Style, row};
use jiff::tz::TimeZone;
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::model::{Pnn, RunState};
use recoverd::view::UptimeView;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn ask(asker: &mut Asker, command: DaemonCommand) -> Result<DaemonReply, Failure> {
    asker.daemon(command, Patience::Question).await
}

/// `ctdb ping`.
pub(crate) async fn ping(asker: &mut Asker, style: Style) -> Outcome {
    let pnn = asker.pnn().await?;
    let start = Instant::now();
    match ask(asker, DaemonCommand::Ping).await? {
        DaemonReply::Pong { clients } => {
            let took = start.elapsed();
            let json = || json!({ "node": pnn.0, "time": took.as_secs_f64(), "clients": clients });
            Ok(Output::line(style, ping_line(pnn, took, clients), json))
        }
        other => Err(unexpected("ping", &other)),
    }
}

fn ping_line(pnn: Pnn, took: Duration, clients: u32) -> String {
    format!("response from {pnn} time={:.6} sec  ({clients} clients)", took.as_secs_f64())
}

/// `ctdb getpid`.
pub(crate) async fn getpid(asker: &mut Asker, style: Style) -> Outcome {
    match ask(asker, DaemonCommand::GetPid).await? {
        DaemonReply::Pid(pid) => Ok(Output::line(style, pid, || json!({ "pid": pid }))),
        other => Err(unexpected("getpid", &other)),
    }
}

/// `ctdb uptime`.
pub(crate) async fn uptime(asker: &mut Asker, style: Style) -> Outcome {
    let pnn = asker.pnn().await?;
    match ask(asker, DaemonCommand::Uptime).await? {
        DaemonReply::Uptime(view) => Ok(Output::styled(
            style,
            || uptime_plain(&view, pnn, &TimeZone::system()),
            |sep| uptime_table(&view, sep),
            || uptime_json(&view, pnn),
        )),
        other => Err(unexpected("uptime", &other)),
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn uptime_plain(view: &UptimeView, pnn: Pnn, tz: &TimeZone) -> String {
    let ago = |us: i64| format!("{} {}", span(view.now_us.saturating_sub(us)), ctime(us, tz));
    let last = view.last_recovery_us.map_or_else(|| "never".to_owned(), ago);
    format!(
        "Current time of node {:<4}     :                {}\n\
         Ctdbd start time              : {}\n\
         Time of last recovery/failover: {last}\n\
         Duration of last recovery/failover: {} seconds\n",
        pnn.to_string(),
        ctime(view.now_us, tz),
        ago(view.started_us),
        seconds(view.last_recovery_duration_us)
    )
}

fn uptime_table(view: &UptimeView, sep: char) -> String {
    let header = row(
        sep,
        [
            "Current Node Time",
            "Ctdb Start Time",
            "Last Recovery/Failover Time",
            "Last Recovery/IPFailover Duration",
        ],
    );
    let at = |us: i64| (us / 1_000_000).to_string();
    header
        + &row(
            sep,
            [
                at(view.now_us),
                at(view.started_us),
                at(view.last_recovery_us.unwrap_or(0)),
                seconds(view.last_recovery_duration_us),
            ],
        )
}

fn uptime_json(view: &UptimeView, pnn: Pnn) -> Value {
    json!({
        "node": pnn.0,
        "now_us": view.now_us,
        "started_us": view.started_us,
        "last_recovery_us": view.last_recovery_us,
        "last_recovery_duration_us": view.last_recovery_duration_us,
    })
}

/// `ctdb runstate [STATE…]`.
pub(crate) async fn runstate(asker: &mut Asker, wanted: &[String], style: Style) -> Outcome {
    let wanted = wanted.iter().map(|s| parse_runstate(s)).collect::<Result<Vec<_>, _>>()?;
    match ask(asker, DaemonCommand::RunState).await? {
        DaemonReply::RunState(is) if wanted.is_empty() || wanted.contains(&is) => {
            Ok(Output::line(style, is, || json!({ "runstate": is.as_str() })))
        }
        DaemonReply::RunState(is) => Err(Failure::new(format!("CTDB not in required run state (got {is})"))),
        other => Err(unexpected("runstate", &other)),
    }
}

fn parse_runstate(text: &str) -> Result<RunState, Failure> {
    text.parse().map_err(|()| Failure::new(format!("Invalid run state ({text})")))
}

/// `ctdb version`: of this program, or with `-n` of that node's daemon.
pub(crate) async fn version_of_node(asker: &mut Asker, style: Style) -> Outcome {
    match ask(asker, DaemonCommand::Version).await? {
        DaemonReply::Version(text) => Ok(version(&text, style)),
        other => Err(unexpected("version", &other)),
    }
}

/// The version of this program.
pub(crate) fn version(text: &str, style: Style) -> Output {
    Output::line(style, text, || json!({ "version": text }))
}

/// `ctdb getdebug`.
pub(crate) async fn getdebug(asker: &mut Asker, style: Style) -> Outcome {
    match ask(asker, DaemonCommand::GetDebug).await? {
        DaemonReply::Debug(level) => Ok(Output::line(style, &level, || json!({ "debug": level }))),
        other => Err(unexpected("getdebug", &other)),
    }
}

/// `ctdb setdebug`.
pub(crate) async fn setdebug(asker: &mut Asker, level: Level) -> Outcome {
    let command = DaemonCommand::SetDebug { level: level.as_str().to_owned() };
    match ask(asker, command).await? {
        DaemonReply::Ok => Ok(Output::silent()),
        other => Err(unexpected("setdebug", &other)),
    }
}

/// `ctdb getreclock`: nothing at all without a cluster lock.
pub(crate) async fn getreclock(asker: &mut Asker, style: Style) -> Outcome {
    match ask(asker, DaemonCommand::GetReclock).await? {
        DaemonReply::Reclock(setting) => {
            let plain = || setting.as_ref().map(|s| format!("{s}\n")).unwrap_or_default();
            Ok(Output::styled(style, plain, |_| plain(), || json!({ "reclock": setting })))
        }
        other => Err(unexpected("getreclock", &other)),
    }
}

/// `ctdb getcapabilities`.
pub(crate) async fn getcapabilities(asker: &mut Asker, style: Style) -> Outcome {
    match ask(asker, DaemonCommand::GetCapabilities).await? {
        DaemonReply::Capabilities { leader, lmaster } => Ok(capabilities(leader, lmaster, style)),
        other => Err(unexpected("getcapabilities", &other)),
    }
}

fn capabilities(leader: bool, lmaster: bool, style: Style) -> Output {
    let word = |b| if b { "YES" } else { "NO" };
    Output::styled(
        style,
        || format!("LEADER: {}\nLMASTER: {}\n", word(leader), word(lmaster)),
        |sep| row(sep, ["LEADER", "LMASTER"]) + &row(sep, [u8::from(leader), u8::from(lmaster)]),
        || json!({ "leader": leader, "lmaster": lmaster }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference's example.
    fn view() -> UptimeView {
        UptimeView {
            now_us: 1_256_812_734_000_000,
            started_us: 1_256_751_866_000_000,
            last_recovery_us: Some(1_256_751_923_000_000),
            last_recovery_duration_us: 2_248_552,
        }
    }

    #[test]
    fn uptime_as_ctdb_prints_it() {
        assert_eq!(
            uptime_plain(&view(), Pnn(0), &TimeZone::UTC),
            "\
Current time of node 0        :                Thu Oct 29 10:38:54 2009
Ctdbd start time              : (000 16:54:28) Wed Oct 28 17:44:26 2009
Time of last recovery/failover: (000 16:53:31) Wed Oct 28 17:45:23 2009
Duration of last recovery/failover: 2.248552 seconds
"
        );
        let none = UptimeView { last_recovery_us: None, ..view() };
        assert!(uptime_plain(&none, Pnn(0), &TimeZone::UTC).contains("recovery/failover: never\n"));
        assert_eq!(uptime_json(&none, Pnn(3))["last_recovery_us"], Value::Null);
    }

    #[test]
    fn uptime_for_a_script() {
        let text = uptime_table(&view(), '|');
        assert_eq!(text.lines().nth(1), Some("|1256812734|1256751866|1256751923|2.248552|"));
    }

    #[test]
    fn ping_as_ctdb_prints_it() {
        assert_eq!(
            ping_line(Pnn(0), Duration::from_micros(50), 3),
            "response from 0 time=0.000050 sec  (3 clients)"
        );
    }

    #[test]
    fn run_states_are_checked() {
        assert_eq!(parse_runstate("running"), Ok(RunState::Running));
        assert_eq!(parse_runstate("FOO").unwrap_err().message, "Invalid run state (FOO)");
    }

    #[test]
    fn capabilities_in_all_shapes() {
        assert_eq!(capabilities(true, false, Style::Plain).text, "LEADER: YES\nLMASTER: NO\n");
        assert_eq!(capabilities(true, true, Style::Table('|')).text, "|LEADER|LMASTER|\n|1|1|\n");
        assert_eq!(
            capabilities(true, true, Style::Json).text,
            "{\n  \"leader\": true,\n  \"lmaster\": true\n}\n"
        );
    }

    #[test]
    fn version_is_one_line_or_an_object() {
        assert_eq!(version("0.1.0", Style::Table('|')).text, "0.1.0\n");
        assert_eq!(version("0.1.0", Style::Json).text, "{\n  \"version\": \"0.1.0\"\n}\n");
    }
}
