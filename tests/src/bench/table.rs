//! The result as Markdown: one table of client-seen times, one of what must not be.

use super::product::Peer;
use super::run::Sample;
use super::scenario::{ALL, Scenario};
use super::stats::Spread;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Where and with what it was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel, processor, cores.
    pub host: String,
    /// Versions of the products.
    pub versions: Vec<String>,
    /// Load average before and after.
    pub load: [String; 2],
    /// When, for people.
    pub when: String,
}

impl Machine {
    /// This machine, now.
    #[must_use]
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
        let cores = info.lines().filter(|l| l.starts_with("processor")).count();
        let host = format!(
            "{cores} cores ({}), Linux {}",
            model.map_or("unknown", |(_, name)| name.trim()),
            read("/proc/sys/kernel/osrelease").trim()
        );
        let first = |program: &str, arg: &str| {
            let output = std::process::Command::new(program).arg(arg).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
        };
        let installed = |package: &str| {
            let query = ["-W", "-f", "${Version}", package];
            let output = std::process::Command::new("dpkg-query").args(query).output().ok()?;
            output.status.success().then(|| format!("{package} {}", String::from_utf8_lossy(&output.stdout)))
        };
        let ours = format!("ctdb-ip {}", env!("CARGO_PKG_VERSION"));
        let versions = [Some(ours), installed("ctdb"), installed("keepalived"), first("rustc", "--version")];
        Self {
            host,
            versions: versions.into_iter().flatten().collect(),
            load: [load(), String::new()],
            when: first("date", "-u").unwrap_or_default(),
        }
    }

    /// Notes the load at the end.
    pub fn ended(&mut self) {
        self.load[1] = load();
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// What a table shows of a sample.
type Value = fn(&Sample) -> Option<f64>;

/// All tables.
#[must_use]
pub fn markdown(samples: &[Sample], machine: &Machine) -> String {
    let peers: BTreeSet<Peer> = samples.iter().map(|s| s.peer).collect();
    let mut out = format!(
        "{}. {}. Load average {} before, {} after. {}.\n\n\
         Milliseconds, min / **median** / p95 / max (number of runs). A silence below 3 ms counts as 0.\n",
        machine.host,
        machine.versions.join(", "),
        machine.load[0],
        machine.load[1],
        machine.when
    );
    let first: [(&str, Value); 4] = [
        ("The client's longest silence of an affected address", |s| s.gap),
        ("Until other nodes answer (or, without a victim, whoever has it)", |s| s.served),
        ("The longest time an affected address was on no node", |s| s.gap.map(|_| s.unserved)),
        ("Two nodes answered for one address (witness, rounds of 1 ms)", |s| Some(s.dual)),
    ];
    for (title, value) in first {
        table(&mut out, title, samples, &peers, |s| s.title().to_owned(), value);
    }
    let second: [(&str, Value); 2] = [
        ("The client's longest silence while it is mended", |s| s.gap_mended),
        ("Two nodes answered for one address while it is mended", |s| s.gap_mended.map(|_| s.dual_mended)),
    ];
    for (title, value) in second {
        table(&mut out, title, samples, &peers, |s| mended(*s), value);
    }
    out
}

fn mended(scenario: Scenario) -> String {
    scenario.mended().map_or_else(String::new, |m| format!("{}, then {m}", scenario.title()))
}

fn table(
    out: &mut String,
    title: &str,
    samples: &[Sample],
    peers: &BTreeSet<Peer>,
    row: impl Fn(&Scenario) -> String,
    value: impl Fn(&Sample) -> Option<f64>,
) {
    let heads: Vec<&str> = peers.iter().map(|p| p.title()).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "\n### {title}\n\n| scenario | {} | ratio |\n|---|{}---|",
        heads.join(" | "),
        "---|".repeat(heads.len())
    );
    let rows = std::iter::once(None).chain(ALL.iter().copied().map(Some));
    for scenario in rows {
        let name = scenario.map_or_else(|| "all nodes started → all served".to_owned(), |s| row(&s));
        let of = |peer: Peer| samples.iter().filter(move |s| s.peer == peer && s.scenario == scenario);
        let values = |peer| of(peer).filter_map(&value).collect::<Vec<f64>>();
        if name.is_empty() || peers.iter().all(|p| values(*p).is_empty()) {
            continue;
        }
        let cells: Vec<String> = peers.iter().map(|p| cell(&values(*p), of(*p).count())).collect();
        let ratio = ratio(&values(Peer::Ours), &values(Peer::Ctdb));
        let _ = writeln!(out, "| {name} | {} | {ratio} |", cells.join(" | "));
    }
}

fn cell(values: &[f64], runs: usize) -> String {
    let Some(s) = Spread::of(values) else {
        return if runs > 0 { "never".to_owned() } else { "–".to_owned() };
    };
    let of = if s.n < runs { format!(" of {runs}") } else { String::new() };
    if s.max == 0.0 {
        return format!("**0** ({}{of})", s.n);
    }
    format!("{} / **{}** / {} / {} ({}{of})", ms(s.min), ms(s.median), ms(s.p95), ms(s.max), s.n)
}

fn ms(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// How many times CTDB's median is ours.
fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    match (Spread::of(ours), Spread::of(theirs)) {
        (Some(o), Some(t)) if o.median > 0.0 => format!("× {:.0}", t.median / o.median),
        _ => "–".to_owned(),
    }
}
