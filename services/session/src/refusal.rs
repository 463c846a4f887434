//! Domain and store errors as refusals: the one mapping of this service.

use roamline_domain::login::LoginRefusal;
use roamline_domain::logout::{AgentBusy, LogoutRefused, NotLoggedIn};
use roamline_domain::parameters::SourceRefused;
use roamline_domain::phone_state::GenerationUnknown;
use roamline_domain::refresh::RefreshRefused;
use roamline_domain::{LineName, PhoneName, UserId, Violations};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::StoreError;

use crate::convert::control::agent_state_word;
use crate::logout::Target;

/// A malformed request, with every violation.
pub(crate) fn invalid(violations: Violations) -> Refusal {
    let mut refusal =
        Refusal::new(ErrorReason::InvalidRequest, format!("the request is malformed: {violations}"));
    for violation in violations {
        let text = match violation.rule {
            "" => violation.message,
            rule => format!("{} ({rule})", violation.message),
        };
        refusal = refusal.violation(violation.field, text);
    }
    refusal
}

/// A store that failed. The cause is logged here, once, and not told.
pub(crate) fn store(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(source) => {
            tracing::error!(error = %source, "the session store is unavailable");
            Refusal::new(
                ErrorReason::StoreUnavailable,
                "the session store is unavailable; nothing was changed",
            )
        }
        StoreError::InDoubt(source) => {
            tracing::error!(error = %source, "the session store did not say whether a change was made");
            Refusal::new(
                ErrorReason::StoreUnavailable,
                "the session store did not say whether the change was made; the same request id tells (LI-11)",
            )
            .with("outcome", "unknown")
        }
        StoreError::Lost => {
            tracing::error!("the session store has lost what it held");
            let text = "the session store has lost what it held, and is being rebuilt; nothing was changed";
            Refusal::new(ErrorReason::StoreUnavailable, text)
        }
        StoreError::Corrupt { what, source } => {
            tracing::error!(%what, error = %source, "a record of the session store is corrupt");
            Refusal::new(ErrorReason::Internal, format!("the record of {what} is corrupt"))
        }
    }
}

pub(crate) fn login(refused: &LoginRefusal) -> Refusal {
    let text = refused.to_string();
    match refused {
        LoginRefusal::DurationTooLong { asked, allowed } => Refusal::new(ErrorReason::DurationTooLong, text)
            .with("askedSeconds", asked.as_secs().to_string())
            .with("allowedSeconds", allowed.as_secs().to_string()),
        LoginRefusal::PhoneOccupied { phone, user, on_request } => {
            Refusal::new(ErrorReason::PhoneOccupied, text)
                .with("phone", phone.as_str())
                .with("userId", user.as_str())
                .with("takeOver", if *on_request { "possible" } else { "refused" })
        }
        LoginRefusal::LogoutPending { phone, user } => Refusal::new(ErrorReason::PhoneOccupied, text)
            .with("phone", phone.as_str())
            .with("userId", user.as_str())
            .with("takeOver", "refused")
            .with("logout", "pending"),
        LoginRefusal::LoggedInElsewhere { user, phone } => Refusal::new(ErrorReason::LoggedInElsewhere, text)
            .with("userId", user.as_str())
            .with("phone", phone.as_str()),
        LoginRefusal::LineInUse { line, user, phone } => line_in_use(text, line, user, phone),
        LoginRefusal::AgentBusy(busy) => agent_busy(busy),
    }
}

fn line_in_use(text: String, line: &LineName, user: &UserId, phone: &PhoneName) -> Refusal {
    Refusal::new(ErrorReason::LineInUse, text)
        .with("line", line.as_str())
        .with("userId", user.as_str())
        .with("phone", phone.as_str())
}

/// A login from a place that none is taken from. The caller is told the address that was seen: it is his own, or that
/// of the proxy which he came through.
pub(crate) fn source(refused: SourceRefused, seen: &str) -> Refusal {
    let reason = match refused {
        SourceRefused::Proxied => ErrorReason::ProxyNotAllowed,
        SourceRefused::NotTrusted | SourceRefused::NotOfThisSite => ErrorReason::SourceNotTrusted,
    };
    Refusal::new(reason, refused.to_string()).with("sourceAddress", seen)
}

pub(crate) fn off_hook(phone: &PhoneName) -> Refusal {
    let text = format!("the handset of {phone} is up, and it takes no login then (LI-8)");
    Refusal::new(ErrorReason::PhoneOffHook, text).with("phone", phone.as_str())
}

pub(crate) fn not_logged_in(refused: &NotLoggedIn) -> Refusal {
    Refusal::new(ErrorReason::NotLoggedIn, refused.to_string()).with("phone", refused.phone.as_str())
}

pub(crate) fn logout(refused: &LogoutRefused) -> Refusal {
    match refused {
        LogoutRefused::NotLoggedIn(refused) => not_logged_in(refused),
        LogoutRefused::AgentBusy(busy) => agent_busy(busy),
        LogoutRefused::Stale { phone, present, .. } => {
            Refusal::new(ErrorReason::PhoneEpochStale, refused.to_string())
                .with("phone", phone.as_str())
                .with("phoneEpoch", present.to_string())
        }
    }
}

fn agent_busy(busy: &AgentBusy) -> Refusal {
    Refusal::new(ErrorReason::AgentBusy, busy.to_string())
        .with("agentState", agent_state_word(busy.agent_state))
        .with("phone", busy.phone.as_str())
        .with("userId", busy.user.as_str())
}

pub(crate) fn refresh(refused: &RefreshRefused) -> Refusal {
    match refused {
        RefreshRefused::NotLoggedIn(refused) => not_logged_in(refused),
        RefreshRefused::Gone { session, .. } => session_not_found(session.as_str()),
        RefreshRefused::Overtaken { .. } => overtaken(),
        RefreshRefused::LineInUse { line, user, phone } => {
            line_in_use(refused.to_string(), line, user, phone)
        }
    }
}

/// Others were faster again and again.
pub(crate) fn overtaken() -> Refusal {
    Refusal::new(ErrorReason::StoreUnavailable, "too many changes to the same phone or user at once")
}

/// What was named is not live.
pub(crate) fn no_session(target: &Target) -> Refusal {
    match target {
        Target::Phone(phone) => not_logged_in(&NotLoggedIn { phone: phone.clone() }),
        Target::Session(id) => session_not_found(id.as_str()),
    }
}

pub(crate) fn user_has_no_session(user: &UserId) -> Refusal {
    Refusal::new(ErrorReason::SessionNotFound, format!("{user} is not logged in"))
        .with("userId", user.as_str())
}

pub(crate) fn generation(refused: GenerationUnknown) -> Refusal {
    Refusal::new(ErrorReason::GenerationUnknown, refused.to_string())
        .with("newestGeneration", refused.newest.to_string())
}

pub(crate) fn scope_missing(scope: &str) -> Refusal {
    Refusal::new(ErrorReason::ScopeMissing, format!("the token lacks the scope {scope}")).with("scope", scope)
}

pub(crate) fn session_not_found(id: &str) -> Refusal {
    Refusal::new(ErrorReason::SessionNotFound, format!("no session {id:?} is live")).with("sessionId", id)
}

pub(crate) fn request_id_reused(id: &str) -> Refusal {
    Refusal::new(
        ErrorReason::RequestIdReused,
        format!("the request id {id:?} was used for a different request (LI-11)"),
    )
    .with("requestId", id)
}
