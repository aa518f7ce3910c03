//! Netlink's framing: messages and attributes, both ways. Pure; nothing that comes in can make it panic.

use thiserror::Error;

/// Flags of requests and answers.
pub(crate) mod flag {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const ACK: u16 = 4;
    /// A dump that changed while it was made.
    pub(crate) const INTERRUPTED: u16 = 0x10;
    /// An error does not repeat what was asked.
    pub(crate) const CAPPED: u16 = 0x100;
    /// An error or an end carries attributes.
    pub(crate) const TLVS: u16 = 0x200;
    pub(crate) const DUMP: u16 = 0x300;
}

const ERROR: u16 = 2;
const DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const KIND: u16 = 0x3fff;
/// Within an error: the kernel's own words.
const ERROR_TEXT: u16 = 1;

/// A message of the kernel that breaks its own rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the kernel's answer is malformed: {0}")]
pub struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Attributes, each padded to four bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        self.nest_as(kind, |inner| inner.0.extend_from_slice(value));
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.put(kind, &[value]);
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_ne_bytes());
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    pub(crate) fn be16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Text with its final NUL.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.nest_as(kind, |inner| {
            inner.0.extend_from_slice(value.as_bytes());
            inner.0.push(0);
        });
    }

    /// An attribute that consists of attributes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.nest_as(kind | NESTED, fill);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn nest_as(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        fill(self);
        // What is sent is short: the longest value is an interface's name.
        let len = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// One netlink message.
pub(crate) fn message(kind: u16, flags: u16, seq: u32, body: &[&[u8]]) -> Vec<u8> {
    let len = 16 + body.iter().map(|b| b.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&seq.to_ne_bytes());
    // The kernel knows us by our socket.
    bytes.extend_from_slice(&[0; 4]);
    body.iter().for_each(|b| bytes.extend_from_slice(b));
    bytes
}

/// A generic netlink message: command and version before the attributes.
pub(crate) fn generic(family: u16, flags: u16, seq: u32, cmd: u8, version: u8, attrs: &[u8]) -> Vec<u8> {
    message(family, flags, seq, &[&[cmd, version, 0, 0], attrs])
}

/// What the kernel answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// A message with data; it begins after netlink's header.
    Data(&'a [u8]),
    /// Performed, or the end of a dump.
    Done,
    /// Refused, with the kernel's own words when it has some.
    Refused { errno: i32, text: Option<String> },
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) seq: u32,
    pub(crate) flags: u16,
    pub(crate) answer: Answer<'a>,
}

/// The messages of a datagram.
pub(crate) fn messages(mut datagram: &[u8]) -> Result<Vec<Message<'_>>, Malformed> {
    let mut all = Vec::new();
    while !datagram.is_empty() {
        let header: &[u8; 16] = datagram.first_chunk().ok_or_else(|| Malformed::new("a cut header"))?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let len = usize::try_from(word(0)).unwrap_or(usize::MAX);
        let body =
            datagram.get(16..len).ok_or_else(|| Malformed::new(format!("a message of length {len}")))?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let flags = u16::from_ne_bytes([header[6], header[7]]);
        let answer = match kind {
            ERROR | DONE => ended(kind, flags, body)?,
            _ => Answer::Data(body),
        };
        all.push(Message { seq: word(8), flags, answer });
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(all)
}

/// An error (0: acknowledged), or the end of a dump, which may be an error too.
fn ended(kind: u16, flags: u16, body: &[u8]) -> Result<Answer<'static>, Malformed> {
    let code = match body.first_chunk() {
        Some(code) => i32::from_ne_bytes(*code),
        // The end of a dump may come without a number.
        None if kind == DONE => 0,
        None => return Err(Malformed::new("an error without a number")),
    };
    if code >= 0 {
        return Ok(Answer::Done);
    }
    let mut rest = body.get(4..).unwrap_or_default();
    if kind == ERROR {
        // What was asked follows: its header, and the rest when it is not capped.
        let asked = rest.first_chunk().map_or(0, |len| u32::from_ne_bytes(*len));
        let asked = usize::try_from(asked).unwrap_or(usize::MAX);
        let skip =
            if flags & flag::CAPPED == 0 { asked.checked_next_multiple_of(4).unwrap_or(asked) } else { 16 };
        rest = rest.get(skip..).unwrap_or_default();
    }
    let text = if flags & flag::TLVS == 0 { None } else { find(rest, ERROR_TEXT).ok().flatten().map(text) };
    Ok(Answer::Refused { errno: code.saturating_neg(), text })
}

/// Attributes in their order.
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// After the header of a generic netlink message.
    pub(crate) fn of_generic(body: &'a [u8]) -> Result<Self, Malformed> {
        body.get(4..).map(Self).ok_or_else(|| Malformed::new("no generic netlink header"))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let Some(header) = bytes.first_chunk::<4>() else {
            return Some(Err(Malformed::new("a cut attribute")));
        };
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND;
        let Some(value) = bytes.get(4..len) else {
            return Some(Err(Malformed::new(format!("attribute {kind} of length {len}"))));
        };
        self.0 = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok((kind, value)))
    }
}

/// The first attribute of a kind.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Result<Option<&[u8]>, Malformed> {
    for attribute in Attributes::new(bytes) {
        let (k, value) = attribute?;
        if k == kind {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A number in the host's order of 1, 2, 4 or 8 bytes.
pub(crate) fn number(value: &[u8]) -> Result<u64, Malformed> {
    match *value {
        [a] => Ok(a.into()),
        [a, b] => Ok(u16::from_ne_bytes([a, b]).into()),
        [a, b, c, d] => Ok(u32::from_ne_bytes([a, b, c, d]).into()),
        [a, b, c, d, e, f, g, h] => Ok(u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(Malformed::new(format!("a number of {} bytes", value.len()))),
    }
}

/// A number in the host's order that has 32 bits at most.
pub(crate) fn number32(value: &[u8]) -> Result<u32, Malformed> {
    u32::try_from(number(value)?).map_err(|_| Malformed::new("a number of more than 32 bits"))
}

/// A port: two bytes in network order.
pub(crate) fn be16(value: &[u8]) -> Result<u16, Malformed> {
    value
        .try_into()
        .map(u16::from_be_bytes)
        .map_err(|_| Malformed::new(format!("a port of {} bytes", value.len())))
}

/// Text up to its NUL.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}
