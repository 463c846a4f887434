//! Phones and events as protobuf messages: what is absent or zero takes no room, a field that a newer release has added
//! is passed over by an older one, and one that an older release did not write reads as absent. So releases that stand
//! side by side read each other's records; a tag is never given twice, nor another meaning. An older
//! release that changes a record drops the fields it does not know: a new field counts only once all replicas write it.

mod message;

use jiff::Timestamp;
use prost::Message;
use roamline_domain::deadline::PendingLogout;
use roamline_domain::phone_state::{
    Actions, Actor, AgentState, Asked, Configuration, EndedSession, HookState, LogoutReason, PhoneState,
    RefreshedSession, Refused, Session, SessionEvent,
};
use roamline_domain::{LineName, PhoneName, SessionId};

use self::message::{
    Kind, PackedActor, PackedEnd, PackedEvent, PackedInstant, PackedLength, PackedPending, PackedPhone,
    PackedRefusal, PackedSession,
};
use crate::error::Cause;
use crate::record;

/// A phone without its name, its epoch and its renderings.
pub(crate) fn from_phone(state: &PhoneState) -> Result<Vec<u8>, Cause> {
    let PhoneState { phone, generation, acknowledged, actions, hook, session, last_user, epoch: _, wears: _ } =
        state;
    if session.as_ref().is_some_and(|session| session.phone != *phone) {
        return Err("its session is on another phone".into());
    }
    let session =
        session.as_ref().map(|session| PackedSession { phone: Vec::new(), ..pack_session(session) });
    let packed = PackedPhone {
        generation: *generation,
        acknowledged: *acknowledged,
        actions: pack_actions(*actions),
        off_hook: *hook == HookState::OffHook,
        last_user: last_user.as_ref().map(ToString::to_string).unwrap_or_default(),
        session,
    };
    Ok(packed.encode_to_vec())
}

/// The phone of that name at that epoch, without renderings.
pub(crate) fn to_phone(phone: PhoneName, epoch: u64, packed: &[u8]) -> Result<PhoneState, Cause> {
    let PackedPhone { generation, acknowledged, actions, off_hook, last_user, session } =
        PackedPhone::decode(packed)?;
    Ok(PhoneState {
        epoch,
        generation,
        acknowledged,
        wears: Configuration::default(),
        actions: unpack_actions(actions)?,
        hook: if off_hook { HookState::OffHook } else { HookState::OnHook },
        session: session.map(|session| unpack_session(session, Some(&phone))).transpose()?,
        last_user: optional(&last_user)?,
        phone,
    })
}

/// An event. Renderings are not in events.
pub(crate) fn from_event(event: &SessionEvent) -> Vec<u8> {
    let refreshed_by = match event {
        SessionEvent::Refreshed(refreshed) => Some(pack_actor(&refreshed.actor)),
        _ => None,
    };
    let kind = match event {
        SessionEvent::LoggedIn(session) => Kind::LoggedIn(pack_session(session)),
        SessionEvent::LogoutPending(session) => Kind::LogoutPending(pack_session(session)),
        SessionEvent::Refreshed(refreshed) => Kind::Refreshed(pack_session(&refreshed.session)),
        SessionEvent::LoggedOut(EndedSession { session, reason, at, actor, epoch, note }) => {
            Kind::LoggedOut(PackedEnd {
                session: pack_session(session),
                reason: pack_reason(*reason),
                at: pack_instant(*at),
                actor: pack_actor(actor),
                epoch: *epoch,
                note: note.clone(),
            })
        }
        SessionEvent::Redressed(phone) => Kind::Redressed(record::name(phone).to_vec()),
        SessionEvent::Refused(Refused { what, phone, user, profile, reason, actor, more }) => {
            Kind::Refused(PackedRefusal {
                what: match what {
                    Asked::Login => 1,
                    Asked::Logout => 2,
                },
                phone: record::name(phone).to_vec(),
                user: user.clone(),
                profile: profile.clone(),
                reason: reason.clone(),
                actor: pack_actor(actor),
                more: *more,
            })
        }
    };
    PackedEvent { kind: Some(kind), refreshed_by }.encode_to_vec()
}

