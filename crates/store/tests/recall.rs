//! The directory that recalls what was read keeps what the trait promises, and asks the store for nothing twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key, Kind};
use roamline_store::conformance::fixture::{at, create, delete, line, made, replace};
use roamline_store::memory::MemoryStore;
use roamline_store::{Change, DirectoryError, DirectoryStore, ListQuery, Recall, StoreError, Stored};

/// Counts what it is asked.
#[derive(Default)]
struct Counted {
    store: MemoryStore,
    finds: AtomicUsize,
    keys: AtomicUsize,
}

#[async_trait]
impl DirectoryStore for Counted {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        self.keys.fetch_add(keys.len(), Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.store.find(keys).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        let revision = self.store.revision().await;
        tokio::task::yield_now().await;
        revision
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        DirectoryStore::list(&self.store, kind, query).await
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        self.store.owners(claims).await
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.store.used_by(key, after, limit).await
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        self.store.first_users(keys, by).await
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        DirectoryStore::snapshot(&self.store)
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        DirectoryStore::commit(&self.store, changes, at).await
    }
}

fn recalled() -> (Arc<Recall>, Arc<Counted>) {
    let counted = Arc::new(Counted::default());
    (Arc::new(Recall::new(counted.clone())), counted)
}

mod conformance {
    use super::recalled;
    use roamline_store::conformance_cases;

    conformance_cases! { directory, async { recalled() };
        what_is_not_there_is_not_found,
        find_answers_in_the_order_of_the_keys,
        every_kind_is_kept_as_it_was_put,
        a_resource_is_created_at_version_1_and_grows_with_each_change,
        a_deleted_resource_can_be_created_anew,
        a_refused_batch_changes_nothing,
        dp_1_of_64_creators_of_one_device_name_one_is_made,
        of_16_changes_from_one_version_one_is_made,
        a_large_batch_is_one_step,
    }
    conformance_cases! { directory_read, async { recalled() };
        a_guard_and_a_change_from_one_version_do_not_both_happen,
        the_revision_grows_with_each_change_and_with_nothing_else,
    }
}

#[tokio::test]
async fn what_was_read_is_not_read_again_until_something_changes() {
    let (recall, counted) = recalled();
    let (one, other) = (line("2101"), line("2102"));
    made(&recall, vec![create(one.clone())]).await;
    let keys = [one.key(), other.key()];
    for _ in 0..10 {
        let found = recall.find(&keys).await.unwrap();
        assert!(found[0].is_some() && found[1].is_none());
    }
    let asked = || (counted.finds.load(Ordering::Relaxed), counted.keys.load(Ordering::Relaxed));
    assert_eq!(asked(), (1, 2), "what is not there is recalled, too");
    made(&recall, vec![create(other.clone()), replace(one.clone(), 1)]).await;
    let found = recall.find(&keys).await.unwrap();
    assert!(found.iter().flatten().map(|stored| stored.version).eq([2, 1]));
    assert_eq!(asked(), (2, 4));
    made(&recall, vec![delete(&one, 2)]).await;
    assert!(recall.find(&keys).await.unwrap()[0].is_none());
}

/// What another process changes is seen by the next read.
#[tokio::test]
async fn sp_21_a_change_behind_its_back_is_seen_at_once() {
    let (recall, counted) = recalled();
    let record = line("2101");
    for version in 0..20 {
        let change = if version == 0 { create(record.clone()) } else { replace(record.clone(), version) };
        DirectoryStore::commit(&*counted, vec![change], at(0)).await.unwrap();
        let found = recall.find(&[record.key()]).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().version, version + 1);
    }
}

/// Records that change together are never read apart, whatever of them is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_as_of_one_instant_while_others_write() {
    let (recall, counted) = recalled();
    let records: Vec<_> = (0..6).map(|number| line(&format!("21{number:02}"))).collect();
    let keys: Vec<_> = records.iter().map(|record| record.key()).collect();
    made(&recall, records.iter().cloned().map(create).collect()).await;
    let writer = async {
        for version in 1..=300 {
            let changes = records.iter().cloned().map(|record| replace(record, version)).collect();
            DirectoryStore::commit(&*counted, changes, at(0)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let reader = |some: Vec<Key>| {
        let recall = Arc::clone(&recall);
        async move {
            let mut last = 0;
            for round in 0..600 {
                let asked = if round % 3 == 0 { &some[..2] } else { &some[..] };
                let found = recall.find(asked).await.unwrap();
                let versions: Vec<_> = found.iter().flatten().map(|stored| stored.version).collect();
                assert!(versions.windows(2).all(|pair| pair[0] == pair[1]), "{versions:?}");
                assert!(versions[0] >= last, "{} after {last}", versions[0]);
                last = versions[0];
            }
        }
    };
    let rest = keys.iter().skip(1).chain(keys.first()).cloned().collect();
    tokio::join!(writer, reader(keys), reader(rest));
}

/// What follows the directory takes the last answer for a moment; what this process changes it sees at once.
#[tokio::test(start_paused = true)]
async fn sp_21_a_change_is_followed_at_once_by_its_own_process_and_within_100_ms_by_others() {
    let (recall, counted) = recalled();
    let record = line("2101");
    let followed = async || {
        let found = recall.find_lately(&[record.key()]).await.unwrap();
        found[0].as_ref().map_or(0, |stored| stored.version)
    };
    assert_eq!(followed().await, 0);
    for version in 0..5 {
        let change =
            || if version == 0 { create(record.clone()) } else { replace(record.clone(), 2 * version) };
        made(&recall, vec![change()]).await;
        assert_eq!(followed().await, 2 * version + 1);
        let behind = replace(record.clone(), 2 * version + 1);
        DirectoryStore::commit(&*counted, vec![behind.clone()], at(0)).await.unwrap();
        tokio::time::advance(Duration::from_millis(99)).await;
        assert_eq!(followed().await, 2 * version + 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(followed().await, 2 * version + 2);
    }
    DirectoryStore::commit(&*counted, vec![delete(&record, 10)], at(0)).await.unwrap();
    recall.changed().await;
    assert_eq!(followed().await, 0, "what was changed in another way is told");
}
