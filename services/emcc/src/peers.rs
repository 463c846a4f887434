//! The other clusters as they are now: whether they answer, what they speak, and the filter of their users (XC-9).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures::StreamExt;
use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_domain::emcc::admission::{OLDEST_VERSION, VERSION, common_version};
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::emcc::user_filter::UserFilter;
use roamline_proto::emcc::{Capability, Region};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::{PEER_ROUND_TRIP, PEER_UP};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::grpc::{Pem, Remote};
use crate::{Inner, convert, refusal};

/// Peers that are asked at once.
const AT_ONCE: usize = 64;

/// All of them, by their ids.
pub(crate) type Peers = BTreeMap<ClusterId, Arc<Peer>>;

/// One of them.
pub(crate) struct Peer {
    pub remote: RemoteCluster,
    pem: Pem,
    pub link: Result<Remote, String>,
    health: Mutex<Health>,
    filter: ArcSwapOption<Kept>,
}

/// A filter with its etag, and when it was last found to be the peer's.
#[derive(Clone)]
struct Kept {
    etag: String,
    filter: Arc<UserFilter>,
    at: Timestamp,
}

/// How a peer is.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// Whether it answers; `None` before it was asked.
    pub up: Option<bool>,
    pub since: Timestamp,
    pub problem: String,
    /// What should be otherwise although it answers.
    pub warning: String,
    pub round_trip: Duration,
    pub version: u32,
    pub capabilities: Vec<Capability>,
    pub release: String,
}

impl Peer {
    fn new(remote: RemoteCluster, pem: Pem, near: Option<Remote>, now: Timestamp) -> Self {
        let health = Health {
            up: None,
            since: now,
            problem: String::new(),
            warning: String::new(),
            round_trip: Duration::ZERO,
            version: 0,
            capabilities: Vec::new(),
            release: String::new(),
        };
        let link = near.map_or_else(|| Remote::new(&remote, &pem), Ok);
        Self { remote, pem, link, health: Mutex::new(health), filter: ArcSwapOption::empty() }
    }

    pub(crate) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health().up == Some(true)
    }

    /// The link, if the peer can be called.
    ///
    /// # Errors
    /// `PEER_UNAVAILABLE`, at once (XC-9).
    pub(crate) fn callable(&self) -> Result<&Remote, Refusal> {
        match &self.link {
            Ok(link) if self.is_up() => Ok(link),
            _ => Err(refusal::unavailable(&self.remote.cluster)),
        }
    }

    /// Whether its filter says that the user may be at home there; `None` where it has no filter that we understand.
    pub(crate) fn may_be_home(&self, user: &str) -> Option<bool> {
        self.filter.load().as_ref().map(|kept| kept.filter.may_have(user))
    }

    /// How many users are in its filter.
    pub(crate) fn filter_users(&self) -> u32 {
        self.filter.load().as_ref().map_or(0, |kept| kept.filter.users())
    }

    /// Notes how it is; returns whether it has come up by this.
    fn note(&self, up: bool, now: Timestamp, change: impl FnOnce(&mut Health)) -> bool {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = health.up != Some(up);
        if changed {
            (health.up, health.since) = (Some(up), now);
        }
        change(&mut health);
        if changed && up {
            tracing::info!(peer = %self.remote.cluster, "the cluster answers");
        } else if changed {
            tracing::warn!(peer = %self.remote.cluster, problem = health.problem, "the cluster does not answer");
        }
        changed && up
    }
}

/// Looks at all of them without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let mut ticks = interval(inner.config.look_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        inner.know_peers();
        let peers: Vec<_> = inner.peers.load().values().cloned().collect();
        let looks = futures::stream::iter(peers).map(|peer| async move {
            // What came of it is in its health.
            let _ = inner.look_at(&peer).await;
        });
        looks.buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

impl Inner {
    /// Brings the peers up to date with the settings and with the files of our certificate; one that is the same keeps
    /// what is known of it.
    pub(crate) fn know_peers(&self) {
        let (recalled, before) = (self.recalled.load(), self.peers.load());
        if recalled.remotes.is_empty() && before.is_empty() {
            return;
        }
        let (now, files) = (self.clock.now(), Pem::read(&self.config.tls));
        let peers = recalled.remotes.values().map(|(remote, _)| {
            let pem = files.to(remote);
            let same = before.get(&remote.cluster);
            let same = same.filter(|peer| peer.remote == *remote && peer.pem == pem);
            let peer = same.cloned().unwrap_or_else(|| {
                let near = self.neighbours.remote(&remote.cluster);
                Arc::new(Peer::new(remote.clone(), pem, near, now))
            });
            (remote.cluster.clone(), peer)
        });
        let peers: Peers = peers.collect();
        for gone in before.keys().filter(|cluster| !peers.contains_key(*cluster)) {
            PEER_UP.forget(&[("cluster", gone.as_str())]);
        }
        self.peers.store(Arc::new(peers));
    }

