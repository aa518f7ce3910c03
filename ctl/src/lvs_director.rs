//! `ctdb lvs services|reload|drain|undrain`: the LVS director of a node. CTDB has none of these; the group of nodes that its `91.lvs` makes is
//! in [`crate::group`].

use crate::ask::{Asker, Patience, unexpected};
use crate::out::{Failure, Outcome, Output, Style, row};
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::view::lvs::{LvsDest, LvsKernelService, LvsReport, LvsServer, LvsService, LvsState};

/// Columns of a table.
const COLUMNS: [&str; 15] = [
    "Service",
    "Kernel",
    "Place",
    "Server",
    "State",
    "Reason",
    "Dest",
    "Forward",
    "Weight",
    "Active",
    "Inactive",
    "Connections",
    "ConnectionsRate",
    "BytesInRate",
    "Note",
];

/// `ctdb lvs services`.
pub(crate) async fn services(asker: &mut Asker, style: Style) -> Outcome {
    Ok(show(&report(asker).await?, style))
}

/// The director's answer.
pub(crate) async fn report(asker: &mut Asker) -> Result<LvsReport, Failure> {
    match asker.daemon(DaemonCommand::LvsServices, Patience::Question).await? {
        DaemonReply::Lvs(report) => Ok(*report),
        other => Err(unexpected("lvs services", &other)),
    }
}

/// The group's answer, with a note where the director of the asked node cannot serve it. CTDB says nothing then; text and exit status stay CTDB's.
pub(crate) async fn with_trouble(asker: &mut Asker, mut shown: Output) -> Output {
    // What the group was asked is answered: that there is no more to say is no failure.
    if let Ok(LvsReport { state: LvsState::NoKernel(why), .. }) = report(asker).await {
        shown.notes.push(format!("LVS does not serve on this node: {why}"));
    }
    shown
}

/// Exit status 1 when there is something that an operator must do.
pub(crate) fn show(report: &LvsReport, style: Style) -> Output {
    let bad = !matches!(report.state, LvsState::Off | LvsState::On | LvsState::Starting)
        || !report.refused.is_empty()
        || !report.failures.is_empty()
        || !report.troubles.is_empty()
        || report.forwarding.iter().any(|f| f.works == Some(false))
        || dests(report).any(|d| d.black_hole);
    let json = || serde_json::to_value(report).unwrap_or_default();
    Output::styled(style, || plain(report), |sep| table(report, sep), json).with_code(u8::from(bad))
}

fn dests(report: &LvsReport) -> impl Iterator<Item = &LvsDest> {
    report.services.iter().flat_map(|s| &s.kernel).flat_map(|k| &k.dests)
}

/// `ctdb lvs reload`, `drain`, `undrain`.
pub(crate) async fn change(asker: &mut Asker, what: &str, command: DaemonCommand) -> Outcome {
    match asker.daemon(command, Patience::Question).await? {
        DaemonReply::Ok => Ok(Output::silent()),
        DaemonReply::Note(note) => Ok(Output { notes: vec![note], ..Output::default() }),
        other => Err(unexpected(what, &other)),
    }
}

fn plain(report: &LvsReport) -> String {
    let mut text = match &report.state {
        LvsState::Off => return format!("LVS director: off ({} is not there)\n", report.file),
        LvsState::Refused => {
            format!("LVS director: OFF, {} is refused; virtual services are not served\n", report.file)
        }
        LvsState::Starting => "LVS director: starting\n".to_owned(),
        LvsState::NoKernel(why) => format!("LVS director: virtual services are NOT SERVED: {why}\n"),
        LvsState::On => "LVS director: on\n".to_owned(),
    };
    if !report.refused.is_empty() && report.state != LvsState::Refused {
        text += &format!("{} is refused, the configuration before it is in force:\n", report.file);
    }
    let mut lines = |what: &str, all: &[String]| {
        all.iter().for_each(|line| text += &format!("  {what}{line}\n"));
    };
    lines("", &report.refused);
    lines("", &report.warnings);
    let broken = report.forwarding.iter().filter(|f| f.works == Some(false));
    lines("error: ", &broken.map(|f| f.text.clone()).collect::<Vec<_>>());
    lines("error: ", &report.troubles);
    lines("refused by the kernel: ", &report.failures);
    lines("sync daemon: ", &report.sync);
    lines("not ours: ", &report.foreign);
    report.services.iter().for_each(|s| service(&mut text, s));
    text
}

