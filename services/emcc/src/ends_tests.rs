//! Ends of halves while the session service of the cluster is away (XC-4).

use std::net::TcpListener;
use std::sync::Mutex as Lock;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::{Examine, Half, Side};
use roamline_domain::emcc::remote::{RemoteCluster, RemoteServices};
use roamline_serve::{ManualClock, Way};
use roamline_store::StoreError;
use roamline_store::federation::{Begun, Changed, From, HalfQuery, Setting, SettingKind, StoredSetting};
use roamline_store::memory::MemoryStore;
use roamline_token::Bearer;
use tonic::transport::Endpoint;

use super::*;
use crate::audit::Refused;

const START: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// A live half of a session with paris that was begun then.
fn half(begun: i64) -> Half {
    Half {
        session: Ids::new().session_id(at(begun)).parse().unwrap(),
        side: Side::Visiting,
        peer: "paris".parse().unwrap(),
        user: "agent7".parse().unwrap(),
        visiting_phone: "SEP000DEDAB3566".parse().unwrap(),
        base_device: None,
        begun_at: at(begun),
        ended_at: None,
        told: false,
    }
}

/// The service in a cluster none of whose other services answers.
fn alone(store: Arc<dyn FederationStore>) -> (Inner, ManualClock) {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = || Way::from(Endpoint::from_shared(format!("http://{nobody}")).unwrap().connect_lazy());
    let (clock, hand) = Clock::manual(at(0));
    let inner = Inner {
        cluster: "berlin".parse().unwrap(),
        config: EmccConfig::default(),
        store,
        audit: Arc::new(Audit::new(Arc::new(MemoryStore::new()), clock.clone())),
        local: Local::new(away(), away(), away(), &Bearer::none()),
        neighbours: Neighbours::default(),
        clock,
        ids: Ids::new(),
        recalled: ArcSwap::default(),
        peers: ArcSwap::default(),
        gates: Gates::new(1),
        own_filter: ArcSwapOption::default(),
        found: Found::default(),
        ended: Notify::new(),
        changed: Notify::new(),
        soon: Mutex::default(),
        left_off: Mutex::default(),
        recalling: tokio::sync::Mutex::default(),
        rendering: tokio::sync::Mutex::default(),
    };
    (inner, hand)
}

async fn kept(store: &MemoryStore, half: &Half) -> Half {
    FederationStore::half(store, &half.session).await.unwrap().unwrap()
}

#[tokio::test]
async fn xc_4_a_half_whose_session_cannot_be_ended_is_live_until_it_can() {
    let store = Arc::new(MemoryStore::new());
    let (inner, _hand) = alone(store.clone());
    let half = half(0);
    store.begin_half(half.clone(), None).await.unwrap();
    assert!(inner.end_both(&half.session).await.is_err());
    assert!(kept(&store, &half).await.is_live());
}

#[tokio::test]
async fn xc_4_nobody_is_left_untold_of_an_end_before_the_clusters_were_read() {
    let store = Arc::new(MemoryStore::new());
    let (inner, _hand) = alone(store.clone());
    let half = half(0);
    store.begin_half(half.clone(), None).await.unwrap();
    inner.end_half(&half.session, false).await.unwrap();
    assert!(!inner.tell_ends().await.unwrap());
    assert!(!kept(&store, &half).await.told, "it may be a cluster that is to be read yet");
    inner.recalled.store(Arc::new(Recalled { is_read: true, ..Recalled::default() }));
    inner.tell_ends().await.unwrap();
    assert!(kept(&store, &half).await.told, "that cluster is gone");
}

#[tokio::test]
async fn xc_4_a_half_is_examined_however_long_the_session_service_was_away() {
    let store = Arc::new(MemoryStore::new());
    let (inner, hand) = alone(store.clone());
    let half = half(0);
    let mut until = inner.examine_since(Timestamp::MIN).await;
    assert_eq!(until, at(-40), "there is none yet");
    store.begin_half(half.clone(), None).await.unwrap();
    for second in [30, 110, 3600] {
        hand.set(at(second));
        until = inner.examine_since(until).await;
        assert!(Examine::Since(until).takes(&half, at(second)), "after {second} s");
    }
    inner.end_half(&half.session, true).await.unwrap();
    assert_eq!(inner.examine_since(until).await, at(3560));
}

/// A store in which the login of a half comes in right after its id was not found.
struct Overtaken {
    store: MemoryStore,
    login: Lock<Option<Half>>,
}

#[async_trait]
impl FederationStore for Overtaken {
    async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError> {
        self.store.settings().await
    }

    async fn set_setting(&self, setting: Setting, from: From) -> Result<Changed, StoreError> {
        self.store.set_setting(setting, from).await
    }

    async fn remove_setting(&self, kind: SettingKind, name: &str, from: From) -> Result<Changed, StoreError> {
        self.store.remove_setting(kind, name, from).await
    }

    async fn begin_half(&self, half: Half, device: Option<(BaseDevice, u32)>) -> Result<Begun, StoreError> {
        self.store.begin_half(half, device).await
    }

    async fn half(&self, session: &SessionId) -> Result<Option<Half>, StoreError> {
        let found = FederationStore::half(&self.store, session).await?;
        let login = self.login.lock().unwrap().take();
        if let Some(login) = login {
            self.store.begin_half(login, None).await?;
        }
        Ok(found)
    }

    async fn end_half(
        &self,
        session: &SessionId,
        at: Timestamp,
        told: bool,
    ) -> Result<Option<Half>, StoreError> {
        self.store.end_half(session, at, told).await
    }

    async fn halves(&self, query: &HalfQuery) -> Result<Vec<Half>, StoreError> {
        self.store.halves(query).await
    }

    async fn base_devices_held(&self) -> Result<u32, StoreError> {
        self.store.base_devices_held().await
    }

    async fn forget_halves(&self, before: Timestamp) -> Result<(), StoreError> {
        self.store.forget_halves(before).await
    }
}

#[tokio::test]
async fn xc_4_an_end_that_its_login_meets_is_not_taken_for_done() {
    let (half, other) = (half(0), half(0));
    let store = Arc::new(Overtaken { store: MemoryStore::new(), login: Lock::new(Some(half.clone())) });
    let (inner, _hand) = alone(store.clone());
    let paris = RemoteCluster {
        cluster: "paris".parse().unwrap(),
        description: String::new(),
        address: "https://paris.example.org:7400".into(),
        spiffe_id: "spiffe://example.org/roamline/paris".into(),
        services: RemoteServices::default(),
        trust_bundle: String::new(),
    };
    // The session may be on its way to be: it is ended, and where it cannot be, the peer tells of the end again.
    assert!(inner.end_by_peer(&paris, &half.session, &Refused::default()).await.is_err());
    assert!(kept(&store.store, &half).await.is_live());
    // One whose login has not come is ended before it is.
    inner.end_by_peer(&paris, &other.session, &Refused::default()).await.unwrap();
    assert!(!kept(&store.store, &other).await.is_live());
}
