//! LI-4 to LI-7, LI-14 and LI-15 at a login, and what the user `me` wears where.

use proptest::prelude::*;

use super::fixture::{
    any_lines, any_speed_dials, default_profile, line, made_for, model, phone, profile, profile_of_me, sip,
};
use super::*;
use crate::settings::{CallBlockingPin, LineAppearance, LineKind, MlppPreemption, Privacy};

fn render(phone: &Phone, profile: &UserDeviceProfile) -> EffectiveConfiguration {
    render_with(phone, profile, None).unwrap()
}

fn render_with(
    phone: &Phone,
    profile: &UserDeviceProfile,
    default: Option<&DefaultDeviceProfile>,
) -> Result<EffectiveConfiguration, NoDefaultDeviceProfile> {
    let model = model(phone.model.as_str());
    let user = "me".parse().unwrap();
    render_login(phone, model, Some(&user), profile, default, LogoutSource::OwnSettings, &Around::default())
}

fn buttons(configuration: &EffectiveConfiguration) -> Vec<String> {
    let carried = configuration.buttons.iter().map(|button| match &button.carries {
        Carries::Line(line) => crate::layout::joined(&line.lines),
        Carries::SpeedDial(dial) => dial.number.clone(),
    });
    carried.collect()
}

fn setting(configuration: &EffectiveConfiguration, field: &str) -> (String, Origin) {
    let found = configuration.settings.iter().find(|setting| setting.field == field);
    found.map(|setting| (setting.value.clone(), setting.origin)).unwrap()
}

fn off(configuration: &EffectiveConfiguration) -> Vec<(&str, &str)> {
    configuration.left_off.iter().map(|off| (off.what.as_str(), off.rule)).collect()
}

const SIX: [&str; 6] = ["2001", "2002", "2003", "2004", "2005+2006", "2007+2008"];

#[test]
fn me_on_a_7960_wears_six_lines_and_is_told_of_both_speed_dials() {
    let worn = render(&phone("7960"), &profile_of_me());
    assert_eq!(buttons(&worn), SIX);
    assert_eq!(off(&worn), [("speed dial 1 (3001)", "LL-2"), ("speed dial 2 (3002)", "LL-2")]);
    assert_eq!((worn.worn_kind, worn.worn_name.as_str()), (WornKind::UserDeviceProfile, "me"));
    assert_eq!(worn.user_id.as_ref().map(UserId::as_str), Some("me"));
    let lines: Vec<String> = worn.lines().iter().map(LineName::to_string).collect();
    assert_eq!(lines, ["2001", "2002", "2003", "2004", "2005", "2006", "2007", "2008"]);
}

#[test]
fn me_on_a_7970_wears_the_same_six_and_both_speed_dials() {
    let worn = render(&phone("7970"), &profile_of_me());
    assert_eq!(buttons(&worn), [&SIX[..], &["3001", "3002"]].concat());
    assert!(worn.left_off.is_empty());
    assert!(worn.buttons.iter().all(|button| button.origin == Origin::Profile));
}

#[test]
fn me_on_a_sip_7970_wears_both_speed_dials_only() {
    let worn = render(&sip(phone("7970")), &profile_of_me());
    assert_eq!(buttons(&worn), ["3001", "3002"]);
    assert_eq!(worn.left_off.len(), 6);
    assert!(worn.left_off.iter().all(|off| off.rule == "LL-5"));
    assert!(worn.lines().is_empty());
}

#[test]
fn li_4_a_profile_of_the_phones_model_replaces_the_phones_settings_entirely() {
    let mut phone = phone("7960");
    phone.settings.phone_button_template = Some("the phone's".into());
    phone.settings.privacy = Privacy::On;
    phone.settings.lines = vec![line(LineKind::Normal, &["1000"])];
    phone.settings.feature_buttons = vec![FeatureButton::Hold];
    let mut profile = made_for("me", "7960");
    profile.settings.phone_button_template = Some("mine".into());
    let mut mine = line(LineKind::Normal, &["2000"]);
    mine.appearance = LineAppearance { label: "Desk".into(), max_calls: 4, busy_trigger: 2 };
    profile.settings.lines = vec![mine.clone()];

    let worn = render_with(&phone, &profile, Some(&default_profile("7960"))).unwrap();
    assert_eq!(worn.buttons[0].carries, Carries::Line(mine), "line settings are kept");
    assert_eq!(setting(&worn, "phone_button_template"), ("mine".into(), Origin::Profile));
    assert_eq!(setting(&worn, "privacy"), ("default".into(), Origin::Profile));
    assert!(worn.feature_buttons.is_empty());
    assert!(worn.left_off.is_empty());
}

