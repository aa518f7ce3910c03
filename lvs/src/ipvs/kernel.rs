//! The kernel behind [`Ipvs`], and what it offers beside the table: time-outs, connection sync daemons, data about itself.

use super::control::{self, Info, KernelTimeouts, Role, RunningSync};
use super::decode::{self, Entry};
use super::encode::{self, Request};
use super::error::kernel_error;
use super::host::{HostFacts, modprobe, why_not_allowed};
use super::numbers::{FAMILY_NAME, VERSION, ctrl};
use super::socket::{Failure, Socket};
use super::wire::{Malformed, Writer, find, generic, number};
use super::{Ipvs, IpvsError, Performed, Reading};
use crate::config::{SyncDaemon, Timeouts};
use crate::diff::Change;
use crate::model::{Service, ServiceId};
use crate::reconcile::KernelError;
use netlink_sys::protocols::NETLINK_GENERIC;
use nix::errno::Errno;
use nix::libc::{EEXIST, EINTR, ENOENT, EPERM, ESRCH};
use serde::{Deserialize, Serialize};

/// Requests that were sent, for tests and statistics (R1-4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that only ask.
    pub reads: u64,
    /// Requests that change something.
    pub writes: u64,
}

/// The kernel's IPVS, of the network namespace in which this was opened.
pub struct Kernel {
    socket: Socket,
    family: u16,
    counts: Counts,
}

impl Kernel {
    /// Opens a socket and asks for the family, by which the kernel loads ip_vs when it must.
    ///
    /// # Errors
    /// Why there is no IPVS; each cause is an error of its own ([`IpvsError`]).
    pub fn open() -> Result<Self, IpvsError> {
        let request = "open a netlink socket";
        let socket = Socket::open(NETLINK_GENERIC).map_err(|e| {
            let errno = e.raw_os_error().unwrap_or(nix::libc::EIO);
            refused(request, Failure::from(Errno::from_raw(errno)))
        })?;
        let mut kernel = Self { socket, family: 0, counts: Counts::default() };
        kernel.resolve()?;
        Ok(kernel)
    }

    /// Requests that were sent so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Version and size of the connection table.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn info(&mut self) -> Result<Info, IpvsError> {
        let what = "read IPVS's version";
        let answer = self.read_list(&control::get_info(), what)?;
        first(answer, what, control::info)
    }

    /// Time-outs of connections.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn timeouts(&mut self) -> Result<KernelTimeouts, IpvsError> {
        let what = "read the time-outs";
        let answer = self.read_list(&control::get_timeouts(), what)?;
        first(answer, what, control::timeouts)
    }

    /// Sets the time-outs that are named, unless they are so already. Whether anything was sent.
    ///
    /// # Errors
    /// The kernel's refusal, such as EINVAL for more seconds than it can count.
    pub fn set_timeouts(&mut self, wanted: &Timeouts) -> Result<bool, IpvsError> {
        if self.timeouts()?.satisfy(wanted) {
            return Ok(false);
        }
        let what = "set the time-outs";
        self.write(&control::set_timeouts(wanted)).map_err(|f| refused(what, f)).map(|()| true)
    }

    /// Connection sync daemons that run.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn sync_daemons(&mut self) -> Result<Vec<RunningSync>, IpvsError> {
        let what = "list the sync daemons";
        let answers = self.read_list(&encode::daemons(), what)?;
        let all: Result<Vec<_>, _> = answers.iter().map(|body| control::daemon(body)).collect();
        Ok(all.map_err(|source| malformed(what, source))?.into_iter().flatten().collect())
    }

    /// Brings the sync daemons to what is wanted: exactly those of `roles`, each with `with`. One that runs so already is left alone; one
    /// that runs with other settings is stopped and started. Which were stopped and started, in words.
    ///
    /// # Errors
    /// The kernel's refusal, such as ENODEV for an interface that is not there.
    pub fn set_sync_daemons(&mut self, roles: &[Role], with: &SyncDaemon) -> Result<Vec<String>, IpvsError> {
        let mut done = Vec::new();
        let running = self.sync_daemons()?;
        let right = |role: Role| roles.contains(&role) && running.iter().any(|s| s.satisfies(role, with));
        for sync in running.iter().filter(|s| !right(s.role)) {
            let what = format!("stop the sync daemon ({}, {})", sync.role, sync.with.iface);
            match self.write(&control::stop_daemon(sync.role)) {
                // EINTR: it had been started a moment ago, and was ended before its thread ran for the first time.
                Ok(()) | Err(Failure::Refused { errno: ESRCH | EINTR, .. }) => done.push(what),
                Err(failure) => return Err(refused(&what, failure)),
            }
        }
        for role in roles.iter().filter(|r| !right(**r)) {
            let what = format!("start the sync daemon ({role}, {}, id {})", with.iface, with.id);
            self.write(&control::start_daemon(*role, with)).map_err(|f| refused(&what, f))?;
            done.push(what);
        }
        Ok(done)
    }

    /// Stops the sync daemons. Which, in words.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn stop_sync_daemons(&mut self) -> Result<Vec<String>, IpvsError> {
        let none =
            SyncDaemon { iface: String::new(), id: 0, maxlen: None, port: None, ttl: None, group: None };
        self.set_sync_daemons(&[], &none)
    }

    /// Asks the controller for the number of the family.
    fn resolve(&mut self) -> Result<(), IpvsError> {
        let what = "ask for the generic netlink family IPVS";
        let mut attrs = Writer::default();
        attrs.text(ctrl::ATTR_NAME, FAMILY_NAME);
        let attrs = attrs.into_bytes();
        self.counts.reads += 1;
        let answer = self
            .socket
            .request(false, |flags, seq| generic(ctrl::ID, flags, seq, ctrl::GET_FAMILY, 1, &attrs))
            .map_err(|failure| match failure {
                Failure::Refused { errno: ENOENT, .. } => HostFacts::gather().why_absent(modprobe),
                other => refused(what, other),
            })?;
        self.family = first(answer, what, |body| {
            let attrs = body.get(4..).unwrap_or_default();
            let id = find(attrs, ctrl::ATTR_ID)?.ok_or_else(|| Malformed::new("no family number"))?;
            u16::try_from(number(id)?).map_err(|_| Malformed::new("a family number of more than 16 bits"))
        })?;
        Ok(())
    }

    /// A request that only asks. The family's number changes when the module is loaded anew: then it is asked for once more.
    fn read_list(&mut self, request: &Request, what: &str) -> Result<Vec<Vec<u8>>, IpvsError> {
        match self.send(request) {
            Err(Failure::Refused { errno: ENOENT, .. }) => {
                self.resolve()?;
                self.send(request).map_err(|f| refused(what, f))
            }
            answer => answer.map_err(|f| refused(what, f)),
        }
    }

    fn write(&mut self, request: &Request) -> Result<(), Failure> {
        self.send(request).map(drop)
    }

    fn send(&mut self, request: &Request) -> Result<Vec<Vec<u8>>, Failure> {
        let count = if request.cmd.only_asks() { &mut self.counts.reads } else { &mut self.counts.writes };
        *count += 1;
        let family = self.family;
        self.socket.request(request.dump, |flags, seq| {
            generic(family, flags, seq, request.cmd as u8, VERSION, &request.attrs)
        })
    }

    fn read_dests(
        &mut self,
        id: &ServiceId,
        into: &mut Service,
        reading: &mut Reading,
    ) -> Result<(), IpvsError> {
        let what = format!("list the destinations of {id}");
        let answers = match self.send(&encode::dests(id)) {
            Ok(answers) => answers,
            // Deleted by others since the services were listed.
            Err(Failure::Refused { errno: ESRCH | ENOENT, .. }) => Vec::new(),
            Err(failure) => return Err(refused(&what, failure)),
        };
        for body in answers {
            match decode::destination(&body, id).map_err(|source| malformed(&what, source))? {
                Entry::Known((dest, settings, counters)) => {
                    into.dests.insert(dest, settings);
                    reading.dests.insert((*id, dest), counters);
                }
                Entry::Foreign(words) => reading.foreign.push(words),
            }
        }
        Ok(())
    }
}

