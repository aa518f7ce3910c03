//! `ctdb lvs realserver up|down|show`: the virtual address on a real server's `lo`.
//!
//! The crate `lvs` plans and does it; the state file is below `CTDB_VARDIR`.

use crate::cli::RealServerCmd;
use crate::out::{Failure, Outcome, Output, Style, json_text, row};
use config::Paths;
use lvs::realserver::plan::Plan;
use lvs::realserver::{RealServerError, SETTINGS, Seen, State, host};
use serde_json::json;
use std::net::IpAddr;

/// Runs it.
pub(crate) fn run(what: &RealServerCmd, style: Style) -> Outcome {
    let dir = Paths::from_env().vardir;
    match what {
        RealServerCmd::Up { vips } => host::put_up(&dir, vips).map(|p| done(&p, style)),
        RealServerCmd::Down { vips } => host::take_down(&dir, vips).map(|p| done(&p, style)),
        RealServerCmd::Show { vips } => {
            host::show(&dir).map(|(state, seen)| show(&state, &seen, vips, style))
        }
    }
    .map_err(|e: RealServerError| Failure::new(e.to_string()))
}

/// What was done; silence when nothing was to be done.
fn done(plan: &Plan, style: Style) -> Output {
    if style == Style::Json {
        return Output::text(json_text(&json!({
            "ok": true,
            "done": plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "notes": plan.notes,
            "vips": plan.state.vips.keys().collect::<Vec<_>>(),
        })));
    }
    let mut output = Output::text(plan.steps.iter().map(|s| format!("{s}\n")).collect::<String>());
    output.notes.clone_from(&plan.notes);
    output
}

/// One virtual address as it is now.
struct Shown {
    vip: IpAddr,
    on_lo: bool,
    by_us: Option<bool>,
    /// Why this host may be heard to have the address; empty when it is not.
    wrong: Vec<String>,
}

fn shown(state: &State, seen: &Seen, vip: IpAddr) -> Shown {
    let mut wrong = Vec::new();
    if !seen.on_loopback(vip) {
        wrong.push("not on lo: `ctdb lvs realserver up` puts it there".to_owned());
    }
    if let Some(iface) = seen.elsewhere(vip) {
        wrong.push(format!("on {iface}: this host answers ARP for it"));
    }
    if vip.is_ipv4() {
        for (name, wanted) in SETTINGS {
            let now = seen.settings.get(name).copied().unwrap_or_default();
            if now < wanted {
                let name = name.replace('/', ".");
                wrong.push(format!(
                    "net.ipv4.conf.{name} is {now}, not {wanted}: this host is heard to have it"
                ));
            }
        }
    }
    Shown { vip, on_lo: seen.on_loopback(vip), by_us: state.vips.get(&vip).copied(), wrong }
}

fn show(state: &State, seen: &Seen, vips: &[IpAddr], style: Style) -> Output {
    let named: Vec<IpAddr> =
        if vips.is_empty() { state.vips.keys().copied().collect() } else { vips.to_vec() };
    let all: Vec<Shown> = named.into_iter().map(|vip| shown(state, seen, vip)).collect();
    let code = u8::from(all.iter().any(|s| !s.wrong.is_empty()));
    let origin = |s: &Shown| match s.by_us {
        Some(true) => "put up by ctdb",
        Some(false) => "was there before `up`",
        None => "not by ctdb",
    };
    let text = match style {
        Style::Json => json_text(&json!({
            "ok": code == 0,
            "vips": all.iter().map(|s| json!({
                "vip": s.vip, "on_lo": s.on_lo, "put_up": s.by_us == Some(true), "wrong": s.wrong,
            })).collect::<Vec<_>>(),
            "settings": SETTINGS.iter().map(|(name, wanted)| json!({
                "name": format!("net.ipv4.conf.{}", name.replace('/', ".")),
                "value": seen.settings.get(*name), "wanted": wanted, "before": state.settings.get(*name).map(|c| c.before),
            })).collect::<Vec<_>>(),
        })),
        Style::Table(sep) => {
            let mut text = row(sep, ["VIP", "OnLo", "PutUp", "Wrong"]);
            for s in &all {
                let flag = |b: bool| u8::from(b).to_string();
                text += &row(
                    sep,
                    [s.vip.to_string(), flag(s.on_lo), flag(s.by_us == Some(true)), s.wrong.join("; ")],
                );
            }
            text
        }
        Style::Plain if all.is_empty() => "no virtual address was put up on this host\n".to_owned(),
        Style::Plain => {
            let verdict = |s: &Shown| if s.wrong.is_empty() { "OK".to_owned() } else { s.wrong.join("; ") };
            let mut text: String =
                all.iter().map(|s| format!("{}: {} ({})\n", s.vip, verdict(s), origin(s))).collect();
            for (name, changed) in &state.settings {
                let name = name.replace('/', ".");
                text +=
                    &format!("net.ipv4.conf.{name}: {} by `up`, {} before\n", changed.ours, changed.before);
            }
            text
        }
    };
    Output::text(text).with_code(code)
}