pub(crate) fn to_event(packed: &[u8]) -> Result<SessionEvent, Cause> {
    let PackedEvent { kind, refreshed_by } = PackedEvent::decode(packed)?;
    let kind = kind.ok_or("it is of a kind that is not known")?;
    Ok(match kind {
        Kind::LoggedIn(session) => SessionEvent::LoggedIn(unpack_session(session, None)?),
        Kind::LogoutPending(session) => SessionEvent::LogoutPending(unpack_session(session, None)?),
        Kind::Refreshed(session) => SessionEvent::Refreshed(RefreshedSession {
            session: unpack_session(session, None)?,
            actor: refreshed_by.map(unpack_actor).unwrap_or_default(),
        }),
        Kind::Redressed(phone) => SessionEvent::Redressed(record::to_name(&phone)?),
        Kind::LoggedOut(PackedEnd { session, reason, at, actor, epoch, note }) => {
            SessionEvent::LoggedOut(EndedSession {
                session: unpack_session(session, None)?,
                reason: unpack_reason(reason)?,
                at: unpack_instant(at)?,
                actor: unpack_actor(actor),
                epoch,
                note,
            })
        }
        Kind::Refused(PackedRefusal { what, phone, user, profile, reason, actor, more }) => {
            SessionEvent::Refused(Refused {
                what: match what {
                    1 => Asked::Login,
                    2 => Asked::Logout,
                    other => return Err(unknown("request", other)),
                },
                phone: record::to_name(&phone)?,
                user,
                profile,
                reason,
                actor: unpack_actor(actor),
                more,
            })
        }
    })
}

fn pack_session(session: &Session) -> PackedSession {
    // Each field, so that a new one is not forgotten.
    let Session {
        id,
        user,
        phone,
        profile,
        since,
        expires_at,
        idle_limit,
        idle_since,
        daily_logout_at,
        pending_logout,
        apply_by,
        agent_state,
        primary_extension,
        lines,
        acd_line,
        generation,
        epoch,
        actor,
        logout_configuration: _,
    } = session;
    let line = |line: &Option<LineName>| line.as_ref().map(ToString::to_string).unwrap_or_default();
    PackedSession {
        id: record::session(id),
        user: user.to_string(),
        phone: record::name(phone).to_vec(),
        profile: profile.to_string(),
        since: pack_instant(*since),
        expires_at: expires_at.map(pack_instant),
        idle_limit: idle_limit
            .map(|limit| PackedLength { seconds: limit.as_secs(), nanos: limit.subsec_nanos() }),
        idle_since: idle_since.map(pack_instant),
        daily_logout_at: daily_logout_at.map(pack_instant),
        pending_logout: pending_logout.map(|pending| PackedPending {
            reason: pack_reason(pending.reason),
            due_at: pack_instant(pending.due_at),
            until: pack_instant(pending.until),
        }),
        apply_by: apply_by.map(pack_instant),
        agent_state: agent_state.map_or(0, pack_agent_state),
        primary_extension: line(primary_extension),
        lines: lines.iter().map(ToString::to_string).collect(),
        acd_line: line(acd_line),
        generation: *generation,
        epoch: *epoch,
        actor: pack_actor(actor),
    }
}

/// On that phone, or on the one that it names.
fn unpack_session(packed: PackedSession, phone: Option<&PhoneName>) -> Result<Session, Cause> {
    let pending = |packed: PackedPending| -> Result<PendingLogout, Cause> {
        Ok(PendingLogout {
            reason: unpack_reason(packed.reason)?,
            due_at: unpack_instant(packed.due_at)?,
            until: unpack_instant(packed.until)?,
        })
    };
    let lines = packed.lines.iter().map(|line| line.parse());
    Ok(Session {
        id: unpack_session_id(packed.id)?,
        user: packed.user.parse()?,
        phone: phone.cloned().map_or_else(|| record::to_name(&packed.phone), Ok)?,
        profile: packed.profile.parse()?,
        since: unpack_instant(packed.since)?,
        expires_at: packed.expires_at.map(unpack_instant).transpose()?,
        idle_limit: packed.idle_limit.map(unpack_length).transpose()?,
        idle_since: packed.idle_since.map(unpack_instant).transpose()?,
        daily_logout_at: packed.daily_logout_at.map(unpack_instant).transpose()?,
        pending_logout: packed.pending_logout.map(pending).transpose()?,
        apply_by: packed.apply_by.map(unpack_instant).transpose()?,
        agent_state: unpack_agent_state(packed.agent_state)?,
        primary_extension: optional(&packed.primary_extension)?,
        lines: lines.collect::<Result<_, _>>()?,
        acd_line: optional(&packed.acd_line)?,
        generation: packed.generation,
        epoch: packed.epoch,
        actor: unpack_actor(packed.actor),
        logout_configuration: Configuration::default(),
    })
}

