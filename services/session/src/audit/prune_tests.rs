//! Records go when they are too old; what is left hangs together, and says where the others ended.

use std::sync::Arc;

use async_trait::async_trait;
use roamline_domain::PhoneName;
use roamline_domain::audit::{EventMark, Hash};
use roamline_store::conformance::fixture::{agent, at, log_in, log_out, phone};
use roamline_store::memory::MemoryStore;
use roamline_store::{AuditPlace, AuditStep, Sequence};
use serde_json::Value;
use tokio::sync::Barrier;

use super::*;
use crate::audit::{Feeder, ToRebuild, fence};

/// A trail of that many logins and logouts at one phone: all odd records are of instant 0, the others of 60.
async fn trail(sessions: u64) -> Arc<MemoryStore> {
    let (store, audit) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    for _ in 0..sessions {
        log_in(&store, 1, &agent(1)).await;
        log_out(&store, 1).await;
    }
    feed(&store, &audit).await;
    audit
}

async fn feed(store: &Arc<MemoryStore>, audit: &Arc<MemoryStore>) {
    let feeder = Feeder::new(store.clone(), audit.clone());
    while feeder.step(&AuditStore::place(&**audit).await.unwrap(), at(100)).await.unwrap()
        != crate::audit::Fed::Nothing
    {}
}

async fn records(audit: &MemoryStore) -> Vec<AuditRecord> {
    audit.records(&AuditQuery::default(), 0, u32::MAX).await.unwrap()
}

fn json(record: &AuditRecord) -> Value {
    serde_json::from_str(&record.body).unwrap()
}

/// That records hang together, the first of them on what the last that tells of pruning says.
fn assert_whole(records: &[AuditRecord]) {
    let told = records.iter().rev().find(|record| record.kind == AuditKind::Pruned).map(json);
    let told = told.expect("a record that tells of it")["pruned"].clone();
    let (mut number, digits) = (told["until"].as_u64().unwrap(), told["hash"].as_str().unwrap());
    let byte = |place: usize| u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).unwrap();
    let mut hash = Hash(std::array::from_fn(byte));
    for record in records {
        number += 1;
        hash = hash.then(&record.body);
        assert_eq!((record.number, record.hash), (number, hash));
    }
}

#[tokio::test]
async fn ev_1_what_is_too_old_goes_in_batches_and_the_rest_hangs_on_what_is_said_of_it() {
    let audit = trail(1_100).await;
    assert_eq!(step(&*audit, at(0), at(1_000), BATCH).await.unwrap(), Step::Nothing, "nothing is too old");
    assert_eq!(step(&*audit, at(61), at(1_000), BATCH).await.unwrap(), Step::Went(1_000));
    assert_whole(&records(&audit).await);
    assert_eq!(step(&*audit, at(61), at(1_000), BATCH).await.unwrap(), Step::Went(1_000));
    assert_eq!(step(&*audit, at(61), at(1_000), BATCH).await.unwrap(), Step::Went(200));
    let left = records(&audit).await;
    assert_whole(&left);
    let told: Vec<_> = left.iter().map(|record| (record.number, record.kind)).collect();
    assert_eq!(told, [(2_201, AuditKind::Pruned), (2_202, AuditKind::Pruned), (2_203, AuditKind::Pruned)]);
    assert_eq!(json(&left[2])["pruned"]["records"], 200);
    let again = step(&*audit, at(2_000), at(3_000), BATCH).await.unwrap();
    assert_eq!(again, Step::Nothing, "what pruning leaves is not pruned for its own sake");
}

#[tokio::test]
async fn ev_1_nothing_goes_that_stands_after_a_record_which_is_not_too_old() {
    let audit = trail(3).await;
    // The second record is of instant 60; those after it are older.
    assert_eq!(step(&*audit, at(30), at(1_000), BATCH).await.unwrap(), Step::Went(1));
    assert_eq!(records(&audit).await[0].number, 2);
    assert_eq!(step(&*audit, at(30), at(1_000), BATCH).await.unwrap(), Step::Nothing);
}

