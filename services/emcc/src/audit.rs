//! What this service adds to the audit trail (EV-1, XC-10): which other clusters are known, and whom it refuses. A peer can
//! have requests refused as fast as it likes; what one is refused for one reason within a minute is one record.

use std::sync::Arc;

use roamline_domain::audit::AuditKind;
use roamline_domain::phone_state::Actor;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::Clock;
use roamline_store::{AuditStore, OwnRecord, Refusals};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

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
    refusals: Refusals<RefusedDetails>,
}

#[derive(Default, Serialize)]
struct RefusedDetails {
    #[serde(skip_serializing_if = "String::is_empty")]
    peer: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    request: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
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

impl Audit {
    pub(crate) fn new(trail: Arc<dyn AuditStore>, clock: Clock) -> Self {
        let refusals = Refusals::new(Arc::clone(&trail), clock.reader());
        Self { trail, clock, refusals }
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
        let Refused { id, source, request } = who;
        let record = OwnRecord {
            kind: AuditKind::PeerRefused,
            user: String::new(),
            reason: Refusal::reason_name(reason),
            actor: Actor { name: id.clone(), source, ..Actor::default() },
            details: RefusedDetails { peer: id.clone(), request, note },
        };
        self.refusals.note(&id, record);
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
}

/// Tells of refusals until the process stops, and then of those that are left.
pub(crate) async fn run(audit: Arc<Audit>, stopping: CancellationToken) {
    audit.refusals.run(stopping.cancelled()).await;
}

#[cfg(test)]
mod tests {
    use roamline_store::AuditQuery;
    use roamline_store::memory::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn ev_1_whom_we_refuse_is_told_with_his_name_and_what_he_asked_for() {
        let store = Arc::new(MemoryStore::new());
        let audit = Arc::new(Audit::new(store.clone(), Clock::system()));
        let id = "spiffe://evil/cluster/rome";
        let who = Refused { id: id.into(), source: "192.0.2.1".into(), request: "FindHome" };
        audit.refused(who.clone(), &Refusal::new(ErrorReason::VisitingClusterUnknown, "unknown"));
        audit.refused(who, &Refusal::new(ErrorReason::VisitingClusterUnknown, "unknown"));
        audit.disbelieved(id.into(), "expired".into());
        let stopping = CancellationToken::new();
        stopping.cancel();
        run(audit, stopping).await;
        let records = AuditStore::records(&*store, &AuditQuery::default(), 0, 10).await.unwrap();
        let bodies: Vec<_> = records.into_iter().map(|record| record.body).collect();
        let told = |parts: [&str; 3]| {
            bodies.iter().filter(|body| parts.iter().all(|part| body.contains(part))).count()
        };
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        assert_eq!(told(["VISITING_CLUSTER_UNKNOWN", "FindHome", "\"more\":1"]), 1, "{bodies:?}");
        assert_eq!(told(["PEER_NOT_PROVEN", id, "expired"]), 1, "{bodies:?}");
    }
}
