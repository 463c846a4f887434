//! What a file comes to: resources and credentials, each with the lines it came from.

use roamline_proto::auth::NewCredential;
use roamline_proto::profile::{Resource, resource};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The line that it begins on.
    pub line: usize,
    fields: Vec<(String, usize)>,
}

impl<T> Sourced<T> {
    pub(crate) fn new(line: usize, value: T) -> Self {
        Self { value, line, fields: Vec::new() }
    }

    /// The same source of another value.
    pub(crate) fn map<U>(self, to: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: to(self.value), line: self.line, fields: self.fields }
    }

    /// Says that a field was written on another line than the value begins on.
    pub(crate) fn field(&mut self, field: impl Into<String>, line: usize) {
        self.fields.push((field.into(), line));
    }

    /// The line that a field was written on, `settings.lines[2].label` say: that of the nearest field around it which
    /// has a line of its own, else the line that the value begins on.
    pub fn line_of(&self, field: &str) -> usize {
        let around = |known: &str| match field.strip_prefix(known) {
            Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        };
        let nearest =
            self.fields.iter().filter(|(known, _)| around(known)).max_by_key(|(known, _)| known.len());
        nearest.map_or(self.line, |(_, line)| *line)
    }
}

/// Something that the operator should know, and that nothing is refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line it is about; absent when it is about the whole file.
    pub line: Option<usize>,
    /// What it is, in a sentence.
    pub text: String,
}

/// Everything that a file comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Site {
    /// For `ApplyResources`, in this order. Service parameters carry only what the file says: what they leave out is
    /// the cluster's business.
    pub resources: Vec<Sourced<Resource>>,
    /// For `SetCredentials`, in this order.
    pub credentials: Vec<Sourced<NewCredential>>,
    /// Lines that were passed over, without the secrets in them.
    pub not_understood: Vec<(usize, String)>,
    /// What was taken otherwise than one may think.
    pub notes: Vec<Note>,
}

impl Site {
    /// The line behind a field that a server refused: `resources[3].settings.lines[0]` of `ApplyResources`, or
    /// `credentials[1].credential` of `SetCredentials`. `None` when it names nothing of this site.
    pub fn problem_at(&self, field: &str) -> Option<usize> {
        let (list, rest) = field.split_once('[')?;
        let (index, rest) = rest.split_once(']')?;
        let index: usize = index.parse().ok()?;
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        match list {
            "resources" => {
                let source = self.resources.get(index)?;
                let kind = format!("{}.", kind_name(&source.value));
                Some(source.line_of(rest.strip_prefix(&kind).unwrap_or(rest)))
            }
            "credentials" => Some(self.credentials.get(index)?.line_of(rest)),
            _ => None,
        }
    }

    pub(crate) fn note(&mut self, line: impl Into<Option<usize>>, text: impl Into<String>) {
        self.notes.push(Note { line: line.into(), text: text.into() });
    }

    pub(crate) fn push(&mut self, kind: Sourced<resource::Kind>) {
        self.resources.push(kind.map(|kind| Resource { kind: Some(kind) }));
    }
}

/// The name of the field that a resource stands in.
fn kind_name(resource: &Resource) -> &'static str {
    match &resource.kind {
        Some(resource::Kind::DevicePool(_)) => "device_pool",
        Some(resource::Kind::PhoneTemplate(_)) => "phone_template",
        Some(resource::Kind::LineTemplate(_)) => "line_template",
        Some(resource::Kind::PresenceGroup(_)) => "presence_group",
        Some(resource::Kind::PhoneServiceDefinition(_)) => "phone_service_definition",
        Some(resource::Kind::Line(_)) => "line",
        Some(resource::Kind::UserDeviceProfile(_)) => "user_device_profile",
        Some(resource::Kind::DefaultDeviceProfile(_)) => "default_device_profile",
        Some(resource::Kind::LogoutProfile(_)) => "logout_profile",
        Some(resource::Kind::Phone(_)) => "phone",
        Some(resource::Kind::User(_)) => "user",
        Some(resource::Kind::ServiceParameters(_)) => "service_parameters",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_field_is_found_by_the_nearest_field_around_it() {
        let mut source = Sourced::new(10, ());
        source.field("settings.lines[1]", 12);
        source.field("settings.lines[1].label", 40);
        source.field("settings.lines[10]", 22);
        assert_eq!(source.line_of("settings.lines[1].lines[0]"), 12);
        assert_eq!(source.line_of("settings.lines[1].label"), 40);
        assert_eq!(source.line_of("settings.lines[10]"), 22);
        assert_eq!(source.line_of("settings.lines"), 10);
        assert_eq!(source.line_of(""), 10);
    }
}