impl Ipvs for Kernel {
    fn read(&mut self) -> Result<Reading, IpvsError> {
        let what = "list the virtual services";
        let mut reading = Reading::default();
        for body in self.read_list(&encode::services(), what)? {
            match decode::service(&body).map_err(|source| malformed(what, source))? {
                Entry::Known((id, settings, stats)) => {
                    let mut service = Service { settings, ..Service::default() };
                    self.read_dests(&id, &mut service, &mut reading)?;
                    reading.services.insert(id, stats);
                    reading.table.services.insert(id, service);
                }
                Entry::Foreign(words) => reading.foreign.push(words),
            }
        }
        Ok(reading)
    }

    fn perform(&mut self, change: &Change) -> Result<Performed, KernelError> {
        let answer = self.write(&encode::change(change));
        let instead = match (&answer, change) {
            (Err(Failure::Refused { errno: EEXIST, .. }), Change::AddService { service, settings }) => {
                Change::EditService { service: *service, settings: settings.clone() }
            }
            (Err(Failure::Refused { errno: EEXIST, .. }), Change::AddDest { service, dest, settings }) => {
                Change::EditDest { service: *service, dest: *dest, settings: *settings }
            }
            _ => return answer.map(|()| Performed::Done).map_err(answer_of),
        };
        self.write(&encode::change(&instead)).map(|()| Performed::Adopted).map_err(answer_of)
    }
}

/// A failure as the answer to a single request.
fn answer_of(failure: Failure) -> KernelError {
    match failure {
        Failure::Refused { errno, text } => kernel_error(errno, text.as_deref()),
        Failure::Malformed(malformed) => kernel_error(nix::libc::EBADMSG, Some(&malformed.to_string())),
    }
}

fn refused(request: &str, failure: Failure) -> IpvsError {
    let request = request.to_owned();
    match failure {
        Failure::Refused { errno: EPERM, .. } => IpvsError::NoRight { request, reason: why_not_allowed() },
        Failure::Refused { errno, text } => {
            IpvsError::Refused { request, error: kernel_error(errno, text.as_deref()) }
        }
        Failure::Malformed(source) => IpvsError::Malformed { request, source },
    }
}

fn malformed(request: &str, source: Malformed) -> IpvsError {
    IpvsError::Malformed { request: request.to_owned(), source }
}

/// The one answer to a request that is no dump.
fn first<T>(
    answers: Vec<Vec<u8>>,
    request: &str,
    read: impl FnOnce(&[u8]) -> Result<T, Malformed>,
) -> Result<T, IpvsError> {
    let body = answers.first().ok_or_else(|| malformed(request, Malformed::new("nothing")))?;
    read(body).map_err(|source| malformed(request, source))
}
