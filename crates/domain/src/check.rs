//! Whether a resource keeps the rules, judged with the catalogue and what is [`Known`] around it. Every violation is
//! named at once, by the path of its field on the wire. Whether other resources than lines exist, and whether names are
//! taken, is for the directory to say.

mod known;
mod referred;
mod settings;

#[cfg(test)]
mod known_tests;
#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

use crate::catalogue::{Catalogue, PhoneModel};
#[cfg(test)]
use crate::directory::LineCapacity;
use crate::directory::{
    AddressingMode, DefaultDeviceProfile, Key, Line, LogoutProfile, Phone, Resource, User, UserDeviceProfile,
    UserLoginTime, logout_profile_tags,
};
use crate::name::{LineName, ModelName};
use crate::parameters::{LONGEST_LOGIN, ServiceParameters};
use crate::settings::{DeviceSettings, LineKind, Protocol};
use crate::violation::Violations;
pub use known::{Known, LineFacts};
use settings::{at_most, check_locale};

/// The most teams that a user is in, the most that he looks after, and the most applications that are associated with a
/// profile.
const MOST_NAMES: usize = 50;

/// What a resource is held against.
struct Against<'a> {
    key: Key,
    catalogue: &'a Catalogue,
    known: &'a dyn Known,
}

/// Everything that is wrong with a resource.
pub fn check(resource: &Resource, catalogue: &Catalogue, known: &dyn Known) -> Violations {
    let known = Against { key: resource.key(), catalogue, known };
    let mut found = Violations::new();
    match resource {
        Resource::DevicePool(pool) => referred::check_device_pool(pool, &mut found),
        Resource::PhoneTemplate(template) => referred::check_phone_template(template, &mut found),
        Resource::LineTemplate(template) => referred::check_line_template(template, &mut found),
        Resource::PresenceGroup(group) => referred::check_presence_group(group, &mut found),
        Resource::PhoneServiceDefinition(definition) => referred::check_phone_service(definition, &mut found),
        Resource::Line(line) => check_line(line, &mut found),
        Resource::UserDeviceProfile(profile) => check_profile(profile, &known, &mut found),
        Resource::DefaultDeviceProfile(profile) => check_default(profile, &known, &mut found),
        Resource::LogoutProfile(profile) => check_logout_profile(profile, &known, &mut found),
        Resource::Phone(phone) => check_phone(phone, &known, &mut found),
        Resource::User(user) => check_user(user, &known, &mut found),
        Resource::ServiceParameters(parameters) => check_parameters(parameters, &mut found),
    }
    found
}

/// Why nobody may log in to a phone, in the order of LI-2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneRefused {
    /// Extension mobility is off on it.
    #[error("extension mobility is not enabled on the phone")]
    NotEnabled,
    /// Its model takes no part: no display, analog, or not in the catalogue (DP-17).
    #[error("phones of model {model} cannot take part in extension mobility (DP-17)")]
    ModelNotAllowed {
        /// The model.
        model: ModelName,
    },
    /// It uses IPv6 only (CC-6).
    #[error("the phone's addressing mode is IPv6 only (CC-6)")]
    Ipv6Only,
}

/// The model of a phone that agents may log in to.
///
/// # Errors
/// The first of the reasons why they may not.
pub fn may_be_used<'a>(phone: &Phone, catalogue: &'a Catalogue) -> Result<&'a PhoneModel, PhoneRefused> {
    if !phone.extension_mobility_enabled {
        return Err(PhoneRefused::NotEnabled);
    }
    let model = catalogue
        .get(&phone.model)
        .filter(|model| model.extension_mobility)
        .ok_or_else(|| PhoneRefused::ModelNotAllowed { model: phone.model.clone() })?;
    if phone.addressing_mode == AddressingMode::Ipv6Only {
        return Err(PhoneRefused::Ipv6Only);
    }
    Ok(model)
}

fn check_line(line: &Line, found: &mut Violations) {
    at_most("description", &line.description, 128, found);
    at_most("display_name", &line.display_name, 50, found);
    if let Some(space) = &line.calling_search_space {
        at_most("calling_search_space", space, 50, found);
    }
}

fn check_profile(profile: &UserDeviceProfile, known: &Against<'_>, found: &mut Violations) {
    at_most("description", &profile.description, 128, found);
    let model = profile.made_for.as_ref().and_then(|made_for| {
        let model = known.model(&made_for.model, found);
        check_protocol(model, made_for.protocol, found);
        model
    });
    known.settings(&profile.settings, model, found);
    if let Some(agent) = &profile.agent {
        let mut lines = profile.settings.lines.iter().flat_map(|entry| &entry.lines);
        if !lines.any(|line| *line == agent.acd_line) {
            let message = format!("{} is not one of the profile's lines", agent.acd_line);
            found.add("agent.acd_line", "CC-1", message);
        } else if known.known.line(&agent.acd_line).is_some_and(|line| line.intercom) {
            let message = format!("{} is an intercom line, which is worn on one phone only", agent.acd_line);
            found.add("agent.acd_line", "LL-9", message);
        }
    }
    if let Some(space) = &profile.cross_cluster_calling_search_space {
        at_most("cross_cluster_calling_search_space", space, 50, found);
    }
    check_names("applications", &profile.applications, found);
}

fn check_default(profile: &DefaultDeviceProfile, known: &Against<'_>, found: &mut Violations) {
    let model = known.model(&profile.model, found);
    at_most("description", &profile.description, 128, found);
    if let Some(model) = model.filter(|model| !model.extension_mobility) {
        found.add("model", "DP-17", no_part(model));
    }
    known.settings(&profile.settings, model, found);
}

