//! Following sessions: a snapshot, then every login and logout in order and once, with heartbeats (EV-2).
//!
//! A watch holds nothing but its place. A slow reader falls behind in the log, not in memory; one that falls behind
//! what is kept is told so.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use futures::stream::unfold;
use roamline_domain::UserId;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{EventsError, Sequence};
use tokio::time::timeout;

use crate::{Core, refusal};

/// One message of a watch, and the place from which it can be resumed.
pub(crate) struct Told {
    pub message: Message,
    pub resume: Option<Sequence>,
}

#[allow(clippy::large_enum_variant, reason = "messages live one at a time")]
pub(crate) enum Message {
    Snapshot(PhoneState),
    SnapshotDone,
    Event(SessionEvent),
    Heartbeat,
}

struct Watch {
    core: Arc<Core>,
    user: Option<UserId>,
    place: Sequence,
    ready: VecDeque<Told>,
    ended: bool,
}

/// Follows sessions of one user or of all, from a place or from a snapshot.
pub(crate) async fn sessions(
    core: Arc<Core>,
    user: Option<UserId>,
    resume: Option<Sequence>,
) -> Result<impl Stream<Item = Result<Told, Refusal>> + Send, Refusal> {
    let mut watch = Watch { core, user, place: 0, ready: VecDeque::new(), ended: false };
    match resume {
        Some(place) => {
            watch.core.store.events(place, 1).await.map_err(|error| refused(&error))?;
            watch.place = place;
        }
        None => watch.take_snapshot().await?,
    }
    watch.core.observe.watchers.add(1, &[("kind", "sessions")]);
    Ok(unfold(watch, |mut watch| async move {
        let told = watch.next().await?;
        watch.ended = told.is_err();
        Some((told, watch))
    }))
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.core.observe.watchers.add(-1, &[("kind", "sessions")]);
    }
}

impl Watch {
    async fn take_snapshot(&mut self) -> Result<(), Refusal> {
        let snapshot =
            self.core.store.snapshot(self.user.as_ref()).await.map_err(|error| refusal::store(&error))?;
        self.place = snapshot.sequence;
        let phones = snapshot.phones.into_iter();
        self.ready.extend(phones.map(|phone| Told { message: Message::Snapshot(phone), resume: None }));
        self.ready.push_back(Told { message: Message::SnapshotDone, resume: Some(self.place) });
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Told, Refusal>> {
        if self.ended {
            return None;
        }
        let stopping = self.core.tasks.stopping();
        let mut position = self.core.events.position();
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(Ok(told));
            }
            if *position.borrow_and_update() > self.place {
                if let Err(error) = self.read_on().await {
                    return Some(Err(refused(&error)));
                }
                continue;
            }
            tokio::select! {
                () = stopping.cancelled() => return Some(Err(server_stops())),
                waited = timeout(self.core.config.heartbeat(), position.changed()) => match waited {
                    Err(_elapsed) => {
                        return Some(Ok(Told { message: Message::Heartbeat, resume: Some(self.place) }));
                    }
                    Ok(Err(_closed)) => return Some(Err(server_stops())),
                    Ok(Ok(())) => {}
                },
            }
        }
    }

    /// Takes the next events; what is not for this watch moves its place all the same.
    async fn read_on(&mut self) -> Result<(), EventsError> {
        for event in self.core.events.after(self.place).await? {
            self.place = event.sequence;
            let told = match &event.event {
                SessionEvent::Redressed(_) => false,
                other => self.user.is_none() || other.user() == self.user.as_ref(),
            };
            if told {
                let message = Message::Event(event.event);
                self.ready.push_back(Told { message, resume: Some(event.sequence) });
            }
        }
        Ok(())
    }
}

fn refused(error: &EventsError) -> Refusal {
    match error {
        EventsError::TooOld { oldest, .. } => {
            Refusal::new(ErrorReason::ResumeTokenTooOld, "events after the resume token are gone; watch anew")
                .with("oldest", oldest.to_string())
        }
        EventsError::Ahead { .. } => {
            Refusal::new(ErrorReason::ResumeTokenInvalid, "the resume token is ahead of every event")
        }
        EventsError::Store(error) => refusal::store(error),
    }
}

/// What open streams are told when the process stops.
pub(crate) fn server_stops() -> Refusal {
    Refusal::new(ErrorReason::ServiceUnavailable, "the server stops; connect again")
        .with("service", "session")
}
