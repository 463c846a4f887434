//! Refusals on their way to the audit trail (EV-1). Whoever is refused can come again as fast as he likes, under names that
//! he makes up: what one place is refused for one reason in one name is one record a minute, and the record says for how
//! many more it stands.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::phone_state::Actor;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{AuditStore, OwnRecord};

/// Between two looks for refusals to tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two records of one place, name and reason.
const APART: Duration = Duration::from_secs(60);
/// Places, names and reasons that are told apart.
const MOST: usize = 256;
/// Those of one place.
const MOST_OF_ONE: usize = 32;
/// How long the last records may take when the process stops.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Refusals that are still to be told.
pub struct Refusals<D> {
    trail: Arc<dyn AuditStore>,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    untold: Mutex<BTreeMap<Key, Sum<D>>>,
}

/// The place, the name and the reason.
type Key = (String, String, &'static str);

/// Refusals that are one record.
struct Sum<D> {
    /// The first of them; none where there is nothing to tell.
    first: Option<OwnRecord<D>>,
    /// How many came after it.
    more: u64,
    /// When those before were told.
    told: Option<Instant>,
}

/// The details of a record, and for how many more it stands.
#[derive(Serialize)]
struct Counted<D> {
    #[serde(flatten)]
    details: D,
    #[serde(skip_serializing_if = "is_zero")]
    more: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<D: Default + Serialize + Send + Sync> Refusals<D> {
    /// None yet. A record has the time at which it is told, as `now` says it: up to a second after the first refusal, and
    /// up to a minute after the first of those that came again.
    pub fn new(trail: Arc<dyn AuditStore>, now: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self { trail, now, untold: Mutex::default() }
    }

    /// Notes a refusal of somebody at that place, by the name of [`OwnRecord::user`]. Of the 33rd name of one place within
    /// a minute, and of what else comes then, the place alone is told; of the 257th place or name only the reason.
    pub fn note(&self, place: &str, mut record: OwnRecord<D>) {
        let mut untold = self.untold();
        let mut key = (place.to_owned(), record.user.clone(), record.reason);
        if !untold.contains_key(&key) {
            if untold.keys().filter(|(of, ..)| of == place).count() >= MOST_OF_ONE {
                key.1.clear();
                record.user.clear();
            }
            if untold.len() >= MOST && !untold.contains_key(&key) {
                (key.0, key.1) = (String::new(), String::new());
                record.user.clear();
                (record.actor, record.details) = (Actor::default(), D::default());
            }
        }
        let sum = untold.entry(key).or_insert_with(|| Sum { first: None, more: 0, told: None });
        match sum.first {
            Some(_) => sum.more = sum.more.saturating_add(1),
            None => sum.first = Some(record),
        }
    }

    /// Tells of refusals until `stopping` is done, and then of those that are left. What the trail does not take is logged.
    pub async fn run(&self, stopping: impl Future<Output = ()>) {
        let mut stopping = pin!(stopping);
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stopping => break,
                _ = ticks.tick() => self.tell(false).await,
            }
        }
        if timeout(END_WITHIN, self.tell(true)).await.is_err() {
            tracing::error!("the last refusals are not in the audit trail");
        }
    }

    async fn tell(&self, in_the_end: bool) {
        for (first, more) in self.due(in_the_end) {
            let OwnRecord { kind, user, reason, actor, details } = first;
            let record = OwnRecord { kind, user, reason, actor, details: Counted { details, more } };
            if let Err(error) = record.add_to(&*self.trail, (self.now)()).await {
                let number = more.saturating_add(1);
                tracing::error!(?kind, reason, number, %error, "refusals are not in the audit trail");
            }
        }
    }

    /// What is to be told now; afterwards nothing of it is left, but that it was told.
    fn due(&self, in_the_end: bool) -> Vec<(OwnRecord<D>, u64)> {
        let mut untold = self.untold();
        let recently = |told: &Instant| told.elapsed() < APART;
        untold.retain(|_, sum| sum.first.is_some() || sum.told.as_ref().is_some_and(recently));
        let due = untold.values_mut().filter(|sum| in_the_end || !sum.told.as_ref().is_some_and(recently));
        due.filter_map(|sum| {
            let first = sum.first.take()?;
            sum.told = Some(Instant::now());
            Some((first, std::mem::take(&mut sum.more)))
        })
        .collect()
    }

    fn untold(&self) -> MutexGuard<'_, BTreeMap<Key, Sum<D>>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use roamline_domain::audit::AuditKind;

    use super::*;
    use crate::AuditQuery;
    use crate::memory::MemoryStore;

    #[derive(Default, Serialize)]
    struct Asked {
        request: &'static str,
    }

    fn refusals() -> (Arc<MemoryStore>, Refusals<Asked>) {
        let store = Arc::new(MemoryStore::new());
        let refusals = Refusals::new(store.clone(), Arc::new(|| Timestamp::UNIX_EPOCH));
        (store, refusals)
    }

    fn refused(user: &str, source: &str) -> OwnRecord<Asked> {
        OwnRecord {
            kind: AuditKind::SignInRefused,
            user: user.into(),
            reason: "CREDENTIAL_REFUSED",
            actor: Actor { source: source.into(), ..Actor::default() },
            details: Asked { request: "SignIn" },
        }
    }

    async fn bodies(store: &MemoryStore) -> Vec<serde_json::Value> {
        let records = AuditStore::records(store, &AuditQuery::default(), 0, 1000).await.unwrap();
        records.into_iter().map(|record| serde_json::from_str(&record.body).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn ev_1_a_thousand_refusals_of_one_kind_are_two_records_in_a_minute() {
        let (store, refusals) = refusals();
        for _ in 0..1000 {
            refusals.note("192.0.2.1", refused("agent7", "192.0.2.1"));
            refusals.tell(false).await;
        }
        let [first] = &bodies(&store).await[..] else { panic!() };
        assert_eq!(
            (&first["user"], &first["request"], &first["reason"], &first["actor"]["source"]),
            (&"agent7".into(), &"SignIn".into(), &"CREDENTIAL_REFUSED".into(), &"192.0.2.1".into())
        );
        assert_eq!(first.get("more"), None);
        tokio::time::advance(APART).await;
        refusals.tell(false).await;
        let bodies = bodies(&store).await;
        assert_eq!((bodies.len(), &bodies[1]["more"]), (2, &998.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn ev_1_names_that_one_place_makes_up_hide_nobody_elsewhere() {
        let (store, refusals) = refusals();
        for number in 0..10 * MOST {
            refusals.note("203.0.113.9", refused(&format!("ghost{number}"), "203.0.113.9"));
        }
        refusals.note("192.0.2.1", refused("agent7", "192.0.2.1"));
        refusals.tell(false).await;
        let mut bodies = bodies(&store).await;
        assert_eq!(bodies.len(), MOST_OF_ONE + 2);
        bodies.retain(|body| body["actor"]["source"] == "192.0.2.1" || body.get("user").is_none());
        assert_eq!((bodies.len(), &bodies[0]["user"]), (2, &"agent7".into()));
        assert_eq!(
            (&bodies[1]["actor"]["source"], &bodies[1]["more"]),
            (&"203.0.113.9".into(), &(10 * MOST - MOST_OF_ONE - 1).into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn ev_1_places_that_are_made_up_do_not_fill_the_trail() {
        let (store, refusals) = refusals();
        for number in 0..10 * MOST {
            refusals.note(&format!("place {number}"), refused("agent7", "192.0.2.1"));
        }
        let stopped = std::future::ready(());
        refusals.run(stopped).await;
        let bodies = bodies(&store).await;
        assert_eq!(bodies.len(), MOST + 1, "told in the end, though nobody has looked for them");
        let lumped: Vec<_> = bodies.iter().filter(|body| body.get("user").is_none()).collect();
        assert_eq!(lumped.len(), 1);
        assert_eq!((&lumped[0]["more"], &lumped[0]["request"]), (&(9 * MOST - 1).into(), &"".into()));
    }
}
