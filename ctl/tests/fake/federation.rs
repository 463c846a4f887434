//! Federation: what a test put there, kept as it is told. A user is at home where his id begins with a cluster's.

use roamline_proto::emcc::federation_administration_service_server::FederationAdministrationService;
use roamline_proto::emcc::*;

use super::*;

/// Other clusters and what is between them and this one.
#[derive(Default)]
pub(crate) struct Federation {
    pub(crate) clusters: Vec<RemoteCluster>,
    pub(crate) parameters: FederationParameters,
    pub(crate) geolocations: Vec<Geolocation>,
    pub(crate) filters: Vec<GeolocationFilter>,
    pub(crate) sessions: Vec<RoamingSession>,
}

fn not_found(what: &str) -> Status {
    Refusal::new(ErrorReason::ResourceNotFound, format!("there is no {what}")).into()
}

/// A record with the same name makes way for it.
fn put<T>(all: &mut Vec<T>, new: T, same: impl Fn(&T) -> bool) {
    all.retain(|one| !same(one));
    all.push(new);
}

/// Takes one away that must be there.
fn take<T>(all: &mut Vec<T>, what: &str, same: impl Fn(&T) -> bool) -> Result<(), Status> {
    let before = all.len();
    all.retain(|one| !same(one));
    if all.len() == before { Err(not_found(what)) } else { Ok(()) }
}

#[tonic::async_trait]
impl FederationAdministrationService for Fake {
    async fn create_remote_cluster(
        &self,
        request: Request<CreateRemoteClusterRequest>,
    ) -> Answer<CreateRemoteClusterResponse> {
        self.authorize(&request)?;
        let new = request.into_inner().remote_cluster.unwrap();
        self.federation.lock().unwrap().clusters.push(new.clone());
        Ok(Response::new(CreateRemoteClusterResponse { remote_cluster: Some(new) }))
    }

    async fn update_remote_cluster(
        &self,
        request: Request<UpdateRemoteClusterRequest>,
    ) -> Answer<UpdateRemoteClusterResponse> {
        self.authorize(&request)?;
        let new = request.into_inner().remote_cluster.unwrap();
        assert!(!new.etag.is_empty() && new.health.is_none(), "an update is of what was read");
        let id = new.cluster_id.clone();
        put(&mut self.federation.lock().unwrap().clusters, new.clone(), |one| one.cluster_id == id);
        Ok(Response::new(UpdateRemoteClusterResponse { remote_cluster: Some(new) }))
    }

    async fn delete_remote_cluster(
        &self,
        request: Request<DeleteRemoteClusterRequest>,
    ) -> Answer<DeleteRemoteClusterResponse> {
        self.authorize(&request)?;
        let id = request.into_inner().cluster_id;
        take(&mut self.federation.lock().unwrap().clusters, &id, |one| one.cluster_id == id)?;
        Ok(Response::new(DeleteRemoteClusterResponse {}))
    }

    async fn list_remote_clusters(
        &self,
        request: Request<ListRemoteClustersRequest>,
    ) -> Answer<ListRemoteClustersResponse> {
        self.authorize(&request)?;
        let remote_clusters = self.federation.lock().unwrap().clusters.clone();
        Ok(Response::new(ListRemoteClustersResponse { remote_clusters, cluster_id: "here".into() }))
    }

    async fn test_remote_cluster(
        &self,
        request: Request<TestRemoteClusterRequest>,
    ) -> Answer<TestRemoteClusterResponse> {
        self.authorize(&request)?;
        let id = request.into_inner().cluster_id;
        let federation = self.federation.lock().unwrap();
        let found = federation.clusters.iter().find(|one| one.cluster_id == id);
        let health = found.ok_or_else(|| not_found(&id))?.health.clone();
        Ok(Response::new(TestRemoteClusterResponse { health }))
    }

    async fn find_home_cluster(
        &self,
        request: Request<FindHomeClusterRequest>,
    ) -> Answer<FindHomeClusterResponse> {
        self.authorize(&request)?;
        let user = request.into_inner().user_id;
        let federation = self.federation.lock().unwrap();
        let home = federation.clusters.iter().find(|one| user.starts_with(&one.cluster_id));
        let cluster_id = home.map(|one| one.cluster_id.clone()).unwrap_or_default();
        let asked = u32::from(!cluster_id.is_empty());
        Ok(Response::new(FindHomeClusterResponse { cluster_id, asked }))
    }

