//! Presence groups.

use roamline_domain::Violations;
use roamline_domain::directory::PresenceGroup;
use roamline_proto::profile as wire;

/// Reads a presence group.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_presence_group(from: &wire::PresenceGroup) -> Result<PresenceGroup, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let names = from.sees.iter().enumerate();
    let sees = names.filter_map(|(index, name)| found.take(format!("sees[{index}]"), name.parse())).collect();
    match name {
        Some(name) => found.none_or(PresenceGroup { name, description: from.description.clone(), sees }),
        None => Err(found),
    }
}

/// A presence group on the wire.
pub(crate) fn presence_group(from: &PresenceGroup, etag: String) -> wire::PresenceGroup {
    wire::PresenceGroup {
        name: from.name.to_string(),
        description: from.description.clone(),
        sees: from.sees.iter().map(ToString::to_string).collect(),
        etag,
    }
}