fn of_another_model() -> UserDeviceProfile {
    let mut profile = made_for("me", "7970");
    let settings = &mut profile.settings;
    settings.lines = profile_of_me().settings.lines;
    settings.lines[4].appearance.max_calls = 4;
    settings.speed_dials = profile_of_me().settings.speed_dials;
    settings.phone_button_template = Some("Standard 7970".into());
    settings.softkey_template = Some("mine".into());
    settings.expansion_modules = vec!["7914".into()];
    settings.user_locale = Some("de-DE".into());
    settings.user_hold_audio_source = Some("2".into());
    settings.mlpp.preemption = MlppPreemption::Forceful;
    profile
}

#[test]
fn li_5_another_model_takes_the_users_part_from_the_profile_and_the_rest_from_the_default() {
    let worn = render_with(&phone("7960"), &of_another_model(), Some(&default_profile("7960"))).unwrap();
    assert_eq!(buttons(&worn), SIX, "numbers and their kinds are carried over");
    for button in &worn.buttons {
        let Carries::Line(line) = &button.carries else { panic!("a line") };
        assert_eq!(line.appearance, LineAppearance::default(), "per-device line settings are not");
    }
    assert_eq!(setting(&worn, "user_locale"), ("de-DE".into(), Origin::Profile));
    assert_eq!(setting(&worn, "user_hold_audio_source"), ("2".into(), Origin::Profile));
    let default = Origin::DefaultDeviceProfile;
    assert_eq!(setting(&worn, "phone_button_template"), ("Standard 7960".into(), default));
    assert_eq!(setting(&worn, "softkey_template"), ("Default softkeys".into(), default));
    assert_eq!(setting(&worn, "expansion_modules"), (String::new(), default));
    assert_eq!(setting(&worn, "mlpp.preemption"), ("default".into(), default));
    assert_eq!(
        off(&worn),
        [
            ("phone button template \"Standard 7970\"", "LI-5"),
            ("softkey template \"mine\"", "LI-5"),
            ("expansion module 7914", "LI-5"),
            ("line settings of 2005+2006", "LI-5"),
            ("speed dial 1 (3001)", "LL-2"),
            ("speed dial 2 (3002)", "LL-2"),
        ]
    );
}

#[test]
fn li_5_another_model_without_a_default_device_profile_is_refused() {
    let refused = render_with(&phone("7960"), &of_another_model(), None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the profile is made for another model, and 7960 has no default device profile (LI-5)"
    );
    assert!(render_with(&phone("7960"), &of_another_model(), Some(&default_profile("7911"))).is_err());
}

#[test]
fn li_5_the_defaults_module_is_worn_if_the_model_takes_one() {
    let mut default = default_profile("7960");
    default.settings.expansion_modules = vec!["7914".into(), "7916".into()];
    let worn = render_with(&phone("7960"), &of_another_model(), Some(&default)).unwrap();
    assert_eq!(setting(&worn, "expansion_modules"), ("7914".into(), Origin::DefaultDeviceProfile));
    assert_eq!(buttons(&worn).len(), 8, "20 buttons hold all of it");
    assert!(off(&worn).contains(&("expansion module 7916", "DP-4")));
}

fn service(name: &str, parameter: Option<&str>) -> ServiceSubscription {
    let parameters = parameter.map(|value| ("p".to_owned(), value.to_owned())).into_iter().collect();
    let url = format!("http://example.net/{name}");
    ServiceSubscription { name: name.into(), url, parameters, definition: None }
}

