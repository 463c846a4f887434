//! Which tokens are good no more before their time. Whoever verifies tokens follows the list and looks at it for every
//! call: three look-ups, however long it is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::Timestamp;
use roamline_proto::auth::revocation::Of;
use roamline_proto::auth::{ListRevocationsResponse, PrincipalKind, Revocation};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Now;
use crate::claims::{Claims, kind_name, micros};
use crate::key_box::FetchError;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(400);
/// How long an answer may take; with the time between two questions, what is known is less than a second old.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Questions without an answer after which that is told.
const TOLD_AFTER: u32 = 5;

/// Where revocations are told.
#[async_trait]
pub trait RevocationSource: Send + Sync + 'static {
    /// Those that were made after a place.
    async fn after(&self, revision: u64) -> Result<ListRevocationsResponse, FetchError>;
}

/// The revocations that are known here. Clones share them.
#[derive(Clone, Default)]
pub struct Revocations(Arc<Shared>);

#[derive(Default)]
struct Shared {
    index: ArcSwap<Index>,
    /// One changes the index at a time.
    changing: Mutex<()>,
}

#[derive(Clone, Default)]
struct Index {
    revision: u64,
    /// Each with its end. A sign-in that has ended begins no more, so its tokens are refused whenever they were signed.
    sign_ins: HashMap<String, i64>,
    /// Each with the instant until which its tokens are refused, and its end.
    principals: HashMap<String, (i64, i64)>,
    /// Whatever a key that is known to others has signed is refused for good, as others may set any time in it.
    keys: HashSet<String>,
}

impl Revocations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The place after the last one that is known.
    pub fn revision(&self) -> u64 {
        self.0.index.load().revision
    }

    /// Adds what a source has told, and forgets what has expired at `now`.
    pub fn add(&self, told: &ListRevocationsResponse, now: Timestamp) {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.index.load_full();
        if told.revocations.is_empty() && told.revision == before.revision {
            return;
        }
        let mut index = Index::clone(&before);
        index.revision = told.revision;
        index.forget(micros(now));
        told.revocations.iter().for_each(|revocation| index.add(revocation));
        self.0.index.store(Arc::new(index));
    }

    /// Until when tokens of that principal are refused, if any are.
    pub fn signed_until(&self, principal: &str) -> Option<Timestamp> {
        let index = self.0.index.load();
        let (until, _) = index.principals.get(principal)?;
        Timestamp::from_microsecond(*until).ok()
    }

    /// Whether whatever that key has signed is refused.
    pub fn refuse_key(&self, kid: &str) -> bool {
        self.0.index.load().keys.contains(kid)
    }

    /// Whether tokens of that principal are refused that were signed then, in microseconds since 1970.
    pub(crate) fn refuse_principal(&self, name: &str, signed_at: i64) -> bool {
        self.0.index.load().principals.get(name).is_some_and(|(until, _)| signed_at <= *until)
    }

    /// Whether a token with these claims that this key has signed is refused. A service is no principal, though one may
    /// have its name.
    pub(crate) fn include(&self, kid: &str, claims: &Claims) -> bool {
        let index = self.0.index.load();
        let is_principal = claims.kind != kind_name(PrincipalKind::Unspecified);
        let until = index.principals.get(&claims.sub).filter(|_| is_principal);
        claims.sid.as_ref().is_some_and(|sid| index.sign_ins.contains_key(sid))
            || until.is_some_and(|(until, _)| claims.signed_at() <= *until)
            || index.keys.contains(kid)
    }

    /// Asks `source` again and again, without end. While it does not answer, what is known holds: a token that is revoked
    /// meanwhile is believed for longer, until it expires, rather than nobody's.
    pub(crate) async fn follow(&self, source: &dyn RevocationSource, now: &Now) {
        let mut tick = interval(ASK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0_u32;
        loop {
            tick.tick().await;
            match self.catch_up(source, now).await {
                Ok(()) => {
                    if unanswered >= TOLD_AFTER {
                        tracing::info!("revocations are known again");
                    }
                    unanswered = 0;
                }
                Err(error) => {
                    unanswered = unanswered.saturating_add(1);
                    if unanswered == TOLD_AFTER {
                        tracing::warn!(%error, "revocations are not known; a token may be believed after its end");
                    }
                }
            }
        }
    }

    /// Asks until there is nothing new.
    async fn catch_up(&self, source: &dyn RevocationSource, now: &Now) -> Result<(), FetchError> {
        loop {
            let before = self.revision();
            let told = timeout(ANSWER_WITHIN, source.after(before)).await;
            let told = told.map_err(|_| FetchError("no answer in time".into()))??;
            self.add(&told, now());
            if told.revocations.is_empty() || told.revision <= before {
                return Ok(());
            }
        }
    }
}

impl Index {
    fn add(&mut self, revocation: &Revocation) {
        let instant = |at: Option<&prost_types::Timestamp>, absent: i64| {
            at.map_or(absent, |at| {
                at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000)
            })
        };
        // One that does not say its instants is as wide as can be.
        let until = instant(revocation.signed_until.as_ref(), i64::MAX);
        let ends = instant(revocation.expire_time.as_ref(), i64::MAX);
        match &revocation.of {
            Some(Of::SignIn(sid)) => {
                let end = self.sign_ins.entry(sid.clone()).or_insert(ends);
                *end = ends.max(*end);
            }
            Some(Of::Principal(name)) => {
                let known = self.principals.entry(name.clone()).or_insert((until, ends));
                *known = (until.max(known.0), ends.max(known.1));
            }
            Some(Of::Key(kid)) => {
                self.keys.insert(kid.clone());
            }
            None => {}
        }
    }

    fn forget(&mut self, now: i64) {
        self.sign_ins.retain(|_, ends| *ends > now);
        self.principals.retain(|_, (_, ends)| *ends > now);
    }
}
