//! What is stored and breaks a rule, stands in the way of a login, or serves nobody. A rule may have been stored
//! against before it held, and what one resource alone may do, several together may not (CC-7, CC-8, LI-5).
//!
//! Each finding says what would mend it; where that is a matter of values that nobody chose, it carries them.

mod cluster;
mod finding;
mod resource;
mod seen;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::catalogue::Catalogue;
use crate::directory::{Key, Resource, User, UserDeviceProfile};
use crate::name::{LineName, ModelName, ProfileName, UserId};
use crate::parameters::ServiceParameters;
use seen::Seen;

pub use finding::{FieldChange, FieldValue, LintFinding, LintSeverity};

/// Looks at a directory resource by resource, and keeps of each only what others are held against.
#[derive(Debug)]
pub struct Lint<'a> {
    catalogue: &'a Catalogue,
    parameters: ServiceParameters,
    found: Vec<LintFinding>,
    seen: Seen,
    /// What somebody has to use for it to serve anybody.
    present: BTreeSet<Key>,
    used: HashSet<Key>,
    /// The model of each profile that is made for one.
    made_for: HashMap<ProfileName, ModelName>,
    acd_lines: BTreeMap<LineName, Vec<ProfileName>>,
    default_profiles: HashSet<ModelName>,
    /// Phones that take logins.
    phones: BTreeMap<ModelName, usize>,
    /// Users all of whose profiles are made for these models.
    bound: BTreeMap<BTreeSet<ModelName>, Bound>,
    cross_cluster: Option<UserId>,
}

/// Users whose profiles are made for the same models.
#[derive(Debug)]
struct Bound {
    count: usize,
    first: UserId,
}

impl<'a> Lint<'a> {
    /// Of a cluster with these parameters, which are looked at themselves.
    pub fn new(parameters: ServiceParameters, catalogue: &'a Catalogue) -> Self {
        let seen = Seen { maximum_phones: parameters.maximum_phones, ..Seen::default() };
        let mut lint = Self {
            catalogue,
            parameters: parameters.clone(),
            found: Vec::new(),
            seen,
            present: BTreeSet::new(),
            used: HashSet::new(),
            made_for: HashMap::new(),
            acd_lines: BTreeMap::new(),
            default_profiles: HashSet::new(),
            phones: BTreeMap::new(),
            bound: BTreeMap::new(),
            cross_cluster: None,
        };
        lint.look_at(&Resource::ServiceParameters(parameters));
        lint
    }

    /// Looks at the next resource, in the order of [`crate::directory::Kind::ALL`]. Parameters are those that were given at first.
    pub fn see(&mut self, resource: &Resource) {
        self.seen.see(resource);
        match resource {
            Resource::UserDeviceProfile(profile) => self.see_profile(profile, resource.key()),
            Resource::DefaultDeviceProfile(profile) => {
                self.default_profiles.insert(profile.model.clone());
            }
            Resource::Phone(phone) if phone.extension_mobility_enabled => {
                *self.phones.entry(phone.model.clone()).or_default() += 1;
            }
            Resource::Phone(_) => {}
            Resource::User(user) => self.see_user(user),
            Resource::ServiceParameters(_) => return,
            Resource::Line(_)
            | Resource::LogoutProfile(_)
            | Resource::DevicePool(_)
            | Resource::PhoneTemplate(_)
            | Resource::LineTemplate(_)
            | Resource::PresenceGroup(_)
            | Resource::PhoneServiceDefinition(_) => {
                self.present.insert(resource.key());
            }
        }
        self.used.extend(resource.references().into_keys());
        self.look_at(resource);
    }

    /// Everything that was found, the gravest first, then by rule and resource.
    pub fn finish(mut self) -> Vec<LintFinding> {
        self.look_at_all();
        self.found.sort_by(|a, b| {
            let order = |finding: &LintFinding| (std::cmp::Reverse(finding.severity), finding.rule);
            (order(a), &a.resource, &a.field).cmp(&(order(b), &b.resource, &b.field))
        });
        self.found
    }

    fn see_profile(&mut self, profile: &UserDeviceProfile, key: Key) {
        self.present.insert(key);
        if let Some(made_for) = &profile.made_for {
            self.made_for.insert(profile.name.clone(), made_for.model.clone());
        }
        if let Some(agent) = &profile.agent {
            self.acd_lines.entry(agent.acd_line.clone()).or_default().push(profile.name.clone());
        }
    }

    fn see_user(&mut self, user: &User) {
        if user.cross_cluster_enabled && self.cross_cluster.is_none() {
            self.cross_cluster = Some(user.user_id.clone());
        }
        let models: Option<BTreeSet<ModelName>> =
            user.profiles.iter().map(|name| self.made_for.get(name).cloned()).collect();
        if let Some(models) = models.filter(|models| !models.is_empty()) {
            let bound = Bound { count: 0, first: user.user_id.clone() };
            self.bound.entry(models).or_insert(bound).count += 1;
        }
    }
}
