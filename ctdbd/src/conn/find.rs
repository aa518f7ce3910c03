//! Looking for connections in the kernel.

use super::end_all;
use conn::Diag;
use recoverd::model::Connection;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The connections over which data may still flow, of all local addresses. Those to `absent` addresses, which are on no interface any
/// more, can never be answered again: they are ended, so that their programs notice.
///
/// # Errors
/// Why the kernel does not tell, in words.
pub async fn find(absent: BTreeSet<IpAddr>) -> Result<Vec<Connection>, String> {
    let look = move || {
        let found = Diag::open().and_then(|mut diag| diag.connections()).map_err(|e| e.to_string())?;
        if found.iter().any(|f| absent.contains(&f.connection.server.ip())) {
            let ended = end_all(&absent).len();
            tracing::info!("ended {ended} connection(s) to public addresses that are not here any more");
        }
        Ok(found.into_iter().filter(|f| f.alive).map(|f| f.connection).collect())
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|e| Err(format!("the look was cut short: {e}")))
}
