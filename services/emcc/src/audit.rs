//! What this service adds to the audit trail (EV-1, XC-10): which other clusters are known, and whom it refuses. A peer can
//! have requests refused as fast as it likes; what one is refused for one reason within a minute is one record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roamline_domain::audit::AuditKind;
use roamline_domain::phone_state::Actor;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::Clock;
use roamline_store::{AuditStore, OwnRecord};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// Between two looks for refusals to tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two records of one peer and one reason.
const APART: Duration = Duration::from_secs(60);
/// Peers and reasons that are told apart; anybody with a certificate of an authority that is believed can make names up.
const MOST: usize = 256;
/// How long the last records may take when the process stops.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Who was refused: what his certificate says, where he came from, and what he asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    /// The SPIFFE id of his certificate; empty without one.
    pub id: String,
    /// His address; empty where it is not known.
    pub source: String,
    /// The request; empty where it never came to one.
    pub request: &'static str,
}

/// The trail, and what is to be added to it.
pub(crate) struct Audit {
    trail: Arc<dyn AuditStore>,
    clock: Clock,
    untold: Mutex<Untold>,
}

type Untold = BTreeMap<(String, &'static str), Sum>;

/// Refusals of one peer for one reason.
struct Sum {
    first: Refused,
    note: String,
    number: u64,
    told: Option<Instant>,
}

#[derive(Serialize)]
struct RefusedDetails<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    peer: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    more: u64,
}

/// Who has changed something, and from where.
#[derive(Clone, Debug, Default)]
pub(crate) struct By {
    /// His name; empty for another cluster.
    pub name: String,
    /// His address; empty where it is not known.
    pub from: String,
}

/// What was changed about another cluster.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    peer: String,
    change: &'static str,
    /// Who has made the invitation that was used.
    #[serde(skip_serializing_if = "String::is_empty")]
    invited_by: String,
}

impl Change {
    /// What was done with that cluster.
    pub(crate) fn of(peer: &str, change: &'static str) -> Self {
        Self { peer: peer.to_owned(), change, invited_by: String::new() }
    }

    /// By an invitation that he has made.
    pub(crate) fn invited_by(self, name: String) -> Self {
        Self { invited_by: name, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Audit {
    pub(crate) fn new(trail: Arc<dyn AuditStore>, clock: Clock) -> Self {
        Self { trail, clock, untold: Mutex::default() }
    }

    /// Notes a refusal, to be told within a second, or with others of its kind.
    pub(crate) fn refused(&self, who: Refused, refusal: &Refusal) {
        self.note(who, refusal.reason, String::new());
    }

    /// Notes a certificate with that SPIFFE id that was not believed.
    pub(crate) fn disbelieved(&self, id: String, why: String) {
        self.note(Refused { id, ..Refused::default() }, ErrorReason::PeerNotProven, why);
    }

    fn note(&self, who: Refused, reason: ErrorReason, note: String) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = Refusal::reason_name(reason);
        let mut key = (who.id.clone(), reason);
        if untold.len() >= MOST && !untold.contains_key(&key) {
            key.0.clear();
        }
        let sum = untold.entry(key).or_insert_with(|| Sum {
            first: who.clone(),
            note: note.clone(),
            number: 0,
            told: None,
        });
        if sum.number == 0 {
            (sum.first, sum.note) = (who, note);
        }
        sum.number = sum.number.saturating_add(1);
    }

    /// Records that something about a cluster has changed. What was changed stays so where that fails, which is logged.
    pub(crate) async fn changed(&self, details: Change, by: &By) {
        let actor = Actor { name: by.name.clone(), source: by.from.clone(), ..Actor::default() };
        let (peer, change) = (details.peer.clone(), details.change);
        let record =
            OwnRecord { kind: AuditKind::PeerChanged, user: String::new(), reason: "", actor, details };
        if let Err(error) = record.add_to(&*self.trail, self.clock.now()).await {
            tracing::error!(peer, change, %error, "a change of another cluster is not in the audit trail");
        }
    }

    /// What is to be told now; afterwards nothing of it is left, but that it was told.
    fn due(&self, in_the_end: bool) -> Vec<(&'static str, Sum)> {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.retain(|_, sum| sum.number > 0 || sum.told.is_some_and(|told| told.elapsed() < APART));
        let due = untold.iter_mut().filter(|(_, sum)| {
            sum.number > 0 && (in_the_end || sum.told.is_none_or(|told| told.elapsed() >= APART))
        });
        due.map(|((_, reason), sum)| {
            let told = Some(Instant::now());
            let empty = Sum { first: Refused::default(), note: String::new(), number: 0, told };
            (*reason, std::mem::replace(sum, empty))
        })
        .collect()
    }

    async fn tell(&self, in_the_end: bool) {
        for (reason, sum) in self.due(in_the_end) {
            let Refused { id, source, request } = &sum.first;
            let more = sum.number.saturating_sub(1);
            let actor = Actor { name: id.clone(), source: source.clone(), ..Actor::default() };
            let details = RefusedDetails { peer: id, request, note: &sum.note, more };
            let record =
                OwnRecord { kind: AuditKind::PeerRefused, user: String::new(), reason, actor, details };
            if let Err(error) = record.add_to(&*self.trail, self.clock.now()).await {
                tracing::error!(peer = id, reason, number = sum.number, %error, "refusals are not in the audit trail");
            }
        }
    }
}

/// Tells of refusals until the process stops, and then of those that are left.
pub(crate) async fn run(audit: Arc<Audit>, stopping: CancellationToken) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            _ = ticks.tick() => audit.tell(false).await,
        }
    }
    if timeout(END_WITHIN, audit.tell(true)).await.is_err() {
        tracing::error!("the last refusals of other clusters are not in the audit trail");
    }
}

