//! What a rendering takes from the records around phone and profile: DP-6, DP-12, DP-21, DP-22, LL-7, LL-9, LI-14.

use proptest::prelude::*;

use super::fixture::{
    any_lines, any_speed_dials, default_profile, device_pool, dial, line, line_template, logout_profile,
    made_for, model, phone, phone_template, presence_group, profile, profile_of_me, sip,
};
use super::*;
use crate::directory::{Key, Line, PhoneTemplate, Resource};
use crate::parameters::ServiceParameters;
use crate::settings::{LineAppearance, LineKind, ProfileLine, SpeedDial};

fn around(records: impl IntoIterator<Item = Resource>) -> Around {
    let mut around = Around::default();
    records.into_iter().for_each(|record| around.add(record));
    around
}

fn login(phone: &Phone, profile: &UserDeviceProfile, around: &Around) -> EffectiveConfiguration {
    let model = model(phone.model.as_str());
    let default = default_profile(phone.model.as_str());
    render_login(phone, model, None, profile, Some(&default), LogoutSource::OwnSettings, around).unwrap()
}

fn logout(phone: &Phone, source: LogoutSource<'_>, around: &Around) -> EffectiveConfiguration {
    render_logout(phone, model(phone.model.as_str()), source, around)
}

fn setting(configuration: &EffectiveConfiguration, field: &str) -> (String, Origin) {
    let found = configuration.settings.iter().find(|setting| setting.field == field).unwrap();
    (found.value.clone(), found.origin)
}

fn on_button(button: &EffectiveButton) -> Vec<(&str, Origin)> {
    button.settings.iter().map(|setting| (setting.value.as_str(), setting.origin)).collect()
}

fn off(configuration: &EffectiveConfiguration) -> Vec<(&str, &str)> {
    configuration.left_off.iter().map(|off| (off.what.as_str(), off.rule)).collect()
}

fn a_line(name: &str, change: impl FnOnce(&mut Line)) -> Resource {
    let mut line = Line::new(name.parse().unwrap());
    change(&mut line);
    Resource::Line(line)
}

fn pooled() -> (Phone, Resource) {
    let mut pool = device_pool("lobby");
    pool.user_locale = Some("fr-FR".into());
    pool.user_hold_audio_source = Some("1".into());
    pool.softkey_template = Some("Lobby".into());
    pool.region = Some("west".into());
    pool.emergency_numbers = vec!["112".into(), "911".into()];
    let phone = Phone { device_pool: Some(pool.name.clone()), ..phone("7960") };
    (phone, Resource::DevicePool(pool))
}

const OF_USER: [&str; 3] = ["user_locale", "user_hold_audio_source", "softkey_template"];

fn values(configuration: &EffectiveConfiguration) -> [(String, Origin); 3] {
    OF_USER.map(|field| setting(configuration, field))
}

fn all(values: [&str; 3], origin: Origin) -> [(String, Origin); 3] {
    values.map(|value| (value.to_owned(), origin))
}

#[test]
fn li_14_profile_then_device_pool_then_cluster() {
    let (mut phone, pool) = pooled();
    phone.settings.user_locale = Some("it-IT".into());
    let mut profile = made_for("me", "7960");
    let mut known = around([pool]);
    assert_eq!(values(&login(&phone, &profile, &known)), all(["fr-FR", "1", "Lobby"], Origin::DevicePool));

    known.device_pool = None;
    assert_eq!(values(&login(&phone, &profile, &known)), all(["en-US", "", ""], Origin::Cluster));
    known.parameters = ServiceParameters {
        default_user_locale: "de-AT".into(),
        default_user_hold_audio_source: Some("9".into()),
        default_softkey_template: Some("House".into()),
        ..ServiceParameters::default()
    };
    assert_eq!(values(&login(&phone, &profile, &known)), all(["de-AT", "9", "House"], Origin::Cluster));

    let settings = &mut profile.settings;
    settings.user_locale = Some("de-DE".into());
    settings.user_hold_audio_source = Some("2".into());
    settings.softkey_template = Some("mine".into());
    assert_eq!(values(&login(&phone, &profile, &known)), all(["de-DE", "2", "mine"], Origin::Profile));
}

