//! A record as a line of an export, and back. What is verified is the same in both forms: number, columns, text, hash.

use jiff::Timestamp;
use roamline_proto::session::{AuditKind, AuditRecord};
use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::words::{of_enum, timestamp};

/// What names of kinds begin with on the wire.
pub(super) const KIND: &str = "AUDIT_KIND_";

/// A record, as far as it can be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub number: u64,
    pub time: Timestamp,
    pub kind: String,
    pub phone: String,
    pub user: String,
    /// In lower hexadecimal digits.
    pub hash: String,
    /// The text that is hashed.
    pub body: String,
}

impl Line {
    /// The record of a server; `None` for one whose time cannot be.
    pub(super) fn of(record: AuditRecord) -> Option<Self> {
        Some(Self {
            number: record.number,
            time: timestamp(record.time.as_ref())?,
            kind: of_enum(record.kind().as_str_name(), KIND),
            phone: record.phone,
            user: record.user_id,
            hash: hex(&record.hash),
            body: record.body,
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line with its end.
pub(super) fn write(record: &AuditRecord) -> Result<String, Failure> {
    let number = record.number;
    let line = Line::of(record.clone())
        .ok_or_else(|| Failure::other(format!("record {number} has a time that cannot be")))?;
    let json = serde_json::to_string(&line).map_err(|error| Failure::other(error.to_string()))?;
    Ok(json + "\n")
}

/// Reads `login-refused`, for an argument.
pub(super) fn read_kind(word: &str) -> Result<AuditKind, String> {
    let name = format!("{KIND}{}", word.to_ascii_uppercase().replace('-', "_"));
    AuditKind::from_str_name(&name)
        .filter(|kind| *kind != AuditKind::Unspecified)
        .ok_or_else(|| format!("{word:?} is no kind of audit records"))
}
