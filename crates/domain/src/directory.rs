//! The resources of a cluster's directory: users, phones, profiles, lines. Each is what an administrator keeps; what
//! is live on a phone stands in [`crate::phone_state`]. A store keeps each with a version that grows with every change, so
//! that a change can be refused that was made from an older one (DP-20).

mod device_pool;
mod line;
mod phone;
mod phone_service;
mod phone_template;
mod presence_group;
mod profile;
mod references;
mod user;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::LogoutTag;
use crate::parameters::ServiceParameters;
use crate::settings::DeviceSettings;

pub use device_pool::DevicePool;
pub use line::{Line, LineCapacity, LineTemplate};
pub use phone::{AddressingMode, LogoutChoice, OffHookPolicy, OwnerPolicy, Phone};
pub use phone_service::{PhoneServiceDefinition, PhoneServiceParameter};
pub use phone_template::PhoneTemplate;
pub use presence_group::PresenceGroup;
pub use profile::{
    AgentSettings, DefaultDeviceProfile, LineControl, LogoutProfile, MadeFor, UserDeviceProfile,
    logout_profile_tags,
};
pub use user::{User, UserLoginTime};

/// The kinds of resource, by the word that stands in keys, messages and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A [`DevicePool`].
    DevicePool,
    /// A [`PhoneTemplate`].
    PhoneTemplate,
    /// A [`LineTemplate`].
    LineTemplate,
    /// A [`PresenceGroup`].
    PresenceGroup,
    /// A [`PhoneServiceDefinition`].
    PhoneServiceDefinition,
    /// A [`Line`].
    Line,
    /// A [`UserDeviceProfile`].
    UserDeviceProfile,
    /// A [`DefaultDeviceProfile`].
    DefaultDeviceProfile,
    /// A [`LogoutProfile`].
    LogoutProfile,
    /// A [`Phone`].
    Phone,
    /// A [`User`].
    User,
    /// The cluster's [`ServiceParameters`]; there is one.
    ServiceParameters,
}

impl Kind {
    /// All of them, those first that others refer to: the order in which a bulk change brings them (DP-19).
    pub const ALL: [Kind; 12] = [
        Kind::DevicePool,
        Kind::PhoneTemplate,
        Kind::LineTemplate,
        Kind::PresenceGroup,
        Kind::PhoneServiceDefinition,
        Kind::Line,
        Kind::UserDeviceProfile,
        Kind::DefaultDeviceProfile,
        Kind::LogoutProfile,
        Kind::Phone,
        Kind::User,
        Kind::ServiceParameters,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::DevicePool => "device-pool",
            Kind::PhoneTemplate => "phone-template",
            Kind::LineTemplate => "line-template",
            Kind::PresenceGroup => "presence-group",
            Kind::PhoneServiceDefinition => "phone-service-definition",
            Kind::Line => "line",
            Kind::UserDeviceProfile => "user-device-profile",
            Kind::DefaultDeviceProfile => "default-device-profile",
            Kind::LogoutProfile => "logout-profile",
            Kind::Phone => "phone",
            Kind::User => "user",
            Kind::ServiceParameters => "service-parameters",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which resource: its kind and its name within the kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The name, or the tag as eight digits so that tags sort as numbers do.
    pub name: String,
}

impl Key {
    /// The key of a resource of that kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The key of a shared logout profile.
    pub fn logout_profile(tag: LogoutTag) -> Self {
        Self::new(Kind::LogoutProfile, format!("{tag:08}"))
    }

    /// The key of the cluster's service parameters.
    pub fn service_parameters() -> Self {
        Self::new(Kind::ServiceParameters, "cluster")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::LogoutProfile => self.name.trim_start_matches('0'),
            _ => &self.name,
        };
        write!(f, "{} {name}", self.kind)
    }
}

/// A resource of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each variant holds the type it is named after")]
#[allow(clippy::large_enum_variant, reason = "resources come in lists of one kind")]
pub enum Resource {
    DevicePool(DevicePool),
    PhoneTemplate(PhoneTemplate),
    LineTemplate(LineTemplate),
    PresenceGroup(PresenceGroup),
    PhoneServiceDefinition(PhoneServiceDefinition),
    Line(Line),
    UserDeviceProfile(UserDeviceProfile),
    DefaultDeviceProfile(DefaultDeviceProfile),
    LogoutProfile(LogoutProfile),
    Phone(Phone),
    User(User),
    ServiceParameters(ServiceParameters),
}

