//! What the parser must know of the host, from the file system of this machine.

use crate::config::Surroundings;
use crate::model::Protocol;
use nix::unistd::{AccessFlags, Group, User, access};
use std::fs;
use std::path::{Path, PathBuf};

/// Most names that the braces of one pattern may stand for.
const MOST_BRACES: usize = 256;

/// This machine.
#[derive(Debug, Clone)]
pub struct FileSystem {
    services: PathBuf,
}

impl Default for FileSystem {
    fn default() -> Self {
        Self { services: PathBuf::from("/etc/services") }
    }
}

impl Surroundings for FileSystem {
    fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(path).map_err(|e| e.to_string())
    }

    fn expand(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for plain in braces(pattern)? {
            let paths = glob::glob(&plain).map_err(|e| e.to_string())?;
            for path in paths {
                found.push(path.map_err(|e| e.to_string())?.display().to_string());
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn executable(&self, path: &str) -> Result<(), String> {
        let meta = fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => "no such file".to_owned(),
            _ => e.to_string(),
        })?;
        if meta.is_dir() {
            return Err("is a directory".to_owned());
        }
        access(Path::new(path), AccessFlags::X_OK).map_err(|_| "is not executable".to_owned())
    }

    fn service_port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        port_in(&fs::read_to_string(&self.services).ok()?, name, protocol)
    }

    fn account(&self, user: Option<&str>, group: Option<&str>) -> Result<(), String> {
        let missing = |what: &str, name: &str| Err(format!("there is no {what} \"{name}\" on this host"));
        match (user, group) {
            (Some(user), _) if User::from_name(user).ok().flatten().is_none() => missing("user", user),
            (_, Some(group)) if Group::from_name(group).ok().flatten().is_none() => missing("group", group),
            _ => Ok(()),
        }
    }
}

/// `NAME PORT/PROTOCOL ALIAS… # comment`, as services(5) has it.
fn port_in(services: &str, name: &str, protocol: Protocol) -> Option<u16> {
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let first = words.next()?;
        let (port, of) = words.next()?.split_once('/')?;
        let named = first == name || words.any(|alias| alias == name);
        (named && of == protocol.to_string()).then(|| port.parse().ok())?
    })
}

/// `a{b,c}d` is `abd` and `acd`, within each other too. The crate `glob` knows the other wildcards only.
fn braces(pattern: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(next) = open.pop() {
        if open.len() + done.len() > MOST_BRACES {
            return Err(format!("its braces stand for more than {MOST_BRACES} names"));
        }
        match innermost(&next) {
            Some((before, words, after)) => {
                open.extend(words.split(',').map(|word| format!("{before}{word}{after}")));
            }
            None => done.push(next),
        }
    }
    done.sort();
    done.dedup();
    Ok(done)
}

/// The first pair of braces without others in it.
fn innermost(pattern: &str) -> Option<(&str, &str, &str)> {
    let (head, after) = pattern.split_once('}')?;
    let (before, words) = head.rsplit_once('{')?;
    Some((before, words, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn braces_are_every_combination() {
        let sorted = |p| braces(p).unwrap();
        assert_eq!(sorted("a{b,c}d"), ["abd", "acd"]);
        assert_eq!(sorted("{a,b{1,2}}{x,y}"), ["ax", "ay", "b1x", "b1y", "b2x", "b2y"]);
        assert_eq!(sorted("plain"), ["plain"]);
        assert_eq!(sorted("a{b"), ["a{b"]);
        assert!(braces(&"{a,b}".repeat(20)).unwrap_err().contains("more than"));
    }

    #[test]
    fn services_by_name_alias_and_protocol() {
        let text = "# a comment\nhttp\t80/tcp www  # WorldWideWeb\ndomain 53/udp\nbroken\nbad x/tcp\n";
        for (name, protocol, port) in [
            ("http", Protocol::Tcp, Some(80)),
            ("www", Protocol::Tcp, Some(80)),
            ("http", Protocol::Udp, None),
            ("domain", Protocol::Udp, Some(53)),
            ("WorldWideWeb", Protocol::Tcp, None),
            ("bad", Protocol::Tcp, None),
        ] {
            assert_eq!(port_in(text, name, protocol), port, "{name}");
        }
    }

    #[test]
    fn files_patterns_and_programs() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        for name in ["b.conf", "a.conf", "c.txt"] {
            fs::write(path(name), name).unwrap();
        }
        let host = FileSystem::default();
        assert_eq!(host.expand(&path("*.{conf,none}")).unwrap(), [path("a.conf"), path("b.conf")]);
        assert_eq!(host.read(&path("c.txt")).unwrap(), "c.txt");
        assert!(host.read(&path("no")).unwrap_err().contains("No such file"));
        assert_eq!(host.executable(&path("c.txt")).unwrap_err(), "is not executable");
        assert_eq!(host.executable(&path("no")).unwrap_err(), "no such file");
        assert_eq!(host.executable(&path("")).unwrap_err(), "is a directory");
        fs::set_permissions(path("c.txt"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(host.executable(&path("c.txt")), Ok(()));
        assert_eq!(host.account(Some("root"), Some("root")), Ok(()));
        assert_eq!(
            host.account(Some("no such one"), None).unwrap_err(),
            "there is no user \"no such one\" on this host"
        );
        assert!(host.account(None, Some("no such one")).unwrap_err().contains("no group"));
    }
}
