//! Each rule of [`check`](super::check) by its id, and that what keeps them all is let through.

use proptest::prelude::*;

use super::*;
use crate::directory::{AgentSettings, LineControl, MadeFor};
use crate::render::fixture::{
    any_lines, any_speed_dials, default_profile, dial, line, logout_profile, made_for, phone, profile,
    profile_of_me, user,
};
use crate::settings::{
    CallBlockingPin, FeatureButton, LineAppearance, LineKind, MlppIndication, MlppPreemption, ProfileLine,
    ServiceSubscription, SpeedDial,
};

/// Lines that begin with 9 do not exist, those that begin with 8 are octo-lines.
fn known_lines(line: &LineName) -> Option<LineCapacity> {
    match line.as_str().chars().next() {
        Some('9') => None,
        Some('8') => Some(LineCapacity::Octo),
        _ => Some(LineCapacity::Dual),
    }
}

fn broken(resource: &Resource) -> Vec<(String, &'static str)> {
    let found = check(resource, Catalogue::builtin(), &known_lines);
    found.into_iter().map(|violation| (violation.field, violation.rule)).collect()
}

/// What is wrong with a profile of these settings.
fn broken_settings(change: impl FnOnce(&mut DeviceSettings)) -> Vec<(String, &'static str)> {
    let mut profile = profile("p");
    change(&mut profile.settings);
    broken(&Resource::UserDeviceProfile(profile))
}

fn at(field: &str, rule: &'static str) -> Vec<(String, &'static str)> {
    vec![(field.to_owned(), rule)]
}

fn normal(number: &str) -> ProfileLine {
    line(LineKind::Normal, &[number])
}

#[test]
fn what_keeps_the_rules_is_let_through() {
    for resource in [
        Resource::UserDeviceProfile(profile_of_me()),
        Resource::UserDeviceProfile(made_for("p", "7960")),
        Resource::DefaultDeviceProfile(default_profile("7960")),
        Resource::LogoutProfile(logout_profile(1)),
        Resource::Phone(phone("7960")),
        Resource::User(user(&["a", "b"])),
        Resource::ServiceParameters(ServiceParameters::default()),
    ] {
        assert_eq!(broken(&resource), []);
    }
}

#[test]
fn dp_2_a_profile_speaks_what_its_model_speaks_and_has_two_modules_at_most() {
    let mut profile = made_for("p", "8851");
    profile.made_for = Some(MadeFor { model: "8851".parse().unwrap(), protocol: Protocol::Sccp });
    assert_eq!(broken(&Resource::UserDeviceProfile(profile)), at("protocol", "DP-2"));
    let mut profile = made_for("p", "8865");
    profile.settings.expansion_modules = vec!["bekem".into(); 3];
    assert_eq!(broken(&Resource::UserDeviceProfile(profile)), at("settings.expansion_modules", "DP-2"));
    let twice = broken_settings(|s| s.feature_buttons = vec![FeatureButton::Hold, FeatureButton::Hold]);
    assert_eq!(twice, at("settings.feature_buttons[1]", "DP-2"));
}

#[test]
fn dp_3_the_mlpp_domain_is_hexadecimal_and_off_excludes_forceful() {
    for good in ["", "0", "FFFFFF", "00ab12"] {
        assert_eq!(broken_settings(|s| s.mlpp.domain = good.into()), []);
    }
    for bad in ["1000000", "G", "0x1", "-1", "ü"] {
        assert_eq!(
            broken_settings(|s| s.mlpp.domain = bad.into()),
            at("settings.mlpp.domain", "DP-3"),
            "{bad}"
        );
    }
    let refused = broken_settings(|s| {
        s.mlpp.indication = MlppIndication::Off;
        s.mlpp.preemption = MlppPreemption::Forceful;
    });
    assert_eq!(refused, at("settings.mlpp.preemption", "DP-3"));
    for indication in [MlppIndication::On, MlppIndication::Default] {
        let taken = broken_settings(|s| {
            s.mlpp.indication = indication;
            s.mlpp.preemption = MlppPreemption::Forceful;
        });
        assert_eq!(taken, []);
    }
}