#[test]
fn li_14_the_phones_own_values_stand_before_the_pools_where_nobody_is_logged_in() {
    let (mut phone, pool) = pooled();
    let known = around([pool]);
    let shared = logout_profile(1);
    let worn = logout(&phone, LogoutSource::Shared(&shared), &known);
    assert_eq!(values(&worn), all(["fr-FR", "1", "Lobby"], Origin::DevicePool));
    phone.settings.user_locale = Some("it-IT".into());
    phone.settings.user_hold_audio_source = Some("3".into());
    phone.settings.softkey_template = Some("Own".into());
    for source in [LogoutSource::Shared(&shared), LogoutSource::OwnSettings] {
        assert_eq!(values(&logout(&phone, source, &known)), all(["it-IT", "3", "Own"], Origin::Phone));
    }
}

#[test]
fn li_7_the_locale_of_the_pool_is_what_a_login_changes_from() {
    let (phone, pool) = pooled();
    let known = around([pool]);
    let mut profile = made_for("me", "7960");
    assert_eq!(login(&phone, &profile, &known).change, Change::Restart);
    profile.settings.user_locale = Some("en-US".into());
    assert_eq!(login(&phone, &profile, &known).change, Change::RestartThenReset);
}

#[test]
fn dp_22_what_belongs_to_the_place_comes_from_the_pool_whoever_is_logged_in() {
    let (phone, pool) = pooled();
    let known = around([pool]);
    for worn in [login(&phone, &profile_of_me(), &known), logout(&phone, LogoutSource::OwnSettings, &known)] {
        assert_eq!(setting(&worn, "region"), ("west".into(), Origin::DevicePool));
        assert_eq!(setting(&worn, "geolocation"), (String::new(), Origin::DevicePool));
        assert_eq!(worn.emergency_numbers, ["112", "911"]);
    }
    assert!(login(&phone, &profile_of_me(), &Around::default()).emergency_numbers.is_empty());
}

#[test]
fn dp_6_the_snapshot_is_worn_and_not_what_the_phone_was_given_since() {
    let mut phone = phone("7960");
    phone.settings.lines = vec![line(LineKind::Normal, &["1000"])];
    phone.autogenerated = Some(phone.settings.clone());
    phone.settings.lines = vec![line(LineKind::Normal, &["2000"])];
    phone.settings.user_locale = Some("de-DE".into());
    let worn = logout(&phone, LogoutSource::OwnSettings, &Around::default());
    assert_eq!(worn.lines(), ["1000".parse().unwrap()]);
    assert_eq!(setting(&worn, "user_locale"), ("en-US".into(), Origin::Cluster));
    phone.autogenerated = None;
    let worn = logout(&phone, LogoutSource::OwnSettings, &Around::default());
    assert_eq!(worn.lines(), ["2000".parse().unwrap()], "without one, its own settings");
}

fn agents_phone_template() -> PhoneTemplate {
    PhoneTemplate {
        phone_button_template: Some("Agent buttons".into()),
        softkey_template: Some("Agent softkeys".into()),
        feature_buttons: vec![FeatureButton::Hold, FeatureButton::MeetMe],
        ..phone_template("agents")
    }
}

