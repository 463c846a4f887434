//! A server that answers what a test told it to, and remembers what it was asked.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]
#![allow(clippy::wildcard_imports, reason = "a fake speaks whole packages of the contract")]

pub(crate) mod directory;
pub(crate) mod federation;
mod sessions;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt};
use roamline_proto::auth::auth_service_server::{AuthService, AuthServiceServer};
use roamline_proto::auth::*;
use roamline_proto::emcc::federation_administration_service_server::FederationAdministrationServiceServer;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_server::{DirectoryService, DirectoryServiceServer};
use roamline_proto::profile::import_service_server::ImportServiceServer;
use roamline_proto::profile::line_service_server::LineServiceServer;
use roamline_proto::profile::service_parameters_service_server::{
    ServiceParametersService, ServiceParametersServiceServer,
};
use roamline_proto::profile::user_device_profile_service_server::UserDeviceProfileServiceServer;
use roamline_proto::profile::user_service_server::{UserService, UserServiceServer};
use roamline_proto::profile::*;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::phone_link_service_server::{PhoneLinkService, PhoneLinkServiceServer};
use roamline_proto::session::session_service_server::SessionServiceServer;
use roamline_proto::session::*;
use tokio::process::Command;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::{TcpListenerStream, WatchStream};
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;

/// What the server knows and has seen.
#[derive(Default)]
pub(crate) struct State {
    /// How often somebody signed in; only the newest token is good.
    pub(crate) sign_ins: usize,
    /// Calls that can change something, in order.
    pub(crate) calls: Vec<String>,
    /// Violations of the next `ApplyResources`.
    pub(crate) refuse: Vec<(String, String)>,
    /// Parameters of the last `ApplyResources`.
    pub(crate) applied: Option<ServiceParameters>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) phone: watch::Sender<PhoneUpdate>,
    /// Ends the links that stand.
    pub(crate) cut: Arc<Notify>,
    directory: Arc<Mutex<directory::Directory>>,
    pub(crate) federation: Arc<Mutex<federation::Federation>>,
    /// Staging has stopped, as it was told to.
    pub(crate) stopped: Arc<Notify>,
    /// Lets it go on.
    pub(crate) go_on: Arc<Notify>,
}

impl Fake {
    fn call(&self, call: impl Into<String>) {
        self.state.lock().unwrap().calls.push(call.into());
    }

    fn authorize<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let newest = format!("Bearer token-{}", self.state.lock().unwrap().sign_ins);
        match request.metadata().get("authorization") {
            None => Err(Refusal::new(ErrorReason::TokenMissing, "no token was sent").into()),
            Some(token) if token.as_bytes() == newest.as_bytes() => Ok(()),
            Some(_) => Err(Refusal::new(ErrorReason::TokenInvalid, "the token is not good").into()),
        }
    }
}

#[tonic::async_trait]
impl AuthService for Fake {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Answer<SignInResponse> {
        let right = Credential { kind: Some(credential::Kind::Password("right".into())) };
        if request.into_inner().credential != Some(right) {
            return Err(Refusal::new(ErrorReason::CredentialRefused, "the credential is refused").into());
        }
        let mut state = self.state.lock().unwrap();
        state.sign_ins += 1;
        Ok(Response::new(SignInResponse {
            access_token: format!("token-{}", state.sign_ins),
            expire_time: Some(prost_types::Timestamp { seconds: 32_503_680_000, nanos: 0 }),
            scopes: Vec::new(),
            principal_kind: PrincipalKind::Administrator.into(),
            refresh_token: format!("refresh-{}", state.sign_ins),
            refresh_expire_time: Some(prost_types::Timestamp { seconds: 32_503_680_000, nanos: 0 }),
            ..Default::default()
        }))
    }

