//! The director's kernel side on a real kernel with IPVS. Build machines have none, so `on_a_real_kernel` boots one: it runs this very
//! binary in a throw-away virtual machine (`tests/vm/vm-lab`), once, with every test that is marked `needs IPVS`.
//!
//! Every test works in network namespaces of its own, but one unloads the module `ip_vs`: outside the machine they are not for use.

mod control;
mod doctor;
mod keepalived;
mod members;
mod net;
mod reports;
mod selftest;
mod table;
mod traffic;
#[allow(unreachable_pub, reason = "the lab's library has this file, too")]
#[path = "../../../tests/src/vm.rs"]
mod vm;

/// What the tests call beside `ip`: program and Debian package.
const PROGRAMS: [(&str, &str); 2] = [("ipvsadm", "ipvsadm"), ("nft", "nftables")];

#[test]
fn on_a_real_kernel() {
    if vm::ready("on_a_real_kernel", &PROGRAMS) {
        // Seconds for all tests: minutes, and several times as many when the host is busy.
        vm::run_ignored(&["-t", "1200"], "", &[]);
    }
}

/// Without IPVS the error says which of the causes it is, and what to do.
#[test]
fn a_kernel_without_ipvs_is_named() {
    match lvs::ipvs::Kernel::open() {
        Ok(_) => vm::say("skipped: a_kernel_without_ipvs_is_named: needs a kernel without IPVS"),
        Err(e) => {
            let text = e.to_string();
            let facts = lvs::ipvs::HostFacts::gather();
            assert!(text.contains("ip_vs") && text.contains(&facts.running), "{text}");
        }
    }
}
