//! A thread in a network namespace of its own. What it is given runs there; the namespace goes when the thread has ended and the last
//! socket that was opened in it is closed.

use nix::sched::{CloneFlags, unshare};
use std::fs::File;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

pub(super) struct Place {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// The namespace, for those who put links into it.
    pub(super) namespace: File,
}

impl Place {
    /// Starts the thread.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let (jobs, work) = channel::<Job>();
        let (ready, entered) = channel();
        let thread = std::thread::Builder::new().name(format!("lvs-{name}")).spawn(move || {
            let inside = unshare(CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .and_then(|()| File::open("/proc/thread-self/ns/net"));
            let failed = inside.is_err();
            if ready.send(inside).is_err() || failed {
                return;
            }
            work.into_iter().for_each(|job| job());
        })?;
        let namespace = entered.recv().map_err(|_| ended())??;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), namespace })
    }

    /// Runs something in the namespace and waits for what comes of it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = channel();
        let job: Job = Box::new(move || {
            // Nobody waits any more only when this function was left by a panic.
            let _ = done.send(job());
        });
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(ended)?;
        result.recv().map_err(|_| ended())?
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It has ended or ends now; that it panicked was seen by who waited for it.
            let _ = thread.join();
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread of a namespace has ended")
}
