//! The threads behind a [`super::LockHandle`]: one that works, and while the lock is wanted one that waits in the queue.
//!
//! The waiter blocks in `F_OFD_SETLKW`, which cannot be taken back, so a waiter whose lock is not wanted any more (released, stopped,
//! or its file replaced) closes the file as soon as it gets the lock.

use super::{LockFile, Unproven};
use crate::lock::wishes::{Desk, Wishes};
use crate::lock::{LockEvent, LockRecord, Ticket};
use recoverd::model::Mono;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Period in which the worker looks by itself whether the file is still the one at the path, and tries again what failed.
const LOOK: Duration = Duration::from_secs(1);

/// How often a waiter that got the lock of a replaced file turns to the new one before it reports back.
const REPLACED_TRIES: u32 = 3;

/// The waiter, and what it brought. Locked after the wishes, never before.
#[derive(Debug, Default)]
struct Queue {
    /// Counts waiters.
    count: u64,
    /// The one waiter whose lock is welcome.
    waiter: Option<Waiter>,
    brought: Option<Result<Caught, String>>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    /// The file in whose queue it blocks.
    queued: Option<Arc<LockFile>>,
}

/// A lock that a waiter got.
#[derive(Debug)]
struct Caught {
    file: Arc<LockFile>,
    record: Option<LockRecord>,
    latency: Duration,
}

/// What worker and waiter share.
#[derive(Debug)]
struct Shared {
    desk: Arc<Desk>,
    queue: Mutex<Queue>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the worker's thread.
pub(in crate::lock) fn spawn(path: PathBuf, desk: Arc<Desk>, events: mpsc::Sender<LockEvent>) {
    let shared = Arc::new(Shared { desk, queue: Mutex::default() });
    let worker = Worker { path, shared, events: events.clone(), held: None, retry_at: None, said: None };
    if let Err(e) = thread::Builder::new().name("reclock".to_owned()).spawn(move || worker.run()) {
        let text = format!("cannot start the thread of the cluster lock: {e}; raise the limit of processes");
        // Nobody else could tell; a full channel of a handle that is being made does not exist.
        let _closed = events.try_send(LockEvent::Error { text });
    }
}

/// The lock, held.
struct Held {
    ticket: Ticket,
    file: Arc<LockFile>,
    record: Option<LockRecord>,
}

struct Worker {
    path: PathBuf,
    shared: Arc<Shared>,
    events: mpsc::Sender<LockEvent>,
    held: Option<Held>,
    /// After a failure, not before this.
    retry_at: Option<Instant>,
    /// The error that was reported last.
    said: Option<String>,
}

/// One thing to do, chosen under the mutex and done outside of it.
enum Job {
    Stop,
    /// Drop what is held, or what was brought and is not wanted.
    LetGo(Option<Caught>),
    Record(LockRecord),
    Prove(Mono),
    Take(Ticket, Instant, Caught),
    Failed(String),
    Queue(u64),
    Look(Option<Arc<LockFile>>),
}

impl Worker {
    fn run(mut self) {
        loop {
            let job = self.next_job();
            if matches!(job, Job::Stop) || self.events.is_closed() {
                self.end();
                return;
            }
            self.perform(job);
        }
    }

    fn end(&self) {
        self.shared.desk.wish(|w| w.stop = true);
        let mut queue = self.shared.queue();
        let left = (queue.waiter.take(), queue.brought.take());
        drop(queue);
        // Outside of the mutex: closing a file can block.
        drop(left);
    }

