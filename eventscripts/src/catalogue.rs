//! The scripts of `events/legacy/`: which files count, in which order, and whether they are enabled.
//!
//! As CTDB: files or links named `NN.name.script`; the executable ones run, the others are `DISABLED`. Everything else in the
//! directory (README, backups, `.options`, directories) is left alone. Read anew for each event, because operators enable and disable while
//! the daemon runs; without caching this costs one `readdir` and a `stat` for each script.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A script file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) path: PathBuf,
    /// Executable, and not a link to nothing.
    pub(crate) enabled: bool,
}

/// `NN.name` of a file name `NN.name.script`.
pub(crate) fn script_name(file: &str) -> Option<&str> {
    file.strip_suffix(".script").filter(|name| is_script_name(name))
}

/// Whether `name` has the form `NN.name`.
pub(crate) fn is_script_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    matches!(bytes, [a, b, b'.', _, ..] if a.is_ascii_digit() && b.is_ascii_digit())
        && !name.contains(['/', '\0'])
}

/// The scripts of a directory by name. A directory that does not exist has none.
pub(crate) fn read(dir: &Path) -> io::Result<BTreeMap<String, Script>> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut scripts = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(script_name) else { continue };
        let path = entry.path();
        let enabled = match std::fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => continue,
            Ok(meta) => meta.is_file() && meta.permissions().mode() & 0o100 != 0,
            // A link to nothing, or a file deleted since: there is nothing to run.
            Err(_) => false,
        };
        scripts.insert(name.to_owned(), Script { path, enabled });
    }
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn only_two_digits_a_name_and_the_suffix_make_a_script() {
        for (file, want) in [
            ("50.samba.script", Some("50.samba")),
            ("00.a.b.script", Some("00.a.b")),
            ("5.samba.script", None),
            ("500.samba.script", None),
            ("50.script", None),
            ("50..script", None),
            ("50.samba", None),
            ("50.samba.script~", None),
            ("a0.samba.script", None),
            (".50.samba.script.swp", None),
        ] {
            assert_eq!(script_name(file), want, "{file}");
        }
    }

    #[test]
    fn files_and_links_count_directories_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |n: &str| dir.path().join(n);
        fs::write(at("60.run.script"), "").unwrap();
        fs::set_permissions(at("60.run.script"), Permissions::from_mode(0o755)).unwrap();
        fs::write(at("50.off.script"), "").unwrap();
        fs::set_permissions(at("50.off.script"), Permissions::from_mode(0o644)).unwrap();
        fs::create_dir(at("40.dir.script")).unwrap();
        std::os::unix::fs::symlink(at("60.run.script"), at("30.link.script")).unwrap();
        std::os::unix::fs::symlink(at("nothing"), at("20.dangling.script")).unwrap();
        let got: Vec<_> =
            read(dir.path()).unwrap().into_iter().map(|(name, script)| (name, script.enabled)).collect();
        let want = [("20.dangling", false), ("30.link", true), ("50.off", false), ("60.run", true)];
        assert_eq!(got, want.map(|(n, e)| (n.to_owned(), e)));
        assert_eq!(read(&at("absent")).unwrap(), BTreeMap::new());
        assert!(read(&at("50.off.script")).is_err());
    }
}
