//! The bridge between the wire and the domain: one file per message. `parse_*` reports every violation of a message
//! at once, with the paths of its fields; the other direction cannot fail.

mod configuration;
mod default_device_profile;
mod device_pool;
mod enums;
mod finding;
mod line;
mod line_template;
mod logout_profile;
mod phone;
mod phone_model;
mod phone_service_definition;
mod phone_template;
mod presence_group;
mod service_parameters;
mod settings;
mod user;
mod user_device_profile;

use std::time::Duration;

use roamline_domain::catalogue::Catalogue;
use roamline_domain::{InvalidName, ModelName, Violations};

pub(crate) use configuration::configuration;
pub(crate) use default_device_profile::{default_device_profile, parse_default_device_profile};
pub(crate) use device_pool::{device_pool, parse_device_pool};
pub(crate) use enums::Twin;
pub(crate) use finding::findings;
pub(crate) use line::{line, parse_line};
pub(crate) use line_template::{line_template, parse_line_template};
pub(crate) use logout_profile::{logout_profile, parse_logout_profile};
pub(crate) use phone::{parse_phone, parse_snapshot, phone};
pub(crate) use phone_model::phone_model;
pub(crate) use phone_service_definition::{parse_phone_service_definition, phone_service_definition};
pub(crate) use phone_template::{parse_phone_template, phone_template};
pub(crate) use presence_group::{parse_presence_group, presence_group};
pub(crate) use service_parameters::{parse_service_parameters, service_parameters};
pub(crate) use settings::{idle_limit, service as service_subscription};
pub(crate) use user::{maximum_login_time, parse_user, user};
pub(crate) use user_device_profile::{parse_user_device_profile, user_device_profile};

/// The text, or nothing where it is empty.
fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A name, or nothing where the text is empty.
fn optional<T: std::str::FromStr<Err = InvalidName>>(
    found: &mut Violations,
    field: &str,
    text: &str,
) -> Option<T> {
    if text.is_empty() { None } else { found.take(field, text.parse()) }
}

/// The text of a name, or none where there is none.
fn text(name: Option<&impl ToString>) -> String {
    name.map(ToString::to_string).unwrap_or_default()
}

/// A model in the catalogue's spelling; one that the catalogue lacks is left as it is, for the check to refuse.
pub(crate) fn model_name(text: &str, catalogue: &Catalogue) -> Result<ModelName, InvalidName> {
    match catalogue.find(text) {
        Ok(model) => Ok(model.name.clone()),
        Err(_) => text.parse(),
    }
}

/// A length of time, which is never negative.
fn duration(found: &mut Violations, field: &str, length: prost_types::Duration) -> Option<Duration> {
    match (u64::try_from(length.seconds), u32::try_from(length.nanos)) {
        (Ok(seconds), Ok(nanos @ ..=999_999_999)) => Some(Duration::new(seconds, nanos)),
        _ => {
            found.add(field, "", "must not be negative, and its nanoseconds must be less than a second");
            None
        }
    }
}

/// A length of time on the wire; one beyond what the wire can say becomes the longest that it can.
fn wire_duration(length: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(length).unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}
