//! For the tests of this crate: a model of the kernel's IPVS table, which answers as `ip_vs` does (EEXIST, ENOENT, ESRCH), and a host
//! made of texts.

use crate::config::Surroundings;
use crate::diff::Change;
use crate::model::{Protocol, Service, Table};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// errno of "no such destination".
pub(crate) const ENOENT: i32 = 2;
/// errno of "no such service".
pub(crate) const ESRCH: i32 = 3;
/// errno of "is there already".
pub(crate) const EEXIST: i32 = 17;

/// The table and how many requests it has seen.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    table: Table,
}

impl Kernel {
    pub(crate) fn with(table: Table) -> Self {
        Self { table }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Performs one request; the errno when the kernel would refuse it.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), i32> {
        let services = &mut self.table.services;
        match change {
            Change::AddService { service, settings } => {
                if services.contains_key(service) {
                    return Err(EEXIST);
                }
                services.insert(*service, Service { settings: settings.clone(), ..Service::default() });
            }
            Change::EditService { service, settings } => {
                services.get_mut(service).ok_or(ESRCH)?.settings = settings.clone();
            }
            Change::DelService { service } => {
                services.remove(service).ok_or(ESRCH)?;
            }
            Change::AddDest { service, dest, settings } => {
                let dests = &mut services.get_mut(service).ok_or(ESRCH)?.dests;
                if dests.contains_key(dest) {
                    return Err(EEXIST);
                }
                dests.insert(*dest, *settings);
            }
            Change::EditDest { service, dest, settings } => {
                *services.get_mut(service).ok_or(ESRCH)?.dests.get_mut(dest).ok_or(ENOENT)? = *settings;
            }
            Change::DelDest { service, dest } => {
                services.get_mut(service).ok_or(ESRCH)?.dests.remove(dest).ok_or(ENOENT)?;
            }
        }
        Ok(())
    }
}

/// A certificate that may sign.
static AUTHORITY: LazyLock<String> = LazyLock::new(|| {
    rcgen::generate_simple_self_signed(["ca.example.org".to_owned()]).expect("a certificate").cert.pem()
});

/// A host made of texts: files, programs that can be run, and two names of services.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) programs: Vec<String>,
}

impl Host {
    /// A host with one configuration, `vs.conf`, two files of certificates, and the program `/opt/check`.
    pub(crate) fn of(text: &str) -> Self {
        Self {
            files: [("vs.conf".to_owned(), text.to_owned())]
                .into_iter()
                .chain(["/etc/ca.pem", "/etc/ours.pem"].map(|name| (name.to_owned(), AUTHORITY.clone())))
                .collect(),
            programs: vec!["/opt/check".to_owned()],
        }
    }
}

impl Surroundings for Host {
    fn read(&self, path: &str) -> Result<String, String> {
        self.files.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        let (before, after) = pattern.split_once('*').ok_or("only * here")?;
        let fits = |f: &&String| f.starts_with(before) && f.ends_with(after);
        Ok(self.files.keys().filter(fits).cloned().collect())
    }

    fn executable(&self, path: &str) -> Result<(), String> {
        self.programs.iter().any(|p| p == path).then_some(()).ok_or_else(|| "no such file".to_owned())
    }

    fn service_port(&self, name: &str, _: Protocol) -> Option<u16> {
        [("http", 80), ("domain", 53), ("zero", 0)].iter().find(|(n, _)| *n == name).map(|(_, p)| *p)
    }

    fn account(&self, user: Option<&str>, group: Option<&str>) -> Result<(), String> {
        let known = |name: Option<&str>| name != Some("stranger");
        (known(user) && known(group))
            .then_some(())
            .ok_or_else(|| "there is no \"stranger\" on this host".to_owned())
    }
}
