//! `FederationAdministrationService`.

use std::sync::Arc;

use roamline_domain::emcc::half::Half;
use roamline_domain::{ClusterId, RecordName, Violations};
use roamline_proto::emcc as wire;
use roamline_proto::emcc::federation_administration_service_server::FederationAdministrationService;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::federation::{Changed, From, HalfQuery, Setting, SettingKind};
use tonic::{Request, Response, Status};

use crate::audit::{By, Change};
use crate::{Inner, convert, refusal};

pub(crate) struct Handler(pub Arc<Inner>);

type Answer<T> = Result<Response<T>, Status>;

impl Handler {
    async fn changed(&self, cluster: &str, change: &'static str, by: &By) {
        self.0.audit.changed(Change::of(cluster, change), by).await;
    }
}

#[tonic::async_trait]
impl FederationAdministrationService for Handler {
    async fn create_remote_cluster(
        &self,
        request: Request<wire::CreateRemoteClusterRequest>,
    ) -> Answer<wire::CreateRemoteClusterResponse> {
        let by = By::of(&request);
        let given = request.into_inner().remote_cluster.unwrap_or_default();
        let made = self.0.set_remote(&given, From::Nothing).await?;
        self.changed(&made.cluster_id, "added", &by).await;
        Ok(Response::new(wire::CreateRemoteClusterResponse { remote_cluster: Some(made) }))
    }

    async fn update_remote_cluster(
        &self,
        request: Request<wire::UpdateRemoteClusterRequest>,
    ) -> Answer<wire::UpdateRemoteClusterResponse> {
        let by = By::of(&request);
        let given = request.into_inner().remote_cluster.unwrap_or_default();
        let made = self.0.set_remote(&given, from(&given.etag, From::Something)?).await?;
        self.changed(&made.cluster_id, "set", &by).await;
        Ok(Response::new(wire::UpdateRemoteClusterResponse { remote_cluster: Some(made) }))
    }

    async fn delete_remote_cluster(
        &self,
        request: Request<wire::DeleteRemoteClusterRequest>,
    ) -> Answer<wire::DeleteRemoteClusterResponse> {
        let by = By::of(&request);
        let given = request.into_inner();
        let from = from(&given.etag, From::Something)?;
        self.0.remove(SettingKind::RemoteCluster, &given.cluster_id, from).await?;
        self.changed(&given.cluster_id, "removed", &by).await;
        self.0.end_all_with(&given.cluster_id).await?;
        Ok(Response::new(wire::DeleteRemoteClusterResponse {}))
    }

    async fn list_remote_clusters(
        &self,
        _: Request<wire::ListRemoteClustersRequest>,
    ) -> Answer<wire::ListRemoteClustersResponse> {
        self.0.recall().await?;
        let (recalled, peers) = (self.0.recalled.load(), self.0.peers.load());
        let remotes = recalled.remotes.values();
        let remote_clusters = remotes.map(|(remote, version)| {
            convert::remote(remote, *version, peers.get(&remote.cluster).map(AsRef::as_ref))
        });
        Ok(Response::new(wire::ListRemoteClustersResponse {
            remote_clusters: remote_clusters.collect(),
            cluster_id: self.0.cluster.to_string(),
        }))
    }

    async fn test_remote_cluster(
        &self,
        request: Request<wire::TestRemoteClusterRequest>,
    ) -> Answer<wire::TestRemoteClusterResponse> {
        let name = &request.get_ref().cluster_id;
        self.0.recall().await?;
        self.0.know_peers();
        let peer = name.parse().ok().and_then(|cluster: ClusterId| self.0.peer(&cluster));
        let Some(peer) = peer else { return Err(not_found("remote cluster", name).into()) };
        self.0.look_at(&peer).await?;
        let health = Some(convert::health(&peer.health(), peer.filter_users()));
        Ok(Response::new(wire::TestRemoteClusterResponse { health }))
    }

    async fn find_home_cluster(
        &self,
        request: Request<wire::FindHomeClusterRequest>,
    ) -> Answer<wire::FindHomeClusterResponse> {
        if !self.0.peers.load().values().any(|peer| peer.remote.services.emcc) {
            let text = "no remote cluster shares cross-cluster logins with this one";
            return Err(Refusal::new(ErrorReason::NoRemoteCluster, text).into());
        }
        let homes = self.0.homes_of(&request.get_ref().user_id).await;
        let first = homes.candidates.first().map(|peer| peer.remote.cluster.to_string());
        Ok(Response::new(wire::FindHomeClusterResponse {
            cluster_id: first.unwrap_or_default(),
            asked: homes.asked,
        }))
    }

    async fn get_federation_parameters(
        &self,
        _: Request<wire::GetFederationParametersRequest>,
    ) -> Answer<wire::GetFederationParametersResponse> {
        self.0.recall().await?;
        let recalled = self.0.recalled.load();
        let made = convert::parameters(&recalled.parameters, recalled.parameters_version);
        Ok(Response::new(wire::GetFederationParametersResponse { federation_parameters: Some(made) }))
    }

