//! The task that owns the director: waits for commands, probes, the kernel and the clock, and hands each to [`super::running`].

use super::load::{Loaded, load_aside};
use super::memory::{self, Ours};
use super::running::Running;
use super::{Ask, Setting, group};
use ::lvs::config::Config;
use ::lvs::members::Members;
use recoverd::command::{AnyReply, DaemonCommand, DaemonReply};
use recoverd::view::lvs::{LvsReport, LvsState};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What there is besides a running director.
#[derive(Default)]
struct Task {
    running: Option<Running>,
    /// The file's configuration in force, with its warnings.
    file: Option<(Config, Vec<String>)>,
    /// The LVS group of cluster members.
    members: Option<Members>,
    /// Why the group's services are left out.
    conflict: Option<String>,
    /// Why the file was refused when it was last read.
    refused: Vec<String>,
}

/// Runs until the daemon ends.
pub(super) async fn run(setting: &Setting, asked: &mut mpsc::UnboundedReceiver<Ask>) {
    let mut task = Task { members: setting.members.borrow().clone(), ..Task::default() };
    // The answer is for operators who ask for a reload; here the log has it.
    drop(task.reload(setting).await);
    let (mut kernel, mut public) = (setting.kernel.clone(), setting.public.clone());
    loop {
        task.tell_trouble(setting);
        let asked = match &mut task.running {
            None => asked.recv().await,
            Some(running) => {
                running.advance();
                let wait = running.wait();
                tokio::select! {
                    asked = asked.recv() => asked,
                    fact = running.probes.next() => { running.fact(fact); continue }
                    outcome = running.forwards.next() => { running.tested(outcome); continue }
                    Some(news) = running.link.news.recv() => { running.news(news); continue }
                    Ok(()) = kernel.changed() => { running.addresses(setting); continue }
                    Ok(()) = public.changed() => { running.addresses(setting); continue }
                    () = tokio::time::sleep(wait) => continue,
                }
            }
        };
        let Some(ask) = asked else { return };
        if !task.take(ask, setting).await {
            return;
        }
    }
}

/// Without a director nobody else would take away what one that died has left.
async fn clear_left(setting: &Setting) {
    if memory::read(&setting.memory) == Ours::default() {
        return;
    }
    tracing::info!("lvs: what an earlier director left in the kernel is taken away");
    match Running::new(setting) {
        Ok(running) => running.stop().await,
        Err(why) => tracing::error!("lvs: {why}"),
    }
}

impl Task {
    /// Takes what is asked; false when it was the last.
    async fn take(&mut self, ask: Ask, setting: &Setting) -> bool {
        match ask {
            Ask::Command(command, reply) => {
                self.command(command, reply, setting).await;
                true
            }
            Ask::Members(members, done) => {
                // Who waits may have given up.
                let _ = done.send(self.members(members, setting).await);
                true
            }
            Ask::Stop(done) => {
                if let Some(running) = self.running.take() {
                    running.stop().await;
                }
                // Who waits may have given up.
                let _ = done.send(());
                false
            }
        }
    }

    async fn command(&mut self, command: DaemonCommand, reply: oneshot::Sender<AnyReply>, setting: &Setting) {
        let answer = match command {
            DaemonCommand::LvsServices => DaemonReply::Lvs(Box::new(self.report(setting))),
            DaemonCommand::LvsReload => self.reload(setting).await,
            DaemonCommand::LvsDrain { service, real, deadline_s } => {
                self.drain(&service, &real, Some(Duration::from_secs(deadline_s.into())))
            }
            DaemonCommand::LvsUndrain { service, real } => self.drain(&service, &real, None),
            _ => DaemonReply::Error("this is no command for the LVS director".to_owned()),
        };
        // Who asked may have given up waiting.
        let _ = reply.send(AnyReply::Daemon(answer));
    }

    /// Reads the file. A bad one leaves everything as it is; none switches the director off.
    async fn reload(&mut self, setting: &Setting) -> DaemonReply {
        let file = setting.file.display();
        let (config, warnings) = match load_aside(setting.file.clone()).await {
            Loaded::Config(config, warnings) => match self.members.as_ref().and_then(|m| m.conflict(&config))
            {
                None => (*config, warnings),
                Some(why) => return self.refuse(setting, vec![why]),
            },
            Loaded::Absent => {
                self.refused.clear();
                let was = self.file.take().is_some();
                if let Err(why) = self.apply(setting).await {
                    return DaemonReply::Error(why);
                }
                if self.running.is_some() {
                    return DaemonReply::Note(format!(
                        "{file} is not there; the LVS director serves the group of cluster members only"
                    ));
                }
                if !was {
                    clear_left(setting).await;
                }
                let now = if was { "is off now" } else { "stays off" };
                return DaemonReply::Note(format!("{file} is not there; the LVS director {now}"));
            }
            Loaded::Refused(findings) => return self.refuse(setting, findings),
        };
        self.refused.clear();
        warnings.iter().for_each(|w| tracing::warn!("lvs: {w}"));
        let note = warnings.join("\n");
        self.file = Some((config, warnings));
        match self.apply(setting).await {
            Err(why) => DaemonReply::Error(why),
            Ok(()) if note.is_empty() => DaemonReply::Ok,
            Ok(()) => DaemonReply::Note(note),
        }
    }

