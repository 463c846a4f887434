//! An auth service in a process of its own kind: real listeners, real layers, a manual clock, and a store that can be
//! told to fail.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_auth::{Auth, AuthConfig, AuthStore, GrpcPolicy, HashingConfig};
use roamline_domain::audit::{AuditRecord, EventMark};
use roamline_domain::credential::{Attempts, PrincipalKind as Kinds};
use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, PrincipalName, SessionId};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::credential::Kind;
use roamline_proto::auth::{
    ChangeCredentialRequest, Credential, NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest,
    SignInResponse, VerifyCredentialRequest,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::service_parameters_service_server::{
    ServiceParametersService, ServiceParametersServiceServer,
};
use roamline_proto::profile::{
    CredentialPolicy, GetServiceParametersRequest, GetServiceParametersResponse, ServiceParameters,
    UpdateServiceParametersRequest, UpdateServiceParametersResponse,
};
use roamline_proto::refusal::Refusal;
use roamline_serve::{
    Api, Clock, Ids, Listeners, ManualClock, Process, Readiness, ServeConfig, Tasks, serve,
};
use roamline_store::memory::MemoryStore;
use roamline_store::{
    AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, CredentialStore, KeyRecord, Principal,
    Revocation, RevocationPage, Sequence, SignIn, StoreError, TokenStore,
};
use roamline_token::{Bearer, ServiceToken, scopes_of};
use tokio::sync::watch;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

pub(crate) type Client = AuthServiceClient<InterceptedService<Channel, Bearer>>;

pub(crate) struct Site {
    pub(crate) auth: Auth,
    pub(crate) store: Arc<Faulty>,
    pub(crate) clock: Clock,
    pub(crate) hand: ManualClock,
    parameters: Arc<Parameters>,
    channel: Channel,
    tasks: Tasks,
    ended: tokio::task::JoinHandle<()>,
}

/// Hashes that cost next to nothing, and refusals at once.
pub(crate) fn cheap() -> AuthConfig {
    let hashing = HashingConfig { memory_kib: 64, passes: 1, ..Default::default() };
    AuthConfig { hashing, refusals_every: Duration::ZERO, ..Default::default() }
}

pub(crate) fn pin(pin: &str) -> Option<Credential> {
    Some(Credential { kind: Some(Kind::Pin(pin.into())) })
}

pub(crate) fn password(password: &str) -> Option<Credential> {
    Some(Credential { kind: Some(Kind::Password(password.into())) })
}

pub(crate) fn user(name: &str, secret: &str) -> NewCredential {
    NewCredential {
        name: name.into(),
        principal_kind: PrincipalKind::User.into(),
        credential: pin(secret),
        ..Default::default()
    }
}

/// The refusal in an answer, which must be of that reason.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>, reason: ErrorReason) -> Refusal {
    let refusal = Refusal::from_status(&answer.unwrap_err()).unwrap();
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    refusal
}