    async fn refresh_token(&self, request: Request<RefreshTokenRequest>) -> Answer<RefreshTokenResponse> {
        let mut state = self.state.lock().unwrap();
        if request.into_inner().refresh_token != format!("refresh-{}", state.sign_ins) {
            return Err(Refusal::new(ErrorReason::RefreshTokenRefused, "good no more").into());
        }
        state.sign_ins += 1;
        state.calls.push("refresh".into());
        Ok(Response::new(RefreshTokenResponse {
            access_token: format!("token-{}", state.sign_ins),
            expire_time: Some(prost_types::Timestamp { seconds: 32_503_680_000, nanos: 0 }),
            refresh_token: format!("refresh-{}", state.sign_ins),
            refresh_expire_time: Some(prost_types::Timestamp { seconds: 32_503_680_000, nanos: 0 }),
            ..Default::default()
        }))
    }

    async fn sign_out(&self, request: Request<SignOutRequest>) -> Answer<SignOutResponse> {
        self.call(format!("sign-out {}", request.into_inner().refresh_token));
        Ok(Response::new(SignOutResponse {}))
    }

    async fn revoke_tokens(&self, request: Request<RevokeTokensRequest>) -> Answer<RevokeTokensResponse> {
        self.authorize(&request)?;
        self.call(format!("revoke {}", request.into_inner().names.join(" ")));
        Ok(Response::new(RevokeTokensResponse {}))
    }

    async fn list_revocations(&self, _: Request<ListRevocationsRequest>) -> Answer<ListRevocationsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn rotate_signing_keys(
        &self,
        request: Request<RotateSigningKeysRequest>,
    ) -> Answer<RotateSigningKeysResponse> {
        self.authorize(&request)?;
        self.call(format!("rotate {}", request.into_inner().compromised));
        Ok(Response::new(RotateSigningKeysResponse { current_kid: "k2".into(), next_kid: "k3".into() }))
    }

    async fn issue_service_token(
        &self,
        _: Request<IssueServiceTokenRequest>,
    ) -> Answer<IssueServiceTokenResponse> {
        Err(Status::unimplemented(""))
    }

    async fn change_credential(
        &self,
        _: Request<ChangeCredentialRequest>,
    ) -> Answer<ChangeCredentialResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_json_web_key_set(
        &self,
        _: Request<GetJsonWebKeySetRequest>,
    ) -> Answer<GetJsonWebKeySetResponse> {
        Err(Status::unimplemented(""))
    }

    async fn verify_credential(
        &self,
        _: Request<VerifyCredentialRequest>,
    ) -> Answer<VerifyCredentialResponse> {
        Err(Status::unimplemented(""))
    }

    async fn set_credentials(
        &self,
        request: Request<SetCredentialsRequest>,
    ) -> Answer<SetCredentialsResponse> {
        self.authorize(&request)?;
        let request = request.into_inner();
        let number = request.credentials.len();
        self.call(format!("credentials {number}{}", if request.validate_only { " check" } else { "" }));
        Ok(Response::new(SetCredentialsResponse {}))
    }

    async fn delete_credentials(
        &self,
        request: Request<DeleteCredentialsRequest>,
    ) -> Answer<DeleteCredentialsResponse> {
        self.authorize(&request)?;
        let request = request.into_inner();
        let kind = request.principal_kind().as_str_name();
        self.call(format!("delete {kind} {}", request.names.join(" ")));
        Ok(Response::new(DeleteCredentialsResponse {}))
    }

    async fn get_credential_policy(
        &self,
        request: Request<GetCredentialPolicyRequest>,
    ) -> Answer<GetCredentialPolicyResponse> {
        self.authorize(&request)?;
        self.call(format!("policy of {}", request.into_inner().name));
        let own = CredentialPolicy { history: Some(3), ..Default::default() };
        let in_force = CredentialPolicy { minimum_length: Some(8), ..own };
        let answer = GetCredentialPolicyResponse { credential_policy: Some(own), in_force: Some(in_force) };
        Ok(Response::new(answer))
    }