    fn next_job(&self) -> Job {
        let idle_since = Instant::now();
        let desk = Arc::clone(&self.shared.desk);
        let mut w = desk.lock();
        loop {
            if let Some(job) = self.choose(&mut w) {
                return job;
            }
            let now = Instant::now();
            let look_at = idle_since + LOOK;
            if now >= look_at {
                return Job::Look(
                    self.shared.queue().waiter.as_ref().and_then(|waiter| waiter.queued.clone()),
                );
            }
            let until = self.retry_at.filter(|at| *at > now).map_or(look_at, |at| at.min(look_at));
            w = desk.bell.wait_timeout(w, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn choose(&self, w: &mut Wishes) -> Option<Job> {
        if w.stop {
            return Some(Job::Stop);
        }
        if let Some(held) = &self.held {
            if w.want.map(|(ticket, _)| ticket) != Some(held.ticket) {
                return Some(Job::LetGo(None));
            }
            return w.record.take().map(Job::Record).or_else(|| w.prove.take().map(Job::Prove));
        }
        (w.record, w.prove) = (None, None);
        let mut queue = self.shared.queue();
        match (queue.brought.take(), w.want) {
            (Some(Ok(caught)), Some((ticket, since))) => Some(Job::Take(ticket, since, caught)),
            (Some(Ok(caught)), None) => Some(Job::LetGo(Some(caught))),
            (Some(Err(text)), Some(_)) => Some(Job::Failed(text)),
            (Some(Err(_)), None) => None,
            (None, Some(_))
                if queue.waiter.is_none() && self.retry_at.is_none_or(|at| Instant::now() >= at) =>
            {
                queue.count += 1;
                let id = queue.count;
                queue.waiter = Some(Waiter { id, queued: None });
                Some(Job::Queue(id))
            }
            (None, _) => None,
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Stop => {}
            Job::LetGo(caught) => {
                drop(caught);
                self.held = None;
            }
            Job::Record(record) => self.record(record),
            Job::Prove(asked_at) => self.prove(Some(asked_at)),
            Job::Take(ticket, since, Caught { file, record, latency }) => {
                self.said = None;
                self.held = Some(Held { ticket, file, record: None });
                self.send(LockEvent::Acquired { ticket, record, latency, waited: since.elapsed() });
            }
            Job::Failed(text) => self.failed(text),
            Job::Queue(id) => self.queue(id),
            Job::Look(queued) => match queued {
                Some(file) => self.look_at_queue(&file),
                None => self.prove(None),
            },
        }
    }

    fn record(&mut self, record: LockRecord) {
        let Some(held) = &mut self.held else { return };
        match held.file.write_record(&record) {
            Ok(()) => held.record = Some(record),
            Err(text) => {
                // To be tried again, unless there is a newer one by then; proofs wait for it, as they would prove nothing.
                self.shared.desk.lock().record.get_or_insert(record);
                self.failed(text);
                thread::sleep(LOOK / 10);
            }
        }
    }

    fn prove(&mut self, asked_at: Option<Mono>) {
        let Some(Held { ticket, file, record }) = &self.held else { return };
        let ticket = *ticket;
        match (file.prove(record.as_ref()), asked_at) {
            (Ok(()), Some(asked_at)) => {
                self.said = None;
                self.send(LockEvent::Proved { ticket, asked_at });
            }
            (Ok(()), None) => {}
            (Err(Unproven::Lost(reason)), _) => {
                self.held = None;
                self.send(LockEvent::Lost { ticket, reason });
            }
            (Err(Unproven::Unknown(text)), _) => self.failed(text),
        }
    }

    /// A waiter in the queue of a file that nobody else looks at any more would wait in vain: leave it to its fate.
    fn look_at_queue(&mut self, file: &Arc<LockFile>) {
        match file.check_path() {
            Ok(()) => {}
            Err(Unproven::Lost(_)) => {
                let mut queue = self.shared.queue();
                let same = |waiter: &Waiter| waiter.queued.as_ref().is_some_and(|q| Arc::ptr_eq(q, file));
                if queue.waiter.as_ref().is_some_and(same) {
                    queue.waiter = None;
                }
            }
            Err(Unproven::Unknown(text)) => self.failed(text),
        }
    }

    fn queue(&mut self, id: u64) {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.shared));
        let started = thread::Builder::new().name("reclock-wait".to_owned()).spawn(move || {
            let mut caught = Some(catch(&path, &shared, id));
            let mut queue = shared.queue();
            if queue.waiter.as_ref().is_some_and(|waiter| waiter.id == id) {
                queue.waiter = None;
                queue.brought = caught.take();
            }
            drop(queue);
            shared.desk.ring();
            // What nobody wants any more is closed here, outside of the mutex: closing can block, too.
        });
        if let Err(e) = started {
            self.shared.queue().waiter = None;
            self.failed(format!("cannot start a thread to wait for the cluster lock: {e}"));
        }
    }

    fn failed(&mut self, text: String) {
        self.retry_at = Some(Instant::now() + LOOK);
        if self.said.as_ref() != Some(&text) {
            self.said = Some(text.clone());
            self.send(LockEvent::Error { text });
        }
    }

    fn send(&self, event: LockEvent) {
        // A closed channel is noticed at the top of the loop.
        let _closed = self.events.blocking_send(event);
    }
}

/// Waits for the lock on the file at `path`, on the waiter's thread.
fn catch(path: &Path, shared: &Shared, id: u64) -> Result<Caught, String> {
    let mut replaced = String::new();
    for _ in 0..REPLACED_TRIES {
        let started = Instant::now();
        let file = Arc::new(LockFile::open(path)?);
        let free = file.try_lock()?;
        let latency = started.elapsed();
        if !free {
            if let Some(waiter) = shared.queue().waiter.as_mut().filter(|waiter| waiter.id == id) {
                waiter.queued = Some(Arc::clone(&file));
            }
            file.wait_lock()?;
        }
        match file.check_path() {
            Ok(()) => return Ok(Caught { record: file.read_record()?, file, latency }),
            Err(Unproven::Lost(reason)) => replaced = reason,
            Err(Unproven::Unknown(text)) => return Err(text),
        }
    }
    Err(format!("{replaced}, again and again; find out who does that"))
}
