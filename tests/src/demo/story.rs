//! The story: one step after the other, each awaited, measured and told.

use super::screen::{Screen, ms, silence};
use super::watch::{Holders, balanced, doubled, list, replay, told};
use crate::cluster::{Cluster, SOON};
use crate::lab::{AddressEvent, Probe, ProbeReport, now_ns, wait_for};
use anyhow::{Context, bail};
use std::net::IpAddr;
use std::time::Duration;

/// A line of the summary.
struct Row {
    what: &'static str,
    measure: &'static str,
    ours: String,
    ctdb: &'static str,
}

/// What was seen of a step.
struct Seen {
    /// Longest silence of an address that the step was about, zero if below 3 ms.
    silence: Duration,
    /// Longest silence of the addresses that were not touched.
    others: Duration,
    /// From the beginning to the last address event.
    until_last_event: Duration,
    /// Longest time an address was on two nodes' interfaces.
    doubled: Duration,
}

/// The running demo.
pub(super) struct Story {
    cluster: Cluster,
    screen: Screen,
    probe: Probe,
    rows: Vec<Row>,
    dual_answers: usize,
}

const NODES: usize = 3;
/// Two nodes that answer in turns within this time both serve the address.
const IN_TURNS: Duration = Duration::from_secs(1);
/// The kernels' events are stamped when the lab reads them: less than this says nothing.
const NOTICED: Duration = Duration::from_millis(1);

impl Story {
    /// Starts the daemons and waits until a client gets answers from all addresses.
    pub(super) fn begin(mut cluster: Cluster, screen: Screen) -> anyhow::Result<Self> {
        screen.title("The cluster starts");
        let probe = cluster.lab.probe(&cluster.addresses)?;
        let mark = probe.mark("start");
        for node in 0..NODES {
            screen.doing(&format!("node{node}"), "ctdbd");
            cluster.start(node)?;
        }
        let mut story = Self { cluster, screen, probe, rows: Vec::new(), dual_answers: 0 };
        story.settle(0, |holders, _| balanced(holders, &[0, 1, 2]))?;
        let report = story.probe.report_since(&mark)?;
        let answered = report.addresses.iter().filter_map(|(_, r)| Some(r.transitions.first()?.at_ns)).max();
        let answered = Duration::from_nanos(answered.unwrap_or(report.now_ns) - mark.at_ns);
        screen.good(&format!("all six addresses answer {} after the first daemon was started", ms(answered)));
        story.row("all nodes started", "until all addresses answer", ms(answered), "22.3 s");
        story.show(0, &["status"])?;
        story.show(0, &["ip"])?;
        screen.note("the client now asks each address every millisecond, and goes on doing so until the end");
        Ok(story)
    }

    pub(super) fn into_cluster(self) -> Cluster {
        self.cluster
    }

    /// All steps.
    pub(super) fn play(&mut self) -> anyhow::Result<()> {
        self.lost_and_stray()?;
        self.asked()?;
        self.cable()?;
        self.cut_off()?;
        self.killed()?;
        self.recmaster_leaves()
    }

    fn lost_and_stray(&mut self) -> anyhow::Result<()> {
        self.screen.title("Somebody removes an address by hand");
        let addr = self.cluster.addresses[0];
        let node = self.cluster.holder(addr);
        let iface = self.cluster.iface.clone();
        self.screen.doing(&format!("node{node}"), &format!("ip addr del {addr}/24 dev {iface}"));
        let seen = self.step(
            |c| Ok(c.lab.node(node).del_address(&iface, addr)?),
            |holders, since| holders[&addr] == [node] && since.len() >= 2,
        )?;
        self.screen.good("the daemon of the node saw it and put it back");
        self.row("address removed by hand", "longest silence", silence(seen.silence), "492 ms");

        self.screen.title("Somebody puts up an address that belongs to another node");
        let wrong = (node + 1) % NODES;
        self.screen.doing(&format!("node{wrong}"), &format!("ip addr add {addr}/24 dev {iface}"));
        let seen = self.step(
            |c| Ok(c.lab.node(wrong).add_address(&iface, addr, 24)?),
            |holders, since| holders[&addr] == [node] && since.len() >= 2,
        )?;
        self.screen
            .good(&format!("the daemon of node {wrong} took it down after {}", ms(seen.until_last_event)));
        self.row("stray address put up by hand", "until it was removed", ms(seen.until_last_event), "");
        self.show(wrong, &["timeline", "3"])
    }

