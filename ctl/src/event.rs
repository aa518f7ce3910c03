//! `ctdb event status|run|script …`, and `scriptstatus`.

use crate::ask::{Asker, Patience, unexpected};
use crate::clock::ctime;
use crate::out::{Failure, Outcome, Output, Style, row};
use jiff::tz::TimeZone;
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::model::EventOutcome;
use recoverd::view::{EventView, ScriptInfo, ScriptRow, ScriptState};
use serde_json::{Value, json};

/// CTDB's only component.
const LEGACY: &str = "legacy";

/// CTDB's exit status for a component or script that is not there.
const ENOENT: u8 = 2;
/// CTDB's exit status for an event that has never run.
const EINVAL: u8 = 22;

fn check_component(component: &str) -> Result<(), Failure> {
    if component == LEGACY {
        Ok(())
    } else {
        Err(Failure { message: format!("Event dir for {component} does not exist"), code: ENOENT })
    }
}

/// `ctdb event status`. The exit status is the event's result.
pub(crate) async fn status(
    asker: &mut Asker,
    component: &str,
    event: &str,
    verbose: bool,
    style: Style,
) -> Outcome {
    check_component(component)?;
    let command = DaemonCommand::EventStatus { event: event.to_owned() };
    match asker.daemon(command, Patience::Question).await? {
        DaemonReply::Event(None) => {
            let line = format!("Event {event} has never run in {component}");
            Ok(Output::line(style, line, || Value::Null).with_code(EINVAL))
        }
        DaemonReply::Event(Some(view)) => {
            let output = Output::styled(
                style,
                || status_plain(&view, verbose, &TimeZone::system()),
                |sep| status_table(&view, sep),
                || status_json(&view),
            );
            Ok(output.with_code(exit_status(view.summary)))
        }
        other => Err(unexpected("event status", &other)),
    }
}

/// As the C library would make an exit status of it, but a failure never becomes 0.
fn exit_status(summary: i32) -> u8 {
    match summary.to_le_bytes()[0] {
        0 if summary != 0 => 1,
        code => code,
    }
}

/// `%-20s %-10s %.3lf %s`. Output is shown of scripts that failed, with `-v` of all.
fn status_plain(view: &EventView, verbose: bool, tz: &TimeZone) -> String {
    view.scripts.iter().map(|s| script_text(s, verbose, tz)).collect()
}

fn script_text(s: &ScriptRow, verbose: bool, tz: &TimeZone) -> String {
    let time = ctime(s.started_us, tz);
    let took = s.duration_us as f64 / 1e6;
    let line = match &s.state {
        ScriptState::Ok => format!("{:<20} {:<10} {took:.3} {time}", s.name, "OK"),
        ScriptState::Error { .. } => format!("{:<20} {:<10} {took:.3} {time}", s.name, "ERROR"),
        ScriptState::TimedOut => format!("{:<20} {:<10} {time}", s.name, "TIMEDOUT"),
        ScriptState::Disabled => format!("{:<20} DISABLED", s.name),
        ScriptState::CannotRun { reason } => format!("{:<20} CANNOT RUN ({reason})", s.name),
    };
    let failed = matches!(s.state, ScriptState::Error { .. } | ScriptState::TimedOut);
    let said = if failed || verbose { output_text(&s.output) } else { String::new() };
    format!("{line}\n{said}")
}

/// One line stands beside the word, several below it.
fn output_text(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    match lines.as_slice() {
        [] => String::new(),
        [one] => format!("  OUTPUT: {one}\n"),
        many => {
            let below: String = many.iter().map(|l| format!("    {l}\n")).collect();
            format!("  OUTPUT:\n{below}")
        }
    }
}

fn state_word(state: &ScriptState) -> &'static str {
    match state {
        ScriptState::Ok => "OK",
        ScriptState::Error { .. } => "ERROR",
        ScriptState::TimedOut => "TIMEDOUT",
        ScriptState::Disabled => "DISABLED",
        ScriptState::CannotRun { .. } => "CANNOT RUN",
    }
}

fn status_table(view: &EventView, sep: char) -> String {
    let mut text = row(sep, ["Script", "State", "Duration", "Started"]);
    for s in &view.scripts {
        let took = format!("{:.3}", s.duration_us as f64 / 1e6);
        let started = (s.started_us / 1_000_000).to_string();
        text.push_str(&row(sep, [s.name.as_str(), state_word(&s.state), &took, &started]));
    }
    text
}

