//! A store whose sessions fall due only while the test lets them: so that it is the test that decides which replica
//! sweeps, and when. In all else it is the store behind it, or a broken one, by which the comparison itself is tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use roamline_store::{
    About, Commit, CommitError, EventPage, EventsError, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError,
};
use tokio::sync::watch;

/// How a store breaks its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not say where else a user or an ACD line is.
    HidesOthers,
    /// It does not remember answers.
    ForgetsReplies,
    /// A session is due after its instant only, and not at it.
    IsLate,
}

pub(crate) struct Gate {
    store: Arc<dyn SessionStore>,
    fault: Option<Fault>,
    open: AtomicBool,
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn SessionStore>, fault: Option<Fault>) -> Self {
        Self { store, fault, open: AtomicBool::new(false) }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

#[async_trait]
impl SessionStore for Gate {
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        let late = SignedDuration::from_micros(self.has(Fault::IsLate).into());
        if self.open.load(Ordering::Relaxed) {
            self.store.due(now - late, limit).await
        } else {
            Ok(Vec::new())
        }
    }

    async fn is_begun(&self) -> Result<bool, StoreError> {
        self.store.is_begun().await
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        self.store.begin(phones, after).await
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        let mut loaded = self.store.load(about).await?;
        if self.has(Fault::HidesOthers) {
            loaded.held.others.clear();
        }
        Ok(loaded)
    }

    async fn commit(&self, mut commit: Commit) -> Result<Sequence, CommitError> {
        if self.has(Fault::ForgetsReplies) {
            commit.reply = None;
        }
        self.store.commit(commit).await
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        self.store.tell(events, at).await
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        self.store.phone(phone).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        self.store.session(id).await
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        self.store.list(user, after, limit).await
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        self.store.snapshot(user).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_deadline().await
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.store.events(after, limit).await
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.store.latest()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        self.store.reply(request, now).await
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        self.store.trim(now, keep).await
    }
}