#[test]
fn dp_4_only_modules_that_the_model_takes() {
    let with = |model: &str, modules: &[&str]| {
        let mut phone = phone(model);
        phone.settings.expansion_modules = modules.iter().map(|name| (*name).to_owned()).collect();
        broken(&Resource::Phone(phone))
    };
    assert_eq!(with("7960", &["7914", "7914"]), []);
    assert_eq!(with("7960", &["7914", "7914", "7914"]), at("settings.expansion_modules", "DP-2"));
    assert_eq!(with("8961", &["ckem", "ckem"]), at("settings.expansion_modules", "DP-4"));
    assert_eq!(with("7960", &["7916"]), at("settings.expansion_modules[0]", "DP-4"));
    assert_eq!(with("7911", &["7914"]), at("settings.expansion_modules[0]", "DP-4"));
    assert_eq!(broken_settings(|s| s.expansion_modules = vec!["7914".into()]), []);
    let unknown = broken_settings(|s| s.expansion_modules = vec!["7999".into()]);
    assert_eq!(unknown, at("settings.expansion_modules[0]", "DP-4"));
}

#[test]
fn dp_8_a_shared_logout_profile_keeps_the_rules_of_settings_too() {
    let mut logout = logout_profile(1);
    logout.settings.lines.push(normal("9001"));
    logout.description = "x".repeat(129);
    let expected = [("description".to_owned(), ""), ("settings.lines[1].lines[0]".to_owned(), "LL-8")];
    assert_eq!(broken(&Resource::LogoutProfile(logout)), expected);
}

#[test]
fn dp_12_tags_are_1_to_36_and_unique_and_numbers_can_be_dialled() {
    let dials = |dials: Vec<SpeedDial>| broken_settings(|s| s.speed_dials = dials);
    assert_eq!(dials(vec![dial(1, "+49*#0"), dial(36, "2")]), []);
    assert_eq!(dials(vec![dial(0, "1"), dial(37, "2")]).len(), 2);
    assert_eq!(dials(vec![dial(4, "1"), dial(4, "2")]), at("settings.speed_dials[1].tag", "DP-12"));
    for bad in ["", "12a", "1 2", &"1".repeat(33)] {
        assert_eq!(dials(vec![dial(1, bad)]), at("settings.speed_dials[0].number", "DP-12"));
    }
}

#[test]
fn dp_11_services_have_one_name_each_and_a_web_address() {
    let service = |name: &str, url: &str| ServiceSubscription {
        name: name.into(),
        url: url.into(),
        parameters: Default::default(),
        definition: None,
    };
    let good = "https://example.net/em?device=#DEVICENAME#";
    let services = |services: Vec<ServiceSubscription>| broken_settings(|s| s.services = services);
    assert_eq!(services(vec![service("a", good), service("b", "http://192.0.2.1")]), []);
    assert_eq!(
        services(vec![service("a", good), service("a", good)]),
        at("settings.services[1].name", "DP-11")
    );
    assert_eq!(services(vec![service("", good)]), at("settings.services[0].name", "DP-11"));
    for bad in ["", "ftp://example.net", "http://", "http:///x", "http://a b", "example.net"] {
        assert_eq!(services(vec![service("a", bad)]), at("settings.services[0].url", "DP-11"), "{bad}");
    }
}

#[test]
fn dp_14_pins_have_4_to_8_digits_and_idle_limits_1_to_9999_minutes() {
    for (pin, good) in
        [("1234", true), ("12345678", true), ("123", false), ("123456789", false), ("12a4", false)]
    {
        let found = broken_settings(|s| s.call_blocking_pin = Some(CallBlockingPin(pin.into())));
        assert_eq!(found, if good { vec![] } else { at("settings.call_blocking_pin", "DP-14") });
    }
    for (minutes, good) in [(1, true), (9999, true), (0, false), (10_000, false)] {
        let found = broken_settings(|s| s.idle_limit_minutes = Some(minutes));
        assert_eq!(found, if good { vec![] } else { at("settings.idle_limit", "DP-14") });
    }
}

#[test]
fn dp_15_the_privacy_button_needs_an_octo_line() {
    let with = |numbers: &[&str]| {
        broken_settings(|s| {
            s.privacy_button = true;
            s.lines = numbers.iter().map(|number| normal(number)).collect();
        })
    };
    assert_eq!(with(&["2101", "8000"]), []);
    assert_eq!(with(&["2101", "2102"]), at("settings.privacy_button", "DP-15"));
    assert_eq!(with(&[]), at("settings.privacy_button", "DP-15"));
    assert_eq!(
        with(&["9000"]),
        at("settings.lines[0].lines[0]", "LL-8"),
        "what is missing may be an octo-line"
    );
}

