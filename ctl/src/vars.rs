//! Tunables: `getvar`, `setvar`, `listvars`. `-X` does not change their shape, as in CTDB.

use crate::ask::{Asker, unexpected};
use crate::out::{Failure, Outcome, Output, Style};
use recoverd::command::{Command, Reply};
use recoverd::model::{Tunables, tunables};
use serde_json::{Map, Value, json};

fn line(name: &str, value: u32) -> String {
    format!("{name:<26} = {value}")
}

/// The right spelling of a name; CTDB's words when there is none.
fn spelled(name: &str) -> Result<&'static str, Failure> {
    tunables::find(name)
        .map(|(_, info)| info.name)
        .map_err(|_| Failure::new(format!("No such tunable {name}")))
}

async fn ask(asker: &mut Asker) -> Result<Tunables, Failure> {
    match asker.node(Command::ListVars).await? {
        Reply::Tunables(t) => Ok(t),
        other => Err(unexpected("listvars", &other)),
    }
}

/// `ctdb getvar`.
pub(crate) async fn getvar(asker: &mut Asker, name: &str, style: Style) -> Outcome {
    let name = spelled(name)?;
    let value = ask(asker).await?.get(name).map_err(|e| Failure::new(e.to_string()))?;
    Ok(Output::line(style, line(name, value), || json!({ name: value })))
}

/// `ctdb setvar`.
pub(crate) async fn setvar(asker: &mut Asker, name: &str, value: u32) -> Outcome {
    let name = spelled(name)?.to_owned();
    match asker.node(Command::SetVar { name, value }).await? {
        Reply::Ok => Ok(Output::silent()),
        Reply::Note(note) => Ok(Output { notes: vec![note], ..Output::default() }),
        other => Err(unexpected("setvar", &other)),
    }
}

/// `ctdb listvars`.
pub(crate) async fn listvars(asker: &mut Asker, style: Style) -> Outcome {
    Ok(list(&ask(asker).await?, style))
}

fn list(tunables: &Tunables, style: Style) -> Output {
    let plain = || tunables.iter().map(|(info, value)| line(info.name, value) + "\n").collect();
    let json =
        || Value::Object(tunables.iter().map(|(i, v)| (i.name.to_owned(), v.into())).collect::<Map<_, _>>());
    Output::styled(style, plain, |_| plain(), json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunable_is_padded_to_26() {
        assert_eq!(line("MonitorInterval", 15), "MonitorInterval            = 15");
        assert_eq!(line("EventScriptUnhealthyOnTimeout", 0), "EventScriptUnhealthyOnTimeout = 0");
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(spelled("monitorinterval"), Ok("MonitorInterval"));
        assert_eq!(spelled("foo").unwrap_err().message, "No such tunable foo");
    }

    #[test]
    fn all_are_listed_the_obsolete_ones_too() {
        let plain = list(&Tunables::default(), Style::Plain).text;
        assert!(plain.starts_with("KeepaliveInterval          = 5\n"), "{plain}");
        assert!(plain.contains("\nDeterministicIPs           = 0\n"), "{plain}");
        assert_eq!(plain.lines().count(), tunables::ALL.len());
        assert_eq!(list(&Tunables::default(), Style::Table('|')).text, plain);
        let json: Value = serde_json::from_str(&list(&Tunables::default(), Style::Json).text).unwrap();
        assert_eq!(json["MonitorInterval"], 15);
    }
}
