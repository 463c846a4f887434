//! Trust between clusters (XC-10): invitations by which two of them come to know each other, the bundles of authorities
//! that they tell each other from then on, and what expires.
//!
//! What is believed is kept with each remote cluster in the store; every replica obeys what it finds there.

mod accept;
mod invite;
mod own;
mod refresh;
mod warn;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_domain::emcc::remote::{RemoteCluster, RemoteServices};
use roamline_domain::emcc::trust::{TrustBundle, certificates_in};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::TRUST_NOT_AFTER;
use roamline_serve::{Api, CallTls, CertificateFacts, Clock, Ids, PeerIdentity, PeerTrust, Tasks};
use roamline_store::FederationStore;
use roamline_store::federation::{Setting, StoredSetting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::audit::{self, Audit};
use crate::{EmccConfig, EmccStore, grpc, refusal};

pub(crate) use invite::state_of;
pub(crate) use own::Own;
pub(crate) use warn::PeerState;

/// Uses of invitations that are looked at at once: nobody has proven himself before.
const USES_AT_ONCE: usize = 4;

/// Who this cluster is to others, and how often they ask each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrustConfig {
    /// Where other clusters reach this one: `https://emcc.example.org:7440`. Without it, no cluster can be invited.
    pub address: String,
    /// The certificate that is shown at that address (PEM); none is that of `emcc.tls`. It carries the same SPIFFE id,
    /// which ends with this cluster's id.
    pub certificate_file: PathBuf,
    /// The authorities that our certificates may be signed by (PEM), as other clusters are told them; during a rotation the
    /// old one and the new one. None is those of `emcc.tls.ca_file` that have signed our certificate.
    pub bundle_file: PathBuf,
    /// How often other clusters are asked for their bundles; 10 s to 1 day.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub refresh_every: Duration,
    /// How long before its end a certificate is warned of.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub warn_before: Duration,
}

impl Default for TrustConfig {
    fn default() -> Self {
        Self {
            address: String::new(),
            certificate_file: PathBuf::new(),
            bundle_file: PathBuf::new(),
            refresh_every: Duration::from_secs(300),
            warn_before: Duration::from_secs(14 * 86_400),
        }
    }
}

impl TrustConfig {
    fn refresh_every(&self) -> Duration {
        self.refresh_every.clamp(Duration::from_secs(10), Duration::from_secs(86_400))
    }
}

/// Trust of one cluster in others. Clones share it.
#[derive(Clone)]
pub struct Trust(Arc<Service>);

pub(crate) struct Service {
    config: TrustConfig,
    tls: CallTls,
    cluster: ClusterId,
    store: Arc<dyn FederationStore>,
    pub(crate) audit: Arc<Audit>,
    clock: Clock,
    ids: Ids,
    peers: PeerTrust,
    remotes: ArcSwap<Vec<(RemoteCluster, u64)>>,
    heard: Mutex<BTreeMap<ClusterId, Heard>>,
    said: Mutex<BTreeMap<String, String>>,
    door: Semaphore,
}

/// How the last attempt went to hear of a bundle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// When it was last heard of.
    pub at: Option<Timestamp>,
    /// Why the last attempt came to nothing.
    pub problem: String,
}

/// What is kept.
pub(crate) struct Kept(Vec<StoredSetting>);

impl Trust {
    /// Trust over its store, with its background work begun in `tasks`. `peers` is obeyed by the port where other clusters
    /// arrive.
    pub fn start(
        config: &EmccConfig,
        cluster: ClusterId,
        store: Arc<dyn EmccStore>,
        clock: Clock,
        ids: Ids,
        peers: PeerTrust,
        tasks: &Tasks,
    ) -> Self {
        let audit = Arc::new(Audit::new(store.clone(), clock.clone()));
        let service = Arc::new(Service {
            audit: Arc::clone(&audit),
            config: config.trust.clone(),
            tls: config.tls.clone(),
            cluster,
            store,
            clock,
            ids,
            peers,
            remotes: ArcSwap::default(),
            heard: Mutex::default(),
            said: Mutex::default(),
            door: Semaphore::new(USES_AT_ONCE),
        });
        tasks.spawn("refusals of clusters", audit::run(audit, tasks.stopping()));
        let (working, stopping) = (Arc::clone(&service), tasks.stopping());
        tasks.spawn("trust in other clusters", async move {
            let _: Option<()> = stopping.run_until_cancelled(refresh::run(&working)).await;
        });
        Self(service)
    }

    /// Where refusals of other clusters are noted.
    pub(crate) fn audit(&self) -> Arc<Audit> {
        Arc::clone(&self.0.audit)
    }

    /// Adds the gRPC services to a process.
    pub fn add_to(&self, api: &mut Api) {
        grpc::add_trust_to(&self.0, api);
    }
}

