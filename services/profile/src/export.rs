//! The whole directory as of one instant, in messages of bounded size: what a backup is made from.

use std::collections::{BTreeSet, VecDeque};
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt, once, try_unfold, unfold};
use prost::Message;
use roamline_domain::directory::{Key, Kind, Resource};
use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_serve::Tasks;
use roamline_store::{StoreError, Stored};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wire::resource::Kind as Wire;

use crate::record::Record;
use crate::{ATTEMPTS, Profile, refusal};

/// Resources and bytes of a message, at most: one resource alone may be larger.
const MOST_RESOURCES: usize = 500;
const MOST_BYTES: usize = 1 << 20;

/// How long a reader may leave a message: the store keeps the instant for him, and a connection.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// Exports at once.
const AT_ONCE: usize = 2;

/// The exports that are under way.
#[derive(Clone)]
pub(crate) struct Exports {
    permits: Arc<Semaphore>,
    tasks: Tasks,
}

impl Default for Exports {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), tasks: Tasks::new() }
    }
}

impl Exports {
    /// These messages, read ahead by one and dropped, with the permit, when their reader is gone or leaves one for that
    /// long; he finds a failure in its place.
    fn read_within<T: Send + 'static>(
        &self,
        within: Duration,
        messages: impl Stream<Item = Result<T, Refusal>> + Send + 'static,
        permit: OwnedSemaphorePermit,
    ) -> impl Stream<Item = Result<T, Refusal>> + Send + 'static {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        self.tasks.spawn("export", async move {
            let _permit = permit;
            // The end is sent too: without it, the stream was cut off.
            let mut messages = pin!(messages.map(Some).chain(once(ready(None))));
            while let Some(message) = messages.next().await {
                if !matches!(timeout(within, sender.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
        });
        unfold(Some(receiver), |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(Some(Ok(message))) => Some((Ok(message), Some(receiver))),
                Some(Some(Err(refused))) => Some((Err(refused), None)),
                Some(None) => None,
                None => Some((Err(refusal::export_unread()), None)),
            }
        })
    }
}

/// What is still to be sent: a page of the store's, and what lies behind it.
struct Export {
    pages: BoxStream<'static, Result<Vec<Stored>, StoreError>>,
    kinds: BTreeSet<Kind>,
    ready: VecDeque<wire::Resource>,
}

impl Profile {
    /// Resources of these kinds, of all where none is given, in messages.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, or a store's failure, here or in the stream.
    pub(crate) async fn export(
        &self,
        kinds: &[String],
    ) -> Result<impl Stream<Item = Result<Vec<wire::Resource>, Refusal>> + Send + 'static, Refusal> {
        let kinds = read_kinds(kinds)?;
        let permit = self.exports.permits.clone().try_acquire_owned().map_err(|_| refusal::exports())?;
        let (parameters, pages) = self.begin_export().await?;
        let parameters = parameters.filter(|_| kinds.contains(&Kind::ServiceParameters));
        let ready = parameters.iter().map(exported).collect();
        let export = Export { pages, kinds, ready };
        let messages = try_unfold(export, |mut export| async move {
            let next = export.next().await?;
            Ok((!next.is_empty()).then_some((next, export)))
        });
        Ok(self.exports.read_within(READ_WITHIN, messages, permit))
    }

    /// The parameters, which others are judged by and so come first, and a snapshot that was taken while they were so.
    async fn begin_export(
        &self,
    ) -> Result<(Option<Resource>, BoxStream<'static, Result<Vec<Stored>, StoreError>>), Refusal> {
        for _ in 0..ATTEMPTS {
            let before = self.stored_parameters().await?;
            let mut pages = self.store.snapshot();
            let first = pages.next().await;
            if before == self.stored_parameters().await? {
                let pages = futures::stream::iter(first).chain(pages).boxed();
                return Ok((before.map(|stored| stored.resource), pages));
            }
        }
        Err(refusal::contended())
    }

    async fn stored_parameters(&self) -> Result<Option<Stored>, Refusal> {
        let found = self.store.find(&[Key::service_parameters()]).await.map_err(refusal::store)?;
        Ok(found.into_iter().next().flatten())
    }
}

impl Export {
    /// The next message; empty at the end.
    async fn next(&mut self) -> Result<Vec<wire::Resource>, Refusal> {
        let mut message = Vec::new();
        let mut bytes = 0;
        while message.len() < MOST_RESOURCES {
            let Some(resource) = self.ready.front() else {
                match self.pages.next().await {
                    Some(page) => self.take(&page.map_err(refusal::store)?),
                    None => break,
                }
                continue;
            };
            bytes += resource.encoded_len();
            if bytes > MOST_BYTES && !message.is_empty() {
                break;
            }
            message.extend(self.ready.pop_front());
        }
        Ok(message)
    }

    fn take(&mut self, page: &[Stored]) {
        let wanted = page.iter().map(|stored| &stored.resource).filter(|resource| {
            let kind = resource.key().kind;
            kind != Kind::ServiceParameters && self.kinds.contains(&kind)
        });
        self.ready.extend(wanted.map(exported));
    }
}

/// Reads the words for kinds; none are all.
fn read_kinds(words: &[String]) -> Result<BTreeSet<Kind>, Refusal> {
    if words.is_empty() {
        return Ok(Kind::ALL.into());
    }
    let mut kinds = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        match Kind::ALL.into_iter().find(|kind| kind.as_str() == word) {
            Some(kind) => kinds.insert(kind),
            None => {
                let word: String = word.chars().take(50).collect();
                let distance = |kind: &Kind| strsim::damerau_levenshtein(&word, kind.as_str());
                let nearest = Kind::ALL.into_iter().min_by_key(distance);
                let hint = nearest.map(|kind| format!("; did you mean {:?}?", kind.as_str()));
                let problem = format!("{word:?} is no kind of resource{}", hint.unwrap_or_default());
                return Err(refusal::malformed(&format!("kinds[{index}]"), problem));
            }
        };
    }
    Ok(kinds)
}

