//! Every field that has limits: taken at them, refused one below the least and one above the most, by its path and its
//! rule. A new bounded field is one more line in these tables.

mod records;

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::*;
use crate::directory::{Kind, LineCapacity};
use crate::name::{ClusterId, PrincipalName, ProfileName, RecordName, RequestId, SessionId, UserId};
use crate::parameters::{ClearCallLogs, ContactCentrePolicy, MultipleLogin, OccupiedPhone, TimeOfDay};
use crate::render::fixture::{default_profile, dial, line, logout_profile, phone, profile, user};
use crate::settings::{
    CallBlockingPin, LineAppearance, LineKind, ProfileLine, ServiceSubscription, SpeedDial,
};

/// A field of a resource, and how far it goes.
struct Bound {
    field: String,
    /// The rule that refuses what is below, and the one that refuses what is above.
    rules: [&'static str; 2],
    limits: RangeInclusive<usize>,
    /// The resource with the field that long, that many or that much.
    with: Box<dyn Fn(usize) -> Resource>,
}

fn bound(
    field: &str,
    rule: &'static str,
    limits: RangeInclusive<usize>,
    with: impl Fn(usize) -> Resource + 'static,
) -> Bound {
    Bound { field: field.to_owned(), rules: [rule; 2], limits, with: Box::new(with) }
}

fn broken(resource: &Resource) -> Vec<(String, &'static str)> {
    let found = check(resource, Catalogue::builtin(), &|_: &LineName| Some(LineCapacity::Dual));
    found.into_iter().map(|violation| (violation.field, violation.rule)).collect()
}

fn hold(bounds: impl IntoIterator<Item = Bound>) {
    for Bound { field, rules, limits, with } in bounds {
        let (least, most) = (*limits.start(), *limits.end());
        for within in [least, most] {
            let resource = with(within);
            assert_eq!(broken(&resource), [], "{field} of {} at {within}", resource.key());
        }
        let beyond = [least.checked_sub(1), Some(most + 1)];
        for (beyond, rule) in beyond.into_iter().zip(rules).filter_map(|(n, rule)| Some((n?, rule))) {
            let resource = with(beyond);
            let found = broken(&resource);
            let named = found.contains(&(field.clone(), rule));
            assert!(named, "{field} of {} at {beyond}: {found:?}", resource.key());
        }
    }
}

fn x(length: usize) -> String {
    "x".repeat(length)
}

/// A language tag of that many characters.
fn locale(length: usize) -> String {
    let mut tag = "e".repeat(length.min(8));
    while tag.len() < length {
        let room = length - tag.len();
        tag = format!("{tag}-{}", "1".repeat(if room == 10 { 7 } else { (room - 1).min(8) }));
    }
    tag
}

/// That many numbers, each another.
fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("{}", 2000 + number))
}

fn minutes(count: usize) -> Duration {
    Duration::from_secs(count as u64 * 60)
}

fn teams(count: usize) -> Vec<RecordName> {
    numbered(count).map(|name| name.parse().unwrap()).collect()
}

fn of_user(change: impl Fn(&mut User, usize) + 'static) -> impl Fn(usize) -> Resource {
    move |n| {
        let mut user = user(&[]);
        change(&mut user, n);
        Resource::User(user)
    }
}

fn of_parameters(change: impl Fn(&mut ServiceParameters, usize) + 'static) -> impl Fn(usize) -> Resource {
    move |n| {
        let mut parameters = ServiceParameters::default();
        change(&mut parameters, n);
        Resource::ServiceParameters(parameters)
    }
}

