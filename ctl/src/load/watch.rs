//! Watchers of all events, who note how late each one comes.

use std::sync::Arc;
use std::time::Duration;

use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{WatchSessionsRequest, WatchSessionsResponse};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::measure::What;
use super::{Notes, note, reason};
use crate::client::{Client, Service};
use crate::exit::Failure;
use crate::{clock, words};

/// Open watches. They end with the value.
pub(super) struct Watches(JoinSet<()>);

/// The present, as a token to go on from.
async fn place(client: &Client, connections: &[(Service, Service)]) -> Result<String, Failure> {
    let Some((service, _)) = connections.first() else { return Ok(String::new()) };
    let failure = |status: Status| client.failure(&status);
    let request = WatchSessionsRequest::default();
    let watch = SessionServiceClient::new(service.clone()).watch_sessions(request).await.map_err(failure)?;
    let mut watch = watch.into_inner();
    while let Some(told) = watch.message().await.map_err(failure)? {
        if matches!(told.message, Some(Message::SnapshotDone(_))) {
            return Ok(told.resume_token);
        }
    }
    Err(Failure::other("the snapshot of live sessions did not end"))
}

impl Watches {
    /// So many, from the present on, without a snapshot.
    pub(super) async fn open(
        number: u32,
        connections: &[(Service, Service)],
        notes: &Notes,
        client: &Client,
    ) -> Result<Self, Failure> {
        let place = place(client, connections).await?;
        let mut open = JoinSet::new();
        for (_, (service, _)) in (0..number).zip(connections.iter().cycle()) {
            let request = WatchSessionsRequest { resume_token: place.clone(), ..Default::default() };
            let watch = SessionServiceClient::new(service.clone()).watch_sessions(request).await;
            let watch = watch.map_err(|status| client.failure(&status))?.into_inner();
            let notes = Arc::clone(notes);
            open.spawn(async move { follow(watch, &notes).await });
        }
        Ok(Self(open))
    }

    /// Ends them.
    pub(super) async fn close(mut self) {
        self.0.shutdown().await;
    }
}

async fn follow(mut watch: Streaming<WatchSessionsResponse>, notes: &Notes) {
    loop {
        match watch.message().await {
            Ok(Some(told)) => {
                if let Some(late) = lateness(told.message) {
                    note(notes, What::Event, Instant::now(), Ok(late));
                }
            }
            Ok(None) => return,
            Err(status) => return note(notes, What::Event, Instant::now(), Err(reason(&status))),
        }
    }
}

/// How long ago it happened: nothing, where the server's clock is ahead of ours.
fn lateness(message: Option<Message>) -> Option<Duration> {
    let instant = match message? {
        Message::LoggedIn(session) => session.login_time,
        Message::LoggedOut(ended) => ended.logout_time,
        _ => None,
    };
    let instant = words::timestamp(instant.as_ref())?;
    Some(Duration::try_from(clock::now().duration_since(instant)).unwrap_or_default())
}