#[test]
fn dp_21_a_phone_template_fills_what_the_profile_leaves_empty() {
    let template = agents_phone_template();
    let mut profile = profile_of_me();
    profile.settings.phone_template = Some(template.name.clone());
    let known = around([Resource::PhoneTemplate(template)]);
    let worn = login(&phone("7960"), &profile, &known);
    assert_eq!(setting(&worn, "phone_button_template"), ("Agent buttons".into(), Origin::PhoneTemplate));
    assert_eq!(setting(&worn, "softkey_template"), ("Agent softkeys".into(), Origin::PhoneTemplate));
    assert_eq!(worn.feature_buttons, [FeatureButton::Hold, FeatureButton::MeetMe]);
    assert_eq!(worn.feature_buttons_origin, Origin::PhoneTemplate);
    let on_sip = login(&sip(phone("7970")), &profile, &known);
    assert_eq!(on_sip.feature_buttons, [FeatureButton::Hold], "LL-6 holds for it too");

    profile.settings.softkey_template = Some("Mine".into());
    profile.settings.feature_buttons = vec![FeatureButton::Park];
    let worn = login(&phone("7960"), &profile, &known);
    assert_eq!(setting(&worn, "softkey_template"), ("Mine".into(), Origin::Profile));
    assert_eq!(
        (worn.feature_buttons, worn.feature_buttons_origin),
        (vec![FeatureButton::Park], Origin::Profile)
    );
}

#[test]
fn dp_21_and_li_5_templates_of_a_profile_for_another_model_stay_off() {
    let template = agents_phone_template();
    let mut profile = made_for("me", "7970");
    profile.settings.phone_template = Some(template.name.clone());
    profile.settings.feature_buttons = vec![FeatureButton::Park];
    profile.settings.lines = vec![templated("2001", 0, 0)];
    let known = around([
        Resource::PhoneTemplate(template),
        Resource::LineTemplate(line_template("agents", "Queue", 4, 2)),
        a_line("2001", |line| line.display_name = "Ann".into()),
    ]);
    let worn = login(&phone("7960"), &profile, &known);
    assert_eq!(setting(&worn, "softkey_template").1, Origin::DefaultDeviceProfile);
    assert_eq!(
        on_button(&worn.buttons[0]),
        [("Ann", Origin::Line), ("2", Origin::Cluster), ("1", Origin::Cluster)]
    );
    assert_eq!(
        off(&worn),
        [
            ("phone template \"agents\"", "LI-5"),
            ("feature button park", "LI-5"),
            ("line settings of 2001", "LI-5")
        ]
    );
}

fn templated(number: &str, max_calls: u32, busy_trigger: u32) -> ProfileLine {
    ProfileLine {
        appearance: LineAppearance { label: String::new(), max_calls, busy_trigger },
        template: Some("agents".parse().unwrap()),
        ..line(LineKind::Normal, &[number])
    }
}

#[test]
fn dp_21_a_line_template_fills_what_an_entry_leaves_to_it() {
    let mut profile = profile("me");
    profile.settings.lines = vec![templated("2001", 0, 3), line(LineKind::Normal, &["2002"])];
    let template = line_template("agents", "Queue", 4, 2);
    let worn = login(&phone("7960"), &profile, &around([Resource::LineTemplate(template)]));
    let (queue, four) = (("Queue", Origin::LineTemplate), ("4", Origin::LineTemplate));
    assert_eq!(on_button(&worn.buttons[0]), [queue, four, ("3", Origin::Profile)]);
    let plain = [("", Origin::Cluster), ("2", Origin::Profile), ("1", Origin::Profile)];
    assert_eq!(on_button(&worn.buttons[1]), plain);
    let Carries::Line(entry) = &worn.buttons[0].carries else { panic!("a line") };
    assert_eq!(entry.appearance, LineAppearance { label: "Queue".into(), max_calls: 4, busy_trigger: 3 });

    let gone = login(&phone("7960"), &profile, &Around::default());
    assert_eq!(
        on_button(&gone.buttons[0])[1],
        ("2", Origin::Cluster),
        "its template was deleted a moment ago"
    );
}

