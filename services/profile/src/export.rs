//! The whole directory as of one instant, in messages of bounded size: what a backup is made from.

use std::collections::{BTreeSet, VecDeque};

use futures::stream::{BoxStream, Stream, StreamExt, try_unfold};
use prost::Message;
use roamline_domain::directory::{Key, Kind, Resource};
use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_store::{StoreError, Stored};
use wire::resource::Kind as Wire;

use crate::record::Record;
use crate::{ATTEMPTS, Profile, refusal};

/// Resources and bytes of a message, at most: one resource alone may be larger.
const MOST_RESOURCES: usize = 500;
const MOST_BYTES: usize = 1 << 20;

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
        let (parameters, pages) = self.begin_export().await?;
        let parameters = parameters.filter(|_| kinds.contains(&Kind::ServiceParameters));
        let ready = parameters.iter().map(exported).collect();
        let export = Export { pages, kinds, ready };
        Ok(try_unfold(export, |mut export| async move {
            let next = export.next().await?;
            Ok((!next.is_empty()).then_some((next, export)))
        }))
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

/// A resource on the wire, without an etag, and with what is kept from everybody else: its call-blocking PIN.
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
