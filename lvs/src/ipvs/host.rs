//! Why this host has no IPVS: what is seen of kernel and modules, and what follows from it (R3-4).
//!
//! The judgement ([`HostFacts::why_absent`]) is pure. The facts are read from `/proc`, `/sys` and `/lib/modules`; a compressed module's
//! `vermagic` is asked of `modinfo`.

use super::error::IpvsError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where modules are.
const TREES: [&str; 2] = ["/lib/modules", "/usr/lib/modules"];
/// Capability 12.
const CAP_NET_ADMIN: u64 = 1 << 12;

/// A kernel module as its file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// File; `(built in)` for a module that is a part of the kernel.
    pub file: String,
    /// For which kernel it was built; none when it could not be read.
    pub vermagic: Option<String>,
}

/// What is seen of kernel and modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Release of the running kernel (`uname -r`).
    pub running: String,
    /// Releases that have modules here.
    pub installed: Vec<String>,
    /// Directory of the running kernel's modules, when there is one with an index.
    pub tree: Option<String>,
    /// ip_vs as the index of the running kernel's modules has it.
    pub module: Option<Module>,
    /// Whether ip_vs is loaded or built in.
    pub loaded: bool,
    /// Whether loading modules was switched off for good (`kernel.modules_disabled`).
    pub loading_disabled: bool,
}

impl HostFacts {
    /// Looks.
    #[must_use]
    pub fn gather() -> Self {
        let running = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let mut installed: Vec<String> = TREES.iter().flat_map(|t| names(t)).collect();
        installed.sort();
        installed.dedup();
        let tree = TREES
            .iter()
            .map(|t| Path::new(t).join(&running))
            .find(|t| t.join("modules.dep").exists() || t.join("modules.builtin").exists());
        let module = tree.as_deref().and_then(module);
        let loaded = Path::new("/sys/module/ip_vs").exists() || Path::new("/proc/net/ip_vs").exists();
        let disabled = fs::read_to_string("/proc/sys/kernel/modules_disabled");
        Self {
            running,
            installed,
            tree: tree.map(|t| t.display().to_string()),
            module,
            loaded,
            loading_disabled: disabled.is_ok_and(|d| d.trim() == "1"),
        }
    }

    /// Why the kernel does not know the family IPVS. `modprobe` says why the module cannot be loaded; it is asked only when all else is
    /// in order.
    #[must_use]
    pub fn why_absent(&self, modprobe: impl FnOnce() -> Result<(), String>) -> IpvsError {
        let running = self.running.clone();
        if self.loaded {
            return IpvsError::NoFamily { running };
        }
        let Some(tree) = self.tree.clone() else {
            return IpvsError::OtherModules { running, installed: self.installed.clone() };
        };
        let Some(module) = &self.module else { return IpvsError::NoModule { running, tree } };
        let reason = if self.loading_disabled {
            "kernel.modules_disabled is 1: no module can be loaded until the next boot".to_owned()
        } else {
            match modprobe() {
                Ok(()) => return IpvsError::NoFamily { running },
                Err(reason) => reason,
            }
        };
        IpvsError::NotLoaded { running, file: module.file.clone(), reason }
    }
}

/// Loads ip_vs; the error is what `modprobe` says.
pub(super) fn modprobe() -> Result<(), String> {
    let program = fs::read_to_string("/proc/sys/kernel/modprobe").unwrap_or_default();
    let program = if program.trim().is_empty() { "/sbin/modprobe" } else { program.trim() };
    match Command::new(program).arg("ip_vs").output() {
        Ok(out) if out.status.success() => Ok(()),
        Ok(out) => Err(format!("{program} ip_vs: {}", String::from_utf8_lossy(&out.stderr).trim())),
        Err(e) => Err(format!("cannot run {program}: {e}")),
    }
}

/// Why EPERM, and the remedy. The first namespace matters: kernels before 6.12 ask for the capability there, not in a container's own.
pub(super) fn why_not_allowed() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first: Vec<&str> = map.split_whitespace().collect();
    let contained = first != ["0", "0", "4294967295"];
    match effective {
        Some(caps) if caps & CAP_NET_ADMIN == 0 => {
            "this process has no CAP_NET_ADMIN: run it as root, or give its container that capability".to_owned()
        }
        _ if contained => "this process has CAP_NET_ADMIN only in a user namespace, which this kernel's ip_vs does not accept: run the \
                           director in the host's user namespace"
            .to_owned(),
        _ => "this process has CAP_NET_ADMIN; a security module (SELinux, AppArmor, seccomp) forbids it".to_owned(),
    }
}

