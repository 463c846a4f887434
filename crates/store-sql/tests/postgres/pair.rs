//! Two stores on one database, as two processes have them, that behave as one: what is asked goes to each in turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::{Key, Kind};
use roamline_domain::phone_state::PhoneState;
use roamline_domain::{PhoneName, PrincipalName, RequestId, SessionId, UserId};
use roamline_store::{
    About, Change, Commit, CommitError, CredentialStore, DirectoryError, DirectoryStore, EventPage,
    EventsError, KeyRecord, Loaded, Principal, Reply, Sequence, SessionStore, Snapshot, StoreError, Stored,
};
use roamline_store_sql::SqlStore;
use tokio::sync::watch;

pub(crate) struct Pair {
    stores: [SqlStore; 2],
    asked: AtomicUsize,
}

impl Pair {
    pub(crate) fn new(stores: [SqlStore; 2]) -> Self {
        Self { stores, asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> &SqlStore {
        &self.stores[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl SessionStore for Pair {
    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        self.next().load(about).await
    }

    /// Both know of the commit when this returns.
    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        let last = SessionStore::commit(self.next(), commit).await?;
        for store in &self.stores {
            let mut latest = store.latest();
            let known =
                tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|known| *known >= last));
            known.await.expect("the other learns of it").unwrap();
        }
        Ok(last)
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        self.next().phone(phone).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        self.next().session(id).await
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        SessionStore::list(self.next(), user, after, limit).await
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        self.next().snapshot(user).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        self.next().due(now, limit).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.next().next_deadline().await
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.next().events(after, limit).await
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.next().latest()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        self.next().reply(request, now).await
    }

    async fn trim(&self, now: Timestamp, keep_events_since: Timestamp) -> Result<(), StoreError> {
        self.next().trim(now, keep_events_since).await
    }
}

#[async_trait]
impl DirectoryStore for Pair {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.next().find(keys).await
    }

    async fn list(&self, kind: Kind, after: Option<&str>, limit: u32) -> Result<Vec<Stored>, StoreError> {
        DirectoryStore::list(self.next(), kind, after, limit).await
    }

    async fn used_by(&self, key: &Key, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.next().used_by(key, limit).await
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        DirectoryStore::commit(self.next(), changes, at).await
    }
}

#[async_trait]
impl CredentialStore for Pair {
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError> {
        self.next().principal(name).await
    }

    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError> {
        self.next().set_principals(principals).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.next().keys().await
    }

    async fn ensure_keys(&self, keys: Vec<KeyRecord>) -> Result<Vec<KeyRecord>, StoreError> {
        self.next().ensure_keys(keys).await
    }
}
