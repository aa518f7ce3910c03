//! `TCP_CHECK`: the real server accepts a connection.

use super::{Passed, Verdict, socket};
use crate::config::check_types::Target;
use std::time::Duration;

pub(super) async fn probe(target: &Target, limit: Duration) -> Verdict {
    let connection = socket::connect(target, limit).await?;
    drop(connection);
    Ok(Passed::new(format!("{} accepts connections", socket::peer(target))))
}
