//! What the holder of the lock writes into it: who it is.

use recoverd::model::{Epoch, Session};
use serde::{Deserialize, Serialize};

/// The block that is written: one write, always the same length, so that nothing of an older record is left behind it.
pub(super) const BLOCK: usize = 512;

/// Who holds, or held, the lock. One line of JSON, in a file readable with `cat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// The epoch that the holder announces; recorded before it is announced.
    pub epoch: Epoch,
    /// Hash of the holder's nodes file; 0 in records that do not say.
    #[serde(default)]
    pub list: u64,
    /// The life of the holder's daemon.
    pub session: Session,
    /// The holder's lease session when it wrote this; none without leases, and in records that do not say.
    #[serde(default)]
    pub lease: Option<Session>,
    /// The holder's host name, for people.
    pub host: String,
}

impl LockRecord {
    /// One line of JSON, below [`BLOCK`] bytes. A host name that does not fit is shortened, which only people would notice.
    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut record = self.clone();
        let mut text = serde_json::to_string(&record)?;
        while text.len() >= BLOCK {
            let keep = record.host.chars().count() / 2;
            record.host = record.host.chars().take(keep).collect();
            text = serde_json::to_string(&record)?;
        }
        Ok(text)
    }

    /// The block for a file.
    pub(super) fn to_block(&self) -> Result<[u8; BLOCK], serde_json::Error> {
        let text = self.to_text()?;
        let mut block = [b' '; BLOCK];
        block[..text.len()].copy_from_slice(text.as_bytes());
        block[BLOCK - 1] = b'\n';
        Ok(block)
    }

    /// Reads what is in the file: nothing (as CTDB leaves it), a record, or a sentence about what else it is.
    pub(super) fn parse(content: &[u8]) -> Result<Option<Self>, String> {
        if content.iter().all(|b| b.is_ascii_whitespace() || *b == 0) {
            return Ok(None);
        }
        serde_json::from_slice(content).map(Some).map_err(|e| format!("not a record of ctdb-ip ({e})"))
    }
}
