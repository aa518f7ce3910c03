//! `ctdb lvs import FILE [-o OUT]`: `virtual_servers.conf` from a whole keepalived.conf, or from piranha's lvs.cf.
//!
//! The configuration goes to stdout (or OUT), all remarks to stderr, so that a redirected output is a configuration. A file with
//! something wrong in it is still converted as far as it goes, with exit status 1.

use super::number;
use crate::out::{Failure, Outcome, Output, Style, json_text, row};
use lvs::config::Diagnostic;
use lvs::import::{Format, Imported, Kind, import};
use lvs::surroundings::FileSystem;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Converts a file.
pub(crate) fn run(file: &Path, output: Option<&Path>, style: Style) -> Outcome {
    let name = file.display().to_string();
    let imported = match import(&name, &FileSystem::default()) {
        Ok(imported) => imported,
        Err(findings) => return Ok(unreadable(&name, &findings, style)),
    };
    if let Some(output) = output {
        write_new(output, &imported.virtual_servers)?;
    }
    let wrong = imported.notes.iter().any(|n| n.kind == Kind::Wrong);
    Ok(print(&name, &imported, output, style).with_code(u8::from(wrong)))
}

/// Nothing is converted of what is no configuration at all.
fn unreadable(file: &str, findings: &[Diagnostic], style: Style) -> Output {
    let mut output = Output::default();
    if style == Style::Json {
        output.text = json_text(&json!({ "ok": false, "file": file, "errors": findings }));
    } else {
        output.notes = findings.iter().map(ToString::to_string).collect();
        output
            .notes
            .push(format!("{file} cannot be read as keepalived.conf or lvs.cf; nothing is converted"));
    }
    output.with_code(1)
}

/// An operator's file is not written over.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let written = File::create_new(file).and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(format!("{} is there already; name another file, or remove it", file.display()))
        }
        _ => {
            Failure::new(format!("cannot write {}: {e}; name a file in a directory of yours", file.display()))
        }
    })
}

fn print(file: &str, imported: &Imported, output: Option<&Path>, style: Style) -> Output {
    match style {
        Style::Json => {
            return Output::text(json_text(&json!({
                "ok": imported.notes.iter().all(|n| n.kind != Kind::Wrong),
                "file": file,
                "format": imported.format,
                "virtual_servers": imported.virtual_servers,
                "public_addresses": imported.public_addresses,
                "nodes": imported.nodes,
                "notes": imported.notes,
            })));
        }
        Style::Table(sep) => {
            let mut text = row(sep, ["Kind", "File", "Line", "Message"]);
            for n in &imported.notes {
                text += &row(sep, [word(n.kind), &n.at.file, &n.at.line.to_string(), &n.text]);
            }
            return Output::text(text);
        }
        Style::Plain => {}
    }
    let mut out = Output::default();
    match output {
        None => out.text.clone_from(&imported.virtual_servers),
        Some(path) => out.text = format!("{} is written\n", path.display()),
    }
    out.notes = imported.notes.iter().map(ToString::to_string).collect();
    for (name, lines) in [("public_addresses", &imported.public_addresses), ("nodes", &imported.nodes)] {
        out.notes.extend(lines.iter().map(|line| format!("for {name}: {line}")));
    }
    let of = |kind| imported.notes.iter().filter(|n| n.kind == kind).count();
    let format = match imported.format {
        Format::Keepalived => "keepalived.conf",
        Format::Piranha => "lvs.cf",
    };
    out.notes.push(format!(
        "{file} was read as {format}: {} to repair, {} not carried over, {} carried over as something else",
        number(of(Kind::Wrong), "line"),
        of(Kind::Lost),
        of(Kind::Becomes)
    ));
    out
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Wrong => "wrong",
        Kind::Lost => "lost",
        Kind::Becomes => "becomes",
    }
}