    fn asked(&mut self) -> anyhow::Result<()> {
        self.screen.title("The operator moves an address");
        let addr = self.cluster.addresses[1];
        let to = (self.cluster.holder(addr) + 1) % NODES;
        let (text, pnn) = (addr.to_string(), to.to_string());
        let seen = self.command(0, &["moveip", &text, &pnn], |holders, _| holders[&addr] == [to])?;
        self.row("moveip", "longest silence", silence(seen.silence), "39 ms");
        self.show(0, &["why", &text])?;

        self.screen.title("The operator takes a node out of service, and puts it back");
        let seen = self.command(0, &["disable", "-n", "1"], |holders, _| balanced(holders, &[0, 2]))?;
        self.row("disable of a node", "longest silence", silence(seen.silence), "80 ms");
        let seen = self.command(0, &["enable", "-n", "1"], |holders, _| balanced(holders, &[0, 1, 2]))?;
        self.row("enable of that node", "longest silence", silence(seen.silence), "58 ms");
        Ok(())
    }

    fn cable(&mut self) -> anyhow::Result<()> {
        self.screen.title("The cable of a node's public interface is pulled, and plugged in again");
        let iface = self.cluster.iface.clone();
        self.screen.doing("switch", &format!("(the port of node 2's {iface} goes down)"));
        let seen = self.step(|c| Ok(c.lab.cut_cable(2, &iface)?), |holders, _| balanced(holders, &[0, 1]))?;
        self.row("cable pulled", "longest silence", silence(seen.silence), "8950 ms");
        self.show(0, &["status"])?;
        self.screen.doing("switch", &format!("(the port of node 2's {iface} comes up)"));
        let seen =
            self.step(|c| Ok(c.lab.plug_cable(2, &iface)?), |holders, _| balanced(holders, &[0, 1, 2]))?;
        self.row("cable plugged in again", "longest silence", silence(seen.silence), "");
        Ok(())
    }

    fn cut_off(&mut self) -> anyhow::Result<()> {
        let victim = (self.leader()? + 1) % NODES;
        self.screen
            .title(&format!("Node {victim} is cut off from the other nodes, but not from the clients"));
        self.screen.doing("switch", &format!("(the port of node {victim}'s private interface goes down)"));
        let others: Vec<usize> = (0..NODES).filter(|n| *n != victim).collect();
        let seen = self.step(|c| Ok(c.lab.cut_private(victim)?), |holders, _| balanced(holders, &others))?;
        self.row("node cut off", "longest silence", silence(seen.silence), "none (1)");
        self.screen.note(
            "its lease ran out, so its kernel fell silent before the others took its addresses; CTDB lets both answer",
        );
        self.show(victim, &["lease"])?;
        self.screen.doing("switch", &format!("(the port of node {victim}'s private interface comes up)"));
        let seen =
            self.step(|c| Ok(c.lab.heal_private(victim)?), |holders, _| balanced(holders, &[0, 1, 2]))?;
        self.row("that node comes back", "longest silence", silence(seen.silence), "21.8 s");
        Ok(())
    }

    fn killed(&mut self) -> anyhow::Result<()> {
        let victim = (self.leader()? + 1) % NODES;
        self.screen.title(&format!("The daemon of node {victim} is killed, and started again"));
        let pid = self.cluster.daemon(victim).pid();
        self.screen.doing(&format!("node{victim}"), &format!("kill -9 {pid}"));
        let others: Vec<usize> = (0..NODES).filter(|n| *n != victim).collect();
        let seen = self.step(
            |c| c.daemon(victim).kill9().map(drop).map_err(Into::into),
            |holders, _| balanced(holders, &others),
        )?;
        self.row("daemon killed (-9)", "until other nodes hold all", ms(seen.until_last_event), "1079 ms");
        self.screen.note(
            "the daemon's guard, a process of its own, took the addresses off when the daemon was gone",
        );
        self.screen.doing(&format!("node{victim}"), "ctdbd");
        let seen = self.step(|c| Ok(c.start(victim)?), |holders, _| balanced(holders, &[0, 1, 2]))?;
        self.row("that daemon started again", "until it has its share", ms(seen.until_last_event), "18.0 s");
        Ok(())
    }