fn unpack_session_id(packed: Vec<u8>) -> Result<SessionId, Cause> {
    Ok(match <[u8; 16]>::try_from(packed) {
        Ok(bytes) => ulid::Ulid::from_bytes(bytes).to_string().parse()?,
        Err(text) => String::from_utf8(text)?.parse()?,
    })
}

/// A name that is nowhere empty.
fn optional<T>(text: &str) -> Result<Option<T>, Cause>
where
    T: std::str::FromStr,
    Cause: From<T::Err>,
{
    if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }
}

fn pack_instant(instant: Timestamp) -> PackedInstant {
    PackedInstant { seconds: instant.as_second(), nanos: instant.subsec_nanosecond() }
}

fn unpack_instant(packed: PackedInstant) -> Result<Timestamp, Cause> {
    Ok(Timestamp::new(packed.seconds, packed.nanos)?)
}

fn unpack_length(packed: PackedLength) -> Result<std::time::Duration, Cause> {
    if packed.nanos >= 1_000_000_000 {
        return Err("a length of time has more than a second of nanoseconds".into());
    }
    Ok(std::time::Duration::new(packed.seconds, packed.nanos))
}

fn pack_actor(actor: &Actor) -> PackedActor {
    let Actor { name, source, application, trace_id } = actor;
    let is_digits = trace_id.len() == 32
        && trace_id.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
    let (trace, trace_text) = match u128::from_str_radix(trace_id, 16) {
        Ok(trace) if is_digits => (trace.to_be_bytes().to_vec(), String::new()),
        _ => (Vec::new(), trace_id.clone()),
    };
    PackedActor {
        name: name.clone(),
        source: source.clone(),
        application: application.clone(),
        trace,
        trace_text,
    }
}

fn unpack_actor(packed: PackedActor) -> Actor {
    let trace_id = match <[u8; 16]>::try_from(packed.trace) {
        Ok(bytes) => format!("{:032x}", u128::from_be_bytes(bytes)),
        Err(_) => packed.trace_text,
    };
    Actor { name: packed.name, source: packed.source, application: packed.application, trace_id }
}

fn pack_actions(actions: Actions) -> u32 {
    let Actions { restart, reset, clear_call_history, cancel_call_back } = actions;
    let bits = [restart, reset, clear_call_history, cancel_call_back];
    bits.into_iter().rev().fold(0, |bits, bit| bits << 1 | u32::from(bit))
}

fn unpack_actions(bits: u32) -> Result<Actions, Cause> {
    if bits > 0b1111 {
        return Err(unknown("action", bits));
    }
    let has = |bit: u32| bits >> bit & 1 > 0;
    Ok(Actions { restart: has(0), reset: has(1), clear_call_history: has(2), cancel_call_back: has(3) })
}

/// Both directions of an enum of the domain: no two have one number, and none has 0.
macro_rules! numbered {
    ($pack:ident, $unpack:ident: $type:ident, $what:literal { $($variant:ident = $number:literal,)+ }) => {
        fn $pack(value: $type) -> u32 {
            match value { $($type::$variant => $number,)+ }
        }

        fn $unpack(number: u32) -> Result<$type, Cause> {
            match number {
                $($number => Ok($type::$variant),)+
                other => Err(unknown($what, other)),
            }
        }
    };
}

numbered! { pack_reason, unpack_reason: LogoutReason, "reason" {
    User = 1,
    NextUser = 2,
    Administrator = 3,
    Supervisor = 4,
    LoggedInElsewhere = 5,
    MaximumTime = 6,
    Idle = 7,
    TimeOfDay = 8,
    PhoneRemoved = 9,
    CrossClusterPeer = 10,
    Application = 11,
    Policy = 12,
}}

numbered! { pack_agent_state, unpack_known_agent_state: AgentState, "agent state" {
    LoggedOut = 1,
    NotReady = 2,
    Ready = 3,
    Reserved = 4,
    Talking = 5,
    WrapUp = 6,
}}

fn unpack_agent_state(number: u32) -> Result<Option<AgentState>, Cause> {
    if number == 0 { Ok(None) } else { unpack_known_agent_state(number).map(Some) }
}

fn unknown(what: &str, number: u32) -> Cause {
    format!("it has the {what} {number}, which this release does not know").into()
}

#[cfg(test)]
mod tests;
