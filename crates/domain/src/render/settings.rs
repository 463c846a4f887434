//! The values of the settings that stand on no button, each with its origin (LI-6), and what a model or a rule makes of
//! them: locale, expansion modules, services.

use super::sources::{Source, Sources};
use super::{Around, EffectiveSetting, Origin};
use crate::catalogue::PhoneModel;
use crate::directory::{DevicePool, PhoneTemplate};
use crate::layout::{LeftOff, counted, joined};
use crate::presence::group_name;
use crate::settings::{
    DeviceSettings, DoNotDisturbOption, FeatureButton, LineAppearance, MlppIndication, MlppPreemption,
    Privacy, ProfileLine, ServiceSubscription,
};

/// The expansion modules a phone wears, and those it cannot take (DP-4).
pub(super) struct Modules {
    pub(super) worn: Vec<String>,
    pub(super) origin: Origin,
    refused: Vec<LeftOff>,
}

/// Modules the model takes, and no more of them than it takes (DP-4).
pub(super) fn modules(model: &PhoneModel, sources: &Sources<'_>) -> Modules {
    let source = sources.modules();
    let mut modules = Modules { worn: Vec::new(), origin: source.origin, refused: Vec::new() };
    for name in &source.settings.expansion_modules {
        let reason = if model.module(name).is_none() {
            format!("a {} does not take it", model.name)
        } else if modules.worn.len() as u64 >= u64::from(model.max_modules) {
            format!("a {} takes {} at most", model.name, counted(model.max_modules, "module"))
        } else {
            modules.worn.push(name.clone());
            continue;
        };
        modules.refused.push(LeftOff::new(format!("expansion module {name}"), "DP-4", reason));
    }
    modules
}

/// The user locale: what is brought, else the device's, the device pool's, the cluster's; none where the model's
/// language cannot be set (LI-5, LI-14).
fn user_locale(model: &PhoneModel, sources: &Sources<'_>, around: &Around) -> (String, Origin) {
    if !model.locale_support {
        return (String::new(), Origin::Model);
    }
    let of_cluster = || (around.parameters.default_user_locale.clone(), Origin::Cluster);
    of_user(sources, |settings| &settings.user_locale)
        .or_else(|| of_pool(around, |pool| &pool.user_locale))
        .unwrap_or_else(of_cluster)
}

/// What held callers hear: as the user locale (LI-5, LI-14).
fn user_hold_audio_source(sources: &Sources<'_>, around: &Around) -> (String, Origin) {
    of_user(sources, |settings| &settings.user_hold_audio_source)
        .or_else(|| of_pool(around, |pool| &pool.user_hold_audio_source))
        .unwrap_or_else(|| of_cluster(&around.parameters.default_user_hold_audio_source))
}

/// The softkey template: the device's own, else that of its phone template (DP-21), else the device pool's, the
/// cluster's (LI-14).
fn softkey_template(sources: &Sources<'_>, around: &Around) -> (String, Origin) {
    [Some(sources.device), sources.behind]
        .into_iter()
        .flatten()
        .find_map(|source| own_or_template(source, around, |s| &s.softkey_template, |t| &t.softkey_template))
        .or_else(|| of_pool(around, |pool| &pool.softkey_template))
        .unwrap_or_else(|| of_cluster(&around.parameters.default_softkey_template))
}

/// The feature buttons: the device's own if it has any, else those of its phone template (DP-21).
pub(super) fn feature_buttons<'a>(
    sources: &Sources<'a>,
    around: &'a Around,
) -> (&'a [FeatureButton], Origin) {
    let Source { settings, origin } = sources.device;
    match phone_template(sources.device, around) {
        Some(template) if settings.feature_buttons.is_empty() => {
            (&template.feature_buttons, Origin::PhoneTemplate)
        }
        _ => (&settings.feature_buttons, origin),
    }
}

/// Whether the step from one wear to the other needs a reset: another locale, or other modules (LI-7).
pub(super) fn needs_reset(
    model: &PhoneModel,
    before: &Sources<'_>,
    after: &Sources<'_>,
    around: &Around,
) -> bool {
    user_locale(model, before, around).0 != user_locale(model, after, around).0
        || modules(model, before).worn != modules(model, after).worn
}

