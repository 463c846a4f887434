//! A session store of a test that passes on to another what it does not change.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use tokio::sync::watch;

use crate::{
    About, Commit, CommitError, EventPage, EventsError, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError,
};

/// Is a [`SessionStore`]: each call goes to [`store`](Self::store), but for those that are written anew.
#[async_trait]
#[allow(missing_docs, reason = "each is what the store calls so")]
pub trait Through: Send + Sync + 'static {
    /// The store behind it, asked for at each call.
    fn store(&self) -> Arc<dyn SessionStore>;

    async fn is_begun(&self) -> Result<bool, StoreError> {
        self.store().is_begun().await
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        self.store().begin(phones, after).await
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        self.store().load(about).await
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        self.store().commit(commit).await
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        self.store().tell(events, at).await
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        self.store().snapshot(user).await
    }

    /// That of a snapshot of nobody's phones, so that who writes snapshots anew need not write this.
    async fn place(&self) -> Result<Sequence, StoreError> {
        let nobody = "-".parse().ok();
        Ok(Through::snapshot(self, nobody.as_ref()).await?.sequence)
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        self.store().due(now, limit).await
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        self.store().events(after, limit).await
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.store().latest()
    }
}

#[async_trait]
impl<T: Through> SessionStore for T {
    async fn is_begun(&self) -> Result<bool, StoreError> {
        Through::is_begun(self).await
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        Through::begin(self, phones, after).await
    }

    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        Through::load(self, about).await
    }

    fn recall(&self, about: &About) -> Option<Loaded> {
        self.store().recall(about)
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        Through::commit(self, commit).await
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        Through::tell(self, events, at).await
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        self.store().phone(phone).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        self.store().session(id).await
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        self.store().list(user, after, limit).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.store().count().await
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        Through::snapshot(self, user).await
    }

    async fn place(&self) -> Result<Sequence, StoreError> {
        Through::place(self).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        Through::due(self, now, limit).await
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store().next_deadline().await
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        Through::events(self, after, limit).await
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        Through::latest(self)
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        self.store().reply(request, now).await
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        self.store().trim(now, keep).await
    }
}
