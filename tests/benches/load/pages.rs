//! Pages of the list of live sessions, and very many sessions at once.

use std::sync::Arc;
use std::time::Instant;

use roamline_proto::session::ListSessionsRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tonic::Status;

use crate::agents::{self, Link};
use crate::generate::{Recorder, Work};

/// Reads page after page, and begins anew after the last.
pub(crate) struct Pages {
    clients: Vec<Mutex<(SessionServiceClient<Link>, String)>>,
    page_size: u32,
}

impl Pages {
    /// For so many readers at once.
    pub(crate) fn new(link: impl Fn() -> Link, readers: usize, page_size: u32) -> Self {
        let reader = || Mutex::new((SessionServiceClient::new(link()), String::new()));
        Self { clients: (0..readers).map(|_| reader()).collect(), page_size }
    }
}

impl Work for Pages {
    async fn once(&self, who: usize, _round: usize, at: Instant, recorder: &Recorder) {
        let mut reader = self.clients[who].lock().await;
        let (client, page_token) = &mut *reader;
        let page_token_now = std::mem::take(page_token);
        let request = ListSessionsRequest {
            page_size: self.page_size,
            page_token: page_token_now,
            ..Default::default()
        };
        let outcome = client.list_sessions(request).await.map(|page| {
            *page_token = page.into_inner().next_page_token;
        });
        recorder.note("page", at.elapsed(), outcome);
    }
}

/// Logs these agents in, `at_once` at a time.
pub(crate) async fn log_in(
    link: &Link,
    agents: std::ops::Range<usize>,
    at_once: usize,
) -> Result<(), Status> {
    let rest = Arc::new(std::sync::Mutex::new(agents));
    let mut all: JoinSet<Result<(), Status>> = JoinSet::new();
    for _ in 0..at_once {
        let (rest, mut client) = (Arc::clone(&rest), SessionServiceClient::new(link.clone()));
        all.spawn(async move {
            loop {
                let next = rest.lock().expect("nobody panics with it").next();
                let Some(number) = next else { return Ok(()) };
                client.login(agents::login(number, false)).await?;
            }
        });
    }
    while let Some(ended) = all.join_next().await {
        ended.expect("it does not panic")?;
    }
    Ok(())
}
