//! Lines.

use roamline_domain::Violations;
use roamline_domain::directory::Line;
use roamline_proto::profile as wire;

use super::enums::{Twin, value};
use super::{given, optional, text};

/// Reads a line.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_line(from: &wire::Line) -> Result<Line, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let capacity = value(&mut found, "capacity", from.capacity).unwrap_or_default();
    let presence_group = optional(&mut found, "presence_group", &from.presence_group);
    let intercom_phone = optional(&mut found, "intercom_default_phone", &from.intercom_default_phone);
    match name {
        Some(name) => found.none_or(Line {
            name,
            description: from.description.clone(),
            capacity,
            display_name: from.display_name.clone(),
            presence_group,
            intercom_phone,
            calling_search_space: given(&from.calling_search_space),
        }),
        None => Err(found),
    }
}

/// A line on the wire.
pub(crate) fn line(from: &Line, etag: String) -> wire::Line {
    wire::Line {
        name: from.name.to_string(),
        description: from.description.clone(),
        capacity: from.capacity.number(),
        display_name: from.display_name.clone(),
        presence_group: text(from.presence_group.as_ref()),
        intercom_default_phone: text(from.intercom_phone.as_ref()),
        calling_search_space: from.calling_search_space.clone().unwrap_or_default(),
        etag,
    }
}