impl Site {
    pub(crate) async fn start(config: AuthConfig) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        Self::on(config, Arc::new(Faulty::default()), clock, hand, Some(CredentialPolicy::default())).await
    }

    pub(crate) async fn with(credentials: &[NewCredential]) -> Self {
        let site = Self::start(cheap()).await;
        site.set(credentials.to_vec()).await.unwrap();
        site
    }

    async fn on(
        config: AuthConfig,
        store: Arc<Faulty>,
        clock: Clock,
        hand: ManualClock,
        policy: Option<CredentialPolicy>,
    ) -> Self {
        let kept = Arc::clone(&store) as Arc<dyn AuthStore>;
        let cluster = "test".parse().unwrap();
        let auth = Auth::build(&config, kept, &cluster, clock.clone(), Ids::new()).await.unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any).await.unwrap();
        let channel =
            Channel::from_shared(format!("http://{}", listeners.api_addr())).unwrap().connect_lazy();
        let tasks = Tasks::new();
        let mut api = Api::new();
        auth.add_to(&mut api);
        let parameters = Arc::new(Parameters { policy: Mutex::new(policy), asked: watch::Sender::new(0) });
        api.add(ServiceParametersServiceServer::from_arc(Arc::clone(&parameters)));
        let own = ServiceToken::new(auth.signer(), "auth", clock.reader());
        auth.follow(Arc::new(GrpcPolicy::new(channel.clone().into(), &Bearer::service(own))), &tasks);
        let process = Process {
            verifier: Arc::new(auth.verifier()),
            clock: clock.clone(),
            readiness: Readiness::new(),
            tasks: tasks.clone(),
        };
        let stopping = tasks.stopping().cancelled_owned();
        let serving = ServeConfig { grace_for: Duration::from_millis(200), ..Default::default() };
        #[allow(clippy::disallowed_methods, reason = "the test's own task")]
        let ended =
            tokio::spawn(async move { serve(listeners, api, process, &serving, stopping).await.unwrap() });
        Self { auth, store, clock, hand, parameters, channel, tasks, ended }
    }

    /// Has the profile service tell this policy from now on, or nothing at all, and waits until the auth service has
    /// heard of it (SP-21).
    pub(crate) async fn tell(&self, policy: Option<CredentialPolicy>) {
        *self.parameters.policy.lock().unwrap() = policy;
        let mut asked = self.parameters.asked.subscribe();
        let seen = *asked.borrow();
        let heard = asked.wait_for(|now| *now >= seen + 2);
        tokio::time::timeout(Duration::from_secs(20), heard).await.expect("SP-21").unwrap();
    }

    /// The same store and clock in a new process.
    pub(crate) async fn restart(self, config: AuthConfig) -> Self {
        self.again(config, Some(CredentialPolicy::default())).await
    }

    /// The same store and clock in a new process, with a profile service that does not answer.
    pub(crate) async fn restart_alone(self) -> Self {
        self.again(cheap(), None).await
    }

    async fn again(self, config: AuthConfig, policy: Option<CredentialPolicy>) -> Self {
        let (store, clock, hand) = (Arc::clone(&self.store), self.clock.clone(), self.hand.clone());
        self.stop().await;
        Self::on(config, store, clock, hand, policy).await
    }

    /// Another replica on the same store.
    pub(crate) async fn replica(&self) -> Self {
        let (store, clock, hand) = (Arc::clone(&self.store), self.clock.clone(), self.hand.clone());
        Self::on(cheap(), store, clock, hand, Some(CredentialPolicy::default())).await
    }

    pub(crate) async fn stop(self) {
        self.tasks.stopping().cancel();
        tokio::time::timeout(Duration::from_secs(20), self.ended).await.unwrap().unwrap();
    }

    pub(crate) fn client_with(&self, bearer: Bearer) -> Client {
        AuthServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(Bearer::none())
    }

    pub(crate) fn administrator(&self) -> Client {
        let (kind, hour) = (PrincipalKind::Administrator, Duration::from_secs(3600));
        let token = self.auth.signer().sign("admin", kind, scopes_of(kind), self.clock.now(), hour).unwrap();
        self.client_with(Bearer::token(token.token))
    }

    pub(crate) async fn set(&self, credentials: Vec<NewCredential>) -> Result<(), Status> {
        let request = SetCredentialsRequest { credentials, validate_only: false };
        self.administrator().set_credentials(request).await.map(|_| ())
    }

    pub(crate) async fn sign_in(
        &self,
        name: &str,
        credential: Option<Credential>,
    ) -> Result<SignInResponse, Status> {
        let request = SignInRequest { name: name.into(), credential };
        self.client().sign_in(request).await.map(tonic::Response::into_inner)
    }

    /// As another service does it.
    pub(crate) async fn verify(&self, name: &str, credential: Option<Credential>) -> Result<(), Status> {
        let request = VerifyCredentialRequest { name: name.into(), credential, ..Default::default() };
        self.verify_as(request).await
    }

    /// As another service does it for somebody who asks it from somewhere.
    pub(crate) async fn verify_from(&self, source: &str, name: &str, secret: &str) -> Result<(), Status> {
        let (name, credential) = (name.into(), pin(secret));
        let request =
            VerifyCredentialRequest { name, credential, source: source.into(), ..Default::default() };
        self.verify_as(request).await
    }

    pub(crate) async fn verify_as(&self, request: VerifyCredentialRequest) -> Result<(), Status> {
        let token = ServiceToken::new(self.auth.signer(), "session", self.clock.reader());
        self.client_with(Bearer::service(token)).verify_credential(request).await.map(|_| ())
    }

    pub(crate) async fn change(
        &self,
        name: &str,
        current: Option<Credential>,
        replacement: Option<Credential>,
    ) -> Result<(), Status> {
        let request = ChangeCredentialRequest { name: name.into(), current, replacement };
        self.client().change_credential(request).await.map(|_| ())
    }

    pub(crate) async fn attempts(&self, name: &str) -> Attempts {
        self.principal(name).await.attempts
    }

    pub(crate) async fn hash(&self, name: &str) -> String {
        self.principal(name).await.pin.unwrap().hash
    }

    pub(crate) async fn principal(&self, name: &str) -> Principal {
        self.store.principal(&name.parse().unwrap()).await.unwrap().unwrap()
    }
}