#[test]
fn ll_7_the_name_of_a_line_stands_wherever_the_line_is_worn() {
    let mut own = line(LineKind::Normal, &["2001"]);
    own.appearance.label = "Mine".into();
    let mut profile = profile("me");
    profile.settings.lines = vec![own, line(LineKind::Overlay, &["2001", "2002"])];
    let mut shared = logout_profile(1);
    shared.settings.lines = vec![line(LineKind::Normal, &["2001"])];
    for name in ["Ann", "Bob"] {
        let known = around([a_line("2001", |line| line.display_name = name.into())]);
        let worn = login(&phone("7960"), &profile, &known);
        assert_eq!(on_button(&worn.buttons[0])[0], ("Mine", Origin::Profile), "its own label wins");
        assert_eq!(on_button(&worn.buttons[1])[0], (name, Origin::Line));
        let out = logout(&phone("7960"), LogoutSource::Shared(&shared), &known);
        assert_eq!(on_button(&out.buttons[0])[0], (name, Origin::Line));
    }
}

#[test]
fn ll_9_an_intercom_line_is_worn_on_its_default_phone_only() {
    let here = phone("7960");
    let elsewhere = Phone { name: "SEP0012DA8AC43D".parse().unwrap(), ..phone("7960") };
    let mut profile = profile("me");
    profile.settings.lines = vec![
        line(LineKind::Normal, &["2001"]),
        line(LineKind::Overlay, &["7001", "2002"]),
        line(LineKind::Normal, &["7001"]),
    ];
    let known = around([a_line("7001", |line| line.intercom_phone = Some(here.name.clone()))]);
    let worn = login(&here, &profile, &known);
    assert_eq!((worn.buttons.len(), worn.left_off.len()), (3, 0));
    let worn = login(&elsewhere, &profile, &known);
    let lines: Vec<String> = worn.lines().iter().map(LineName::to_string).collect();
    assert_eq!(lines, ["2001", "2002"]);
    assert_eq!(off(&worn), [("intercom line 7001", "LL-9"), ("intercom line 7001", "LL-9")]);
    assert!(worn.left_off[0].reason.contains(here.name.as_str()));
}

fn lamp(tag: u32, number: &str) -> SpeedDial {
    SpeedDial { busy_lamp: true, ..dial(tag, number) }
}

fn lamps(configuration: &EffectiveConfiguration) -> Vec<bool> {
    let lit = |button: &EffectiveButton| match &button.carries {
        Carries::SpeedDial(dial) => Some(dial.busy_lamp),
        Carries::Line(_) => None,
    };
    configuration.buttons.iter().filter_map(lit).collect()
}

#[test]
fn dp_12_a_busy_lamp_shows_only_what_the_profiles_presence_group_may_see() {
    let managers = Some("managers".parse().unwrap());
    let mut profile = profile("me");
    profile.settings.speed_dials =
        vec![lamp(1, "3001"), lamp(2, "3002"), dial(3, "3001"), lamp(4, "5550100")];
    let mut known = around([
        a_line("3001", |line| line.presence_group = managers),
        a_line("3002", |_| {}),
        Resource::PresenceGroup(presence_group("agents", &["standard"])),
    ]);
    let worn = login(&phone("7960"), &profile, &known);
    assert_eq!(lamps(&worn), [false, true, false, true], "a number outside the directory is in `standard`");
    assert_eq!(off(&worn), [("busy lamp of speed dial 1 (3001)", "DP-12")]);
    assert_eq!(worn.left_off[0].reason, "presence group \"standard\" may not see the lines of \"managers\"");

    profile.settings.presence_group = Some("agents".parse().unwrap());
    assert_eq!(lamps(&login(&phone("7960"), &profile, &known)), [false, true, false, true]);
    known.add(Resource::PresenceGroup(presence_group("agents", &["managers"])));
    let worn = login(&phone("7960"), &profile, &known);
    assert_eq!(lamps(&worn), [true, false, false, false]);
    assert_eq!(setting(&worn, "presence_group"), ("agents".into(), Origin::Profile));
}

