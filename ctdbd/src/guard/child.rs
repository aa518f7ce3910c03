//! The guard's own process.

use super::{READY, Word};
use crate::gate::Ticker;
use crate::lease::fenced;
use crate::netif::{Netif, OnIface};
use crate::trace::{self, TARGET};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The argument that makes `ctdbd` a guard.
pub const ARGUMENT: &str = "--guard";

/// A refused request is tried again for so long: nothing else takes the addresses off.
const KEEP_TRYING: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Runs until the daemon on the other end of standard input ends. Messages go to standard error, which is the daemon's.
///
/// # Errors
/// It cannot begin: the pipe or the lock does not work.
pub fn run() -> io::Result<()> {
    trace::start_alone();
    nix::unistd::setsid().map_err(io::Error::from)?;
    // It has the daemon's name: whoever tells all processes of that name to open their logs again must not end it.
    SigSet::from(Signal::SIGHUP).thread_block().map_err(io::Error::from)?;
    let mut words = io::stdin().lock().lines();
    let first = words.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?;
    let Ok(Word::Begin { lock, report, addr, mut peers, port }) = serde_json::from_str(&first) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the guard is started by ctdbd, not by hand"));
    };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock)?;
    let _lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| io::Error::from(e))?;
    writeln!(io::stdout(), "{READY}")?;
    io::stdout().flush()?;
    let mut public = Vec::new();
    let (mut gate, mut session) = (None, None);
    // An unreadable pipe is as good as a dead daemon.
    while let Some(Ok(line)) = words.next() {
        match serde_json::from_str(&line) {
            Ok(Word::Public(addrs)) => public = addrs,
            Ok(Word::Peers(now)) => peers = now,
            Ok(Word::Gate(base)) => gate = Some(base),
            Ok(Word::Session(now)) => session = now,
            Ok(Word::Goodbye) => return Ok(()),
            Ok(Word::Begin { .. }) | Err(_) => {}
        }
    }
    tracing::trace!(target: TARGET, "daemon's end seen");
    // The gate first: it is the quickest. Without it, or if it shuts already, the addresses go all the same.
    let ticker = gate.and_then(|base| Ticker::new(base).ok());
    if let Some(ticker) = &ticker {
        let _step = tracing::trace_span!(target: TARGET, "gate shut").entered();
        let _ = ticker.close();
    }
    let gone = tracing::trace_span!(target: TARGET, "addresses off").in_scope(|| clean_up(&public));
    if let (Some(session), true) = (session, gone.is_ok()) {
        let _step = tracing::trace_span!(target: TARGET, "peers told").entered();
        fenced(session, addr, &peers, port);
    }
    // Not sooner: to close its packet socket takes the kernel 10 ms, in which nobody would know.
    drop(ticker);
    // Whoever serves these addresses next tells the clients; our services shall not wait for them for hours.
    crate::conn::end_all(&public.into_iter().collect());
    // Last: a disk that is full or slow keeps nobody from serving the addresses.
    let text = gone?;
    say(&text);
    std::fs::write(report, text)
}

/// Takes every public address off every interface; what was done in words.
fn clean_up(public: &[IpAddr]) -> io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let removed = runtime.block_on(async {
        loop {
            match remove(public).await {
                Ok(removed) => return Ok(removed),
                Err(why) if began.elapsed() > KEEP_TRYING => {
                    return Err(io::Error::other(format!(
                        "the daemon died and its guard could not take the public addresses off: {why}"
                    )));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    })?;
    let names: Vec<String> = removed.iter().map(|a| format!("{} ({})", a.addr, a.iface)).collect();
    Ok(format!(
        "the daemon died; its guard took {} public address(es) off in {} ms: {}",
        names.len(),
        began.elapsed().as_millis(),
        names.join(" ")
    ))
}

async fn remove(public: &[IpAddr]) -> Result<Vec<OnIface>, String> {
    let netif = Netif::requests_only().map_err(|e| e.to_string())?;
    let state = netif.observe().await.map_err(|e| e.to_string())?;
    let on: Vec<OnIface> = public
        .iter()
        .flat_map(|addr| state.places(*addr).iter().map(|p| (*addr, p)))
        .map(|(addr, p)| OnIface { iface: p.iface.clone(), addr, prefix: p.prefix })
        .collect();
    for result in netif.del_addresses(&on).await {
        result.map_err(|e| e.to_string())?;
    }
    Ok(on)
}

fn say(text: &str) {
    // The daemon's standard error may be gone with it.
    let _ = writeln!(io::stderr(), "ctdbd guard: {text}");
}
