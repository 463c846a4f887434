//! Every refusal of the service, in one place: domain and store errors become a reason with its facts.

use std::error::Error;
use std::time::Duration;

use roamline_domain::catalogue::UnknownModel;
use roamline_domain::contact_centre::Finding;
use roamline_domain::directory::{Key, Kind};
use roamline_domain::{Violation, Violations};
use roamline_proto::error::ErrorReason;
use roamline_proto::mask::UnknownPath;
use roamline_proto::refusal::Refusal;
use roamline_store::StoreError;

use crate::sessions::Worn;

/// When a store that failed is worth another try.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that is malformed in one field.
pub(crate) fn malformed(field: &str, problem: impl Into<String>) -> Refusal {
    Refusal::new(ErrorReason::InvalidRequest, "the request is malformed").violation(field, problem)
}

/// A request that is malformed in several fields.
pub(crate) fn all_malformed(found: Violations) -> Refusal {
    with_violations(Refusal::new(ErrorReason::InvalidRequest, "the request is malformed"), found)
}

/// Resources that break rules.
pub(crate) fn invalid(found: Violations) -> Refusal {
    let count = found.iter().count();
    let message = match count {
        1 => "one thing is wrong with what was sent".to_owned(),
        count => format!("{count} things are wrong with what was sent"),
    };
    with_violations(Refusal::new(ErrorReason::ResourceInvalid, message), found)
}

/// The violations of one resource, under the field that carries it.
pub(crate) fn under(field: &str, found: Violations) -> Violations {
    let mut all = Violations::new();
    all.extend_under(field, found);
    all
}

fn with_violations(refusal: Refusal, found: Violations) -> Refusal {
    found.into_iter().fold(refusal, |refusal, violation| {
        let text = described(&violation);
        refusal.violation(violation.field, text)
    })
}

fn described(violation: &Violation) -> String {
    match violation.rule {
        "" => violation.message.clone(),
        rule if violation.message.contains(rule) => violation.message.clone(),
        rule => format!("{} ({rule})", violation.message),
    }
}

/// A model that the catalogue lacks.
pub(crate) fn model_unknown(unknown: &UnknownModel) -> Refusal {
    let refusal =
        Refusal::new(ErrorReason::ModelUnknown, unknown.to_string()).with("model", unknown.given.clone());
    match &unknown.nearest {
        Some(nearest) => refusal.with("nearest", nearest.to_string()),
        None => refusal,
    }
}

/// A profile that the contact-centre policy refuses (CC-5).
pub(crate) fn contact_centre(findings: &[Finding]) -> Refusal {
    let refusal = Refusal::new(ErrorReason::ContactCentrePolicy, contact_centre_message());
    findings.iter().fold(refusal, |refusal, finding| {
        refusal.violation(finding.field.clone(), format!("{} ({})", finding.message, finding.rule))
    })
}

/// What is said of such a profile.
pub(crate) fn contact_centre_message() -> &'static str {
    "the profile breaks a contact-centre rule"
}

/// A resource that is not there.
pub(crate) fn not_found(key: &Key) -> Refusal {
    about(ErrorReason::ResourceNotFound, format!("there is no {} {:?}", key.kind, name(key)), key)
}

/// A name that is taken; `by` is who has it.
pub(crate) fn exists(by: &Key) -> Refusal {
    about(ErrorReason::ResourceExists, format!("the name is taken by {}", read(by)), by)
}

/// A resource that others refer to.
pub(crate) fn in_use(key: &Key, by: &[Key]) -> Refusal {
    let users = by.iter().map(read).collect::<Vec<_>>().join(", ");
    Refusal::new(ErrorReason::ResourceInUse, format!("{} is used by {users}", read(key)))
        .with("usedBy", users)
}

/// A resource that has changed since the caller read it.
pub(crate) fn stale(key: &Key, etag: String) -> Refusal {
    Refusal::new(ErrorReason::EtagMismatch, format!("{} has changed since it was read", read(key)))
        .with("etag", etag)
}

/// A mask that names what is no field.
pub(crate) fn unknown_path(unknown: &UnknownPath) -> Refusal {
    Refusal::new(ErrorReason::FieldMaskInvalid, "the update mask names a field that does not exist")
        .with("path", unknown.path.clone())
        .violation("update_mask", unknown.to_string())
}

