//! `ctdb statistics`, `statisticsreset`, `stats`. The layout is CTDB's; counters of its database are not there.

use crate::ask::{Asker, Patience, unexpected};
use crate::clock::{ctime, span};
use crate::out::{Failure, Outcome, Output, Style};
use jiff::tz::TimeZone;
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::view::{LatencyRow, StatisticsView};
use serde_json::{Map, Value, json};

/// Version of the counters in CTDB's heading.
const VERSION: u32 = 1;

async fn ask(asker: &mut Asker, command: DaemonCommand) -> Result<Vec<StatisticsView>, Failure> {
    match asker.daemon(command, Patience::Question).await? {
        DaemonReply::Statistics(views) => Ok(views),
        other => Err(unexpected("statistics", &other)),
    }
}

/// `ctdb statistics`.
pub(crate) async fn statistics(asker: &mut Asker, style: Style) -> Outcome {
    let views = ask(asker, DaemonCommand::Statistics).await?;
    Ok(Output::styled(
        style,
        || views.iter().map(|v| plain(v, &TimeZone::system())).collect(),
        |sep| table(&views, sep),
        || views.first().map_or(Value::Null, statistics_json),
    ))
}

/// `ctdb stats [COUNT]`.
pub(crate) async fn stats(asker: &mut Asker, count: u32, style: Style) -> Outcome {
    let views = ask(asker, DaemonCommand::Stats { count }).await?;
    Ok(Output::styled(
        style,
        || views.iter().map(|v| plain(v, &TimeZone::system())).collect(),
        |sep| table(&views, sep),
        || Value::Array(views.iter().map(statistics_json).collect()),
    ))
}

/// `ctdb statisticsreset`.
pub(crate) async fn reset(asker: &mut Asker) -> Outcome {
    match asker.daemon(DaemonCommand::StatisticsReset, Patience::Question).await? {
        DaemonReply::Ok => Ok(Output::silent()),
        other => Err(unexpected("statisticsreset", &other)),
    }
}

/// Minimum, mean and maximum in seconds.
fn times(l: &LatencyRow) -> [f64; 3] {
    let mean = l.total_us.checked_div(l.count).unwrap_or(0);
    [l.min_us, mean, l.max_us].map(|us| us as f64 / 1e6)
}

fn plain(view: &StatisticsView, tz: &TimeZone) -> String {
    let mut text = format!(
        "CTDB version {VERSION}\nCurrent time of statistics  :                {}\n\
         Statistics collected since  : {} {}\n",
        ctime(view.now_us, tz),
        span(view.now_us.saturating_sub(view.since_us)),
        ctime(view.since_us, tz)
    );
    let mut group = "";
    for c in &view.counters {
        if c.group != group {
            group = &c.group;
            text.push_str(&format!(" {group}\n"));
        }
        let (before, after) = if group.is_empty() { (0, 4) } else { (4, 0) };
        text.push_str(&format!(" {:before$}{:<22}{:after$}{:>10}\n", "", c.name, "", c.value));
    }
    for l in &view.latencies {
        let [min, mean, max] = times(l);
        text.push_str(&format!(
            " {:<18} MIN/AVG/MAX     {min:.6}/{mean:.6}/{max:.6} sec out of {}\n",
            l.name, l.count
        ));
    }
    text
}

/// The name of a counter where its heading is not above it.
fn flat(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") }
}