/// DP-8: the tag, and that a call can be made: on what no other rule takes off again, neither a monitor line nor an
/// intercom line. A line that does not exist is reported as such (LL-8).
fn check_logout_profile(profile: &LogoutProfile, known: &Against<'_>, found: &mut Violations) {
    let tags = logout_profile_tags(known.known.maximum_phones());
    if !tags.contains(&profile.tag.get()) {
        found.add("tag", "DP-8", format!("must be 1 to {}, the number of phones allowed", tags.end()));
    }
    at_most("description", &profile.description, 128, found);
    known.settings(&profile.settings, None, found);
    let calls = |line: &LineName| known.known.line(line).is_none_or(|line| !line.intercom);
    let mut entries = profile.settings.lines.iter().filter(|entry| entry.kind != LineKind::MonitorRing);
    if !entries.any(|entry| entry.lines.iter().any(calls)) {
        let message = "has no line to call from, so that no emergency number could be called";
        found.add("settings.lines", "DP-8", message);
    }
}

fn check_phone(phone: &Phone, known: &Against<'_>, found: &mut Violations) {
    at_most("description", &phone.description, 128, found);
    let model = known.model(&phone.model, found);
    check_protocol(model, phone.protocol, found);
    if phone.extension_mobility_enabled {
        if let Some(model) = model.filter(|model| !model.extension_mobility) {
            found.add("extension_mobility_enabled", "DP-17", no_part(model));
        }
        if phone.addressing_mode == AddressingMode::Ipv6Only {
            let message = "cannot be enabled on a phone whose addressing mode is IPv6 only";
            found.add("extension_mobility_enabled", "CC-6", message);
        }
    }
    known.settings(&phone.settings, model, found);
}

fn check_user(user: &User, known: &Against<'_>, found: &mut Violations) {
    at_most("display_name", &user.display_name, 128, found);
    if user.profiles.len() > 50 {
        found.add("profiles", "DP-5", format!("has {} profiles, more than 50", user.profiles.len()));
    }
    let mut seen = HashSet::new();
    for (index, name) in user.profiles.iter().enumerate() {
        if !seen.insert(name) {
            found.add(format!("profiles[{index}]"), "DP-5", format!("names {:?} again", name.as_str()));
        }
    }
    if let Some(default) = user.default_profile.as_ref().filter(|default| !user.profiles.contains(default)) {
        let message = format!("{:?} is not one of the user's profiles", default.as_str());
        found.add("default_profile", "DP-5", message);
    }
    if let UserLoginTime::AtMost(time) = user.maximum_login_time
        && (time < Duration::from_secs(60) || time > LONGEST_LOGIN)
    {
        found.add("maximum_login_time", "SP-20", "must be 0:01 to 168:00, or zero for no limit");
    }
    if let Some(locale) = &user.user_locale {
        check_locale("user_locale", locale, found);
    }
    if let Some(id) = &user.self_service_id {
        at_most("self_service_id", id, 128, found);
    }
    if let Some(line) = &user.primary_extension {
        known.line_exists("primary_extension", line, found);
    }
    check_names("teams", &user.teams, found);
    check_names("supervised_teams", &user.supervised_teams, found);
}

/// Names of what is no resource: not too many, and each once.
fn check_names<N: Eq + Hash + Display>(field: &str, names: &[N], found: &mut Violations) {
    if names.len() > MOST_NAMES {
        found.add(field, "", format!("has {} names, more than {MOST_NAMES}", names.len()));
    }
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if !seen.insert(name) {
            found.add(format!("{field}[{index}]"), "", format!("names \"{name}\" again"));
        }
    }
}

fn check_parameters(parameters: &ServiceParameters, found: &mut Violations) {
    for violation in parameters.check() {
        found.add(violation.field, violation.rule, violation.message);
    }
    check_locale("default_user_locale", &parameters.default_user_locale, found);
}

fn check_protocol(model: Option<&PhoneModel>, protocol: Protocol, found: &mut Violations) {
    if let Some(model) = model.filter(|model| !model.protocols.contains(&protocol)) {
        let word = match protocol {
            Protocol::Sccp => "SCCP",
            Protocol::Sip => "SIP",
        };
        found.add("protocol", "DP-2", format!("a {} does not speak {word}", model.name));
    }
}

fn no_part(model: &PhoneModel) -> String {
    let why = if model.display { "the model is excluded" } else { "it has no display" };
    format!("a {} cannot take part in extension mobility: {why}", model.name)
}

impl<'a> Against<'a> {
    fn model(&self, name: &ModelName, found: &mut Violations) -> Option<&'a PhoneModel> {
        let model = self.catalogue.get(name);
        if model.is_none() {
            let message = match self.catalogue.find(name.as_str()) {
                Ok(meant) => format!("the catalogue calls {name} {}", meant.name),
                Err(unknown) => unknown.to_string(),
            };
            found.add("model", "DP-17", message);
        }
        model
    }

    fn settings(&self, settings: &DeviceSettings, model: Option<&PhoneModel>, found: &mut Violations) {
        found.extend_under("settings", settings::check(settings, model, self));
    }

    /// Notes a line that does not exist (LL-8).
    fn line_exists(&self, field: impl Into<String>, line: &LineName, found: &mut Violations) {
        if self.known.line(line).is_none() {
            found.add(field, "LL-8", format!("line {line} does not exist"));
        }
    }
}
