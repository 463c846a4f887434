//! Phone services.

use roamline_domain::Violations;
use roamline_domain::directory::{PhoneServiceDefinition, PhoneServiceParameter};
use roamline_proto::profile as wire;

/// Reads a phone service definition.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_phone_service_definition(
    from: &wire::PhoneServiceDefinition,
) -> Result<PhoneServiceDefinition, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    match name {
        Some(name) => found.none_or(PhoneServiceDefinition {
            name,
            description: from.description.clone(),
            url: from.url.clone(),
            parameters: from.parameters.iter().map(parse_parameter).collect(),
        }),
        None => Err(found),
    }
}

/// A phone service definition on the wire.
pub(crate) fn phone_service_definition(
    from: &PhoneServiceDefinition,
    etag: String,
) -> wire::PhoneServiceDefinition {
    wire::PhoneServiceDefinition {
        name: from.name.to_string(),
        description: from.description.clone(),
        url: from.url.clone(),
        parameters: from.parameters.iter().map(parameter).collect(),
        etag,
    }
}

fn parse_parameter(from: &wire::PhoneServiceParameter) -> PhoneServiceParameter {
    PhoneServiceParameter {
        name: from.name.clone(),
        description: from.description.clone(),
        default_value: from.default_value.clone(),
        required: from.required,
    }
}

fn parameter(from: &PhoneServiceParameter) -> wire::PhoneServiceParameter {
    wire::PhoneServiceParameter {
        name: from.name.clone(),
        description: from.description.clone(),
        default_value: from.default_value.clone(),
        required: from.required,
    }
}
