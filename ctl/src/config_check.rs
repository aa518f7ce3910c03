//! `ctdb config check [DIR]`: what is wrong with a configuration directory, without a daemon.
//!
//! The crate `config` finds it; here it is printed: faults to stderr and exit status 1, remarks and the summary to stdout.

use crate::out::{Failure, Outcome, Output, Style, json_text, row};
use config::check::{Finding, Host, Report, Severity, check};
use config::{Paths, Place};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Checks `dir`, or the directory that the daemon of this environment would read.
pub(crate) fn run(dir: Option<PathBuf>, style: Style) -> Outcome {
    let dir = dir.unwrap_or_else(|| Paths::from_env().base);
    // Scripts get CTDB_BASE as an absolute path, and so must the check.
    let dir = std::path::absolute(&dir)
        .map_err(|e| Failure::new(format!("cannot find {}: {e}; name a directory", dir.display())))?;
    if !dir.is_dir() {
        return Err(Failure::new(format!(
            "there is no directory {}; name the one that holds ctdb.conf and nodes",
            dir.display()
        )));
    }
    // Without knowing this machine only the remarks about it are missing.
    let host = Host::this().unwrap_or_default();
    Ok(print(&dir, &check(&dir, &host), style))
}

fn print(dir: &Path, report: &Report, style: Style) -> Output {
    let errors = report.of(Severity::Error).count();
    let code = u8::from(errors > 0);
    match style {
        Style::Json => Output::text(json_text(&as_json(dir, report))),
        Style::Table(sep) => Output::text(table(report, sep)),
        Style::Plain => {
            let warnings: String =
                report.of(Severity::Warning).map(|w| format!("warning: {}\n", w.text)).collect();
            let summary = summary(report);
            let mut output = Output::text(match errors {
                0 => format!("{warnings}OK: {summary}\n"),
                _ => warnings,
            });
            output.notes = report.of(Severity::Error).map(|e| e.text.clone()).collect();
            if errors > 0 {
                output.notes.push(format!(
                    "{} in {}; ctdbd or its scripts would fail",
                    number(errors, "errors"),
                    dir.display()
                ));
            }
            output
        }
    }
    .with_code(code)
}

/// All that was read: `3 nodes, 1 public address`.
fn summary(report: &Report) -> String {
    report.counts.iter().map(|(what, n)| number(*n, what)).collect::<Vec<_>>().join(", ")
}

/// A number of things whose name is given in the plural.
fn number(n: usize, what: &str) -> String {
    let one = what.strip_suffix("es").filter(|w| w.ends_with("ss")).or_else(|| what.strip_suffix('s'));
    match one {
        Some(one) if n == 1 => format!("1 {one}"),
        _ => format!("{n} {what}"),
    }
}

/// File and line of a finding, each if it has one, and its text without them.
fn parts(finding: &Finding) -> (Option<String>, Option<usize>, &str) {
    let Some(place) = &finding.place else { return (None, None, &finding.text) };
    let text = finding.text.strip_prefix(&format!("{place}: ")).unwrap_or(&finding.text);
    match place {
        Place::Line { file, line } => (Some(file.display().to_string()), Some(*line), text),
        Place::File(file) => (Some(file.display().to_string()), None, text),
        Place::Option(_) => (None, None, text),
    }
}

fn table(report: &Report, sep: char) -> String {
    let mut text = row(sep, ["Severity", "File", "Line", "Message"]);
    for finding in &report.findings {
        let (file, line, message) = parts(finding);
        let line = line.map_or_else(String::new, |l| l.to_string());
        text += &row(sep, [word(finding.severity), &file.unwrap_or_default(), &line, message]);
    }
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn as_json(dir: &Path, report: &Report) -> Value {
    let of = |severity| -> Vec<Value> {
        let one = |finding| {
            let (file, line, message) = parts(finding);
            json!({ "file": file, "line": line, "message": message })
        };
        report.of(severity).map(one).collect()
    };
    let read: serde_json::Map<String, Value> =
        report.counts.iter().map(|(what, n)| (what.replace(' ', "_").to_lowercase(), json!(n))).collect();
    let errors = of(Severity::Error);
    json!({
        "ok": errors.is_empty(),
        "directory": dir.display().to_string(),
        "read": read,
        "errors": errors,
        "warnings": of(Severity::Warning),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind() {
        for (n, what, expected) in [
            (1, "nodes", "1 node"),
            (2, "nodes", "2 nodes"),
            (1, "public addresses", "1 public address"),
            (0, "public addresses", "0 public addresses"),
            (1, "script variables", "1 script variable"),
        ] {
            assert_eq!(number(n, what), expected);
        }
    }
}
