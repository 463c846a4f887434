//! Each finding by its rule, and that a sound directory has none.

use super::*;
use crate::directory::{
    AddressingMode, AgentSettings, DevicePool, Line, LineCapacity, LineControl, LogoutChoice, Phone,
    PhoneServiceDefinition, UserDeviceProfile,
};
use crate::parameters::{ContactCentrePolicy, MultipleLogin};
use crate::render::fixture::{
    default_profile, device_pool, line, line_template, logout_profile, made_for, phone, profile, user,
};
use crate::settings::LineKind;
use crate::subscription::subscribe;

/// A directory in which everything is sound and used; tests break it.
struct Site {
    parameters: ServiceParameters,
    /// What lines and profiles may refer to.
    before: Vec<Resource>,
    lines: Vec<Line>,
    profiles: Vec<UserDeviceProfile>,
    others: Vec<Resource>,
    users: Vec<User>,
}

fn number(name: &str, capacity: LineCapacity) -> Line {
    Line { capacity, ..Line::new(name.parse().unwrap()) }
}

/// An agent's profile with these lines, the first of which is the ACD line.
fn agent(name: &str, control: LineControl, numbers: &[&str]) -> UserDeviceProfile {
    let mut profile = profile(name);
    profile.settings.lines = numbers.iter().map(|number| line(LineKind::Normal, &[number])).collect();
    profile.agent = Some(AgentSettings { line_control: control, acd_line: numbers[0].parse().unwrap() });
    profile
}

fn hard_phone() -> Phone {
    Phone { logout_choice: LogoutChoice::Shared(1.try_into().unwrap()), ..phone("7960") }
}

fn soft_phone() -> Phone {
    let name = "SEP000DEDAB3567".parse().unwrap();
    Phone { name, ..phone("ip-communicator") }
}

impl Site {
    fn sound() -> Self {
        Self {
            parameters: ServiceParameters { multiple_login: MultipleLogin::AutoLogout, ..Default::default() },
            before: Vec::new(),
            lines: vec![number("2001", LineCapacity::Dual), number("3001", LineCapacity::Dual)],
            profiles: vec![agent("me", LineControl::MultiLine, &["2001"])],
            others: vec![Resource::LogoutProfile(logout_profile(1)), Resource::Phone(hard_phone())],
            users: vec![user(&["me"])],
        }
    }

    fn lint(&self) -> Vec<LintFinding> {
        let mut lint = Lint::new(self.parameters.clone(), Catalogue::builtin());
        let lines = self.lines.iter().cloned().map(Resource::Line);
        let profiles = self.profiles.iter().cloned().map(Resource::UserDeviceProfile);
        let users = self.users.iter().cloned().map(Resource::User);
        let before = self.before.iter().cloned();
        for resource in before.chain(lines).chain(profiles).chain(self.others.iter().cloned()).chain(users) {
            lint.see(&resource);
        }
        lint.finish()
    }

    /// What is found when it is broken so: rule, resource, field.
    fn found(change: impl FnOnce(&mut Self)) -> Vec<(&'static str, String, String)> {
        let mut site = Self::sound();
        change(&mut site);
        site.lint().into_iter().map(|found| (found.rule, found.resource.to_string(), found.field)).collect()
    }

