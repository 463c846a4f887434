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
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let audit = Arc::new(MemoryStore::new());
    let store = Arc::default();
    let meeting = Arc::new(Meeting { store, waiting: AtomicUsize::new(0), both: Barrier::new(2) });
    let stores = Stores { sessions: meeting.clone(), audit };
    (replica_over(stores, SessionConfig::default(), Scripted::default(), clock, hand).await, meeting)
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
