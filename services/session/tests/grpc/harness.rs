//! The session service on a loopback port over the memory store, with real tokens, a clock that the test sets, and
//! stand-ins for the directory and the auth service that say what the test tells them to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use jiff::Timestamp;
use prost::Message;
use roamline_domain::directory::UserLoginTime;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::Configuration;
use roamline_domain::{LineName, PhoneName, PrincipalName, ProfileName, UserId};
use roamline_proto::auth::{Credential, JsonWebKey, PrincipalKind, Role, credential};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{Button, CrossCluster, EffectiveConfiguration, LineButton, button};
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::phone_link_service_client::PhoneLinkServiceClient;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_serve::{
    Api, Clock, Ids, Listeners, ManualClock, Process, Readiness, ServeConfig, Tasks, serve,
};
use roamline_session::{
    LoginFacts, LoginPlace, LogoutFacts, Peers, Prepared, Session, SessionConfig, Stores, Teams,
};
use roamline_store::SessionStore;
use roamline_store::memory::MemoryStore;
use roamline_token::{Bearer, FetchError, KeySource, Signer, Verifier, generate_key, role, scope, scopes_of};
use tokio::sync::Semaphore;
use tokio::sync::watch::Sender as Counter;
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub(crate) type Sessions = SessionServiceClient<InterceptedService<Channel, Bearer>>;
pub(crate) type Phones = PhoneLinkServiceClient<InterceptedService<Channel, Bearer>>;

pub(crate) const PHONE: &str = "SEP000DEDAB3566";
pub(crate) const OTHER: &str = "SEP0012DA8AC43D";
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// What the stand-ins say.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) policy: ServiceParameters,
    pub(crate) before: Option<Refusal>,
    pub(crate) verify: Option<Refusal>,
    pub(crate) prepared: Option<Refusal>,
    pub(crate) contact_centre: Option<Refusal>,
    pub(crate) acd_line: Option<&'static str>,
    pub(crate) user_login_time: UserLoginTime,
    pub(crate) idle_limit: Option<Duration>,
    pub(crate) logout: Option<Refusal>,
    pub(crate) logout_name: &'static str,
    pub(crate) verified: usize,
    /// Whether the parameters cannot be had but with the answer about a login.
    pub(crate) silent: bool,
    pub(crate) owner: Option<Refusal>,
    pub(crate) refuse_off_hook: bool,
    /// What the profile is worn as, where it is not as the user is called.
    pub(crate) worn: Option<&'static str>,
    /// The cluster that has rendered it, where the user is at home there.
    pub(crate) home: Option<&'static str>,
    pub(crate) reset: bool,
    /// Profiles whose do-not-disturb was set.
    pub(crate) disturbed: Vec<(String, bool)>,
    /// What verifying a credential waits for: one permit each.
    pub(crate) gate: Option<Arc<Semaphore>>,
    /// Why there is no such line.
    pub(crate) no_line: Option<Refusal>,
    /// Teams by user; `None` where the directory cannot be reached.
    pub(crate) teams: Option<BTreeMap<&'static str, Teams>>,
    /// Applications and the profiles that they are associated with; `None` where the directory cannot be reached.
    pub(crate) associated: Option<Vec<(&'static str, &'static str)>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            policy: ServiceParameters::default(),
            before: None,
            verify: None,
            prepared: None,
            contact_centre: None,
            acd_line: None,
            user_login_time: UserLoginTime::Cluster,
            idle_limit: None,
            logout: None,
            logout_name: "logout profile 1",
            verified: 0,
            silent: false,
            owner: None,
            refuse_off_hook: false,
            worn: None,
            home: None,
            reset: false,
            disturbed: Vec::new(),
            gate: None,
            no_line: None,
            teams: Some(BTreeMap::new()),
            associated: Some(Vec::new()),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Scripted {
    script: Arc<Mutex<Script>>,
    /// How often the parameters were asked for.
    asked: Arc<Counter<u64>>,
    /// About how many phones the directory was asked each time that sessions ended together.
    batches: Arc<Mutex<Vec<usize>>>,
    /// How many credentials wait to be verified or are.
    verifying: Arc<Counter<usize>>,
}

/// What is worn under that name: of a name like `2101 2102`, these lines are on its buttons.
pub(crate) fn configuration(worn: &str, user: &str) -> Configuration {
    let numbers = worn.split(' ').filter(|word| word.chars().all(|c| c.is_ascii_digit()));
    let line = |number: &str| LineButton { lines: vec![number.into()], ..Default::default() };
    let button = |number| Button { carries: Some(button::Carries::Line(line(number))), ..Default::default() };
    let configuration = EffectiveConfiguration {
        worn_name: worn.into(),
        user_id: user.into(),
        buttons: numbers.map(button).collect(),
        ..Default::default()
    };
    Configuration(configuration.encode_to_vec().into())
}

