//! Device pools.

use roamline_domain::Violations;
use roamline_domain::directory::DevicePool;
use roamline_proto::profile as wire;

use super::given;

/// Reads a device pool.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_device_pool(from: &wire::DevicePool) -> Result<DevicePool, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    match name {
        Some(name) => found.none_or(DevicePool {
            name,
            description: from.description.clone(),
            user_locale: given(&from.user_locale),
            user_hold_audio_source: given(&from.user_hold_audio_source),
            softkey_template: given(&from.softkey_template),
            date_time_group: given(&from.date_time_group),
            region: given(&from.region),
            geolocation: given(&from.geolocation),
            emergency_numbers: from.emergency_numbers.clone(),
        }),
        None => Err(found),
    }
}

/// A device pool on the wire.
pub(crate) fn device_pool(from: &DevicePool, etag: String) -> wire::DevicePool {
    wire::DevicePool {
        name: from.name.to_string(),
        description: from.description.clone(),
        user_locale: from.user_locale.clone().unwrap_or_default(),
        user_hold_audio_source: from.user_hold_audio_source.clone().unwrap_or_default(),
        softkey_template: from.softkey_template.clone().unwrap_or_default(),
        date_time_group: from.date_time_group.clone().unwrap_or_default(),
        region: from.region.clone().unwrap_or_default(),
        geolocation: from.geolocation.clone().unwrap_or_default(),
        emergency_numbers: from.emergency_numbers.clone(),
        etag,
    }
}
