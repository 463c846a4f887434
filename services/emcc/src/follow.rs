//! Following the sessions of this cluster: whatever ends one that has another half ends that, too (XC-4).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use roamline_domain::SessionId;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::GRACE;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::{Session, watch_sessions_response::Message};
use roamline_store::federation::HalfQuery;

use crate::{Inner, refusal};

/// After which a watch that broke off is begun again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const PAGE: u32 = 1000;

/// Follows without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let mut ticks = tokio::time::interval(AGAIN_AFTER);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut resume = String::new();
    loop {
        ticks.tick().await;
        if !inner.may_have_halves().await {
            continue;
        }
        if let Err(refused) = inner.follow(&mut resume).await {
            tracing::debug!(reason = refused.message, "the watch of sessions broke off");
            if matches!(refused.reason, ErrorReason::ResumeTokenTooOld | ErrorReason::ResumeTokenInvalid) {
                resume.clear();
            }
        }
    }
}

impl Inner {
    /// Whether sessions of this cluster have other halves, or may come to have them: where nobody takes part, nothing is
    /// asked of the store for each login.
    async fn may_have_halves(&self) -> bool {
        if self.recalled.load().parameters.activated {
            return true;
        }
        let one = HalfQuery { live: Some(true), limit: 1, ..HalfQuery::default() };
        // A store that does not answer is asked again.
        self.store.halves(&one).await.is_ok_and(|halves| !halves.is_empty())
    }

    async fn follow(&self, resume: &mut String) -> Result<(), Refusal> {
        let mut stream = self.local.watch(resume.clone()).await?;
        let mut live = Vec::new();
        while let Some(told) = stream.next().await {
            let told = told?;
            match told.message {
                Some(Message::Snapshot(session)) => live.push(session),
                Some(Message::SnapshotDone(_)) => self.compare(std::mem::take(&mut live)).await?,
                Some(Message::LoggedIn(session)) => self.has_begun(&session.session_id).await?,
                Some(Message::LoggedOut(ended)) => {
                    if let Some(session) = ended.session {
                        self.has_ended(&session.session_id).await?;
                    }
                }
                _ => {}
            }
            if !told.resume_token.is_empty() {
                *resume = told.resume_token;
            }
        }
        Ok(())
    }

    /// A session has begun here: where its half has ended meanwhile, it ends.
    async fn has_begun(&self, session: &str) -> Result<(), Refusal> {
        let Ok(session) = session.parse::<SessionId>() else { return Ok(()) };
        let half = self.store.half(&session).await.map_err(|error| refusal::store(&error))?;
        match half {
            Some(half) if !half.is_live() => self.local.end(&session).await,
            _ => Ok(()),
        }
    }

    /// A session has ended here: its half ends, and the other side is told.
    async fn has_ended(&self, session: &str) -> Result<(), Refusal> {
        let Ok(session) = session.parse::<SessionId>() else { return Ok(()) };
        let half = self.store.half(&session).await.map_err(|error| refusal::store(&error))?;
        if half.is_some_and(|half| half.is_live()) {
            self.end_half(&session, false).await?;
        }
        Ok(())
    }

    /// Ends a half, and has the other side told unless it knows.
    pub(crate) async fn end_half(&self, session: &SessionId, told: bool) -> Result<(), Refusal> {
        let ended = self.store.end_half(session, self.clock.now(), told).await;
        ended.map_err(|error| refusal::store(&error))?;
        if !told {
            self.ended.notify_one();
        }
        Ok(())
    }

    /// After a gap: halves without a session end, and so do sessions on base devices without a half.
    async fn compare(&self, live: Vec<Session>) -> Result<(), Refusal> {
        let ids: HashSet<&str> = live.iter().map(|session| session.session_id.as_str()).collect();
        let now = self.clock.now();
        let mut query = HalfQuery { live: Some(true), limit: PAGE, ..HalfQuery::default() };
        loop {
            let page = self.store.halves(&query).await.map_err(|error| refusal::store(&error))?;
            let gone = page
                .iter()
                .filter(|half| half.is_settled(now, GRACE) && !ids.contains(half.session.as_str()));
            for half in gone {
                self.end_half(&half.session, false).await?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => query.after = Some(last.session.clone()),
                _ => break,
            }
        }
        for session in &live {
            let on_base_device =
                session.phone.parse().is_ok_and(|phone| BaseDevice::of_phone(&phone).is_some());
            let Ok(id) = session.session_id.parse::<SessionId>() else { continue };
            if !on_base_device {
                continue;
            }
            let half = self.store.half(&id).await.map_err(|error| refusal::store(&error))?;
            if !half.is_some_and(|half| half.is_live()) {
                self.local.end(&id).await?;
            }
        }
        Ok(())
    }
}
