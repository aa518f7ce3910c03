//! A cluster of one node in memory, without a lock: enough to drive the node's machine to where it serves addresses.

use recoverd::action::{Action, Persistent};
use recoverd::alloc::HomeNodes;
use recoverd::input::Input;
use recoverd::model::{
    Epoch, Event, EventOutcome, KernelAddr, KernelState, Link, Mono, Pnn, PublicAddress, RunState, Session,
    Tunables,
};
use recoverd::node::{Config, Node, NodeConfig};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

const IFACE: &str = "bond0";

pub(crate) struct Lone {
    node: Node,
    kernel: Arc<KernelState>,
    now: Mono,
    addresses: Vec<IpAddr>,
}

impl Lone {
    /// Runs until it serves this many addresses.
    pub(crate) fn serving(count: u32) -> Self {
        let first = u32::from(Ipv4Addr::new(10, 1, 0, 1));
        let addresses: Vec<IpAddr> = (0..count).map(|n| Ipv4Addr::from(first + n).into()).collect();
        let public = |a: &IpAddr| PublicAddress { addr: *a, prefix: 16, ifaces: vec![IFACE.to_owned()] };
        let config = Config {
            me: Pnn(0),
            nodes: vec![NodeConfig { addr: Ipv4Addr::new(192, 168, 20, 41).into(), deleted: false }],
            public_addresses: addresses.iter().map(public).collect(),
            tunables: Tunables::default(),
            session: Session(1),
            has_lock: false,
            leases: false,
            leader_capable: true,
            failover_disabled: false,
            groups: false,
            shutdown_timeout: Duration::from_secs(10),
            shutdown_extra: Duration::ZERO,
            persistent: Persistent { epoch: Epoch::NONE, disabled: false, stopped: false, banned_for: None },
            home_nodes: HomeNodes::default(),
        };
        let mut kernel = KernelState::default();
        kernel.links.insert(IFACE.to_owned(), Link { index: 2, admin_up: true, lower_up: true });
        let now = Mono(1_000_000);
        let mut lone = Self { node: Node::new(config, now), kernel: Arc::new(kernel), now, addresses };
        lone.feed(Input::Start);
        for _ in 0..10_000 {
            let held = lone.addresses.iter().all(|a| !lone.kernel.places(*a).is_empty());
            if held && lone.node.runstate() == RunState::Running {
                return lone;
            }
            lone.wait();
        }
        panic!("the node does not come to serve: {:?}, {:?}", lone.node.runstate(), lone.node.status());
    }

    /// The kernel's state without one of the addresses.
    pub(crate) fn without(&self, number: usize) -> Arc<KernelState> {
        let mut kernel = KernelState::clone(&self.kernel);
        kernel.addrs.remove(&self.addresses[number]);
        Arc::new(kernel)
    }

    /// The kernel says this; the actions.
    pub(crate) fn tell(&mut self, state: &Arc<KernelState>) -> Vec<Action> {
        let input = Input::Kernel { state: Arc::clone(state), asked_at: None, culprit: None };
        let actions = self.node.handle(input, self.now);
        assert!(
            actions.iter().any(|a| matches!(a, Action::RunEvent { .. })),
            "nothing is put back: {actions:?}"
        );
        actions
    }

    /// This many deadlines with everything they ask for.
    pub(crate) fn idle(&mut self, deadlines: usize) {
        (0..deadlines).for_each(|_| self.wait());
    }

    fn wait(&mut self) {
        let next = self.node.next_deadline().unwrap_or(self.now + Duration::from_secs(1));
        self.now = next.max(self.now + Duration::from_micros(1));
        self.feed(Input::Tick);
    }

    fn feed(&mut self, input: Input) {
        let mut queue = VecDeque::from([input]);
        while let Some(input) = queue.pop_front() {
            for action in self.node.handle(input, self.now) {
                self.perform(action, &mut queue);
            }
        }
    }

    fn perform(&mut self, action: Action, queue: &mut VecDeque<Input>) {
        let asked_at = Some(self.now);
        match action {
            Action::RunEvent { op, event, .. } => {
                // The mirror of the kernel is told before the end of the event, as in the daemon.
                if self.happen(&event) {
                    let state = Arc::clone(&self.kernel);
                    queue.push_back(Input::Kernel { state, asked_at: None, culprit: None });
                }
                queue.push_back(Input::EventDone { op, outcome: EventOutcome::Ok });
            }
            Action::Observe => {
                let state = Arc::clone(&self.kernel);
                queue.push_back(Input::Kernel { state, asked_at, culprit: None });
            }
            _ => {}
        }
    }

    fn happen(&mut self, event: &Event) -> bool {
        match event {
            Event::TakeIp { iface, addr, prefix } => {
                let place = KernelAddr { iface: iface.clone(), prefix: *prefix };
                Arc::make_mut(&mut self.kernel).addrs.insert(*addr, vec![place]);
                true
            }
            Event::ReleaseIp { addr, .. } => Arc::make_mut(&mut self.kernel).addrs.remove(addr).is_some(),
            _ => false,
        }
    }
}
