//! `ctdb timeline`: the journal of a node, one line per entry.

use crate::ask::{Asker, Patience, unexpected};
use crate::clock::stamp;
use crate::out::{Outcome, Output, Style, row};
use jiff::tz::TimeZone;
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::takeover::RunReport;
use recoverd::view::JournalRow;
use serde_json::{Value, json};

/// `ctdb timeline [N]`.
pub(crate) async fn timeline(asker: &mut Asker, count: u32, style: Style) -> Outcome {
    match asker.daemon(DaemonCommand::Timeline { count }, Patience::Question).await? {
        DaemonReply::Timeline(rows) => Ok(Output::styled(
            style,
            || plain(&rows, &TimeZone::system()),
            |sep| table(&rows, sep),
            || Value::Array(rows.iter().map(entry_json).collect()),
        )),
        other => Err(unexpected("timeline", &other)),
    }
}

fn plain(rows: &[JournalRow], tz: &TimeZone) -> String {
    rows.iter().map(|r| line(r, tz)).collect()
}

/// `2026-11-20 10:11:12.345 run 3.0/7 text [release 1.2 ms, takeover 3.4 ms]`.
fn line(entry: &JournalRow, tz: &TimeZone) -> String {
    let mut words = vec![stamp(entry.wall_us, tz), entry.kind.clone()];
    words.extend(entry.run.map(|r| r.to_string()));
    words.push(one_line(&entry.text));
    words.extend(phases(&entry.data));
    words.join(" ") + "\n"
}

/// Text of others (scripts, peers) must not break the line.
fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim_end).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" / ")
}

/// The phases of a run with their milliseconds, when the entry carries the `report` of one.
fn phases(data: &str) -> Option<String> {
    let mut data: Value = serde_json::from_str(data).ok()?;
    let report: RunReport = serde_json::from_value(data.get_mut("report")?.take()).ok()?;
    let phases: Vec<String> = report
        .phases
        .iter()
        .map(|p| format!("{} {:.1} ms", p.name, p.end.since(p.start).as_secs_f64() * 1e3))
        .collect();
    (!phases.is_empty()).then(|| format!("[{}]", phases.join(", ")))
}

fn table(rows: &[JournalRow], sep: char) -> String {
    let mut text = row(sep, ["Id", "Time", "Kind", "Run", "Text"]);
    for r in rows {
        let seconds = format!("{}.{:06}", r.wall_us.div_euclid(1_000_000), r.wall_us.rem_euclid(1_000_000));
        let run = r.run.map(|r| r.to_string()).unwrap_or_default();
        text.push_str(&row(sep, [r.id.to_string(), seconds, r.kind.clone(), run, one_line(&r.text)]));
    }
    text
}

/// Data that is no JSON document is passed on as text, so that nothing is lost.
fn entry_json(entry: &JournalRow) -> Value {
    let data = serde_json::from_str(&entry.data).unwrap_or_else(|_| Value::String(entry.data.clone()));
    json!({
        "id": entry.id,
        "wall_us": entry.wall_us,
        "kind": entry.kind,
        "run": entry.run.map(|r| r.to_string()),
        "text": entry.text,
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::report;
    use recoverd::model::{Epoch, Mono, Pnn, RunId};
    use recoverd::takeover::{Phase, PhaseName};

    fn entries() -> Vec<JournalRow> {
        let mut report = report();
        report.phases = vec![
            Phase { name: PhaseName::Release, start: Mono(1000), end: Mono(2234) },
            Phase { name: PhaseName::Takeover, start: Mono(2000), end: Mono(5400) },
        ];
        let entry = |id, kind: &str, run, text: &str, data| JournalRow {
            id,
            wall_us: 1_482_003_551_345_000,
            kind: kind.to_owned(),
            run,
            text: text.to_owned(),
            data,
        };
        let run = Some(RunId { epoch: Epoch { number: 3, pnn: Pnn(0) }, count: 7 });
        vec![
            entry(1, "operator", None, "operator on node 0:\n disable\n", "{}".to_owned()),
            entry(2, "run", run, "ok", json!({ "report": report }).to_string()),
        ]
    }

    #[test]
    fn a_line_for_each_entry_and_phases_for_runs() {
        assert_eq!(
            plain(&entries(), &TimeZone::UTC),
            "\
2016-12-17 19:39:11.345 operator operator on node 0: /  disable
2016-12-17 19:39:11.345 run 3.0/7 ok [release 1.2 ms, takeover 3.4 ms]
"
        );
    }

    #[test]
    fn a_table_for_scripts() {
        assert_eq!(
            table(&entries()[1..], '|'),
            "|Id|Time|Kind|Run|Text|\n|2|1482003551.345000|run|3.0/7|ok|\n"
        );
    }

    #[test]
    fn data_is_parsed_for_programs() {
        let mut entries = entries();
        assert_eq!(entry_json(&entries[1])["data"]["report"]["phases"][0]["name"], "release");
        assert_eq!(entry_json(&entries[1])["run"], "3.0/7");
        entries[0].data = "not json".to_owned();
        assert_eq!(entry_json(&entries[0])["data"], "not json");
        assert_eq!(entry_json(&entries[0])["run"], Value::Null);
    }
}