    /// The one thing that is found when it is broken so.
    fn only(change: impl FnOnce(&mut Self)) -> LintFinding {
        let mut site = Self::sound();
        change(&mut site);
        let mut found = site.lint();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

fn one(rule: &'static str, resource: &str, field: &str) -> Vec<(&'static str, String, String)> {
    vec![(rule, resource.to_owned(), field.to_owned())]
}

fn limits(found: &LintFinding) -> Vec<String> {
    found.fix.iter().map(|change| format!("{} {} {}", change.field, change.from, change.to)).collect()
}

#[test]
fn a_sound_directory_and_an_empty_one_have_no_findings() {
    assert_eq!(Site::found(|_| {}), []);
    let lint = Lint::new(ServiceParameters::default(), Catalogue::builtin());
    assert_eq!(lint.finish(), []);
}

#[test]
fn cc_2_a_stored_line_that_breaks_it_is_found_with_the_values_to_set() {
    let found = Site::only(|site| site.profiles[0].settings.lines[0].appearance.max_calls = 6);
    assert_eq!((found.rule, found.severity), ("CC-2", LintSeverity::Error));
    assert_eq!(limits(&found), ["settings.lines[0].max_calls 6 2"]);
    let found = Site::only(|site| {
        site.parameters.contact_centre_policy = ContactCentrePolicy::Warn;
        site.profiles[0].settings.lines[0].appearance.max_calls = 6;
    });
    assert_eq!(found.severity, LintSeverity::Warning);
}

#[test]
fn cc_3_a_stored_secondary_line_that_breaks_it_is_found_with_the_values_to_set() {
    let found = Site::only(|site| site.profiles[0] = agent("me", LineControl::SingleLine, &["2001", "3001"]));
    assert_eq!((found.rule, found.field.as_str()), ("CC-3", "settings.lines[1]"));
    assert_eq!(limits(&found), ["settings.lines[1].max_calls 2 4", "settings.lines[1].busy_trigger 1 2"]);
}

#[test]
fn cc_4_impossible_limits_are_set_to_the_nearest_possible_ones() {
    let broken = |max_calls, busy_trigger| {
        let mut site = Site::sound();
        site.profiles[0].agent = None;
        let appearance = &mut site.profiles[0].settings.lines[0].appearance;
        (appearance.max_calls, appearance.busy_trigger) = (max_calls, busy_trigger);
        let found = site.lint();
        assert!(found.iter().all(|found| found.rule == "CC-4" && found.severity == LintSeverity::Error));
        found.iter().flat_map(limits).collect::<Vec<_>>()
    };
    assert_eq!(broken(2, 3), ["settings.lines[0].busy_trigger 3 2"]);
    assert_eq!(broken(0, 0), ["settings.lines[0].busy_trigger 0 1", "settings.lines[0].max_calls 0 1"]);
    assert!(broken(2, 2).is_empty());
}

#[test]
fn cc_4_leaves_an_agents_line_to_the_rule_that_sets_it() {
    let mut site = Site::sound();
    site.profiles[0].settings.lines[0].appearance.busy_trigger = 9;
    let found = site.lint();
    assert_eq!(found.iter().map(|found| found.rule).collect::<Vec<_>>(), ["CC-2", "CC-4"]);
    assert_eq!(limits(&found[0]), ["settings.lines[0].busy_trigger 9 1"]);
    assert!(found[1].fix.is_empty());
}

#[test]
fn cc_6_a_stored_phone_of_ipv6_only_is_found() {
    let ipv6 = Phone { addressing_mode: AddressingMode::Ipv6Only, ..hard_phone() };
    let found = Site::only(|site| site.others[1] = Resource::Phone(ipv6));
    assert_eq!((found.rule, found.field.as_str()), ("CC-6", "extension_mobility_enabled"));
    assert!(found.fix.is_empty(), "somebody has to decide");
}

#[test]
fn cc_7_an_acd_line_of_two_agents_is_found_on_both() {
    let found = Site::found(|site| {
        site.profiles.push(agent("you", LineControl::MultiLine, &["2001"]));
        site.users[0].profiles.push("you".parse().unwrap());
    });
    let at = |name: &str| one("CC-7", &format!("user-device-profile {name}"), "agent.acd_line");
    assert_eq!(found, [at("me"), at("you")].concat());
}

#[test]
fn cc_8_hard_phones_alone_want_auto_logout() {
    let found = Site::only(|site| site.parameters.multiple_login = MultipleLogin::NotAllowed);
    assert_eq!((found.rule, found.field.as_str()), ("CC-8", "multiple_login_behavior"));
    assert!(found.remedy.contains("multiple_login_behavior=auto-logout"));
    let soft_only = Site::found(|site| {
        site.parameters.multiple_login = MultipleLogin::NotAllowed;
        let mut soft = hard_phone();
        soft.model = "ip-communicator".parse().unwrap();
        site.others[1] = Resource::Phone(soft);
    });
    assert_eq!(soft_only, []);
}

#[test]
fn cc_8_hard_and_soft_phones_want_a_maximum_login_time() {
    let mixed = |site: &mut Site| {
        site.parameters.multiple_login = MultipleLogin::Allowed;
        site.others.push(Resource::Phone(soft_phone()));
    };
    let found = Site::found(mixed);
    assert_eq!(found, one("CC-8", "service-parameters cluster", "enforce_maximum_login_time"));
    let enforced = Site::found(|site| {
        mixed(site);
        site.parameters.enforce_maximum_login_time = true;
    });
    assert_eq!(enforced, []);
    let not_for_agents = Site::found(|site| {
        let soft = Phone { extension_mobility_enabled: false, ..soft_phone() };
        site.others.push(Resource::Phone(soft));
    });
    assert_eq!(not_for_agents, [], "only phones that take logins count");
}

#[test]
fn cc_8_users_of_other_clusters_want_a_maximum_login_time() {
    let found = Site::only(|site| site.users[0].cross_cluster_enabled = true);
    assert_eq!((found.rule, found.field.as_str()), ("CC-8", "enforce_maximum_login_time"));
    assert!(found.message.contains("users such as me"), "{}", found.message);
}

#[test]
fn dp_4_dp_15_and_dp_17_are_found_on_what_was_stored_before() {
    let mut bad = hard_phone();
    bad.settings.expansion_modules = vec!["bekem".into()];
    let found = Site::found(|site| site.others[1] = Resource::Phone(bad));
    assert_eq!(found, one("DP-4", "phone SEP000DEDAB3566", "settings.expansion_modules[0]"));

    let found = Site::only(|site| site.profiles[0].settings.privacy_button = true);
    assert_eq!(found.rule, "DP-15");
    assert_eq!(limits(&found), ["settings.privacy_button true false"]);
    let octo = Site::found(|site| {
        site.profiles[0].settings.privacy_button = true;
        site.lines[0].capacity = LineCapacity::Octo;
    });
    assert_eq!(octo, []);

    let mut analog = hard_phone();
    analog.model = "ata-186".parse().unwrap();
    let found = Site::found(|site| site.others[1] = Resource::Phone(analog));
    assert_eq!(found, one("DP-17", "phone SEP000DEDAB3566", "extension_mobility_enabled"));
}

#[test]
fn dp_5_a_profile_that_nobody_uses_is_found() {
    let found = Site::only(|site| site.profiles.push(profile("spare")));
    assert_eq!((found.rule, found.severity), ("DP-5", LintSeverity::Advice));
    assert_eq!(found.resource.to_string(), "user-device-profile spare");
    let worn = Phone {
        name: "SEP000DEDAB3568".parse().unwrap(),
        logout_choice: LogoutChoice::UserDeviceProfile("spare".parse().unwrap()),
        ..phone("7960")
    };
    let worn = Site::found(|site| {
        site.profiles.push(profile("spare"));
        site.others.push(Resource::Phone(worn));
    });
    assert_eq!(worn, []);
}

#[test]
fn dp_8_a_logout_profile_that_cannot_call_or_is_worn_nowhere_is_found() {
    let mut mute = logout_profile(1);
    mute.settings.lines[0].kind = LineKind::MonitorRing;
    let found = Site::found(|site| site.others[0] = Resource::LogoutProfile(mute));
    assert!(found.contains(&one("DP-8", "logout-profile 1", "settings.lines")[0]), "{found:?}");
    let unused = Site::found(|site| site.others.insert(0, Resource::LogoutProfile(logout_profile(2))));
    assert_eq!(unused, one("DP-8", "logout-profile 2", ""));
}

#[test]
fn dp_9_a_line_that_nothing_carries_is_found() {
    let found = Site::found(|site| site.lines.push(number("2999", LineCapacity::Dual)));
    assert_eq!(found, one("DP-9", "line 2999", ""));
    let primary = Site::found(|site| {
        site.lines.push(number("2999", LineCapacity::Dual));
        site.users[0].primary_extension = Some("2999".parse().unwrap());
    });
    assert_eq!(primary, []);
}

#[test]
fn li_2_a_user_without_a_profile_is_found() {
    let nobody = User { user_id: "nobody".parse().unwrap(), ..user(&[]) };
    let found = Site::found(|site| site.users.push(nobody));
    assert_eq!(found, one("LI-2", "user nobody", "profiles"));
}

#[test]
fn li_5_a_model_without_a_default_device_profile_that_a_user_would_need_is_found() {
    let bound = |site: &mut Site| {
        let mut profile = made_for("me", "7970");
        profile.settings.lines = vec![line(LineKind::Normal, &["2001"])];
        site.profiles[0] = profile;
    };
    let found = Site::only(bound);
    assert_eq!((found.rule, found.resource.to_string().as_str()), ("LI-5", "default-device-profile 7960"));
    assert!(found.message.ends_with("(users: 1, such as me; phones: 1)"), "{}", found.message);
    let has_one = Site::found(|site| {
        bound(site);
        site.others.insert(0, Resource::DefaultDeviceProfile(default_profile("7960")));
    });
    assert_eq!(has_one, []);
    let has_another = Site::found(|site| {
        bound(site);
        site.profiles.push(made_for("mine-too", "7960"));
        site.users[0].profiles.push("mine-too".parse().unwrap());
    });
    assert_eq!(has_another, [], "he has a profile for that model");
}

#[test]
fn ll_8_a_default_device_profile_may_outlive_its_lines_and_is_found_then() {
    let mut outlived = default_profile("7960");
    outlived.settings.lines = vec![line(LineKind::Normal, &["2998"])];
    let found = Site::found(|site| site.others.insert(0, Resource::DefaultDeviceProfile(outlived)));
    assert_eq!(found, one("LL-8", "default-device-profile 7960", "settings.lines[0].lines[0]"));
}

#[test]
fn sp_4_stored_parameters_are_looked_at_too() {
    let found = Site::found(|site| site.parameters.maximum_concurrent_requests = 101);
    assert_eq!(found, one("SP-4", "service-parameters cluster", "maximum_concurrent_requests"));
}

#[test]
fn the_gravest_come_first() {
    let mut site = Site::sound();
    site.lines.push(number("2999", LineCapacity::Dual));
    site.users.push(User { user_id: "nobody".parse().unwrap(), ..user(&[]) });
    site.profiles[0].settings.privacy_button = true;
    let severities: Vec<_> = site.lint().iter().map(|found| found.severity).collect();
    assert_eq!(severities, [LintSeverity::Error, LintSeverity::Warning, LintSeverity::Advice]);
}

#[test]
fn dp_21_and_cc_2_a_template_that_breaks_an_agents_line_is_found_with_what_the_line_must_say_itself() {
    let found = Site::only(|site| {
        let entry = &mut site.profiles[0].settings.lines[0];
        (entry.appearance.max_calls, entry.template) = (0, Some("agents".parse().unwrap()));
        site.before.push(Resource::LineTemplate(line_template("agents", "", 4, 1)));
    });
    assert_eq!((found.rule, found.field.as_str()), ("CC-2", "settings.lines[0].max_calls"));
    assert_eq!(limits(&found), ["settings.lines[0].max_calls 0 2"]);
    let impossible = Site::only(|site| {
        site.profiles[0].agent = None;
        let entry = &mut site.profiles[0].settings.lines[0];
        (entry.appearance.busy_trigger, entry.template) = (3, Some("agents".parse().unwrap()));
        entry.appearance.max_calls = 0;
        site.before.push(Resource::LineTemplate(line_template("agents", "", 2, 0)));
    });
    assert_eq!(impossible.rule, "CC-4");
    assert_eq!(limits(&impossible), ["settings.lines[0].busy_trigger 3 2"]);
}

#[test]
fn dp_8_and_ll_5_a_sip_phone_whose_logout_profile_has_no_normal_line_is_found() {
    let found = Site::only(|site| {
        let phone = Phone { logout_choice: LogoutChoice::Shared(1.try_into().unwrap()), ..phone("8851") };
        site.others.push(Resource::Phone(Phone { name: "SEP000DEDAB3569".parse().unwrap(), ..phone }));
    });
    assert_eq!((found.rule, found.resource.to_string().as_str()), ("DP-8", "phone SEP000DEDAB3569"));
    assert_eq!((found.field.as_str(), found.severity), ("shared_logout_profile", LintSeverity::Warning));
}

#[test]
fn dp_8_a_tag_beyond_the_phones_allowed_is_found() {
    let found = Site::only(|site| {
        site.parameters.maximum_phones = 6;
        let tag = 7.try_into().unwrap();
        site.others = vec![
            Resource::LogoutProfile(logout_profile(7)),
            Resource::Phone(Phone { logout_choice: LogoutChoice::Shared(tag), ..hard_phone() }),
        ];
    });
    assert_eq!((found.rule, found.field.as_str(), found.severity), ("DP-8", "tag", LintSeverity::Error));
}

#[test]
fn dp_11_a_subscription_that_its_definition_has_left_behind_is_found() {
    let weather = |url: &str| PhoneServiceDefinition {
        name: "weather".parse().unwrap(),
        description: String::new(),
        url: url.into(),
        parameters: Vec::new(),
    };
    let subscribed = |url: &str| {
        let made = subscribe(&weather("http://old/"), &BTreeMap::new());
        let definition = weather(url);
        Site::found(move |site| {
            site.profiles[0].settings.services = vec![made];
            site.before.push(Resource::PhoneServiceDefinition(definition));
        })
    };
    assert_eq!(subscribed("http://old/"), []);
    assert_eq!(subscribed("http://new/"), one("DP-11", "user-device-profile me", "settings.services[0]"));
}

#[test]
fn dp_22_a_pool_without_emergency_numbers_is_found() {
    let mut pool = device_pool("lobby");
    let with = |pool: &DevicePool| {
        let (pool, name) = (Resource::DevicePool(pool.clone()), pool.name.clone());
        Site::found(move |site| {
            site.before.push(pool);
            site.others[1] = Resource::Phone(Phone { device_pool: Some(name), ..hard_phone() });
        })
    };
    assert_eq!(with(&pool), one("DP-22", "device-pool lobby", "emergency_numbers"));
    pool.emergency_numbers = vec!["112".into()];
    assert_eq!(with(&pool), []);
}

#[test]
fn ll_9_an_acd_line_that_has_become_an_intercom_line_is_found() {
    let found = Site::only(|site| {
        let phone = hard_phone().name;
        site.lines[0].intercom_phone = Some(phone);
    });
    assert_eq!((found.rule, found.field.as_str()), ("LL-9", "agent.acd_line"));
}
