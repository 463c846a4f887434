//! The records that a rendering looks into beside phone and profiles: what they name, and what the phone belongs to.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::{
    DevicePool, Key, Kind, Line, LineTemplate, Phone, PhoneTemplate, PresenceGroup, Resource,
};
use crate::name::{LineName, RecordName};
use crate::parameters::ServiceParameters;
use crate::presence::group_name;
use crate::settings::DeviceSettings;

/// What a rendering finds around phone and profiles. What is missing says nothing: it was deleted a moment ago.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The parameters in force.
    pub parameters: ServiceParameters,
    /// The phone's device pool.
    pub device_pool: Option<DevicePool>,
    /// Lines of the entries, and those that busy lamps are about.
    pub lines: BTreeMap<LineName, Line>,
    /// Line templates of the entries.
    pub line_templates: BTreeMap<RecordName, LineTemplate>,
    /// Phone templates of the settings.
    pub phone_templates: BTreeMap<RecordName, PhoneTemplate>,
    /// Presence groups that look at busy lamps.
    pub presence_groups: BTreeMap<RecordName, PresenceGroup>,
}

impl Around {
    /// With these parameters and nothing else.
    pub fn new(parameters: ServiceParameters) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// Lays a record to the others. One of another kind is passed over.
    pub fn add(&mut self, resource: Resource) {
        match resource {
            Resource::DevicePool(pool) => self.device_pool = Some(pool),
            Resource::Line(line) => {
                self.lines.insert(line.name.clone(), line);
            }
            Resource::LineTemplate(template) => {
                self.line_templates.insert(template.name.clone(), template);
            }
            Resource::PhoneTemplate(template) => {
                self.phone_templates.insert(template.name.clone(), template);
            }
            Resource::PresenceGroup(group) => {
                self.presence_groups.insert(group.name.clone(), group);
            }
            _ => {}
        }
    }
}

/// The keys of the records that a rendering of these settings at that phone looks into. Presence groups only where
/// there is a busy lamp; of a number, only its line in no partition.
pub fn looks_into<'a>(
    phone: &Phone,
    settings: impl IntoIterator<Item = &'a DeviceSettings>,
) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    keys.extend(phone.device_pool.iter().map(|name| Key::new(Kind::DevicePool, name.as_str())));
    for settings in settings {
        for entry in &settings.lines {
            keys.extend(entry.lines.iter().map(|line| Key::new(Kind::Line, line.as_str())));
            keys.extend(entry.template.iter().map(|name| Key::new(Kind::LineTemplate, name.as_str())));
        }
        let template = settings.phone_template.iter();
        keys.extend(template.map(|name| Key::new(Kind::PhoneTemplate, name.as_str())));
        for dial in settings.speed_dials.iter().filter(|dial| dial.busy_lamp) {
            keys.insert(Key::new(Kind::Line, dial.number.as_str()));
            keys.insert(Key::new(Kind::PresenceGroup, group_name(settings.presence_group.as_ref())));
        }
    }
    keys
}
