//! A refresh token that was stolen: it is played back after its owner has used it, many times at once, and changed.

use std::time::{Duration, Instant};

use futures::future::join_all;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{RefreshTokenRequest, RefreshTokenResponse, SignInRequest, SignInResponse};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::{AuditFilter, AuditKind, ListAuditRecordsRequest, ListSessionsRequest};
use tonic::Status;

use crate::clients::{link, pin, reason, sessions, user};
use crate::number;
use crate::victim::Victim;

/// Revocations are known everywhere within two seconds, on a machine that others leave some time to.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

async fn sign_in(victim: &Victim, n: u32) -> SignInResponse {
    let request = SignInRequest { name: user(n), credential: pin(&format!("1000{n}")) };
    AuthServiceClient::new(link(&victim.server, "")).sign_in(request).await.unwrap().into_inner()
}

async fn refresh(victim: &Victim, token: &str) -> Result<RefreshTokenResponse, Status> {
    let request = RefreshTokenRequest { refresh_token: token.into() };
    let answer = AuthServiceClient::new(link(&victim.server, "")).refresh_token(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn works(victim: &Victim, token: &str) -> bool {
    sessions(&victim.server, token).list_sessions(ListSessionsRequest::default()).await.is_ok()
}

async fn is_refused(victim: &Victim, token: &str) {
    assert_eq!(reason(&refresh(victim, token).await.unwrap_err()), ErrorReason::RefreshTokenRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_is_played_back_ends_the_sign_in_and_no_other_and_is_told_of() {
    let victim = Victim::new(3).await;
    let (stolen, other) = (sign_in(&victim, 1).await, sign_in(&victim, 2).await);
    let second = refresh(&victim, &stolen.refresh_token).await.unwrap();
    let third = refresh(&victim, &second.refresh_token).await.unwrap();
    assert!(works(&victim, &third.access_token).await);

    let playing = join_all((0..number(50, 1_000)).map(|_| refresh(&victim, &stolen.refresh_token)));
    for answer in playing.await {
        assert_eq!(reason(&answer.unwrap_err()), ErrorReason::RefreshTokenRefused);
    }
    let played = Instant::now();
    for token in [&stolen.refresh_token, &second.refresh_token, &third.refresh_token] {
        is_refused(&victim, token).await;
    }
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for token in [&stolen.access_token, &second.access_token, &third.access_token] {
        while works(&victim, token).await {
            assert!(played.elapsed() < REFUSED_WITHIN, "it is believed still");
            pace.tick().await;
        }
    }
    assert!(works(&victim, &other.access_token).await);
    refresh(&victim, &other.refresh_token).await.unwrap();

    let filter = AuditFilter { kinds: vec![AuditKind::RefreshTokenReused.into()], ..Default::default() };
    let request = ListAuditRecordsRequest { filter: Some(filter), ..Default::default() };
    let mut audit = AuditServiceClient::new(link(&victim.server, &victim.admin));
    let records = audit.list_audit_records(request).await.unwrap().into_inner().records;
    assert_eq!(records.iter().map(|record| &record.user_id).collect::<Vec<_>>(), [&user(1)]);
    assert_eq!(records[0].actor.as_ref().unwrap().source_address, "127.0.0.1");
    victim.survives("refresh tokens that are played back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_was_changed_is_worth_nothing_and_ends_nothing() {
    let victim = Victim::new(2).await;
    let own = sign_in(&victim, 1).await;
    let token = &own.refresh_token;
    let mut changed: Vec<String> = Vec::new();
    for place in (0..token.len()).step_by(number(7, 1)) {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
        changed.push(String::from_utf8(bytes).unwrap());
    }
    changed.extend([
        token.to_uppercase(),
        format!("{token}0"),
        token[..token.len() - 2].into(),
        "x".repeat(100_000),
    ]);
    for some in changed.chunks(16) {
        for answer in join_all(some.iter().map(|token| refresh(&victim, token))).await {
            assert_eq!(reason(&answer.unwrap_err()), ErrorReason::RefreshTokenRefused);
        }
    }
    refresh(&victim, token).await.unwrap();
    victim.survives(&format!("{} refresh tokens that were changed", changed.len())).await;
}
