//! What is wrong with a resource by itself, or with what it names: what a check refuses today, lines of an agent (CC-2,
//! CC-3), a phone that is left without a line (DP-8), subscriptions that their definition has left behind (DP-11), a
//! pool without emergency numbers (DP-22), a user without a profile (LI-2).

use super::{FieldChange, FieldValue, Lint, LintFinding, LintSeverity};
use crate::appearance::{CallLimits, LineTemplates, limits};
use crate::check::check;
use crate::contact_centre::{BrokenLine, enforce, findings};
use crate::directory::{DevicePool, Key, LogoutChoice, Phone, Resource, User, UserDeviceProfile};
use crate::parameters::ContactCentrePolicy;
use crate::settings::{DeviceSettings, ProfileLine, Protocol};
use crate::subscription::refresh;
use crate::violation::Violation;

impl Lint<'_> {
    /// Notes everything that is wrong with the resource by itself.
    pub(super) fn look_at(&mut self, resource: &Resource) {
        let key = resource.key();
        let broken = match resource {
            Resource::UserDeviceProfile(profile) => findings(profile, &self.seen),
            _ => Vec::new(),
        };
        let violations = check(resource, self.catalogue, &self.seen);
        for violation in violations {
            let fix = resource
                .settings()
                .and_then(|settings| violation_fix(&violation, settings, &broken, &self.seen));
            self.found.push(LintFinding {
                rule: violation.rule,
                resource: key.clone(),
                remedy: remedy(violation.rule).to_owned(),
                field: violation.field,
                message: violation.message,
                severity: LintSeverity::Error,
                fix: fix.into_iter().collect(),
            });
        }
        if let Some(settings) = resource.settings() {
            self.subscriptions(settings, &key);
        }
        match resource {
            Resource::UserDeviceProfile(profile) => self.agent_lines(profile, &key, &broken),
            Resource::DevicePool(pool) => self.emergency_numbers(pool, &key),
            Resource::Phone(phone) => self.logged_out_on_sip(phone, &key),
            Resource::User(user) => self.has_a_profile(user, key),
            _ => {}
        }
    }

    /// CC-2 and CC-3. Under a policy that rejects, nobody can log in with the profile (CC-5).
    fn agent_lines(&mut self, profile: &UserDeviceProfile, key: &Key, broken: &[BrokenLine]) {
        if broken.is_empty() {
            return;
        }
        let Ok(enforced) = enforce(profile.clone(), ContactCentrePolicy::Warn, &self.seen) else { return };
        let severity = match self.parameters.contact_centre_policy {
            ContactCentrePolicy::Reject => LintSeverity::Error,
            ContactCentrePolicy::Correct | ContactCentrePolicy::Warn => LintSeverity::Warning,
        };
        let entry = |line: &BrokenLine| profile.settings.lines.get(line.index);
        self.found.extend(broken.iter().zip(enforced.findings).map(|(line, said)| LintFinding {
            rule: line.rule,
            resource: key.clone(),
            field: said.field,
            message: said.message,
            remedy: format!(
                "set maximum calls {} and busy trigger {}",
                line.wanted.max_calls, line.wanted.busy_trigger
            ),
            severity,
            fix: entry(line).map(|entry| line_changes(line, entry)).unwrap_or_default(),
        }));
    }

    /// DP-8 and LL-5: a SIP phone wears normal lines only.
    fn logged_out_on_sip(&mut self, phone: &Phone, key: &Key) {
        let LogoutChoice::Shared(tag) = phone.logout_choice else { return };
        if phone.protocol != Protocol::Sip || !self.seen.nothing_on_sip.contains(&tag) {
            return;
        }
        self.found.push(LintFinding {
            rule: "DP-8",
            resource: key.clone(),
            field: "shared_logout_profile".into(),
            message: format!(
                "a SIP phone wears normal lines only (LL-5), and logout profile {tag} has none to call from"
            ),
            remedy: "give the logout profile a normal line, or the phone another one".into(),
            severity: LintSeverity::Warning,
            fix: Vec::new(),
        });
    }

    /// DP-22.
    fn emergency_numbers(&mut self, pool: &DevicePool, key: &Key) {
        if !pool.emergency_numbers.is_empty() {
            return;
        }
        self.found.push(LintFinding {
            rule: "DP-22",
            resource: key.clone(),
            field: "emergency_numbers".into(),
            message: "is empty, so that its phones call emergency numbers as they call any other".into(),
            remedy: "name the emergency numbers of the place".into(),
            severity: LintSeverity::Advice,
            fix: Vec::new(),
        });
    }

    /// DP-11: copies that their definition has left behind.
    fn subscriptions(&mut self, settings: &DeviceSettings, key: &Key) {
        for (index, service) in settings.services.iter().enumerate() {
            let definition = service.definition.as_ref().and_then(|name| self.seen.phone_services.get(name));
            let Some(definition) = definition.filter(|definition| refresh(service, definition).is_some())
            else {
                continue;
            };
            self.found.push(LintFinding {
                rule: "DP-11",
                resource: key.clone(),
                field: format!("settings.services[{index}]"),
                message: format!("differs from its definition {:?}", definition.name.as_str()),
                remedy: "update the subscriptions of the phone service".into(),
                severity: LintSeverity::Warning,
                fix: Vec::new(),
            });
        }
    }

    /// LI-2.
    fn has_a_profile(&mut self, user: &User, key: Key) {
        if !user.profiles.is_empty() {
            return;
        }
        self.found.push(LintFinding {
            rule: "LI-2",
            resource: key,
            field: "profiles".into(),
            message: "is empty, so that the user is refused at every phone".into(),
            remedy: "associate a profile with the user, or delete the user".into(),
            severity: LintSeverity::Warning,
            fix: Vec::new(),
        });
    }
}

