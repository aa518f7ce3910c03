//! `ctdb gettickles`, `tickle`, `addtickle`, `deltickle`: connections of clients, by hand.
//!
//! CTDB's shapes and messages. SRC is the client's end, DST the one at the public address. Ends are `10.0.0.9:1022`, `[fd00::9]:1022` or CTDB's
//! `fd00::9:1022` (the last colon counts). Without arguments, pairs are read from standard input, one pair a line.

use crate::ask::{Asker, Patience, unexpected};
use crate::ip::parse_ip;
use crate::out::{Failure, Outcome, Output, Style, row};
use recoverd::command::{DaemonCommand, DaemonReply};
use recoverd::connections::canonical;
use recoverd::model::Connection;
use serde_json::json;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

/// What was read from standard input: once, however many nodes are asked.
static STDIN: OnceLock<Result<String, String>> = OnceLock::new();

/// `ctdb gettickles`.
pub(crate) async fn gettickles(asker: &mut Asker, ip: &str, port: Option<u16>, style: Style) -> Outcome {
    let addr = parse_ip(ip)?.to_canonical();
    let command = DaemonCommand::Tickles { addr, port };
    match asker.daemon(command, Patience::Question).await? {
        DaemonReply::Connections(list) => Ok(Output::styled(
            style,
            || plain(addr, &list),
            |sep| table(&list, sep),
            || {
                let end = |e: &SocketAddr| json!({ "address": e.ip().to_string(), "port": e.port() });
                let rows =
                    list.iter().map(|c| json!({ "source": end(&c.client), "destination": end(&c.server) }));
                json!({ "address": addr.to_string(), "connections": rows.collect::<Vec<_>>() })
            },
        )),
        other => Err(unexpected("gettickles", &other)),
    }
}

fn plain(addr: IpAddr, list: &[Connection]) -> String {
    let mut text = format!("Connections for IP: {addr}\nNum connections: {}\n", list.len());
    for c in list {
        text.push_str(&format!("SRC: {}   DST: {}\n", c.client, c.server));
    }
    text
}

fn table(list: &[Connection], sep: char) -> String {
    let mut text = row(sep, ["Source IP", "Port", "Destination IP", "Port"]);
    for c in list {
        let ends = [&c.client, &c.server];
        text.push_str(&row(sep, ends.iter().flat_map(|e| [e.ip().to_string(), e.port().to_string()])));
    }
    text
}

/// `ctdb tickle`: needs the right to send raw packets, and no daemon.
pub(crate) fn tickle(ends: &[String]) -> Outcome {
    let mut sender = conn::Sender::default();
    let failed: Vec<String> = connections(ends)?
        .iter()
        .filter_map(|c| sender.tickle(c).err())
        .map(|e| format!("Failed to send tickle ack\n{e}"))
        .collect();
    match failed.first() {
        None => Ok(Output::silent()),
        Some(first) => Err(Failure::new(first.clone())),
    }
}

/// `ctdb addtickle`.
pub(crate) async fn addtickle(asker: &mut Asker, ends: &[String]) -> Outcome {
    let connections = connections(ends)?;
    done(asker.daemon(DaemonCommand::AddTickles { connections }, Patience::Question).await?, "addtickle")
}

/// `ctdb deltickle`.
pub(crate) async fn deltickle(asker: &mut Asker, ends: &[String]) -> Outcome {
    let connections = connections(ends)?;
    done(asker.daemon(DaemonCommand::DelTickles { connections }, Patience::Question).await?, "deltickle")
}

fn done(reply: DaemonReply, what: &str) -> Outcome {
    match reply {
        DaemonReply::Ok => Ok(Output::silent()),
        other => Err(unexpected(what, &other)),
    }
}

/// The connection that two arguments name, or those of standard input.
pub(crate) fn connections(ends: &[String]) -> Result<Vec<Connection>, Failure> {
    match ends {
        [client, server] => Ok(vec![pair(client, server).map_err(Failure::new)?]),
        [] => {
            let read = || {
                let mut text = String::new();
                std::io::stdin().lock().read_to_string(&mut text).map_err(|e| e.to_string())?;
                Ok(text)
            };
            let text = STDIN.get_or_init(read).as_deref();
            pairs(text.map_err(|e| Failure::new(format!("cannot read pairs from standard input: {e}")))?)
                .map_err(Failure::new)
        }
        _ => Err(Failure::new("name both ends, SRC:PORT and DST:PORT, or write pairs to standard input")),
    }
}

