//! Changes of single addresses that many tasks want at the same time, done together.
//!
//! Events of different addresses run side by side, and each asks for its own address. What comes while the kernel works on the former
//! requests goes to it in one batch ([`super::change`]), which costs one system call, and lets deletions be put in the order in which the
//! kernel is quick. A single request leaves at once. Each caller is answered with the kernel's word on its own request.

use super::change::{OnIface, Verb};
use super::{Netif, NetifError};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What is waiting, shared by the clones of a [`Netif`].
#[derive(Debug, Clone, Default)]
pub(super) struct Together {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Wanted>,
    /// A task is at work, and looks again before it ends.
    working: bool,
}

#[derive(Debug)]
struct Wanted {
    verb: Verb,
    what: OnIface,
    done: oneshot::Sender<Result<bool, NetifError>>,
}

impl Together {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Netif {
    /// One change, together with those that others want meanwhile. Requests for one address are done in the order of the calls. Goes on
    /// if the caller does not wait for it.
    pub(super) async fn change_together(&self, verb: Verb, what: OnIface) -> Result<bool, NetifError> {
        let request = verb.describe(&what);
        let (done, answer) = oneshot::channel();
        let idle = {
            let mut queue = self.together.queue();
            queue.waiting.push(Wanted { verb, what, done });
            !std::mem::replace(&mut queue.working, true)
        };
        if idle {
            let this = self.clone();
            tokio::spawn(async move { this.work().await });
        }
        answer.await.unwrap_or(Err(NetifError::NoAnswer { request }))
    }

    async fn work(&self) {
        loop {
            let all = {
                let mut queue = self.together.queue();
                queue.working = !queue.waiting.is_empty();
                std::mem::take(&mut queue.waiting)
            };
            if all.is_empty() {
                return;
            }
            for batch in batches(all) {
                let verb = batch[0].verb;
                let (what, done): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.what, w.done)).unzip();
                for (result, done) in self.change(verb, &what).await.into_iter().zip(done) {
                    // Who wanted it may have gone.
                    let _ = done.send(result);
                }
            }
        }
    }
}

/// Requests of one kind in one batch, in order; no batch is empty or has an address twice, since a batch has no order of its own.
fn batches(all: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let mut batches: Vec<Vec<Wanted>> = Vec::new();
    let mut addresses = HashSet::new();
    for one in all {
        let goes_on = batches.last().is_some_and(|b| b[0].verb == one.verb);
        if !goes_on || addresses.contains(&one.what.addr) {
            addresses.clear();
            batches.push(Vec::new());
        }
        addresses.insert(one.what.addr);
        if let Some(batch) = batches.last_mut() {
            batch.push(one);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_kinds_and_repeated_addresses_apart() {
        let wanted = |verb: Verb, addr: &str| Wanted {
            verb,
            what: OnIface { iface: "a".to_owned(), addr: addr.parse().unwrap(), prefix: 24 },
            done: oneshot::channel().0,
        };
        let add = Verb::Add(None);
        let all = vec![
            wanted(add, "10.0.0.1"),
            wanted(add, "10.0.0.2"),
            wanted(Verb::Del, "10.0.0.3"),
            wanted(Verb::Del, "10.0.0.1"),
            wanted(Verb::Del, "10.0.0.3"),
            wanted(add, "10.0.0.3"),
        ];
        let sizes: Vec<usize> = batches(all).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1, 1]);
        assert!(batches(Vec::new()).is_empty());
    }
}
