//! A process on loopback, and how it is spoken to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::auth_service_server::{AuthService, AuthServiceServer};
use roamline_proto::auth::{
    ChangeCredentialRequest, ChangeCredentialResponse, DeleteCredentialsRequest, DeleteCredentialsResponse,
    GetCredentialPolicyRequest, GetCredentialPolicyResponse, GetJsonWebKeySetRequest,
    GetJsonWebKeySetResponse, IssueServiceTokenRequest, IssueServiceTokenResponse, JsonWebKey,
    ListRevocationsRequest, ListRevocationsResponse, PrincipalKind, RefreshTokenRequest,
    RefreshTokenResponse, RevokeTokensRequest, RevokeTokensResponse, RotateSigningKeysRequest,
    RotateSigningKeysResponse, SetCredentialPolicyRequest, SetCredentialPolicyResponse,
    SetCredentialsRequest, SetCredentialsResponse, SignInRequest, SignInResponse, SignOutRequest,
    SignOutResponse, VerifyCredentialRequest, VerifyCredentialResponse,
};
use roamline_proto::refusal::Refusal;
use roamline_serve::{
    Api, Clock, Inside, Listeners, MAX_REQUEST_BYTES, PeerIdentity, Process, Readiness, ServeConfig, Tasks,
    serve,
};
use roamline_token::{Bearer, Caller, FetchError, KeySource, Signer, Verifier, generate_key, scopes_of};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub(crate) const CLUSTER: &str = "roamline:test";
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// Asks [`Echo`] for the address that the call comes from.
pub(crate) const SOURCE: &str = "source";
/// Asks [`Echo`] where it listens.
pub(crate) const HERE: &str = "here";
/// Asks [`Echo`] whom the certificate of the client names.
pub(crate) const PEER: &str = "peer";

/// Answers every call with the name of its caller, or with what it was asked for, where there is room for it.
pub(crate) struct Echo {
    pub(crate) here: SocketAddr,
}

#[async_trait]
impl AuthService for Echo {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let caller = Caller::of(&request);
        let answer = match request.get_ref().name.as_str() {
            SOURCE => caller.source.map(|source| source.ip().to_string()).unwrap_or_default(),
            HERE => self.here.to_string(),
            PEER => request.extensions().get().map(PeerIdentity::to_string).unwrap_or_default(),
            _ => caller.name,
        };
        Ok(Response::new(SignInResponse { access_token: answer, ..Default::default() }))
    }

    async fn change_credential(
        &self,
        _: Request<ChangeCredentialRequest>,
    ) -> Result<Response<ChangeCredentialResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn get_json_web_key_set(
        &self,
        _: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn verify_credential(
        &self,
        _: Request<VerifyCredentialRequest>,
    ) -> Result<Response<VerifyCredentialResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn set_credentials(
        &self,
        _: Request<SetCredentialsRequest>,
    ) -> Result<Response<SetCredentialsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn delete_credentials(
        &self,
        _: Request<DeleteCredentialsRequest>,
    ) -> Result<Response<DeleteCredentialsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn get_credential_policy(
        &self,
        _: Request<GetCredentialPolicyRequest>,
    ) -> Result<Response<GetCredentialPolicyResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn set_credential_policy(
        &self,
        _: Request<SetCredentialPolicyRequest>,
    ) -> Result<Response<SetCredentialPolicyResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn refresh_token(
        &self,
        _: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn sign_out(&self, _: Request<SignOutRequest>) -> Result<Response<SignOutResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn revoke_tokens(
        &self,
        _: Request<RevokeTokensRequest>,
    ) -> Result<Response<RevokeTokensResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_revocations(
        &self,
        _: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn rotate_signing_keys(
        &self,
        _: Request<RotateSigningKeysRequest>,
    ) -> Result<Response<RotateSigningKeysResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn issue_service_token(
        &self,
        _: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// One key.
pub(crate) struct Keys(pub(crate) JsonWebKey);

#[async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

/// A process that serves [`Echo`].
pub(crate) struct Running {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The way by which the process calls itself.
    pub(crate) inside: Inside,
    signer: Signer,
    pub(crate) readiness: Readiness,
    pub(crate) tasks: Tasks,
    pub(crate) shutdown: CancellationToken,
    ended: tokio::task::JoinHandle<Result<(), roamline_serve::ServeError>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(Readiness::new(), ServeConfig::default()).await
    }

    pub(crate) async fn start_with(readiness: Readiness, config: ServeConfig) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any).await.unwrap();
        let (api, admin, inside) = (listeners.api_addr(), listeners.admin_addr(), listeners.inside());
        let signer = Signer::new(CLUSTER, CLUSTER, "a", &generate_key().unwrap()).unwrap();
        let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(Keys(signer.public_key().clone())));
        let (clock, _) = Clock::manual(now());
        let tasks = Tasks::new();
        let process = Process {
            verifier: Arc::new(verifier),
            clock,
            readiness: readiness.clone(),
            tasks: tasks.clone(),
        };
        let mut services = Api::new();
        services.add(AuthServiceServer::new(Echo { here: api }).max_decoding_message_size(MAX_REQUEST_BYTES));
        let config = ServeConfig {
            cors_origins: vec!["https://console.example.org".into()],
            grace_for: Duration::from_millis(200),
            ..config
        };
        let shutdown = CancellationToken::new();
        let signal = shutdown.clone().cancelled_owned();
        #[allow(clippy::disallowed_methods, reason = "the test's own task")]
        let ended =
            tokio::spawn(async move { Box::pin(serve(listeners, services, process, &config, signal)).await });
        Self { api, admin, inside, signer, readiness, tasks, shutdown, ended }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.api)).unwrap().connect().await.unwrap()
    }

    pub(crate) fn token(&self, kind: PrincipalKind) -> String {
        let lifetime = Duration::from_secs(3600);
        self.signer.sign("somebody", kind, scopes_of(kind), now(), lifetime).unwrap().token
    }

    pub(crate) async fn set_credentials(&self, bearer: Bearer) -> Result<(), Refusal> {
        let mut client = AuthServiceClient::with_interceptor(self.channel().await, bearer);
        let answer = client.set_credentials(SetCredentialsRequest::default()).await;
        answer.map(|_| ()).map_err(|status| Refusal::from_status(&status).unwrap())
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(WITHIN, self.ended).await.expect("it ends in time").unwrap().unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// One request in plain HTTP/1.1, and everything that is answered.
pub(crate) async fn http(address: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!("{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn health(channel: Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    HealthClient::new(channel).check(request).await.unwrap().into_inner().status()
}