    async fn set_credential_policy(
        &self,
        request: Request<SetCredentialPolicyRequest>,
    ) -> Answer<SetCredentialPolicyResponse> {
        self.authorize(&request)?;
        let SetCredentialPolicyRequest { names, credential_policy } = request.into_inner();
        let length = credential_policy.map(|policy| policy.minimum_length());
        self.call(format!("policy {} {length:?}", names.join(" ")));
        Ok(Response::new(SetCredentialPolicyResponse {}))
    }
}

#[tonic::async_trait]
impl DirectoryService for Fake {
    type ExportResourcesStream = Pin<Box<dyn Stream<Item = Result<ExportResourcesResponse, Status>> + Send>>;

    async fn export_resources(
        &self,
        request: Request<ExportResourcesRequest>,
    ) -> Answer<Self::ExportResourcesStream> {
        self.authorize(&request)?;
        let resources: Vec<Resource> = self.directory().resources.values().cloned().collect();
        let pages: Vec<_> = resources
            .chunks(2)
            .map(|page| Ok(ExportResourcesResponse { resources: page.to_vec() }))
            .collect();
        Ok(Response::new(Box::pin(futures::stream::iter(pages))))
    }

    async fn apply_resources(
        &self,
        request: Request<ApplyResourcesRequest>,
    ) -> Answer<ApplyResourcesResponse> {
        self.authorize(&request)?;
        let request = request.into_inner();
        let number = request.resources.len();
        self.call(format!("resources {number}{}", if request.validate_only { " check" } else { "" }));
        let mut state = self.state.lock().unwrap();
        if !state.refuse.is_empty() {
            let refusal = Refusal::new(ErrorReason::ResourceInvalid, "resources break rules");
            let refusal = state.refuse.drain(..).fold(refusal, |r, (field, text)| r.violation(field, text));
            return Err(refusal.into());
        }
        state.applied = request.resources.into_iter().find_map(|resource| match resource.kind {
            Some(resource::Kind::ServiceParameters(parameters)) => Some(parameters),
            _ => None,
        });
        let outcomes = vec![ApplyOutcome::Created.into(); number];
        Ok(Response::new(ApplyResourcesResponse { outcomes, findings: Vec::new() }))
    }
}

#[tonic::async_trait]
impl ServiceParametersService for Fake {
    async fn get_service_parameters(
        &self,
        request: Request<GetServiceParametersRequest>,
    ) -> Answer<GetServiceParametersResponse> {
        self.authorize(&request)?;
        let parameters = ServiceParameters {
            time_zone: "Europe/Zurich".into(),
            multiple_login_behavior: MultipleLoginBehavior::NotAllowed.into(),
            ..ServiceParameters::default()
        };
        Ok(Response::new(GetServiceParametersResponse { service_parameters: Some(parameters) }))
    }

