//! Records for tests: the user `me`, and any profile at all.

use proptest::prelude::*;

use crate::catalogue::{Catalogue, PhoneModel};
use crate::directory::{
    AddressingMode, DefaultDeviceProfile, LogoutChoice, LogoutProfile, MadeFor, Phone, User,
    UserDeviceProfile, UserLoginTime,
};
use crate::settings::{DeviceSettings, LineAppearance, LineKind, ProfileLine, Protocol, SpeedDial};

pub(crate) fn line(kind: LineKind, numbers: &[&str]) -> ProfileLine {
    let lines = numbers.iter().map(|number| number.parse().unwrap()).collect();
    ProfileLine { kind, lines, appearance: LineAppearance::default() }
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
    }
}

pub(crate) fn model(name: &str) -> &'static PhoneModel {
    Catalogue::builtin().find(name).unwrap()
}

/// A phone of that model that takes logins, in the model's usual protocol.
pub(crate) fn phone(model: &str) -> Phone {
    Phone {
        name: "SEP000DEDAB3566".parse().unwrap(),
        description: String::new(),
        model: model.parse().unwrap(),
        protocol: self::model(model).protocols[0],
        addressing_mode: AddressingMode::default(),
        extension_mobility_enabled: true,
        logout_choice: LogoutChoice::OwnSettings,
        settings: DeviceSettings::default(),
    }
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