    fn recmaster_leaves(&mut self) -> anyhow::Result<()> {
        let leader = self.leader()?;
        self.screen.title(&format!("The recmaster (leader), node {leader}, is shut down, and started again"));
        let others: Vec<usize> = (0..NODES).filter(|n| *n != leader).collect();
        let seen = self.command(leader, &["shutdown"], |holders, _| balanced(holders, &others))?;
        self.row("recmaster shut down", "longest silence", silence(seen.silence), "1042 ms");
        self.cluster.daemon(leader).wait_exit(SOON)?;
        self.screen.doing(&format!("node{leader}"), "ctdbd");
        let seen = self.step(|c| Ok(c.start(leader)?), |holders, _| balanced(holders, &[0, 1, 2]))?;
        self.row("that node started again", "until it has its share", ms(seen.until_last_event), "22.0 s");
        self.show(leader, &["status"])
    }

    /// The table at the end.
    pub(super) fn summary(&self) -> anyhow::Result<()> {
        let s = self.screen;
        s.title("Summary");
        s.line(&format!("  {:<30} {:<27} {:>9} {:>11}", "what", "measured", "here", "CTDB 4.17*"));
        for Row { what, measure, ours, ctdb } in &self.rows {
            let ctdb = if ctdb.is_empty() { "-" } else { ctdb };
            s.line(&format!("  {what:<30} {measure:<27} {ours:>9} {ctdb:>11}"));
        }
        let report = self.probe.report_all()?;
        s.line("");
        s.line(&format!(
            "  times two nodes answered the client in turns for one address: {}",
            if self.dual_answers == 0 { "0".to_owned() } else { format!("{} STEPS", self.dual_answers) },
        ));
        let asked: u64 = report.addresses.iter().map(|(_, r)| r.sent).sum();
        let worst = Duration::from_nanos(report.worst_pace_ns);
        s.note(&format!("requests of the client: {asked}; its own worst delay was {}: silences of that order are this machine's noise", ms(worst)));
        s.note("* median of 5, Samba CTDB 4.17.12 of Debian 12 with its defaults, measured in a lab like this one (three nodes, six");
        s.note("  addresses, two cores); not measured now. \"-\": not measured.");
        s.note(
            "(1) with CTDB two nodes answer for the address for about 96 s, and whoever spoke last is heard",
        );
        Ok(())
    }

    fn row(&mut self, what: &'static str, measure: &'static str, ours: String, ctdb: &'static str) {
        self.rows.push(Row { what, measure, ours, ctdb });
    }

    /// The number of the recmaster.
    fn leader(&self) -> anyhow::Result<usize> {
        let text = self.ctdb(0, &["leader"])?;
        text.trim().parse().with_context(|| format!("`ctdb leader` printed {text:?}"))
    }

    fn ctdb(&self, node: usize, args: &[&str]) -> anyhow::Result<String> {
        let (code, out, err) = self.cluster.try_ctdb(node, args);
        if code != 0 {
            bail!("`ctdb {}` on node {node} exited with {code}: {out}{err}", args.join(" "));
        }
        Ok(out)
    }

    /// Runs a command that only shows something.
    fn show(&self, node: usize, args: &[&str]) -> anyhow::Result<()> {
        self.screen.doing(&format!("node{node}"), &format!("ctdb {}", args.join(" ")));
        self.screen.output(&self.ctdb(node, args)?);
        Ok(())
    }