impl Service {
    /// Notes the certificates that named a remote cluster and were not believed.
    fn note_disbelieved(&self) {
        let (found, remotes) = (self.peers.take_disbelieved(), self.remotes.load());
        for (id, why) in found {
            if remotes.iter().any(|(remote, _)| remote.spiffe_id == id) {
                self.audit.disbelieved(id, why);
            }
        }
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<ClusterId, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is kept, and believes the remote clusters as it says.
    async fn kept(&self) -> Result<Kept, Refusal> {
        let kept = Kept(self.store.settings().await.map_err(|error| refusal::store(&error))?);
        let remotes: Vec<_> = kept.remotes().map(|(remote, version)| (remote.clone(), version)).collect();
        let own = remotes.iter().filter(|(remote, _)| !remote.trust_bundle.is_empty());
        let own = own.map(|(remote, _)| (remote.spiffe_id.clone(), remote.trust_bundle.clone()));
        for id in self.peers.obey(own.collect()) {
            self.say(&id, format!("the authorities of {id} cannot be used: it is not believed"));
        }
        let before = self.remotes.swap(Arc::new(remotes));
        for (gone, _) in
            before.iter().filter(|(known, _)| kept.remotes().all(|(one, _)| one.cluster != known.cluster))
        {
            TRUST_NOT_AFTER.forget(&[("cluster", gone.cluster.as_str())]);
        }
        Ok(kept)
    }

    /// The remote cluster that a certificate proves.
    ///
    /// # Errors
    /// `PEER_NOT_PROVEN` or `VISITING_CLUSTER_UNKNOWN`.
    pub(crate) fn proven(&self, identity: Option<&PeerIdentity>) -> Result<ClusterId, Refusal> {
        let Some(PeerIdentity::Spiffe(id)) = identity else {
            let text = "the connection came without a certificate that names a cluster (XC-10)";
            return Err(Refusal::new(ErrorReason::PeerNotProven, text));
        };
        let remotes = self.remotes.load();
        let known = remotes.iter().find(|(remote, _)| *remote.spiffe_id == **id);
        known.map(|(remote, _)| remote.cluster.clone()).ok_or_else(|| {
            tracing::warn!(%id, "a stranger with a good certificate asked for our trust bundle");
            let text = "no remote cluster here has the certificate's SPIFFE id (XC-6)";
            Refusal::new(ErrorReason::VisitingClusterUnknown, text)
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Says something of a thing in the log, if it is another than before; nothing where it is empty.
    fn say(&self, thing: &str, text: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.get(thing).map_or("", String::as_str) != text {
            if text.is_empty() {
                tracing::info!(thing, "all is well again");
            } else {
                tracing::warn!(thing, "{text}");
            }
            said.insert(thing.to_owned(), text);
        }
    }
}

impl Kept {
    fn remotes(&self) -> impl Iterator<Item = (&RemoteCluster, u64)> {
        self.0.iter().filter_map(|stored| match &stored.setting {
            Setting::RemoteCluster(remote) => Some((remote, stored.version)),
            _ => None,
        })
    }

    /// What is shared with a new cluster if nobody says: everything or nothing.
    fn services(&self) -> RemoteServices {
        let all = self.0.iter().any(|stored| match &stored.setting {
            Setting::Parameters(parameters) => parameters.enable_all_services,
            _ => false,
        });
        if all { RemoteServices::ALL } else { RemoteServices::default() }
    }

    /// Nobody else may be it.
    ///
    /// # Errors
    /// `RESOURCE_EXISTS` where a cluster of that id is known, or another one has the SPIFFE id.
    fn vacant(&self, cluster: &ClusterId, spiffe_id: Option<&str>) -> Result<(), Refusal> {
        let taken = |what: String| {
            Err(Refusal::new(ErrorReason::ResourceExists, what)
                .with("kind", "remote cluster")
                .with("name", cluster.as_str()))
        };
        for (remote, _) in self.remotes() {
            if remote.cluster == *cluster {
                return taken(format!("cluster {cluster} is known already; delete it to begin anew"));
            }
            if spiffe_id == Some(&remote.spiffe_id) {
                return taken(format!("cluster {} has the SPIFFE id already", remote.cluster));
            }
        }
        Ok(())
    }
}

/// The SPIFFE id that a certificate carries.
fn spiffe_of(facts: &CertificateFacts) -> Option<&str> {
    match &facts.identity {
        Some(PeerIdentity::Spiffe(id)) => Some(id),
        _ => None,
    }
}

/// The certificates of authorities, in their order.
///
/// # Errors
/// What is wrong with the first that is none.
pub(crate) fn authorities(pem: &[String]) -> Result<Vec<CertificateFacts>, String> {
    let read = |(place, pem): (usize, &String)| {
        let facts = CertificateFacts::all_of(pem.as_bytes()).and_then(|facts| facts.into_iter().next());
        match facts {
            Some(facts) if facts.is_authority => Ok(facts),
            Some(facts) => Err(format!("certificate {} ({}) is no authority", place + 1, facts.subject)),
            None => Err(format!("certificate {} cannot be read", place + 1)),
        }
    };
    pem.iter().enumerate().map(read).collect()
}

/// The authorities of a remote cluster that can be read.
pub(crate) fn authorities_of(remote: &RemoteCluster) -> Vec<CertificateFacts> {
    authorities(&certificates_in(&remote.trust_bundle)).unwrap_or_default()
}

/// What a cluster says of itself, if that may be believed.
///
/// # Errors
/// `TRUST_BUNDLE_INVALID`.
fn judged(bundle: &TrustBundle, own: &ClusterId) -> Result<Vec<CertificateFacts>, Refusal> {
    let found = bundle.check(own);
    if !found.is_empty() {
        let text = format!("what cluster {} says of itself is not right: {found}", bundle.cluster);
        return Err(bundle_invalid(text));
    }
    authorities(&bundle.authorities)
        .map_err(|why| bundle_invalid(format!("the bundle of cluster {}: {why}", bundle.cluster)))
}

fn bundle_invalid(text: String) -> Refusal {
    Refusal::new(ErrorReason::TrustBundleInvalid, text)
}
