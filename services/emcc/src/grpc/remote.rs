//! Calls to another cluster, over mutual TLS (XC-10). What cannot be reached, or answers with no refusal of ours, is
//! unavailable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use roamline_domain::emcc::admission::{OLDEST_VERSION, VERSION};
use roamline_domain::emcc::remote::RemoteCluster;
use roamline_domain::{ClusterId, SessionId};
use roamline_proto::emcc::federation_service_client::FederationServiceClient;
use roamline_proto::emcc::{
    FindHomeRequest, GetUserFilterRequest, HelloRequest, HelloResponse, ReconcileRequest, RemoteLoginRequest,
    RemoteLoginResponse, RemoteLogoutRequest, RemoteRefreshRequest, RemoteRenderRequest, UserFilter,
    VisitingPhone,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::PrepareLoginResponse;
use roamline_proto::refusal::Refusal;
use roamline_serve::{CallTls, Way};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Response, Status};

use super::OURS;
use crate::refusal;

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How often a connection is asked whether it is alive, and how long it may take to answer: a partition is seen by it.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// No file of certificates is longer.
const LONGEST: u64 = 1 << 20;

/// What a connection is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pem {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    problem: String,
}

impl Pem {
    /// The files as they are now.
    pub(crate) fn read(tls: &CallTls) -> Self {
        let mut problem = String::new();
        let mut file = |name: &str, path: &Path| match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                problem = format!("emcc.tls.{name}: {}: {error}", path.display());
                Vec::new()
            }
        };
        let certificate = file("certificate_file", &tls.certificate_file);
        let key = file("key_file", &tls.key_file);
        // A peer may have a bundle of its own.
        let ca = match tls.ca_file.as_os_str().is_empty() {
            true => Vec::new(),
            false => file("ca_file", &tls.ca_file),
        };
        Self { ca, certificate, key, problem }
    }

    /// What a connection to that peer is made with: its own bundle, where it has one.
    pub(crate) fn to(&self, remote: &RemoteCluster) -> Self {
        match remote.trust_bundle.is_empty() {
            true => self.clone(),
            false => Self { ca: remote.trust_bundle.clone().into_bytes(), ..self.clone() },
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(std::fs::File::open(path)?, LONGEST), &mut bytes)?;
    Ok(bytes)
}

/// Clusters of the same process, which are called without a network: they need neither address nor certificate.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(BTreeMap<ClusterId, Way>);

impl Neighbours {
    /// One more, by a way that proves this cluster to it.
    #[must_use]
    pub fn with(mut self, cluster: ClusterId, way: Way) -> Self {
        self.0.insert(cluster, way);
        self
    }

    /// The link to one of them.
    pub(crate) fn remote(&self, cluster: &ClusterId) -> Option<Remote> {
        let way = self.0.get(cluster)?.clone();
        Some(Remote {
            cluster: cluster.clone(),
            client: FederationServiceClient::new(way.to_cluster(cluster.as_str())),
        })
    }
}

/// Another cluster's federation API.
#[derive(Clone)]
pub(crate) struct Remote {
    cluster: ClusterId,
    client: FederationServiceClient<Way>,
}