fn service(text: &mut String, s: &LvsService) {
    let quorum = match (s.quorum, s.sorry) {
        (true, _) => "",
        (false, true) => ", NO QUORUM, the sorry server serves",
        (false, false) => ", NO QUORUM",
    };
    let broken = if s.does_not_forward { ", THE KERNEL DOES NOT FORWARD" } else { "" };
    *text += &format!("\nvirtual server {}{quorum}{broken}\n", s.name);
    for server in &s.servers {
        *text += &format!("  {:<24} {:<8} {}\n", server.name, shown(server), server.reason);
    }
    for kernel in &s.kernel {
        let c = &kernel.counters;
        let there = if kernel.present { "" } else { ", not in the kernel" };
        *text += &format!(
            "  {} {} ({}{there}): {} connections, {}/s, in {} B/s, out {} B/s\n",
            kernel.service,
            kernel.scheduler,
            kernel.place,
            c.connections,
            c.connections_rate,
            c.bytes_in_rate,
            c.bytes_out_rate
        );
        for d in &kernel.dests {
            *text += &format!(
                "    -> {:<22} {} weight {} active {} inactive {}, {} connections, {}/s{}\n",
                d.dest,
                d.forward,
                d.weight,
                d.active,
                d.inactive,
                d.counters.connections,
                d.counters.connections_rate,
                note(d)
            );
        }
    }
}

/// Unknown is what it was.
fn shown(server: &LvsServer) -> String {
    match (server.state.as_str(), server.up) {
        ("unknown", true) => "up?".to_owned(),
        ("unknown", false) => "down?".to_owned(),
        (state, _) => state.to_owned(),
    }
}

fn note(d: &LvsDest) -> String {
    let drain = d.drain_s.map(|s| format!(", drained for {s} s at most"));
    let black = d.black_hole.then(|| ", FORWARDING BLACK HOLE: no connection becomes established".to_owned());
    drain.into_iter().chain(black).collect()
}

fn table(report: &LvsReport, sep: char) -> String {
    let mut text = row(sep, COLUMNS);
    for s in &report.services {
        for k in &s.kernel {
            for server in &s.servers {
                text += &row(sep, cells(s, k, Some(server), k.dests.iter().find(|d| matches(server, d))));
            }
            let other = |d: &&LvsDest| !s.servers.iter().any(|server| matches(server, d));
            k.dests.iter().filter(other).for_each(|d| text += &row(sep, cells(s, k, None, Some(d))));
        }
    }
    text
}

/// A real server without a port has the service's.
fn matches(server: &LvsServer, dest: &LvsDest) -> bool {
    let with_port = dest.dest.rsplit_once(':').map_or(dest.dest.as_str(), |(addr, _)| addr);
    dest.dest == server.name || with_port.trim_matches(['[', ']']) == server.name
}

