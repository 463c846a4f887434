//! Redis loses everything it holds, and three servers bring it back from the audit trail: every session with its deadline,
//! phones and epochs beyond all that were given out. With `ROAMLINE_TEST_FULL`, 10,000 sessions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use roamline_proto::error::ErrorReason;
use roamline_proto::profile::DeleteUserRequest;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::phone_link_service_client::PhoneLinkServiceClient;
use roamline_proto::session::watch_phone_response::Message as ToPhone;
use roamline_proto::session::{
    AuditFilter, AuditKind, AuditRecord, ListAuditRecordsRequest, ListSessionsRequest, LogoutRequest,
    Session, WatchPhoneRequest,
};
use tokio::time::timeout;

use crate::clients::{Sessions, link, live, login, logout, reason};
use crate::process::WITHIN;
use crate::redis::starter::Redis;
use crate::redis::{order, until_ready_says};
use crate::replicas::{Replicas, log_in, phone_name, user};

/// How many sessions there are, and how long the one lasts that falls due while there is no Redis.
fn size() -> (u32, Duration) {
    match std::env::var_os("ROAMLINE_TEST_FULL") {
        Some(_) => (10_000, Duration::from_secs(30)),
        None => (200, Duration::from_secs(4)),
    }
}

/// What of a session outlives the store.
fn kept(sessions: Vec<Session>) -> BTreeMap<String, Session> {
    let kept = |session: Session| (session.session_id.clone(), Session { state: 0, ..session });
    sessions.into_iter().map(kept).collect()
}

async fn all_sessions(client: &mut Sessions) -> Result<Vec<Session>, tonic::Status> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSessionsRequest { page_size: 1000, page_token, ..Default::default() };
        let page = client.list_sessions(request).await?.into_inner();
        all.extend(page.sessions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// Waits until that many sessions are live.
async fn until_live(client: &mut Sessions, number: usize) -> Vec<Session> {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let looking = async {
        loop {
            pace.tick().await;
            if let Ok(all) = all_sessions(client).await
                && all.len() == number
            {
                return all;
            }
        }
    };
    timeout(4 * WITHIN, looking).await.expect("the sessions come back")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_everything_is_rebuilt_with_every_session_and_its_deadline() {
    let (number, lasting) = size();
    let mut redis = Redis::start(&[]);
    let replicas = Replicas::start("lost", &redis, number + 2).await;
    let clients: Vec<_> = (0..3).map(|n| replicas.on(n)).collect();
    let mut client = clients[0].clone();
    log_in(&clients, 0..number - 1, Some(Duration::from_secs(4 * 3600))).await;
    // One that has logged out, and one that falls due while nothing is there.
    let gone = log_in(&clients, number..number + 1, None).await.remove(0);
    client.logout(logout(&gone.phone)).await.unwrap();
    let due = log_in(&clients, number - 1..number, Some(lasting)).await.remove(0);
    let due_at = Instant::now() + lasting;
    let before = kept(until_live(&mut client, number as usize).await);
    let told = epoch_and_generation(&replicas, &phone_name(0)).await;
    until_recorded(&replicas, &due).await;

    redis.kill();
    let refused = client.login(login(&user(number + 1), &phone_name(number + 1))).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::StoreUnavailable);
    tokio::time::timeout_at(due_at.into(), std::future::pending::<()>()).await.unwrap_err();
    redis.start_again();
    let begun = Instant::now();
    let mut after = kept(until_live(&mut clients[1].clone(), number as usize - 1).await);
    eprintln!("{} sessions are back {:?} after Redis was", after.len(), begun.elapsed());
    for server in &replicas.servers {
        until_ready_says(server, "200 OK").await;
    }
    after.insert(due.session_id.clone(), before[&due.session_id].clone());
    assert_eq!(after, before);
    client.login(login(&user(number + 1), &phone_name(number + 1))).await.unwrap();

    let now = epoch_and_generation(&replicas, &phone_name(0)).await;
    assert!(now.0 > told.0 && now.1 > told.1, "epoch and generation went from {told:?} to {now:?}");
    let anew = log_in(&clients, 1..2, None).await.remove(0);
    let late = on(&before, &phone_name(1)).phone_epoch;
    let stale = LogoutRequest { phone_epoch: late, ..logout(&phone_name(1)) };
    let refused = client.logout(stale).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::PhoneEpochStale);
    assert!(live(&mut client).await.iter().any(|session| session.session_id == anew.session_id));

    // What fell due meanwhile was ended once, and the trail tells of the loss.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let (his, rebuilt) = timeout(WITHIN, async {
        loop {
            pace.tick().await;
            let his = records(&replicas, &due.user_id).await;
            let rebuilt = of_kinds(&replicas, &[AuditKind::RebuildBegun, AuditKind::StoreRebuilt]).await;
            if his.len() > 1 && rebuilt.last().is_some_and(|last| last.kind() == AuditKind::StoreRebuilt) {
                return (his, rebuilt);
            }
        }
    })
    .await
    .expect("the trail comes so far");
    let kinds = |told: &[AuditRecord]| told.iter().map(AuditRecord::kind).collect::<Vec<_>>();
    assert_eq!(kinds(&his), [AuditKind::Login, AuditKind::Logout]);
    let (_, before) = rebuilt.split_last().unwrap();
    assert!(kinds(before).iter().all(|kind| *kind == AuditKind::RebuildBegun), "{rebuilt:?}");
}