impl Remote {
    /// A link that connects when it is first used.
    ///
    /// # Errors
    /// Why no link can be made.
    pub(crate) fn new(remote: &RemoteCluster, pem: &Pem) -> Result<Self, String> {
        if !pem.problem.is_empty() {
            return Err(pem.problem.clone());
        }
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&pem.ca))
            .identity(Identity::from_pem(&pem.certificate, &pem.key));
        let endpoint = Endpoint::from_shared(remote.address.clone())
            .map_err(|error| error.to_string())?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEPALIVE_EVERY)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tls_config(tls)
            .map_err(|error| format!("TLS to {}: {error}", remote.cluster))?;
        let client = FederationServiceClient::new(
            Way::from(endpoint.connect_lazy()).to_cluster(remote.cluster.as_str()),
        );
        Ok(Self { cluster: remote.cluster.clone(), client })
    }

    /// Says hello for `own`.
    pub(crate) async fn hello(&self, own: &ClusterId, within: Duration) -> Result<HelloResponse, Refusal> {
        let message = HelloRequest {
            cluster_id: own.to_string(),
            version: VERSION,
            oldest_version: OLDEST_VERSION,
            capabilities: OURS.map(Into::into).into(),
        };
        let mut client = self.client.clone();
        self.answer(within, client.hello(roamline_serve::within(within, message))).await
    }

    /// The filter of its users, with its etag; none where it is the one of that etag.
    pub(crate) async fn user_filter(
        &self,
        etag: String,
        within: Duration,
    ) -> Result<(String, Option<UserFilter>), Refusal> {
        let mut client = self.client.clone();
        let message = roamline_serve::within(within, GetUserFilterRequest { etag });
        let answer = self.answer(within, client.get_user_filter(message)).await?;
        Ok((answer.etag, answer.filter))
    }

    /// Whether a user is at home there.
    pub(crate) async fn is_home(&self, user: &str, within: Duration) -> Result<bool, Refusal> {
        let mut client = self.client.clone();
        let message = roamline_serve::within(within, FindHomeRequest { user_id: user.to_owned() });
        Ok(self.answer(within, client.find_home(message)).await?.is_home)
    }

    /// Logs a user of theirs in here.
    pub(crate) async fn login(
        &self,
        message: RemoteLoginRequest,
        within: Duration,
    ) -> Result<RemoteLoginResponse, Refusal> {
        let mut client = self.client.clone();
        self.answer(within, client.remote_login(roamline_serve::within(within, message))).await
    }

    /// Tells of ended sessions.
    pub(crate) async fn logout(&self, sessions: &[SessionId], within: Duration) -> Result<(), Refusal> {
        let mut client = self.client.clone();
        let message = RemoteLogoutRequest { session_ids: texts(sessions) };
        self.answer(within, client.remote_logout(roamline_serve::within(within, message))).await.map(|_| ())
    }

    /// Has it put on what a user of ours shall wear at its phone; whether that wore something else before.
    pub(crate) async fn refresh(&self, session: &SessionId, within: Duration) -> Result<bool, Refusal> {
        let mut client = self.client.clone();
        let message = RemoteRefreshRequest { session_id: session.to_string() };
        let call = client.remote_refresh(roamline_serve::within(within, message));
        Ok(self.answer(within, call).await?.changed)
    }

    /// What a user of theirs shall wear at our phone.
    pub(crate) async fn render(
        &self,
        session: &SessionId,
        phone: VisitingPhone,
        within: Duration,
    ) -> Result<PrepareLoginResponse, Refusal> {
        let mut client = self.client.clone();
        let message = RemoteRenderRequest { session_id: session.to_string(), phone: Some(phone) };
        let call = client.remote_render(roamline_serve::within(within, message));
        Ok(self.answer(within, call).await?.prepared.unwrap_or_default())
    }

    /// Those of the sessions that it does not have.
    pub(crate) async fn reconcile(
        &self,
        sessions: &[SessionId],
        within: Duration,
    ) -> Result<BTreeSet<SessionId>, Refusal> {
        let mut client = self.client.clone();
        let message = ReconcileRequest { session_ids: texts(sessions) };
        let answer = self.answer(within, client.reconcile(roamline_serve::within(within, message))).await?;
        Ok(answer.unknown_session_ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// The deadline in the request is only as good as the other side: ours holds even if nothing comes back.
    async fn answer<T>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Refusal> {
        match tokio::time::timeout(within, call).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.refused(&status)),
            Err(_) => Err(refusal::unavailable(&self.cluster)),
        }
    }

    /// A peer's refusal is passed on, with its name; what says that something in it or between the two is broken means
    /// that it cannot be had.
    fn refused(&self, status: &Status) -> Refusal {
        let broken = [
            ErrorReason::Unspecified,
            ErrorReason::Internal,
            ErrorReason::StoreUnavailable,
            ErrorReason::ServiceUnavailable,
            ErrorReason::TokenMissing,
            ErrorReason::TokenInvalid,
            ErrorReason::ScopeMissing,
        ];
        match Refusal::from_status(status) {
            Some(refusal) if !broken.contains(&refusal.reason) => refusal.with("peer", self.cluster.as_str()),
            _ => {
                tracing::debug!(peer = %self.cluster, code = ?status.code(), message = status.message(), "no answer");
                refusal::unavailable(&self.cluster)
            }
        }
    }
}

fn texts(sessions: &[SessionId]) -> Vec<String> {
    sessions.iter().map(ToString::to_string).collect()
}
