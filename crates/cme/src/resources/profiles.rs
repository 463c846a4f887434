//! `voice logout-profile` into logout profiles; `voice user-profile` into users and their device profiles.

use std::collections::BTreeSet;

use roamline_proto::profile::{
    DeviceSettings, LineKind, LogoutProfile, ProfileLine, User, UserDeviceProfile, resource::Kind,
};

use super::{Labels, speed_dials};
use crate::model::{Config, Profile};
use crate::parse::shortened;
use crate::problem::Found;
use crate::site::{Site, Sourced};

/// DP-8: whether a call can be made from it, so that it may be a logout profile.
pub(super) fn can_call(profile: &Profile) -> bool {
    profile.numbers.iter().any(|numbers| numbers.value.kind != LineKind::MonitorRing)
}

pub(super) fn logout_profiles(config: &Config, labels: &Labels, site: &mut Site) {
    for profile in &config.logout_profiles {
        if !can_call(profile) {
            let tag = profile.tag.value;
            let message = format!("logout profile {tag} has no number to call from: left off (DP-8)");
            site.note(profile.tag.line, message);
            continue;
        }
        let mut source = Sourced::new(profile.tag.line, ());
        let settings = settings(profile, labels, &mut source);
        let logout =
            LogoutProfile { tag: profile.tag.value, settings: Some(settings), ..LogoutProfile::default() };
        site.push(source.map(|()| Kind::LogoutProfile(logout)));
    }
}

/// Adds the device profiles; returns the users that wear them, for later.
pub(super) fn user_profiles(
    config: &Config,
    labels: &Labels,
    phone_names: &BTreeSet<String>,
    site: &mut Site,
    found: &mut Found,
) -> Vec<Sourced<Kind>> {
    let mut users = Vec::new();
    for profile in &config.user_profiles {
        let name = profile_name(profile, phone_names);
        let mut source = Sourced::new(profile.tag.line, ());
        let settings = settings(profile, labels, &mut source);
        match user(profile, &name, found) {
            Some(user) => {
                source.field("name", user.line);
                users.push(user.map(Kind::User));
            }
            None => site.note(profile.tag.line, format!("has no user: profile {name} is nobody's yet")),
        }
        let profile = UserDeviceProfile { name, settings: Some(settings), ..UserDeviceProfile::default() };
        site.push(source.map(|()| Kind::UserDeviceProfile(profile)));
    }
    users
}

/// The user's name where a profile may be called so (DP-1), else `user-profile-TAG`.
fn profile_name(profile: &Profile, phone_names: &BTreeSet<String>) -> String {
    let may_be = |name: &&String| {
        (1..=50).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
            && !phone_names.contains(&name.to_ascii_uppercase())
    };
    let user = profile.user.as_ref().map(|user| &user.value.name);
    user.filter(may_be).cloned().unwrap_or_else(|| format!("user-profile-{}", profile.tag.value))
}

fn user(profile: &Profile, profile_name: &str, found: &mut Found) -> Option<Sourced<User>> {
    let login = profile.user.as_ref()?;
    let name = &login.value.name;
    if name.chars().any(char::is_uppercase) {
        found.problem(login.line, "SP-6", format!("user id {} must be in lower case", shortened(name)));
    }
    let first = profile.numbers.first().and_then(|numbers| numbers.value.numbers.first());
    let user = User {
        user_id: name.clone(),
        profiles: vec![profile_name.to_owned()],
        primary_extension: first.cloned().unwrap_or_default(),
        ..User::default()
    };
    let mut source = Sourced::new(login.line, user);
    if let Some(numbers) = profile.numbers.first() {
        source.field("primary_extension", numbers.line);
    }
    Some(source)
}

fn settings(profile: &Profile, labels: &Labels, source: &mut Sourced<()>) -> DeviceSettings {
    let mut lines = Vec::new();
    for numbers in &profile.numbers {
        let field = format!("settings.lines[{}]", lines.len());
        let mut line = ProfileLine {
            kind: numbers.value.kind.into(),
            lines: numbers.value.numbers.clone(),
            ..ProfileLine::default()
        };
        if let [number] = numbers.value.numbers.as_slice()
            && let Some(label) = labels.get(number)
        {
            line.label.clone_from(&label.value);
            source.field(format!("{field}.label"), label.line);
        }
        source.field(field, numbers.line);
        lines.push(line);
    }
    let mut noted =
        |field: &str, line: Option<usize>| line.into_iter().for_each(|line| source.field(field, line));
    noted("settings.call_blocking_pin", profile.pin.as_ref().map(|pin| pin.line));
    noted("settings.idle_limit", profile.idle_minutes.as_ref().map(|minutes| minutes.line));
    noted("settings.privacy_button", profile.privacy_button.as_ref().map(|button| button.line));
    DeviceSettings {
        lines,
        speed_dials: speed_dials(&profile.speed_dials, source),
        call_blocking_pin: profile.pin.as_ref().map(|pin| pin.value.clone()).unwrap_or_default(),
        idle_limit: profile
            .idle_minutes
            .as_ref()
            .map(|minutes| prost_types::Duration { seconds: i64::from(minutes.value) * 60, nanos: 0 }),
        privacy_button: profile.privacy_button.is_some(),
        ..DeviceSettings::default()
    }
}
