//! What event scripts read: options, the groups of NAT gateway and LVS, policy routing, static routes; and which scripts there are.

use super::Report;
use crate::node_group::{self, Member};
use crate::parsed::Parsed;
use crate::place::{Place, quote};
use crate::routing::{self, PolicyRoute};
use crate::shell::{self, Assignment};
use crate::{source, variables};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file that names the nodes of a group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) file: PathBuf,
    pub(super) members: Vec<Member>,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Scripts {
    /// The value of each variable and where it is set; later files override.
    variables: BTreeMap<String, (Assignment, Place)>,
    pub(super) natgw: Option<Group>,
    pub(super) lvs: Option<Group>,
    /// The file and its routes.
    pub(super) policy: Option<(PathBuf, Vec<PolicyRoute>)>,
}

impl Scripts {
    /// Reads all of it.
    pub(super) fn read(base: &Path, report: &mut Report) -> Self {
        let mut scripts = Self { variables: BTreeMap::new(), natgw: None, lvs: None, policy: None };
        let mut files = vec![base.join("script.options")];
        files.extend(list(&base.join("events/legacy"), ".options", report));
        for file in files {
            scripts.options(base, &file, report);
        }
        report.count("script variables", scripts.variables.len());
        scripts.natgw = scripts.group(
            base,
            "CTDB_NATGW_NODES",
            "natgw_nodes",
            "NAT gateway nodes",
            node_group::parse,
            report,
        );
        scripts.lvs =
            scripts.group(base, "CTDB_LVS_NODES", "lvs_nodes", "LVS nodes", node_group::parse, report);
        scripts.policy = scripts
            .file_of(base, "CTDB_PER_IP_ROUTING_CONF", "policy_routing", report)
            .and_then(|file| Some((file.clone(), read(&file, routing::policy_routing, report)?)));
        if let Some((_, routes)) = &scripts.policy {
            report.count("policy routes", routes.len());
        }
        if let Some(routes) = read(&base.join("static-routes"), routing::static_routes, report) {
            report.count("static routes", routes.len());
        }
        executables(base, report);
        scripts
    }

    /// A variable that is set to something a check can understand, and where.
    pub(super) fn get(&self, name: &str) -> Option<(&str, &Place)> {
        let (assignment, place) = self.variables.get(name)?;
        let value = Some(assignment.value.as_str()).filter(|v| !v.is_empty() && !assignment.dynamic)?;
        Some((value, place))
    }

    /// Whether a variable is set to anything but nothing.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.get(name).is_some_and(|(a, _)| !a.value.is_empty())
    }

    /// Takes over a file of options.
    fn options(&mut self, base: &Path, file: &Path, report: &mut Report) {
        let known = |name: &str| (name == "CTDB_BASE").then(|| base.display().to_string());
        let parse = |text: &str, file: &Path| shell::parse(text, file, &known);
        let Some(found) = read(file, parse, report) else { return };
        for (line, statement) in found.statements {
            let what = format!(
                "{} is no assignment: event scripts would run it, the built-in handlers do not see what it does",
                quote(&statement)
            );
            report.warning(Place::line(file, line), what);
        }
        for assignment in found.all {
            let (name, place) = (&assignment.name, Place::line(file, assignment.line));
            match variables::kind(name) {
                Some(_) if assignment.dynamic => {}
                Some(kind) => {
                    if let Some(fault) = variables::fault(kind, &assignment.value) {
                        report.error(place.clone(), format!("{name} {fault}"));
                    }
                }
                None => {
                    if let Some(meant) = variables::meant(name).filter(|_| name.starts_with("CTDB_")) {
                        report.warning(
                            place.clone(),
                            format!("no script reads {name}; write {meant} if that was meant"),
                        );
                    }
                }
            }
            self.variables.insert(name.clone(), (assignment, place));
        }
    }

    /// The file that a variable names, or the usual one, which is only looked at then: no script reads it.
    fn file_of(&self, base: &Path, variable: &str, usual: &str, report: &mut Report) -> Option<PathBuf> {
        if let Some((value, place)) = self.get(variable).filter(|(v, _)| v.starts_with('/')) {
            let file = PathBuf::from(value);
            if !file.exists() {
                let what =
                    format!("{variable} names {}, which does not exist; write that file", file.display());
                report.error(place.clone(), what);
                return None;
            }
            return Some(file);
        }
        let file = base.join(usual);
        if !file.exists() {
            return None;
        }
        if !self.is_set(variable) {
            let what = format!(
                "not in use: {variable} is not set; write {variable}={} into script.options",
                file.display()
            );
            report.warning(Place::File(file.clone()), what);
        }
        Some(file)
    }

    fn group<F: std::fmt::Display>(
        &self,
        base: &Path,
        variable: &str,
        usual: &str,
        what: &'static str,
        parse: impl Fn(&str, &Path) -> Parsed<Vec<Member>, F>,
        report: &mut Report,
    ) -> Option<Group> {
        let file = self.file_of(base, variable, usual, report)?;
        let members = read(&file, parse, report)?;
        report.count(what, members.len());
        Some(Group { file, members })
    }
}

/// What a parser makes of a file; `None` when there is none or it cannot be read.
fn read<T, F: std::fmt::Display>(
    file: &Path,
    parse: impl Fn(&str, &Path) -> Parsed<T, F>,
    report: &mut Report,
) -> Option<T> {
    match source::read(file) {
        Ok(text) => Some(report.keep(parse(&text?, file))),
        Err(error) => {
            report.refused(&error);
            None
        }
    }
}

fn list(dir: &Path, ending: &str, report: &mut Report) -> Vec<PathBuf> {
    source::list(dir, ending).unwrap_or_else(|error| {
        report.refused(&error);
        Vec::new()
    })
}

/// Whether somebody may execute this file.
pub(super) fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Event scripts, `notify.sh` and what it calls. An event script that is not executable is a disabled one, and no fault.
fn executables(base: &Path, report: &mut Report) {
    let scripts = list(&base.join("events/legacy"), ".script", report);
    let enabled = scripts.iter().filter(|s| is_executable(s)).count();
    report.count("event scripts", enabled);
    for script in scripts.iter().filter(|s| !s.exists()) {
        let what = "links to a file that does not exist; remove the link or install the script";
        report.error(Place::File(script.clone()), what);
    }
    let notify = base.join("notify.sh");
    if notify.exists() && !is_executable(&notify) {
        let what = format!("is not executable and never called; chmod +x {}", notify.display());
        report.error(Place::File(notify), what);
    }
}
