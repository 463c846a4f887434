//! Two and more clusters on loopback with TLS, which come to know each other by invitations (XC-10).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark};
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::Half;
use roamline_domain::phone_state::Session;
use roamline_domain::{PhoneName, SessionId};
use roamline_emcc::{EmccConfig, Trust, TrustConfig};
use roamline_proto::auth::{JsonWebKey, PrincipalKind};
use roamline_proto::emcc::trust_exchange_service_client::TrustExchangeServiceClient;
use roamline_proto::emcc::trust_service_client::TrustServiceClient;
use roamline_proto::emcc::{self as wire, InvitationState};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{
    Api, CallTls, Clock, Expected, Ids, Listeners, ManualClock, PeerDial, Process, Readiness, ServeConfig,
    Tasks, TlsConfig, Way, serve,
};
use roamline_store::federation::{
    Begun, Changed, FederationStore, From, HalfQuery, Setting, SettingKind, StoredSetting,
};
use roamline_store::memory::MemoryStore;
use roamline_store::{AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, Sequence, StoreError};
use roamline_token::{Bearer, FetchError, KeySource, Signer, Verifier, generate_key, scopes_of};
use serde_json::Value;
use tempfile::TempDir;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Response, Status};

const WITHIN: Duration = Duration::from_secs(30);
const START: i64 = 1_800_000_000;

fn id_of(cluster: &str) -> String {
    format!("spiffe://example.org/roamline/{cluster}")
}

/// An authority of a cluster.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str, ends: Option<(i32, u8, u8)>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if let Some((year, month, day)) = ends {
            params.not_after = rcgen::date_time_ymd(year, month, day);
        }
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with its key, for servers and clients.
    fn sign(&self, spiffe_id: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(spiffe_id.try_into().unwrap()));
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Keys(JsonWebKey);

#[async_trait]
impl KeySource for Keys {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

/// A store in which another replica may be quicker to make a change.
#[derive(Default)]
struct Replicated {
    kept: MemoryStore,
    /// Whether it is so with the next one.
    overtaken: AtomicBool,
}

#[async_trait]
impl FederationStore for Replicated {
    async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError> {
        self.kept.settings().await
    }

    async fn set_setting(&self, setting: Setting, from: From) -> Result<Changed, StoreError> {
        if self.overtaken.swap(false, Ordering::SeqCst) {
            self.kept.set_setting(setting.clone(), from).await?;
        }
        self.kept.set_setting(setting, from).await
    }

    async fn remove_setting(&self, kind: SettingKind, name: &str, from: From) -> Result<Changed, StoreError> {
        self.kept.remove_setting(kind, name, from).await
    }

    async fn begin_half(&self, half: Half, device: Option<(BaseDevice, u32)>) -> Result<Begun, StoreError> {
        self.kept.begin_half(half, device).await
    }

    async fn half(&self, session: &SessionId) -> Result<Option<Half>, StoreError> {
        FederationStore::half(&self.kept, session).await
    }

    async fn end_half(
        &self,
        session: &SessionId,
        at: Timestamp,
        told: bool,
    ) -> Result<Option<Half>, StoreError> {
        self.kept.end_half(session, at, told).await
    }

    async fn halves(&self, query: &HalfQuery) -> Result<Vec<Half>, StoreError> {
        self.kept.halves(query).await
    }

    async fn base_devices_held(&self) -> Result<u32, StoreError> {
        self.kept.base_devices_held().await
    }

    async fn forget_halves(&self, before: Timestamp) -> Result<(), StoreError> {
        self.kept.forget_halves(before).await
    }
}

#[async_trait]
impl AuditStore for Replicated {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        self.kept.place().await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.kept.append(step).await
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.kept.prune(step, until).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        AuditStore::records(&self.kept, query, after, limit).await
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        self.kept.recorded(after, until).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        AuditStore::live(&self.kept, after, limit).await
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        AuditStore::live_among(&self.kept, sessions).await
    }
}

