//! `ctdb lvs doctor [VIP]`: a line for each check, with evidence and remedy (crate `lvs`, module `doctor`).
//!
//! The exit status is 1 when there is a warning or a failure. Checks that could not be made are no fault, but they are shown.

use super::cluster_port::cluster_port;
use super::configuration;
use crate::cli::DoctorArgs;
use crate::nodes_file;
use crate::out::{Failure, Outcome, Output, Style, json_text, row};
use lvs::config::{Config, load};
use lvs::doctor::gather::{Question, gather};
use lvs::doctor::{Finding, Verdict, examine};
use lvs::surroundings::FileSystem;
use serde_json::json;
use std::time::Duration;

/// Runs it.
pub(crate) fn run(args: &DoctorArgs, style: Style) -> Outcome {
    let file = configuration(args.file.as_deref());
    // Without a configuration the kernel and the nodes can still be looked at, unless a file or an address was asked about.
    let config = if args.file.is_none() && args.vip.is_none() && !file.exists() {
        Config::default()
    } else {
        let name = file.display().to_string();
        let (config, _) = load(&name, &FileSystem::default()).map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            Failure::new(format!("{}\nthe doctor wants a configuration without errors", lines.join("\n")))
        })?;
        config
    };
    if let Some(vip) = args.vip
        && !config.virtual_servers.iter().flat_map(|v| v.services.keys()).any(|s| s.vip() == Some(vip))
    {
        return Err(Failure::new(format!(
            "{} has no service of {vip}; name the address of a virtual_server",
            file.display()
        )));
    }
    // A real server or a director without cluster has no nodes file.
    let nodes = nodes_file::read(&nodes_file::base()).unwrap_or_default();
    let question = Question {
        config,
        vip: args.vip,
        nodes: nodes.into_iter().map(|n| n.addr).collect(),
        port: cluster_port(),
        window: Duration::from_secs(args.window),
        self_test: !args.no_selftest,
    };
    Ok(print(&examine(&gather(&question)), style))
}

fn print(findings: &[Finding], style: Style) -> Output {
    let of = |verdict| findings.iter().filter(|f| f.verdict == verdict).count();
    let code = u8::from(findings.iter().any(Finding::bad));
    match style {
        Style::Json => Output::text(json_text(&json!({ "ok": code == 0, "findings": findings }))),
        Style::Table(sep) => {
            let mut text = row(sep, ["Check", "Verdict", "Evidence", "Remedy"]);
            for f in findings {
                let remedy = f.remedy.as_deref().unwrap_or_default();
                text += &row(sep, [f.check, &f.verdict.to_string(), &f.evidence, remedy]);
            }
            Output::text(text)
        }
        Style::Plain => {
            let mut text: String = findings.iter().map(|f| format!("{f}\n")).collect();
            text += &format!(
                "{} ok, {} failed, {} warnings, {} not looked at\n",
                of(Verdict::Ok),
                of(Verdict::Failure),
                of(Verdict::Warning),
                of(Verdict::NotLookedAt)
            );
            Output::text(text)
        }
    }
    .with_code(code)
}
