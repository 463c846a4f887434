//! A profile service on loopback, and the messages that tests send it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::credentials::FakeCredentials;
use crate::fake_sessions::FakeSessions;
use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use roamline_domain::directory::{AddressingMode as Mode, Claim, Key, Kind, Resource as Kept};
use roamline_domain::settings::Protocol;
use roamline_profile::Profile;
use roamline_proto::auth::{JsonWebKey, PrincipalKind};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{self as wire, *};
use roamline_proto::refusal::Refusal;
use roamline_serve::{Api, Clock, Listeners, ManualClock, Process, Readiness, ServeConfig, Tasks, serve};
use roamline_store::memory::MemoryStore;
use roamline_store::{
    Change, Committed, DirectoryError, DirectoryStore, Expect, Import, ImportError, ImportStore, ListQuery,
    StageError, Staged, StoreError, Stored,
};
use roamline_token::{Bearer, FetchError, KeySource, Signer, Verifier, generate_key};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

const CLUSTER: &str = "roamline:test";
const LONG: Duration = Duration::from_secs(3600);

pub(crate) type Authed = InterceptedService<Channel, Bearer>;

/// The memory store, which counts its reads, can be told to fail, and lets others in at the wrong moment.
#[derive(Default)]
pub(crate) struct Watched {
    inner: MemoryStore,
    before_commit: Mutex<Vec<Change>>,
    finds: AtomicUsize,
    broken: AtomicBool,
}

