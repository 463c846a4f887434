//! Bundles of other clusters, asked for at an interval over the mutual TLS that they are for: a cluster that changes its
//! authority announces the new one beside the old one, and shows certificates of it when all have heard.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::emcc::trust::{believed, certificates_in, pem_of};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{Expected, PeerDial, is_signed_by};
use roamline_store::federation::{Changed, From, Setting};
use tokio::time::{MissedTickBehavior, interval};

use super::accept::{ANSWER_WITHIN, CONNECT_WITHIN};
use super::{Heard, Own, Service, bundle_invalid, judged};
use crate::audit::{By, Change};
use crate::grpc::Exchange;
use crate::refusal;

/// How often is looked whom we believe.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Clusters that are asked at once.
const AT_ONCE: usize = 16;

/// What came of a question.
pub(crate) struct Refreshed {
    /// The cluster as it is kept now.
    pub remote: RemoteCluster,
    /// Whether its bundle is another one than before.
    pub changed: bool,
}

/// Looks and asks without end.
pub(crate) async fn run(service: &Arc<Service>) {
    let (mut looks, mut refreshes) = (interval(LOOK_EVERY), interval(service.config.refresh_every()));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    refreshes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = refreshes.tick() => {
                service.look().await;
                service.refresh_all().await;
                service.warn_of_all().await;
            }
            _ = looks.tick() => service.look().await,
        }
    }
}

impl Service {
    async fn look(&self) {
        let problem = match self.kept().await {
            Ok(_) => String::new(),
            Err(refused) => format!("remote clusters cannot be read anew: {}", refused.message),
        };
        self.say("remote clusters", problem);
        self.note_disbelieved();
    }

    async fn refresh_all(&self) {
        let mut remotes = self.remotes.load().to_vec();
        remotes.retain(|(remote, _)| !remote.trust_bundle.is_empty());
        let refreshes = futures::stream::iter(remotes).map(|(remote, version)| async move {
            // What came of it is noted.
            let _ = self.refresh(&remote, version).await;
        });
        refreshes.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Asks a cluster of that id.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND`, or why it has not answered what can be believed.
    pub(crate) async fn refresh_named(&self, id: &str) -> Result<Refreshed, Refusal> {
        let kept = self.kept().await?;
        let Some((remote, version)) = kept.remotes().find(|(remote, _)| remote.cluster.as_str() == id) else {
            let shown: String = id.chars().take(64).collect();
            let text = format!("there is no remote cluster {shown:?}");
            let refusal = Refusal::new(ErrorReason::ResourceNotFound, text).with("kind", "remote cluster");
            return Err(refusal.with("name", shown));
        };
        if remote.trust_bundle.is_empty() {
            return Ok(Refreshed { remote: remote.clone(), changed: false });
        }
        self.refresh(remote, version).await
    }

    async fn refresh(&self, remote: &RemoteCluster, version: u64) -> Result<Refreshed, Refusal> {
        let done = async { self.ask(&self.own().await?, remote, version).await }.await;
        let now = self.clock.now();
        let problem = done.as_ref().err().map(|refused| refused.message.clone()).unwrap_or_default();
        let mut heard = self.heard();
        let before = heard.get(&remote.cluster).and_then(|heard| heard.at);
        let at = if done.is_ok() { Some(now) } else { before };
        heard.insert(remote.cluster.clone(), Heard { at, problem });
        done
    }

    async fn ask(&self, own: &Own, remote: &RemoteCluster, version: u64) -> Result<Refreshed, Refusal> {
        let expected =
            Expected::Peer { id: remote.spiffe_id.clone(), authorities: remote.trust_bundle.clone() };
        let ours = Some((own.chain.as_slice(), own.key.as_slice()));
        let dial = PeerDial::new(&remote.address, &expected, ours, CONNECT_WITHIN)
            .map_err(|error| bundle_invalid(format!("cluster {}: {error}", remote.cluster)))?;
        let connected = tokio::time::timeout(CONNECT_WITHIN, Exchange::connect(&remote.cluster, &dial)).await;
        let exchange = connected.map_err(|_| refusal::unavailable(&remote.cluster))??;
        let said = exchange.bundle(ANSWER_WITHIN).await?;
        judged(&said, &self.cluster)?;
        if said.cluster != remote.cluster || said.spiffe_id != remote.spiffe_id {
            let text = format!("cluster {} says that it is {} now", remote.cluster, said.cluster);
            return Err(bundle_invalid(text));
        }
        let before = certificates_in(&remote.trust_bundle);
        let covered = is_signed_by(dial.seen(), &pem_of(&said.authorities), self.clock.now());
        let after = believed(&before, &said.authorities, covered);
        if after == before {
            return Ok(Refreshed { remote: remote.clone(), changed: false });
        }
        let changed = RemoteCluster { trust_bundle: pem_of(&after), ..remote.clone() };
        // Where somebody else was quicker, the next look finds what he has made of it.
        let made =
            self.store.set_setting(Setting::RemoteCluster(changed.clone()), From::Version(version)).await;
        let made = made.map_err(|error| refusal::store(&error))?;
        self.kept().await?;
        if matches!(made, Changed::Moved(_)) {
            return Ok(Refreshed { remote: remote.clone(), changed: false });
        }
        tracing::info!(cluster = %remote.cluster, authorities = after.len(), covered, "a cluster has another trust bundle");
        let change = Change::of(remote.cluster.as_str(), "other authorities");
        self.audit.changed(change, &By::default()).await;
        Ok(Refreshed { remote: changed, changed: true })
    }
}
