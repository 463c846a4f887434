//! Statements into resources. What a router does by itself and a cluster by a parameter is said as a parameter.

mod numbers;
mod phones;
mod profiles;

use std::collections::BTreeMap;

use roamline_proto::profile::{
    ClearCallLogs, MultipleLoginBehavior, ServiceParameters, SpeedDial, resource::Kind,
};

use crate::model::{At, Config, SpeedDial as SpeedDialStatement};
use crate::problem::Found;
use crate::site::{Site, Sourced};

/// Text beside a button, by the number it belongs to, with the line it was written on.
type Labels = BTreeMap<String, At<String>>;

/// Adds the resources: lines, logout profiles, user device profiles, phones, users, service parameters.
pub(crate) fn translate(config: &Config, site: &mut Site, found: &mut Found) {
    check_tags(config, found);
    let labels = numbers::translate(config, site);
    profiles::logout_profiles(config, &labels, site);
    let phone_names = phones::names(config, found);
    let users = profiles::user_profiles(config, &labels, &phone_names, site, found);
    phones::translate(config, site, found);
    users.into_iter().for_each(|user| site.push(user));
    parameters(config, site);
}

/// DP-8: a logout profile's tag is at most the number of phones allowed, a user profile's three times that. Phones
/// of both protocols count.
fn check_tags(config: &Config, found: &mut Found) {
    if config.system.max_phones.is_empty() {
        return;
    }
    let phones: u32 = config.system.max_phones.iter().fold(0, |sum, most| sum.saturating_add(most.value));
    let limits = [
        (&config.logout_profiles, "logout profile", phones),
        (&config.user_profiles, "user profile", phones.saturating_mul(3)),
    ];
    for (profiles, what, most) in limits {
        for tag in profiles.iter().map(|profile| &profile.tag).filter(|tag| tag.value > most) {
            let message =
                format!("{what} tag {} is more than {most}: {phones} phones are allowed", tag.value);
            found.problem(tag.line, "DP-8", message);
        }
    }
}

fn parameters(config: &Config, site: &mut Site) {
    let system = &config.system;
    let Some(line) =
        system.telephony_service.or(config.user_profiles.first().map(|profile| profile.tag.line))
    else {
        return;
    };
    let keep = system.keep_history.as_ref();
    let clear = if keep.is_some() { ClearCallLogs::Never } else { ClearCallLogs::EveryLogout };
    let parameters = ServiceParameters {
        multiple_login_behavior: MultipleLoginBehavior::AutoLogout.into(),
        clear_call_logs: clear.into(),
        daily_logout_times: system.logout_times.as_ref().map(|times| times.value.clone()).unwrap_or_default(),
        default_user_locale: system.user_locale.as_ref().map(|l| l.value.to_owned()).unwrap_or_default(),
        ..ServiceParameters::default()
    };
    let mut source = Sourced::new(line, Kind::ServiceParameters(parameters));
    if let Some(keep) = keep {
        source.field("clear_call_logs", keep.line);
    }
    if let Some(times) = &system.logout_times {
        source.field("daily_logout_times", times.line);
    }
    if let Some(locale) = &system.user_locale {
        source.field("default_user_locale", locale.line);
    }
    site.push(source);
    site.note(None, "a user's second login ends his first, as on the router: multiple login behavior becomes auto logout (SP-5)");
}

/// Speed dials as settings; their lines are noted under `settings.speed_dials`.
fn speed_dials<T>(statements: &[At<SpeedDialStatement>], source: &mut Sourced<T>) -> Vec<SpeedDial> {
    let mut dials = Vec::new();
    for At { line, value } in statements {
        source.field(format!("settings.speed_dials[{}]", dials.len()), *line);
        dials.push(SpeedDial {
            tag: value.tag,
            number: value.number.clone(),
            label: value.label.clone(),
            busy_lamp: value.busy_lamp,
        });
    }
    dials
}
