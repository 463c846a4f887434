//! What phones wear with nobody logged in, read for all of them together: the phones; their logout profiles and device
//! pools; what is looked into. Where very many sessions end at once, the reads are then no more than for one.

use std::collections::{BTreeSet, HashMap};
use std::slice;
use std::sync::Arc;

use roamline_domain::catalogue::PhoneModel;
use roamline_domain::directory::{DevicePool, Key, Kind, Phone, Resource};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::render::{EffectiveConfiguration, LogoutSource, looks_into, render_logout};
use roamline_domain::{PhoneName, Violations};
use roamline_proto::refusal::Refusal;
use roamline_store::Stored;

use super::records::{lamps, logout_profile, logout_settings, parameters};
use super::refused::phone_not_found;
use crate::record::Record;
use crate::{Profile, refusal};

/// Phones in one question.
const LARGEST_BATCH: usize = 500;

/// What the directory knows about a logout.
pub(crate) struct PreparedLogout {
    /// What the phone wears with nobody logged in.
    pub(crate) configuration: EffectiveConfiguration,
    /// The parameters in force.
    pub(crate) parameters: ServiceParameters,
    /// Their etag.
    pub(crate) etag: String,
}

/// What the directory knows about the logouts at several phones.
pub(crate) struct PreparedLogouts {
    /// What each phone wears with nobody logged in, or why it is refused, in the order in which they were asked for.
    pub(crate) configurations: Vec<(PhoneName, Result<EffectiveConfiguration, Refusal>)>,
    /// The parameters in force.
    pub(crate) parameters: ServiceParameters,
    /// Their etag.
    pub(crate) etag: String,
}

impl Profile {
    /// What a phone wears with nobody logged in, and the parameters in force.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `PHONE_NOT_FOUND`, or a store's failure.
    pub(crate) async fn prepare_logout(&self, phone: &str) -> Result<PreparedLogout, Refusal> {
        let name: PhoneName =
            phone.parse().map_err(|error| refusal::malformed("phone", format!("{error}")))?;
        let PreparedLogouts { mut configurations, parameters, etag } =
            self.logouts(slice::from_ref(&name)).await?;
        let (_, configuration) = configurations.pop().ok_or_else(|| phone_not_found(&name))?;
        Ok(PreparedLogout { configuration: configuration?, parameters, etag })
    }

    /// What phones wear with nobody logged in, and the parameters in force.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, or a store's failure.
    pub(crate) async fn prepare_logouts(&self, phones: &[String]) -> Result<PreparedLogouts, Refusal> {
        if phones.len() > LARGEST_BATCH {
            let problem = format!("has {}, more than {LARGEST_BATCH}", phones.len());
            return Err(refusal::malformed("phones", problem));
        }
        let mut found = Violations::new();
        let names = phones.iter().enumerate();
        let names: Vec<PhoneName> = names
            .filter_map(|(index, phone)| found.take(format!("phones[{index}]"), phone.parse()))
            .collect();
        match found.is_empty() {
            true => self.logouts(&names).await,
            false => Err(refusal::all_malformed(found)),
        }
    }

    async fn logouts(&self, names: &[PhoneName]) -> Result<PreparedLogouts, Refusal> {
        let mut keys = vec![Key::service_parameters()];
        keys.extend(names.iter().map(|name| Key::new(Kind::Phone, name.as_str())));
        let found = self.recalled.find_lately(&keys).await.map_err(refusal::store)?;
        let (parameters, etag) = parameters(&found);
        let resources = found.iter().skip(1).map(|stored| stored.as_ref().map(|stored| &stored.resource));
        let phones: Vec<Result<(&Phone, &PhoneModel), Refusal>> =
            names.iter().zip(resources).map(|(name, resource)| self.known(name, resource)).collect();
        let known = || phones.iter().flatten().map(|(phone, _)| *phone);
        let worn = self.worn_logged_out(known()).await?;

        let (mut keys, mut settings) = (BTreeSet::new(), Vec::new());
        for phone in known() {
            let own = [Some(&phone.settings), logout_settings(phone, worn.source(phone))];
            keys.extend(looks_into(phone, own.into_iter().flatten()));
            settings.extend(own.into_iter().flatten());
        }
        keys.retain(|key| key.kind != Kind::DevicePool);
        let mut around = self.looked_into(keys, lamps(&settings), parameters).await?;
        let rendered = phones.iter().map(|known| {
            let (phone, model) = known.as_ref().map_err(Clone::clone)?;
            around.device_pool = worn.pool(phone).cloned();
            Ok(render_logout(phone, model, worn.source(phone), &around))
        });
        let configurations = names.iter().cloned().zip(rendered).collect();
        Ok(PreparedLogouts { configurations, parameters: around.parameters, etag })
    }

    /// A phone and its model, which nobody need be able to log in to.
    fn known<'a>(
        &self,
        name: &PhoneName,
        resource: Option<&'a Resource>,
    ) -> Result<(&'a Phone, &'static PhoneModel), Refusal> {
        let phone = resource.and_then(Phone::of_resource).ok_or_else(|| phone_not_found(name))?;
        let model = self.catalogue.get(&phone.model);
        let lacking = || refusal::internal("a stored phone is of a model that the catalogue lacks");
        Ok((phone, model.ok_or_else(lacking)?))
    }

    async fn worn_logged_out(&self, phones: impl Iterator<Item = &Phone>) -> Result<WornLoggedOut, Refusal> {
        let keys: BTreeSet<Key> =
            phones.flat_map(|phone| logout_profile(phone).into_iter().chain(device_pool(phone))).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let found = self.recalled.find_lately(&keys).await.map_err(refusal::store)?;
        let found = keys.into_iter().zip(found);
        Ok(WornLoggedOut(found.filter_map(|(key, stored)| Some((key, stored?))).collect()))
    }
}

/// The logout profiles and device pools of several phones. One that was deleted a moment ago, between two reads, is
/// missing: the phone then has its own settings, or no pool.
struct WornLoggedOut(HashMap<Key, Arc<Stored>>);

impl WornLoggedOut {
    fn source(&self, phone: &Phone) -> LogoutSource<'_> {
        match self.resource(logout_profile(phone)) {
            Some(Resource::LogoutProfile(profile)) => LogoutSource::Shared(profile),
            Some(Resource::UserDeviceProfile(profile)) => LogoutSource::Profile(profile),
            _ => LogoutSource::OwnSettings,
        }
    }

    fn pool(&self, phone: &Phone) -> Option<&DevicePool> {
        match self.resource(device_pool(phone)) {
            Some(Resource::DevicePool(pool)) => Some(pool),
            _ => None,
        }
    }

    fn resource(&self, key: Option<Key>) -> Option<&Resource> {
        Some(&self.0.get(&key?)?.resource)
    }
}

fn device_pool(phone: &Phone) -> Option<Key> {
    phone.device_pool.as_ref().map(|name| Key::new(Kind::DevicePool, name.as_str()))
}
