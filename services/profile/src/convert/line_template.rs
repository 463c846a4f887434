//! Line templates.

use roamline_domain::Violations;
use roamline_domain::directory::LineTemplate;
use roamline_proto::profile as wire;

use super::given;

/// Reads a line template.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_line_template(from: &wire::LineTemplate) -> Result<LineTemplate, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    match name {
        Some(name) => found.none_or(LineTemplate {
            name,
            description: from.description.clone(),
            label: given(&from.label),
            max_calls: (from.max_calls > 0).then_some(from.max_calls),
            busy_trigger: (from.busy_trigger > 0).then_some(from.busy_trigger),
        }),
        None => Err(found),
    }
}

/// A line template on the wire.
pub(crate) fn line_template(from: &LineTemplate, etag: String) -> wire::LineTemplate {
    wire::LineTemplate {
        name: from.name.to_string(),
        description: from.description.clone(),
        label: from.label.clone().unwrap_or_default(),
        max_calls: from.max_calls.unwrap_or_default(),
        busy_trigger: from.busy_trigger.unwrap_or_default(),
        etag,
    }
}
