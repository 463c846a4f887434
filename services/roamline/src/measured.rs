//! Stores whose operations are measured: how long each took, and how it failed (`db.client.operation.duration`), and which
//! trace it was for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use roamline_domain::audit::{AuditRecord, EventMark};
use roamline_domain::credential::PrincipalKind;
use roamline_domain::directory::{Claim, Key, Kind};
use roamline_domain::phone_state::{PhoneState, Session, SessionEvent};
use roamline_domain::{PhoneName, PrincipalName, RequestId, SessionId, UserId};
use roamline_serve::inventory::STORE_CALLS;
use roamline_serve::trace::part;
use roamline_store::{
    About, AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, Change, Commit, CommitError, Committed,
    CredentialStore, DirectoryError, DirectoryStore, EventPage, EventsError, Import, ImportError,
    ImportStore, Keep, KeyRecord, ListQuery, Loaded, Principal, Reply, Revocation, RevocationPage, Sequence,
    SessionStore, SignIn, Snapshot, StageError, Staged, StoreError, Stored, TokenStore,
};
use tokio::sync::watch;

/// A store, and which kind of database it is in.
pub(crate) struct Measured<S: ?Sized> {
    system: &'static str,
    store: Arc<S>,
}

impl<S: ?Sized> Measured<S> {
    /// `system` is a `db.system.name` of OpenTelemetry's conventions.
    pub(crate) fn new(system: &'static str, store: Arc<S>) -> Arc<Self> {
        Arc::new(Self { system, store })
    }

    async fn timed<T, E: Failure>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let mut labels = vec![("db.system.name", self.system), ("db.operation.name", operation)];
        let failed = |done: &Result<T, E>| done.as_ref().err().and_then(Failure::word);
        let done = part(operation, &labels, work, failed).await;
        labels.extend(failed(&done).map(|word| ("error.type", word)));
        STORE_CALLS.record(begun.elapsed().as_secs_f64(), &labels);
        done
    }
}

/// What an operation may end with beside what it is for.
trait Failure {
    /// How the store has failed; `None` where it has not, such as where something had moved.
    fn word(&self) -> Option<&'static str>;
}

impl Failure for StoreError {
    fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unavailable(_) => "unavailable",
            Self::InDoubt(_) => "in_doubt",
            Self::Lost => "lost",
            Self::Corrupt { .. } => "corrupt",
        })
    }
}

macro_rules! failures_of_the_store {
    ($($error:ident),+) => {
        $(impl Failure for $error {
            fn word(&self) -> Option<&'static str> {
                match self {
                    Self::Store(error) => error.word(),
                    _ => None,
                }
            }
        })+
    };
}

failures_of_the_store!(AuditError, CommitError, DirectoryError, EventsError, ImportError, StageError);

#[async_trait]
impl<S: SessionStore + ?Sized> SessionStore for Measured<S> {
    async fn is_begun(&self) -> Result<bool, StoreError> {
        self.timed("session.is_begun", SessionStore::is_begun(&*self.store)).await
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        self.timed("session.begin", SessionStore::begin(&*self.store, phones, after)).await
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        self.timed("session.load", SessionStore::load(&*self.store, about)).await
    }

    fn recall(&self, about: &About) -> Option<Loaded> {
        SessionStore::recall(&*self.store, about)
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        self.timed("session.commit", SessionStore::commit(&*self.store, commit)).await
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        self.timed("session.tell", SessionStore::tell(&*self.store, events, at)).await
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        self.timed("session.phone", SessionStore::phone(&*self.store, phone)).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        self.timed("session.session", SessionStore::session(&*self.store, id)).await
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        self.timed("session.list", SessionStore::list(&*self.store, user, after, limit)).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.timed("session.count", SessionStore::count(&*self.store)).await
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        self.timed("session.snapshot", SessionStore::snapshot(&*self.store, user)).await
    }

    async fn place(&self) -> Result<Sequence, StoreError> {
        self.timed("session.place", SessionStore::place(&*self.store)).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        self.timed("session.due", SessionStore::due(&*self.store, now, limit)).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.timed("session.next_deadline", SessionStore::next_deadline(&*self.store)).await
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.timed("session.events", SessionStore::events(&*self.store, after, limit)).await
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.store.latest()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        self.timed("session.reply", SessionStore::reply(&*self.store, request, now)).await
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        self.timed("session.trim", SessionStore::trim(&*self.store, now, keep)).await
    }
}

#[async_trait]
impl<S: AuditStore> AuditStore for Measured<S> {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        self.timed("audit.place", AuditStore::place(&*self.store)).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.timed("audit.append", AuditStore::append(&*self.store, step)).await
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.timed("audit.prune", AuditStore::prune(&*self.store, step, until)).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.timed("audit.records", AuditStore::records(&*self.store, query, after, limit)).await
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        self.timed("audit.recorded", AuditStore::recorded(&*self.store, after, until)).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.timed("audit.live", AuditStore::live(&*self.store, after, limit)).await
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.timed("audit.live_among", AuditStore::live_among(&*self.store, sessions)).await
    }
}

