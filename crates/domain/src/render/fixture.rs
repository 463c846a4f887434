//! Records for tests: the user `me`, and any profile at all.

use proptest::prelude::*;

use crate::catalogue::{Catalogue, PhoneModel};
use crate::directory::{
    DefaultDeviceProfile, DevicePool, LineTemplate, LogoutProfile, MadeFor, Phone, PhoneTemplate,
    PresenceGroup, User, UserDeviceProfile, UserLoginTime,
};
use crate::settings::{DeviceSettings, LineAppearance, LineKind, ProfileLine, Protocol, SpeedDial};

pub(crate) fn line(kind: LineKind, numbers: &[&str]) -> ProfileLine {
    let lines = numbers.iter().map(|number| number.parse().unwrap()).collect();
    ProfileLine::new(kind, lines)
}

pub(crate) fn dial(tag: u32, number: &str) -> SpeedDial {
    SpeedDial { tag, number: number.into(), label: String::new(), busy_lamp: false }
}

/// The six numbers of the user `me`.
pub(crate) fn lines_of_me() -> Vec<ProfileLine> {
    vec![
        line(LineKind::SilentRing, &["2001"]),
        line(LineKind::BeepRing, &["2002"]),
        line(LineKind::FeatureRing, &["2003"]),
        line(LineKind::MonitorRing, &["2004"]),
        line(LineKind::Overlay, &["2005", "2006"]),
        line(LineKind::CallWaitingOverlay, &["2007", "2008"]),
    ]
}

/// His speed dials.
pub(crate) fn speed_dials_of_me() -> Vec<SpeedDial> {
    vec![dial(1, "3001"), SpeedDial { busy_lamp: true, ..dial(2, "3002") }]
}

/// An empty profile for every model.
pub(crate) fn profile(name: &str) -> UserDeviceProfile {
    UserDeviceProfile {
        name: name.parse().unwrap(),
        description: String::new(),
        made_for: None,
        settings: DeviceSettings::default(),
        agent: None,
        login_user_id: None,
        cross_cluster_calling_search_space: None,
        applications: Vec::new(),
    }
}

/// An empty profile for one model.
pub(crate) fn made_for(name: &str, model: &str) -> UserDeviceProfile {
    let made_for = MadeFor { model: model.parse().unwrap(), protocol: self::model(model).protocols[0] };
    UserDeviceProfile { made_for: Some(made_for), ..profile(name) }
}

/// The profile of the user `me`.
pub(crate) fn profile_of_me() -> UserDeviceProfile {
    let mut profile = profile("me");
    profile.settings.lines = lines_of_me();
    profile.settings.speed_dials = speed_dials_of_me();
    profile.settings.idle_limit_minutes = Some(30);
    profile
}

/// A line template; an empty label and zeros say nothing.
pub(crate) fn line_template(name: &str, label: &str, max_calls: u32, busy_trigger: u32) -> LineTemplate {
    LineTemplate {
        name: name.parse().unwrap(),
        description: String::new(),
        label: (!label.is_empty()).then(|| label.into()),
        max_calls: (max_calls > 0).then_some(max_calls),
        busy_trigger: (busy_trigger > 0).then_some(busy_trigger),
    }
}

/// A phone template that says nothing.
pub(crate) fn phone_template(name: &str) -> PhoneTemplate {
    PhoneTemplate {
        name: name.parse().unwrap(),
        description: String::new(),
        phone_button_template: None,
        softkey_template: None,
        feature_buttons: Vec::new(),
    }
}

/// A device pool that says nothing.
pub(crate) fn device_pool(name: &str) -> DevicePool {
    DevicePool {
        name: name.parse().unwrap(),
        description: String::new(),
        user_locale: None,
        user_hold_audio_source: None,
        softkey_template: None,
        date_time_group: None,
        region: None,
        geolocation: None,
        emergency_numbers: Vec::new(),
    }
}

/// A presence group that sees these besides itself.
pub(crate) fn presence_group(name: &str, sees: &[&str]) -> PresenceGroup {
    PresenceGroup {
        name: name.parse().unwrap(),
        description: String::new(),
        sees: sees.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

pub(crate) fn user(profiles: &[&str]) -> User {
    User {
        user_id: "me".parse().unwrap(),
        display_name: "Me".into(),
        profiles: profiles.iter().map(|name| name.parse().unwrap()).collect(),
        default_profile: None,
        maximum_login_time: UserLoginTime::Cluster,
        user_locale: None,
        cross_cluster_enabled: false,
        self_service_id: None,
        primary_extension: None,
        teams: Vec::new(),
        supervised_teams: Vec::new(),
    }
}

pub(crate) fn model(name: &str) -> &'static PhoneModel {
    Catalogue::builtin().find(name).unwrap()
}

/// A phone of that model that takes logins, in the model's usual protocol.
pub(crate) fn phone(model: &str) -> Phone {
    let protocol = self::model(model).protocols[0];
    let name = "SEP000DEDAB3566".parse().unwrap();
    Phone { extension_mobility_enabled: true, ..Phone::new(name, model.parse().unwrap(), protocol) }
}

pub(crate) fn sip(phone: Phone) -> Phone {
    Phone { protocol: Protocol::Sip, ..phone }
}

pub(crate) fn default_profile(model: &str) -> DefaultDeviceProfile {
    DefaultDeviceProfile {
        model: model.parse().unwrap(),
        description: String::new(),
        settings: DeviceSettings {
            phone_button_template: Some(format!("Standard {model}")),
            softkey_template: Some("Default softkeys".into()),
            ..DeviceSettings::default()
        },
    }
}

pub(crate) fn logout_profile(tag: u32) -> LogoutProfile {
    let settings = DeviceSettings {
        lines: vec![line(LineKind::SilentRing, &["3001"])],
        speed_dials: vec![dial(1, "2000")],
        ..DeviceSettings::default()
    };
    LogoutProfile { tag: tag.try_into().unwrap(), description: String::new(), settings }
}

/// Lines of every kind, each with a number of its own.
pub(crate) fn any_lines() -> impl Strategy<Value = Vec<ProfileLine>> {
    let kind = prop::sample::select(vec![
        LineKind::Normal,
        LineKind::SilentRing,
        LineKind::BeepRing,
        LineKind::FeatureRing,
        LineKind::MonitorRing,
        LineKind::Overlay,
        LineKind::CallWaitingOverlay,
    ]);
    prop::collection::vec((kind, 1u32..6, 1u32..6, 1usize..4), 0..20).prop_map(|lines| {
        lines
            .into_iter()
            .enumerate()
            .map(|(index, (kind, max_calls, busy_trigger, count))| {
                let count = if kind.is_overlay() { count } else { 1 };
                let numbers: Vec<String> =
                    (0..count).map(|part| (4000 + index * 10 + part).to_string()).collect();
                let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
                let appearance = LineAppearance { max_calls, busy_trigger, ..LineAppearance::default() };
                ProfileLine { appearance, ..line(kind, &numbers) }
            })
            .collect()
    })
}

/// Speed dials with tags of their own, in any order.
pub(crate) fn any_speed_dials() -> impl Strategy<Value = Vec<SpeedDial>> {
    prop::sample::subsequence((1u32..=36).collect::<Vec<_>>(), 0..=36)
        .prop_shuffle()
        .prop_map(|tags| tags.into_iter().map(|tag| dial(tag, &format!("{tag:04}"))).collect())
}
