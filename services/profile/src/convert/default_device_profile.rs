//! Default device profiles.

use roamline_domain::Violations;
use roamline_domain::catalogue::Catalogue;
use roamline_domain::directory::DefaultDeviceProfile;
use roamline_proto::profile as wire;

use super::model_name;
use super::settings::{parse_settings, settings};

/// Reads a default device profile.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_default_device_profile(
    from: &wire::DefaultDeviceProfile,
    catalogue: &Catalogue,
) -> Result<DefaultDeviceProfile, Violations> {
    let mut found = Violations::new();
    let model = found.take("model", model_name(&from.model, catalogue));
    let gives = parse_settings(&mut found, "settings", from.settings.as_ref());
    match model {
        Some(model) => found.none_or(DefaultDeviceProfile {
            model,
            description: from.description.clone(),
            settings: gives,
        }),
        None => Err(found),
    }
}

/// A default device profile on the wire.
pub(crate) fn default_device_profile(
    from: &DefaultDeviceProfile,
    etag: String,
) -> wire::DefaultDeviceProfile {
    wire::DefaultDeviceProfile {
        model: from.model.to_string(),
        description: from.description.clone(),
        settings: Some(settings(&from.settings)),
        etag,
    }
}
