//! What is wrong with resources together: shared ACD lines (CC-7), the set-up of the cluster (CC-8), models without a
//! default device profile (LI-5), and what serves nobody.

use super::{Lint, LintFinding, LintSeverity};
use crate::directory::{Key, Kind};
use crate::name::ModelName;
use crate::parameters::MultipleLogin;

impl Lint<'_> {
    /// Notes everything that only shows when all has been seen.
    pub(super) fn look_at_all(&mut self) {
        self.shared_acd_lines();
        self.set_up();
        self.default_profiles();
        self.unused();
    }

    /// CC-7: two agents with one ACD line cannot work at once.
    fn shared_acd_lines(&mut self) {
        for (line, profiles) in self.acd_lines.iter().filter(|(_, profiles)| profiles.len() > 1) {
            for profile in profiles {
                let others: Vec<&str> =
                    profiles.iter().filter(|other| *other != profile).map(|other| other.as_str()).collect();
                self.found.push(LintFinding {
                    rule: "CC-7",
                    resource: Key::new(Kind::UserDeviceProfile, profile.as_str()),
                    field: "agent.acd_line".into(),
                    message: format!("line {line} is the ACD line of {} too", first_few(&others)),
                    remedy: "give each agent profile an ACD line of its own".into(),
                    severity: LintSeverity::Warning,
                    fix: Vec::new(),
                });
            }
        }
    }

    /// CC-8. What is asked changes how everybody logs in, so that nothing is mended unasked.
    fn set_up(&mut self) {
        let is_soft = |model: &ModelName| self.catalogue.get(model).is_some_and(|model| model.soft);
        let soft = self.phones.keys().any(is_soft);
        let hard = self.phones.keys().any(|model| !is_soft(model));
        let mut advise = |field: &str, message: String, parameter: &str| {
            self.found.push(LintFinding {
                rule: "CC-8",
                resource: Key::service_parameters(),
                field: field.into(),
                message,
                remedy: format!("roamctl parameters set {parameter}"),
                severity: LintSeverity::Warning,
                fix: Vec::new(),
            });
        };
        if hard && !soft && self.parameters.multiple_login != MultipleLogin::AutoLogout {
            let message = "is not auto logout, and agents log in at hard phones only";
            advise("multiple_login_behavior", message.into(), "multiple_login_behavior=auto-logout");
        }
        if self.parameters.enforce_maximum_login_time {
            return;
        }
        let why = match &self.cross_cluster {
            _ if hard && soft => "agents log in at hard and soft phones".to_owned(),
            Some(user) => format!("users such as {user} may log in at other clusters"),
            None => return,
        };
        let message = format!("is off, and {why}");
        advise("enforce_maximum_login_time", message, "enforce_maximum_login_time=true");
    }

    /// LI-5: models at whose phones some users are refused.
    fn default_profiles(&mut self) {
        for (model, phones) in self.phones.iter().filter(|(model, _)| !self.default_profiles.contains(*model))
        {
            let refused = || self.bound.iter().filter(|(models, _)| !models.contains(model)).map(|(_, b)| b);
            let Some(first) = refused().map(|bound| &bound.first).min() else { continue };
            let users: usize = refused().map(|bound| bound.count).sum();
            self.found.push(LintFinding {
                rule: "LI-5",
                resource: Key::new(Kind::DefaultDeviceProfile, model.as_str()),
                field: String::new(),
                message: format!(
                    "does not exist, so that users whose profiles are all for other models are refused (users: \
                     {users}, such as {first}; phones: {phones})"
                ),
                remedy: format!("create a default device profile for the {model}"),
                severity: LintSeverity::Warning,
                fix: Vec::new(),
            });
        }
    }

    /// Profiles that nobody wears, lines that nothing carries.
    fn unused(&mut self) {
        for key in self.present.iter().filter(|key| !self.used.contains(*key)) {
            let (rule, message) = match key.kind {
                Kind::UserDeviceProfile => ("DP-5", "is no user's profile, and no phone wears it logged out"),
                Kind::LogoutProfile => ("DP-8", "no phone wears it"),
                Kind::Line => ("DP-9", "is on no phone or profile, and no user's primary extension"),
                Kind::DevicePool => ("DP-22", "no phone belongs to it"),
                Kind::PresenceGroup => ("DP-12", "no profile, phone or line names it"),
                Kind::PhoneServiceDefinition => ("DP-11", "nobody subscribes to it"),
                _ => ("DP-21", "nothing takes anything from it"),
            };
            self.found.push(LintFinding {
                rule,
                resource: key.clone(),
                field: String::new(),
                message: message.into(),
                remedy: "use it, or delete it".into(),
                severity: LintSeverity::Advice,
                fix: Vec::new(),
            });
        }
    }
}

/// The first names of a list that may be long.
fn first_few(names: &[&str]) -> String {
    match names {
        [a, b, c, _, ..] => format!("{a}, {b}, {c} and {} more", names.len() - 3),
        few => few.join(", "),
    }
}