fn status_json(view: &EventView) -> Value {
    let scripts = view.scripts.iter().map(|s| {
        let (code, reason) = match &s.state {
            ScriptState::Error { code } => (Some(*code), None),
            ScriptState::CannotRun { reason } => (None, Some(reason)),
            _ => (None, None),
        };
        json!({
            "name": s.name,
            "state": state_word(&s.state),
            "code": code,
            "reason": reason,
            "duration_us": s.duration_us,
            "started_us": s.started_us,
            "output": s.output,
        })
    });
    json!({ "event": view.event, "summary": view.summary, "scripts": scripts.collect::<Vec<_>>() })
}

/// `ctdb event run`.
pub(crate) async fn run(
    asker: &mut Asker,
    timeout_s: u32,
    component: &str,
    event: &str,
    args: &[String],
) -> Outcome {
    check_component(component)?;
    let command = DaemonCommand::EventRun { timeout_s, event: event.to_owned(), args: args.to_vec() };
    match asker.daemon(command, Patience::Run).await? {
        DaemonReply::EventRun(outcome) => run_outcome(&outcome, component, event),
        other => Err(unexpected("event run", &other)),
    }
}

fn run_outcome(outcome: &EventOutcome, component: &str, event: &str) -> Outcome {
    let how = match outcome {
        EventOutcome::Ok => return Ok(Output::silent()),
        EventOutcome::Failed { .. } => "failed",
        EventOutcome::TimedOut { .. } => "timed out",
    };
    Err(Failure::new(format!("Event {event} in {component} {how}\n{outcome}")))
}

async fn scripts(asker: &mut Asker) -> Result<Vec<ScriptInfo>, Failure> {
    match asker.daemon(DaemonCommand::ScriptList, Patience::Question).await? {
        DaemonReply::Scripts(scripts) => Ok(scripts),
        other => Err(unexpected("event script list", &other)),
    }
}

/// `ctdb event script list`.
pub(crate) async fn list(asker: &mut Asker, component: &str, style: Style) -> Outcome {
    check_component(component)?;
    let scripts = scripts(asker).await?;
    Ok(Output::styled(
        style,
        || list_plain(&scripts),
        |sep| list_table(&scripts, sep),
        || {
            let rows = scripts.iter().map(|s| {
                json!({ "name": s.name, "enabled": s.enabled, "builtin": s.builtin, "shipped": s.shipped })
            });
            json!({ "scripts": rows.collect::<Vec<_>>() })
        },
    ))
}

/// Shipped scripts, a blank line, local ones.
fn list_plain(scripts: &[ScriptInfo]) -> String {
    let lines = |shipped| -> String {
        let these = scripts.iter().filter(|s| s.shipped == shipped);
        these.map(|s| format!("{} {}\n", if s.enabled { "*" } else { " " }, s.name)).collect()
    };
    let (shipped, local) = (lines(true), lines(false));
    if local.is_empty() { shipped } else { format!("{shipped}\n{local}") }
}

fn list_table(scripts: &[ScriptInfo], sep: char) -> String {
    let mut text = row(sep, ["Script", "Enabled", "Builtin", "Shipped"]);
    for s in scripts {
        let bits = [s.enabled, s.builtin, s.shipped].map(|b| u8::from(b).to_string());
        text.push_str(&row(sep, std::iter::once(s.name.clone()).chain(bits)));
    }
    text
}

/// `ctdb event script enable|disable`.
pub(crate) async fn switch(asker: &mut Asker, component: &str, script: &str, on: bool) -> Outcome {
    check_component(component)?;
    let name = script.strip_suffix(".script").unwrap_or(script);
    if scripts(asker).await?.iter().all(|s| s.name != name) {
        return Err(Failure {
            message: format!("Script {name} does not exist in {component}"),
            code: ENOENT,
        });
    }
    let command = DaemonCommand::ScriptEnable { name: name.to_owned(), on };
    match asker.daemon(command, Patience::Question).await? {
        DaemonReply::Ok => Ok(Output::silent()),
        other => Err(unexpected("event script enable", &other)),
    }
}

/// `enablescript`, `disablescript`: names from before `ctdb event`.
pub(crate) async fn switch_legacy(asker: &mut Asker, script: &str, on: bool) -> Outcome {
    switch(asker, LEGACY, script, on).await
}

/// `ctdb scriptstatus`.
pub(crate) async fn status_legacy(asker: &mut Asker, event: &str, verbose: bool, style: Style) -> Outcome {
    status(asker, LEGACY, event, verbose, style).await
}

#[cfg(test)]
mod tests;
