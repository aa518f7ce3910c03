//! `-n` with several nodes: the same command on each, at the same time, through the daemon of this host; what CTDB's `onnode` does with ssh.
//!
//! Plain output stands below `>> NODE: ADDRESS <<` as `onnode` prints it (only when there are several nodes). With `-X` every line has the
//! node's number as a column before the others. `--json` is one object by node number: `status` (what the exit status would be on that
//! node alone), `result` (the document of that node), `messages` (what would be on stderr). The exit status is that of the node that
//! fares worst; for `nodestatus` the statuses are or'ed together, as its flags are.

use crate::nodes::Target;
use crate::out::{Outcome, Output, Style, json_text, row};
use serde_json::{Map, Value, json};

/// What all nodes say, as one output, in the order in which they were named.
pub(crate) fn merge(answers: Vec<(Target, Outcome)>, style: Style, flags: bool) -> Output {
    let answers: Vec<(Target, Output)> = answers
        .into_iter()
        .map(|(target, outcome)| {
            let failed =
                |f: crate::out::Failure| Output { notes: vec![f.message], code: f.code, ..Output::default() };
            (target, outcome.unwrap_or_else(failed))
        })
        .collect();
    let codes = answers.iter().map(|(_, o)| o.code);
    let code = if flags { codes.fold(0, |sum, c| sum | c) } else { codes.max().unwrap_or(0) };
    let text = match style {
        Style::Plain => plain(&answers),
        Style::Table(sep) => answers.iter().map(|(t, o)| table(t, o, sep)).collect(),
        Style::Json => return Output { text: object(&answers), notes: Vec::new(), code },
    };
    let note = |(t, o): &(Target, Output)| {
        o.notes.iter().map(|n| format!("node {} ({}): {n}", t.pnn, t.addr)).collect::<Vec<_>>()
    };
    Output { text, notes: answers.iter().flat_map(note).collect(), code }
}

fn plain(answers: &[(Target, Output)]) -> String {
    if let [(_, only)] = answers {
        return only.text.clone();
    }
    answers.iter().map(|(t, o)| format!("\n>> NODE: {} <<\n{}", t.addr, o.text)).collect()
}

/// Some tables of CTDB, and commands with one answer, have no separator at the ends of a line.
fn table(target: &Target, output: &Output, sep: char) -> String {
    let line = |line: &str| match line.strip_prefix(sep) {
        Some(rest) => format!("{sep}{}{sep}{rest}\n", target.pnn),
        None => row(sep, [target.pnn.to_string().as_str(), line]),
    };
    output.text.lines().map(line).collect()
}

fn object(answers: &[(Target, Output)]) -> String {
    let entry = |(t, o): &(Target, Output)| {
        let result: Value = serde_json::from_str(&o.text).unwrap_or(Value::Null);
        (t.pnn.to_string(), json!({ "status": o.code, "result": result, "messages": o.notes }))
    };
    json_text(&Value::Object(answers.iter().map(entry).collect::<Map<_, _>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Failure;
    use recoverd::model::Pnn;

    fn target(pnn: u32) -> Target {
        Target { pnn: Pnn(pnn), addr: format!("10.0.0.{pnn}").parse().unwrap(), unreachable: None }
    }

    fn answers(style: Style) -> Vec<(Target, Outcome)> {
        let said = Output::styled(style, || "a\nb\n".into(), |sep| row(sep, ["A"]), || json!({ "a": 1 }));
        vec![
            (target(1), Ok(Output { notes: vec!["hm".into()], ..said })),
            (target(2), Err(Failure { message: "no".into(), code: 3 })),
        ]
    }

    #[test]
    fn plain_answers_stand_below_their_nodes() {
        let output = merge(answers(Style::Plain), Style::Plain, false);
        assert_eq!(output.text, "\n>> NODE: 10.0.0.1 <<\na\nb\n\n>> NODE: 10.0.0.2 <<\n");
        assert_eq!(output.notes, ["node 1 (10.0.0.1): hm", "node 2 (10.0.0.2): no"]);
        assert_eq!(output.code, 3);
        let mut one = answers(Style::Plain);
        one.truncate(1);
        assert_eq!(merge(one, Style::Plain, false).text, "a\nb\n", "a single node needs no heading");
    }

    #[test]
    fn tables_begin_with_the_number() {
        assert_eq!(merge(answers(Style::Table(':')), Style::Table(':'), false).text, ":1:A:\n");
        let line = vec![(target(4), Ok(Output::text("7\n")))];
        assert_eq!(merge(line, Style::Table('|'), false).text, "|4|7|\n");
    }

    #[test]
    fn json_is_an_object_by_number_with_failures_in_it() {
        let output = merge(answers(Style::Json), Style::Json, false);
        let value: Value = serde_json::from_str(&output.text).unwrap();
        assert_eq!(value["1"], json!({ "status": 0, "result": { "a": 1 }, "messages": ["hm"] }));
        assert_eq!(value["2"], json!({ "status": 3, "result": null, "messages": ["no"] }));
        assert_eq!((output.code, output.notes.len()), (3, 0));
    }

    #[test]
    fn flags_are_ored_and_other_statuses_are_not() {
        let two = || [2, 1].map(|code| (target(1), Ok(Output::silent().with_code(code)))).to_vec();
        assert_eq!(merge(two(), Style::Plain, true).code, 3);
        assert_eq!(merge(two(), Style::Plain, false).code, 2);
    }
}
