//! An operator's commands. Those that change something answer when the change is in force: the flags are announced, and the run that
//! follows has ended.

use super::requests::Waiter;
use super::{Cx, Node};
use crate::action::{Action, Kind};
use crate::command::{Command, Reply};
use crate::model::NodeFlags;
use crate::model::tunables;
use crate::msg::RunRequest;

impl Node {
    pub(super) fn on_command(&mut self, id: u64, command: Command, cx: &mut Cx) {
        let reply = match command {
            Command::Status => Reply::Status(self.status()),
            Command::Ips => Reply::Ips(self.ip_rows()),
            Command::PublicIps => Reply::PublicIps(self.public_ips()),
            Command::Ifaces => Reply::Ifaces(self.iface_rows()),
            Command::ListVars => Reply::Tunables(self.tunables.clone()),
            Command::SetVar { name, value } => self.set_var(&name, value, cx),
            Command::Disable => return self.switch(id, NodeFlags::DISABLED, true, cx),
            Command::Enable => return self.switch(id, NodeFlags::DISABLED, false, cx),
            Command::Stop => return self.begin_stop(id, cx),
            Command::Continue if self.life.stopping() => return self.stay(id, cx),
            Command::Continue => return self.switch(id, NodeFlags::STOPPED, false, cx),
            Command::Ban { seconds: 0 } => Reply::Error("Ban time cannot be zero".to_owned()),
            Command::Ban { seconds } => {
                self.operator(format!("ban {seconds}"), cx);
                self.requests.coming = true;
                self.ban(seconds, "by an operator", cx);
                return self.reallocate(id, "ban", cx);
            }
            Command::Unban => {
                self.banned_until = None;
                return self.switch(id, NodeFlags::BANNED, false, cx);
            }
            Command::IpReallocate => return self.reallocate(id, "ipreallocate", cx),
            Command::MoveIp { addr, to } => {
                if self.cfg.nodes.get(to.index()).is_none_or(|n| n.deleted) {
                    Reply::Error(format!("Node {to} does not exist"))
                } else {
                    self.operator(format!("moveip {addr} {to}"), cx);
                    let cause = format!("operator: moveip {addr} {to}");
                    let request = RunRequest { cause, moves: vec![(addr, to)], ..RunRequest::default() };
                    return self.request_run(request, Waiter::Command(id), cx);
                }
            }
            Command::AddIp { public } => return self.add_ip(id, public, cx),
            Command::DelIp { addr } => return self.del_ip(id, addr, cx),
            Command::SetPublicAddresses { list } => return self.set_public_addresses(id, list, cx),
            Command::SetIfaceLink { iface, up } => self.set_iface_link(&iface, up, cx),
            Command::GratArp { addr, iface } => self.gratuitous_arp(addr, &iface, cx),
            Command::SetLeaderRole { on } => self.set_leader_role(on, cx),
            Command::Shutdown => {
                self.operator("shutdown".to_owned(), cx);
                return self.begin_shutdown(Some(id), cx);
            }
            Command::Plan { .. } | Command::Why { .. } if !self.leader.leading() => {
                Reply::AskLeader(self.leader.pnn())
            }
            Command::Plan { what_if } => return self.start_plan(id, what_if, cx),
            Command::Why { addr } => return self.start_why(id, addr, cx),
        };
        cx.actions.push(Action::Reply { id, reply });
    }

    pub(super) fn operator(&self, what: String, cx: &mut Cx) {
        cx.journal(Kind::Operator, None, format!("operator on node {}: {what}", self.cfg.me));
    }

    fn set_var(&mut self, name: &str, value: u32, cx: &mut Cx) -> Reply {
        match self.tunables.set(name, value) {
            Err(e) => Reply::Error(e.to_string()),
            Ok(info) => {
                self.operator(format!("setvar {} {value}", info.name), cx);
                match info.kind {
                    tunables::Kind::Works => Reply::Ok,
                    tunables::Kind::Obsolete => {
                        Reply::Note(format!("Setting obsolete tunable variable '{}'", info.name))
                    }
                    tunables::Kind::Plumbing | tunables::Kind::Database => Reply::Note(format!(
                        "Tunable '{}' is accepted and has no effect in ctdb-ip",
                        info.name
                    )),
                }
            }
        }
    }

    /// `ctdb setleaderrole`.
    fn set_leader_role(&mut self, on: bool, cx: &mut Cx) -> Reply {
        if self.cfg.leader_capable != on {
            self.operator(format!("setleaderrole {}", if on { "on" } else { "off" }), cx);
            self.cfg.leader_capable = on;
            if !on {
                self.give_up_leadership("an operator took the role of recmaster from it", cx);
            }
            self.announce_state(cx);
        }
        Reply::Ok
    }

    /// disable, enable, stop, continue, unban.
    pub(super) fn switch(&mut self, id: u64, flag: NodeFlags, on: bool, cx: &mut Cx) {
        let word = match (flag, on) {
            (NodeFlags::DISABLED, true) => "disable",
            (NodeFlags::DISABLED, false) => "enable",
            (NodeFlags::STOPPED, true) => "stop",
            (NodeFlags::STOPPED, false) => "continue",
            _ => "unban",
        };
        if self.flags.intersects(flag) == on {
            let is = format!("{flag}").to_lowercase().replace("|inactive", "");
            let not = if on { "already" } else { "not" };
            let text = format!("Node {} is {not} {is}", self.cfg.me);
            cx.actions.push(Action::Reply { id, reply: Reply::Note(text) });
            return;
        }
        self.operator(word.to_owned(), cx);
        self.requests.coming = true;
        self.change_flags(flag, on, &format!("operator: {word}"), cx);
        self.reallocate(id, word, cx);
    }

    pub(super) fn reallocate(&mut self, id: u64, word: &str, cx: &mut Cx) {
        if !self.somebody_may_lead() {
            // The last active node has left: nobody will run anything, and there is nothing left to move.
            self.requests.coming = false;
            cx.actions.push(Action::Reply { id, reply: Reply::Ok });
            return;
        }
        let cause = format!("operator: {word} on node {}", self.cfg.me);
        self.request_run(RunRequest { cause, ..RunRequest::default() }, Waiter::Command(id), cx);
    }
}