/// What that cluster has rendered for a user of its own at another cluster's phone.
fn rendered_by(home: &str, user: &str) -> Configuration {
    let roaming = CrossCluster { home_cluster: home.into(), ..Default::default() };
    let configuration = EffectiveConfiguration {
        worn_name: user.into(),
        user_id: user.into(),
        cross_cluster: Some(roaming),
        ..Default::default()
    };
    Configuration(configuration.encode_to_vec().into())
}

#[async_trait]
impl Peers for Scripted {
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal> {
        let script = self.script.lock().unwrap().clone();
        if let Some(refused) = script.before {
            return Err(refused);
        }
        let prepared = Prepared {
            rendering: Rendering {
                profile: profile.cloned().unwrap_or_else(|| user_id.parse().unwrap()),
                configuration: match script.home {
                    Some(home) => rendered_by(home, user_id),
                    None => configuration(script.worn.unwrap_or(user_id), user_id),
                },
                reset: script.reset,
                lines: vec!["2101".parse().unwrap()],
                acd_line: script.acd_line.map(|line| line.parse().unwrap()),
                primary_extension: Some("2101".parse().unwrap()),
                idle_limit: script.idle_limit,
                logout_configuration: configuration("as of login", ""),
            },
            contact_centre: script.contact_centre,
            findings: Vec::new(),
        };
        Ok(LoginFacts {
            phone: phone.clone(),
            user: user_id.parse().unwrap(),
            prepared: script.prepared.map_or_else(|| Ok(Box::new(prepared)), Err),
            user_login_time: script.user_login_time,
            policy: script.policy.into(),
            owner: script.owner,
            refuse_off_hook: script.refuse_off_hook,
        })
    }

    async fn prepare_logout(&self, _phone: &PhoneName) -> Result<LogoutFacts, Refusal> {
        let script = self.script.lock().unwrap().clone();
        match script.logout {
            Some(refused) => Err(refused),
            None => Ok(LogoutFacts {
                configuration: configuration(script.logout_name, ""),
                policy: script.policy.into(),
            }),
        }
    }

    async fn prepare_logouts(&self, phones: &[PhoneName]) -> Vec<Result<LogoutFacts, Refusal>> {
        self.batches.lock().unwrap().push(phones.len());
        let answers = phones.iter().map(|phone| self.prepare_logout(phone));
        futures::future::join_all(answers).await
    }

    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        self.asked.send_modify(|asked| *asked += 1);
        let script = self.script.lock().unwrap();
        match script.silent {
            true => Err(Refusal::new(ErrorReason::ServiceUnavailable, "scripted")),
            false => Ok(script.policy.clone()),
        }
    }

    async fn set_do_not_disturb(&self, profile: &ProfileName, on: bool) -> Result<(), Refusal> {
        self.script.lock().unwrap().disturbed.push((profile.to_string(), on));
        Ok(())
    }

    async fn line_exists(&self, _line: &LineName) -> Result<(), Refusal> {
        self.script.lock().unwrap().no_line.clone().map_or(Ok(()), Err)
    }

    async fn teams(&self, users: &[UserId]) -> Result<Vec<Teams>, Refusal> {
        let script = self.script.lock().unwrap();
        let unreachable = || Refusal::new(ErrorReason::ServiceUnavailable, "scripted");
        let teams = script.teams.as_ref().ok_or_else(unreachable)?;
        Ok(users.iter().map(|user| teams.get(user.as_str()).cloned().unwrap_or_default()).collect())
    }

    async fn associated(
        &self,
        application: &PrincipalName,
        profiles: &[ProfileName],
    ) -> Result<Vec<ProfileName>, Refusal> {
        let script = self.script.lock().unwrap();
        let unreachable = || Refusal::new(ErrorReason::ServiceUnavailable, "scripted");
        let known = script.associated.as_ref().ok_or_else(unreachable)?;
        let is_one = |profile: &&ProfileName| known.contains(&(application.as_str(), profile.as_str()));
        Ok(profiles.iter().filter(is_one).cloned().collect())
    }

    async fn verify(&self, _: &str, _: Credential, _: &LoginPlace) -> Result<(), Refusal> {
        self.verifying.send_modify(|verifying| *verifying += 1);
        let gate = self.script.lock().unwrap().gate.clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut script = self.script.lock().unwrap();
        script.verified += 1;
        script.verify.clone().map_or(Ok(()), Err)
    }
}

struct Published(JsonWebKey);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

