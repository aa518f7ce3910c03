//! Commands of CTDB that are about its database: named, so that whoever types one learns where it went.

/// CTDB's commands that ctdb-ip does not have, because it has no database.
const DATABASE: &[&str] = &[
    "attach",
    "backupdb",
    "catdb",
    "cattdb",
    "dbstatistics",
    "deletekey",
    "detach",
    "dumpdbbackup",
    "dumpmemory",
    "getdbmap",
    "getdbseqnum",
    "getdbstatus",
    "pdelete",
    "pfetch",
    "process-exists",
    "pstore",
    "ptrans",
    "pushrecord",
    "rddumpmemory",
    "readkey",
    "restoredb",
    "setdbreadonly",
    "setdbsticky",
    "tfetch",
    "tstore",
    "wipedb",
    "writekey",
];

/// What to say about a word that is not a command.
pub(crate) fn message(word: &str) -> String {
    if DATABASE.contains(&word) {
        format!(
            "not part of ctdb-ip: '{word}' belongs to CTDB's database; ctdb-ip manages public addresses only"
        )
    } else {
        format!("Unknown command '{word}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_commands_are_named_and_others_unknown() {
        assert!(message("getdbmap").starts_with("not part of ctdb-ip: "));
        assert_eq!(message("foo"), "Unknown command 'foo'");
    }
}