    async fn update_federation_parameters(
        &self,
        request: Request<wire::UpdateFederationParametersRequest>,
    ) -> Answer<wire::UpdateFederationParametersResponse> {
        let given = request.into_inner().federation_parameters.unwrap_or_default();
        let parameters = convert::parse_parameters(&given).map_err(refusal::broken)?;
        self.0.recall().await?;
        let recalled = self.0.recalled.load_full();
        if parameters.activated {
            let ready = parameters.may_be_activated(recalled.inter_cluster_time);
            ready.map_err(refusal::not_activated)?;
        }
        if let Some(filter) = &parameters.geolocation_filter
            && !recalled.filters.contains_key(filter)
        {
            let mut found = Violations::new();
            found.add("geolocation_filter", "XC-3", format!("there is no filter {filter}"));
            return Err(refusal::broken(found).into());
        }
        let from = from(&given.etag, From::Any)?;
        let version = self.0.set(Setting::Parameters(parameters.clone()), from).await?;
        let made = convert::parameters(&parameters, version);
        Ok(Response::new(wire::UpdateFederationParametersResponse { federation_parameters: Some(made) }))
    }

    async fn set_geolocation(
        &self,
        request: Request<wire::SetGeolocationRequest>,
    ) -> Answer<wire::SetGeolocationResponse> {
        let given = request.into_inner().geolocation.unwrap_or_default();
        let geolocation = convert::parse_geolocation(&given).map_err(refusal::broken)?;
        let from = from(&given.etag, From::Any)?;
        let version = self.0.set(Setting::Geolocation(geolocation.clone()), from).await?;
        let made = convert::geolocation(&geolocation, version);
        Ok(Response::new(wire::SetGeolocationResponse { geolocation: Some(made) }))
    }

    async fn delete_geolocation(
        &self,
        request: Request<wire::DeleteGeolocationRequest>,
    ) -> Answer<wire::DeleteGeolocationResponse> {
        self.0.remove(SettingKind::Geolocation, &request.get_ref().name, From::Something).await?;
        Ok(Response::new(wire::DeleteGeolocationResponse {}))
    }

    async fn list_geolocations(
        &self,
        _: Request<wire::ListGeolocationsRequest>,
    ) -> Answer<wire::ListGeolocationsResponse> {
        self.0.recall().await?;
        let recalled = self.0.recalled.load();
        let geolocations = recalled.geolocations.values();
        let filters = recalled.filters.values();
        Ok(Response::new(wire::ListGeolocationsResponse {
            geolocations: geolocations
                .map(|(place, version)| convert::geolocation(place, *version))
                .collect(),
            geolocation_filters: filters.map(|(filter, version)| convert::filter(filter, *version)).collect(),
        }))
    }

    async fn set_geolocation_filter(
        &self,
        request: Request<wire::SetGeolocationFilterRequest>,
    ) -> Answer<wire::SetGeolocationFilterResponse> {
        let given = request.into_inner().geolocation_filter.unwrap_or_default();
        let filter = convert::parse_filter(&given).map_err(refusal::broken)?;
        let from = from(&given.etag, From::Any)?;
        let version = self.0.set(Setting::GeolocationFilter(filter.clone()), from).await?;
        let made = convert::filter(&filter, version);
        Ok(Response::new(wire::SetGeolocationFilterResponse { geolocation_filter: Some(made) }))
    }

    async fn delete_geolocation_filter(
        &self,
        request: Request<wire::DeleteGeolocationFilterRequest>,
    ) -> Answer<wire::DeleteGeolocationFilterResponse> {
        let name = &request.get_ref().name;
        self.0.recall().await?;
        let used = self.0.recalled.load().parameters.geolocation_filter.as_ref().map(RecordName::to_string);
        if used.as_ref() == Some(name) {
            let text = format!("the parameters name the filter {name}");
            return Err(Refusal::new(ErrorReason::ResourceInUse, text).with("usedBy", "parameters").into());
        }
        self.0.remove(SettingKind::GeolocationFilter, name, From::Something).await?;
        Ok(Response::new(wire::DeleteGeolocationFilterResponse {}))
    }

    async fn list_roaming_sessions(
        &self,
        request: Request<wire::ListRoamingSessionsRequest>,
    ) -> Answer<wire::ListRoamingSessionsResponse> {
        let given = request.into_inner();
        let mut found = Violations::new();
        let after = match given.after_session_id.as_str() {
            "" => None,
            text => found.take("after_session_id", text.parse()),
        };
        let peer = match given.peer.as_str() {
            "" => None,
            text => found.take("peer", text.parse()),
        };
        found.none_or(()).map_err(refusal::invalid)?;
        let limit = if given.page_size == 0 { 100 } else { given.page_size.min(1000) };
        let halves = self.0.shown_halves(HalfQuery { peer, after, limit, live: None }).await?;
        let used = self.0.store.base_devices_held().await.map_err(|error| refusal::store(&error))?;
        Ok(Response::new(wire::ListRoamingSessionsResponse {
            roaming_sessions: halves.iter().map(convert::half).collect(),
            base_devices_used: used,
        }))
    }
}

