//! The LVS group of cluster members on this node: performs what the built-in `91.lvs` wants.
//!
//! The services are the director's ([`super::task`]); the address on `lo` and its ARP settings are `lvs::realserver`'s, which undoes what it
//! did; that nobody else is answered for is the gate's: the address passes in ARP only while it is in the set `held` *and* the lease lives, so a
//! leader that froze or was cut off is silent before another begins. Nothing is done twice: what is so already costs no request.

use super::{Ask, Setting};
use crate::conn::Ender;
use crate::driver::Held;
use crate::packet::{Announcements, Series};
use ::lvs::members::Members;
use ::lvs::realserver::{RealServerError, host};
use eventscripts::{BoxFuture, GroupDirector, Lead, LvsAddress};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

/// Gate and guard shall know this address of the group, and no other, from now on. Answered when they were told.
pub(crate) type Guarding = (Option<LvsAddress>, oneshot::Sender<()>);

/// What the group needs of the driver.
pub(crate) struct Drivers {
    /// What passes the gate; none without a gate.
    pub(crate) held: Option<Held>,
    pub(crate) announcements: Option<Arc<Announcements>>,
    /// How public addresses are announced, the group's like them.
    pub(crate) series: watch::Receiver<Series>,
    pub(crate) guarding: mpsc::UnboundedSender<Guarding>,
}

/// What this node has done.
#[derive(Default)]
struct Done {
    /// The address is on `lo`.
    begun: Option<LvsAddress>,
    led: Option<Lead>,
    /// All of it; not so while it is being done, or when that was cut short.
    whole: bool,
}

/// See the module.
pub(crate) struct Group {
    vardir: PathBuf,
    asks: mpsc::UnboundedSender<Ask>,
    trouble: watch::Receiver<Option<String>>,
    drivers: Drivers,
    ender: Ender,
    done: Mutex<Done>,
}

impl super::Lvs {
    /// The group's side.
    pub(crate) fn group(&self, vardir: PathBuf, drivers: Drivers) -> Group {
        Group {
            vardir,
            asks: self.asks.clone(),
            trouble: self.trouble.clone(),
            drivers,
            ender: Ender::default(),
            done: Mutex::default(),
        }
    }
}

impl Group {
    /// Tells the director; it answers when it knows what is wanted, not when the kernel has it.
    async fn tell(&self, members: Option<Members>) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let ended = || "the LVS director has ended".to_owned();
        self.asks.send(Ask::Members(members, answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Gate and guard know the address from here on; the former one not any more.
    async fn guard(&self, address: Option<LvsAddress>) -> Result<(), String> {
        let (done, told) = oneshot::channel();
        let ended = || "the daemon ends".to_owned();
        self.drivers.guarding.send((address, done)).map_err(|_| ended())?;
        told.await.map_err(|_| ended())
    }

    async fn heard(&self, vip: Ipv4Addr, heard: bool) -> Result<(), String> {
        on_thread(move || host::set_heard(vip, heard)).await
    }

    /// Stops leading, if this node does, in whole or in part. Forgotten when it is done, so that it is tried again.
    async fn let_go(&self, done: &mut Done) -> Result<(), String> {
        let Some(led) = done.led.clone() else { return Ok(()) };
        self.stop_leading(&led).await?;
        done.led = None;
        Ok(())
    }

    /// The address goes off `lo`, and settings that were made for it. Forgotten when it is done.
    async fn undo(&self, done: &mut Done) -> Result<(), String> {
        let Some(address) = &done.begun else { return Ok(()) };
        let (dir, vip) = (self.vardir.clone(), IpAddr::V4(address.vip));
        on_thread(move || host::take_down(&dir, &[vip])).await?;
        tracing::info!("lvs: {vip} is not the group's address any more");
        done.begun = None;
        Ok(())
    }

    async fn start_leading(&self, lead: &Lead) -> Result<(), String> {
        let vip = lead.address.vip;
        // First: from here on what is taken is taken back, whatever comes between.
        if let Some(held) = &self.drivers.held
            && !held.change(lead.life, vip.into(), true).await
        {
            return Err(format!("the gate cannot guard {vip}; the log says why"));
        }
        self.tell(Some(members(&lead.address, Some(lead)))).await?;
        self.heard(vip, true).await?;
        if let Some(announcements) = &self.drivers.announcements {
            announcements.start(&lead.address.iface, vip.into(), *self.drivers.series.borrow(), || ());
        }
        tracing::info!("lvs: this node leads the group of {vip}");
        Ok(())
    }

    /// Nobody is answered; services go, too. The first thing that went wrong, if this node may still be heard.
    async fn stop_leading(&self, lead: &Lead) -> Result<(), String> {
        let vip = lead.address.vip;
        if let Some(announcements) = &self.drivers.announcements {
            announcements.stop(vip.into());
        }
        // While packets still pass: clients get their RST.
        self.ender.end(vip.into()).await;
        let gated = match &self.drivers.held {
            Some(held) => held.change(held.life(), vip.into(), false).await,
            None => false,
        };
        let quiet = self.heard(vip, false).await;
        let told = self.tell(Some(members(&lead.address, None))).await;
        for why in [&quiet, &told].into_iter().filter_map(|r| r.as_ref().err()) {
            tracing::error!("lvs: {why}");
        }
        tracing::info!("lvs: this node does not lead the group of {vip} any more");
        if gated { Ok(()) } else { quiet }
    }
}

fn members(address: &LvsAddress, lead: Option<&Lead>) -> Members {
    let (file, line) = &address.place;
    Members {
        vip: address.vip,
        at: ::lvs::config::Place { file: file.as_str().into(), line: *line },
        leads: lead.is_some(),
        nodes: lead.map(|l| l.nodes.clone()).unwrap_or_default(),
        me: lead.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |l| l.me),
    }
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RealServerError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(e) => Err(format!("its thread has ended: {e}")),
    }
}

