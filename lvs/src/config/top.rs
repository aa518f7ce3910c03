//! The top level of the file.

use super::group::Group;
use super::report::{Diagnostic, Report};
use super::tree::{self, Statement};
use super::types::{Config, SyncDaemon, TlsFiles};
use super::value::Reader;
use super::{Surroundings, tls, verify::verify, words};

/// Keywords of the top level, for "did you mean".
const KEYWORDS: [&str; 5] =
    ["virtual_server", "virtual_server_group", "lvs_sync_daemon", "lvs_timeouts", "SSL"];

/// Reads and verifies a file.
///
/// # Errors
/// Every finding, warnings too, when at least one is an error. Nothing is to be applied then.
pub fn load(file: &str, around: &dyn Surroundings) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let (config, failed, findings) = check(file, around);
    if failed { Err(findings) } else { Ok((config, findings)) }
}

/// As [`load`], but what could be understood comes back in any case: the configuration, whether there are errors, and all findings.
#[must_use]
pub fn check(file: &str, around: &dyn Surroundings) -> (Config, bool, Vec<Diagnostic>) {
    let mut report = Report::default();
    let statements = tree::read(file, around, &mut report);
    let config = config(&statements, around, &mut report);
    (config, report.failed(), report.into_findings())
}

/// Makes a configuration of statements; the import does so with a part of a keepalived.conf.
pub(crate) fn config(statements: &[Statement], around: &dyn Surroundings, report: &mut Report) -> Config {
    let mut reader = Reader { report, around };
    let mut config = Config::default();
    let mut groups: Vec<Group> = Vec::new();
    for s in statements {
        match s.name() {
            "virtual_server_group" => {
                let Some(group) = reader.group(s) else { continue };
                if let Some(twin) = groups.iter().find(|g| g.name == group.name) {
                    reader.report.error(
                        s.at(),
                        format!("virtual_server_group {} is there already ({})", twin.name, twin.at),
                    );
                }
                groups.push(group);
            }
            "lvs_sync_daemon" => config.sync = reader.sync_daemon(s),
            "lvs_timeouts" => reader.timeouts(s, &mut config),
            "SSL" => config.tls = reader.tls(s),
            "virtual_server" => {}
            _ => words::unknown(s, "virtual_servers.conf", &[&KEYWORDS], reader.report),
        }
    }
    for s in statements.iter().filter(|s| s.name() == "virtual_server") {
        config.virtual_servers.extend(reader.virtual_server(s, &groups, &config.tls));
    }
    for group in &groups {
        let named =
            |s: &Statement| s.name() == "virtual_server" && s.texts() == ["group", group.name.as_str()];
        if !statements.iter().any(named) {
            reader
                .report
                .warn(&group.at, format!("no virtual_server uses virtual_server_group {}", group.name));
        }
    }
    verify(&mut config, reader.report);
    config
}

impl Reader<'_> {
    /// `lvs_sync_daemon IF [[inst] VRRP_INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDR]`; the instance means nothing here:
    /// the daemon is master where the address is.
    fn sync_daemon(&mut self, s: &Statement) -> Option<SyncDaemon> {
        let texts = s.texts();
        let Some((iface, mut rest)) = texts.split_first() else {
            self.report.error(s.at(), "lvs_sync_daemon takes an interface");
            return None;
        };
        let mut sync = SyncDaemon {
            iface: (*iface).to_owned(),
            id: 0,
            maxlen: None,
            port: None,
            ttl: None,
            group: None,
        };
        while let Some((key, after)) = rest.split_first() {
            let value = after.first().copied().unwrap_or("");
            let fine = match *key {
                "inst" => !value.is_empty(),
                "id" => value.parse().map(|n| sync.id = n).is_ok(),
                "maxlen" => value.parse().map(|n| sync.maxlen = Some(n)).is_ok(),
                "port" => value.parse().ok().filter(|n| *n > 0).map(|n| sync.port = Some(n)).is_some(),
                "ttl" => value.parse().ok().filter(|n| *n > 0).map(|n| sync.ttl = Some(n)).is_some(),
                "group" => value.parse().map(|a| sync.group = Some(a)).is_ok(),
                // A bare word is the VRRP instance of older files.
                _ => {
                    rest = after;
                    continue;
                }
            };
            if !fine {
                self.report.error(s.at(), format!("lvs_sync_daemon: \"{value}\" is no value for {key}"));
            }
            rest = after.get(1..).unwrap_or_default();
        }
        Some(sync)
    }

    /// `lvs_timeouts [tcp N] [tcpfin N] [udp N]`.
    fn timeouts(&mut self, s: &Statement, config: &mut Config) {
        let texts = s.texts();
        let mut fine = !texts.is_empty();
        for pair in texts.chunks(2) {
            let seconds = pair.get(1).and_then(|n| n.parse().ok()).filter(|n| (1..=2_147_483).contains(n));
            fine &= seconds.is_some();
            match pair.first() {
                Some(&"tcp") => config.timeouts.tcp = seconds,
                Some(&"tcpfin") => config.timeouts.tcpfin = seconds,
                Some(&"udp") => config.timeouts.udp = seconds,
                _ => fine = false,
            }
        }
        if !fine {
            self.report.error(s.at(), "lvs_timeouts takes tcp, tcpfin and udp, each with seconds");
        }
    }

    /// `SSL { ca FILE certificate FILE key FILE }`.
    fn tls(&mut self, s: &Statement) -> TlsFiles {
        let mut files = TlsFiles::default();
        for s in s.block.iter().flatten() {
            let slot = match s.name() {
                "ca" => &mut files.ca,
                "certificate" => &mut files.certificate,
                "key" => &mut files.key,
                "password" => {
                    self.report.error(
                        s.at(),
                        "keys with a password: not part of ctdb-ip; keep the key in a file of mode 0600",
                    );
                    continue;
                }
                _ => {
                    words::unknown(s, "SSL", &[&["ca", "certificate", "key", "password"]], self.report);
                    continue;
                }
            };
            *slot = self.one(s, "a file").map(|w| w.text.clone());
            if s.name() == "ca"
                && let Some(file) = files.ca.clone()
            {
                self.authority(s.at(), &file);
            }
        }
        if let (Some(certificate), Some(key)) = (&files.certificate, &files.key) {
            let (one, other) = (self.pem(s.at(), "certificate", certificate), self.pem(s.at(), "key", key));
            if let (Some(one), Some(other)) = (one, other)
                && let Err(why) = tls::identity(&one, &other)
            {
                self.report.error(s.at(), format!("certificate {certificate} with key {key}: {why}"));
            }
        }
        if files.certificate.is_some() != files.key.is_some() {
            self.report.error(s.at(), "SSL needs certificate and key, or neither");
        }
        files
    }
}