/// A name that a resource takes in a space where names are unique over several kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// `device` (profiles and phones, DP-1) or `self-service` (users' self-service ids).
    pub space: &'static str,
    /// The name.
    pub name: String,
}

/// What a field of a resource refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Path of the field on the wire.
    pub field: String,
    /// What it names.
    pub key: Key,
    /// The rule that demands it to exist.
    pub rule: &'static str,
}

impl Resource {
    /// Which resource this is.
    pub fn key(&self) -> Key {
        match self {
            Resource::DevicePool(record) => Key::new(Kind::DevicePool, record.name.as_str()),
            Resource::PhoneTemplate(record) => Key::new(Kind::PhoneTemplate, record.name.as_str()),
            Resource::LineTemplate(record) => Key::new(Kind::LineTemplate, record.name.as_str()),
            Resource::PresenceGroup(record) => Key::new(Kind::PresenceGroup, record.name.as_str()),
            Resource::PhoneServiceDefinition(record) => {
                Key::new(Kind::PhoneServiceDefinition, record.name.as_str())
            }
            Resource::Line(line) => Key::new(Kind::Line, line.name.as_str()),
            Resource::UserDeviceProfile(profile) => Key::new(Kind::UserDeviceProfile, profile.name.as_str()),
            Resource::DefaultDeviceProfile(profile) => {
                Key::new(Kind::DefaultDeviceProfile, profile.model.as_str())
            }
            Resource::LogoutProfile(profile) => Key::logout_profile(profile.tag),
            Resource::Phone(phone) => Key::new(Kind::Phone, phone.name.as_str()),
            Resource::User(user) => Key::new(Kind::User, user.user_id.as_str()),
            Resource::ServiceParameters(_) => Key::service_parameters(),
        }
    }

