//! The records that a rendering is made from, beside phone, user and parameters.

use std::collections::BTreeSet;

use roamline_domain::directory::{
    DefaultDeviceProfile, Key, Kind, LogoutChoice, LogoutProfile, Phone, UserDeviceProfile,
};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::render::{Around, LogoutSource, looks_into};
use roamline_domain::settings::DeviceSettings;
use roamline_domain::{LineName, ProfileName};
use roamline_proto::refusal::Refusal;
use roamline_store::{Found, ListQuery, Stored};

use crate::read::etag;
use crate::record::Record;
use crate::{Profile, refusal};

/// Profiles of all kinds that a phone may wear.
pub(super) struct Records {
    /// The default device profile of the phone's model.
    pub(super) default: Option<DefaultDeviceProfile>,
    /// The phone's shared logout profile.
    shared: Option<LogoutProfile>,
    /// Those that were asked for, and the one that is the phone's logout profile.
    pub(super) profiles: Vec<UserDeviceProfile>,
}

impl Records {
    /// What the phone wears with nobody logged in. A logout profile that was deleted a moment ago, between two reads,
    /// leaves the phone its own settings.
    pub(super) fn logout(&self, phone: &Phone) -> LogoutSource<'_> {
        let found = match &phone.logout_choice {
            LogoutChoice::OwnSettings => None,
            LogoutChoice::Shared(_) => self.shared.as_ref().map(LogoutSource::Shared),
            LogoutChoice::UserDeviceProfile(name) => {
                let found = self.profiles.iter().find(|profile| profile.name == *name);
                found.map(LogoutSource::Profile)
            }
        };
        found.unwrap_or(LogoutSource::OwnSettings)
    }
}

impl Profile {
    /// The profiles of these names, and those that belong to the phone.
    pub(super) async fn records(&self, phone: &Phone, names: &[ProfileName]) -> Result<Records, Refusal> {
        let profile = |name: &ProfileName| Key::new(Kind::UserDeviceProfile, name.as_str());
        let mut keys: Vec<Key> = names.iter().map(profile).collect();
        keys.push(Key::new(Kind::DefaultDeviceProfile, phone.model.as_str()));
        keys.extend(logout_profile(phone));
        let found = self.recalled.find_lately(&keys).await.map_err(refusal::store)?;
        Ok(Records {
            default: only(&found),
            shared: only(&found),
            profiles: present(&found).filter_map(of_stored::<UserDeviceProfile>).collect(),
        })
    }

    /// What is looked into where that profile is worn, and after the logout: the phone's pool, lines, templates,
    /// presence groups.
    pub(super) async fn around(
        &self,
        phone: &Phone,
        records: &Records,
        worn: Option<&UserDeviceProfile>,
        parameters: ServiceParameters,
    ) -> Result<Around, Refusal> {
        let logout = logout_settings(phone, records.logout(phone));
        let default = records.default.as_ref().map(|default| &default.settings);
        let settings = [Some(&phone.settings), logout, worn.map(|profile| &profile.settings), default];
        let settings: Vec<&DeviceSettings> = settings.into_iter().flatten().collect();
        self.looked_into(looks_into(phone, settings.iter().copied()), lamps(&settings), parameters).await
    }

    /// The records of these keys, and the lines that these numbers mean.
    pub(super) async fn looked_into(
        &self,
        keys: BTreeSet<Key>,
        lamps: BTreeSet<&str>,
        parameters: ServiceParameters,
    ) -> Result<Around, Refusal> {
        let keys: Vec<Key> = keys.into_iter().collect();
        let found = self.recalled.find_lately(&keys).await.map_err(refusal::store)?;
        let mut around = Around::new(parameters);
        present(&found).for_each(|stored| around.add(stored.resource.clone()));
        for number in lamps {
            self.partitioned_line(number, &mut around).await?;
        }
        Ok(around)
    }

    /// The line that a number means where it is in no line without a partition: that in the least (DP-12).
    async fn partitioned_line(&self, number: &str, around: &mut Around) -> Result<(), Refusal> {
        let plain = number.parse::<LineName>();
        if plain.is_ok_and(|plain| around.lines.contains_key(&plain)) {
            return Ok(());
        }
        let prefix = Some(format!("{number}@"));
        let least = ListQuery { prefix, ..ListQuery::names_after(None, 1) };
        let found = self.store.list(Kind::Line, &least).await.map_err(refusal::store)?;
        found.into_iter().for_each(|stored| around.add(stored.resource));
        Ok(())
    }
}

/// The profile that the phone wears with nobody logged in; none where it wears its own settings.
pub(super) fn logout_profile(phone: &Phone) -> Option<Key> {
    match &phone.logout_choice {
        LogoutChoice::OwnSettings => None,
        LogoutChoice::Shared(tag) => Some(Key::logout_profile(*tag)),
        LogoutChoice::UserDeviceProfile(name) => Some(Key::new(Kind::UserDeviceProfile, name.as_str())),
    }
}

/// The settings that the phone wears over its own with nobody logged in.
pub(super) fn logout_settings<'a>(phone: &'a Phone, worn: LogoutSource<'a>) -> Option<&'a DeviceSettings> {
    match worn {
        LogoutSource::OwnSettings => phone.autogenerated.as_ref(),
        LogoutSource::Shared(profile) => Some(&profile.settings),
        LogoutSource::Profile(profile) => Some(&profile.settings),
    }
}

/// The numbers that busy lamps are about, each once.
pub(super) fn lamps<'a>(settings: &[&'a DeviceSettings]) -> BTreeSet<&'a str> {
    let dials = settings.iter().flat_map(|settings| &settings.speed_dials);
    dials.filter(|dial| dial.busy_lamp).map(|dial| dial.number.as_str()).collect()
}

fn present(found: &[Found]) -> impl Iterator<Item = &Stored> {
    found.iter().flatten().map(AsRef::as_ref)
}

fn of_stored<R: Record + Clone>(stored: &Stored) -> Option<R> {
    R::of_resource(&stored.resource).cloned()
}

/// The first record of that kind.
pub(super) fn only<R: Record + Clone>(found: &[Found]) -> Option<R> {
    present(found).find_map(of_stored)
}

/// The parameters in force and their etag: those stored, or the defaults.
pub(super) fn parameters(found: &[Found]) -> (ServiceParameters, String) {
    let stored = present(found).find_map(|stored| Some((of_stored(stored)?, etag(stored.version))));
    stored.unwrap_or_else(|| (ServiceParameters::default(), etag(0)))
}