#[tokio::test]
async fn ev_1_the_login_of_a_session_that_goes_on_is_told_again_each_time_and_stays_known() {
    let (store, audit) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    for number in 1..=3 {
        log_in(&store, number, &agent(number)).await;
    }
    log_out(&store, 2).await;
    feed(&store, &audit).await;
    let live = audit.live(None, 10).await.unwrap();
    assert_eq!(step(&*audit, at(61), at(1_000), BATCH).await.unwrap(), Step::Went(4));
    for now in [2_000, 3_000] {
        let left = records(&audit).await;
        assert_whole(&left);
        let told: Vec<_> = left.iter().map(|record| (record.kind, record.phone.clone())).collect();
        let kept = |number| (AuditKind::LoginKept, phone(number).to_string());
        assert_eq!(told, [kept(1), kept(3), (AuditKind::Pruned, String::new())]);
        let session: Session = serde_json::from_value(json(&left[1])["session"].clone()).unwrap();
        assert_eq!(session, live[1]);
        assert_eq!(json(&left[1])["actor"]["name"], "agent3");
        assert_eq!(audit.live(None, 10).await.unwrap(), live);
        assert_eq!(step(&*audit, at(now), at(now), BATCH).await.unwrap(), Step::Went(3));
    }
}

/// A trail at which all have looked before anybody deletes, or that another prunes before it is looked where it stands.
struct AtOnce {
    inner: Arc<MemoryStore>,
    all: Barrier,
    pruned_first: bool,
}

#[async_trait]
impl AuditStore for AtOnce {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        if self.pruned_first {
            step(&*self.inner, at(61), at(1_000), BATCH).await.unwrap();
        }
        AuditStore::place(&*self.inner).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.inner.append(step).await
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.all.wait().await;
        self.inner.prune(step, until).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.records(query, after, limit).await
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        self.inner.recorded(after, until).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.inner.live(after, limit).await
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.inner.live_among(sessions).await
    }
}

#[tokio::test]
async fn ev_1_of_many_that_look_at_once_each_record_goes_once() {
    let audit = trail(50).await;
    let at_once = AtOnce { inner: audit.clone(), all: Barrier::new(8), pruned_first: false };
    let steps = (0..8).map(|_| step(&at_once, at(61), at(1_000), BATCH));
    let made = futures::future::join_all(steps).await;
    let count = |what: Step| made.iter().filter(|made| made.as_ref().is_ok_and(|made| *made == what)).count();
    assert_eq!((count(Step::Went(100)), count(Step::Moved)), (1, 7), "{made:?}");
    let left = records(&audit).await;
    assert_whole(&left);
    assert_eq!(left.iter().map(|record| record.kind).collect::<Vec<_>>(), [AuditKind::Pruned]);
}

/// Those that were read are gone when it is looked where the trail stands.
#[tokio::test]
async fn ev_1_records_that_another_has_deleted_meanwhile_are_not_deleted_again() {
    let audit = trail(50).await;
    let late = AtOnce { inner: audit.clone(), all: Barrier::new(1), pruned_first: true };
    assert_eq!(step(&late, at(61), at(1_000), BATCH).await.unwrap(), Step::Moved);
    let left = records(&audit).await;
    assert_whole(&left);
    assert_eq!(left.len(), 1);
}

#[test]
fn who_is_overtaken_takes_on_less_and_waits_longer() {
    let mut haste = Haste::FULL;
    let mut told = Vec::new();
    for _ in 0..9 {
        haste = haste.less();
        told.push((haste.batch, haste.pace.as_millis()));
    }
    assert_eq!(told[..5], [(500, 400), (250, 800), (125, 1_600), (62, 3_200), (50, 6_400)]);
    assert_eq!(told[8], (50, 30_000));
}

#[tokio::test]
async fn nothing_goes_while_a_rebuild_is_under_way() {
    let audit = trail(2).await;
    let place = AuditStore::place(&*audit).await.unwrap();
    let told = ToRebuild { goes_on_after: 1_000, sessions: 0, ended: &[] };
    fence(&*audit, &place, &told, at(100)).await.unwrap();
    assert_eq!(step(&*audit, at(61), at(1_000), BATCH).await.unwrap(), Step::Nothing);
    assert_eq!(records(&audit).await.len(), 5);
}

/// A step between the look at the trail and the deletion.
#[tokio::test]
async fn a_trail_that_goes_on_meanwhile_is_not_pruned_from_where_it_stood() {
    let audit = trail(2).await;
    let from = AuditStore::place(&*audit).await.unwrap();
    let to = AuditPlace { sequence: from.sequence + 1, ..from.clone() };
    let moved =
        AuditStep { from: from.clone(), to, records: Vec::new(), live: Vec::new(), ended: Vec::new() };
    let mut chain = Chain::from(&from);
    chain.add(Body::empty(AuditKind::Pruned, at(1)), at(1), None).unwrap();
    audit.append(moved).await.unwrap();
    let late = audit.prune(chain.step(&from, Vec::new(), Vec::new()), 2).await;
    assert!(matches!(late, Err(AuditError::Moved)), "{late:?}");
    assert_eq!(records(&audit).await.len(), 4);
}