#[test]
fn dp_17_an_unknown_model_is_refused_by_name() {
    let mut phone = phone("7960");
    phone.model = "7969".parse().unwrap();
    let found = check(&Resource::Phone(phone), Catalogue::builtin(), &known_lines);
    assert_eq!(
        found.to_string(),
        "model: the catalogue has no phone model \"7969\"; did you mean \"7960\"? (DP-17)"
    );
    let mut profile = made_for("p", "7960");
    profile.made_for.as_mut().unwrap().model = "7960g".parse().unwrap();
    let found = check(&Resource::UserDeviceProfile(profile), Catalogue::builtin(), &known_lines);
    assert_eq!(found.to_string(), "model: the catalogue calls 7960g 7960 (DP-17)");
    let mut default = default_profile("7960");
    default.model = "7902".parse().unwrap();
    assert_eq!(broken(&Resource::DefaultDeviceProfile(default)), at("model", "DP-17"));
}

#[test]
fn dp_17_no_display_and_analog_cannot_be_enabled() {
    for model in ["7902", "ata-186", "vg-224"] {
        let mut phone = phone(model);
        assert_eq!(broken(&Resource::Phone(phone.clone())), at("extension_mobility_enabled", "DP-17"));
        phone.extension_mobility_enabled = false;
        assert_eq!(broken(&Resource::Phone(phone)), []);
    }
}

#[test]
fn cc_6_ipv6_only_cannot_be_enabled() {
    let mut phone = phone("7960");
    phone.addressing_mode = AddressingMode::Ipv6Only;
    assert_eq!(broken(&Resource::Phone(phone.clone())), at("extension_mobility_enabled", "CC-6"));
    for mode in [AddressingMode::Ipv4Only, AddressingMode::Ipv4AndIpv6] {
        phone.addressing_mode = mode;
        assert_eq!(broken(&Resource::Phone(phone.clone())), []);
    }
}

#[test]
fn li_2_a_phone_is_refused_for_the_first_reason() {
    let refusal =
        |phone: &Phone| may_be_used(phone, Catalogue::builtin()).map(|model| model.name.to_string());
    let mut phone = phone("7902");
    phone.addressing_mode = AddressingMode::Ipv6Only;
    phone.extension_mobility_enabled = false;
    assert_eq!(refusal(&phone), Err(PhoneRefused::NotEnabled));
    phone.extension_mobility_enabled = true;
    assert_eq!(refusal(&phone), Err(PhoneRefused::ModelNotAllowed { model: "7902".parse().unwrap() }));
    phone.model = "7969".parse().unwrap();
    assert_eq!(refusal(&phone), Err(PhoneRefused::ModelNotAllowed { model: "7969".parse().unwrap() }));
    phone.model = "7960".parse().unwrap();
    assert_eq!(refusal(&phone), Err(PhoneRefused::Ipv6Only));
    phone.addressing_mode = AddressingMode::Ipv4Only;
    assert_eq!(refusal(&phone), Ok("7960".into()));
}

#[test]
fn cc_1_the_acd_line_is_one_of_the_profiles() {
    let mut profile = profile("p");
    profile.settings.lines = vec![line(LineKind::Overlay, &["2001", "2002"])];
    let mut with = |acd_line: &str| {
        profile.agent =
            Some(AgentSettings { line_control: LineControl::MultiLine, acd_line: acd_line.parse().unwrap() });
        broken(&Resource::UserDeviceProfile(profile.clone()))
    };
    assert_eq!(with("2002"), []);
    assert_eq!(with("2003"), at("agent.acd_line", "CC-1"));
}

