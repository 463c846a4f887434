//! Watches and the link to phones on the wire.

use std::sync::Arc;

use roamline_domain::phone_state::{Actions, HookState, PhoneState, Session, SessionEvent};
use roamline_domain::{LineName, PhoneName, UserId, Violations};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use tonic::Status;

use super::{configuration, ended, optional, phone, session, session_of};
use crate::desk::PHONES_AT_MOST;
use crate::events::{Mark, Place};
use crate::phone_link::Report;
use crate::phone_links::{Named, PhoneRefused, Said, ToPhones};
use crate::refusal;
use crate::watch::{Message, PhoneLines, Told};
use crate::whereabouts::Filter;

/// What a watch asks for, and the place from which it resumes.
pub(crate) fn watch_filter(request: &wire::WatchSessionsRequest) -> Result<Filter, Refusal> {
    let mut found = Violations::new();
    let filter = Filter {
        user: optional::<UserId, _>("user_id", &request.user_id, &mut found, str::parse),
        phone: optional::<PhoneName, _>("phone", &request.phone, &mut found, str::parse),
        profile: optional("profile", &request.profile, &mut found, str::parse),
    };
    if request.with_phone_lines && request.phone.is_empty() {
        found.add("phone", "EV-4", "must name the phone whose numbers are to be told");
    }
    found.none_or(filter).map_err(refusal::invalid)
}

/// A place as text: its number, and the mark of what stands there; or its number alone, where nothing does.
fn token(place: &Place) -> String {
    match place.mark {
        Some(mark) => format!("after-{}-{mark:016x}", place.sequence),
        None => format!("begin-{}", place.sequence),
    }
}

pub(crate) fn resume_token(text: &str) -> Result<Option<Place>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    place(text).map(Some).ok_or_else(|| {
        Refusal::new(ErrorReason::ResumeTokenInvalid, "the resume token was not made by this watch")
    })
}

fn place(text: &str) -> Option<Place> {
    let (sequence, mark) = match text.strip_prefix("begin-") {
        Some(sequence) => (sequence, None),
        None => {
            let (sequence, mark) = text.strip_prefix("after-")?.split_once('-')?;
            (sequence, Some(Mark::from_str_radix(mark, 16).ok()?))
        }
    };
    let place = Place { sequence: sequence.parse().ok()?, mark };
    // One spelling alone: no signs, no leading zeros, no upper case.
    (token(&place) == text).then_some(place)
}

pub(crate) fn watched(told: Told) -> wire::WatchSessionsResponse {
    use wire::watch_sessions_response::Message as Wire;
    let message = match told.message {
        Message::Snapshot(live, applied) => Some(Wire::Snapshot(session(&live, applied))),
        Message::SnapshotDone => Some(Wire::SnapshotDone(wire::SnapshotDone {})),
        Message::Event(event) => match &event.stored.event {
            SessionEvent::LoggedIn(live) => Some(Wire::LoggedIn(session(live, false))),
            SessionEvent::LoggedOut(out) => Some(Wire::LoggedOut(ended(out))),
            SessionEvent::LogoutPending(live) => Some(Wire::LogoutPending(session(live, true))),
            SessionEvent::Refreshed(refreshed) => {
                Some(Wire::Refreshed(session(&refreshed.session, event.was_found_worn())))
            }
            SessionEvent::Redressed(_) | SessionEvent::Refused(_) => None,
        },
        Message::PhoneLines(lines) => Some(Wire::PhoneLines(phone_lines(lines))),
        Message::InReach(live, applied) => Some(Wire::InReach(session(&live, applied))),
        Message::OutOfReach(session, phone) => Some(Wire::OutOfReach(wire::OutOfReach {
            session_id: session.to_string(),
            phone: phone.to_string(),
        })),
        Message::Heartbeat => Some(Wire::Heartbeat(wire::Heartbeat {})),
    };
    let resume_token = told.resume.as_ref().map(token).unwrap_or_default();
    wire::WatchSessionsResponse { message, resume_token }
}

fn phone_lines(told: PhoneLines) -> wire::PhoneLines {
    let PhoneLines { phone, lines, generation, worn } = told;
    let lines = lines.iter().map(ToString::to_string).collect();
    wire::PhoneLines { phone: phone.to_string(), lines, generation, worn }
}

fn phone_update(state: &PhoneState) -> Result<wire::PhoneUpdate, Refusal> {
    Ok(wire::PhoneUpdate {
        phone: state.phone.to_string(),
        generation: state.generation,
        configuration: Some(configuration(&state.wears)?),
        session: session_of(state),
        actions: Some(actions(state.actions)),
        last_user_id: state.last_user.as_ref().map(ToString::to_string).unwrap_or_default(),
        phone_epoch: state.epoch,
    })
}

fn actions(actions: Actions) -> wire::PhoneActions {
    wire::PhoneActions {
        restart: actions.restart,
        reset: actions.reset,
        clear_call_history: actions.clear_call_history,
        cancel_call_back: actions.cancel_call_back,
    }
}

