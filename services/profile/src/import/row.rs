//! Rows as they are read: which resource each is about, and what it asks for it to be.

use prost_types::FieldMask;
use roamline_domain::Violations;
use roamline_domain::catalogue::Catalogue;
use roamline_domain::directory::{
    DefaultDeviceProfile, DevicePool, Key, Line, LineTemplate, LogoutProfile, Phone, PhoneServiceDefinition,
    PhoneTemplate, PresenceGroup, Resource, User, UserDeviceProfile,
};
use roamline_domain::parameters::ServiceParameters;
use roamline_proto::mask;
use roamline_proto::profile as wire;
use wire::ImportAction;
use wire::resource::Kind;

use crate::record::{Record, keep_pin};

/// Calls a function of a record's kind with its message.
macro_rules! of_kind {
    ($kind:expr, $function:ident($($argument:expr),*)) => {
        match $kind {
            Kind::Line(message) => $function::<Line>(message, $($argument),*),
            Kind::UserDeviceProfile(message) => $function::<UserDeviceProfile>(message, $($argument),*),
            Kind::DefaultDeviceProfile(message) => $function::<DefaultDeviceProfile>(message, $($argument),*),
            Kind::LogoutProfile(message) => $function::<LogoutProfile>(message, $($argument),*),
            Kind::Phone(message) => $function::<Phone>(message, $($argument),*),
            Kind::User(message) => $function::<User>(message, $($argument),*),
            Kind::ServiceParameters(message) => $function::<ServiceParameters>(message, $($argument),*),
            Kind::DevicePool(message) => $function::<DevicePool>(message, $($argument),*),
            Kind::PhoneTemplate(message) => $function::<PhoneTemplate>(message, $($argument),*),
            Kind::LineTemplate(message) => $function::<LineTemplate>(message, $($argument),*),
            Kind::PresenceGroup(message) => $function::<PresenceGroup>(message, $($argument),*),
            Kind::PhoneServiceDefinition(message) => $function::<PhoneServiceDefinition>(message, $($argument),*),
        }
    };
}

/// A row that says what it is about.
pub(super) struct Named<'a> {
    pub(super) row: u64,
    pub(super) action: ImportAction,
    pub(super) key: Key,
    /// The field that names the resource.
    pub(super) key_field: &'static str,
    kind: &'a Kind,
    mask: Option<&'a FieldMask>,
}

impl<'a> Named<'a> {
    /// Reads the name and the action of a row.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn read(row: &'a wire::ImportRow, catalogue: &Catalogue) -> Result<Self, Violations> {
        let mut found = Violations::new();
        let action = row.action();
        if action == ImportAction::Unspecified {
            found.add("", "", "does not say what it asks for: add, update, put or delete");
        }
        let Some(kind) = row.resource.as_ref().and_then(|resource| resource.kind.as_ref()) else {
            found.add("", "", "has no resource of a kind that is known");
            return Err(found);
        };
        let (key_field, key) = of_kind!(kind, named(catalogue));
        match found.take(key_field, key) {
            Some(key) if found.is_empty() => {
                let mask = row.update_mask.as_ref();
                Ok(Self { row: row.row, action, key, key_field, kind, mask })
            }
            // What else is wrong with the row is told with it.
            _ => {
                if let Err(more) = of_kind!(kind, parsed(catalogue)) {
                    for violation in more.into_iter().filter(|violation| violation.field != key_field) {
                        found.add(violation.field, violation.rule, violation.message);
                    }
                }
                Err(found)
            }
        }
    }

    /// What the resource shall be, given what is stored; `None` where it shall be deleted.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) fn wanted(
        &self,
        stored: Option<&Resource>,
        catalogue: &Catalogue,
    ) -> Result<Option<Resource>, Violations> {
        if self.action == ImportAction::Delete {
            return Ok(None);
        }
        let stored = stored.filter(|_| self.action != ImportAction::Add);
        of_kind!(self.kind, merged(stored, self.mask, catalogue)).map(Some)
    }
}

fn named<R: Record>(
    message: &R::Wire,
    catalogue: &Catalogue,
) -> (&'static str, Result<Key, roamline_domain::InvalidName>) {
    (R::KEY_FIELD, R::key(R::given(message), catalogue))
}

fn parsed<R: Record>(message: &R::Wire, catalogue: &Catalogue) -> Result<Resource, Violations> {
    R::parse(message, catalogue).map(Record::into_resource)
}

/// What is stored with the fields that the mask names as they are wanted; all fields where nothing is stored. A
/// call-blocking PIN that the row does not give is kept.
fn merged<R: Record>(
    wanted: &R::Wire,
    stored: Option<&Resource>,
    mask: Option<&FieldMask>,
    catalogue: &Catalogue,
) -> Result<Resource, Violations> {
    let current = stored.and_then(R::of_resource).map(|record| record.message(String::new()));
    let message = match mask.filter(|mask| !mask.paths.is_empty()) {
        Some(mask) => {
            let changed = changed::<R>(current.as_ref().unwrap_or(wanted), wanted, mask)?;
            if current.is_some() { changed } else { wanted.clone() }
        }
        None => wanted.clone(),
    };
    let mut resource = parsed::<R>(&message, catalogue)?;
    if let Some(stored) = stored {
        keep_pin(&mut resource, stored);
    }
    Ok(resource)
}

/// `current` with the fields that the mask names from `wanted`, apart from the name: it is what found the record.
fn changed<R: Record>(current: &R::Wire, wanted: &R::Wire, mask: &FieldMask) -> Result<R::Wire, Violations> {
    let paths: Vec<String> =
        mask.paths.iter().filter(|path| path.as_str() != R::KEY_FIELD).cloned().collect();
    if paths.is_empty() {
        return Ok(current.clone());
    }
    mask::merge(current, wanted, Some(&FieldMask { paths })).map_err(|unknown| {
        let mut found = Violations::new();
        found.add(unknown.path.clone(), "", unknown.to_string());
        found
    })
}
