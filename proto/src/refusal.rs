//! A refusal on the wire: a status with `ErrorInfo`, `BadRequest` and `RetryInfo`, and how a client reads it back.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::contract::facts;
use crate::error::ErrorReason;

/// The `domain` of every `ErrorInfo` that Roamline sends.
pub const DOMAIN: &str = "roamline";
/// The metadata key under which the numeric code of the extension mobility API rides along.
pub const EM_API_CODE: &str = "emApiCode";

/// A request that is refused: built up, then turned into a [`Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: ErrorReason,
    /// In a sentence, for people.
    pub message: String,
    /// The facts, for programs; keys are camelCase.
    pub metadata: HashMap<String, String>,
    /// Field and description of every violation.
    pub violations: Vec<(String, String)>,
    /// When a retry may help.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with nothing but its reason and a sentence.
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a violation.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push((field.into(), description.into()));
        self
    }

    /// The name of the reason as it stands in `ErrorInfo`: without the enum's prefix.
    pub fn reason_name(reason: ErrorReason) -> &'static str {
        let name = reason.as_str_name();
        name.strip_prefix("ERROR_REASON_").unwrap_or(name)
    }

    /// Reads a refusal back from a status; `None` when the status is not one of ours.
    pub fn from_status(status: &Status) -> Option<Self> {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        Some(Self {
            reason: ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))
                .unwrap_or(ErrorReason::Unspecified),
            message: status.message().to_owned(),
            metadata: info.metadata.clone(),
            violations: details
                .bad_request()
                .map(|bad| {
                    bad.field_violations.iter().map(|v| (v.field.clone(), v.description.clone())).collect()
                })
                .unwrap_or_default(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        })
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let facts = facts(refusal.reason);
        let mut metadata = refusal.metadata;
        if let Some(code) = facts.em_api_code {
            metadata.insert(EM_API_CODE.to_owned(), code.to_string());
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(Refusal::reason_name(refusal.reason), DOMAIN, metadata);
        if !refusal.violations.is_empty() {
            let violations: Vec<_> = refusal
                .violations
                .into_iter()
                .map(|(field, text)| FieldViolation::new(field, text))
                .collect();
            details.set_bad_request(violations);
        }
        if refusal.retry_after.is_some() {
            details.set_retry_info(refusal.retry_after);
        }
        Status::with_error_details(Code::from(facts.grpc_code), refusal.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_back_what_was_refused_and_the_em_api_code() {
        let refusal = Refusal::new(ErrorReason::PhoneOccupied, "somebody else is logged in")
            .with("userId", "agent7")
            .violation("phone", "is taken");
        let status = Status::from(refusal.clone());
        assert_eq!(status.code(), Code::FailedPrecondition);
        let read = Refusal::from_status(&status).unwrap();
        assert_eq!(read.reason, refusal.reason);
        assert_eq!(read.violations, refusal.violations);
        assert_eq!(read.metadata.get(EM_API_CODE).map(String::as_str), Some("18"));
        assert_eq!(read.metadata.get("userId").map(String::as_str), Some("agent7"));
    }
}
