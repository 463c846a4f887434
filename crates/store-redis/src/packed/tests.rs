use std::time::Duration;

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap()).collect()
}

fn at(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp::new(seconds, nanos).unwrap()
}

fn session() -> Session {
    let pending = PendingLogout { reason: LogoutReason::TimeOfDay, due_at: at(-1, 0), until: Timestamp::MAX };
    Session {
        id: "01JD0000000000000000000001".parse().unwrap(),
        user: "agent@site".parse().unwrap(),
        phone: "SEP000DEDAB3566".parse().unwrap(),
        profile: "An agent".parse().unwrap(),
        since: at(1_700_000_000, 123_456_789),
        expires_at: Some(Timestamp::MAX),
        idle_limit: Some(Duration::new(600, 1)),
        idle_since: Some(Timestamp::UNIX_EPOCH),
        daily_logout_at: Some(Timestamp::MIN),
        pending_logout: Some(pending),
        apply_by: Some(at(1, 0)),
        agent_state: Some(AgentState::WrapUp),
        primary_extension: Some("2101@office".parse().unwrap()),
        lines: vec!["2101".parse().unwrap(), "+49*30#@office".parse().unwrap()],
        acd_line: Some("9001@queues".parse().unwrap()),
        generation: 7,
        epoch: u64::MAX,
        actor: Actor {
            name: "agent@site".into(),
            source: "::1".into(),
            application: "roamctl".into(),
            trace_id: "00f067aa0ba902b74bf92f3577b34da6".into(),
        },
        logout_configuration: Configuration::default(),
    }
}

fn phone() -> PhoneState {
    PhoneState {
        epoch: 12,
        generation: 41,
        acknowledged: 40,
        actions: Actions { restart: true, reset: false, clear_call_history: true, cancel_call_back: false },
        hook: HookState::OffHook,
        session: Some(session()),
        last_user: Some("agent@site".parse().unwrap()),
        ..PhoneState::new("SEP000DEDAB3566".parse().unwrap())
    }
}

fn read(packed: &[u8]) -> Result<PhoneState, Cause> {
    to_phone("SEP000DEDAB3566".parse().unwrap(), 12, packed)
}

#[test]
fn every_field_of_a_phone_comes_back() {
    for phone in [phone(), PhoneState { epoch: 12, ..PhoneState::new(phone().phone) }] {
        assert_eq!(read(&from_phone(&phone).unwrap()).unwrap(), phone);
    }
    let mut odd = phone();
    let session = odd.session.as_mut().unwrap();
    // Not a number of 128 bits, and not the digits that it would come back as.
    session.id = "ZZZZZZZZZZZZZZZZZZZZZZZZZZ".parse().unwrap();
    session.actor.trace_id = "00F067AA0BA902B74BF92F3577B34DA6".into();
    assert_eq!(read(&from_phone(&odd).unwrap()).unwrap(), odd);
}

#[test]
fn every_kind_of_event_comes_back() {
    let ended = EndedSession {
        session: session(),
        reason: LogoutReason::CrossClusterPeer,
        at: at(5, 6),
        actor: Actor::default(),
        epoch: 13,
        note: "he was needed".into(),
    };
    let refused = Refused {
        what: Asked::Logout,
        phone: session().phone,
        user: "Nobody".into(),
        profile: "any".into(),
        reason: "USER_UNKNOWN".into(),
        actor: session().actor,
        more: 3,
    };
    for event in [
        SessionEvent::LoggedIn(session()),
        SessionEvent::LoggedOut(ended),
        SessionEvent::LogoutPending(session()),
        SessionEvent::Redressed(session().phone),
        SessionEvent::Refreshed(RefreshedSession { session: session(), actor: session().actor }),
        SessionEvent::Refused(refused),
    ] {
        assert_eq!(to_event(&from_event(&event)).unwrap(), event);
    }
}

/// What a release has written, every later one reads. These bytes are never changed.
#[test]
fn a_record_of_an_older_release_is_read() {
    let written = "0829102818052001320d";
    assert!(hex(&from_phone(&phone()).unwrap()).starts_with("08291028180520012a0a6167656e744073697465"));
    assert!(read(&bytes(written)).is_err(), "it is cut off");
    let old = bytes("08291028 1805 2001 2a05 6167656e74");
    let state = read(&old).unwrap();
    assert_eq!((state.generation, state.acknowledged, state.session), (41, 40, None));
    assert_eq!(state.last_user, Some("agent".parse().unwrap()));
}

/// It told of the session alone: the refresh is the cluster's then.
#[test]
fn ev_1_a_refresh_that_an_older_release_has_told_of_is_read_without_its_actor() {
    let old = PackedEvent { kind: Some(Kind::Refreshed(pack_session(&session()))), refreshed_by: None };
    let read = to_event(&old.encode_to_vec()).unwrap();
    let told = RefreshedSession { session: session(), actor: Actor::default() };
    assert_eq!(read, SessionEvent::Refreshed(told.clone()));
    let new = from_event(&SessionEvent::Refreshed(RefreshedSession { actor: session().actor, ..told }));
    assert!(new.starts_with(&old.encode_to_vec()), "an older release passes over what follows");
}

#[test]
fn a_field_of_a_newer_release_is_passed_over() {
    let mut packed = from_phone(&phone()).unwrap();
    // Tag 200: a text.
    packed.extend([0xc2, 0x0c, 2, b'h', b'i']);
    assert_eq!(read(&packed).unwrap(), phone());
}

#[test]
fn what_a_release_does_not_know_is_refused_and_said() {
    let mut packed = from_phone(&PhoneState { session: None, ..phone() }).unwrap();
    packed.extend([0x18, 16]);
    assert!(read(&packed).unwrap_err().to_string().contains("action 16"));
    assert!(to_event(&[]).unwrap_err().to_string().contains("kind"));
    // Tag 90: a message, as a new kind of event would be.
    assert!(to_event(&[0xd2, 0x05, 0]).unwrap_err().to_string().contains("kind"));
}

#[test]
fn a_session_on_another_phone_is_not_written() {
    let state = PhoneState { phone: "SEP000000000001".parse().unwrap(), ..phone() };
    assert!(from_phone(&state).is_err());
}

#[test]
fn a_record_is_small() {
    let length = from_phone(&phone()).unwrap().len();
    assert!(length < 320, "{length}");
}
