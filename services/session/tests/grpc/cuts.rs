//! A log that loses its end, as that of a server does which failed over before its replica had everything.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::phone_state::SessionEvent;
use roamline_proto::error::ErrorReason;
use roamline_proto::session as wire;
use roamline_proto::session::watch_phones_request::Message as ToServer;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_serve::Clock;
use roamline_session::{SessionConfig, Stores};
use roamline_store::conformance::through::Through;
use roamline_store::memory::MemoryStore;
use roamline_store::{Commit, CommitError, Sequence, SessionStore, StoreError};
use tokio::sync::watch::{Receiver, Sender};

use crate::harness::*;
use crate::phone_links::{Adapter, update};
use crate::watches::told;

#[derive(Clone)]
enum Change {
    Commit(Box<Commit>),
    Tell(Vec<SessionEvent>, Timestamp),
}

/// A memory store that can be put back to what it was some changes ago. The place it says that it has reached never
/// goes back, as with a server that is asked for news only.
pub(crate) struct Cuttable {
    now: Mutex<Arc<MemoryStore>>,
    changes: Mutex<Vec<Change>>,
    latest: Sender<Sequence>,
}

impl Cuttable {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::default(), changes: Mutex::default(), latest: Sender::default() })
    }

    fn now(&self) -> Arc<MemoryStore> {
        self.now.lock().unwrap().clone()
    }

    fn reach(&self, sequence: Sequence) {
        self.latest.send_if_modified(|latest| sequence > std::mem::replace(latest, sequence.max(*latest)));
    }

    /// Loses the last changes.
    pub(crate) async fn lose(&self, number: usize) {
        let kept: Vec<_> = {
            let mut changes = self.changes.lock().unwrap();
            let kept = changes.len() - number;
            changes.truncate(kept);
            changes.clone()
        };
        let again = MemoryStore::new();
        for change in kept {
            match change {
                Change::Commit(commit) => again.commit(*commit).await.unwrap(),
                Change::Tell(events, at) => again.tell(events, at).await.unwrap(),
            };
        }
        *self.now.lock().unwrap() = Arc::new(again);
    }
}

#[async_trait]
impl Through for Cuttable {
    fn store(&self) -> Arc<dyn SessionStore> {
        self.now()
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        let last = self.now().commit(commit.clone()).await?;
        self.changes.lock().unwrap().push(Change::Commit(Box::new(commit)));
        self.reach(last);
        Ok(last)
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        let last = self.now().tell(events.clone(), at).await?;
        self.changes.lock().unwrap().push(Change::Tell(events, at));
        self.reach(last);
        Ok(last)
    }

    fn latest(&self) -> Receiver<Sequence> {
        self.latest.subscribe()
    }
}

async fn cuttable() -> (Cluster, Arc<Cuttable>) {
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let store = Cuttable::new();
    let stores = Stores { sessions: store.clone(), audit: Arc::new(MemoryStore::new()) };
    let config = SessionConfig::default();
    (replica_over(stores, config, Scripted::default(), clock, hand).await, store)
}

async fn resumed(cluster: &Cluster, token: &str) -> Result<(), tonic::Status> {
    let request = wire::WatchSessionsRequest { resume_token: token.into(), ..Default::default() };
    cluster.administrator().watch_sessions(request).await.map(drop)
}

#[tokio::test]
async fn ev_2_a_log_that_lost_its_end_ends_every_watch_and_a_new_one_sees_what_is_left() {
    let (cluster, store) = cuttable().await;
    let mut all = watch(&mut cluster.administrator(), "").await;
    let mut own = watch(&mut cluster.agent("agent7"), "").await;
    told(&mut all).await;
    told(&mut own).await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let (_, kept) = told(&mut all).await;
    told(&mut own).await;
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    let (_, lost) = told(&mut all).await;

    store.lose(1).await;
    for stream in [&mut all, &mut own] {
        assert_eq!(reason(next(stream).await.unwrap()), ErrorReason::ResumeTokenTooOld);
    }
    assert_eq!(reason(resumed(&cluster, &lost).await), ErrorReason::ResumeTokenTooOld);
    resumed(&cluster, &kept).await.unwrap();
    let mut anew = watch(&mut cluster.administrator(), "").await;
    assert!(matches!(told(&mut anew).await.0, Message::Snapshot(session) if session.user_id == "agent7"));
    assert!(matches!(told(&mut anew).await.0, Message::SnapshotDone(_)));
}

#[tokio::test]
async fn ev_2_places_that_were_filled_anew_are_not_taken_for_those_that_were_lost() {
    let (cluster, store) = cuttable().await;
    let mut all = watch(&mut cluster.administrator(), "").await;
    told(&mut all).await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    told(&mut all).await;
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    let (_, lost) = told(&mut all).await;

    store.lose(1).await;
    // Of the same user at the same phone, at the same instant, and in the same place of the log.
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    assert_eq!(reason(next(&mut all).await.unwrap()), ErrorReason::ResumeTokenTooOld);
    assert_eq!(reason(resumed(&cluster, &lost).await), ErrorReason::ResumeTokenTooOld);
    let mut anew = watch(&mut cluster.administrator(), "").await;
    for _ in 0..2 {
        assert!(matches!(told(&mut anew).await.0, Message::Snapshot(_)));
    }
    let (done, token) = told(&mut anew).await;
    assert!(matches!(done, Message::SnapshotDone(_)));
    resumed(&cluster, &token).await.unwrap();
}

#[tokio::test]
async fn ev_3_phones_are_told_anew_what_they_shall_be_when_the_store_lost_it() {
    let (cluster, store) = cuttable().await;
    let mut adapter = Adapter::open(&cluster).await;
    adapter.say(ToServer::Watch(wire::PhoneNames { phones: vec![PHONE.into()] }));
    update(&mut adapter).await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let worn = update(&mut adapter).await;
    assert_eq!(worn.session.unwrap().user_id, "agent7");
    store.lose(1).await;
    let after = update(&mut adapter).await;
    assert!(after.session.is_none(), "nobody is logged in any more");
    assert!(after.generation < worn.generation);
    cluster.administrator().login(by_token("agent8", PHONE)).await.unwrap();
    let other = update(&mut adapter).await;
    assert_eq!(other.session.unwrap().user_id, "agent8");
    assert_eq!(other.generation, worn.generation, "the same number, and another state");
}
