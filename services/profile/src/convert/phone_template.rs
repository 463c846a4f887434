//! Phone templates.

use roamline_domain::Violations;
use roamline_domain::directory::PhoneTemplate;
use roamline_proto::profile as wire;

use super::enums::{Twin, required};
use super::given;

/// Reads a phone template.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_phone_template(from: &wire::PhoneTemplate) -> Result<PhoneTemplate, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let buttons = from.feature_buttons.iter().enumerate();
    let feature_buttons = buttons
        .filter_map(|(index, button)| required(&mut found, &format!("feature_buttons[{index}]"), "", *button))
        .collect();
    match name {
        Some(name) => found.none_or(PhoneTemplate {
            name,
            description: from.description.clone(),
            phone_button_template: given(&from.phone_button_template),
            softkey_template: given(&from.softkey_template),
            feature_buttons,
        }),
        None => Err(found),
    }
}

/// A phone template on the wire.
pub(crate) fn phone_template(from: &PhoneTemplate, etag: String) -> wire::PhoneTemplate {
    wire::PhoneTemplate {
        name: from.name.to_string(),
        description: from.description.clone(),
        phone_button_template: from.phone_button_template.clone().unwrap_or_default(),
        softkey_template: from.softkey_template.clone().unwrap_or_default(),
        feature_buttons: from.feature_buttons.iter().map(|button| button.number()).collect(),
        etag,
    }
}
