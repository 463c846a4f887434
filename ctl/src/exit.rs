//! How a command fails: what is said on standard error, and with which code the process ends.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::{EM_API_CODE, Refusal};
use tonic::{Code, Status};

/// The codes that scripts tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done: a closed pipe ends a command early, and well.
    Done = 0,
    /// None of the others.
    Other = 1,
    /// The command was called wrongly.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// Not proven, or not allowed.
    Denied = 4,
    /// The present state does not allow it.
    Conflict = 5,
    /// No answer now; it may be tried again.
    Unavailable = 6,
    /// Refused because of what was asked.
    Invalid = 7,
    /// A comparison found differences: an answer, not an error.
    Differs = 8,
    /// A lint or the doctor found errors or warnings, or a trail is broken.
    Findings = 9,
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::Done,
            Code::NotFound => Self::NotFound,
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Self::Conflict,
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => Self::Unavailable,
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid,
            Code::Cancelled | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
                Self::Other
            }
        }
    }
}

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: Vec::new(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(Exit::Other, message)
    }

    /// Adds a line below the message.
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is said of it, on one line.
    pub(crate) fn said(&self) -> String {
        let lines = std::iter::once(&self.message).chain(&self.details);
        lines.map(|line| line.trim()).collect::<Vec<_>>().join("; ")
    }

    /// The lines below the message.
    #[cfg(test)]
    pub(crate) fn details(&self) -> &[String] {
        &self.details
    }

    /// What a server answered; `server` is where it was asked.
    pub(crate) fn from_status(status: &Status, server: &str) -> Self {
        let exit = Exit::from(status.code());
        let Some(refusal) = Refusal::from_status(status) else {
            return match status.code() {
                Code::Unavailable => Self::new(exit, format!("cannot reach {server}"))
                    .detail(innermost(status))
                    .hint("start a server with `roamline up`, or name one with --server URL"),
                code => Self::new(exit, format!("{server} answered {code:?}: {}", status.message())),
            };
        };
        let mut failure = Self::new(exit, refusal.message.clone());
        failure.details.push(format!("reason: {}", Refusal::reason_name(refusal.reason)));
        failure.details.extend(refusal.violations.iter().map(|(field, text)| {
            if field.is_empty() { format!("  {text}") } else { format!("  {field}: {text}") }
        }));
        let mut facts: Vec<_> = refusal.metadata.iter().filter(|(key, _)| *key != EM_API_CODE).collect();
        facts.sort();
        failure.details.extend(facts.into_iter().map(|(key, value)| format!("{key}: {value}")));
        failure.hint = advice(refusal.reason).map(str::to_owned);
        failure
    }

    /// Writes it to standard error.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self.exit, Exit::Done | Exit::Differs) {
            let mut text = format!("error: {}\n", self.message);
            for line in &self.details {
                text.push_str(&format!("  {line}\n"));
            }
            if let Some(hint) = &self.hint {
                text.push_str(&format!("hint: {hint}\n"));
            }
            // Nobody is left to be told when standard error is closed.
            let _ = io::stderr().write_all(text.as_bytes());
        }
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Done, String::new()),
            _ => Self::other(error.to_string()),
        }
    }
}

/// The last cause of a transport error: the others only say that there is one.
fn innermost(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn advice(reason: ErrorReason) -> Option<&'static str> {
    Some(match reason {
        ErrorReason::TokenMissing => "sign in with `roamctl sign-in NAME`, or name a file with --credentials",
        ErrorReason::TokenInvalid => "sign in again with `roamctl sign-in NAME`",
        ErrorReason::CredentialMustChange => "set a new one with `roamctl credential change NAME`",
        ErrorReason::PhoneOccupied => "--take-over logs the other user out",
        ErrorReason::ProfileChoiceNeeded => "choose one with --profile NAME",
        ErrorReason::TooManyRequests | ErrorReason::StoreUnavailable | ErrorReason::ServiceUnavailable => {
            "the same command may succeed later"
        }
        ErrorReason::ResumeTokenTooOld => "watch again without --resume",
        ErrorReason::InterClusterTimeMissing => {
            "set it with `roamctl parameters set inter_cluster_maximum_login_time=8h`"
        }
        ErrorReason::CrossClusterNotConfigured => {
            "set it with `roamctl peer parameters set configuration_server=HOST`"
        }
        ErrorReason::ModelUnknown => "`roamctl model list` lists the models",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_reason_its_violations_and_what_to_do() {
        let refusal = Refusal::new(ErrorReason::PhoneOccupied, "somebody else is logged in")
            .with("userId", "agent7")
            .violation("phone", "is taken");
        let failure = Failure::from_status(&refusal.into(), "http://s");
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(failure.message, "somebody else is logged in");
        assert_eq!(failure.details, ["reason: PHONE_OCCUPIED", "  phone: is taken", "userId: agent7"]);
        assert!(failure.hint.unwrap().contains("--take-over"));
    }

    #[test]
    fn a_server_that_does_not_answer_is_unavailable() {
        let failure = Failure::from_status(&Status::unavailable("tcp connect error"), "http://s");
        assert_eq!(failure.exit, Exit::Unavailable);
        assert!(failure.message.contains("http://s"));
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit, Exit::Done);
    }
}