fn cells(
    s: &LvsService,
    k: &LvsKernelService,
    server: Option<&LvsServer>,
    d: Option<&LvsDest>,
) -> [String; 15] {
    let of = |number: fn(&LvsDest) -> u64| d.map(|d| number(d).to_string()).unwrap_or_default();
    [
        s.name.clone(),
        k.service.clone(),
        k.place.clone(),
        server.map(|s| s.name.clone()).unwrap_or_default(),
        server.map(|s| s.state.clone()).unwrap_or_default(),
        server.map(|s| s.reason.clone()).unwrap_or_default(),
        d.map(|d| d.dest.clone()).unwrap_or_default(),
        d.map(|d| d.forward.clone()).unwrap_or_default(),
        of(|d| d.weight.into()),
        of(|d| d.active.into()),
        of(|d| d.inactive.into()),
        of(|d| d.counters.connections),
        of(|d| d.counters.connections_rate),
        of(|d| d.counters.bytes_in_rate),
        d.map(|d| note(d).trim_start_matches(", ").to_owned()).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use recoverd::view::lvs::LvsForwarding;

    fn served() -> LvsReport {
        let server = |name: &str, state: &str, reason: &str| LvsServer {
            name: name.into(),
            state: state.into(),
            up: state == "up",
            reason: reason.into(),
            ..LvsServer::default()
        };
        let dest = LvsDest {
            dest: "10.0.0.1:80".into(),
            forward: "DR".into(),
            weight: 1,
            active: 3,
            ..LvsDest::default()
        };
        let kernel = LvsKernelService {
            service: "tcp 192.0.2.1:80".into(),
            place: "active".into(),
            present: true,
            scheduler: "wlc".into(),
            dests: vec![dest],
            ..LvsKernelService::default()
        };
        let service = LvsService {
            name: "192.0.2.1 80".into(),
            quorum: true,
            servers: vec![server("10.0.0.1", "up", "accepts"), server("10.0.0.2", "down", "refused")],
            kernel: vec![kernel],
            ..LvsService::default()
        };
        LvsReport { state: LvsState::On, services: vec![service], ..LvsReport::default() }
    }

    #[test]
    fn people_see_health_with_its_reason_and_the_kernels_counters() {
        let text = plain(&served());
        assert_eq!(
            text,
            "LVS director: on\n\nvirtual server 192.0.2.1 80\n\
             \x20 10.0.0.1                 up       accepts\n\
             \x20 10.0.0.2                 down     refused\n\
             \x20 tcp 192.0.2.1:80 wlc (active): 0 connections, 0/s, in 0 B/s, out 0 B/s\n\
             \x20   -> 10.0.0.1:80            DR weight 1 active 3 inactive 0, 0 connections, 0/s\n"
        );
    }

    #[test]
    fn tables_have_a_row_for_each_server_also_without_destination() {
        let text = table(&served(), '|');
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("|10.0.0.1|up|accepts|10.0.0.1:80|DR|1|3|0|"), "{text}");
        assert!(lines[2].contains("|10.0.0.2|down|refused||||||"), "{text}");
    }

    /// R3-1.
    #[test]
    fn a_kernel_that_does_not_forward_is_told() {
        let mut report = served();
        report.services[0].does_not_forward = true;
        let text = "DR: ip_vs is loaded but does not forward: no answer".to_owned();
        report.forwarding = vec![LvsForwarding { method: "DR".to_owned(), works: Some(false), text }];
        let output = show(&report, Style::Plain);
        assert_eq!(output.code, 1);
        assert!(plain(&report).contains("virtual server 192.0.2.1 80, THE KERNEL DOES NOT FORWARD\n"));
        assert!(plain(&report).contains("  error: DR: ip_vs is loaded but does not forward"));
        report.forwarding[0].works = None;
        assert_eq!(show(&report, Style::Plain).code, 0, "what could not be tried is no failure");
    }

    #[test]
    fn the_exit_status_says_that_something_is_to_be_done() {
        assert_eq!(show(&served(), Style::Plain).code, 0);
        assert_eq!(show(&LvsReport::default(), Style::Plain).code, 0);
        let mut black = served();
        black.services[0].kernel[0].dests[0].black_hole = true;
        let output = show(&black, Style::Plain);
        assert!(output.code == 1 && output.text.contains("BLACK HOLE"), "{}", output.text);
        let none = LvsReport { state: LvsState::NoKernel("no ip_vs: x".into()), ..LvsReport::default() };
        let output = show(&none, Style::Plain);
        assert!(output.code == 1 && output.text.contains("NOT SERVED: no ip_vs: x"), "{}", output.text);
    }
}