/// The same bound on the settings of every resource that has settings.
fn of_settings(
    field: &str,
    rules: [&'static str; 2],
    limits: RangeInclusive<usize>,
    change: fn(&mut DeviceSettings, usize),
) -> Vec<Bound> {
    let carriers: [fn() -> Resource; 4] = [
        || Resource::UserDeviceProfile(profile("p")),
        || Resource::DefaultDeviceProfile(default_profile("7960")),
        || Resource::LogoutProfile(logout_profile(1)),
        || Resource::Phone(phone("7960")),
    ];
    let bounds = carriers.into_iter().map(|carrier| Bound {
        field: format!("settings.{field}"),
        rules,
        limits: limits.clone(),
        with: Box::new(move |n| {
            let mut resource = carrier();
            match &mut resource {
                Resource::UserDeviceProfile(profile) => change(&mut profile.settings, n),
                Resource::DefaultDeviceProfile(profile) => change(&mut profile.settings, n),
                Resource::LogoutProfile(profile) => change(&mut profile.settings, n),
                Resource::Phone(phone) => change(&mut phone.settings, n),
                other => panic!("{} has no settings", other.key()),
            }
            resource
        }),
    });
    bounds.collect()
}

/// Settings with one line of that appearance.
fn appear(settings: &mut DeviceSettings, appearance: LineAppearance) {
    settings.lines = vec![ProfileLine { appearance, ..line(LineKind::Normal, &["2001"]) }];
}

fn service(name: String, url: String) -> ServiceSubscription {
    ServiceSubscription { name, url, parameters: Default::default(), definition: None }
}

const WEB: &str = "http://";

#[test]
fn texts_of_every_resource_hold_their_limits() {
    hold([
        bound("description", "", 0..=128, |n| {
            Resource::Line(Line { description: x(n), ..Line::new("2001".parse().unwrap()) })
        }),
        bound("display_name", "", 0..=50, |n| {
            Resource::Line(Line { display_name: x(n), ..Line::new("2001".parse().unwrap()) })
        }),
        bound("calling_search_space", "", 0..=50, |n| {
            let space = Some(x(n));
            Resource::Line(Line { calling_search_space: space, ..Line::new("2001".parse().unwrap()) })
        }),
        bound("description", "", 0..=128, |n| {
            Resource::UserDeviceProfile(UserDeviceProfile { description: x(n), ..profile("p") })
        }),
        bound("cross_cluster_calling_search_space", "", 0..=50, |n| {
            let space = Some(x(n));
            Resource::UserDeviceProfile(UserDeviceProfile {
                cross_cluster_calling_search_space: space,
                ..profile("p")
            })
        }),
        bound("applications", "", 0..=50, |n| {
            let applications = numbered(n).map(|name| name.parse().unwrap()).collect();
            Resource::UserDeviceProfile(UserDeviceProfile { applications, ..profile("p") })
        }),
        bound("description", "", 0..=128, |n| {
            Resource::DefaultDeviceProfile(DefaultDeviceProfile {
                description: x(n),
                ..default_profile("7960")
            })
        }),
        bound("description", "", 0..=128, |n| {
            Resource::LogoutProfile(LogoutProfile { description: x(n), ..logout_profile(1) })
        }),
        bound("description", "", 0..=128, |n| Resource::Phone(Phone { description: x(n), ..phone("7960") })),
    ]);
}

#[test]
fn dp_5_and_sp_20_every_field_of_a_user_holds_its_limits() {
    hold([
        bound("display_name", "", 0..=128, of_user(|user, n| user.display_name = x(n))),
        bound(
            "profiles",
            "DP-5",
            0..=50,
            of_user(|user, n| user.profiles = numbered(n).map(|name| name.parse().unwrap()).collect()),
        ),
        bound(
            "maximum_login_time",
            "SP-20",
            60..=168 * 3600,
            of_user(|user, n| {
                user.maximum_login_time = UserLoginTime::AtMost(Duration::from_secs(n as u64));
            }),
        ),
        bound("user_locale", "", 2..=35, of_user(|user, n| user.user_locale = Some(locale(n)))),
        bound("self_service_id", "", 0..=128, of_user(|user, n| user.self_service_id = Some(x(n)))),
        bound("teams", "", 0..=50, of_user(|user, n| user.teams = teams(n))),
        bound("supervised_teams", "", 0..=50, of_user(|user, n| user.supervised_teams = teams(n))),
    ]);
}

#[test]
fn sp_2_sp_3_sp_4_and_sp_10_hold_their_limits() {
    hold([
        bound(
            "maximum_login_time",
            "SP-2",
            1..=168 * 60,
            of_parameters(|p, n| p.maximum_login_time = minutes(n)),
        ),
        bound(
            "inter_cluster_maximum_login_time",
            "SP-3",
            0..=168 * 60,
            of_parameters(|p, n| p.inter_cluster_maximum_login_time = minutes(n)),
        ),
        bound(
            "maximum_concurrent_requests",
            "SP-4",
            0..=100,
            of_parameters(|p, n| p.maximum_concurrent_requests = n as u32),
        ),
        bound(
            "daily_logout_times",
            "SP-10",
            0..=3,
            of_parameters(|p, n| p.daily_logout_times = vec!["24:00".parse().unwrap(); n]),
        ),
        bound("default_user_locale", "", 2..=35, of_parameters(|p, n| p.default_user_locale = locale(n))),
    ]);
}

#[test]
fn sp_2_and_sp_3_are_whole_minutes() {
    for odd in [Duration::from_secs(61), minutes(1) + Duration::from_nanos(1)] {
        let parameters = ServiceParameters { maximum_login_time: odd, ..Default::default() };
        assert_eq!(
            broken(&Resource::ServiceParameters(parameters)),
            [("maximum_login_time".to_owned(), "SP-2")]
        );
        let parameters = ServiceParameters { inter_cluster_maximum_login_time: odd, ..Default::default() };
        let field = "inter_cluster_maximum_login_time".to_owned();
        assert_eq!(broken(&Resource::ServiceParameters(parameters)), [(field, "SP-3")]);
    }
}

#[test]
fn dp_2_dp_3_and_dp_14_settings_hold_their_limits_wherever_they_stand() {
    let text = ["", ""];
    hold(of_settings("user_locale", text, 2..=35, |s, n| s.user_locale = Some(locale(n))));
    hold(of_settings("user_hold_audio_source", text, 0..=50, |s, n| s.user_hold_audio_source = Some(x(n))));
    hold(of_settings("phone_button_template", text, 0..=50, |s, n| s.phone_button_template = Some(x(n))));
    hold(of_settings("softkey_template", text, 0..=50, |s, n| s.softkey_template = Some(x(n))));
    hold(of_settings("expansion_modules", ["DP-2"; 2], 0..=2, |s, n| {
        s.expansion_modules = vec!["7914".into(); n];
    }));
    hold(of_settings("mlpp.domain", ["DP-3"; 2], 0..=6, |s, n| s.mlpp.domain = "F".repeat(n)));
    hold(of_settings("call_blocking_pin", ["DP-14"; 2], 4..=8, |s, n| {
        s.call_blocking_pin = Some(CallBlockingPin("1".repeat(n)));
    }));
    hold(of_settings("idle_limit", ["DP-14"; 2], 1..=9999, |s, n| s.idle_limit_minutes = Some(n as u32)));
}

#[test]
fn dp_2_ll_3_and_cc_4_lines_hold_their_limits_wherever_they_stand() {
    let mut entries = of_settings("lines", ["DP-2"; 2], 0..=100, |s, n| {
        s.lines = numbered(n).map(|number| line(LineKind::Normal, &[&number])).collect();
    });
    for bound in entries.iter_mut().filter(|bound| (bound.with)(1).key().kind == Kind::LogoutProfile) {
        (bound.rules, bound.limits) = (["DP-8", "DP-2"], 1..=100);
    }
    hold(entries);
    hold(of_settings("lines[0].lines", ["LL-3"; 2], 1..=25, |s, n| {
        let numbers: Vec<String> = numbered(n).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        s.lines = vec![line(LineKind::Overlay, &numbers)];
    }));
    hold(of_settings("lines[0].label", ["", ""], 0..=32, |s, n| {
        appear(s, LineAppearance { label: "ü".repeat(n), ..Default::default() });
    }));
    hold(of_settings("lines[0].busy_trigger", ["CC-4"; 2], 1..=3, |s, n| {
        appear(s, LineAppearance { max_calls: 3, busy_trigger: n as u32, ..Default::default() });
    }));
    for resource in ["lines[0].max_calls", "lines[0].busy_trigger"] {
        let mut profile = profile("p");
        appear(&mut profile.settings, LineAppearance { max_calls: 0, busy_trigger: 0, ..Default::default() });
        let found = broken(&Resource::UserDeviceProfile(profile));
        assert!(found.contains(&(format!("settings.{resource}"), "CC-4")), "{found:?}");
    }
}

#[test]
fn dp_12_speed_dials_hold_their_limits_wherever_they_stand() {
    hold(of_settings("speed_dials", ["DP-12"; 2], 0..=36, |s, n| {
        s.speed_dials = (1..=n as u32).map(|tag| dial(tag, "1")).collect();
    }));
    hold(of_settings("speed_dials[0].tag", ["DP-12"; 2], 1..=36, |s, n| {
        s.speed_dials = vec![dial(n as u32, "1")];
    }));
    hold(of_settings("speed_dials[0].number", ["DP-12"; 2], 1..=32, |s, n| {
        s.speed_dials = vec![dial(1, &"+".repeat(n))];
    }));
    hold(of_settings("speed_dials[0].label", ["", ""], 0..=32, |s, n| {
        s.speed_dials = vec![SpeedDial { label: x(n), ..dial(1, "1") }];
    }));
}

#[test]
fn dp_11_services_hold_their_limits_wherever_they_stand() {
    hold(of_settings("services", ["DP-11"; 2], 0..=100, |s, n| {
        s.services = numbered(n).map(|name| service(name, format!("{WEB}a"))).collect();
    }));
    hold(of_settings("services[0].name", ["DP-11", ""], 1..=32, |s, n| {
        s.services = vec![service(x(n), format!("{WEB}a"))];
    }));
    hold(of_settings("services[0].url", ["DP-11", ""], WEB.len() + 1..=255, |s, n| {
        s.services = vec![service("a".into(), format!("{WEB}{}", x(n - WEB.len())))];
    }));
}

#[test]
fn language_tags_have_subtags_of_1_to_8_letters_and_digits_and_begin_with_letters() {
    hold([bound(
        "default_user_locale",
        "",
        1..=8,
        of_parameters(|p, n| {
            p.default_user_locale = format!("en-{}", "1".repeat(n));
        }),
    )]);
    for bad in ["e1", "1n", "en_US", "en-ü", "en-U.S", "-en", "en-", "", "é-US"] {
        let parameters = ServiceParameters { default_user_locale: bad.into(), ..Default::default() };
        assert_eq!(broken(&Resource::ServiceParameters(parameters)).len(), 1, "{bad:?}");
    }
}

fn is_taken_at<T: FromStr>(limits: RangeInclusive<usize>, of_length: impl Fn(usize) -> String) {
    let what = std::any::type_name::<T>();
    for within in [*limits.start(), *limits.end()] {
        assert!(of_length(within).parse::<T>().is_ok(), "{what} at {within}");
    }
    for beyond in [limits.start() - 1, limits.end() + 1] {
        assert!(of_length(beyond).parse::<T>().is_err(), "{what} at {beyond}");
    }
}

#[test]
fn dp_1_dp_16_and_sp_6_names_hold_their_limits() {
    is_taken_at::<ClusterId>(1..=32, x);
    is_taken_at::<UserId>(1..=128, x);
    is_taken_at::<PrincipalName>(1..=128, x);
    is_taken_at::<ProfileName>(1..=50, x);
    is_taken_at::<LineName>(1..=32, |n| "1".repeat(n));
    is_taken_at::<LineName>(1..=50, |n| format!("1@{}", x(n)));
    is_taken_at::<ModelName>(1..=32, x);
    is_taken_at::<RecordName>(1..=50, x);
    is_taken_at::<SessionId>(26..=26, |n| "0".repeat(n));
    is_taken_at::<RequestId>(1..=64, x);
}

#[test]
fn sp_10_a_day_has_the_minutes_from_00_00_to_24_00() {
    for (text, minutes) in [("00:00", 0), ("23:59", 1439), ("24:00", 1440)] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().minutes(), minutes);
    }
    for bad in ["24:01", "25:00", "00:60", "12:99", "9:00", "09:0", "0900", "-1:00", "+1:00", "09:00:00", ""]
    {
        assert!(bad.parse::<TimeOfDay>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_tag_of_each_length_has_that_length() {
    for length in 1..=40 {
        assert_eq!(locale(length).len(), length);
    }
}

/// SP-1, SP-2, SP-3, SP-4, SP-5, SP-6, SP-7, SP-8, SP-10, SP-13.
#[test]
fn a_new_cluster_has_the_parameters_that_administrators_know() {
    let defaults = ServiceParameters::default();
    assert!(!defaults.enforce_maximum_login_time);
    assert_eq!(defaults.maximum_login_time, minutes(8 * 60));
    assert_eq!(defaults.inter_cluster_maximum_login_time, minutes(10 * 60));
    assert_eq!(defaults.maximum_concurrent_requests, 0);
    assert_eq!(defaults.multiple_login, MultipleLogin::NotAllowed);
    assert!(defaults.alphanumeric_user_id);
    assert!(!defaults.remember_last_user);
    assert_eq!(defaults.clear_call_logs, ClearCallLogs::EveryLogout);
    assert_eq!(defaults.daily_logout_times, []);
    assert_eq!(defaults.occupied_phone, OccupiedPhone::OnRequest);
    assert_eq!(defaults.contact_centre_policy, ContactCentrePolicy::Reject);
}