    async fn get_federation_parameters(
        &self,
        request: Request<GetFederationParametersRequest>,
    ) -> Answer<GetFederationParametersResponse> {
        self.authorize(&request)?;
        let parameters = self.federation.lock().unwrap().parameters.clone();
        Ok(Response::new(GetFederationParametersResponse { federation_parameters: Some(parameters) }))
    }

    async fn update_federation_parameters(
        &self,
        request: Request<UpdateFederationParametersRequest>,
    ) -> Answer<UpdateFederationParametersResponse> {
        self.authorize(&request)?;
        let new = request.into_inner().federation_parameters.unwrap();
        if new.activated && new.configuration_server.is_empty() {
            let refusal = Refusal::new(ErrorReason::CrossClusterNotConfigured, "no configuration server");
            return Err(refusal.into());
        }
        self.federation.lock().unwrap().parameters = new.clone();
        Ok(Response::new(UpdateFederationParametersResponse { federation_parameters: Some(new) }))
    }

    async fn set_geolocation(
        &self,
        request: Request<SetGeolocationRequest>,
    ) -> Answer<SetGeolocationResponse> {
        self.authorize(&request)?;
        let new = request.into_inner().geolocation.unwrap();
        let name = new.name.clone();
        put(&mut self.federation.lock().unwrap().geolocations, new.clone(), |one| one.name == name);
        Ok(Response::new(SetGeolocationResponse { geolocation: Some(new) }))
    }

    async fn delete_geolocation(
        &self,
        request: Request<DeleteGeolocationRequest>,
    ) -> Answer<DeleteGeolocationResponse> {
        self.authorize(&request)?;
        let name = request.into_inner().name;
        take(&mut self.federation.lock().unwrap().geolocations, &name, |one| one.name == name)?;
        Ok(Response::new(DeleteGeolocationResponse {}))
    }

    async fn list_geolocations(
        &self,
        request: Request<ListGeolocationsRequest>,
    ) -> Answer<ListGeolocationsResponse> {
        self.authorize(&request)?;
        let federation = self.federation.lock().unwrap();
        let (geolocations, geolocation_filters) =
            (federation.geolocations.clone(), federation.filters.clone());
        Ok(Response::new(ListGeolocationsResponse { geolocations, geolocation_filters }))
    }

    async fn set_geolocation_filter(
        &self,
        request: Request<SetGeolocationFilterRequest>,
    ) -> Answer<SetGeolocationFilterResponse> {
        self.authorize(&request)?;
        let new = request.into_inner().geolocation_filter.unwrap();
        let name = new.name.clone();
        put(&mut self.federation.lock().unwrap().filters, new.clone(), |one| one.name == name);
        Ok(Response::new(SetGeolocationFilterResponse { geolocation_filter: Some(new) }))
    }

    async fn delete_geolocation_filter(
        &self,
        request: Request<DeleteGeolocationFilterRequest>,
    ) -> Answer<DeleteGeolocationFilterResponse> {
        self.authorize(&request)?;
        let name = request.into_inner().name;
        take(&mut self.federation.lock().unwrap().filters, &name, |one| one.name == name)?;
        Ok(Response::new(DeleteGeolocationFilterResponse {}))
    }

    async fn list_roaming_sessions(
        &self,
        request: Request<ListRoamingSessionsRequest>,
    ) -> Answer<ListRoamingSessionsResponse> {
        self.authorize(&request)?;
        let asked = request.into_inner();
        let federation = self.federation.lock().unwrap();
        let fits = |one: &&RoamingSession| {
            one.session_id > asked.after_session_id && (asked.peer.is_empty() || one.peer == asked.peer)
        };
        // Two a page.
        let page: Vec<RoamingSession> = federation.sessions.iter().filter(fits).take(2).cloned().collect();
        Ok(Response::new(ListRoamingSessionsResponse { roaming_sessions: page, base_devices_used: 2 }))
    }
}