    /// The peer of that id.
    pub(crate) fn peer(&self, cluster: &ClusterId) -> Option<Arc<Peer>> {
        self.peers.load().get(cluster).cloned()
    }

    /// Asks a peer who it is, and for its filter if that has changed.
    ///
    /// # Errors
    /// Why it is not up.
    pub(crate) async fn look_at(&self, peer: &Peer) -> Result<(), Refusal> {
        let begun = Instant::now();
        let said = self.hello(peer).await;
        let (now, took) = (self.clock.now(), begun.elapsed());
        let labels = [("cluster", peer.remote.cluster.as_str())];
        if self.peer(&peer.remote.cluster).is_some() {
            PEER_UP.set_for(i64::from(said.is_ok()), &labels);
        }
        match said {
            Ok((hello, version)) => {
                PEER_ROUND_TRIP.record(took.as_secs_f64(), &labels);
                let warning = self.warning_of(&peer.remote.cluster, hello.region);
                let came_up = peer.note(true, now, |health| {
                    health.problem.clear();
                    if !warning.is_empty() && health.warning != warning {
                        tracing::warn!(peer = %peer.remote.cluster, warning);
                    }
                    health.warning = warning;
                    health.round_trip = took;
                    health.version = version;
                    health.capabilities = hello.capabilities().collect();
                    health.release = hello.release.chars().take(80).collect();
                });
                self.get_filter(peer, &hello.filter_etag, now).await;
                if came_up {
                    self.ended.notify_one();
                    self.reconcile_soon(peer.remote.cluster.clone());
                }
                Ok(())
            }
            Err(refused) => {
                peer.note(false, now, |health| health.problem.clone_from(&refused.message));
                Err(refused)
            }
        }
    }

    /// Region parameters should be the same in all clusters: else a call may have no common codec, or sound one way.
    fn warning_of(&self, peer: &ClusterId, theirs: Option<Region>) -> String {
        let ours = convert::region(&self.recalled.load().parameters);
        // An older release does not say.
        let Some(theirs) = theirs.filter(|theirs| *theirs != ours) else { return String::new() };
        let said = |region: &Region| {
            let loss = if region.links_are_lossy { "lossy" } else { "low" };
            format!("audio {}, video {}, link loss {loss}", region.audio_kbps, region.video_kbps)
        };
        format!(
            "its region is {}, and ours {}: cluster {peer} and ours should agree",
            said(&theirs),
            said(&ours)
        )
    }

    async fn hello(&self, peer: &Peer) -> Result<(roamline_proto::emcc::HelloResponse, u32), Refusal> {
        let Ok(link) = &peer.link else {
            let problem = peer.link.as_ref().err().cloned().unwrap_or_default();
            return Err(Refusal { message: problem, ..refusal::unavailable(&peer.remote.cluster) });
        };
        let hello = link.hello(&self.cluster, self.config.answer_within()).await?;
        if hello.cluster_id != peer.remote.cluster.as_str() {
            let text = format!("the cluster at that address is {:?}", hello.cluster_id);
            return Err(Refusal::new(ErrorReason::ClusterIdInvalid, text));
        }
        let theirs = (hello.oldest_version, hello.version);
        match common_version((OLDEST_VERSION, VERSION), theirs) {
            Some(version) => Ok((hello, version)),
            None => {
                let text = format!("it speaks versions {} to {}", theirs.0, theirs.1);
                Err(Refusal::new(ErrorReason::PeerVersionUnsupported, text))
            }
        }
    }

    /// Gets a peer's filter where there is another one than ours, or the update interval is over. One that is not
    /// believed is dropped: its users are asked for one by one.
    async fn get_filter(&self, peer: &Peer, etag: &str, now: Timestamp) {
        let interval = self.recalled.load().parameters.update_interval;
        let fresh =
            |kept: &Kept| kept.etag == etag && kept.at.checked_add(interval).is_ok_and(|until| until > now);
        if peer.filter.load().as_ref().is_some_and(|kept| fresh(kept)) {
            return;
        }
        if etag.is_empty() || !peer.remote.services.emcc {
            return peer.filter.store(None);
        }
        let Ok(link) = &peer.link else { return };
        let before = peer.filter.load_full();
        let known = before.as_ref().map(|kept| kept.etag.clone()).unwrap_or_default();
        let Ok((etag, got)) = link.user_filter(known, self.config.login_within()).await else { return };
        let Some(got) = got else {
            // It is the one that we have.
            let kept = before.filter(|kept| kept.etag == etag);
            let kept = kept.map(|kept| Arc::new(Kept { at: now, ..Kept::clone(&kept) }));
            return peer.filter.store(kept);
        };
        let read = UserFilter::read(got.algorithm, got.salt, got.hashes, got.bits, got.users);
        match read {
            Ok(filter) => {
                peer.filter.store(Some(Arc::new(Kept { etag, filter: Arc::new(filter), at: now })));
            }
            Err(error) => {
                tracing::warn!(peer = %peer.remote.cluster, %error, "its filter of users is not used");
                peer.filter.store(None);
            }
        }
    }
}