/// What follows the user: what is brought, else the device's; with nobody logged in, also the phone's own.
fn of_user(
    sources: &Sources<'_>,
    field: impl Fn(&DeviceSettings) -> &Option<String>,
) -> Option<(String, Origin)> {
    [Some(sources.brought), Some(sources.device), sources.behind]
        .into_iter()
        .flatten()
        .find_map(|source| field(source.settings).clone().map(|value| (value, source.origin)))
}

fn of_pool(around: &Around, field: impl Fn(&DevicePool) -> &Option<String>) -> Option<(String, Origin)> {
    let value = around.device_pool.as_ref().and_then(|pool| field(pool).clone());
    value.map(|value| (value, Origin::DevicePool))
}

/// The last of the fall-backs, which may be empty.
fn of_cluster(value: &Option<String>) -> (String, Origin) {
    (value.clone().unwrap_or_default(), Origin::Cluster)
}

fn phone_template<'a>(source: Source<'_>, around: &'a Around) -> Option<&'a PhoneTemplate> {
    source.settings.phone_template.as_ref().and_then(|name| around.phone_templates.get(name))
}

/// What a record says itself, else what its phone template says (DP-21).
fn own_or_template(
    source: Source<'_>,
    around: &Around,
    own: impl Fn(&DeviceSettings) -> &Option<String>,
    of_template: impl Fn(&PhoneTemplate) -> &Option<String>,
) -> Option<(String, Origin)> {
    let given = own(source.settings).clone().map(|value| (value, source.origin));
    given.or_else(|| {
        let value = phone_template(source, around).and_then(|template| of_template(template).clone());
        value.map(|value| (value, Origin::PhoneTemplate))
    })
}

/// The group that busy lamps are looked at from (DP-12).
fn presence_group(source: Source<'_>) -> (String, Origin) {
    let group = source.settings.presence_group.as_ref();
    (group_name(group).to_owned(), group.map_or(Origin::Cluster, |_| source.origin))
}

/// Every setting that stands on no button, in the order of the wire's `DeviceSettings`, then those of its `DevicePool`.
pub(super) fn list(
    model: &PhoneModel,
    sources: &Sources<'_>,
    modules: &Modules,
    around: &Around,
) -> Vec<EffectiveSetting> {
    let Sources { brought, device, personal, .. } = *sources;
    let own = personal.settings;
    let from = |source: Source<'_>, value: String| (value, source.origin);
    let button_template =
        own_or_template(device, around, |s| &s.phone_button_template, |t| &t.phone_button_template);
    let idle_limit = brought.settings.idle_limit_minutes;
    let pool = |field: fn(&DevicePool) -> &Option<String>| {
        of_pool(around, field).unwrap_or((String::new(), Origin::DevicePool))
    };
    let values = [
        ("user_locale", user_locale(model, sources, around)),
        ("user_hold_audio_source", user_hold_audio_source(sources, around)),
        ("phone_button_template", button_template.unwrap_or((String::new(), Origin::Model))),
        ("softkey_template", softkey_template(sources, around)),
        ("privacy", from(personal, privacy(own.privacy).into())),
        ("ignore_presentation_indicators", from(personal, own.ignore_presentation_indicators.to_string())),
        ("expansion_modules", (modules.worn.join(", "), modules.origin)),
        ("mlpp.domain", from(personal, own.mlpp.domain.clone())),
        ("mlpp.indication", from(personal, indication(own.mlpp.indication).into())),
        ("mlpp.preemption", from(personal, preemption(own.mlpp.preemption).into())),
        ("do_not_disturb.option", from(personal, do_not_disturb(own.do_not_disturb.option).into())),
        ("do_not_disturb.on", from(personal, own.do_not_disturb.on.to_string())),
        ("idle_limit", from(brought, idle_limit.map(|time| counted(time, "minute")).unwrap_or_default())),
        ("privacy_button", from(device, device.settings.privacy_button.to_string())),
        ("presence_group", presence_group(brought)),
        ("date_time_group", pool(|pool| &pool.date_time_group)),
        ("region", pool(|pool| &pool.region)),
        ("geolocation", pool(|pool| &pool.geolocation)),
    ];
    values.into_iter().map(|(field, (value, origin))| EffectiveSetting { field, value, origin }).collect()
}