#[cfg(test)]
mod tests {
    use roamline_store::AuditQuery;
    use roamline_store::memory::MemoryStore;

    use super::*;

    async fn bodies(store: &MemoryStore) -> Vec<String> {
        let records = AuditStore::records(store, &AuditQuery::default(), 0, 1000).await.unwrap();
        records.into_iter().map(|record| record.body).collect()
    }

    fn who(id: &str) -> Refused {
        Refused { id: id.into(), source: "192.0.2.1".into(), request: "FindHome" }
    }

    #[tokio::test(start_paused = true)]
    async fn ev_1_a_thousand_refusals_of_one_peer_are_two_records_in_a_minute() {
        let store = Arc::new(MemoryStore::new());
        let audit = Audit::new(store.clone(), Clock::system());
        let refusal = Refusal::new(ErrorReason::VisitingClusterUnknown, "unknown");
        audit.refused(who("spiffe://evil/cluster/rome"), &refusal);
        audit.tell(false).await;
        for _ in 0..999 {
            audit.refused(who("spiffe://evil/cluster/rome"), &refusal);
            audit.tell(false).await;
        }
        assert_eq!(bodies(&store).await.len(), 1);
        tokio::time::advance(APART).await;
        audit.tell(false).await;
        let bodies = bodies(&store).await;
        assert_eq!(bodies.len(), 2);
        assert!(
            bodies[0].contains("VISITING_CLUSTER_UNKNOWN") && bodies[0].contains("FindHome"),
            "{bodies:?}"
        );
        assert!(bodies[1].contains("\"more\":998"), "{bodies:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn ev_1_names_that_are_made_up_do_not_fill_the_trail() {
        let store = Arc::new(MemoryStore::new());
        let audit = Audit::new(store.clone(), Clock::system());
        let refusal = Refusal::new(ErrorReason::VisitingClusterUnknown, "unknown");
        for number in 0..10 * MOST {
            audit.refused(who(&format!("spiffe://evil/cluster/{number}")), &refusal);
        }
        audit.tell(true).await;
        assert_eq!(bodies(&store).await.len(), MOST + 1);
    }
}
