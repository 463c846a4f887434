//! What is wrong with a resource by itself: what a check refuses today, lines of an agent (CC-2, CC-3), a logout
//! profile that cannot call (DP-8), a user without a profile (LI-2).

use super::{FieldChange, FieldValue, Lint, LintFinding, LintSeverity};
use crate::check::check;
use crate::contact_centre::{BrokenLine, enforce, findings};
use crate::directory::{Key, LogoutProfile, Resource, User, UserDeviceProfile};
use crate::parameters::ContactCentrePolicy;
use crate::settings::{DeviceSettings, LineKind, ProfileLine};
use crate::violation::Violation;

/// What a resource tells a phone to wear, if it is of a kind that does.
pub(super) fn settings(resource: &Resource) -> Option<&DeviceSettings> {
    match resource {
        Resource::UserDeviceProfile(profile) => Some(&profile.settings),
        Resource::DefaultDeviceProfile(profile) => Some(&profile.settings),
        Resource::LogoutProfile(profile) => Some(&profile.settings),
        Resource::Phone(phone) => Some(&phone.settings),
        Resource::Line(_) | Resource::User(_) | Resource::ServiceParameters(_) => None,
    }
}

impl Lint<'_> {
    /// Notes everything that is wrong with the resource by itself.
    pub(super) fn look_at(&mut self, resource: &Resource) {
        let key = resource.key();
        let broken = match resource {
            Resource::UserDeviceProfile(profile) => findings(profile),
            _ => Vec::new(),
        };
        let violations = check(resource, self.catalogue, &|name| self.lines.get(name).copied());
        for violation in violations {
            let fix = settings(resource).and_then(|settings| violation_fix(&violation, settings, &broken));
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
        match resource {
            Resource::UserDeviceProfile(profile) => self.agent_lines(profile, &key, &broken),
            Resource::LogoutProfile(profile) => self.can_call(profile, key),
            Resource::User(user) => self.has_a_profile(user, key),
            _ => {}
        }
    }

    /// CC-2 and CC-3. Under a policy that rejects, nobody can log in with the profile (CC-5).
    fn agent_lines(&mut self, profile: &UserDeviceProfile, key: &Key, broken: &[BrokenLine]) {
        if broken.is_empty() {
            return;
        }
        let Ok(enforced) = enforce(profile.clone(), ContactCentrePolicy::Warn) else { return };
        let severity = match self.parameters.contact_centre_policy {
            ContactCentrePolicy::Reject => LintSeverity::Error,
            ContactCentrePolicy::Correct | ContactCentrePolicy::Warn => LintSeverity::Warning,
        };
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
            fix: line_changes(line),
        }));
    }

    /// DP-8, as far as it can be told: without a line that takes calls, no number can be called at all.
    fn can_call(&mut self, profile: &LogoutProfile, key: Key) {
        if profile.settings.lines.iter().any(|line| line.kind != LineKind::MonitorRing) {
            return;
        }
        self.found.push(LintFinding {
            rule: "DP-8",
            resource: key,
            field: "settings.lines".into(),
            message: "has no line to call from, so that no emergency number can be called".into(),
            remedy: "give the logout profile a line".into(),
            severity: LintSeverity::Warning,
            fix: Vec::new(),
        });
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

/// The values of CC-2 or CC-3 for a line.
fn line_changes(line: &BrokenLine) -> Vec<FieldChange> {
    let place = format!("settings.lines[{}]", line.index);
    [
        change(format!("{place}.max_calls"), line.has.max_calls, line.wanted.max_calls),
        change(format!("{place}.busy_trigger"), line.has.busy_trigger, line.wanted.busy_trigger),
    ]
    .into_iter()
    .flatten()
    .collect()
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
) -> Option<FieldChange> {
    match violation.rule {
        "CC-4" => {
            let lines = settings.lines.iter().enumerate();
            lines
                .filter(|(index, _)| broken.iter().all(|line| line.index != *index))
                .flat_map(|(index, line)| allowed_limits(index, line))
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
fn allowed_limits(index: usize, line: &ProfileLine) -> impl Iterator<Item = FieldChange> {
    let place = format!("settings.lines[{index}]");
    let appearance = &line.appearance;
    let max_calls = appearance.max_calls.max(1);
    let busy_trigger = appearance.busy_trigger.clamp(1, max_calls);
    [
        change(format!("{place}.max_calls"), appearance.max_calls, max_calls),
        change(format!("{place}.busy_trigger"), appearance.busy_trigger, busy_trigger),
    ]
    .into_iter()
    .flatten()
}

/// What mends a violation of that rule.
fn remedy(rule: &str) -> &'static str {
    match rule {
        "CC-1" => "name one of the profile's lines, or add the line to the profile",
        "CC-4" => "set both to at least 1, and the busy trigger to no more than the maximum calls",
        "CC-6" => "let the phone use IPv4 too, or turn extension mobility off on it",
        "DP-4" => "remove the modules that the model does not take",
        "DP-5" => "name each of the user's profiles once, and one of them as his default",
        "DP-15" => "turn the privacy button off, or give it an octo-line",
        "DP-17" => "correct the model, or turn extension mobility off",
        "LL-8" => "create the line, or remove it here",
        _ => {
            "set the field to a value that the rule allows; until then every update of the resource is refused"
        }
    }
}