#[test]
fn li_5_services_are_the_profiles_with_the_defaults_parameters_or_the_defaults() {
    let mut default = default_profile("7960");
    default.settings.services = vec![service("news", Some("default"))];
    let mut profile = of_another_model();
    let worn = render_with(&phone("7960"), &profile, Some(&default)).unwrap();
    assert_eq!(
        (&worn.services, worn.services_origin),
        (&default.settings.services, Origin::DefaultDeviceProfile)
    );

    profile.settings.services = vec![service("news", Some("mine")), service("mail", None)];
    let worn = render_with(&phone("7960"), &profile, Some(&default)).unwrap();
    assert_eq!(worn.services, [service("news", Some("default")), service("mail", None)]);
    assert_eq!(worn.services_origin, Origin::Profile);
    assert!(off(&worn).contains(&("parameters of service \"news\"", "LI-5")));

    let worn = render_with(&phone("7970"), &profile, None).unwrap();
    assert_eq!(worn.services, profile.settings.services, "at its own model they are worn as they are");
    let mut none = profile;
    none.made_for = None;
    let worn = render_with(&phone("7910"), &none, None).unwrap();
    assert!(worn.services.is_empty());
    assert!(off(&worn).contains(&("service \"mail\"", "LI-5")), "a 7910 offers no services");
}

#[test]
fn li_6_every_setting_stands_there_once_and_says_where_it_came_from() {
    let worn = render(&phone("7960"), &profile_of_me());
    let fields: Vec<_> = worn.settings.iter().map(|setting| setting.field).collect();
    assert_eq!(
        fields,
        [
            "user_locale",
            "user_hold_audio_source",
            "phone_button_template",
            "softkey_template",
            "privacy",
            "ignore_presentation_indicators",
            "expansion_modules",
            "mlpp.domain",
            "mlpp.indication",
            "mlpp.preemption",
            "do_not_disturb.option",
            "do_not_disturb.on",
            "idle_limit",
            "privacy_button",
            "presence_group",
            "date_time_group",
            "region",
            "geolocation",
        ]
    );
    assert_eq!(setting(&worn, "idle_limit"), ("30 minutes".into(), Origin::Profile));
    assert_eq!(setting(&worn, "phone_button_template"), (String::new(), Origin::Model));
}

#[test]
fn li_7_another_locale_or_module_needs_a_reset() {
    let mut phone = phone("7960");
    let mut profile = made_for("me", "7960");
    assert_eq!(render(&phone, &profile).change, Change::Restart);
    profile.settings.user_locale = Some("en-US".into());
    assert_eq!(render(&phone, &profile).change, Change::Restart, "the cluster's default is en-US");
    profile.settings.user_locale = Some("de-DE".into());
    assert_eq!(render(&phone, &profile).change, Change::RestartThenReset);
    phone.settings.user_locale = Some("de-DE".into());
    assert_eq!(render(&phone, &profile).change, Change::Restart);
    phone.settings.expansion_modules = vec!["7914".into()];
    assert_eq!(render(&phone, &profile).change, Change::RestartThenReset);
    profile.settings.expansion_modules = vec!["7914".into()];
    assert_eq!(render(&phone, &profile).change, Change::Restart);
}

#[test]
fn li_7_a_profile_that_knows_no_model_leaves_the_phones_modules_on() {
    let mut phone = phone("7960");
    phone.settings.expansion_modules = vec!["7914".into()];
    let worn = render(&phone, &profile_of_me());
    assert_eq!(setting(&worn, "expansion_modules"), ("7914".into(), Origin::Phone));
    assert_eq!((buttons(&worn).len(), worn.change), (8, Change::Restart));
}

#[test]
fn li_14_a_model_whose_language_cannot_be_set_leaves_the_locale_off() {
    let mut profile = profile("me");
    profile.settings.user_locale = Some("de-DE".into());
    let worn = render(&phone("7936"), &profile);
    assert_eq!(setting(&worn, "user_locale"), (String::new(), Origin::Model));
    assert_eq!(off(&worn), [("user locale de-DE", "LI-14")]);
    assert_eq!(worn.change, Change::Restart, "the language stays what it is");
}