#[test]
fn dp_12_a_lamp_that_finds_no_button_is_not_named_twice() {
    let mut profile = profile_of_me();
    profile.settings.speed_dials = vec![lamp(1, "3001")];
    let managers = Some("managers".parse().unwrap());
    let known = around([a_line("3001", |line| line.presence_group = managers)]);
    assert_eq!(off(&login(&phone("7960"), &profile, &known)), [("speed dial 1 (3001)", "LL-2")]);
}

#[test]
fn li_6_a_rendering_says_what_it_looks_into() {
    let (phone, _) = pooled();
    let mut profile = profile("me");
    profile.settings.lines = vec![templated("2001", 0, 0)];
    profile.settings.phone_template = Some("agents".parse().unwrap());
    profile.settings.presence_group = Some("desk".parse().unwrap());
    profile.settings.speed_dials = vec![dial(1, "3001")];
    let keys = |profile: &UserDeviceProfile| -> Vec<String> {
        looks_into(&phone, [&profile.settings]).iter().map(Key::to_string).collect()
    };
    let without = ["device-pool lobby", "phone-template agents", "line-template agents", "line 2001"];
    assert_eq!(keys(&profile), without);
    profile.settings.speed_dials = vec![lamp(1, "3001")];
    assert!(keys(&profile).ends_with(&[
        "presence-group desk".into(),
        "line 2001".into(),
        "line 3001".into()
    ]));
}

proptest! {
    #[test]
    fn dp_21_ll_9_and_dp_12_everything_stands_on_a_button_or_is_left_off_by_name(
        lines in any_lines(), dials in any_speed_dials(), intercom in prop::collection::vec(any::<bool>(), 20),
        hidden in any::<bool>(), template in (0u32..5, 0u32..5),
    ) {
        let elsewhere: PhoneName = "SEP0012DA8AC43D".parse().unwrap();
        let mut profile = profile("me");
        profile.settings.lines = lines;
        profile.settings.speed_dials = dials.into_iter().map(|dial| SpeedDial { busy_lamp: true, ..dial }).collect();
        let mut known = around([Resource::LineTemplate(line_template("agents", "Queue", template.0, template.1))]);
        for (index, entry) in profile.settings.lines.iter_mut().enumerate() {
            entry.template = Some("agents".parse().unwrap());
            let home = intercom[index].then(|| elsewhere.clone());
            known.add(a_line(entry.lines[0].as_str(), |line| line.intercom_phone = home));
        }
        for dial in &profile.settings.speed_dials {
            let group = hidden.then(|| "hidden".parse().unwrap());
            known.add(a_line(&dial.number, |line| line.presence_group = group));
        }
        let worn = login(&phone("7970"), &profile, &known);
        let count = |rule: &str| worn.left_off.iter().filter(|off| off.rule == rule).count();
        let gone = profile.settings.lines.iter().zip(&intercom)
            .filter(|(entry, away)| **away && entry.lines.len() == 1).count();
        let brought = profile.settings.lines.len() + profile.settings.speed_dials.len();
        prop_assert_eq!(worn.buttons.len() + gone + count("LL-2"), brought);
        prop_assert_eq!(count("LL-9"), intercom[..profile.settings.lines.len()].iter().filter(|away| **away).count());
        prop_assert_eq!(lamps(&worn).iter().filter(|lit| !**lit).count(), count("DP-12"));
        prop_assert_eq!(count("DP-12") > 0, hidden && !lamps(&worn).is_empty());
        for button in &worn.buttons {
            if let Carries::Line(entry) = &button.carries {
                prop_assert!(entry.appearance.max_calls > 0 && entry.appearance.busy_trigger > 0);
                let shown: Vec<_> = button.settings.iter().map(|setting| setting.field).collect();
                prop_assert_eq!(shown, ["label", "max_calls", "busy_trigger"]);
            }
        }
    }
}