/// A cluster with nothing but trust.
struct Cluster {
    name: &'static str,
    folder: TempDir,
    store: Arc<Replicated>,
    address: String,
    hand: ManualClock,
    admin: TrustServiceClient<InterceptedService<Way, Bearer>>,
    token: String,
    tasks: Tasks,
}

impl Cluster {
    async fn start(name: &'static str, authority: &Authority) -> Self {
        Self::start_with(name, authority, "ca.crt").await
    }

    /// `bundle` is the name of the file with its own authorities, empty for none.
    async fn start_with(name: &'static str, authority: &Authority, bundle: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any).await.unwrap();
        let address = format!("https://{}", listeners.api_addr());
        let start = Timestamp::from_second(START).unwrap();
        let (clock, hand) = Clock::manual(start);
        let signer = Signer::new(name, name, "a", &generate_key().unwrap()).unwrap();
        let verifier = Verifier::new(name, name, Arc::new(Keys(signer.public_key().clone())));
        let (store, tasks) = (Arc::new(Replicated::default()), Tasks::new());
        let path = |file: &str| -> PathBuf { folder.path().join(file) };
        let config = EmccConfig {
            tls: CallTls {
                certificate_file: path("tls.crt"),
                key_file: path("tls.key"),
                ca_file: path("ca.crt"),
            },
            trust: TrustConfig {
                address: address.clone(),
                bundle_file: if bundle.is_empty() { PathBuf::new() } else { path(bundle) },
                ..TrustConfig::default()
            },
            ..EmccConfig::default()
        };
        let token = {
            let scopes = scopes_of(PrincipalKind::Administrator);
            let lifetime = Duration::from_secs(30 * 86_400);
            signer.sign("admin", PrincipalKind::Administrator, scopes, start, lifetime).unwrap().token
        };
        let admin = {
            let bearer = Bearer::token(token.clone());
            TrustServiceClient::with_interceptor(Way::from(listeners.inside()), bearer)
        };
        let cluster = Self {
            name,
            folder,
            store: Arc::clone(&store),
            address,
            hand,
            admin,
            token,
            tasks: tasks.clone(),
        };
        cluster.install(authority);
        cluster.announce(&[authority]);
        let mut api = Api::new();
        let (own, peers) = (name.parse().unwrap(), listeners.peers());
        Trust::start(&config, own, store, clock.clone(), Ids::new(), peers, &tasks).add_to(&mut api);
        let tls = TlsConfig {
            certificate_file: config.tls.certificate_file.clone(),
            key_file: config.tls.key_file.clone(),
            ..TlsConfig::default()
        };
        let serving = ServeConfig { tls, grace_for: Duration::from_millis(200), ..ServeConfig::default() };
        let process = Process { verifier: Arc::new(verifier), clock, readiness: Readiness::new(), tasks };
        #[allow(clippy::disallowed_methods, reason = "the test's own task")]
        tokio::spawn(async move {
            Box::pin(serve(listeners, api, process, &serving, std::future::pending())).await.unwrap();
        });
        cluster.begun().await;
        cluster
    }

