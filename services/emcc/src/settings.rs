//! What logins go by, as it was a moment ago: the settings of the federation, the cluster's parameters and its device
//! pools. It is read anew every second, and at once after a change that was made here (SP-21).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roamline_domain::emcc::geolocation::{Civic, Geolocation, GeolocationFilter, choose_pool};
use roamline_domain::emcc::parameters::FederationParameters;
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::{ClusterId, RecordName};
use roamline_proto::profile::DevicePool;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::SETTINGS_AGE;
use roamline_store::federation::Setting;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Inner, refusal};

const READ_EVERY: Duration = Duration::from_secs(1);
/// How long the services that are asked may take to begin before it is said that they do not answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    /// Whether anything was read yet.
    pub is_read: bool,
    pub remotes: BTreeMap<ClusterId, (RemoteCluster, u64)>,
    pub geolocations: BTreeMap<RecordName, (Geolocation, u64)>,
    pub filters: BTreeMap<RecordName, (GeolocationFilter, u64)>,
    pub parameters: FederationParameters,
    pub parameters_version: u64,
    pub pools: Vec<DevicePool>,
    /// SP-3.
    pub inter_cluster_time: Duration,
}

impl Recalled {
    /// Whether that cluster is not known any more.
    pub(crate) fn is_without(&self, cluster: &ClusterId) -> bool {
        self.is_read && !self.remotes.contains_key(cluster)
    }

    /// The cluster whose certificate names it so.
    pub(crate) fn by_spiffe(&self, id: &str) -> Option<&RemoteCluster> {
        self.remotes.values().map(|(remote, _)| remote).find(|remote| remote.spiffe_id == id)
    }

    /// The device pool of that name.
    pub(crate) fn pool(&self, name: &str) -> Option<&DevicePool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// The geolocation that a device pool names.
    pub(crate) fn geolocation_of(&self, pool: &DevicePool) -> Option<&Geolocation> {
        let name = pool.geolocation.parse().ok()?;
        self.geolocations.get(&name).map(|(geolocation, _)| geolocation)
    }

    /// The roaming device pool for a phone that stands there (XC-3).
    pub(crate) fn roaming_pool(&self, place: Option<&Civic>) -> Option<&DevicePool> {
        let filter = self.parameters.geolocation_filter.as_ref();
        let filter = filter.and_then(|name| self.filters.get(name)).map(|(filter, _)| filter);
        let named: Vec<(RecordName, &Geolocation)> = self
            .pools
            .iter()
            .filter_map(|pool| Some((pool.name.parse().ok()?, self.geolocation_of(pool)?)))
            .collect();
        let candidates = named.iter().map(|(name, geolocation)| (name, *geolocation));
        let chosen = place.and_then(|place| choose_pool(place, candidates, filter));
        let name = chosen.or(self.parameters.default_device_pool.as_ref())?;
        self.pool(name.as_str())
    }
}

/// Reads without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let mut ticks = interval(READ_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun_at = Instant::now();
    let (mut read_at, mut was_read) = (begun_at, false);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = inner.changed.notified() => {}
        }
        match inner.recall().await {
            Ok(()) => (read_at, was_read) = (Instant::now(), true),
            // At the start the others may be a moment later.
            Err(refused) if !was_read && begun_at.elapsed() < PATIENCE => {
                tracing::debug!(
                    reason = refused.message,
                    "the settings of the federation cannot be read yet"
                );
            }
            Err(refused) => {
                tracing::warn!(
                    reason = refused.message,
                    "the settings of the federation cannot be read anew"
                );
            }
        }
        SETTINGS_AGE.set(i64::try_from(read_at.elapsed().as_secs()).unwrap_or(i64::MAX));
    }
}

impl Inner {
    /// Reads everything anew; what cannot be read stays as it was.
    pub(crate) async fn recall(&self) -> Result<(), Refusal> {
        let _turn = self.recalling.lock().await;
        let stored = self.store.settings().await.map_err(|error| refusal::store(&error))?;
        let before = self.recalled.load();
        let (parameters, pools) = tokio::join!(self.local.service_parameters(), self.local.device_pools());
        let mut recalled = Recalled {
            is_read: true,
            inter_cluster_time: match &parameters {
                Ok(parameters) => {
                    let time = parameters.inter_cluster_maximum_login_time;
                    time.and_then(roamline_proto::length).unwrap_or_default()
                }
                Err(_) => before.inter_cluster_time,
            },
            pools: match pools {
                Ok(pools) => pools,
                Err(_) => before.pools.clone(),
            },
            ..Recalled::default()
        };
        for stored in stored {
            let version = stored.version;
            match stored.setting {
                Setting::RemoteCluster(remote) => {
                    recalled.remotes.insert(remote.cluster.clone(), (remote, version));
                }
                Setting::Geolocation(geolocation) => {
                    recalled.geolocations.insert(geolocation.name.clone(), (geolocation, version));
                }
                Setting::GeolocationFilter(filter) => {
                    recalled.filters.insert(filter.name.clone(), (filter, version));
                }
                Setting::Parameters(parameters) => {
                    (recalled.parameters, recalled.parameters_version) = (parameters, version);
                }
                Setting::Invitation(_) => {}
            }
        }
        self.recalled.store(Arc::new(recalled));
        parameters.map(|_| ())
    }
}
