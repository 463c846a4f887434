//! Phones.

use roamline_domain::catalogue::Catalogue;
use roamline_domain::directory::{LogoutChoice, Phone};
use roamline_domain::settings::Protocol;
use roamline_domain::{LogoutTag, ModelName, Violations};
use roamline_proto::profile as wire;
use wire::phone::LogoutProfile;

use super::enums::{Twin, value};
use super::model_name;
use super::settings::{parse_settings, settings};

/// Reads a phone; without a protocol, it speaks its model's first.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_phone(from: &wire::Phone, catalogue: &Catalogue) -> Result<Phone, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let model = found.take("model", model_name(&from.model, catalogue));
    let protocol = value(&mut found, "protocol", from.protocol);
    let addressing_mode = value(&mut found, "addressing_mode", from.addressing_mode).unwrap_or_default();
    let logout_choice = parse_logout_choice(&mut found, from.logout_profile.as_ref());
    let own_settings = parse_settings(&mut found, "settings", from.settings.as_ref());
    match (name, model) {
        (Some(name), Some(model)) => found.none_or(Phone {
            name,
            description: from.description.clone(),
            protocol: protocol.unwrap_or_else(|| usual_protocol(&model, catalogue)),
            model,
            addressing_mode,
            extension_mobility_enabled: from.extension_mobility_enabled,
            logout_choice,
            settings: own_settings,
        }),
        _ => Err(found),
    }
}

/// The first protocol of a model; for one that the catalogue lacks, which is refused anyway, SCCP.
pub(super) fn usual_protocol(model: &ModelName, catalogue: &Catalogue) -> Protocol {
    catalogue.get(model).and_then(|model| model.protocols.first().copied()).unwrap_or(Protocol::Sccp)
}

fn parse_logout_choice(found: &mut Violations, from: Option<&LogoutProfile>) -> LogoutChoice {
    match from {
        None => None,
        Some(LogoutProfile::SharedLogoutProfile(tag)) => {
            found.take("shared_logout_profile", LogoutTag::try_from(*tag)).map(LogoutChoice::Shared)
        }
        Some(LogoutProfile::UserDeviceProfile(name)) => {
            found.take("user_device_profile", name.parse()).map(LogoutChoice::UserDeviceProfile)
        }
    }
    .unwrap_or_default()
}

/// A phone on the wire.
pub(crate) fn phone(from: &Phone, etag: String) -> wire::Phone {
    wire::Phone {
        name: from.name.to_string(),
        description: from.description.clone(),
        model: from.model.to_string(),
        protocol: from.protocol.number(),
        addressing_mode: from.addressing_mode.number(),
        extension_mobility_enabled: from.extension_mobility_enabled,
        settings: Some(settings(&from.settings)),
        etag,
        logout_profile: match &from.logout_choice {
            LogoutChoice::OwnSettings => None,
            LogoutChoice::Shared(tag) => Some(LogoutProfile::SharedLogoutProfile(tag.get())),
            LogoutChoice::UserDeviceProfile(name) => Some(LogoutProfile::UserDeviceProfile(name.to_string())),
        },
    }
}
