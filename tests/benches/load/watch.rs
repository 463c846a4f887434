//! Watches: how long an event takes from its instant to each of very many, and what one that waits costs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{WatchSessionsRequest, WatchSessionsResponse};
use roamline_token::Bearer;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

use crate::agents::Link;
use crate::generate::Recorder;
use crate::product::link;

/// Open watches; they end when the value is dropped.
pub(crate) struct Watches {
    _open: JoinSet<()>,
}

impl Watches {
    /// So many, `on_each` of them on one connection, which notes how late everything comes that comes. They follow from
    /// the present on, without a snapshot.
    pub(crate) async fn open(
        api: &str,
        token: &str,
        number: usize,
        on_each: usize,
        recorder: &Recorder,
    ) -> Result<Self, Status> {
        let resume = place(&mut client(api, token)).await?;
        let mut open = JoinSet::new();
        let all = Arc::new(Barrier::new(number + 1));
        let mut current = client(api, token);
        for watch in 0..number {
            if watch % on_each == 0 {
                current = client(api, token);
            }
            let request = WatchSessionsRequest { resume_token: resume.clone(), ..Default::default() };
            // One after another, so that the server's backlog of connections is not what is measured.
            let stream = current.watch_sessions(request).await?.into_inner();
            let (recorder, all) = (recorder.clone(), Arc::clone(&all));
            open.spawn(async move {
                all.wait().await;
                follow(stream, &recorder).await;
            });
        }
        all.wait().await;
        Ok(Self { _open: open })
    }
}

fn client(api: &str, token: &str) -> SessionServiceClient<Link> {
    SessionServiceClient::new(link(api, Bearer::token(token)))
}

/// The present, as a token to go on from: that of the end of a snapshot.
async fn place(client: &mut SessionServiceClient<Link>) -> Result<String, Status> {
    let mut snapshot = client.watch_sessions(WatchSessionsRequest::default()).await?.into_inner();
    while let Some(told) = snapshot.message().await? {
        if matches!(told.message, Some(Message::SnapshotDone(_))) {
            return Ok(told.resume_token);
        }
    }
    Err(Status::internal("the snapshot does not end"))
}

async fn follow(mut stream: Streaming<WatchSessionsResponse>, recorder: &Recorder) {
    loop {
        match stream.message().await {
            Ok(Some(told)) => {
                if let Some(at) = instant(told.message) {
                    recorder.note("event", since(&at), Ok(()));
                }
            }
            Ok(None) => return,
            Err(status) => return recorder.note("event", Duration::ZERO, Err(status)),
        }
    }
}

/// When that was decided; the commit followed at once.
fn instant(message: Option<Message>) -> Option<prost_types::Timestamp> {
    match message? {
        Message::LoggedIn(session) => session.login_time,
        Message::LoggedOut(ended) => ended.logout_time,
        _ => None,
    }
}

fn since(at: &prost_types::Timestamp) -> Duration {
    let seconds = u64::try_from(at.seconds).unwrap_or_default();
    let at = UNIX_EPOCH + Duration::new(seconds, u32::try_from(at.nanos).unwrap_or_default());
    SystemTime::now().duration_since(at).unwrap_or_default()
}