fn pairs(text: &str) -> Result<Vec<Connection>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(client), Some(server), None) => {
                    pair(client, server).map_err(|e| format!("standard input, line {n}: {e}"))
                }
                _ => Err(format!("standard input, line {n}: write SRC:PORT DST:PORT, not '{}'", line.trim())),
            }
        })
        .collect()
}

fn pair(client: &str, server: &str) -> Result<Connection, String> {
    let connection = canonical(Connection { client: end(client)?, server: end(server)? });
    if connection.client.is_ipv4() != connection.server.is_ipv4() {
        return Err(format!("{client} and {server} are not of one address family"));
    }
    Ok(connection)
}

fn end(text: &str) -> Result<SocketAddr, String> {
    let by_last_colon = || {
        let (addr, port) = text.rsplit_once(':')?;
        Some(SocketAddr::new(addr.parse().ok()?, port.parse().ok()?))
    };
    text.parse().ok().or_else(by_last_colon).ok_or_else(|| {
        format!("'{text}' is no address with port: write 10.0.0.9:1022, [fd00::9]:1022 or fd00::9:1022")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(client: &str, server: &str) -> Connection {
        pair(client, server).unwrap()
    }

    #[test]
    fn ends_are_read_in_all_three_forms() {
        assert_eq!(end("10.0.0.9:1022").unwrap().to_string(), "10.0.0.9:1022");
        for text in ["[fd00::9]:1022", "fd00::9:1022"] {
            assert_eq!(end(text).unwrap().to_string(), "[fd00::9]:1022", "{text}");
        }
        assert_eq!(one("::ffff:10.0.0.9:1", "10.0.0.31:2").client.to_string(), "10.0.0.9:1");
        for text in ["", ":", "10.0.0.9", "10.0.0.9:", "10.0.0.9:x", "10.0.0.9:65536", "host:1"] {
            assert!(end(text).unwrap_err().contains(&format!("'{text}'")), "{text}");
        }
        let mixed = pair("10.0.0.9:1", "[fd00::1]:2").unwrap_err();
        assert_eq!(mixed, "10.0.0.9:1 and [fd00::1]:2 are not of one address family");
    }

    #[test]
    fn pairs_are_a_line_each() {
        let text = "10.0.0.9:1 10.0.0.31:2049\n\n  10.0.0.9:2\t10.0.0.31:2049 \n";
        assert_eq!(
            pairs(text),
            Ok(vec![one("10.0.0.9:1", "10.0.0.31:2049"), one("10.0.0.9:2", "10.0.0.31:2049")])
        );
        assert_eq!(
            pairs("10.0.0.9:1 10.0.0.31:2\n10.0.0.9:1\n").unwrap_err(),
            "standard input, line 2: write SRC:PORT DST:PORT, not '10.0.0.9:1'"
        );
        assert!(pairs("\na:b c:d").unwrap_err().starts_with("standard input, line 2: 'a:b' is no address"));
    }

    #[test]
    fn one_argument_is_none_or_two() {
        assert!(connections(&["10.0.0.9:1".to_owned()]).is_err());
        let both = ["10.0.0.9:1".to_owned(), "10.0.0.31:2".to_owned()];
        assert_eq!(connections(&both), Ok(vec![one("10.0.0.9:1", "10.0.0.31:2")]));
    }

    #[test]
    fn shapes_are_ctdbs() {
        let list = [one("10.0.0.9:1022", "10.0.0.31:2049")];
        let addr = "10.0.0.31".parse().unwrap();
        assert_eq!(
            plain(addr, &list),
            "Connections for IP: 10.0.0.31\nNum connections: 1\nSRC: 10.0.0.9:1022   DST: 10.0.0.31:2049\n"
        );
        assert_eq!(
            table(&list, '|'),
            "|Source IP|Port|Destination IP|Port|\n|10.0.0.9|1022|10.0.0.31|2049|\n"
        );
        assert_eq!(plain(addr, &[]), "Connections for IP: 10.0.0.31\nNum connections: 0\n");
    }
}