impl GroupDirector for Group {
    fn begun(&self) -> BoxFuture<'_, Option<LvsAddress>> {
        Box::pin(async move { self.done.lock().await.begun.clone() })
    }

    fn begin<'a>(&'a self, address: &'a LvsAddress) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let mut done = self.done.lock().await;
            self.let_go(&mut done).await?;
            if done.begun.as_ref().is_some_and(|begun| begun.vip != address.vip) {
                self.undo(&mut done).await?;
            }
            self.guard(Some(address.clone())).await?;
            let (dir, vip) = (self.vardir.clone(), address.vip);
            on_thread(move || host::put_up_group(&dir, vip)).await?;
            tracing::info!("lvs: the group's address is {vip} on {}", address.iface);
            done.begun = Some(address.clone());
            // What is wrong with it is the director's trouble until then, and no reason not to start.
            drop(self.tell(Some(members(address, None))).await);
            Ok(())
        })
    }

    fn lead(&self, lead: Lead) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let mut done = self.done.lock().await;
            if done.begun.is_none() {
                return Err(format!("{} is not on lo yet: `startup` has not run", lead.address.vip));
            }
            match done.led.replace(lead.clone()).filter(|_| done.whole) {
                Some(led) if led == lead => return Ok(()),
                Some(led) if led.life == lead.life && led.address == lead.address => {
                    done.whole = false;
                    self.tell(Some(members(&lead.address, Some(&lead)))).await?;
                }
                _ => {
                    done.whole = false;
                    if let Err(why) = self.start_leading(&lead).await {
                        self.let_go(&mut done).await?;
                        return Err(why);
                    }
                }
            }
            done.whole = true;
            Ok(())
        })
    }

    fn follow(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.let_go(&mut *self.done.lock().await).await })
    }

    fn end(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let mut done = self.done.lock().await;
            self.let_go(&mut done).await?;
            if done.begun.is_none() {
                return Ok(());
            }
            self.tell(None).await?;
            self.undo(&mut done).await?;
            self.guard(None).await
        })
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
}

/// Whether an address of the group is held here, for what depends on the places of services.
pub(super) fn lay_over(here: &mut ::lvs::placement::Here, members: Option<&Members>) {
    if let Some(members) = members {
        let vip = IpAddr::V4(members.vip);
        here.public.insert(vip);
        if members.leads {
            here.held.insert(vip);
        }
    }
}

/// Says why virtual services are not served, as far as the task knows.
pub(super) fn tell_trouble(setting: &Setting, why: Option<String>) {
    setting.trouble.send_if_modified(|now| {
        let differs = *now != why;
        *now = why;
        differs
    });
}