#[test]
fn ll_3_an_overlay_takes_1_to_25_numbers_and_others_exactly_one() {
    let numbers: Vec<String> = (0..26).map(|number| (4000 + number).to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let with = |kind, numbers: &[&str]| broken_settings(|s| s.lines = vec![line(kind, numbers)]);
    for kind in [LineKind::Overlay, LineKind::CallWaitingOverlay] {
        assert_eq!(with(kind, &numbers[..1]), []);
        assert_eq!(with(kind, &numbers[..25]), []);
        assert_eq!(with(kind, &numbers), at("settings.lines[0].lines", "LL-3"));
        assert_eq!(with(kind, &[]), at("settings.lines[0].lines", "LL-3"));
        assert_eq!(with(kind, &["4000", "4000"]), at("settings.lines[0].lines[1]", "LL-3"));
    }
    assert_eq!(with(LineKind::Normal, &numbers[..2]), at("settings.lines[0].lines", "LL-3"));
    assert_eq!(with(LineKind::Normal, &[]), at("settings.lines[0].lines", "LL-3"));
}

#[test]
fn ll_4_the_first_line_is_no_monitor_line() {
    let monitor = line(LineKind::MonitorRing, &["2004"]);
    let found = broken_settings(|s| s.lines = vec![monitor.clone(), normal("2001")]);
    assert_eq!(found, at("settings.lines[0].kind", "LL-4"));
    assert_eq!(broken_settings(|s| s.lines = vec![normal("2001"), monitor]), []);
}

#[test]
fn ll_8_every_missing_line_is_named() {
    let mut profile = profile("p");
    profile.settings.lines = vec![normal("9001"), normal("2001"), line(LineKind::Overlay, &["2002", "9002"])];
    let found = check(&Resource::UserDeviceProfile(profile), Catalogue::builtin(), &known_lines);
    assert_eq!(
        found.to_string(),
        "settings.lines[0].lines[0]: line 9001 does not exist (LL-8); \
         settings.lines[2].lines[1]: line 9002 does not exist (LL-8)"
    );
    let mut user = user(&["p"]);
    user.primary_extension = Some("9003".parse().unwrap());
    assert_eq!(broken(&Resource::User(user)), at("primary_extension", "LL-8"));
}

/// DP-5 and SP-20.
#[test]
fn a_users_default_is_one_of_his_profiles_and_none_stands_twice() {
    let mut user = user(&["a", "b", "a"]);
    user.default_profile = Some("c".parse().unwrap());
    user.maximum_login_time = UserLoginTime::AtMost(Duration::from_secs(59));
    user.user_locale = Some("english".repeat(9));
    user.self_service_id = Some("1".repeat(129));
    user.display_name = "x".repeat(129);
    let fields: Vec<_> = broken(&Resource::User(user)).into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            "display_name",
            "profiles[2]",
            "default_profile",
            "maximum_login_time",
            "user_locale",
            "self_service_id"
        ]
    );
}

#[test]
fn texts_that_are_too_long_are_named_by_their_field() {
    let long = |length: usize| Some("x".repeat(length));
    let found = broken_settings(|s| {
        s.user_hold_audio_source = long(51);
        s.phone_button_template = long(50);
        s.softkey_template = long(51);
        s.user_locale = Some("e".into());
        s.lines = vec![normal("2001")];
        s.lines[0].appearance.label = "ü".repeat(33);
    });
    let fields: Vec<_> = found.into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            "settings.user_locale",
            "settings.user_hold_audio_source",
            "settings.softkey_template",
            "settings.lines[0].label"
        ]
    );
}

#[test]
fn the_parameters_ranges_and_the_clusters_locale_are_checked() {
    let parameters = ServiceParameters {
        maximum_login_time: Duration::ZERO,
        default_user_locale: "no tag".into(),
        ..ServiceParameters::default()
    };
    let expected = [("maximum_login_time".to_owned(), "SP-2"), ("default_user_locale".to_owned(), "")];
    assert_eq!(broken(&Resource::ServiceParameters(parameters)), expected);
}

proptest! {
    #[test]
    fn cc_4_holds_exactly_when_1_is_at_most_busy_trigger_is_at_most_maximum_calls(max_calls in 0u32..6, busy_trigger in 0u32..6) {
        let found = broken_settings(|s| {
            s.lines = vec![normal("2001"), normal("2002")];
            s.lines[1].appearance = LineAppearance { label: String::new(), max_calls, busy_trigger };
        });
        prop_assert_eq!(found.is_empty(), 1 <= busy_trigger && busy_trigger <= max_calls);
        prop_assert!(found.iter().all(|(field, rule)| *rule == "CC-4" && field.starts_with("settings.lines[1].")));
    }

    #[test]
    fn any_profile_of_sound_lines_and_speed_dials_is_let_through(lines in any_lines(), dials in any_speed_dials()) {
        let found = broken_settings(|s| {
            s.lines = lines;
            s.lines.insert(0, normal("2001"));
            for line in &mut s.lines {
                line.appearance.busy_trigger = line.appearance.busy_trigger.min(line.appearance.max_calls);
            }
            s.speed_dials = dials;
        });
        prop_assert_eq!(found, []);
    }

    #[test]
    fn ll_8_as_many_violations_as_missing_lines(missing in prop::collection::vec(any::<bool>(), 0..30)) {
        let found = broken_settings(|s| {
            s.lines = missing.iter().enumerate()
                .map(|(index, missing)| normal(&format!("{}{index:03}", if *missing { 9 } else { 2 })))
                .collect();
        });
        prop_assert_eq!(found.len(), missing.iter().filter(|missing| **missing).count());
        prop_assert!(found.iter().all(|(_, rule)| *rule == "LL-8"));
    }
}
