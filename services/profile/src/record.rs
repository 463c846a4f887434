//! The kinds of record that the directory keeps, each bound to its message on the wire, so that one use case serves
//! all of them.

use prost::{Message, Name};
use roamline_domain::catalogue::Catalogue;
use roamline_domain::directory::{
    DefaultDeviceProfile, Key, Kind, Line, LogoutProfile, Phone, Resource, User, UserDeviceProfile,
};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::settings::DeviceSettings;
use roamline_domain::{InvalidName, LineName, LogoutTag, PhoneName, ProfileName, UserId, Violations};
use roamline_proto::profile as wire;

use crate::convert;

/// A kind of record.
pub(crate) trait Record: Sized + Send + Sync + 'static {
    /// Its message.
    type Wire: Message + Name + Default + Clone;
    /// How a request names one.
    type Given: ?Sized + Sync;

    /// Its kind.
    const KIND: Kind;
    /// The field that carries it in requests.
    const FIELD: &'static str;
    /// The field that names it, which cannot be changed; empty where there is only one record.
    const KEY_FIELD: &'static str;

    /// Reads a message.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn parse(from: &Self::Wire, catalogue: &Catalogue) -> Result<Self, Violations>;

    /// The message of a record.
    fn message(&self, etag: String) -> Self::Wire;

    /// The key that the name stands for, in the name's one spelling.
    ///
    /// # Errors
    /// When it is no name of this kind.
    fn key(given: &Self::Given, catalogue: &Catalogue) -> Result<Key, InvalidName>;

    /// The name in a message.
    fn given(from: &Self::Wire) -> &Self::Given;

    /// The etag in a message.
    fn etag(from: &Self::Wire) -> &str;

    /// The record, as one of any kind.
    fn into_resource(self) -> Resource;

    /// The record in a resource, if it is of this kind.
    fn of_resource(resource: &Resource) -> Option<&Self>;
}

macro_rules! record {
    (
        $record:ident, $field:literal, $key_field:literal, $given_as:ty,
        parse: $parse:expr, message: $message:path, key: $key:expr, given: $given:expr
    ) => {
        impl Record for $record {
            type Wire = wire::$record;
            type Given = $given_as;

            const KIND: Kind = Kind::$record;
            const FIELD: &'static str = $field;
            const KEY_FIELD: &'static str = $key_field;

            fn parse(from: &wire::$record, catalogue: &Catalogue) -> Result<Self, Violations> {
                let parse: fn(&wire::$record, &Catalogue) -> Result<Self, Violations> = $parse;
                parse(from, catalogue)
            }

            fn message(&self, etag: String) -> wire::$record {
                $message(self, etag)
            }

            fn key(given: &$given_as, catalogue: &Catalogue) -> Result<Key, InvalidName> {
                let key: fn(&$given_as, &Catalogue) -> Result<Key, InvalidName> = $key;
                key(given, catalogue)
            }

            fn given(from: &wire::$record) -> &$given_as {
                let given: fn(&wire::$record) -> &$given_as = $given;
                given(from)
            }

            fn etag(from: &wire::$record) -> &str {
                &from.etag
            }

            fn into_resource(self) -> Resource {
                Resource::$record(self)
            }

            fn of_resource(resource: &Resource) -> Option<&Self> {
                match resource {
                    Resource::$record(record) => Some(record),
                    _ => None,
                }
            }
        }
    };
}

record!(
    Line, "line", "name", str,
    parse: |from, _| convert::parse_line(from),
    message: convert::line,
    key: |name, _| Ok(Key::new(Kind::Line, name.parse::<LineName>()?)),
    given: |from| &from.name
);
record!(
    UserDeviceProfile, "user_device_profile", "name", str,
    parse: convert::parse_user_device_profile,
    message: convert::user_device_profile,
    key: |name, _| Ok(Key::new(Kind::UserDeviceProfile, name.parse::<ProfileName>()?)),
    given: |from| &from.name
);
record!(
    DefaultDeviceProfile, "default_device_profile", "model", str,
    parse: convert::parse_default_device_profile,
    message: convert::default_device_profile,
    key: |model, catalogue| Ok(Key::new(Kind::DefaultDeviceProfile, convert::model_name(model, catalogue)?)),
    given: |from| &from.model
);
record!(
    LogoutProfile, "logout_profile", "tag", u32,
    parse: |from, _| convert::parse_logout_profile(from),
    message: convert::logout_profile,
    key: |tag, _| Ok(Key::logout_profile(LogoutTag::try_from(*tag)?)),
    given: |from| &from.tag
);
record!(
    Phone, "phone", "name", str,
    parse: convert::parse_phone,
    message: convert::phone,
    key: |name, _| Ok(Key::new(Kind::Phone, name.parse::<PhoneName>()?)),
    given: |from| &from.name
);
record!(
    User, "user", "user_id", str,
    parse: |from, _| convert::parse_user(from),
    message: convert::user,
    key: |user_id, _| Ok(Key::new(Kind::User, user_id.parse::<UserId>()?)),
    given: |from| &from.user_id
);
record!(
    ServiceParameters, "service_parameters", "", (),
    parse: |from, _| convert::parse_service_parameters(from),
    message: convert::service_parameters,
    key: |(), _| Ok(Key::service_parameters()),
    given: |_| &()
);

/// What the resource tells a phone to wear, if it is of a kind that does.
pub(crate) fn settings(resource: &Resource) -> Option<&DeviceSettings> {
    match resource {
        Resource::UserDeviceProfile(profile) => Some(&profile.settings),
        Resource::DefaultDeviceProfile(profile) => Some(&profile.settings),
        Resource::LogoutProfile(profile) => Some(&profile.settings),
        Resource::Phone(phone) => Some(&phone.settings),
        Resource::Line(_) | Resource::User(_) | Resource::ServiceParameters(_) => None,
    }
}

fn settings_mut(resource: &mut Resource) -> Option<&mut DeviceSettings> {
    match resource {
        Resource::UserDeviceProfile(profile) => Some(&mut profile.settings),
        Resource::DefaultDeviceProfile(profile) => Some(&mut profile.settings),
        Resource::LogoutProfile(profile) => Some(&mut profile.settings),
        Resource::Phone(phone) => Some(&mut phone.settings),
        Resource::Line(_) | Resource::User(_) | Resource::ServiceParameters(_) => None,
    }
}

/// Gives a resource the stored call-blocking PIN where it brings none: the PIN is never sent out, so a client that
/// sends back what it read must not lose it.
pub(crate) fn keep_pin(resource: &mut Resource, stored: &Resource) {
    let Some(kept) = settings(stored).and_then(|settings| settings.call_blocking_pin.as_ref()) else {
        return;
    };
    if let Some(settings) = settings_mut(resource) {
        settings.call_blocking_pin.get_or_insert_with(|| kept.clone());
    }
}