/// The records of a user.
async fn records(replicas: &Replicas, user: &str) -> Vec<AuditRecord> {
    matching(replicas, AuditFilter { user_id: user.into(), ..Default::default() }).await
}

async fn of_kinds(replicas: &Replicas, kinds: &[AuditKind]) -> Vec<AuditRecord> {
    let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
    matching(replicas, AuditFilter { kinds, ..Default::default() }).await
}

async fn matching(replicas: &Replicas, filter: AuditFilter) -> Vec<AuditRecord> {
    let mut audit = AuditServiceClient::new(link(&replicas.servers[0], &replicas.admin));
    let request = ListAuditRecordsRequest { filter: Some(filter), page_size: 1000, ..Default::default() };
    audit.list_audit_records(request).await.unwrap().into_inner().records
}

/// Waits until the trail tells of the login of that session: what comes later cannot be known to be there.
async fn until_recorded(replicas: &Replicas, session: &Session) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let looking = async {
        loop {
            pace.tick().await;
            let found = records(replicas, &session.user_id).await;
            if found.iter().any(|record| record.session_id == session.session_id) {
                return;
            }
        }
    };
    timeout(WITHIN, looking).await.expect("the trail comes so far");
}

/// Epoch and generation of a phone, as a link is told that asks again where the store was just lost.
async fn epoch_and_generation(replicas: &Replicas, phone: &str) -> (u64, u64) {
    let mut phones = PhoneLinkServiceClient::new(link(&replicas.servers[0], &replicas.admin));
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let looking = async {
        loop {
            pace.tick().await;
            let Ok(watch) = phones.watch_phone(WatchPhoneRequest { phone: phone.into() }).await else {
                continue;
            };
            if let Ok(Some(told)) = watch.into_inner().message().await
                && let Some(ToPhone::Update(update)) = told.message
            {
                return (update.phone_epoch, update.generation);
            }
        }
    };
    timeout(WITHIN, looking).await.expect("the phone is told in time")
}

fn on<'a>(sessions: &'a BTreeMap<String, Session>, phone: &str) -> &'a Session {
    sessions.values().find(|session| session.phone == phone).expect("a session on it")
}

/// Everything is lost twice, and before the second time one of two users goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_directory_knows_nothing_of_any_more_is_ended_and_told() {
    let redis = Redis::start(&[]);
    let replicas = Replicas::start("twice", &redis, 3).await;
    let clients: Vec<_> = (0..3).map(|n| replicas.on(n)).collect();
    let made = log_in(&clients, 0..2, None).await;
    for session in &made {
        until_recorded(&replicas, session).await;
    }
    let mut watch = replicas.watch(0, 2).await;
    let mut seen = vec![epoch_and_generation(&replicas, &phone_name(0)).await];
    for lost in 0..2 {
        if lost == 1 {
            let mut users = UserServiceClient::new(link(&replicas.servers[1], &replicas.admin));
            let request = DeleteUserRequest { user_id: user(1), ..Default::default() };
            users.delete_user(request).await.unwrap();
        }
        order(&redis, "FLUSHALL");
        if lost == 0 {
            let ended = watch.try_next().await.expect_err("nobody believes in sessions that are lost");
            assert_eq!(reason(&ended), ErrorReason::ResumeTokenTooOld);
        }
        let left = until_live(&mut clients[2].clone(), 2 - lost).await;
        assert!(left.iter().all(|session| session.phone_epoch == on_made(&made, session).phone_epoch));
        seen.push(epoch_and_generation(&replicas, &phone_name(0)).await);
    }
    assert!(seen.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1), "{seen:?}");
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let ended = async {
        loop {
            pace.tick().await;
            let found = records(&replicas, &user(1)).await;
            if let Some(ended) = found.into_iter().find(|record| record.kind() == AuditKind::Logout) {
                return ended;
            }
        }
    };
    let ended = timeout(WITHIN, ended).await.expect("the trail tells of the end");
    assert_eq!((ended.session_id.as_str(), ended.reason.as_str()), (made[1].session_id.as_str(), "POLICY"));
}

fn on_made<'a>(made: &'a [Session], session: &Session) -> &'a Session {
    made.iter().find(|made| made.session_id == session.session_id).expect("a session that was there before")
}
