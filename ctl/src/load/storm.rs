//! A storm of logins by PIN: so many at once, each beginning when the one before has ended.

use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::measure::What;
use super::{Notes, log_in, log_out, note};
use crate::client::Service;

/// One for each of these phones, until then.
pub(super) fn begin(
    phones: Range<u32>,
    connections: &[(Service, Service)],
    until: Instant,
    notes: &Notes,
) -> JoinSet<()> {
    let mut storm = JoinSet::new();
    for (phone, connection) in phones.zip(connections.iter().cycle()) {
        let (connection, notes) = (connection.clone(), Arc::clone(notes));
        storm.spawn(async move { Box::pin(one(phone as usize, &connection, until, &notes)).await });
    }
    storm
}

async fn one(phone: usize, connection: &(Service, Service), until: Instant, notes: &Notes) {
    while Instant::now() < until {
        let at = Instant::now();
        let login = log_in(phone, connection, true).await;
        let logged_in = login.is_ok();
        note(notes, What::StormLogin, at, login.map(|()| at.elapsed()));
        if logged_in && let Err(reason) = log_out(phone, connection).await {
            note(notes, What::Logout, at, Err(reason));
        }
    }
}
