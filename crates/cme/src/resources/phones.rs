//! `ephone` and `voice register pool` into phones. Agents may log in to those that name a logout profile, and to no
//! other.

use std::collections::BTreeSet;

use roamline_proto::profile::{
    DeviceSettings, Phone, PhoneProtocol, ProfileLine, phone::LogoutProfile, resource::Kind,
};

use super::profiles::can_call;
use super::speed_dials;
use crate::model::{At, Button, Config, DirectoryNumber, Phone as PhoneStatement};
use crate::problem::Found;
use crate::site::{Site, Sourced};

/// The names that the phones will have; a MAC that two sections give is a problem (DP-1).
pub(super) fn names(config: &Config, found: &mut Found) -> BTreeSet<String> {
    let mut lines = std::collections::BTreeMap::new();
    for mac in config.phones.iter().filter_map(|phone| phone.mac.as_ref()) {
        let name = name(&mac.value);
        if let Some(first) = lines.get(&name) {
            found.problem(mac.line, "DP-1", format!("phone {name} is already on line {first}"));
        } else {
            lines.insert(name, mac.line);
        }
    }
    lines.into_keys().collect()
}

pub(super) fn translate(config: &Config, site: &mut Site, found: &mut Found) {
    for phone in &config.phones {
        let Some(mac) = &phone.mac else {
            site.note(phone.tag.line, "has no MAC address: no phone yet, passed over");
            continue;
        };
        if phone.model.is_none() {
            let message = "names no type: whether agents may log in depends on the model";
            found.problem(phone.tag.line, "DP-17", message);
        }
        let resource = resource(phone, mac, config, site, found);
        site.push(resource.map(Kind::Phone));
    }
}

/// `SEP` and the digits of the MAC (DP-18); what is no MAC is left for the server to refuse.
fn name(mac: &str) -> String {
    let digits: String = mac.chars().filter(|c| !['.', ':', '-'].contains(c)).collect();
    let whole = digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit());
    if whole { format!("SEP{}", digits.to_ascii_uppercase()) } else { mac.to_owned() }
}

fn resource(
    phone: &PhoneStatement,
    mac: &At<String>,
    config: &Config,
    site: &mut Site,
    found: &mut Found,
) -> Sourced<Phone> {
    let mut source = Sourced::new(phone.tag.line, ());
    source.field("name", mac.line);
    if let Some(model) = &phone.model {
        source.field("model", model.line);
        source.field("protocol", model.line);
        source.field("settings.expansion_modules", model.line);
    }
    if let Some(text) = &phone.description {
        source.field("description", text.line);
    }
    let logout_profile = logout_profile(phone, config, site);
    if let Some(tag) = &phone.logout_profile {
        source.field("shared_logout_profile", tag.line);
        source.field("extension_mobility_enabled", tag.line);
        source.field("logout_profile", tag.line);
    }
    let settings = DeviceSettings {
        expansion_modules: phone.modules.clone(),
        lines: lines(phone, config, &mut source, site, found),
        speed_dials: speed_dials(&phone.speed_dials, &mut source),
        ..DeviceSettings::default()
    };
    source.map(|()| Phone {
        name: name(&mac.value),
        description: phone.description.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        model: phone.model.as_ref().map(|model| model.value.clone()).unwrap_or_default(),
        protocol: phone.protocol.into(),
        extension_mobility_enabled: phone.logout_profile.is_some(),
        logout_profile,
        settings: Some(settings),
        ..Phone::default()
    })
}

/// The logout profile; none where it is left off (DP-8).
fn logout_profile(phone: &PhoneStatement, config: &Config, site: &mut Site) -> Option<LogoutProfile> {
    let At { line, value: tag } = phone.logout_profile.as_ref()?;
    let meant = config.logout_profiles.iter().find(|profile| profile.tag.value == *tag);
    if meant.is_some_and(|profile| !can_call(profile)) {
        let message = "wears its own buttons with nobody logged in: its logout profile is left off (DP-8)";
        site.note(*line, message);
        return None;
    }
    Some(LogoutProfile::SharedLogoutProfile(*tag))
}

/// The phone's own lines, in the order of its buttons.
fn lines(
    phone: &PhoneStatement,
    config: &Config,
    source: &mut Sourced<()>,
    site: &mut Site,
    found: &mut Found,
) -> Vec<ProfileLine> {
    let mut buttons: Vec<&At<Button>> = phone.buttons.iter().collect();
    buttons.sort_by_key(|button| button.value.position);
    let mut lines = Vec::new();
    for button in buttons {
        let mut label = String::new();
        let mut numbers = Vec::new();
        for tag in &button.value.directory_numbers {
            let Some(dn) = directory_number(config, phone.protocol, *tag) else {
                let message = format!(
                    "button {} names directory number {tag}, which is not in this file",
                    button.value.position
                );
                found.problem(button.line, "LL-8", message);
                continue;
            };
            match &dn.number {
                Some(number) => numbers.push(number.value.clone()),
                None => site.note(button.line, format!("directory number {tag} has no number: left off")),
            }
            label = dn.label.as_ref().map(|label| label.value.clone()).unwrap_or_default();
        }
        if numbers.is_empty() {
            continue;
        }
        if numbers.len() > 1 {
            label.clear();
        }
        source.field(format!("settings.lines[{}]", lines.len()), button.line);
        let kind = button.value.kind.into();
        lines.push(ProfileLine { kind, lines: numbers, label, ..ProfileLine::default() });
    }
    lines
}

fn directory_number(config: &Config, protocol: PhoneProtocol, tag: u32) -> Option<&DirectoryNumber> {
    config.directory_numbers.iter().find(|dn| dn.protocol == protocol && dn.tag.value == tag)
}