/// A running service; it ends with the value.
pub(crate) struct Cluster {
    pub(crate) session: Session,
    address: String,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) script: Scripted,
    pub(crate) clock: Clock,
    pub(crate) hand: ManualClock,
    pub(crate) stop: Option<tokio::sync::oneshot::Sender<()>>,
    signer: Signer,
    channel: Channel,
}

pub(crate) async fn cluster() -> Cluster {
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    replica(Arc::new(MemoryStore::new()), Scripted::default(), clock, hand).await
}

/// One more replica on a store.
pub(crate) async fn replica(
    store: Arc<MemoryStore>,
    script: Scripted,
    clock: Clock,
    hand: ManualClock,
) -> Cluster {
    let stores = Stores { sessions: store.clone(), audit: store.clone() };
    Cluster { store, ..replica_over(stores, SessionConfig::default(), script, clock, hand).await }
}

/// One more replica on stores of any kind; the cluster's own store stays empty.
pub(crate) async fn replica_over(
    stores: Stores,
    config: SessionConfig,
    script: Scripted,
    clock: Clock,
    hand: ManualClock,
) -> Cluster {
    let signer = Signer::new("roamline:test", "roamline:test", "k1", &generate_key().unwrap()).unwrap();
    let verifier =
        Verifier::new("roamline:test", "roamline:test", Arc::new(Published(signer.public_key().clone())));
    let tasks = Tasks::new();
    // The background sweep would follow the manual clock too; a long pause leaves sweeping to the test.
    let session = Session::start(config, stores, Arc::new(script.clone()), clock.clone(), Ids::new(), &tasks);
    let mut api = Api::new();
    session.add_to(&mut api);
    let local = "127.0.0.1:0".parse().unwrap();
    let listeners = Listeners::bind(local, local).await.unwrap();
    let address = format!("http://{}", listeners.api_addr());
    let process = Process {
        verifier: Arc::new(verifier),
        clock: clock.clone(),
        readiness: Readiness::new(),
        tasks: tasks.clone(),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    Tasks::new().spawn("server", async move {
        let config = ServeConfig { grace_for: Duration::from_secs(5), ..ServeConfig::default() };
        let shutdown = async move {
            let _ = stopped.await;
        };
        serve(listeners, api, process, &config, shutdown).await.unwrap();
    });
    let channel = Endpoint::from_shared(address.clone()).unwrap().connect_lazy();
    let store = Arc::new(MemoryStore::new());
    Cluster { session, address, store, script, clock, hand, stop: Some(stop), signer, channel }
}

impl Cluster {
    pub(crate) fn say(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.script.lock().unwrap());
    }

    /// About how many phones the directory was asked each time that sessions ended together.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.script.batches.lock().unwrap().clone()
    }

    /// Waits until the service has heard of the parameters as they are now (SP-21).
    pub(crate) async fn heard(&self) {
        let mut asked = self.script.asked.subscribe();
        let seen = *asked.borrow();
        let heard = asked.wait_for(|now| *now >= seen + 2);
        timeout(WITHIN, heard).await.expect("SP-21").unwrap();
    }

    /// Waits until so many credentials wait to be verified, or are.
    pub(crate) async fn verifying(&self, number: usize) {
        let mut verifying = self.script.verifying.subscribe();
        let waited = verifying.wait_for(|now| *now >= number);
        timeout(WITHIN, waited).await.expect("in time").unwrap();
    }

    fn bearer(&self, name: &str, kind: PrincipalKind) -> Bearer {
        let lifetime = Duration::from_secs(1000 * 3600);
        let token = self.signer.sign(name, kind, scopes_of(kind), self.clock.now(), lifetime).unwrap();
        Bearer::token(token.token)
    }

    pub(crate) fn as_(&self, name: &str, kind: PrincipalKind) -> Sessions {
        SessionServiceClient::with_interceptor(self.channel.clone(), self.bearer(name, kind))
    }

    /// As another service.
    pub(crate) fn service(&self) -> Sessions {
        let hour = Duration::from_secs(3600);
        let kind = PrincipalKind::Unspecified;
        let token = self.signer.sign("profile", kind, scope::SERVICE, self.clock.now(), hour).unwrap();
        SessionServiceClient::with_interceptor(self.channel.clone(), Bearer::token(token.token))
    }

    pub(crate) fn administrator(&self) -> Sessions {
        self.as_("admin", PrincipalKind::Administrator)
    }

    pub(crate) fn agent(&self, name: &str) -> Sessions {
        self.as_(name, PrincipalKind::User)
    }

    /// An administrator on a connection of his own, whose streams stand still after some 64 KiB that he has not read.
    pub(crate) fn narrow(&self) -> Sessions {
        let endpoint = Endpoint::from_shared(self.address.clone()).unwrap();
        let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
        let bearer = self.bearer("admin", PrincipalKind::Administrator);
        SessionServiceClient::with_interceptor(endpoint.connect_lazy(), bearer)
    }

    pub(crate) fn stranger(&self) -> Sessions {
        SessionServiceClient::with_interceptor(self.channel.clone(), Bearer::none())
    }

    pub(crate) fn phones(&self) -> Phones {
        PhoneLinkServiceClient::with_interceptor(
            self.channel.clone(),
            self.bearer("link", PrincipalKind::PhoneLink),
        )
    }

    pub(crate) async fn sessions(&self) -> Vec<wire::Session> {
        let answer = self.administrator().list_sessions(wire::ListSessionsRequest::default()).await.unwrap();
        answer.into_inner().sessions
    }

    /// The phone's present epoch.
    pub(crate) async fn epoch(&self, phone: &str) -> u64 {
        self.store.phone(&phone.parse().unwrap()).await.unwrap().unwrap().epoch
    }

    /// Waits until nobody is logged in: the background sweep may be at it beside the test's own.
    pub(crate) async fn without_sessions(&self) {
        let mut latest = self.store.latest();
        let empty = async {
            while !self.sessions().await.is_empty() {
                latest.changed().await.unwrap();
            }
        };
        timeout(WITHIN, empty).await.expect("in time");
    }

    /// Somebody with these scopes.
    pub(crate) fn with_scopes(&self, name: &str, kind: PrincipalKind, scopes: &[&str]) -> Sessions {
        let hour = Duration::from_secs(3600);
        let token = self.signer.sign(name, kind, scopes, self.clock.now(), hour).unwrap();
        SessionServiceClient::with_interceptor(self.channel.clone(), Bearer::token(token.token))
    }

    /// A user who looks after teams.
    pub(crate) fn team_supervisor(&self, name: &str) -> Sessions {
        self.with_scopes(name, PrincipalKind::User, role::scopes(Role::Supervisor))
    }

    /// An application without the proxy right.
    pub(crate) fn cti(&self, name: &str) -> Sessions {
        self.with_scopes(name, PrincipalKind::Application, role::scopes(Role::Cti))
    }

    /// A user who may end anybody's session.
    pub(crate) fn supervisor(&self, name: &str) -> Sessions {
        self.with_scopes(name, PrincipalKind::User, &[scope::SESSION_OWN, scope::SESSION_MANAGE])
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A login with a password.
pub(crate) fn login(user: &str, phone: &str) -> wire::LoginRequest {
    wire::LoginRequest {
        phone: phone.into(),
        user_id: user.into(),
        credential: Some(Credential { kind: Some(credential::Kind::Password("pass123".into())) }),
        ..Default::default()
    }
}

/// A login proven by the caller's token.
pub(crate) fn by_token(user: &str, phone: &str) -> wire::LoginRequest {
    wire::LoginRequest { credential: None, ..login(user, phone) }
}

pub(crate) fn logout(phone: &str) -> wire::LogoutRequest {
    wire::LogoutRequest {
        target: Some(wire::logout_request::Target::Phone(phone.into())),
        ..Default::default()
    }
}

pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> ErrorReason {
    let status = answer.expect_err("a refusal");
    Refusal::from_status(&status).unwrap_or_else(|| panic!("not ours: {status:?}")).reason
}

pub(crate) fn metadata<T: std::fmt::Debug>(answer: Result<T, Status>) -> BTreeMap<String, String> {
    let refusal = Refusal::from_status(&answer.expect_err("a refusal")).expect("one of ours");
    refusal.metadata.into_iter().collect()
}

/// Fields of a malformed request, in the order in which they were found.
pub(crate) fn violations<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let refusal = Refusal::from_status(&answer.expect_err("a refusal")).expect("one of ours");
    assert_eq!(refusal.reason, ErrorReason::InvalidRequest);
    refusal.violations.into_iter().map(|(field, _)| field).collect()
}

/// The next message of a stream that is no heartbeat.
pub(crate) async fn next<T>(stream: &mut tonic::Streaming<T>) -> Option<Result<T, Status>> {
    timeout(WITHIN, stream.next()).await.expect("a message in time")
}

pub(crate) async fn watch(
    client: &mut Sessions,
    resume_token: &str,
) -> tonic::Streaming<wire::WatchSessionsResponse> {
    let request = wire::WatchSessionsRequest { resume_token: resume_token.into(), ..Default::default() };
    client.watch_sessions(Request::new(request)).await.unwrap().into_inner()
}