    /// The file is bad: everything stays as it is.
    fn refuse(&mut self, setting: &Setting, findings: Vec<String>) -> DaemonReply {
        let file = setting.file.display();
        let stays = match self.file {
            Some(_) => "the configuration before it stays in force",
            None => "its virtual services are NOT served",
        };
        let text = format!("{file} is refused, {stays}:\n{}", findings.join("\n"));
        tracing::error!("lvs: {text}");
        self.refused = findings;
        DaemonReply::Error(format!("{text}\ncorrect this and run ctdb lvs reload"))
    }

    /// The group has changed. What contradicts the file leaves the services of the group out.
    async fn members(&mut self, members: Option<Members>, setting: &Setting) -> Result<(), String> {
        let file = self.file.as_ref().map(|(config, _)| config);
        let conflict = members.as_ref().zip(file).and_then(|(members, file)| members.conflict(file));
        self.members = members;
        if let Some(why) = &conflict {
            tracing::error!("lvs: {why}");
            if let Some(members) = &mut self.members {
                members.leads = false;
            }
        }
        setting.members.send_replace(self.members.clone());
        self.apply(setting).await?;
        self.conflict.clone_from(&conflict);
        conflict.map_or(Ok(()), Err)
    }

    /// Puts file and group into force together. With neither the director ends. A group without services keeps it: what an earlier life
    /// left in the kernel would send packets for this node on.
    async fn apply(&mut self, setting: &Setting) -> Result<(), String> {
        if self.file.is_none() && self.members.is_none() {
            if let Some(running) = self.running.take() {
                tracing::info!("lvs: nothing is configured any more, the director ends");
                running.stop().await;
            }
            return Ok(());
        }
        let (file, warnings) = self.file.clone().unwrap_or_default();
        let config = match &self.members {
            Some(members) => members.with(file),
            None => file,
        };
        if self.running.is_none() {
            self.running = Some(Running::new(setting).inspect_err(|why| tracing::error!("lvs: {why}"))?);
        }
        if let Some(running) = &mut self.running {
            running.configure(config, self.members.as_ref(), warnings, setting);
        }
        Ok(())
    }

    /// For who is asked about it without asking the director: event handlers.
    fn tell_trouble(&self, setting: &Setting) {
        let why = self.running.as_ref().and_then(|running| match &running.state {
            LvsState::NoKernel(why) => Some(why.clone()),
            _ => running.failures.first().cloned(),
        });
        group::tell_trouble(setting, self.conflict.clone().or(why));
    }

    /// Drains for so long, or takes a drain back.
    fn drain(&mut self, service: &str, real: &str, deadline: Option<Duration>) -> DaemonReply {
        let Some(running) = &mut self.running else {
            return DaemonReply::Error("the LVS director is off; see `ctdb lvs services`".to_owned());
        };
        let (Ok(service), Ok(dest)) = (service.parse(), real.parse()) else {
            return DaemonReply::Error(format!(
                "\"{service}\" \"{real}\": write the service as `ctdb lvs services` prints it, such as \"tcp 192.0.2.1:80\", and \
                 the real server as 10.0.0.1:80"
            ));
        };
        let done = match deadline {
            Some(limit) => running.drain(service, dest, limit),
            None => running.undrain(service, dest),
        };
        match (done, deadline) {
            (true, _) => DaemonReply::Ok,
            (false, Some(_)) => {
                DaemonReply::Error(format!("{service} has no real server {dest}; see `ctdb lvs services`"))
            }
            (false, None) => DaemonReply::Note(format!("{dest} of {service} is not drained")),
        }
    }

    fn report(&self, setting: &Setting) -> LvsReport {
        let off = if self.refused.is_empty() { LvsState::Off } else { LvsState::Refused };
        let report = match &self.running {
            Some(running) => running.report(),
            None => LvsReport { state: off, ..LvsReport::default() },
        };
        LvsReport { file: setting.file.display().to_string(), refused: self.refused.clone(), ..report }
    }
}