    /// A step that is a `ctdb` command.
    fn command(
        &mut self,
        node: usize,
        args: &[&str],
        good: impl Fn(&Holders, &[AddressEvent]) -> bool,
    ) -> anyhow::Result<Seen> {
        self.screen.doing(&format!("node{node}"), &format!("ctdb {}", args.join(" ")));
        let run = |c: &mut Cluster| {
            let (code, out, err) = c.try_ctdb(node, args);
            if code == 0 { Ok(()) } else { bail!("`ctdb {}` exited with {code}: {out}{err}", args.join(" ")) }
        };
        self.step(run, good)
    }

    /// Does something, waits until the addresses are where they should be and the client gets answers, and tells what was seen.
    fn step(
        &mut self,
        act: impl FnOnce(&mut Cluster) -> anyhow::Result<()>,
        good: impl Fn(&Holders, &[AddressEvent]) -> bool,
    ) -> anyhow::Result<Seen> {
        let mark = self.probe.mark("step");
        act(&mut self.cluster)?;
        let events = self.settle(mark.at_ns, good)?;
        let report = self.probe.report_since(&mark)?;
        let seen = self.seen(&events, &report, mark.at_ns);
        for (after, text) in told(&self.ours(&events), NODES, mark.at_ns) {
            self.screen.event(after, &text);
        }
        let mut text = format!("the client's longest silence: {}", silence(seen.silence));
        text.push_str(&format!("; of the addresses that did not move: {}", silence(seen.others)));
        self.screen.good(&text);
        let both: Vec<IpAddr> =
            report.addresses.iter().filter(|(_, r)| r.dual(IN_TURNS).is_some()).map(|(a, _)| *a).collect();
        if !both.is_empty() {
            self.dual_answers += 1;
            self.screen.bad(&format!("two nodes answered in turns for {}", list(&both)));
        }
        if seen.doubled >= NOTICED {
            self.screen.bad(&format!("on two nodes' interfaces at once for {}", ms(seen.doubled)));
        }
        Ok(seen)
    }

    /// Waits for a state of the kernels that their events explain, and for the client's answers. All events so far.
    fn settle(
        &self,
        since_ns: u64,
        good: impl Fn(&Holders, &[AddressEvent]) -> bool,
    ) -> anyhow::Result<Vec<AddressEvent>> {
        let c = &self.cluster;
        let events = wait_for("the addresses to be where they should", SOON, || {
            let all = c.lab.address_events().map_err(|e| e.to_string())?;
            let (holders, told) = (c.holders(), replay(&all, &c.addresses, NODES));
            let since: Vec<AddressEvent> =
                self.ours(&all).into_iter().filter(|e| e.at_ns >= since_ns).collect();
            if holders == told && good(&holders, &since) { Ok(all) } else { Err(format!("{holders:?}")) }
        });
        let events = events.map_err(|e| anyhow::anyhow!("{e}\n{}", c.describe()))?;
        self.probe.wait_all_answer(SOON).map_err(|e| anyhow::anyhow!("{e}\n{}", c.describe()))?;
        Ok(events)
    }

    /// The events of public addresses.
    fn ours(&self, events: &[AddressEvent]) -> Vec<AddressEvent> {
        events.iter().filter(|e| self.cluster.addresses.contains(&e.address)).cloned().collect()
    }

    fn seen(&self, events: &[AddressEvent], report: &ProbeReport, since_ns: u64) -> Seen {
        let since: Vec<AddressEvent> =
            self.ours(events).into_iter().filter(|e| e.at_ns >= since_ns).collect();
        let touched = |a: &IpAddr| since.iter().any(|e| e.address == *a);
        let longest = |wanted: bool| {
            let those = report.addresses.iter().filter(|(a, _)| touched(a) == wanted);
            those.map(|(_, r)| r.longest_gap()).max().unwrap_or_default()
        };
        let last = since.iter().map(|e| e.at_ns).max().unwrap_or(since_ns);
        let doubled = doubled(events, &self.cluster.addresses, NODES, since_ns, now_ns());
        Seen {
            silence: longest(true),
            others: longest(false),
            until_last_event: Duration::from_nanos(last - since_ns),
            doubled: doubled.into_values().max().unwrap_or_default(),
        }
    }
}
