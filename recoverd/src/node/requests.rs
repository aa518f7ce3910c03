//! Takeover requests of this node: who waits for a run, and who has been asked for it.
//!
//! A request goes to the recmaster, ourselves included; when there is none, or it changes before it has answered, the request is kept
//! and sent to the next one. Requests that arrive while one runs are served by the next run (SEMANTICS B.1).

use super::{Cx, Node};
use crate::action::Action;
use crate::command::Reply;
use crate::model::RunId;
use crate::msg::{PeerMsg, RunRequest};
use std::collections::BTreeMap;

/// Who wants to know that the run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    /// An operator's command.
    Command(u64),
    /// `ctdb stop` of the recmaster: it stops when its addresses are handed over.
    Stop(u64),
    /// The local address check.
    Verify,
    /// This node is shutting down.
    Shutdown,
}

#[derive(Debug)]
struct Outstanding {
    request: RunRequest,
    waiter: Waiter,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Requests {
    map: BTreeMap<u64, Outstanding>,
    /// A request comes right behind the change that is being made: it tells the recmaster of both, so that one run serves them.
    pub(super) coming: bool,
}

impl Requests {
    /// The local address check has asked already.
    pub(super) fn verify_pending(&self) -> bool {
        self.map.values().any(|o| o.waiter == Waiter::Verify)
    }
}

impl Node {
    /// Asks the recmaster for a run; the waiter hears when it has ended.
    pub(super) fn request_run(&mut self, request: RunRequest, waiter: Waiter, cx: &mut Cx) {
        let req = cx.id();
        let coming = std::mem::take(&mut self.requests.coming);
        if let Some(leader) = self.leader.pnn() {
            let state = (coming && leader != self.cfg.me).then(|| self.own_state(cx.now));
            cx.send(leader, PeerMsg::RunRequest { req, request: RunRequest { state, ..request.clone() } });
        }
        self.requests.map.insert(req, Outstanding { request, waiter });
    }

    pub(super) fn request_verify_run(&mut self, request: RunRequest, cx: &mut Cx) {
        self.request_run(request, Waiter::Verify, cx);
    }

    /// There is a new recmaster: it has not heard our requests.
    pub(super) fn resend_requests(&mut self, cx: &mut Cx) {
        let Some(leader) = self.leader.pnn() else { return };
        for (req, o) in &self.requests.map {
            cx.send(leader, PeerMsg::RunRequest { req: *req, request: o.request.clone() });
        }
    }

    pub(super) fn on_run_answer(&mut self, req: u64, result: Result<RunId, String>, cx: &mut Cx) {
        let Some(o) = self.requests.map.remove(&req) else { return };
        match o.waiter {
            Waiter::Command(id) => {
                let reply = match result {
                    Ok(_) => Reply::Ok,
                    Err(e) => Reply::Error(e),
                };
                cx.actions.push(Action::Reply { id, reply });
            }
            Waiter::Stop(id) => self.stop_now(id, cx),
            Waiter::Verify => {}
            Waiter::Shutdown => self.handed_over(cx),
        }
    }
}