#[async_trait]
impl<S: DirectoryStore> DirectoryStore for Measured<S> {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.timed("directory.find", DirectoryStore::find(&*self.store, keys)).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.timed("directory.revision", DirectoryStore::revision(&*self.store)).await
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        self.timed("directory.list", DirectoryStore::list(&*self.store, kind, query)).await
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        self.timed("directory.owners", DirectoryStore::owners(&*self.store, claims)).await
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.timed("directory.used_by", DirectoryStore::used_by(&*self.store, key, after, limit)).await
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        self.timed("directory.first_users", DirectoryStore::first_users(&*self.store, keys, by)).await
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        self.store.snapshot()
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        self.timed("directory.commit", DirectoryStore::commit(&*self.store, changes, at)).await
    }
}

#[async_trait]
impl<S: CredentialStore> CredentialStore for Measured<S> {
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError> {
        self.timed("credential.principal", CredentialStore::principal(&*self.store, name)).await
    }

    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError> {
        self.timed("credential.set_principals", CredentialStore::set_principals(&*self.store, principals))
            .await
    }

    async fn delete_principals(
        &self,
        names: &[PrincipalName],
        kind: Option<PrincipalKind>,
    ) -> Result<(), StoreError> {
        self.timed(
            "credential.delete_principals",
            CredentialStore::delete_principals(&*self.store, names, kind),
        )
        .await
    }
}

#[async_trait]
impl<S: TokenStore> TokenStore for Measured<S> {
    async fn begin_sign_in(
        &self,
        sign_in: SignIn,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.timed("token.begin_sign_in", TokenStore::begin_sign_in(&*self.store, sign_in, most, now)).await
    }

    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, StoreError> {
        self.timed("token.sign_in", TokenStore::sign_in(&*self.store, id)).await
    }

    async fn refresh_sign_in(&self, next: SignIn) -> Result<bool, StoreError> {
        self.timed("token.refresh_sign_in", TokenStore::refresh_sign_in(&*self.store, next)).await
    }

    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<u64, StoreError> {
        self.timed("token.revoke", TokenStore::revoke(&*self.store, revocations)).await
    }

    async fn revocations(
        &self,
        after: u64,
        now: Timestamp,
        limit: u32,
    ) -> Result<RevocationPage, StoreError> {
        self.timed("token.revocations", TokenStore::revocations(&*self.store, after, now, limit)).await
    }

    async fn trim_tokens(&self, now: Timestamp) -> Result<(), StoreError> {
        self.timed("token.trim_tokens", TokenStore::trim_tokens(&*self.store, now)).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.timed("token.keys", TokenStore::keys(&*self.store)).await
    }

    async fn swap_keys(&self, from: &[KeyRecord], to: Vec<KeyRecord>) -> Result<bool, StoreError> {
        self.timed("token.swap_keys", TokenStore::swap_keys(&*self.store, from, to)).await
    }
}

#[async_trait]
impl<S: ImportStore> ImportStore for Measured<S> {
    async fn open_import(&self, token: &str, id: &str, at: Timestamp) -> Result<Import, StoreError> {
        self.timed("import.open_import", ImportStore::open_import(&*self.store, token, id, at)).await
    }

    async fn find_import(&self, id: &str) -> Result<Option<Import>, StoreError> {
        self.timed("import.find_import", ImportStore::find_import(&*self.store, id)).await
    }

    async fn discard_import(&self, id: &str) -> Result<bool, StoreError> {
        self.timed("import.discard_import", ImportStore::discard_import(&*self.store, id)).await
    }

    async fn discard_imports_before(&self, instant: Timestamp) -> Result<u64, StoreError> {
        self.timed(
            "import.discard_imports_before",
            ImportStore::discard_imports_before(&*self.store, instant),
        )
        .await
    }

    async fn stage(
        &self,
        id: &str,
        from_row: u64,
        rows: Vec<(u64, Change)>,
        next_row: u64,
        at: Timestamp,
    ) -> Result<(), StageError> {
        self.timed("import.stage", ImportStore::stage(&*self.store, id, from_row, rows, next_row, at)).await
    }

    async fn find_staged(&self, id: &str, keys: &[Key]) -> Result<Vec<Option<Staged>>, StoreError> {
        self.timed("import.find_staged", ImportStore::find_staged(&*self.store, id, keys)).await
    }

    async fn staged(&self, id: &str, after_row: u64, limit: u32) -> Result<Vec<Staged>, StoreError> {
        self.timed("import.staged", ImportStore::staged(&*self.store, id, after_row, limit)).await
    }

    async fn commit_import(
        &self,
        id: &str,
        at: Timestamp,
        validate_only: bool,
    ) -> Result<Committed, ImportError> {
        self.timed("import.commit_import", ImportStore::commit_import(&*self.store, id, at, validate_only))
            .await
    }
}
