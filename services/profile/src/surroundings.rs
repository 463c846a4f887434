//! What is stored around the resources that are about to be written: they themselves, what they refer to, and the
//! parameters in force. A batch lays itself over it, so that its members may refer to each other.

use std::collections::{BTreeSet, HashMap, HashSet};

use roamline_domain::appearance::LineTemplates;
use roamline_domain::check::{Known, LineFacts};
use roamline_domain::directory::{Key, Kind, LineCapacity, LineTemplate, PhoneServiceDefinition, Resource};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::settings::ServiceSubscription;
use roamline_domain::{LineName, RecordName};
use roamline_store::{DirectoryStore, StoreError, Stored};

/// What is stored, with what is coming laid over it.
#[derive(Default)]
pub(crate) struct Surroundings {
    stored: HashMap<Key, Stored>,
    coming: HashMap<Key, Resource>,
    unreadable: HashSet<Key>,
    as_kept: bool,
}

impl Surroundings {
    /// Reads what these resources will be checked against, all as of one instant.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn of(
        store: &dyn DirectoryStore,
        resources: impl Iterator<Item = &Resource> + Send,
    ) -> Result<Self, StoreError> {
        let mut keys = BTreeSet::from([Key::service_parameters()]);
        for resource in resources {
            keys.insert(resource.key());
            keys.extend(resource.references().into_keys());
        }
        let keys: Vec<Key> = keys.into_iter().collect();
        let found = store.find(&keys).await?;
        let stored = keys.into_iter().zip(found).filter_map(|(key, stored)| Some((key, stored?))).collect();
        Ok(Self { stored, ..Self::default() })
    }

    /// Lays a batch over what is stored. `unreadable` are members that were refused already: that nobody is refused
    /// for referring to one of them, they count as being there.
    pub(crate) fn overlay<'a>(
        &mut self,
        coming: impl Iterator<Item = &'a Resource>,
        unreadable: impl Iterator<Item = &'a Key>,
    ) {
        self.coming = coming.map(|resource| (resource.key(), resource.clone())).collect();
        self.unreadable = unreadable.cloned().collect();
    }

    /// Takes resources as an export has them: they were judged when they were stored.
    pub(crate) fn take_as_kept(&mut self, as_kept: bool) {
        self.as_kept = as_kept;
    }

    /// Whether resources are taken as an export has them.
    pub(crate) fn takes_as_kept(&self) -> bool {
        self.as_kept
    }

    /// What is stored under a key.
    pub(crate) fn stored(&self, key: &Key) -> Option<&Stored> {
        self.stored.get(key)
    }

    /// Whether a resource is there, or will be.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.coming.contains_key(key) || self.stored.contains_key(key) || self.unreadable.contains(key)
    }

    /// The parameters in force, or those that will be.
    pub(crate) fn parameters(&self) -> ServiceParameters {
        match self.resource(&Key::service_parameters()) {
            Some(Resource::ServiceParameters(parameters)) => parameters.clone(),
            _ => ServiceParameters::default(),
        }
    }

    fn resource(&self, key: &Key) -> Option<&Resource> {
        self.coming.get(key).or_else(|| self.stored.get(key).map(|stored| &stored.resource))
    }
}

impl LineTemplates for Surroundings {
    fn line_template(&self, name: &RecordName) -> Option<&LineTemplate> {
        match self.resource(&Key::new(Kind::LineTemplate, name.as_str())) {
            Some(Resource::LineTemplate(template)) => Some(template),
            _ => None,
        }
    }
}

impl Known for Surroundings {
    /// A line that could not be read counts as able to do anything.
    fn line(&self, name: &LineName) -> Option<LineFacts> {
        let key = Key::new(Kind::Line, name.as_str());
        let unread = LineFacts { capacity: LineCapacity::Octo, intercom: false };
        match self.resource(&key) {
            Some(Resource::Line(line)) => Some(LineFacts::from(line)),
            _ => self.unreadable.contains(&key).then_some(unread),
        }
    }

    fn phone_service(&self, name: &RecordName) -> Option<&PhoneServiceDefinition> {
        match self.resource(&Key::new(Kind::PhoneServiceDefinition, name.as_str())) {
            Some(Resource::PhoneServiceDefinition(definition)) => Some(definition),
            _ => None,
        }
    }

    fn has_subscription(&self, subscriber: &Key, subscription: &ServiceSubscription) -> bool {
        if self.as_kept {
            return true;
        }
        let settings = self.stored(subscriber).and_then(|stored| stored.resource.settings());
        settings.is_some_and(|settings| settings.services.contains(subscription))
    }

    fn maximum_phones(&self) -> u32 {
        self.parameters().maximum_phones
    }
}
