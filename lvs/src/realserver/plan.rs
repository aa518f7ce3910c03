//! What `up` and `down` have to do. Pure.

use super::{Changed, RealServerError, SETTINGS, Seen, State, Step};
use std::net::IpAddr;

/// What is to be remembered, and then done, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The state afterwards. `up` stores it before the first step, `down` after the last one.
    pub state: State,
    /// Changes of the host.
    pub steps: Vec<Step>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Puts addresses on the loopback and suppresses ARP for them. What is so already is left alone, and not remembered as ours.
///
/// # Errors
/// An address that cannot be a virtual one, or that another interface has.
pub fn up(state: &State, seen: &Seen, vips: &[IpAddr]) -> Result<Plan, RealServerError> {
    up_with(&SETTINGS, state, seen, vips)
}

/// As [`up`], with other settings: names of [`SETTINGS`] and the least that each must be.
///
/// # Errors
/// As [`up`].
pub fn up_with(
    settings: &[(&str, u32)],
    state: &State,
    seen: &Seen,
    vips: &[IpAddr],
) -> Result<Plan, RealServerError> {
    for vip in vips {
        if vip.is_unspecified() || vip.is_loopback() || vip.is_multicast() {
            return Err(RealServerError::NoVip { vip: *vip });
        }
        if let Some(iface) = seen.elsewhere(*vip) {
            return Err(RealServerError::Elsewhere { vip: *vip, iface: iface.to_owned() });
        }
    }
    let mut plan = Plan { state: state.clone(), ..Plan::default() };
    if vips.iter().any(IpAddr::is_ipv4) {
        for (name, wanted) in settings {
            let now = seen.settings.get(*name).copied().unwrap_or_default();
            // A greater value is stricter.
            if now < *wanted {
                // What is ours already is raised: it goes back to what it was before both.
                let before = state.settings.get(*name).filter(|c| c.ours == now).map_or(now, |c| c.before);
                let changed = Changed { before, ours: *wanted };
                plan.state.settings.insert((*name).to_owned(), changed);
                plan.steps.push(Step::Set { name: (*name).to_owned(), value: *wanted });
            }
        }
    }
    for vip in vips {
        let there = seen.on_loopback(*vip);
        let added_before = state.vips.get(vip).copied();
        plan.state.vips.insert(*vip, !there || added_before == Some(true));
        let step = Step::Add(*vip);
        if !there && !plan.steps.contains(&step) {
            plan.steps.push(step);
        } else if there && added_before.is_none() {
            plan.notes.push(format!("{vip} was on lo before: `down` will leave it there"));
        }
    }
    Ok(plan)
}

/// Undoes what [`up`] did for addresses; the settings when no IPv4 address is left.
#[must_use]
pub fn down(state: &State, seen: &Seen, vips: &[IpAddr]) -> Plan {
    let mut plan = Plan { state: state.clone(), ..Plan::default() };
    for vip in vips {
        match plan.state.vips.remove(vip) {
            None => plan.notes.push(format!("{vip} was not put up by `ctdb lvs realserver`: left as it is")),
            Some(false) => plan.notes.push(format!("{vip} was on lo before `up`: left there")),
            Some(true) if seen.on_loopback(*vip) => plan.steps.push(Step::Remove(*vip)),
            Some(true) => plan.notes.push(format!("{vip} was taken off lo by others")),
        }
    }
    if plan.state.vips.keys().any(IpAddr::is_ipv4) {
        return plan;
    }
    for (name, Changed { before, ours }) in std::mem::take(&mut plan.state.settings) {
        let dotted = name.replace('/', ".");
        match seen.settings.get(&name) {
            Some(now) if *now == ours => plan.steps.push(Step::Set { name, value: before }),
            // `up` was cut short before it came to this one.
            Some(now) if *now == before => {}
            Some(now) => plan.notes.push(format!(
                "net.ipv4.conf.{dotted} was made {ours} by `up` and is {now} now: left, others changed it"
            )),
            None => plan.notes.push(format!("net.ipv4.conf.{dotted} is gone")),
        }
    }
    plan
}
