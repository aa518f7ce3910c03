//! Tests that need a network of their own: the test runs itself again, alone, in a new network namespace.

use crate::sys::in_new_network;
use futures_util::StreamExt;
use rtnetlink::LinkUnspec;
use rtnetlink::LinkVeth;
use std::process::{Command, Stdio};

const MARK: &str = "CTDBD_TEST_IN_OWN_NETWORK";

/// Runs `body` in a new network namespace, on a tokio runtime. `name` is the full name of the calling test, for libtest's filter.
/// Where namespaces are forbidden it says so and passes.
pub(crate) fn in_own_network<F: Future<Output = ()>>(name: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(MARK).is_some() {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(body());
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(MARK, "1").stdin(Stdio::null());
    in_new_network(&mut again);
    let output = match again.output() {
        Ok(output) => output,
        Err(e) => {
            report(&format!("skipped: {name}: needs a network namespace (unshare: {e})"));
            return;
        }
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for line in text.lines().filter(|line| line.starts_with("measured: ")) {
        report(line);
    }
    assert!(text.contains("1 passed"), "{name} did not pass in its namespace:\n{text}");
}

/// A line for whoever reads the test run.
pub(crate) fn report(line: &str) {
    use std::io::Write;
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// Makes a veth pair with both ends up.
pub(crate) async fn veth(one: &str, other: &str) {
    let handle = rtnetlink();
    handle.link().add(LinkVeth::new(one, other).build()).execute().await.unwrap();
    for end in [one, other] {
        set_link(end, true).await;
    }
}

/// Sets a link up or down.
pub(crate) async fn set_link(name: &str, up: bool) {
    let handle = rtnetlink();
    let builder = LinkUnspec::new_with_name(name);
    let message = if up { builder.up() } else { builder.down() }.build();
    handle.link().set(message).execute().await.unwrap();
}

/// Deletes a link.
pub(crate) async fn delete_link(name: &str) {
    let handle = rtnetlink();
    let mut links = Box::pin(handle.link().get().match_name(name).execute());
    let index = links.next().await.unwrap().unwrap().header.index;
    handle.link().del(index).execute().await.unwrap();
}

fn rtnetlink() -> rtnetlink::Handle {
    let (connection, handle, _messages) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    handle
}