#[test]
fn li_15_privacy_and_the_like_follow_the_profile_while_somebody_is_logged_in() {
    let mut phone = phone("7960");
    phone.settings.privacy = Privacy::Off;
    phone.settings.mlpp.domain = "FF".into();
    let mut profile = profile("me");
    profile.settings.privacy = Privacy::On;
    profile.settings.ignore_presentation_indicators = true;
    profile.settings.do_not_disturb.on = true;
    let worn = render(&phone, &profile);
    for (field, value) in [
        ("privacy", "on"),
        ("ignore_presentation_indicators", "true"),
        ("do_not_disturb.on", "true"),
        ("mlpp.domain", ""),
    ] {
        assert_eq!(setting(&worn, field), (value.into(), Origin::Profile));
    }
}

#[test]
fn dp_4_modules_beyond_what_the_model_takes_are_left_off() {
    let mut profile = profile("me");
    profile.settings.expansion_modules = vec!["7914".into(); 3];
    let worn = render(&phone("7960"), &profile);
    assert_eq!(setting(&worn, "expansion_modules"), ("7914, 7914".into(), Origin::Profile));
    assert_eq!(worn.button_count, 6 + 2 * 14);
    assert_eq!(worn.left_off.len(), 1);
    assert_eq!(worn.left_off[0].reason, "a 7960 takes 2 modules at most");
    let worn = render(&phone("7911"), &profile);
    assert_eq!(worn.left_off[0].reason, "a 7911 does not take it");
}

#[test]
fn dp_14_the_call_blocking_pin_never_appears() {
    let mut profile = profile("me");
    profile.settings.call_blocking_pin = Some(CallBlockingPin("48151623".into()));
    assert!(!format!("{:?}", render(&phone("7960"), &profile)).contains("48151623"));
}

proptest! {
    #[test]
    fn li_5_and_ll_2_nothing_of_a_profile_is_lost_in_silence(
        lines in any_lines(), dials in any_speed_dials(), own in any::<bool>(), at in prop::sample::select(vec!["7960", "7911", "8851", "7931"]),
    ) {
        let mut profile = made_for("me", if own { at } else { "7970" });
        profile.settings.lines = lines;
        profile.settings.speed_dials = dials;
        let worn = render_with(&phone(at), &profile, Some(&default_profile(at))).unwrap();
        let lost = worn.left_off.iter().filter(|off| off.rule != "LI-5").count();
        prop_assert_eq!(worn.buttons.len() + lost, profile.settings.lines.len() + profile.settings.speed_dials.len());
        for button in &worn.buttons {
            if let Carries::Line(line) = &button.carries {
                let stored = profile.settings.lines.iter().find(|stored| stored.lines == line.lines).unwrap();
                prop_assert_eq!(line.kind, stored.kind);
                let expected = if own { stored.appearance.clone() } else { LineAppearance::default() };
                prop_assert_eq!(&line.appearance, &expected);
            }
        }
        prop_assert!(worn.settings.iter().all(|setting| own || setting.origin != Origin::Profile || setting.field == "idle_limit"));
    }
}

#[test]
fn li_13_nothing_that_the_phones_owner_has_set_up_is_offered_to_who_is_logged_in() {
    let mut owned = phone("7970");
    owned.owner = Some("boss".parse().unwrap());
    owned.settings.lines = vec![super::fixture::line(LineKind::Normal, &["1000"])];
    owned.settings.speed_dials = vec![super::fixture::dial(1, "9999")];
    owned.settings.feature_buttons = vec![crate::settings::FeatureButton::Mobility];
    owned.settings.user_hold_audio_source = Some("the owner's".into());
    owned.settings.softkey_template = Some("the owner's".into());
    owned.settings.phone_button_template = Some("the owner's".into());
    owned.settings.call_blocking_pin = Some(CallBlockingPin("271828".into()));
    owned.settings.privacy = Privacy::On;
    owned.settings.do_not_disturb.on = true;
    owned.settings.idle_limit_minutes = Some(1);
    let default = default_profile("7970");
    for (profile, default) in [(profile_of_me(), None), (made_for("me", "7960"), Some(&default))] {
        let here = render_with(&owned, &profile, default).unwrap();
        let anywhere = render_with(&phone("7970"), &profile, default).unwrap();
        assert_eq!(here, EffectiveConfiguration { change: here.change, ..anywhere });
    }
}
