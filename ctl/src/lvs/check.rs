//! `ctdb lvs check [FILE]`: what is wrong with `virtual_servers.conf`, without a daemon.
//!
//! The crate `lvs` finds it; here it is printed as `ctdb config check` prints: errors to stderr and exit status 1, warnings and the
//! summary to stdout.

use super::number;
use crate::out::{Outcome, Output, Style, json_text, row};
use lvs::config::{Config, Diagnostic, Severity, check};
use lvs::surroundings::FileSystem;
use serde_json::{Value, json};
use std::path::Path;

/// Checks a file.
pub(crate) fn run(file: &Path, style: Style) -> Outcome {
    let name = file.display().to_string();
    let (config, failed, findings) = check(&name, &FileSystem::default());
    Ok(print(&name, &config, failed, &findings, style).with_code(u8::from(failed)))
}

fn print(file: &str, config: &Config, failed: bool, findings: &[Diagnostic], style: Style) -> Output {
    let of = |severity| findings.iter().filter(move |d| d.severity == severity);
    match style {
        Style::Json => Output::text(json_text(&json!({
            "ok": !failed,
            "file": file,
            "virtual_servers": config.virtual_servers.len(),
            "services": services(config),
            "real_servers": real_servers(config),
            "errors": of(Severity::Error).map(as_json).collect::<Vec<_>>(),
            "warnings": of(Severity::Warning).map(as_json).collect::<Vec<_>>(),
        }))),
        Style::Table(sep) => {
            let mut text = row(sep, ["Severity", "File", "Line", "Message"]);
            for d in findings {
                let severity = if d.severity == Severity::Error { "error" } else { "warning" };
                text += &row(sep, [severity, &d.at.file, &d.at.line.to_string(), &d.message]);
            }
            Output::text(text)
        }
        Style::Plain => {
            let mut output =
                Output::text(of(Severity::Warning).map(|d| format!("{d}\n")).collect::<String>());
            output.notes = of(Severity::Error).map(ToString::to_string).collect();
            if failed {
                let errors = number(output.notes.len(), "error");
                output.notes.push(format!("{errors} in {file}; a director would not apply any of it"));
            } else {
                output.text += &format!(
                    "OK: {}, {}, {}\n",
                    number(config.virtual_servers.len(), "virtual server"),
                    number(services(config), "service"),
                    number(real_servers(config), "real server")
                );
            }
            output
        }
    }
}

fn services(config: &Config) -> usize {
    config.virtual_servers.iter().map(|v| v.services.len()).sum()
}

fn real_servers(config: &Config) -> usize {
    config.virtual_servers.iter().map(|v| v.real_servers.len()).sum()
}

fn as_json(d: &Diagnostic) -> Value {
    json!({ "file": *d.at.file, "line": d.at.line, "message": d.message })
}
