//! Phone models of the catalogue.

use roamline_domain::catalogue::PhoneModel;
use roamline_proto::profile as wire;

use super::enums::Twin;

/// A phone model on the wire.
pub(crate) fn phone_model(from: &PhoneModel) -> wire::PhoneModel {
    wire::PhoneModel {
        name: from.name.to_string(),
        title: from.title.clone(),
        buttons: from.buttons,
        protocols: from.protocols.iter().map(|protocol| protocol.number()).collect(),
        display: from.display,
        modules: from
            .modules
            .iter()
            .map(|module| wire::PhoneModelModule { name: module.name.clone(), buttons: module.buttons })
            .collect(),
        max_modules: from.max_modules,
        locale_support: from.locale_support,
        service_support: from.service_support,
        extension_mobility: from.extension_mobility,
    }
}
