//! Clusters that are only there to be asked: some answer, some cannot be reached, some take a connection and say nothing.
//! They count what they are asked about users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roamline_domain::emcc::user_filter::{ALGORITHM, UserFilter as Filter};
use roamline_proto::emcc::federation_service_server::{FederationService, FederationServiceServer};
use roamline_proto::emcc::{
    Capability, FindHomeRequest, FindHomeResponse, GetUserFilterRequest, GetUserFilterResponse, HelloRequest,
    HelloResponse, ReconcileRequest, ReconcileResponse, RemoteLoginRequest, RemoteLoginResponse,
    RemoteLogoutRequest, RemoteLogoutResponse, RemoteRefreshRequest, RemoteRefreshResponse,
    RemoteRenderRequest, RemoteRenderResponse, UserFilter,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::world::{Authority, Cluster};

type Answer<T> = Result<Response<T>, Status>;

/// How many, and of what kind.
#[derive(Clone, Copy, Default)]
pub(crate) struct Size {
    /// Those that answer.
    pub(crate) up: usize,
    /// Those that say that they are there, and nothing of users.
    pub(crate) mute: usize,
    /// Those that cannot be reached, and those that take a connection and say nothing, in turn.
    pub(crate) down: usize,
    /// Users of each; its filter says so. None, and it has no filter.
    pub(crate) users: usize,
}

/// Such clusters. They end when the value is dropped.
pub(crate) struct Crowd {
    /// Id and address of each.
    pub(crate) clusters: Vec<(String, String)>,
    size: Size,
    asked: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
    _silent: Vec<TcpListener>,
}

impl Crowd {
    pub(crate) async fn start(authority: &Authority, size: Size) -> Self {
        let (mut tasks, mut silent, mut clusters) = (JoinSet::new(), Vec::new(), Vec::new());
        let asked = Arc::<AtomicU64>::default();
        for n in 0..size.up + size.mute + size.down {
            let id = format!("crowd-{n}");
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            clusters.push((id.clone(), format!("https://{}", listener.local_addr().unwrap())));
            if n >= size.up + size.mute {
                silent.extend((n % 2 == 0).then_some(listener));
                continue;
            }
            let (certificate, key) = authority.sign(&id, |_| {});
            let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
            let member = Member {
                filter: filter(&id, size.users),
                id,
                asked: Arc::clone(&asked),
                is_mute: n >= size.up,
            };
            let mut server = Server::builder().tls_config(tls).unwrap();
            let server = server.add_service(FederationServiceServer::new(member));
            tasks
                .spawn(async move { server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
        }
        Self { clusters, size, asked, _tasks: tasks, _silent: silent }
    }

    /// Has a cluster know all of them.
    pub(crate) async fn meets(&self, cluster: &Cluster) {
        for (id, address) in &self.clusters {
            cluster.knows(id, address).await;
        }
    }

    /// One of their users, and where he is at home.
    pub(crate) fn user(&self, n: usize) -> (String, String) {
        let home = n % self.size.up;
        (format!("crowd-{home}.{}", n / self.size.up % self.size.users), format!("crowd-{home}"))
    }

    /// What they were asked about users so far, logins among it.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn filter(id: &str, users: usize) -> Option<UserFilter> {
    let users: Vec<String> = (0..users).map(|n| format!("{id}.{n}")).collect();
    let mut salt = [0; 16];
    salt[..id.len().min(16)].copy_from_slice(&id.as_bytes()[..id.len().min(16)]);
    let filter = Filter::of(salt, users.iter().map(String::as_str));
    let (salt, hashes, bits, number) = filter.parts();
    let message =
        UserFilter { algorithm: ALGORITHM, salt: salt.to_vec(), hashes, bits: bits.to_vec(), users: number };
    (number > 0).then_some(message)
}

/// One that answers.
struct Member {
    id: String,
    filter: Option<UserFilter>,
    asked: Arc<AtomicU64>,
    is_mute: bool,
}

#[tonic::async_trait]
impl FederationService for Member {
    async fn hello(&self, _: Request<HelloRequest>) -> Answer<HelloResponse> {
        Ok(Response::new(HelloResponse {
            cluster_id: self.id.clone(),
            version: 1,
            oldest_version: 1,
            capabilities: vec![Capability::UserFilter.into()],
            release: "test".into(),
            region: None,
            filter_etag: self.filter.as_ref().map(|_| "1".to_owned()).unwrap_or_default(),
        }))
    }

    async fn get_user_filter(&self, _: Request<GetUserFilterRequest>) -> Answer<GetUserFilterResponse> {
        Ok(Response::new(GetUserFilterResponse { etag: "1".into(), filter: self.filter.clone() }))
    }

    async fn find_home(&self, request: Request<FindHomeRequest>) -> Answer<FindHomeResponse> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_mute {
            std::future::pending::<()>().await;
        }
        let is_home = request.get_ref().user_id.starts_with(&format!("{}.", self.id));
        Ok(Response::new(FindHomeResponse { is_home }))
    }

    async fn remote_login(&self, _: Request<RemoteLoginRequest>) -> Answer<RemoteLoginResponse> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Err(Refusal::new(ErrorReason::UserNotAtHome, "nobody is at home here").into())
    }

    async fn remote_logout(&self, _: Request<RemoteLogoutRequest>) -> Answer<RemoteLogoutResponse> {
        Ok(Response::new(RemoteLogoutResponse {}))
    }

    async fn remote_refresh(&self, _: Request<RemoteRefreshRequest>) -> Answer<RemoteRefreshResponse> {
        Ok(Response::new(RemoteRefreshResponse::default()))
    }

    async fn remote_render(&self, _: Request<RemoteRenderRequest>) -> Answer<RemoteRenderResponse> {
        Ok(Response::new(RemoteRenderResponse::default()))
    }

    async fn reconcile(&self, _: Request<ReconcileRequest>) -> Answer<ReconcileResponse> {
        Ok(Response::new(ReconcileResponse::default()))
    }
}