fn names(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// ip_vs in the index of a tree of modules.
fn module(tree: &Path) -> Option<Module> {
    let builtin = fs::read_to_string(tree.join("modules.builtin")).unwrap_or_default();
    if builtin.lines().any(|l| l.ends_with("/ip_vs.ko")) {
        return Some(Module { file: "(built in)".to_owned(), vermagic: None });
    }
    let index = fs::read_to_string(tree.join("modules.dep")).unwrap_or_default();
    let file = index.lines().filter_map(|l| l.split_once(':')).map(|(file, _)| file).find(|file| {
        let name = file.rsplit('/').next().unwrap_or(file);
        name.strip_prefix("ip_vs.ko").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })?;
    let path = tree.join(file);
    Some(Module { vermagic: vermagic(&path), file: path.display().to_string() })
}

/// `vermagic` of a module's file.
fn vermagic(path: &PathBuf) -> Option<String> {
    if path.extension().is_some_and(|e| e == "ko") {
        return vermagic_in(&fs::read(path).ok()?);
    }
    let out = Command::new("modinfo").args(["-F", "vermagic"]).arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    (out.status.success() && !text.is_empty()).then_some(text)
}

/// In the section `.modinfo` there are texts `NAME=VALUE`, each with its NUL.
fn vermagic_in(file: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\0vermagic=";
    let at = file.windows(KEY.len()).position(|w| w == KEY)? + KEY.len();
    let value = file.get(at..)?;
    let end = value.iter().position(|b| *b == 0)?;
    Some(String::from_utf8_lossy(&value[..end]).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        HostFacts {
            running: "6.1.0-51-amd64".to_owned(),
            installed: vec!["6.1.0-56-amd64".to_owned()],
            ..HostFacts::default()
        }
    }

    #[test]
    fn each_way_to_have_no_ipvs_has_its_own_message() {
        let never = || unreachable!("modprobe is not asked");
        let other = facts();
        let tree = HostFacts { tree: Some("/lib/modules/6.1.0-51-amd64".to_owned()), ..facts() };
        let module = Module { file: "/lib/modules/6.1.0-51-amd64/ip_vs.ko".to_owned(), vermagic: None };
        let there = HostFacts { module: Some(module), ..tree.clone() };
        let disabled = HostFacts { loading_disabled: true, ..there.clone() };
        let loaded = HostFacts { loaded: true, ..there.clone() };
        let said =
            || Err("/sbin/modprobe ip_vs: could not insert 'ip_vs': Operation not permitted".to_owned());
        for (text, parts) in [
            (
                other.why_absent(never).to_string(),
                vec!["the running kernel is 6.1.0-51-amd64", "modules of 6.1.0-56-amd64 only"],
            ),
            (tree.why_absent(never).to_string(), vec!["do not have it", "linux-modules-extra"]),
            (disabled.why_absent(never).to_string(), vec!["not loaded", "kernel.modules_disabled is 1"]),
            (there.why_absent(said).to_string(), vec!["/ip_vs.ko", "could not insert 'ip_vs'"]),
            (loaded.why_absent(never).to_string(), vec!["loaded", "no generic netlink family"]),
        ] {
            for part in parts {
                assert!(text.contains(part), "{text}");
            }
        }
        let bare = HostFacts { installed: vec![], ..facts() };
        assert!(bare.why_absent(never).to_string().contains("of no kernel here"));
    }

    #[test]
    fn vermagic_is_found_in_a_module() {
        let file = b"\x7fELF..\0license=GPL\0vermagic=6.1.0-56-amd64 SMP preempt mod_unload modversions \0name=ip_vs\0";
        assert_eq!(vermagic_in(file).as_deref(), Some("6.1.0-56-amd64 SMP preempt mod_unload modversions"));
        assert_eq!(vermagic_in(b"vermagic=cut"), None);
        assert_eq!(vermagic_in(b"\0vermagic=cut"), None);
    }
}