/// What is brought and not worn, apart from buttons and services.
pub(super) fn left_off(model: &PhoneModel, sources: &Sources<'_>, modules: &Modules) -> Vec<LeftOff> {
    let brought = sources.brought.settings;
    let mut off = Vec::new();
    if let (false, Some(locale)) = (model.locale_support, &brought.user_locale) {
        let reason = format!("the language of a {} cannot be set", model.name);
        off.push(LeftOff::new(format!("user locale {locale}"), "LI-14", reason));
    }
    if !sources.fits {
        let templates = [
            ("phone button template", &brought.phone_button_template),
            ("softkey template", &brought.softkey_template),
        ];
        for (what, template) in templates {
            if let Some(name) = template {
                off.push(other_model(format!("{what} {name:?}")));
            }
        }
        if let Some(name) = &brought.phone_template {
            off.push(other_model(format!("phone template {:?}", name.as_str())));
        }
        off.extend(
            brought.feature_buttons.iter().map(|button| other_model(format!("feature button {button}"))),
        );
        off.extend(
            brought.expansion_modules.iter().map(|name| other_model(format!("expansion module {name}"))),
        );
    }
    off.extend(modules.refused.iter().cloned());
    if !sources.fits {
        let says_something =
            |line: &&ProfileLine| line.appearance != LineAppearance::default() || line.template.is_some();
        let with_settings = brought.lines.iter().filter(says_something);
        off.extend(
            with_settings.map(|line| other_model(format!("line settings of {}", joined(&line.lines)))),
        );
    }
    off
}

fn other_model(what: String) -> LeftOff {
    LeftOff::new(what, "LI-5", "the profile is made for another model")
}

/// The services a phone offers, and those it does not.
pub(super) struct Services {
    pub(super) worn: Vec<ServiceSubscription>,
    pub(super) origin: Origin,
    pub(super) left_off: Vec<LeftOff>,
}

/// What is brought, if it fits and the model offers services. At another model: the profile's if it has any, with the
/// parameters that the default device profile gives; else those of the default device profile (LI-5).
pub(super) fn services(model: &PhoneModel, sources: &Sources<'_>) -> Services {
    let Sources { brought, device, fits, .. } = *sources;
    let own = &brought.settings.services;
    if !model.service_support {
        let reason = format!("a {} offers no services", model.name);
        let left_off =
            own.iter().map(|service| LeftOff::new(named(service), "LI-5", reason.clone())).collect();
        return Services { worn: Vec::new(), origin: Origin::Model, left_off };
    }
    if fits {
        return Services { worn: own.clone(), origin: brought.origin, left_off: Vec::new() };
    }
    let defaults = &device.settings.services;
    if own.is_empty() {
        return Services { worn: defaults.clone(), origin: device.origin, left_off: Vec::new() };
    }
    let mut services = Services { worn: Vec::new(), origin: brought.origin, left_off: Vec::new() };
    for service in own {
        let default = defaults.iter().find(|default| default.name == service.name);
        let parameters = default.map(|default| default.parameters.clone()).unwrap_or_default();
        if !service.parameters.is_empty() && service.parameters != parameters {
            services.left_off.push(other_model(format!("parameters of {}", named(service))));
        }
        services.worn.push(ServiceSubscription { parameters, ..service.clone() });
    }
    services
}

fn named(service: &ServiceSubscription) -> String {
    format!("service {:?}", service.name)
}

fn privacy(privacy: Privacy) -> &'static str {
    match privacy {
        Privacy::Default => "default",
        Privacy::On => "on",
        Privacy::Off => "off",
    }
}

fn indication(indication: MlppIndication) -> &'static str {
    match indication {
        MlppIndication::Default => "default",
        MlppIndication::Off => "off",
        MlppIndication::On => "on",
    }
}

fn preemption(preemption: MlppPreemption) -> &'static str {
    match preemption {
        MlppPreemption::Default => "default",
        MlppPreemption::Disabled => "disabled",
        MlppPreemption::Forceful => "forceful",
    }
}

fn do_not_disturb(option: DoNotDisturbOption) -> &'static str {
    match option {
        DoNotDisturbOption::RingerOff => "ringer-off",
        DoNotDisturbOption::CallReject => "call-reject",
    }
}
