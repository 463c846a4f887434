//! What it costs a read that its token is checked: by one token that is remembered, and by tokens that were never seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use roamline_proto::auth::RefreshTokenRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::session::ListSessionsRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::product::{Product, channel};

/// Readers at once, each on a connection of its own.
const READERS: usize = 8;

/// So many access tokens of one sign-in, each from the refresh token that came with the one before.
pub(crate) async fn tokens(product: &Product, number: usize) -> Result<Vec<String>, Status> {
    let mut client = AuthServiceClient::new(channel(&product.api));
    let (mut tokens, mut refresh_token) = (Vec::new(), product.refresh_token.clone());
    while tokens.len() < number {
        let answer = client.refresh_token(RefreshTokenRequest { refresh_token }).await?.into_inner();
        tokens.push(answer.access_token);
        refresh_token = answer.refresh_token;
    }
    Ok(tokens)
}

/// Reads an empty page once with each of these tokens; how long all of it took.
pub(crate) async fn read(product: &Product, tokens: Vec<String>) -> Result<Duration, Status> {
    let (tokens, next) = (Arc::new(tokens), Arc::new(AtomicUsize::new(0)));
    let mut readers: JoinSet<Result<(), Status>> = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..READERS {
        let (tokens, next) = (Arc::clone(&tokens), Arc::clone(&next));
        let mut client = SessionServiceClient::new(channel(&product.api));
        readers.spawn(async move {
            while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
                page(&mut client, token).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = readers.join_next().await {
        ended.expect("it does not panic")?;
    }
    Ok(begun.elapsed())
}

async fn page(client: &mut SessionServiceClient<Channel>, token: &str) -> Result<(), Status> {
    let mut request = Request::new(ListSessionsRequest { page_size: 1, ..Default::default() });
    let bearer = format!("Bearer {token}").parse().expect("a token is a header's value");
    request.metadata_mut().insert("authorization", bearer);
    client.list_sessions(request).await.map(drop)
}