/// Stands in for the profile service: it tells a policy, or does not answer.
struct Parameters {
    policy: Mutex<Option<CredentialPolicy>>,
    asked: watch::Sender<u64>,
}

#[async_trait]
impl ServiceParametersService for Parameters {
    async fn get_service_parameters(
        &self,
        _: Request<GetServiceParametersRequest>,
    ) -> Result<Response<GetServiceParametersResponse>, Status> {
        let credential_policy = *self.policy.lock().unwrap();
        self.asked.send_modify(|asked| *asked += 1);
        if credential_policy.is_none() {
            return Err(Status::unavailable("scripted"));
        }
        let service_parameters = Some(ServiceParameters { credential_policy, ..Default::default() });
        Ok(Response::new(GetServiceParametersResponse { service_parameters }))
    }

    async fn update_service_parameters(
        &self,
        _: Request<UpdateServiceParametersRequest>,
    ) -> Result<Response<UpdateServiceParametersResponse>, Status> {
        Err(Status::unimplemented("scripted"))
    }
}

/// The memory store, until it is told to fail.
pub(crate) struct Faulty {
    inner: MemoryStore,
    fails: AtomicBool,
    corrupt: AtomicBool,
    keeps_keys: AtomicBool,
}

impl Default for Faulty {
    fn default() -> Self {
        let [fails, corrupt, keeps_keys] = [const { AtomicBool::new(false) }; 3];
        Self { inner: MemoryStore::new(), fails, corrupt, keeps_keys }
    }
}

impl Faulty {
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    pub(crate) fn corrupt(&self, corrupt: bool) {
        self.corrupt.store(corrupt, Ordering::Relaxed);
    }

    /// Has it fail when keys change, and then alone.
    pub(crate) fn keep_keys(&self, keeps: bool) {
        self.keeps_keys.store(keeps, Ordering::Relaxed);
    }

    fn works(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        if self.corrupt.load(Ordering::Relaxed) {
            return Err(StoreError::Corrupt { what: "agent7".into(), source: "not JSON".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl CredentialStore for Faulty {
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError> {
        self.works()?;
        self.inner.principal(name).await
    }

    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError> {
        self.works()?;
        self.inner.set_principals(principals).await
    }

    async fn delete_principals(
        &self,
        names: &[PrincipalName],
        kind: Option<Kinds>,
    ) -> Result<(), StoreError> {
        self.works()?;
        self.inner.delete_principals(names, kind).await
    }
}

#[async_trait]
impl AuditStore for Faulty {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        self.works()?;
        AuditStore::place(&self.inner).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.works()?;
        self.inner.append(step).await
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.works()?;
        self.inner.prune(step, until).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.works()?;
        self.inner.records(query, after, limit).await
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        self.works()?;
        self.inner.recorded(after, until).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.works()?;
        AuditStore::live(&self.inner, after, limit).await
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.works()?;
        self.inner.live_among(sessions).await
    }
}

#[async_trait]
impl TokenStore for Faulty {
    async fn begin_sign_in(
        &self,
        sign_in: SignIn,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.works()?;
        self.inner.begin_sign_in(sign_in, most, now).await
    }

    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, StoreError> {
        self.works()?;
        self.inner.sign_in(id).await
    }

    async fn refresh_sign_in(&self, next: SignIn) -> Result<bool, StoreError> {
        self.works()?;
        self.inner.refresh_sign_in(next).await
    }

    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<u64, StoreError> {
        self.works()?;
        self.inner.revoke(revocations).await
    }

    async fn revocations(
        &self,
        after: u64,
        now: Timestamp,
        limit: u32,
    ) -> Result<RevocationPage, StoreError> {
        self.works()?;
        self.inner.revocations(after, now, limit).await
    }

    async fn trim_tokens(&self, now: Timestamp) -> Result<(), StoreError> {
        self.works()?;
        self.inner.trim_tokens(now).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.works()?;
        self.inner.keys().await
    }

    async fn swap_keys(&self, from: &[KeyRecord], to: Vec<KeyRecord>) -> Result<bool, StoreError> {
        self.works()?;
        if self.keeps_keys.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        self.inner.swap_keys(from, to).await
    }
}

static LOG: LazyLock<Log> = LazyLock::new(Log::default);

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that this project's crates log in this process, from now on.
pub(crate) fn capture_logs() -> Log {
    let filter = "warn,roamline_auth=trace,roamline_serve=trace,roamline_token=trace";
    tracing_subscriber::fmt().with_writer(|| LOG.clone()).with_env_filter(filter).init();
    LOG.clone()
}
