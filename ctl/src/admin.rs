//! Commands that change something and are silent when it is done: `disable`, `enable`, `stop`, `continue`, `ban`, `unban`, `moveip`,
//! `ipreallocate`, `setifacelink`, `gratarp`, `setleaderrole`, `shutdown`.

use crate::ask::{Asker, Patience, unexpected};
use crate::ip::{iface_rows, parse_ip};
use crate::out::{Failure, Outcome, Output};
use recoverd::command::{Command, Reply};
use recoverd::model::Pnn;

/// Asks for the change and waits until it is in force. A note (`Node 1 is already disabled`) goes to stderr with exit status 0.
pub(crate) async fn change(asker: &mut Asker, command: Command) -> Outcome {
    let reply = asker.ask_at(asker.addressee(), command, Patience::Run).await?;
    outcome(reply)
}

fn outcome(reply: Reply) -> Outcome {
    match reply {
        Reply::Ok => Ok(Output::silent()),
        Reply::Note(note) => Ok(Output { notes: vec![note], ..Output::default() }),
        other => Err(unexpected("the change", &other)),
    }
}

/// CTDB's exit status for a value that cannot be.
const EINVAL: u8 = 22;

/// `ctdb ban`.
pub(crate) async fn ban(asker: &mut Asker, seconds: u32) -> Outcome {
    if seconds == 0 {
        return Err(Failure { message: "Ban time cannot be zero".to_owned(), code: EINVAL });
    }
    change(asker, Command::Ban { seconds }).await
}

/// `ctdb moveip`.
pub(crate) async fn moveip(asker: &mut Asker, ip: &str, pnn: u32) -> Outcome {
    let (addr, to) = (parse_ip(ip)?, Pnn(pnn));
    if asker.status().await?.nodes.iter().all(|n| n.pnn != to) {
        return Err(Failure::new(format!("Node {to} does not exist")));
    }
    change(asker, Command::MoveIp { addr, to }).await
}

/// `ctdb setifacelink`.
pub(crate) async fn setifacelink(asker: &mut Asker, iface: &str, up: bool) -> Outcome {
    let known = iface_rows(asker).await?.iter().any(|r| r.name == iface);
    if !known {
        let pnn = asker.pnn().await?;
        return Err(Failure::new(format!("Interface {iface} not configured on node {pnn}")));
    }
    change(asker, Command::SetIfaceLink { iface: iface.to_owned(), up }).await
}

/// `ctdb gratarp`.
pub(crate) async fn gratarp(asker: &mut Asker, ip: &str, iface: &str) -> Outcome {
    let addr = parse_ip(ip)?;
    change(asker, Command::GratArp { addr, iface: iface.to_owned() }).await
}

/// `ctdb setlmasterrole`: nothing to do.
pub(crate) fn setlmasterrole() -> Output {
    let note = "setlmasterrole has no effect: ctdb-ip has no database, and no node is a location master";
    Output { notes: vec![note.to_owned()], ..Output::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_told_and_is_no_failure() {
        assert_eq!(outcome(Reply::Ok), Ok(Output::silent()));
        let output = outcome(Reply::Note("Node 1 is already disabled".into())).unwrap();
        assert_eq!(output.notes, ["Node 1 is already disabled"]);
        assert_eq!((output.code, output.text.as_str()), (0, ""));
        assert_eq!(outcome(Reply::Ips(Vec::new())).unwrap_err().code, 1);
    }
}