/// A mask that names a field which cannot be changed.
pub(crate) fn fixed_path(path: &str) -> Refusal {
    Refusal::new(ErrorReason::FieldMaskInvalid, "the update mask names a field that cannot be changed")
        .with("path", path)
        .violation("update_mask", format!("`{path}` cannot be changed"))
}

/// A filter or an order that cannot be read, and the character at which it cannot.
pub(crate) fn list_query(field: &str, at: usize, problem: &str) -> Refusal {
    Refusal::new(ErrorReason::ListQueryInvalid, format!("the {} cannot be read", field.replace('_', " ")))
        .with("character", at.to_string())
        .violation(field, format!("character {at}: {problem}"))
}

/// A resource that live sessions hold (DP-9).
pub(crate) fn worn(key: &Key, sessions: &[Worn]) -> Refusal {
    let held: Vec<String> =
        sessions.iter().take(20).map(|worn| format!("{} at {}", worn.user_id, worn.phone)).collect();
    let phones: Vec<&str> = sessions.iter().take(20).map(|worn| worn.phone.as_str()).collect();
    Refusal::new(ErrorReason::ResourceWorn, format!("{} is worn by {}", read(key), held.join(", ")))
        .with("phones", phones.join(", "))
}

/// A page token of another list.
pub(crate) fn page_token() -> Refusal {
    Refusal::new(ErrorReason::PageTokenInvalid, "the page token was not made by this list")
        .violation("page_token", "is not the `next_page_token` of a page of this list")
}

/// More exports than are served at once.
pub(crate) fn exports() -> Refusal {
    let told = "as many exports are under way as are served at once";
    let refusal = Refusal::new(ErrorReason::TooManyRequests, told);
    Refusal { retry_after: Some(RETRY_AFTER), ..refusal }
}

/// An export that was cut off because nobody read it.
pub(crate) fn export_unread() -> Refusal {
    unavailable("the export was not read for too long and has ended: begin again")
}

/// An import that is not open.
pub(crate) fn import_not_found() -> Refusal {
    Refusal::new(ErrorReason::ImportNotFound, "no import of that id is open")
}

/// A chunk that does not begin where the import stands (DP-19).
pub(crate) fn import_row(next: u64) -> Refusal {
    Refusal::new(ErrorReason::ImportRowUnexpected, format!("row {next} is to come next"))
        .with("nextRow", next.to_string())
}

/// More writers than the store can order.
pub(crate) fn contended() -> Refusal {
    unavailable("too many others change the same records now")
}

/// A fault of ours; the log has the rest.
pub(crate) fn internal(what: &str) -> Refusal {
    tracing::error!(what, "internal error");
    Refusal::new(ErrorReason::Internal, "internal error")
}

/// A store that failed; the log has the cause.
pub(crate) fn store(error: StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(cause) | StoreError::InDoubt(cause) => {
            tracing::warn!(cause = &*cause as &dyn Error, "the directory store is unavailable");
            unavailable("the directory cannot be read or written now")
        }
        StoreError::Lost => unavailable("the directory cannot be read or written now"),
        StoreError::Corrupt { what, source } => {
            tracing::error!(cause = &*source as &dyn Error, what, "a record of the directory is corrupt");
            Refusal::new(ErrorReason::Internal, "internal error")
        }
    }
}

/// A resource as one reads it: "phone SEP000DEDAB3566".
pub(crate) fn read(key: &Key) -> String {
    format!("{} {}", key.kind, name(key))
}

/// The name in a key; a tag without the zeros that make tags sort.
pub(crate) fn name(key: &Key) -> &str {
    match key.kind {
        Kind::LogoutProfile => key.name.trim_start_matches('0'),
        _ => &key.name,
    }
}

fn unavailable(message: &str) -> Refusal {
    let refusal = Refusal::new(ErrorReason::StoreUnavailable, message);
    Refusal { retry_after: Some(RETRY_AFTER), ..refusal }
}

fn about(reason: ErrorReason, message: String, key: &Key) -> Refusal {
    Refusal::new(reason, message).with("kind", key.kind.as_str()).with("name", name(key))
}