    async fn update_service_parameters(
        &self,
        _: Request<UpdateServiceParametersRequest>,
    ) -> Answer<UpdateServiceParametersResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl UserService for Fake {
    async fn list_users(&self, request: Request<ListUsersRequest>) -> Answer<ListUsersResponse> {
        self.authorize(&request)?;
        let user = |id: &str| User { user_id: id.into(), ..User::default() };
        Ok(Response::new(match request.into_inner().page_token.as_str() {
            "" => ListUsersResponse { users: vec![user("1001")], next_page_token: "more".into() },
            _ => ListUsersResponse { users: vec![user("1002")], next_page_token: String::new() },
        }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Answer<GetUserResponse> {
        self.authorize(&request)?;
        Err(Refusal::new(ErrorReason::ResourceNotFound, "there is no such user").into())
    }

    async fn batch_get_users(&self, _: Request<BatchGetUsersRequest>) -> Answer<BatchGetUsersResponse> {
        Err(Status::unimplemented(""))
    }

    async fn create_user(&self, _: Request<CreateUserRequest>) -> Answer<CreateUserResponse> {
        Err(Status::unimplemented(""))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Answer<UpdateUserResponse> {
        Err(Status::unimplemented(""))
    }

    async fn delete_user(&self, _: Request<DeleteUserRequest>) -> Answer<DeleteUserResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl PhoneLinkService for Fake {
    type WatchPhoneStream = Pin<Box<dyn Stream<Item = Result<WatchPhoneResponse, Status>> + Send>>;

    async fn watch_phone(&self, request: Request<WatchPhoneRequest>) -> Answer<Self::WatchPhoneStream> {
        self.authorize(&request)?;
        let updates = WatchStream::new(self.phone.subscribe()).map(|update| {
            Ok(WatchPhoneResponse { message: Some(watch_phone_response::Message::Update(update)) })
        });
        let cut = Arc::clone(&self.cut).notified_owned();
        Ok(Response::new(Box::pin(updates.take_until(cut))))
    }

    type WatchPhonesStream = Pin<Box<dyn Stream<Item = Result<WatchPhonesResponse, Status>> + Send>>;

    async fn watch_phones(
        &self,
        _: Request<Streaming<WatchPhonesRequest>>,
    ) -> Answer<Self::WatchPhonesStream> {
        Err(Status::unimplemented(""))
    }

    async fn acknowledge_phone(
        &self,
        request: Request<AcknowledgePhoneRequest>,
    ) -> Answer<AcknowledgePhoneResponse> {
        self.authorize(&request)?;
        let generation = request.into_inner().generation;
        self.call(format!("acknowledge {generation}"));
        Ok(Response::new(AcknowledgePhoneResponse { generation }))
    }

    async fn report_phone(&self, request: Request<ReportPhoneRequest>) -> Answer<ReportPhoneResponse> {
        self.authorize(&request)?;
        self.call(format!("report {}", request.into_inner().hook_state().as_str_name()));
        Ok(Response::new(ReportPhoneResponse {}))
    }
}

/// A running server and a home directory for the program.
pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) address: SocketAddr,
    pub(crate) home: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let fake = Fake {
            state: Arc::default(),
            phone: watch::Sender::default(),
            cut: Arc::default(),
            directory: Arc::default(),
            federation: Arc::default(),
            stopped: Arc::default(),
            go_on: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = tonic::transport::Server::builder()
            .add_service(AuthServiceServer::new(fake.clone()))
            .add_service(DirectoryServiceServer::new(fake.clone()))
            .add_service(ServiceParametersServiceServer::new(fake.clone()))
            .add_service(UserServiceServer::new(fake.clone()))
            .add_service(ImportServiceServer::new(fake.clone()))
            .add_service(LineServiceServer::new(fake.clone()))
            .add_service(UserDeviceProfileServiceServer::new(fake.clone()))
            .add_service(SessionServiceServer::new(fake.clone()))
            .add_service(FederationAdministrationServiceServer::new(fake.clone()))
            .add_service(PhoneLinkServiceServer::new(fake.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(
            async move { router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap() },
        );
        let home = tempfile::tempdir().unwrap();
        let bench = Self { fake, address, home, _tasks: tasks };
        bench.write_admin("right", 0o600);
        bench
    }

    /// Writes what a local server would write.
    pub(crate) fn write_admin(&self, password: &str, mode: u32) {
        let path = self.home.path().join("admin.toml");
        let text =
            format!("server = \"http://{}\"\nname = \"admin\"\npassword = \"{password}\"\n", self.address);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The program, in a clean environment, told where the local server keeps its data.
    pub(crate) fn roamctl(&self, arguments: &[&str]) -> Command {
        command(self.home.path(), arguments)
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        finish(self.roamctl(arguments)).await
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.fake.state.lock().unwrap().calls.clone()
    }
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roamctl"));
    command.env_clear().env("HOME", home).env("ROAMLINE_DATA", home).args(arguments);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end, which must come soon.
pub(crate) async fn finish(mut command: Command) -> Output {
    tokio::time::timeout(Duration::from_secs(30), command.output()).await.unwrap().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