impl Inner {
    /// The halves of a page that are live, or whose end the other side has not heard of.
    async fn shown_halves(&self, mut query: HalfQuery) -> Result<Vec<Half>, Refusal> {
        let (limit, mut shown) = (query.limit as usize, Vec::new());
        loop {
            let page = self.store.halves(&query).await.map_err(|error| refusal::store(&error))?;
            let more = page.len() == limit;
            query.after = page.last().map(|half| half.session.clone()).or(query.after);
            shown.extend(page.into_iter().filter(|half| half.is_live() || !half.told));
            if shown.len() >= limit || !more {
                shown.truncate(limit);
                return Ok(shown);
            }
        }
    }

    async fn set_remote(
        &self,
        given: &wire::RemoteCluster,
        from: From,
    ) -> Result<wire::RemoteCluster, Refusal> {
        self.recall().await?;
        let recalled = self.recalled.load_full();
        if given.cluster_id == self.cluster.as_str() {
            let text = "that is this cluster's own id";
            return Err(Refusal::new(ErrorReason::ClusterIdInvalid, text));
        }
        let all = recalled.parameters.enable_all_services;
        let remote = convert::parse_remote(given, &self.cluster, all).map_err(refusal::broken)?;
        // Whom a certificate proves must be one cluster (XC-10).
        if let Some(other) = recalled.by_spiffe(&remote.spiffe_id)
            && other.cluster != remote.cluster
        {
            let text = format!("the SPIFFE id is that of cluster {}", other.cluster);
            return Err(Refusal::new(ErrorReason::ResourceExists, text).with("kind", "remote cluster"));
        }
        let version = self.set(Setting::RemoteCluster(remote.clone()), from).await?;
        self.know_peers();
        Ok(convert::remote(&remote, version, self.peer(&remote.cluster).as_deref()))
    }

    /// Sets a setting, and goes by it from now on.
    async fn set(&self, setting: Setting, from: From) -> Result<u64, Refusal> {
        let (kind, name) = (setting.kind(), setting.name().to_owned());
        let changed = self.store.set_setting(setting, from).await.map_err(|error| refusal::store(&error))?;
        match changed {
            Changed::Made(version) => {
                self.recall().await?;
                self.changed.notify_one();
                Ok(version)
            }
            Changed::Moved(version) => Err(moved(kind, &name, from, version)),
        }
    }

    async fn remove(&self, kind: SettingKind, name: &str, from: From) -> Result<(), Refusal> {
        let changed = self.store.remove_setting(kind, name, from).await;
        match changed.map_err(|error| refusal::store(&error))? {
            Changed::Made(_) => {
                self.recall().await?;
                self.know_peers();
                Ok(())
            }
            Changed::Moved(version) => Err(moved(kind, name, from, version)),
        }
    }

    /// Ends all sessions with a cluster that is no longer a peer.
    async fn end_all_with(&self, cluster: &str) -> Result<(), Refusal> {
        let Ok(peer) = cluster.parse::<ClusterId>() else { return Ok(()) };
        loop {
            let query = HalfQuery { peer: Some(peer.clone()), live: Some(true), limit: 1000, after: None };
            let page = self.store.halves(&query).await.map_err(|error| refusal::store(&error))?;
            if page.is_empty() {
                return Ok(());
            }
            for half in page {
                self.end_both(&half.session).await?;
            }
        }
    }
}

fn moved(kind: SettingKind, name: &str, from: From, version: u64) -> Refusal {
    let what = match kind {
        SettingKind::RemoteCluster => "remote cluster",
        SettingKind::Geolocation => "geolocation",
        SettingKind::GeolocationFilter => "geolocation filter",
        SettingKind::Parameters => "federation parameters",
        SettingKind::Invitation => "invitation",
    };
    match from {
        From::Nothing => {
            let text = format!("there is a {what} {name:?} already");
            Refusal::new(ErrorReason::ResourceExists, text).with("kind", what)
        }
        _ if version == 0 => not_found(what, name),
        _ => Refusal::new(
            ErrorReason::EtagMismatch,
            format!("the {what} has changed since it was read (DP-20)"),
        )
        .with("etag", convert::etag(version)),
    }
}

fn not_found(what: &str, name: &str) -> Refusal {
    let shown: String = name.chars().take(80).collect();
    Refusal::new(ErrorReason::ResourceNotFound, format!("there is no {what} {shown:?}")).with("name", shown)
}

/// The version that an etag means; `without` where there is none.
fn from(etag: &str, without: From) -> Result<From, Refusal> {
    match etag {
        "" => Ok(without),
        text => match text.parse() {
            Ok(version) => Ok(From::Version(version)),
            Err(_) => Err(Refusal::new(ErrorReason::EtagMismatch, "the etag is none that was given (DP-20)")),
        },
    }
}
