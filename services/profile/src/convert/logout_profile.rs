//! Shared logout profiles.

use roamline_domain::directory::LogoutProfile;
use roamline_domain::{LogoutTag, Violations};
use roamline_proto::profile as wire;

use super::settings::{parse_settings, settings};

/// Reads a shared logout profile.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_logout_profile(from: &wire::LogoutProfile) -> Result<LogoutProfile, Violations> {
    let mut found = Violations::new();
    let tag = found.take("tag", LogoutTag::try_from(from.tag));
    let worn = parse_settings(&mut found, "settings", from.settings.as_ref());
    match tag {
        Some(tag) => {
            found.none_or(LogoutProfile { tag, description: from.description.clone(), settings: worn })
        }
        None => Err(found),
    }
}

/// A shared logout profile on the wire.
pub(crate) fn logout_profile(from: &LogoutProfile, etag: String) -> wire::LogoutProfile {
    wire::LogoutProfile {
        tag: from.tag.get(),
        description: from.description.clone(),
        settings: Some(settings(&from.settings)),
        etag,
    }
}
