//! Clusters that know each other: each a `roamline up` with certificates of one authority, two phones, and three users.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    Credential, NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest, credential,
};
use roamline_proto::emcc::federation_administration_service_client::FederationAdministrationServiceClient;
use roamline_proto::emcc::federation_service_client::FederationServiceClient;
use roamline_proto::emcc::{
    CreateRemoteClusterRequest, FederationParameters, Geolocation, ListRemoteClustersRequest,
    ListRoamingSessionsRequest, PeerState, RemoteCluster, RemoteServices, RoamingSession,
    SetGeolocationRequest, UpdateFederationParametersRequest, UpdateRemoteClusterRequest,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, DevicePool, DeviceSettings, Line, LogoutProfile, Phone, ProfileLine, Resource,
    User, UserDeviceProfile, phone, resource,
};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{
    AuditFilter, AuditKind, ListAuditRecordsRequest, ListSessionsRequest, LoginRequest, LoginResponse,
    LogoutRequest, Session, logout_request,
};
use roamline_token::Bearer;
use tempfile::TempDir;
use tokio::time::{Instant, interval};
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::process::{Server, Site, start};

/// How long a change may take to be seen.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Where those who do not answer are waited for.
pub(crate) const HASTY: &[(&str, &str)] = &[("EMCC__ANSWER_WITHIN", "1s"), ("EMCC__LOGIN_WITHIN", "2s")];

pub(crate) type Link = InterceptedService<Channel, Bearer>;
pub(crate) type Administration = FederationAdministrationServiceClient<Link>;
pub(crate) type Sessions = SessionServiceClient<Link>;

/// Who signs certificates, and the folder of what it has signed.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &pem).unwrap();
        Self { issuer: Issuer::new(params, key), pem, folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A certificate of that cluster and its key.
    pub(crate) fn sign(
        &self,
        cluster: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(spiffe(cluster).try_into().unwrap()));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Whom the certificate of a cluster names.
pub(crate) fn spiffe(cluster: &str) -> String {
    format!("spiffe://test.example/roamline/{cluster}")
}

/// A running cluster.
pub(crate) struct Cluster {
    pub(crate) id: String,
    pub(crate) site: Site,
    pub(crate) server: Server,
    pub(crate) admin: String,
    pub(crate) ca: String,
}

/// Clusters that know each other.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) clusters: HashMap<String, Cluster>,
}

/// What a cluster's parameters are unless a test says otherwise.
pub(crate) fn parameters() -> FederationParameters {
    FederationParameters {
        activated: true,
        configuration_server: "tftp.test.example".into(),
        base_devices: 50,
        reconcile_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..FederationParameters::default()
    }
}

impl World {
    /// Clusters of these ids, each furnished, each with all the others as peers that are up.
    pub(crate) async fn of(ids: &[&str]) -> Self {
        Self::with(ids, &[]).await
    }

    /// As [`World::of`], with these settings more.
    pub(crate) async fn with(ids: &[&str], settings: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let mut clusters = HashMap::new();
        for id in ids {
            clusters.insert((*id).to_owned(), Cluster::start(id, &authority, settings).await);
        }
        let world = Self { authority, clusters };
        for id in ids {
            for other in ids.iter().filter(|other| *other != id) {
                let address = world[other].server.api.clone();
                world[id].knows(other, &address).await;
            }
        }
        for id in ids {
            world[id].sees_all_up().await;
        }
        world
    }
}

impl std::ops::Index<&str> for World {
    type Output = Cluster;

    fn index(&self, id: &str) -> &Cluster {
        &self.clusters[id]
    }
}

impl std::ops::Index<&&str> for World {
    type Output = Cluster;

    fn index(&self, id: &&str) -> &Cluster {
        &self.clusters[*id]
    }
}

