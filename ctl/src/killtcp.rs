//! `ctdb killtcp IFACE [SRC DST]`: ends TCP connections of this host, as CTDB's helper program `ctdb_killtcp`, which stock event scripts call.
//!
//! Pairs come as for `ctdb tickle`, in either direction. The kernel destroys the local socket and tells its peer; where it cannot, both ends get
//! a RST. That works whatever the interface, which is taken because scripts name it. A connection that is not there is none to end. The daemon
//! has ended the connections of an address itself before scripts are asked to release it.

use crate::out::{Failure, Outcome, Output};
use crate::tickle;
use conn::{Destroyed, Diag, Found, Sender};
use recoverd::model::Connection;
use std::collections::BTreeSet;
use std::time::Duration;

/// Where sockets cannot be destroyed: how long clients may take to answer.
const ANSWERS: Duration = Duration::from_secs(1);

/// Needs the right to manage the network, and no daemon.
pub(crate) fn run(ends: &[String]) -> Outcome {
    let wanted = tickle::connections(ends)?;
    let failed = |e: &dyn std::fmt::Display| Failure::new(format!("Failed to kill TCP connections\n{e}"));
    let mut diag = Diag::open().map_err(|e| failed(&e))?;
    let found = meant(diag.connections().map_err(|e| failed(&e))?, &wanted);
    for (n, socket) in found.iter().enumerate() {
        if diag.destroy(socket).map_err(|e| failed(&e))? == Destroyed::Unsupported {
            let left: Vec<Connection> = found[n..].iter().filter(|f| f.alive).map(|f| f.connection).collect();
            conn::reset(&mut Sender::default(), &left, ANSWERS).map_err(|e| failed(&e))?;
            break;
        }
    }
    Ok(Output::silent())
}

/// The sockets that are an end of a wanted connection; which end is named first does not matter.
fn meant(mut found: Vec<Found>, wanted: &[Connection]) -> Vec<Found> {
    let turned = |c: &Connection| Connection { client: c.server, server: c.client };
    let all: BTreeSet<(_, _)> =
        wanted.iter().flat_map(|c| [*c, turned(c)]).map(|c| (c.client, c.server)).collect();
    found.retain(|f| all.contains(&(f.connection.client, f.connection.server)));
    found
}