/// A resource on the wire, without an etag, and with what is kept from everybody else: its call-blocking PINs.
fn exported(resource: &Resource) -> wire::Resource {
    let none = String::new;
    let pin = resource.settings().and_then(|settings| settings.call_blocking_pin.clone());
    let mut kind = match resource {
        Resource::DevicePool(record) => Wire::DevicePool(record.message(none())),
        Resource::PhoneTemplate(record) => Wire::PhoneTemplate(record.message(none())),
        Resource::LineTemplate(record) => Wire::LineTemplate(record.message(none())),
        Resource::PresenceGroup(record) => Wire::PresenceGroup(record.message(none())),
        Resource::PhoneServiceDefinition(record) => Wire::PhoneServiceDefinition(record.message(none())),
        Resource::Line(record) => Wire::Line(record.message(none())),
        Resource::UserDeviceProfile(record) => Wire::UserDeviceProfile(record.message(none())),
        Resource::DefaultDeviceProfile(record) => Wire::DefaultDeviceProfile(record.message(none())),
        Resource::LogoutProfile(record) => Wire::LogoutProfile(record.message(none())),
        Resource::Phone(record) => Wire::Phone(record.message(none())),
        Resource::User(record) => Wire::User(record.message(none())),
        Resource::ServiceParameters(record) => Wire::ServiceParameters(record.message(none())),
    };
    if let (Wire::Phone(phone), Resource::Phone(kept)) = (&mut kind, resource) {
        let snapshot = phone.autogenerated_profile.as_mut().and_then(|profile| profile.settings.as_mut());
        let pin = kept.autogenerated.as_ref().and_then(|settings| settings.call_blocking_pin.clone());
        if let (Some(snapshot), Some(pin)) = (snapshot, pin) {
            snapshot.call_blocking_pin = pin.0;
        }
    }
    let settings = match &mut kind {
        Wire::UserDeviceProfile(profile) => profile.settings.as_mut(),
        Wire::DefaultDeviceProfile(profile) => profile.settings.as_mut(),
        Wire::LogoutProfile(profile) => profile.settings.as_mut(),
        Wire::Phone(phone) => phone.settings.as_mut(),
        _ => None,
    };
    if let (Some(settings), Some(pin)) = (settings, pin) {
        settings.call_blocking_pin = pin.0;
    }
    wire::Resource { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use roamline_domain::directory::Line;
    use roamline_proto::error::ErrorReason;
    use roamline_serve::Clock;
    use roamline_store::memory::MemoryStore;
    use roamline_store::{Change, DirectoryStore, Expect};

    use super::*;

    #[tokio::test]
    async fn dp_19_two_exports_are_served_at_once_and_the_next_when_one_has_ended() {
        let now = "2026-03-01T08:00:00Z".parse().unwrap();
        let store = Arc::new(MemoryStore::new());
        let line = |number: usize| Change::Put {
            resource: Resource::Line(Line::new(number.to_string().parse().unwrap())),
            expect: Expect::Absent,
        };
        store.commit((0..3 * MOST_RESOURCES).map(line).collect(), now).await.unwrap();
        let profile = Profile::new(store, Clock::manual(now).0);
        let (first, _second) = (profile.export(&[]).await.unwrap(), profile.export(&[]).await.unwrap());
        let refused = profile.export(&[]).await.err().unwrap();
        assert_eq!(refused.reason, ErrorReason::TooManyRequests);
        assert!(refused.retry_after.is_some());
        let messages: Vec<_> = first.map(Result::unwrap).collect().await;
        assert_eq!(messages.iter().map(Vec::len).sum::<usize>(), 3 * MOST_RESOURCES);
        let permits = profile.exports.permits.clone();
        drop(timeout(READ_WITHIN, permits.acquire()).await.unwrap().unwrap());
        assert!(profile.export(&[]).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn dp_19_an_export_that_nobody_reads_ends_and_its_reader_is_told() {
        let exports = Exports::default();
        let permit = exports.permits.clone().try_acquire_owned().unwrap();
        let messages = futures::stream::iter((0..10).map(Ok));
        let mut read = pin!(exports.read_within(READ_WITHIN, messages, permit));
        assert_eq!(read.next().await.unwrap().unwrap(), 0);
        tokio::time::advance(READ_WITHIN / 2).await;
        assert_eq!(read.next().await.unwrap().unwrap(), 1);
        assert_eq!(exports.permits.available_permits(), 1);
        // Nobody reads: the permit comes back, and with it the snapshot is dropped.
        let permits = exports.permits.clone();
        drop(timeout(READ_WITHIN * 2, permits.acquire_many(2)).await.unwrap().unwrap());
        let rest: Vec<_> = read.collect().await;
        assert!(rest.len() < 8, "{}", rest.len());
        assert!(rest.last().unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn dp_19_an_export_that_is_read_is_whole() {
        let exports = Exports::default();
        let permit = exports.permits.clone().try_acquire_owned().unwrap();
        let read = exports.read_within(READ_WITHIN, futures::stream::iter((0..10).map(Ok)), permit);
        let all: Vec<i32> = read.map(Result::unwrap).collect().await;
        assert_eq!(all, Vec::from_iter(0..10));
    }
}
