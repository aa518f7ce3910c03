//! `SMTP_CHECK`: greeting, HELO and QUIT are answered as a mail server does (220, 250, 221).

use super::{Passed, Verdict, socket, within};
use crate::config::check_types::Target;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longest answer, all its lines together.
const LONGEST: u64 = 16 * 1024;

pub(super) async fn probe(helo: Option<&str>, target: &Target, limit: Duration) -> Verdict {
    let mut connection = BufReader::new(socket::connect(target, limit).await?);
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name = helo.map(str::to_owned).or(host).unwrap_or_else(|| "localhost".to_owned());
    expect(&mut connection, "greeting", 220, limit).await?;
    for (command, code) in [(format!("HELO {name}"), 250), ("QUIT".to_owned(), 221)] {
        let line = format!("{command}\r\n");
        within(limit, &command, connection.write_all(line.as_bytes())).await?;
        expect(&mut connection, &command, code, limit).await?;
    }
    Ok(Passed::new(format!("{} takes mail", socket::peer(target))))
}

/// Reads an answer, which may have several lines (`250-…` and then `250 …`).
async fn expect(
    connection: &mut BufReader<TcpStream>,
    to: &str,
    code: u16,
    limit: Duration,
) -> Result<(), String> {
    let last = within(limit, &format!("answer to {to}"), async {
        let mut lines = connection.take(LONGEST);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    })
    .await?;
    let said = last.get(..3).and_then(|c| c.parse().ok());
    if said == Some(code) { Ok(()) } else { Err(format!("answer to {to}: {}, not {code}", last.trim_end())) }
}
