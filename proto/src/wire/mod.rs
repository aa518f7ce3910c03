//! Conversions between the generated messages and the domain's types.
//!
//! Into a message: `From<&T>`, which cannot fail. Out of a message: `TryFrom`, because whatever comes from a socket may be
//! anything; the error names the field. The two are inverse (property tests). Nothing here decides or sends.

mod call;
mod config;
mod control;
mod lease;
mod model;
mod peer;
mod reply;
mod view;

pub use call::Call;
pub use peer::{Frame, Hello};

use std::net::IpAddr;

/// A message that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {field}: {problem}")]
pub struct WireError {
    /// The field, with its message: `IpAnswer.addr`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl WireError {
    /// A problem of a field.
    #[must_use]
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// What a message must contain and does not.
fn missing(field: &'static str) -> WireError {
    WireError::new(field, "is missing, or of a kind that this version does not know")
}

/// A sub-message that must be there.
fn required<M, T>(field: &'static str, message: Option<M>) -> Result<T, WireError>
where
    T: TryFrom<M, Error = WireError>,
{
    T::try_from(message.ok_or_else(|| missing(field))?)
}

/// A sub-message that may be there.
fn optional<M, T>(message: Option<M>) -> Result<Option<T>, WireError>
where
    T: TryFrom<M, Error = WireError>,
{
    message.map(T::try_from).transpose()
}

/// All of a list.
fn list<M, T>(messages: Vec<M>) -> Result<Vec<T>, WireError>
where
    T: TryFrom<M, Error = WireError>,
{
    messages.into_iter().map(T::try_from).collect()
}

/// All of a list, into messages.
fn messages<'a, T, M: From<&'a T>>(values: &'a [T]) -> Vec<M> {
    values.iter().map(M::from).collect()
}

/// An address as bytes in network order.
fn addr_bytes(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// An address from its bytes.
fn addr_from(field: &'static str, bytes: &[u8]) -> Result<IpAddr, WireError> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ok(IpAddr::from(v4))
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        Ok(IpAddr::from(v6))
    } else {
        Err(WireError::new(field, format!("an address has 4 or 16 bytes, this one {}", bytes.len())))
    }
}

#[cfg(test)]
mod tests;