/// A message to one phone; what is refused ends its stream.
pub(crate) fn phone_told(told: ToPhones) -> Result<wire::WatchPhoneResponse, Refusal> {
    use wire::watch_phone_response::Message as Wire;
    let message = match told {
        ToPhones::Update(state) => Wire::Update(phone_update(&state)?),
        ToPhones::Heartbeat => Wire::Heartbeat(wire::Heartbeat {}),
        ToPhones::Refused(refused) => return Err(refused.refusal),
    };
    Ok(wire::WatchPhoneResponse { message: Some(message) })
}

/// A message to a call control. A state that cannot be read is refused, as anything of a single phone is.
pub(crate) fn phones_told(told: ToPhones) -> wire::WatchPhonesResponse {
    use wire::watch_phones_response::Message as Wire;
    let refused = |named: String, refusal: Refusal| {
        let (reason, message) = (refusal.reason.into(), refusal.message);
        Wire::Refusal(wire::PhoneRefusal { phone: named, reason, message })
    };
    let message = match told {
        ToPhones::Update(state) => match phone_update(&state) {
            Ok(update) => Wire::Update(update),
            Err(refusal) => refused(state.phone.to_string(), refusal),
        },
        ToPhones::Heartbeat => Wire::Heartbeat(wire::Heartbeat {}),
        ToPhones::Refused(PhoneRefused { named, refusal }) => refused(named, refusal),
    };
    wire::WatchPhonesResponse { message: Some(message) }
}

/// What a call control says, thing by thing; what cannot be read of a phone is refused by itself.
pub(crate) fn said(request: wire::WatchPhonesRequest) -> Result<Vec<Said>, Refusal> {
    use wire::watch_phones_request::Message as Wire;
    match request.message {
        Some(Wire::Watch(names)) => names_said(names, Said::Watch),
        Some(Wire::Unwatch(names)) => names_said(names, Said::Unwatch),
        Some(Wire::Acknowledge(request)) => {
            let generation = request.generation;
            Ok(vec![of_phone(request.phone, |named| Ok(Said::Acknowledge(named, generation)))])
        }
        Some(Wire::Report(request)) => {
            let name = request.phone.clone();
            Ok(vec![of_phone(name, |named| Ok(Said::Report(named, report(&request)?.1)))])
        }
        None => {
            let mut found = Violations::new();
            found.add("message", "", "must say something");
            Err(refusal::invalid(found))
        }
    }
}

/// The half of a stream that a call control sends broke off, or cannot be read.
pub(crate) fn broken_off(status: &Status) -> Refusal {
    let text = format!("what the call control sends cannot be read: {}", status.message());
    Refusal::new(ErrorReason::InvalidRequest, text)
}

fn names_said(names: wire::PhoneNames, say: impl Fn(Named) -> Said) -> Result<Vec<Said>, Refusal> {
    if !(1..=PHONES_AT_MOST).contains(&names.phones.len()) {
        let mut found = Violations::new();
        found.add("phones", "", format!("must name 1 to {PHONES_AT_MOST} phones"));
        return Err(refusal::invalid(found));
    }
    Ok(names.phones.into_iter().map(|text| of_phone(text, |named| Ok(say(named)))).collect())
}

fn of_phone(text: String, say: impl FnOnce(Named) -> Result<Said, Refusal>) -> Said {
    let mut found = Violations::new();
    let said = match phone("phone", &text, &mut found) {
        Some(phone) => say(Named { phone, text: text.clone() }),
        None => Err(refusal::invalid(found)),
    };
    said.unwrap_or_else(|refusal| Said::Refused(PhoneRefused { named: text, refusal }))
}

pub(crate) fn report(request: &wire::ReportPhoneRequest) -> Result<(PhoneName, Report), Refusal> {
    let mut found = Violations::new();
    let phone = phone("phone", &request.phone, &mut found);
    let hook = match wire::HookState::try_from(request.hook_state) {
        Ok(wire::HookState::OnHook) => Some(HookState::OnHook),
        Ok(wire::HookState::OffHook) => Some(HookState::OffHook),
        Ok(wire::HookState::Unspecified) if request.do_not_disturb.is_some() => None,
        Ok(wire::HookState::Unspecified) => {
            found.add("hook_state", "", "must be said where nothing else is");
            None
        }
        Err(_) => {
            found.add("hook_state", "", "must be on hook or off hook");
            None
        }
    };
    let report = Report { hook, epoch: request.phone_epoch, do_not_disturb: request.do_not_disturb };
    let said = phone.map(|phone| (phone, report));
    found.none_or(said).map_err(refusal::invalid)?.ok_or_else(|| refusal::invalid(Violations::new()))
}

pub(crate) fn locate_line(request: &wire::LocateNumberRequest) -> Result<LineName, Refusal> {
    let mut found = Violations::new();
    let line = found.take("line", request.line.parse());
    line.ok_or_else(|| refusal::invalid(found))
}

/// Where a number rings: with no session that wears it, in voice mail.
pub(crate) fn located(sessions: &[Arc<Session>]) -> wire::LocateNumberResponse {
    let place = |session: &Arc<Session>| wire::locate_number_response::Place {
        phone: session.phone.to_string(),
        session_id: session.id.to_string(),
        user_id: session.user.to_string(),
    };
    wire::LocateNumberResponse {
        places: sessions.iter().map(place).collect(),
        voice_mail: sessions.is_empty(),
    }
}
