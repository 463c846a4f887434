//! Two stores on one database, as two processes have them, that behave as one: what is asked goes to each in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use roamline_domain::audit::{AuditRecord, EventMark};
use roamline_domain::credential::PrincipalKind;
use roamline_domain::directory::{Claim, Key, Kind};
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::Half;
use roamline_domain::phone_state::{Session, SessionEvent};
use roamline_domain::{PhoneName, PrincipalName, SessionId};
use roamline_store::conformance::through::Through;
use roamline_store::federation::{
    Begun, Changed, FederationStore, From, HalfQuery, Setting, SettingKind, StoredSetting,
};
use roamline_store::{
    AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, Change, Commit, CommitError, Committed,
    CredentialStore, DirectoryError, DirectoryStore, Import, ImportError, ImportStore, KeyRecord, ListQuery,
    Principal, Revocation, RevocationPage, Sequence, SessionStore, SignIn, StageError, Staged, StoreError,
    Stored, TokenStore,
};
use roamline_store_sql::SqlStore;

pub(crate) struct Pair {
    stores: [Arc<SqlStore>; 2],
    asked: AtomicUsize,
}

impl Pair {
    pub(crate) fn new(stores: [SqlStore; 2]) -> Self {
        Self { stores: stores.map(Arc::new), asked: AtomicUsize::new(0) }
    }

    fn next(&self) -> &SqlStore {
        self.turn()
    }

    /// Whose turn it is.
    fn turn(&self) -> &Arc<SqlStore> {
        &self.stores[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
    }

    /// Both know of the event.
    async fn known(&self, last: Sequence) {
        for store in &self.stores {
            let mut latest = store.latest();
            let known =
                tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|known| *known >= last));
            known.await.expect("the other learns of it").unwrap();
        }
    }
}

#[async_trait]
impl Through for Pair {
    fn store(&self) -> Arc<dyn SessionStore> {
        self.turn().clone()
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        let last = SessionStore::commit(self.next(), commit).await?;
        self.known(last).await;
        Ok(last)
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        let last = self.next().tell(events, at).await?;
        self.known(last).await;
        Ok(last)
    }
}

#[async_trait]
impl DirectoryStore for Pair {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.next().find(keys).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.next().revision().await
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        DirectoryStore::list(self.next(), kind, query).await
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        self.next().owners(claims).await
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.next().used_by(key, after, limit).await
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        self.next().first_users(keys, by).await
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        DirectoryStore::snapshot(self.next())
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        DirectoryStore::commit(self.next(), changes, at).await
    }
}

#[async_trait]
impl ImportStore for Pair {
    async fn open_import(&self, token: &str, id: &str, at: Timestamp) -> Result<Import, StoreError> {
        self.next().open_import(token, id, at).await
    }

    async fn find_import(&self, id: &str) -> Result<Option<Import>, StoreError> {
        self.next().find_import(id).await
    }

    async fn discard_import(&self, id: &str) -> Result<bool, StoreError> {
        self.next().discard_import(id).await
    }

    async fn discard_imports_before(&self, instant: Timestamp) -> Result<u64, StoreError> {
        self.next().discard_imports_before(instant).await
    }

    async fn stage(
        &self,
        id: &str,
        from_row: u64,
        rows: Vec<(u64, Change)>,
        next_row: u64,
        at: Timestamp,
    ) -> Result<(), StageError> {
        self.next().stage(id, from_row, rows, next_row, at).await
    }

    async fn find_staged(&self, id: &str, keys: &[Key]) -> Result<Vec<Option<Staged>>, StoreError> {
        self.next().find_staged(id, keys).await
    }

    async fn staged(&self, id: &str, after_row: u64, limit: u32) -> Result<Vec<Staged>, StoreError> {
        self.next().staged(id, after_row, limit).await
    }

    async fn commit_import(
        &self,
        id: &str,
        at: Timestamp,
        validate_only: bool,
    ) -> Result<Committed, ImportError> {
        self.next().commit_import(id, at, validate_only).await
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

    async fn delete_principals(
        &self,
        names: &[PrincipalName],
        kind: Option<PrincipalKind>,
    ) -> Result<(), StoreError> {
        self.next().delete_principals(names, kind).await
    }
}

#[async_trait]
impl TokenStore for Pair {
    async fn begin_sign_in(
        &self,
        sign_in: SignIn,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.next().begin_sign_in(sign_in, most, now).await
    }

    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, StoreError> {
        self.next().sign_in(id).await
    }

    async fn refresh_sign_in(&self, next: SignIn) -> Result<bool, StoreError> {
        self.next().refresh_sign_in(next).await
    }

    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<u64, StoreError> {
        self.next().revoke(revocations).await
    }

    async fn revocations(
        &self,
        after: u64,
        now: Timestamp,
        limit: u32,
    ) -> Result<RevocationPage, StoreError> {
        self.next().revocations(after, now, limit).await
    }

    async fn trim_tokens(&self, now: Timestamp) -> Result<(), StoreError> {
        self.next().trim_tokens(now).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.next().keys().await
    }

    async fn swap_keys(&self, from: &[KeyRecord], to: Vec<KeyRecord>) -> Result<bool, StoreError> {
        self.next().swap_keys(from, to).await
    }
}

#[async_trait]
impl AuditStore for Pair {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        AuditStore::place(self.next()).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.next().append(step).await
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.next().prune(step, until).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.next().records(query, after, limit).await
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        self.next().recorded(after, until).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.next().live(after, limit).await
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.next().live_among(sessions).await
    }
}

#[async_trait]
impl FederationStore for Pair {
    async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError> {
        self.next().settings().await
    }

    async fn set_setting(&self, setting: Setting, from: From) -> Result<Changed, StoreError> {
        self.next().set_setting(setting, from).await
    }

    async fn remove_setting(&self, kind: SettingKind, name: &str, from: From) -> Result<Changed, StoreError> {
        self.next().remove_setting(kind, name, from).await
    }

    async fn begin_half(&self, half: Half, device: Option<(BaseDevice, u32)>) -> Result<Begun, StoreError> {
        self.next().begin_half(half, device).await
    }

    async fn half(&self, session: &SessionId) -> Result<Option<Half>, StoreError> {
        self.next().half(session).await
    }

    async fn end_half(
        &self,
        session: &SessionId,
        at: Timestamp,
        told: bool,
    ) -> Result<Option<Half>, StoreError> {
        self.next().end_half(session, at, told).await
    }

    async fn halves(&self, query: &HalfQuery) -> Result<Vec<Half>, StoreError> {
        self.next().halves(query).await
    }

    async fn base_devices_held(&self) -> Result<u32, StoreError> {
        self.next().base_devices_held().await
    }

    async fn forget_halves(&self, before: Timestamp) -> Result<(), StoreError> {
        self.next().forget_halves(before).await
    }
}