/// The values of CC-2 or CC-3 for a line, where it or its template has others.
fn line_changes(line: &BrokenLine, entry: &ProfileLine) -> Vec<FieldChange> {
    limit_changes(line.index, entry, line.has, line.wanted)
}

/// What an entry must say itself, that its limits may be others than they are.
fn limit_changes(index: usize, entry: &ProfileLine, has: CallLimits, wanted: CallLimits) -> Vec<FieldChange> {
    let place = format!("settings.lines[{index}]");
    let own = &entry.appearance;
    let mut changes = Vec::new();
    if has.max_calls != wanted.max_calls {
        changes.extend(change(format!("{place}.max_calls"), own.max_calls, wanted.max_calls));
    }
    if has.busy_trigger != wanted.busy_trigger {
        changes.extend(change(format!("{place}.busy_trigger"), own.busy_trigger, wanted.busy_trigger));
    }
    changes
}

fn change(field: String, from: u32, to: u32) -> Option<FieldChange> {
    (from != to).then_some(FieldChange { field, from: FieldValue::Number(from), to: FieldValue::Number(to) })
}

/// The change that mends a violation: CC-4 by the nearest values that it allows, where no other rule sets them;
/// DP-15 by taking away a button that nobody can use.
fn violation_fix(
    violation: &Violation,
    settings: &DeviceSettings,
    broken: &[BrokenLine],
    templates: &dyn LineTemplates,
) -> Option<FieldChange> {
    match violation.rule {
        "CC-4" => {
            let lines = settings.lines.iter().enumerate();
            lines
                .filter(|(index, _)| broken.iter().all(|line| line.index != *index))
                .flat_map(|(index, line)| allowed_limits(index, line, templates))
                .find(|change| change.field == violation.field)
        }
        "DP-15" => Some(FieldChange {
            field: violation.field.clone(),
            from: FieldValue::Flag(true),
            to: FieldValue::Flag(false),
        }),
        _ => None,
    }
}

/// CC-4: at least one call, and a busy trigger of at most as many.
fn allowed_limits(index: usize, line: &ProfileLine, templates: &dyn LineTemplates) -> Vec<FieldChange> {
    let Some(has) = limits(line, templates) else { return Vec::new() };
    let max_calls = has.max_calls.max(1);
    let wanted = CallLimits { max_calls, busy_trigger: has.busy_trigger.clamp(1, max_calls) };
    limit_changes(index, line, has, wanted)
}

/// What mends a violation of that rule.
fn remedy(rule: &str) -> &'static str {
    match rule {
        "CC-1" => "name one of the profile's lines, or add the line to the profile",
        "CC-4" => "set both to at least 1, and the busy trigger to no more than the maximum calls",
        "CC-6" => "let the phone use IPv4 too, or turn extension mobility off on it",
        "DP-4" => "remove the modules that the model does not take",
        "DP-5" => "name each of the user's profiles once, and one of them as his default",
        "DP-8" => "give it a line to call from, and a tag within the number of phones allowed",
        "DP-11" => "update the subscriptions of the phone service, and give what it requires a value",
        "DP-15" => "turn the privacy button off, or give it an octo-line",
        "DP-17" => "correct the model, or turn extension mobility off",
        "LL-9" => "name another line: an intercom line is worn on one phone only",
        "LL-8" => "create the line, or remove it here",
        _ => {
            "set the field to a value that the rule allows; until then every update of the resource is refused"
        }
    }
}