impl Cluster {
    async fn start(id: &str, authority: &Authority, settings: &[(&str, &str)]) -> Self {
        let (certificate, key) = authority.sign(id, |_| {});
        std::fs::write(authority.file(&format!("{id}.crt")), certificate).unwrap();
        std::fs::write(authority.file(&format!("{id}.key")), key).unwrap();
        let (certificate, key) = (authority.file(&format!("{id}.crt")), authority.file(&format!("{id}.key")));
        let site = Site::new()
            .with(&["--cluster-id", id])
            .set("SERVER__TLS__CERTIFICATE_FILE", &certificate)
            .set("SERVER__TLS__KEY_FILE", &key)
            .set("SERVER__TLS__CLIENT_CA_FILE", &authority.file("ca.crt"))
            .set("SERVER__TLS__CLIENT_CERTIFICATE", "optional")
            .set("EMCC__TLS__CERTIFICATE_FILE", &certificate)
            .set("EMCC__TLS__KEY_FILE", &key)
            .set("EMCC__TLS__CA_FILE", &authority.file("ca.crt"))
            .set("EMCC__LOOK_EVERY", "200ms")
            .set("EMCC__FILTER_EVERY", "200ms")
            .set("EMCC__REMEMBER_FOR", "1s")
            .set("EMCC__MAX_REQUESTS_PER_PEER", "8")
            // All clusters of a test, and those of the next one, share the processors of one machine.
            .set("EMCC__ANSWER_WITHIN", "5s")
            .set("EMCC__LOGIN_WITHIN", "20s")
            .set("AUTH__HASHING__MEMORY_KIB", "8")
            .set("AUTH__HASHING__PASSES", "1");
        let site = settings.iter().fold(site, |site, (key, value)| site.set(key, value));
        let server = start(site.up()).expect("the cluster starts");
        let mut cluster =
            Self { id: id.into(), site, server, admin: String::new(), ca: authority.pem.clone() };
        cluster.admin = cluster.sign_in_administrator().await;
        cluster.furnish().await;
        cluster
    }