    /// Waits until its services are there.
    async fn begun(&self) {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            while self.admin.clone().get_trust(wire::GetTrustRequest {}).await.is_err() {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
    }

    /// Shows a certificate of that authority from now on.
    fn install(&self, authority: &Authority) {
        let (certificate, key) = authority.sign(&id_of(self.name));
        std::fs::write(self.folder.path().join("tls.crt"), certificate).unwrap();
        std::fs::write(self.folder.path().join("tls.key"), key).unwrap();
    }

    /// Tells others of these authorities from now on.
    fn announce(&self, authorities: &[&Authority]) {
        let pem: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
        std::fs::write(self.folder.path().join("ca.crt"), pem).unwrap();
    }

    async fn invite(&self, cluster: &str) -> Result<wire::CreateInvitationResponse, Refusal> {
        let request = wire::CreateInvitationRequest {
            cluster_id: cluster.into(),
            services: Some(wire::RemoteServices { emcc: true, ..Default::default() }),
            valid_for: None,
        };
        answer(self.admin.clone().create_invitation(request).await)
    }

    async fn accept(&self, token: &str) -> Result<wire::AcceptInvitationResponse, Refusal> {
        let request = wire::AcceptInvitationRequest { token: token.into(), services: None };
        answer(self.admin.clone().accept_invitation(request).await)
    }

    async fn invitations(&self) -> Vec<wire::Invitation> {
        let listed = self.admin.clone().list_invitations(wire::ListInvitationsRequest {}).await;
        answer(listed).unwrap().invitations
    }

    async fn trust(&self) -> wire::GetTrustResponse {
        answer(self.admin.clone().get_trust(wire::GetTrustRequest {}).await).unwrap()
    }

    async fn refresh(&self, cluster: &str) -> Result<wire::RefreshTrustResponse, Refusal> {
        let request = wire::RefreshTrustRequest { cluster_id: cluster.into() };
        answer(self.admin.clone().refresh_trust(request).await)
    }

    /// What the audit trail says of changes, in their order: cluster, what was changed, by whom and from where; of one that
    /// was let in, who has invited it.
    async fn changes(&self) -> Vec<[String; 5]> {
        let query = AuditQuery { kinds: vec![AuditKind::PeerChanged], ..AuditQuery::default() };
        let records = AuditStore::records(&self.store.kept, &query, 0, 100).await.unwrap();
        let bodies = records.iter().map(|record| serde_json::from_str::<Value>(&record.body).unwrap());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        bodies
            .map(|body| {
                let actor = &body["actor"];
                let all =
                    [&body["peer"], &body["change"], &actor["name"], &actor["source"], &body["invited_by"]];
                all.map(text)
            })
            .collect()
    }

    /// What is kept of others: cluster, SPIFFE id, whether logins are shared.
    async fn remotes(&self) -> BTreeMap<String, (String, bool)> {
        let remotes = self.store.settings().await.unwrap().into_iter().filter_map(|stored| {
            let Setting::RemoteCluster(remote) = stored.setting else { return None };
            Some((remote.cluster.to_string(), (remote.spiffe_id, remote.services.emcc)))
        });
        remotes.collect()
    }

    async fn forget(&self, cluster: &str) {
        self.store.remove_setting(SettingKind::RemoteCluster, cluster, From::Any).await.unwrap();
    }

    fn later(&self, seconds: i64) {
        self.hand.set(Timestamp::from_second(START + seconds).unwrap());
    }

    /// What a caller of the exchange sees who expects this cluster and shows `ours`.
    async fn call(
        &self,
        authority: &Authority,
        ours: Option<&(String, String)>,
    ) -> TrustExchangeServiceClient<Channel> {
        let expected = Expected::Peer { id: id_of(self.name), authorities: authority.pem.clone() };
        let ours = ours.map(|(certificate, key)| (certificate.as_bytes(), key.as_bytes()));
        let dial = PeerDial::new(&self.address, &expected, ours, WITHIN).unwrap();
        TrustExchangeServiceClient::new(dial.connect().await.unwrap())
    }

    async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Refusal> {
    answer.map(Response::into_inner).map_err(|status| {
        Refusal::from_status(&status).unwrap_or_else(|| panic!("no refusal of ours: {status:?}"))
    })
}

fn prints(facts: &[wire::CertificateFacts]) -> Vec<&str> {
    facts.iter().map(|facts| facts.fingerprint.as_str()).collect()
}

/// The token with another part: 1 is the id, 2 the secret, 3 the fingerprint, 4 the expiry, 6 the invited cluster.
fn changed(token: &str, part: usize, to: &str) -> String {
    let mut parts: Vec<&str> = token.splitn(8, '_').collect();
    parts[part] = to;
    parts.join("_")
}

fn reason<T>(answer: Result<T, Refusal>) -> ErrorReason {
    answer.err().expect("it is refused").reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_two_clusters_come_to_know_each_other_by_an_invitation() {
    let (a, b) = (Authority::new("CA of berlin", None), Authority::new("CA of hamburg", None));
    let (berlin, hamburg) = (Cluster::start("berlin", &a).await, Cluster::start("hamburg", &b).await);
    let invited = berlin.invite("hamburg").await.unwrap();
    let accepted = hamburg.accept(&invited.token).await.unwrap();
    assert_eq!(accepted.peer, invited.own);
    assert_eq!(accepted.certificate, invited.certificate);
    assert_eq!(prints(&accepted.authorities), prints(&invited.authorities));
    assert_eq!(hamburg.remotes().await, BTreeMap::from([("berlin".into(), (id_of("berlin"), false))]));
    assert_eq!(berlin.remotes().await, BTreeMap::from([("hamburg".into(), (id_of("hamburg"), true))]));
    let here = berlin.trust().await;
    assert_eq!(prints(&here.peers[0].authorities), prints(&accepted.own_authorities));
    assert_eq!((here.warning.as_str(), here.peers[0].warning.as_str()), ("", ""));
    for (one, other) in [(&berlin, "hamburg"), (&hamburg, "berlin")] {
        let refreshed = one.refresh(other).await.unwrap();
        assert!(!refreshed.changed && refreshed.peer.unwrap().refresh_time.is_some());
    }
    let [kept] = &berlin.invitations().await[..] else { panic!("there is one") };
    assert_eq!((kept.state(), kept.used_from.as_str()), (InvitationState::Used, "127.0.0.1"));
    assert_eq!((kept.created_by.as_str(), kept.refusals), ("admin", 0));
    assert_eq!(reason(hamburg.accept(&invited.token).await), ErrorReason::ResourceExists);
    assert_eq!(reason(berlin.invite("hamburg").await), ErrorReason::ResourceExists);
    let told = |what: [&str; 5]| what.map(String::from);
    // The administrators of this test call from within the process, from no address.
    let changes = [
        told(["hamburg", "invited", "admin", "", ""]),
        told(["hamburg", "let in by an invitation", "", "127.0.0.1", "admin"]),
    ];
    assert_eq!(berlin.changes().await, changes, "EV-1");
    let accepted = told(["berlin", "invitation accepted", "admin", "", ""]);
    assert_eq!(hamburg.changes().await, [accepted], "EV-1");
    berlin.stop().await;
    hamburg.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_an_invitation_that_is_not_right_is_refused_with_its_own_reason() {
    let (a, b) = (Authority::new("CA of berlin", None), Authority::new("CA of hamburg", None));
    let (berlin, hamburg) = (Cluster::start("berlin", &a).await, Cluster::start("hamburg", &b).await);
    let bremen = Cluster::start("bremen", &b).await;
    let token = berlin.invite("hamburg").await.unwrap().token;
    let wrong = "0".repeat(64);
    for (given, expected) in [
        ("hello".to_owned(), ErrorReason::InvitationMalformed),
        (token[..100].to_owned(), ErrorReason::InvitationMalformed),
        (changed(&token, 1, &"0".repeat(32)), ErrorReason::InvitationRefused),
        (changed(&token, 2, &wrong), ErrorReason::InvitationRefused),
        (changed(&token, 3, &wrong), ErrorReason::PeerCertificateMismatch),
        (changed(&token, 4, "1799999999"), ErrorReason::InvitationExpired),
        (changed(&token, 7, "https://127.0.0.1:1"), ErrorReason::PeerUnavailable),
    ] {
        assert_eq!(reason(hamburg.accept(&given).await), expected);
    }
    assert_eq!(reason(bremen.accept(&token).await), ErrorReason::InvitationForAnother);
    let theirs = changed(&token, 6, "bremen");
    assert_eq!(reason(bremen.accept(&theirs).await), ErrorReason::InvitationForAnother);
    assert_eq!(berlin.invitations().await[0].refusals, 2);
    berlin.later(2 * 86_400);
    assert_eq!(reason(hamburg.accept(&token).await), ErrorReason::InvitationExpired);
    assert_eq!(berlin.invitations().await[0].state(), InvitationState::Expired);
    berlin.later(0);
    std::fs::remove_file(hamburg.folder.path().join("tls.key")).unwrap();
    assert_eq!(reason(hamburg.accept(&token).await), ErrorReason::TrustNotConfigured);
    hamburg.install(&b);
    assert!(berlin.remotes().await.is_empty() && hamburg.remotes().await.is_empty());
    hamburg.accept(&token).await.unwrap();
    // The answer was lost: the same may be said again for a while, and nothing else.
    hamburg.forget("berlin").await;
    hamburg.accept(&token).await.unwrap();
    hamburg.forget("berlin").await;
    berlin.later(601);
    assert_eq!(reason(hamburg.accept(&token).await), ErrorReason::InvitationUsed);
    for bad in ["hamburg!", "berlin"] {
        assert_eq!(reason(berlin.invite(bad).await), ErrorReason::ClusterIdInvalid);
    }
    let taken_back = berlin.invite("bremen").await.unwrap();
    let id = taken_back.invitation.unwrap().id;
    let request = wire::DeleteInvitationRequest { id };
    answer(berlin.admin.clone().delete_invitation(request.clone()).await).unwrap();
    assert_eq!(reason(bremen.accept(&taken_back.token).await), ErrorReason::InvitationRefused);
    let again = answer(berlin.admin.clone().delete_invitation(request).await);
    assert_eq!(reason(again), ErrorReason::ResourceNotFound);
    for cluster in [berlin, hamburg, bremen] {
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_a_cluster_that_names_itself_wrongly_does_not_use_up_its_invitation() {
    let (a, b) = (Authority::new("CA of berlin", None), Authority::new("CA of hamburg", None));
    let (berlin, hamburg) = (Cluster::start("berlin", &a).await, Cluster::start("hamburg", &b).await);
    let invited = berlin.invite("hamburg").await.unwrap();
    let secret: Vec<u8> = {
        let text = invited.token.split('_').nth(2).unwrap();
        (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let good = wire::TrustBundle {
        cluster_id: "hamburg".into(),
        address: hamburg.address.clone(),
        spiffe_id: id_of("hamburg"),
        authorities: b.pem.clone(),
    };
    let leaf = b.sign(&id_of("hamburg")).0;
    let mut exchange = berlin.call(&a, None).await;
    for bundle in [
        wire::TrustBundle { spiffe_id: "spiffe://example.org/gateway".into(), ..good.clone() },
        wire::TrustBundle { authorities: String::new(), ..good.clone() },
        wire::TrustBundle { authorities: leaf, ..good.clone() },
        wire::TrustBundle { address: "http://127.0.0.1:1".into(), ..good.clone() },
        wire::TrustBundle { cluster_id: String::new(), ..good },
    ] {
        let request = wire::RedeemInvitationRequest {
            invitation_id: invited.invitation.clone().unwrap().id,
            secret: secret.clone(),
            bundle: Some(bundle),
        };
        let refused = answer(exchange.redeem_invitation(request).await);
        assert_eq!(reason(refused), ErrorReason::TrustBundleInvalid);
    }
    assert!(berlin.remotes().await.is_empty());
    hamburg.accept(&invited.token).await.unwrap();
    berlin.stop().await;
    hamburg.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_an_authority_is_changed_without_a_new_invitation() {
    let (old, new) = (Authority::new("old CA", None), Authority::new("new CA", None));
    let b = Authority::new("CA of hamburg", None);
    let (berlin, hamburg) = (Cluster::start("berlin", &old).await, Cluster::start("hamburg", &b).await);
    hamburg.accept(&berlin.invite("hamburg").await.unwrap().token).await.unwrap();
    berlin.announce(&[&old, &new]);
    let refreshed = hamburg.refresh("berlin").await.unwrap();
    assert!(refreshed.changed);
    assert_eq!(refreshed.peer.unwrap().authorities.len(), 2);
    berlin.install(&new);
    berlin.announce(&[&new]);
    // The port shows the new certificate within a second or two; until then the old authority is still believed.
    let deadline = tokio::time::Instant::now() + WITHIN;
    let left = loop {
        assert!(tokio::time::Instant::now() < deadline);
        let refreshed = hamburg.refresh("berlin").await.unwrap();
        let authorities = refreshed.peer.unwrap().authorities;
        if authorities.len() == 1 {
            break authorities;
        }
    };
    assert_eq!(prints(&left), prints(&berlin.trust().await.authorities));
    assert!(!berlin.refresh("hamburg").await.unwrap().changed);
    berlin.stop().await;
    hamburg.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_a_peer_cannot_come_as_another() {
    let (a, b) = (Authority::new("CA of berlin", None), Authority::new("CA of hamburg", None));
    let c = Authority::new("CA of bremen", None);
    let (berlin, hamburg) = (Cluster::start("berlin", &a).await, Cluster::start("hamburg", &b).await);
    let bremen = Cluster::start("bremen", &c).await;
    for cluster in [&hamburg, &bremen] {
        cluster.accept(&berlin.invite(cluster.name).await.unwrap().token).await.unwrap();
    }
    let nobody = answer(berlin.call(&a, None).await.get_trust_bundle(wire::GetTrustBundleRequest {}).await);
    assert_eq!(reason(nobody), ErrorReason::PeerNotProven);
    let good = b.sign(&id_of("hamburg"));
    let told = berlin.call(&a, Some(&good)).await.get_trust_bundle(wire::GetTrustBundleRequest {}).await;
    assert_eq!(answer(told).unwrap().bundle.unwrap().cluster_id, "berlin");
    for forged in
        [b.sign(&id_of("bremen")), b.sign(&id_of("kiel")), Authority::new("x", None).sign(&id_of("hamburg"))]
    {
        let expected = Expected::Peer { id: id_of("berlin"), authorities: a.pem.clone() };
        let ours = Some((forged.0.as_bytes(), forged.1.as_bytes()));
        let dial = PeerDial::new(&berlin.address, &expected, ours, WITHIN).unwrap();
        // With TLS 1.3 the client hears of it after the handshake.
        if let Ok(channel) = dial.connect().await {
            let mut exchange = TrustExchangeServiceClient::new(channel);
            exchange.get_trust_bundle(wire::GetTrustBundleRequest {}).await.unwrap_err();
        }
    }
    let lookalike = Expected::Peer { id: id_of("hamburg"), authorities: a.pem.clone() };
    PeerDial::new(&berlin.address, &lookalike, None, WITHIN).unwrap().connect().await.unwrap_err();
    for cluster in [berlin, hamburg, bremen] {
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_what_expires_is_warned_of() {
    // 1_800_000_000 is 2027-01-15. No other test has this cluster: instruments are one for the whole process.
    let a = Authority::new("CA of berlin", None);
    let b = Authority::new("CA of wismar", Some((2027, 2, 1)));
    let (berlin, wismar) = (Cluster::start("berlin", &a).await, Cluster::start("wismar", &b).await);
    wismar.accept(&berlin.invite("wismar").await.unwrap().token).await.unwrap();
    assert_eq!(berlin.trust().await.peers[0].warning, "");
    berlin.later(4 * 86_400);
    wismar.later(4 * 86_400);
    let soon = "expires at 2027-02-01T00:00:00Z";
    assert_eq!(berlin.trust().await.peers[0].warning, format!("the last of its authorities {soon}"));
    assert_eq!(wismar.trust().await.warning, format!("the last of our authorities {soon}"));
    let line = "roamline_emcc_trust_not_after_seconds{cluster=\"wismar\"} 1801440000";
    let metrics = async {
        loop {
            // Wismar tells of its own certificate by the same instrument.
            berlin.refresh("wismar").await.unwrap();
            let metrics = roamline_serve::metrics::text().unwrap();
            if metrics.contains(line) {
                return metrics;
            }
        }
    };
    let metrics = tokio::time::timeout(WITHIN, metrics).await.expect("its authority's end is told");
    assert!(metrics.contains("roamline_emcc_invitations_total{result=\"OK\"}"), "{metrics}");
    let made = |rpc: &str, peer: &str| {
        let rpc = format!("rpc_method=\"roamline.emcc.v1.TrustExchangeService/{rpc}\"");
        let calls = metrics.lines().filter(|line| line.starts_with("rpc_client_call_duration_seconds_count"));
        calls.into_iter().any(|line| line.contains(&rpc) && line.contains(&format!("peer=\"{peer}\"")))
    };
    assert!(made("RedeemInvitation", "berlin") && made("GetTrustBundle", "wismar"), "{metrics}");
    berlin.later(18 * 86_400);
    let over = "the last of its authorities has expired at 2027-02-01T00:00:00Z";
    assert_eq!(berlin.trust().await.peers[0].warning, over);
    assert_eq!(reason(berlin.refresh("kiel").await), ErrorReason::ResourceNotFound);
    berlin.stop().await;
    wismar.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xc_10_authorities_of_others_are_not_told_as_our_own() {
    let (a, b) = (Authority::new("CA of berlin", None), Authority::new("CA of hamburg", None));
    let berlin = Cluster::start_with("berlin", &a, "").await;
    berlin.announce(&[&b, &a]);
    let [own] = &berlin.trust().await.authorities[..] else { panic!("there is one") };
    assert!(own.subject.contains("CA of berlin"), "{own:?}");
    berlin.announce(&[&b]);
    let nobody = berlin.trust().await;
    assert!(
        nobody.own.is_none() && nobody.warning.contains("no authority in emcc.tls.ca_file"),
        "{nobody:?}"
    );
    assert_eq!(reason(berlin.invite("hamburg").await), ErrorReason::TrustNotConfigured);
    berlin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_1_who_invites_a_cluster_is_told_with_his_address() {
    let a = Authority::new("CA of berlin", None);
    let berlin = Cluster::start("berlin", &a).await;
    let expected = Expected::Peer { id: id_of("berlin"), authorities: a.pem.clone() };
    let dial = PeerDial::new(&berlin.address, &expected, None, WITHIN).unwrap();
    let connected = dial.connect().await.unwrap();
    let mut admin = TrustServiceClient::with_interceptor(connected, Bearer::token(berlin.token.clone()));
    let request =
        wire::CreateInvitationRequest { cluster_id: "hamburg".into(), services: None, valid_for: None };
    admin.create_invitation(request).await.unwrap();
    let told = ["hamburg", "invited", "admin", "127.0.0.1", ""].map(String::from);
    assert_eq!(berlin.changes().await, [told]);
    berlin.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_1_a_trust_bundle_that_another_replica_has_changed_is_told_by_that_one_alone() {
    let (old, new) = (Authority::new("old CA", None), Authority::new("new CA", None));
    let b = Authority::new("CA of hamburg", None);
    let (berlin, hamburg) = (Cluster::start("berlin", &old).await, Cluster::start("hamburg", &b).await);
    hamburg.accept(&berlin.invite("hamburg").await.unwrap().token).await.unwrap();
    berlin.announce(&[&old, &new]);
    hamburg.store.overtaken.store(true, Ordering::SeqCst);
    assert!(!hamburg.refresh("berlin").await.unwrap().changed);
    assert!(!hamburg.store.overtaken.load(Ordering::SeqCst), "there was something to change");
    let changes = hamburg.changes().await;
    let [accepted] = &changes[..] else { panic!("one change is ours: {changes:?}") };
    assert_eq!(accepted[1], "invitation accepted");
    assert_eq!(hamburg.trust().await.peers[0].authorities.len(), 2);
    berlin.stop().await;
    hamburg.stop().await;
}