    /// The names it takes beside its key: profiles and phones share one space of device names (DP-1).
    pub fn claims(&self) -> Vec<Claim> {
        match self {
            Resource::UserDeviceProfile(profile) => {
                vec![Claim { space: "device", name: profile.name.as_str().to_ascii_uppercase() }]
            }
            Resource::Phone(phone) => vec![Claim { space: "device", name: phone.name.to_string() }],
            Resource::User(user) => user
                .self_service_id
                .iter()
                .map(|id| Claim { space: "self-service", name: id.clone() })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What it refers to, each once, with the rule that demands it to exist.
    pub fn references(&self) -> BTreeMap<Key, &'static str> {
        self.named().into_iter().map(|reference| (reference.key, reference.rule)).collect()
    }

    /// What it refers to, field by field.
    pub fn named(&self) -> Vec<Reference> {
        references::of(self)
    }

    /// What it tells a phone to wear, if it is of a kind that does.
    pub fn settings(&self) -> Option<&DeviceSettings> {
        match self {
            Resource::UserDeviceProfile(profile) => Some(&profile.settings),
            Resource::DefaultDeviceProfile(profile) => Some(&profile.settings),
            Resource::LogoutProfile(profile) => Some(&profile.settings),
            Resource::Phone(phone) => Some(&phone.settings),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn settings_mut(&mut self) -> Option<&mut DeviceSettings> {
        match self {
            Resource::UserDeviceProfile(profile) => Some(&mut profile.settings),
            Resource::DefaultDeviceProfile(profile) => Some(&mut profile.settings),
            Resource::LogoutProfile(profile) => Some(&mut profile.settings),
            Resource::Phone(phone) => Some(&mut phone.settings),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture::{default_profile, line, logout_profile, phone, profile, user};
    use crate::settings::LineKind;

    #[test]
    fn dp_8_tags_sort_as_numbers_and_read_as_numbers() {
        let key = |tag: u32| Key::logout_profile(LogoutTag::try_from(tag).unwrap());
        assert!(key(9) < key(10));
        assert_eq!(key(10).to_string(), "logout-profile 10");
        assert_eq!(Key::new(Kind::Line, "0049123").to_string(), "line 0049123");
    }

    #[test]
    fn dp_1_profiles_and_phones_claim_names_in_one_space() {
        let profile = UserDeviceProfile {
            name: "sep000DEDAB3566".parse().unwrap(),
            description: String::new(),
            made_for: None,
            settings: DeviceSettings::default(),
            agent: None,
            login_user_id: None,
            cross_cluster_calling_search_space: None,
            applications: Vec::new(),
        };
        let claim = Claim { space: "device", name: "SEP000DEDAB3566".into() };
        assert_eq!(Resource::UserDeviceProfile(profile).claims(), [claim]);
    }

    fn refers(resource: &Resource) -> Vec<(String, &'static str)> {
        resource.references().into_iter().map(|(key, rule)| (key.to_string(), rule)).collect()
    }

    fn pair(key: &str, rule: &'static str) -> (String, &'static str) {
        (key.to_owned(), rule)
    }

    /// LL-8.
    #[test]
    fn whoever_brings_lines_refers_to_each_of_them_once() {
        let lines = vec![
            line(LineKind::Overlay, &["2001", "2002"]),
            line(LineKind::Normal, &["2002"]),
            line(LineKind::Normal, &["2003@sales"]),
        ];
        let settings = DeviceSettings { lines, ..DeviceSettings::default() };
        let expected = ["line 2001", "line 2002", "line 2003@sales"].map(|key| pair(key, "LL-8"));
        for resource in [
            Resource::UserDeviceProfile(UserDeviceProfile { settings: settings.clone(), ..profile("p") }),
            Resource::DefaultDeviceProfile(DefaultDeviceProfile {
                settings: settings.clone(),
                ..default_profile("7960")
            }),
            Resource::LogoutProfile(LogoutProfile { settings: settings.clone(), ..logout_profile(1) }),
            Resource::Phone(Phone { settings: settings.clone(), ..phone("7960") }),
        ] {
            assert_eq!(refers(&resource), expected, "{}", resource.key());
        }
    }

    #[test]
    fn dp_5_and_ll_8_a_user_refers_to_his_profiles_and_to_his_primary_extension() {
        let mut user = user(&["b", "a"]);
        user.primary_extension = Some("2001@sales".parse().unwrap());
        let expected = [
            pair("line 2001@sales", "LL-8"),
            pair("user-device-profile a", "DP-5"),
            pair("user-device-profile b", "DP-5"),
        ];
        assert_eq!(refers(&Resource::User(user)), expected);
    }

    #[test]
    fn dp_6_and_dp_8_a_phone_refers_to_what_it_wears_with_nobody_logged_in() {
        let with = |logout_choice| refers(&Resource::Phone(Phone { logout_choice, ..phone("7960") }));
        assert_eq!(with(LogoutChoice::OwnSettings), []);
        let shared = LogoutChoice::Shared(LogoutTag::try_from(7).unwrap());
        assert_eq!(with(shared), [pair("logout-profile 7", "DP-8")]);
        let chosen = LogoutChoice::UserDeviceProfile("lobby".parse().unwrap());
        assert_eq!(with(chosen), [pair("user-device-profile lobby", "DP-6")]);
    }

    #[test]
    fn dp_7_a_default_device_profile_is_known_by_its_model_alone() {
        let mut other = default_profile("7960");
        other.description = "another".into();
        assert_eq!(
            Resource::DefaultDeviceProfile(other).key(),
            Resource::DefaultDeviceProfile(default_profile("7960")).key()
        );
    }

    #[test]
    fn self_service_ids_are_claimed_in_a_space_of_their_own() {
        let mut user = user(&[]);
        assert_eq!(Resource::User(user.clone()).claims(), []);
        user.self_service_id = Some("1042".into());
        let claim = Claim { space: "self-service", name: "1042".into() };
        assert_eq!(Resource::User(user).claims(), [claim]);
        let claim = Claim { space: "device", name: "SEP000DEDAB3566".into() };
        assert_eq!(Resource::Phone(phone("7960")).claims(), [claim]);
    }
}