impl Watched {
    pub(crate) fn break_down(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    /// Commits these changes just before the next commit, as somebody else.
    pub(crate) fn meanwhile(&self, changes: Vec<Change>) {
        *self.before_commit.lock().unwrap() = changes;
    }

    /// Reads since the last time this was asked.
    pub(crate) fn finds(&self) -> usize {
        self.finds.swap(0, Ordering::SeqCst)
    }

    fn available(&self) -> Result<(), StoreError> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("the disk is gone".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl DirectoryStore for Watched {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        self.available()?;
        self.finds.fetch_add(1, Ordering::SeqCst);
        DirectoryStore::find(&self.inner, keys).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.available()?;
        self.inner.revision().await
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        self.available()?;
        DirectoryStore::list(&self.inner, kind, query).await
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        self.available()?;
        self.inner.owners(claims).await
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        self.available()?;
        self.inner.used_by(key, after, limit).await
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        self.available()?;
        self.inner.first_users(keys, by).await
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        DirectoryStore::snapshot(&self.inner)
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        self.available()?;
        let others = std::mem::take(&mut *self.before_commit.lock().unwrap());
        DirectoryStore::commit(&self.inner, others, at).await?;
        DirectoryStore::commit(&self.inner, changes, at).await
    }
}

#[async_trait]
impl ImportStore for Watched {
    async fn open_import(&self, token: &str, id: &str, at: Timestamp) -> Result<Import, StoreError> {
        self.available()?;
        self.inner.open_import(token, id, at).await
    }

    async fn find_import(&self, id: &str) -> Result<Option<Import>, StoreError> {
        self.available()?;
        self.inner.find_import(id).await
    }

    async fn discard_import(&self, id: &str) -> Result<bool, StoreError> {
        self.available()?;
        self.inner.discard_import(id).await
    }

    async fn discard_imports_before(&self, instant: Timestamp) -> Result<u64, StoreError> {
        self.available()?;
        self.inner.discard_imports_before(instant).await
    }

    async fn stage(
        &self,
        id: &str,
        from_row: u64,
        rows: Vec<(u64, Change)>,
        next_row: u64,
        at: Timestamp,
    ) -> Result<(), StageError> {
        self.available()?;
        self.inner.stage(id, from_row, rows, next_row, at).await
    }

    async fn find_staged(&self, id: &str, keys: &[Key]) -> Result<Vec<Option<Staged>>, StoreError> {
        self.available()?;
        self.inner.find_staged(id, keys).await
    }

    async fn staged(&self, id: &str, after_row: u64, limit: u32) -> Result<Vec<Staged>, StoreError> {
        self.available()?;
        self.inner.staged(id, after_row, limit).await
    }

    async fn commit_import(&self, id: &str, at: Timestamp, validate: bool) -> Result<Committed, ImportError> {
        self.available()?;
        let others = std::mem::take(&mut *self.before_commit.lock().unwrap());
        DirectoryStore::commit(&self.inner, others, at).await.expect("others may");
        self.inner.commit_import(id, at, validate).await
    }
}

struct Keys(JsonWebKey);

#[async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

/// A running service, and a caller who may do everything.
pub(crate) struct Site {
    pub(crate) store: Arc<Watched>,
    pub(crate) sessions: Arc<FakeSessions>,
    pub(crate) credentials: Arc<FakeCredentials>,
    pub(crate) time: ManualClock,
    channel: Channel,
    signer: Signer,
    bearer: Bearer,
    tasks: Tasks,
}

impl Site {
    /// A service over an empty directory.
    pub(crate) async fn empty() -> Self {
        let store = Arc::new(Watched::default());
        let (clock, time) = Clock::manual("2026-03-01T08:00:00Z".parse().unwrap());
        let signer = Signer::new(CLUSTER, CLUSTER, "one", &generate_key().unwrap()).unwrap();
        let keys = Arc::new(Keys(signer.public_key().clone()));
        let verifier = Arc::new(Verifier::new(CLUSTER, CLUSTER, keys));
        let mut api = Api::new();
        let sessions = Arc::new(FakeSessions::default());
        let credentials = Arc::new(FakeCredentials::default());
        let profile = Profile::new(store.clone(), clock.clone()).with_sessions(sessions.clone());
        profile.with_credentials(credentials.clone()).add_to(&mut api);

        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any).await.unwrap();
        let channel = Endpoint::from_shared(format!("http://{}", listeners.api_addr())).unwrap();
        let (tasks, now) = (Tasks::new(), clock.now());
        let process = Process { verifier, clock, readiness: Readiness::new(), tasks: tasks.clone() };
        tasks.spawn("server", async move {
            serve(listeners, api, process, &ServeConfig::default(), std::future::pending()).await.unwrap();
        });
        let scopes = ["directory.read", "directory.write", "directory.resolve", "profile.own"];
        let token = signer.sign("test", PrincipalKind::Administrator, &scopes, now, LONG).unwrap();
        let bearer = Bearer::token(token.token);
        Self { store, sessions, credentials, time, channel: channel.connect_lazy(), signer, bearer, tasks }
    }

    /// The lines 2001 to 2008, the router-based profile `me` of user `me` with them, and the phones of the example:
    /// a 7960, a 7970 and a SIP phone, which wear logout profile 1 with line 2100.
    pub(crate) async fn example() -> Self {
        let site = Self::empty().await;
        let mut resources: Vec<Resource> =
            (2001..=2008).chain([2100]).map(|number| line(&number.to_string()).into_resource()).collect();
        resources.push(profile("me", example_settings()).into_resource());
        resources.push(user("me", &["me"]).into_resource());
        resources.push(logout_profile(1, &["2100"]).into_resource());
        for (name, model, protocol) in [
            ("SEP000DEDAB3566", "7960", PhoneProtocol::Sccp),
            ("SEP0012DA8AC43D", "7970", PhoneProtocol::Sccp),
            ("SEP0123456789AB", "7970", PhoneProtocol::Sip),
        ] {
            resources.push(Phone { protocol: protocol.into(), ..phone(name, model) }.into_resource());
        }
        site.apply(resources).await.unwrap();
        site
    }

    /// Puts a phone into the store that the service would refuse.
    pub(crate) async fn put_phone(&self, name: &str, model: &str, ipv6_only: bool) {
        let phone = roamline_domain::directory::Phone {
            addressing_mode: if ipv6_only { Mode::Ipv6Only } else { Mode::default() },
            extension_mobility_enabled: true,
            ..roamline_domain::directory::Phone::new(
                name.parse().unwrap(),
                model.parse().unwrap(),
                Protocol::Sccp,
            )
        };
        let change = Change::Put { resource: Kept::Phone(phone), expect: Expect::Absent };
        self.store.commit(vec![change], Timestamp::UNIX_EPOCH).await.unwrap();
    }

    pub(crate) async fn apply(&self, resources: Vec<Resource>) -> Result<ApplyResourcesResponse, Status> {
        let request = ApplyResourcesRequest { resources, validate_only: false };
        self.directory().apply_resources(request).await.map(Response::into_inner)
    }

    /// A token with these scopes.
    pub(crate) fn token(&self, scopes: &[&str]) -> String {
        let now = "2026-03-01T08:00:00Z".parse().unwrap();
        self.signer.sign("somebody", PrincipalKind::Application, scopes, now, LONG).unwrap().token
    }

    /// A token of a user, as a sign-in gives it.
    pub(crate) fn user_token(&self, user_id: &str) -> String {
        let (kind, now) = (PrincipalKind::User, "2026-03-01T08:00:00Z".parse().unwrap());
        self.signer.sign(user_id, kind, roamline_token::scopes_of(kind), now, LONG).unwrap().token
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) async fn stop(self) {
        self.tasks.stop(Duration::from_millis(100)).await;
    }
}

macro_rules! clients {
    ($($name:ident: $module:ident::$client:ident),+ $(,)?) => {
        impl Site {
            $(pub(crate) fn $name(&self) -> wire::$module::$client<Authed> {
                wire::$module::$client::with_interceptor(self.channel.clone(), self.bearer.clone())
            })+
        }
    };
}

clients!(
    users: user_service_client::UserServiceClient,
    phones: phone_service_client::PhoneServiceClient,
    models: phone_model_service_client::PhoneModelServiceClient,
    profiles: user_device_profile_service_client::UserDeviceProfileServiceClient,
    defaults: default_device_profile_service_client::DefaultDeviceProfileServiceClient,
    logout_profiles: logout_profile_service_client::LogoutProfileServiceClient,
    lines: line_service_client::LineServiceClient,
    parameters: service_parameters_service_client::ServiceParametersServiceClient,
    directory: directory_service_client::DirectoryServiceClient,
    rendering: rendering_service_client::RenderingServiceClient,
    lint: lint_service_client::LintServiceClient,
    device_pools: device_pool_service_client::DevicePoolServiceClient,
    phone_templates: phone_template_service_client::PhoneTemplateServiceClient,
    line_templates: line_template_service_client::LineTemplateServiceClient,
    presence_groups: presence_group_service_client::PresenceGroupServiceClient,
    phone_services: phone_service_definition_service_client::PhoneServiceDefinitionServiceClient,
    personal: personal_service_client::PersonalServiceClient,
);

/// A record as one of any kind.
pub(crate) trait IntoResource {
    fn into_resource(self) -> Resource;
}

macro_rules! into_resource {
    ($($record:ident),+) => {
        $(impl IntoResource for $record {
            fn into_resource(self) -> Resource {
                Resource { kind: Some(resource::Kind::$record(self)) }
            }
        })+
    };
}

into_resource!(DevicePool, PhoneTemplate, LineTemplate, PresenceGroup, PhoneServiceDefinition);
into_resource!(Line, UserDeviceProfile, DefaultDeviceProfile, LogoutProfile, Phone, User, ServiceParameters);

pub(crate) fn line(name: &str) -> Line {
    Line { name: name.into(), ..Line::default() }
}

pub(crate) fn user(user_id: &str, profiles: &[&str]) -> User {
    User {
        user_id: user_id.into(),
        profiles: profiles.iter().map(|name| (*name).to_owned()).collect(),
        ..User::default()
    }
}

/// A profile that is made for every model.
pub(crate) fn profile(name: &str, settings: DeviceSettings) -> UserDeviceProfile {
    UserDeviceProfile { name: name.into(), settings: Some(settings), ..UserDeviceProfile::default() }
}

/// A phone that agents may log in to, with logout profile 1.
pub(crate) fn phone(name: &str, model: &str) -> Phone {
    Phone {
        name: name.into(),
        model: model.into(),
        extension_mobility_enabled: true,
        logout_profile: Some(wire::phone::LogoutProfile::SharedLogoutProfile(1)),
        ..Phone::default()
    }
}

pub(crate) fn logout_profile(tag: u32, lines: &[&str]) -> LogoutProfile {
    LogoutProfile { tag, settings: Some(with_lines(lines)), ..LogoutProfile::default() }
}

pub(crate) fn default_profile(model: &str) -> DefaultDeviceProfile {
    DefaultDeviceProfile { model: model.into(), ..DefaultDeviceProfile::default() }
}

/// Settings with a normal line each.
pub(crate) fn with_lines(lines: &[&str]) -> DeviceSettings {
    DeviceSettings {
        lines: lines.iter().map(|name| entry(LineKind::Normal, &[name])).collect(),
        ..DeviceSettings::default()
    }
}

pub(crate) fn entry(kind: LineKind, lines: &[&str]) -> ProfileLine {
    ProfileLine {
        kind: kind.into(),
        lines: lines.iter().map(|name| (*name).to_owned()).collect(),
        ..ProfileLine::default()
    }
}

fn example_settings() -> DeviceSettings {
    let dial = |tag, number: &str, busy_lamp| SpeedDial {
        tag,
        number: number.into(),
        busy_lamp,
        ..SpeedDial::default()
    };
    DeviceSettings {
        lines: vec![
            entry(LineKind::SilentRing, &["2001"]),
            entry(LineKind::BeepRing, &["2002"]),
            entry(LineKind::FeatureRing, &["2003"]),
            entry(LineKind::MonitorRing, &["2004"]),
            entry(LineKind::Overlay, &["2005", "2006"]),
            entry(LineKind::CallWaitingOverlay, &["2007", "2008"]),
        ],
        speed_dials: vec![dial(1, "3001", false), dial(2, "3002", true)],
        ..DeviceSettings::default()
    }
}

/// An agent's profile under multi-line control with these maximum calls and busy triggers on 2001, 2002, ...
pub(crate) fn agent(name: &str, limits: &[(u32, u32)]) -> UserDeviceProfile {
    let numbers: Vec<String> = (2001..).take(limits.len()).map(|number: u32| number.to_string()).collect();
    let mut settings = with_lines(&numbers.iter().map(String::as_str).collect::<Vec<_>>());
    for (line, (max_calls, busy_trigger)) in settings.lines.iter_mut().zip(limits) {
        (line.max_calls, line.busy_trigger) = (*max_calls, *busy_trigger);
    }
    let agent = AgentSettings { line_control: LineControl::MultiLine.into(), acd_line: "2001".into() };
    UserDeviceProfile { agent: Some(agent), ..profile(name, settings) }
}

pub(crate) fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// The refusal, which must have that reason.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: ErrorReason) -> Refusal {
    let status = answer.expect_err("is refused");
    let refusal = Refusal::from_status(&status).unwrap_or_else(|| panic!("no refusal of ours: {status:?}"));
    assert_eq!(refusal.reason, reason, "{refusal:?}");
    refusal
}

/// The fields of a refusal's violations.
pub(crate) fn fields(refusal: &Refusal) -> Vec<&str> {
    refusal.violations.iter().map(|(field, _)| field.as_str()).collect()
}

/// A fact of a refusal.
pub(crate) fn fact<'a>(refusal: &'a Refusal, name: &str) -> &'a str {
    refusal.metadata.get(name).map_or("", String::as_str)
}