    /// A channel without a certificate of ours.
    pub(crate) fn channel(&self) -> Channel {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca));
        self.endpoint().tls_config(tls).unwrap().connect_lazy()
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(self.server.api.clone()).unwrap().timeout(WITHIN)
    }

    /// The federation API, as whoever has that certificate.
    pub(crate) fn federation(
        &self,
        (certificate, key): &(String, String),
    ) -> FederationServiceClient<Channel> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.ca))
            .identity(Identity::from_pem(certificate, key));
        FederationServiceClient::new(self.endpoint().tls_config(tls).unwrap().connect_lazy())
    }

    /// A channel for the administrator.
    pub(crate) fn link(&self) -> Link {
        let bearer = if self.admin.is_empty() { Bearer::none() } else { Bearer::token(&self.admin) };
        InterceptedService::new(self.channel(), bearer)
    }

    /// The administration of the federation, as the administrator.
    pub(crate) fn administration(&self) -> Administration {
        FederationAdministrationServiceClient::new(self.link())
    }

    /// The session service, as the administrator.
    pub(crate) fn sessions(&self) -> Sessions {
        SessionServiceClient::new(self.link())
    }

    /// What the audit trail says of other clusters that were refused.
    pub(crate) async fn refused_peers(&self) -> Vec<String> {
        let filter = AuditFilter { kinds: vec![AuditKind::PeerRefused.into()], ..Default::default() };
        let request = ListAuditRecordsRequest { filter: Some(filter), ..Default::default() };
        let listed = AuditServiceClient::new(self.link()).list_audit_records(request).await;
        listed
            .expect("the trail is read")
            .into_inner()
            .records
            .into_iter()
            .map(|record| record.body)
            .collect()
    }

    /// The directory, as the administrator.
    pub(crate) async fn apply(&self, kinds: Vec<resource::Kind>) {
        let resources = kinds.into_iter().map(|kind| Resource { kind: Some(kind) }).collect();
        let request = ApplyResourcesRequest { resources, validate_only: false };
        let applied = DirectoryServiceClient::new(self.link()).apply_resources(request).await;
        applied.expect("the resources are accepted");
    }

    async fn sign_in_administrator(&self) -> String {
        let file =
            std::fs::read_to_string(self.site.data().join("admin.toml")).expect("the administrator's file");
        let password = file.lines().find_map(|line| line.strip_prefix("password = ")).expect("his password");
        let secret = credential::Kind::Password(password.trim_matches('"').into());
        let request =
            SignInRequest { name: "admin".into(), credential: Some(Credential { kind: Some(secret) }) };
        let signed_in = AuthServiceClient::new(self.channel()).sign_in(request).await;
        signed_in.expect("the administrator signs in").into_inner().access_token
    }

    /// Phones and users whose names begin with the cluster's id; one of them may not log in elsewhere.
    async fn furnish(&self) {
        let line = |name: &str| resource::Kind::Line(Line { name: name.into(), ..Default::default() });
        let kinds = vec![
            line("1000"),
            resource::Kind::LogoutProfile(LogoutProfile {
                tag: 1,
                settings: wearing("1000"),
                ..Default::default()
            }),
            resource::Kind::DevicePool(DevicePool {
                name: "desks".into(),
                geolocation: "here".into(),
                emergency_numbers: vec![format!("11{}", self.id.len()), "112".into()],
                ..Default::default()
            }),
        ];
        self.apply(kinds).await;
        self.people(0..3).await;
        let here = Geolocation {
            name: "here".into(),
            country: "DE".into(),
            community_name: self.id.clone(),
            adjunct_calling_search_space: format!("{}-emergency", self.id),
            local_route_group: format!("{}-gateways", self.id),
            ..Default::default()
        };
        let request = SetGeolocationRequest { geolocation: Some(here) };
        self.administration().set_geolocation(request).await.expect("the geolocation is accepted");
        self.set(parameters()).await.expect("the parameters are accepted");
    }

    /// Users of these numbers, each with a phone; number 2 may not log in elsewhere, and his phone takes nobody from there.
    pub(crate) async fn people(&self, range: Range<u32>) {
        let (mut kinds, mut credentials) = (Vec::new(), Vec::new());
        let line = |name: &str| resource::Kind::Line(Line { name: name.into(), ..Default::default() });
        for n in range {
            let (name, number) = (self.user(n), format!("{}", 2000 + n));
            kinds.push(line(&number));
            kinds.push(resource::Kind::UserDeviceProfile(UserDeviceProfile {
                name: name.clone(),
                settings: wearing(&number),
                cross_cluster_calling_search_space: "roaming".into(),
                ..Default::default()
            }));
            kinds.push(resource::Kind::User(User {
                user_id: name.clone(),
                profiles: vec![name.clone()],
                cross_cluster_enabled: n != 2,
                ..Default::default()
            }));
            kinds.push(resource::Kind::Phone(Phone {
                name: self.phone(n),
                model: if n == 2 { "ip-communicator".into() } else { "8851".into() },
                extension_mobility_enabled: true,
                device_pool: "desks".into(),
                logout_profile: Some(phone::LogoutProfile::SharedLogoutProfile(1)),
                ..Default::default()
            }));
            credentials.push(NewCredential {
                name,
                principal_kind: PrincipalKind::User.into(),
                credential: pin(),
                ..Default::default()
            });
        }
        self.apply(kinds).await;
        let request = SetCredentialsRequest { credentials, validate_only: false };
        AuthServiceClient::new(self.link())
            .set_credentials(request)
            .await
            .expect("the credentials are accepted");
    }

    /// Sets the parameters of the federation.
    pub(crate) async fn set(&self, parameters: FederationParameters) -> Result<(), Status> {
        let request = UpdateFederationParametersRequest { federation_parameters: Some(parameters) };
        self.administration().update_federation_parameters(request).await.map(|_| ())
    }

    pub(crate) fn user(&self, n: u32) -> String {
        format!("{}.{n}", self.id)
    }

    pub(crate) fn phone(&self, n: u32) -> String {
        let place = self.id.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)) % 0xffff;
        format!("SEP0200{place:04X}{n:04X}")
    }

    /// Another cluster as this one shall have it.
    pub(crate) fn remote(&self, other: &str, address: &str) -> RemoteCluster {
        RemoteCluster {
            cluster_id: other.into(),
            address: address.into(),
            spiffe_id: spiffe(other),
            services: Some(RemoteServices { emcc: true, ..RemoteServices::default() }),
            ..RemoteCluster::default()
        }
    }

    /// Adds another cluster.
    pub(crate) async fn knows(&self, other: &str, address: &str) {
        let request = CreateRemoteClusterRequest { remote_cluster: Some(self.remote(other, address)) };
        self.administration().create_remote_cluster(request).await.expect("the cluster is added");
    }

    /// Changes another cluster.
    pub(crate) async fn changes(&self, remote: RemoteCluster) {
        let request = UpdateRemoteClusterRequest { remote_cluster: Some(remote) };
        self.administration().update_remote_cluster(request).await.expect("the cluster is changed");
    }

    pub(crate) async fn remotes(&self) -> Vec<RemoteCluster> {
        let listed = self.administration().list_remote_clusters(ListRemoteClustersRequest {}).await;
        listed.expect("clusters are listed").into_inner().remote_clusters
    }

    /// Waits until all the others are up, with filters of all their users.
    pub(crate) async fn sees_all_up(&self) {
        until("all clusters are up", async || {
            let remotes = self.remotes().await;
            remotes.iter().all(|remote| {
                let health = remote.health.clone().unwrap_or_default();
                health.state() == PeerState::Up && health.filter_users >= 3
            })
        })
        .await;
    }

    /// Waits until another cluster is seen so.
    pub(crate) async fn sees(&self, other: &str, state: PeerState) {
        until("the cluster is seen so", async || {
            let remotes = self.remotes().await;
            let found = remotes.into_iter().find(|remote| remote.cluster_id == other);
            found.and_then(|remote| remote.health).is_some_and(|health| health.state() == state)
        })
        .await;
    }

    /// Logs a user in by his PIN, without a token, as a phone does.
    pub(crate) async fn login(&self, user: &str, phone: &str) -> Result<LoginResponse, Status> {
        self.login_with(user, phone, pin()).await
    }

    pub(crate) async fn login_with(
        &self,
        user: &str,
        phone: &str,
        credential: Option<Credential>,
    ) -> Result<LoginResponse, Status> {
        let request = LoginRequest { credential, ..self.asked(user, phone) };
        self.open().login(request).await.map(tonic::Response::into_inner)
    }

    /// What an agent asks for who logs in.
    pub(crate) fn asked(&self, user: &str, phone: &str) -> LoginRequest {
        LoginRequest { user_id: user.into(), phone: phone.into(), credential: pin(), ..Default::default() }
    }

    /// The session service, as anybody.
    pub(crate) fn open(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel())
    }

    pub(crate) async fn logout(&self, session: &str) -> Result<(), Status> {
        let target = Some(logout_request::Target::SessionId(session.into()));
        let request = LogoutRequest { target, ..LogoutRequest::default() };
        self.sessions().logout(request).await.map(|_| ())
    }

    /// All live sessions.
    pub(crate) async fn live(&self) -> Vec<Session> {
        let request = ListSessionsRequest { page_size: 1000, ..ListSessionsRequest::default() };
        self.sessions().list_sessions(request).await.expect("sessions are listed").into_inner().sessions
    }

    /// All halves, and how many base devices are held.
    pub(crate) async fn halves(&self) -> (Vec<RoamingSession>, u32) {
        let request = ListRoamingSessionsRequest { page_size: 1000, ..Default::default() };
        let listed = self.administration().list_roaming_sessions(request).await;
        let listed = listed.expect("halves are listed").into_inner();
        (listed.roaming_sessions, listed.base_devices_used)
    }

    /// Waits until nothing is left of any cross-cluster session.
    pub(crate) async fn is_empty(&self) {
        until("nothing is left", async || {
            let (halves, held) = self.halves().await;
            halves.is_empty() && held == 0 && self.live().await.is_empty()
        })
        .await;
    }
}

pub(crate) fn pin() -> Option<Credential> {
    Some(Credential { kind: Some(credential::Kind::Pin("73915".into())) })
}

fn wearing(line: &str) -> Option<DeviceSettings> {
    let lines = vec![ProfileLine { lines: vec![line.into()], ..Default::default() }];
    Some(DeviceSettings { lines, ..Default::default() })
}

/// The reason of a refusal, with the EM API's code.
pub(crate) fn reason(status: &Status) -> (ErrorReason, Option<i32>) {
    let refusal = Refusal::from_status(status).unwrap_or_else(|| panic!("not a refusal of ours: {status:?}"));
    let code = refusal.metadata.get("emApiCode").and_then(|code| code.parse().ok());
    (refusal.reason, code)
}

/// Waits for a level, in bounded time.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + WITHIN;
    let mut ticks = interval(Duration::from_millis(50));
    while !holds().await {
        assert!(Instant::now() < end, "not within {WITHIN:?}: {what}");
        ticks.tick().await;
    }
}
