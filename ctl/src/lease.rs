//! `ctdb lease`, and the lease's line in `ctdb status`. Ours: CTDB has no leases.

use crate::ask::{Asker, Patience, unexpected};
use crate::out::{Outcome, Output, Style, row};
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::view::{LeaseReport, Seat};
use serde_json::{Value, json};
use std::fmt::Write;

/// `ctdb lease`.
pub(crate) async fn lease(asker: &mut Asker, style: Style) -> Outcome {
    match asker.daemon(DaemonCommand::Lease, Patience::Question).await? {
        DaemonReply::Lease(report) => {
            let report = report.as_deref();
            Ok(Output::styled(style, || plain(report), |sep| table(report, sep), || lease_json(report)))
        }
        other => Err(unexpected("lease", &other)),
    }
}

/// The line that `ctdb status` adds; nothing from a daemon that does not say.
pub(crate) async fn status_line(asker: &mut Asker) -> Option<String> {
    match asker.daemon(DaemonCommand::Lease, Patience::Question).await {
        Ok(DaemonReply::Lease(report)) => Some(line(report.as_deref())),
        _ => None,
    }
}

fn ms(us: u64) -> u64 {
    us / 1000
}

fn line(report: Option<&LeaseReport>) -> String {
    let Some(r) = report else { return "Lease:OFF\n".to_owned() };
    match r.left_us {
        Some(left) => format!("Lease:{} ms, gate {}\n", ms(left), r.gate),
        None => format!("Lease:LAPSED, gate {}\n", r.gate),
    }
}

fn seat_text(seat: &Seat) -> String {
    match seat {
        Seat::Unheard => "not heard in this epoch: it may hold anything".to_owned(),
        Seat::Joined(session) => format!("joined with session {session}"),
        Seat::Out(how) => format!("holds nothing: {how}"),
    }
}

fn plain(report: Option<&LeaseReport>) -> String {
    let Some(r) = report else {
        return "There are no leases here: LeaseTime is 0, or two nodes have no cluster lock.\n".to_owned();
    };
    let mut text = match r.left_us {
        Some(left) => format!(
            "Lease: this node may serve for {} ms more (LeaseTime {} ms)\nExtended last: {}\n",
            ms(left),
            ms(r.lease_time_us),
            r.rule
        ),
        None => format!("Lease: lapsed; this node serves nothing (LeaseTime {} ms)\n", ms(r.lease_time_us)),
    };
    let session = r.view.session.map_or_else(|| "none".to_owned(), |s| s.to_string());
    let role = if r.view.leading { "this node leads" } else { "led by" };
    let leader = if r.view.leading { String::new() } else { format!(" node {}", r.view.epoch.pnn) };
    let _infallible = write!(
        text,
        "Gate: {}\nSession: {session}\nEpoch: {}, {role}{leader}\nLapses: {}\n",
        r.gate, r.view.epoch, r.view.lapses
    );
    let _infallible =
        writeln!(text, "Lease thread: {}; at most {:.1} ms late", r.scheduling, r.late_max_us as f64 / 1e3);
    for (pnn, seat) in &r.view.seats {
        let _infallible = writeln!(text, "Node {pnn}: {}", seat_text(seat));
    }
    text
}

fn table(report: Option<&LeaseReport>, sep: char) -> String {
    let mut text = row(sep, ["On", "LeftMs", "LeaseTimeMs", "Rule", "Gate", "Epoch", "Leading", "Lapses"]);
    text.push_str(&match report {
        None => row(sep, ["0", "", "", "", "", "", "", ""]),
        Some(r) => row(
            sep,
            [
                "1".to_owned(),
                r.left_us.map(|us| ms(us).to_string()).unwrap_or_default(),
                ms(r.lease_time_us).to_string(),
                r.rule.clone(),
                r.gate.clone(),
                r.view.epoch.to_string(),
                u8::from(r.view.leading).to_string(),
                r.view.lapses.to_string(),
            ],
        ),
    });
    text
}

fn lease_json(report: Option<&LeaseReport>) -> Value {
    let Some(r) = report else { return json!({ "leases": false }) };
    let seats = r.view.seats.iter().map(|(pnn, seat)| json!({ "node": pnn.0, "seat": seat_text(seat) }));
    json!({
        "leases": true,
        "left_us": r.left_us,
        "lease_time_us": r.lease_time_us,
        "extended_by": r.rule,
        "gate": r.gate,
        "session": r.view.session.map(|s| s.to_string()),
        "epoch": r.view.epoch.to_string(),
        "leading": r.view.leading,
        "lapses": r.view.lapses,
        "scheduling": r.scheduling,
        "late_max_us": r.late_max_us,
        "members": seats.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
