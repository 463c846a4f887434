//! A home of a release that can less: it goes on serving what it knows.

use roamline_domain::emcc::admission::VERSION;
use roamline_proto::emcc::federation_service_client::FederationServiceClient;
use roamline_proto::emcc::federation_service_server::{FederationService, FederationServiceServer};
use roamline_proto::emcc::{
    FindHomeRequest, FindHomeResponse, GetUserFilterRequest, GetUserFilterResponse, HelloRequest,
    HelloResponse, PeerState, ReconcileRequest, ReconcileResponse, RemoteLoginRequest, RemoteLoginResponse,
    RemoteLogoutRequest, RemoteLogoutResponse, RemoteRefreshRequest, RemoteRefreshResponse,
    RemoteRenderRequest, RemoteRenderResponse,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::RefreshSessionRequest;
use roamline_proto::session::refresh_session_request::Target;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::world::{Authority, Cluster, World, reason};

type Answer<T> = Result<Response<T>, Status>;

/// Stands before a cluster and hides what its release has beyond the first version of the contract: what it can do
/// besides, the calls for that, and fields of requests that it would not know.
struct Older(FederationServiceClient<Channel>);

impl Older {
    /// Begins to stand before `home`, by its name, for `visitor`. Returns the address.
    async fn before(home: &Cluster, visitor: &str, authority: &Authority, tasks: &mut JoinSet<()>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let (certificate, key) = authority.sign(&home.id, |_| {});
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        let older = Self(home.federation(&authority.sign(visitor, |_| {})));
        let server =
            Server::builder().tls_config(tls).unwrap().add_service(FederationServiceServer::new(older));
        tasks.spawn(async move { server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
        address
    }

    fn behind(&self) -> FederationServiceClient<Channel> {
        self.0.clone()
    }
}

#[tonic::async_trait]
impl FederationService for Older {
    async fn hello(&self, request: Request<HelloRequest>) -> Answer<HelloResponse> {
        let said = HelloRequest { capabilities: Vec::new(), ..request.into_inner() };
        let answer = self.behind().hello(said).await?.into_inner();
        let first = HelloResponse {
            version: 1,
            oldest_version: 1,
            capabilities: Vec::new(),
            filter_etag: String::new(),
            ..answer
        };
        Ok(Response::new(first))
    }

    async fn get_user_filter(&self, _: Request<GetUserFilterRequest>) -> Answer<GetUserFilterResponse> {
        Err(Status::unimplemented("unknown method"))
    }

    async fn find_home(&self, request: Request<FindHomeRequest>) -> Answer<FindHomeResponse> {
        self.behind().find_home(request.into_inner()).await
    }

    async fn remote_login(&self, request: Request<RemoteLoginRequest>) -> Answer<RemoteLoginResponse> {
        let known = RemoteLoginRequest { prove_only: false, ..request.into_inner() };
        self.behind().remote_login(known).await
    }

    async fn remote_logout(&self, request: Request<RemoteLogoutRequest>) -> Answer<RemoteLogoutResponse> {
        self.behind().remote_logout(request.into_inner()).await
    }

    async fn remote_refresh(&self, _: Request<RemoteRefreshRequest>) -> Answer<RemoteRefreshResponse> {
        Err(Status::unimplemented("unknown method"))
    }

    async fn remote_render(&self, _: Request<RemoteRenderRequest>) -> Answer<RemoteRenderResponse> {
        Err(Status::unimplemented("unknown method"))
    }

    async fn reconcile(&self, request: Request<ReconcileRequest>) -> Answer<ReconcileResponse> {
        self.behind().reconcile(request.into_inner()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_1_an_older_release_serves_what_it_knows_and_is_not_asked_for_more() {
    const { assert!(VERSION == 1, "there is a release before this one that speaks less") };
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let mut tasks = JoinSet::new();
    let address = Older::before(berlin, "paris", &world.authority, &mut tasks).await;
    paris.changes(paris.remote("berlin", &address)).await;
    crate::world::until("the older release is seen", async || {
        let remotes = paris.remotes().await;
        let health = remotes[0].health.clone().unwrap_or_default();
        health.state() == PeerState::Up && health.capabilities.is_empty() && health.filter_users == 0
    })
    .await;

    // It has no filter: it is asked.
    let made = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().session.unwrap();
    assert_eq!(berlin.live().await[0].session_id, made.session_id);
    // It renders nothing anew: that is said, and the session goes on as it is.
    let request = RefreshSessionRequest { target: Some(Target::SessionId(made.session_id.clone())) };
    let refused = paris.sessions().refresh_session(request).await.unwrap_err();
    assert_eq!(reason(&refused), (ErrorReason::PeerVersionUnsupported, Some(45)));
    // It does not know that it shall only prove him: what it begins for a phone that takes nobody ends.
    paris.login(&paris.user(1), &paris.phone(1)).await.unwrap();
    let occupied = paris.login(&berlin.user(1), &paris.phone(1)).await.unwrap_err();
    assert_eq!(reason(&occupied).0, ErrorReason::PhoneOccupied);
    crate::world::until("only the session that the phone has is left", async || {
        (berlin.halves().await.1, berlin.live().await.len()) == (1, 1)
    })
    .await;

    paris.logout(&made.session_id).await.unwrap();
    berlin.is_empty().await;
    assert!(paris.halves().await.0.is_empty());
}
