//! The same request twice at once: a client that repeats one whose answer is late (LI-11).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use roamline_proto::error::ErrorReason;
use roamline_proto::session as wire;
use roamline_serve::Clock;
use roamline_session::{SessionConfig, Stores};
use roamline_store::conformance::through::Through;
use roamline_store::memory::MemoryStore;
use roamline_store::{About, Loaded, SessionStore, StoreError};
use tokio::sync::Barrier;

use crate::harness::*;
use crate::stalled::{Call, Stalled};

/// A store in which two who look at a phone wait for each other, so that both decide from what neither has changed.
struct Meeting {
    store: Arc<MemoryStore>,
    /// How many of those who look next wait.
    waiting: AtomicUsize,
    both: Barrier,
}

impl Meeting {
    fn of_the_next_two(&self) {
        self.waiting.store(2, Ordering::SeqCst);
    }
}

#[async_trait]
impl Through for Meeting {
    fn store(&self) -> Arc<dyn SessionStore> {
        self.store.clone()
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        let loaded = self.store.load(about).await?;
        let waits = self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if waits.is_ok() {
            self.both.wait().await;
        }
        Ok(loaded)
    }
}

async fn meeting() -> (Cluster, Arc<Meeting>) {
    let store = Arc::default();
    let meeting = Arc::new(Meeting { store, waiting: AtomicUsize::new(0), both: Barrier::new(2) });
    let [one, _] = two_replicas(meeting.clone()).await;
    (one, meeting)
}

async fn two_replicas(sessions: Arc<dyn SessionStore>) -> [Cluster; 2] {
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let stores = Stores { sessions, audit: Arc::new(MemoryStore::new()) };
    let replica = || {
        let (stores, script) = (stores.clone(), Scripted::default());
        replica_over(stores, SessionConfig::default(), script, clock.clone(), hand.clone())
    };
    [replica().await, replica().await]
}

#[tokio::test]
async fn li_11_a_login_that_is_repeated_while_it_is_in_work_happens_once_and_has_one_answer() {
    let (cluster, meeting) = meeting().await;
    let request = wire::LoginRequest { request_id: "r1".into(), ..login("agent7", PHONE) };
    meeting.of_the_next_two();
    let (mut one, mut other) = (cluster.stranger(), cluster.stranger());
    let (one, other) = tokio::join!(one.login(request.clone()), other.login(request));
    let (one, other) = (one.unwrap().into_inner(), other.unwrap().into_inner());
    assert!(one.replayed != other.replayed, "one of them is the other's answer");
    assert_eq!(one.session, other.session);
    assert_eq!(cluster.sessions().await.len(), 1);
}

#[tokio::test]
async fn li_11_a_logout_that_is_repeated_while_it_is_in_work_happens_once_and_has_one_answer() {
    let (cluster, meeting) = meeting().await;
    cluster.stranger().login(login("agent7", PHONE)).await.unwrap();
    let request = wire::LogoutRequest { request_id: "r1".into(), ..logout(PHONE) };
    meeting.of_the_next_two();
    let (mut one, mut other) = (cluster.agent("agent7"), cluster.agent("agent7"));
    let (one, other) = tokio::join!(one.logout(request.clone()), other.logout(request));
    let (one, other) = (one.unwrap().into_inner(), other.unwrap().into_inner());
    assert!(one.replayed != other.replayed, "one of them is the other's answer");
    assert_eq!(one.ended_session, other.ended_session);
}

/// What a client does whose call has got no answer in time: it calls another replica, while the first still works.
#[tokio::test]
async fn li_11_a_login_that_is_repeated_on_another_replica_while_the_store_stalls_has_one_answer() {
    for call in [Call::Load, Call::Commit, Call::CommitDone] {
        let store = Stalled::new();
        let [one, other] = two_replicas(store.clone()).await;
        let request = wire::LoginRequest { request_id: "r1".into(), ..login("agent7", PHONE) };
        store.stall_next(call);
        let (mut first, mut second) = (one.stranger(), other.stranger());
        let (first, second) = tokio::join!(first.login(request.clone()), async {
            store.has_stalled().await;
            let answer = second.login(request.clone()).await;
            store.go_on();
            answer
        });
        let (first, second) = (first.unwrap().into_inner(), second.unwrap().into_inner());
        let made_by_first = call == Call::CommitDone;
        assert_eq!((first.replayed, second.replayed), (!made_by_first, made_by_first), "{call:?}");
        assert_eq!(first.session, second.session, "{call:?}");
        assert_eq!(one.sessions().await, [first.session.unwrap()], "{call:?}");
        let events = SessionStore::events(&*store, 0, 100).await.unwrap().events;
        assert_eq!(events.len(), 1, "{call:?}: it happened once");
    }
}

#[tokio::test]
async fn li_11_a_logout_that_is_repeated_on_another_replica_while_the_store_stalls_has_one_answer() {
    for call in [Call::Load, Call::Commit, Call::CommitDone] {
        let store = Stalled::new();
        let [one, other] = two_replicas(store.clone()).await;
        one.stranger().login(login("agent7", PHONE)).await.unwrap();
        let request = wire::LogoutRequest { request_id: "r2".into(), ..logout(PHONE) };
        store.stall_next(call);
        let (mut first, mut second) = (one.administrator(), other.administrator());
        let (first, second) = tokio::join!(first.logout(request.clone()), async {
            store.has_stalled().await;
            let answer = second.logout(request.clone()).await;
            // Somebody else comes before the first goes on: his session is not ended by the repeat.
            one.stranger().login(login("agent8", PHONE)).await.unwrap();
            store.go_on();
            answer
        });
        let (first, second) = (first.unwrap().into_inner(), second.unwrap().into_inner());
        assert_eq!(first.ended_session, second.ended_session, "{call:?}");
        let users: Vec<_> = one.sessions().await.into_iter().map(|session| session.user_id).collect();
        assert_eq!(users, ["agent8"], "{call:?}");
    }
}

#[tokio::test]
async fn li_11_a_request_id_that_another_request_takes_meanwhile_is_told_so() {
    let (cluster, meeting) = meeting().await;
    let request = |phone| wire::LoginRequest { request_id: "r1".into(), ..login("agent7", phone) };
    meeting.of_the_next_two();
    let (mut one, mut other) = (cluster.stranger(), cluster.stranger());
    let (one, other) = tokio::join!(one.login(request(PHONE)), other.login(request(OTHER)));
    let refused = if one.is_ok() { other } else { one };
    assert_eq!(reason(refused), ErrorReason::RequestIdReused);
    assert_eq!(cluster.sessions().await.len(), 1);
}