/// One line of names and one of values each; a separator behind each but none before the first, as CTDB has it. All latencies that any of them has.
fn table(views: &[StatisticsView], sep: char) -> String {
    let Some(first) = views.first() else { return String::new() };
    let mut latencies: Vec<&str> = views.iter().flat_map(|v| &v.latencies).map(|l| l.name.as_str()).collect();
    latencies.sort_unstable();
    latencies.dedup();
    let mut names = ["CTDB version", "Current time of statistics", "Statistics collected since"]
        .map(str::to_owned)
        .to_vec();
    names.extend(first.counters.iter().map(|c| flat(&c.group, &c.name)));
    for name in &latencies {
        names.extend(["num", "min", "avg", "max"].map(|what| format!("{what}_{name}_latency")));
    }
    let row = |cells: &[String]| cells.iter().map(|c| format!("{c}{sep}")).collect::<String>() + "\n";
    let mut text = row(&names);
    for v in views {
        let mut cells = vec![VERSION.to_string()];
        cells.extend([v.now_us, v.since_us].map(|us| us.div_euclid(1_000_000).to_string()));
        cells.extend(v.counters.iter().map(|c| c.value.to_string()));
        for name in &latencies {
            let found = v.latencies.iter().find(|l| l.name == *name);
            cells.push(found.map_or(0, |l| l.count).to_string());
            cells.extend(found.map_or([0.0; 3], times).map(|s| format!("{s:.6}")));
        }
        text.push_str(&row(&cells));
    }
    text
}

fn statistics_json(view: &StatisticsView) -> Value {
    let mut counters = Map::new();
    for c in &view.counters {
        if c.group.is_empty() {
            counters.insert(c.name.clone(), c.value.into());
        } else if let Some(group) =
            counters.entry(c.group.clone()).or_insert_with(|| json!({})).as_object_mut()
        {
            group.insert(c.name.clone(), c.value.into());
        }
    }
    let latency = |l: &LatencyRow| {
        let value =
            json!({ "count": l.count, "min_us": l.min_us, "max_us": l.max_us, "total_us": l.total_us });
        (l.name.clone(), value)
    };
    json!({
        "version": VERSION,
        "now_us": view.now_us,
        "since_us": view.since_us,
        "counters": counters,
        "latencies": view.latencies.iter().map(latency).collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use recoverd::view::CounterRow;

    fn view() -> StatisticsView {
        let row =
            |group: &str, name: &str, value| CounterRow { group: group.into(), name: name.into(), value };
        StatisticsView {
            since_us: 1_457_113_639_000_000,
            now_us: 1_457_450_331_000_000,
            counters: vec![
                row("", "num_clients", 9),
                row("", "keepalive_packets_sent", 201_969),
                row("node", "req_control", 8_117_173),
                row("timeouts", "control", 0),
            ],
            latencies: vec![LatencyRow {
                name: "reclock_ctdbd".into(),
                count: 2,
                min_us: 2538,
                max_us: 2540,
                total_us: 5078,
            }],
        }
    }

    /// The figures of the example in CTDB's manual, as far as they are ours too.
    #[test]
    fn the_layout_is_that_of_ctdb() {
        assert_eq!(
            plain(&view(), &TimeZone::UTC),
            "\
CTDB version 1
Current time of statistics  :                Tue Mar  8 15:18:51 2016
Statistics collected since  : (003 21:31:32) Fri Mar  4 17:47:19 2016
 num_clients                        9
 keepalive_packets_sent        201969
 node
     req_control              8117173
 timeouts
     control                        0
 reclock_ctdbd      MIN/AVG/MAX     0.002538/0.002539/0.002540 sec out of 2
"
        );
    }

    #[test]
    fn a_table_begins_without_a_separator_and_a_line_for_each_interval() {
        let without = StatisticsView { latencies: Vec::new(), ..view() };
        assert_eq!(
            table(&[view(), without], '|'),
            "CTDB version|Current time of statistics|Statistics collected since|num_clients|keepalive_packets_sent|node.req_control|timeouts.control|num_reclock_ctdbd_latency|min_reclock_ctdbd_latency|avg_reclock_ctdbd_latency|max_reclock_ctdbd_latency|\n\
             1|1457450331|1457113639|9|201969|8117173|0|2|0.002538|0.002539|0.002540|\n\
             1|1457450331|1457113639|9|201969|8117173|0|0|0.000000|0.000000|0.000000|\n"
        );
        assert_eq!(table(&[], '|'), "");
    }

    #[test]
    fn json_nests_the_groups() {
        let value = statistics_json(&view());
        assert_eq!(value["counters"]["node"]["req_control"], 8_117_173);
        assert_eq!(value["counters"]["num_clients"], 9);
        assert_eq!(value["latencies"]["reclock_ctdbd"]["total_us"], 5078);
    }
}
