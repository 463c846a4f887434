//! What the API shows, and what of it the rules know.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::{self as wire, SessionState, watch_phone_response};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::replica::{Phones, Sessions};
use crate::rules::World;
use crate::site::{phone_name, user_name};
use crate::state::{Answer, Session};

const WITHIN: Duration = Duration::from_secs(20);

/// What the API says about a session, and the rules, too.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    user: String,
    phone: String,
    applied: bool,
    since: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    next_logout: Option<(Timestamp, wire::LogoutReason)>,
    waits: bool,
    apply_by: Option<Timestamp>,
    agent: wire::AgentState,
}

pub(crate) fn describe(session: &wire::Session) -> Seen {
    let instant = |at: &prost_types::Timestamp| Timestamp::new(at.seconds, at.nanos).expect("an instant");
    Seen {
        user: session.user_id.clone(),
        phone: session.phone.clone(),
        applied: session.state() == SessionState::Active,
        since: session.login_time.as_ref().map(instant),
        expires_at: session.expire_time.as_ref().map(instant),
        next_logout: session.next_logout_time.as_ref().map(|at| (instant(at), session.next_logout_reason())),
        waits: session.logout_pending,
        apply_by: session.apply_deadline.as_ref().map(instant),
        agent: session.agent_state(),
    }
}

pub(crate) fn expect(world: &World, session: &Session) -> Seen {
    Seen {
        user: user_name(session.user),
        phone: phone_name(session.phone),
        applied: world.is_applied(session),
        since: Some(session.since),
        expires_at: session.expires_at,
        next_logout: session.next_logout(),
        waits: session.waits.is_some(),
        apply_by: session.apply_by,
        agent: session.agent.unwrap_or_default(),
    }
}

pub(crate) fn answer_of(answer: Result<Answer, Status>) -> Answer {
    answer.unwrap_or_else(|status| refused(&status))
}

pub(crate) fn refused(status: &Status) -> Answer {
    let refusal = Refusal::from_status(status).unwrap_or_else(|| panic!("not a refusal of ours: {status:?}"));
    assert_ne!(refusal.reason, ErrorReason::Internal, "{status:?}");
    Answer::Refused(refusal.reason)
}

pub(crate) async fn watch(mut client: Sessions, resume: &str) -> Streaming<wire::WatchSessionsResponse> {
    let request = wire::WatchSessionsRequest { resume_token: resume.into(), ..Default::default() };
    client.watch_sessions(request).await.expect("a watch").into_inner()
}

pub(crate) async fn next(stream: &mut Streaming<wire::WatchSessionsResponse>) -> wire::WatchSessionsResponse {
    let message = timeout(WITHIN, stream.next()).await.expect("a message in time");
    message.expect("the watch goes on").expect("a message")
}

/// What a phone shall be now.
pub(crate) async fn look(mut client: Phones, phone: usize) -> wire::PhoneUpdate {
    let request = wire::WatchPhoneRequest { phone: phone_name(phone) };
    let mut stream = client.watch_phone(request).await.expect("a watch").into_inner();
    let first = timeout(WITHIN, stream.next()).await.expect("in time").expect("a message");
    match first.expect("a message").message {
        Some(watch_phone_response::Message::Update(update)) => update,
        other => panic!("{other:?} is no present state"),
    }
}
