//! What a lint keeps of the resources it has seen, for those that are held against them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::appearance::LineTemplates;
use crate::check::{Known, LineFacts};
use crate::directory::{Key, LineTemplate, LogoutProfile, PhoneServiceDefinition, Resource};
use crate::name::{LineName, LogoutTag, RecordName};
use crate::settings::{LineKind, ServiceSubscription};

/// Resources that others are held against.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) maximum_phones: u32,
    pub(super) lines: HashMap<LineName, LineFacts>,
    pub(super) line_templates: BTreeMap<RecordName, LineTemplate>,
    pub(super) phone_services: HashMap<RecordName, PhoneServiceDefinition>,
    /// Shared logout profiles that leave a SIP phone without a line (LL-5).
    pub(super) nothing_on_sip: HashSet<LogoutTag>,
}

impl Seen {
    /// Keeps of the resource what others are held against.
    pub(super) fn see(&mut self, resource: &Resource) {
        match resource {
            Resource::Line(line) => {
                self.lines.insert(line.name.clone(), LineFacts::from(line));
            }
            Resource::LineTemplate(template) => {
                self.line_templates.insert(template.name.clone(), template.clone());
            }
            Resource::PhoneServiceDefinition(definition) => {
                self.phone_services.insert(definition.name.clone(), definition.clone());
            }
            Resource::LogoutProfile(profile) if !self.has_line_on_sip(profile) => {
                self.nothing_on_sip.insert(profile.tag);
            }
            _ => {}
        }
    }

    fn has_line_on_sip(&self, profile: &LogoutProfile) -> bool {
        let mut normal = profile.settings.lines.iter().filter(|entry| entry.kind == LineKind::Normal);
        normal.any(|entry| entry.lines.iter().any(|line| self.line(line).is_none_or(|line| !line.intercom)))
    }
}

impl LineTemplates for Seen {
    fn line_template(&self, name: &RecordName) -> Option<&LineTemplate> {
        self.line_templates.get(name)
    }
}

impl Known for Seen {
    fn line(&self, name: &LineName) -> Option<LineFacts> {
        self.lines.get(name).copied()
    }

    fn phone_service(&self, name: &RecordName) -> Option<&PhoneServiceDefinition> {
        self.phone_services.get(name)
    }

    /// A lint judges every subscription by what its definition says today.
    fn has_subscription(&self, _: &Key, _: &ServiceSubscription) -> bool {
        false
    }

    fn maximum_phones(&self) -> u32 {
        self.maximum_phones
    }
}
