//! `UDP_CHECK`: a datagram is answered as required; or, when no reply is required, no ICMP error comes back (keepalived.conf(5)).

use super::{Passed, Verdict, socket, within, words};
use crate::config::check_types::{Target, UdpCheck};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;
use tokio::time::timeout;

/// Longest datagram that is looked at.
const LONGEST: usize = 65_535;
/// How many random bytes are sent when the configuration gives none.
const RANDOM: usize = 20;

pub(super) async fn probe(check: &UdpCheck, target: &Target, limit: Duration) -> Verdict {
    let socket = socket::udp(target).await?;
    let peer = socket::peer(target);
    let payload = check.payload.clone().unwrap_or_else(random);
    within(limit, &format!("datagram to {peer}"), socket.send(&payload)).await?;
    let mut reply = vec![0; LONGEST];
    let Some(wanted) = &check.reply else {
        return match timeout(limit, socket.recv(&mut reply)).await {
            Err(_) => Ok(Passed::new(format!("no ICMP error from {peer} within {} s", limit.as_secs_f64()))),
            Ok(Ok(n)) => Ok(Passed::new(format!("{peer} answers with {n} bytes"))),
            Ok(Err(e)) => Err(format!("{peer}: {}", words(&e))),
        };
    };
    let n = within(limit, &format!("reply of {peer}"), socket.recv(&mut reply)).await?;
    if wanted.accepts(&reply[..n]) {
        return Ok(Passed::new(format!("{peer} answers with {n} bytes as required")));
    }
    Err(format!(
        "{peer} answers with {n} bytes, not as required ({} to {} bytes and the pattern)",
        wanted.min, wanted.max
    ))
}

fn random() -> Vec<u8> {
    (0..RANDOM).map(|n| RandomState::new().hash_one(n).to_le_bytes()[0]).collect()
}
