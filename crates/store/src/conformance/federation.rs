//! What is kept of other clusters.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::geolocation::{Field, Geolocation, GeolocationFilter};
use roamline_domain::emcc::half::{Half, Side};
use roamline_domain::emcc::parameters::{FederationParameters, SecurityMode};
use roamline_domain::emcc::remote::{RemoteCluster, RemoteServices};
use roamline_domain::emcc::trust::{Bytes32, Invitation, Use};
use tokio::task::JoinSet;

use crate::federation::{Begun, Changed, FederationStore, From, HalfQuery, Setting, SettingKind};

fn remote(cluster: &str) -> Setting {
    Setting::RemoteCluster(RemoteCluster {
        cluster: cluster.parse().unwrap(),
        description: "Größe".into(),
        address: "https://127.0.0.1:7440".into(),
        spiffe_id: format!("spiffe://example.org/{cluster}"),
        services: RemoteServices::ALL,
        trust_bundle: "PEM".into(),
    })
}

fn invitation() -> Setting {
    Setting::Invitation(Invitation {
        id: "0123456789abcdef0123456789abcdef".into(),
        cluster: "c".parse().unwrap(),
        secret_hash: Bytes32([7; 32]),
        services: RemoteServices::ALL,
        created_by: "admin".into(),
        created_at: at(1),
        expires_at: at(2),
        used: Some(Use { at: at(1), from: "::1".into(), claim: Bytes32([8; 32]) }),
        refusals: 3,
    })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn half(number: u32, peer: &str) -> Half {
    Half {
        session: format!("01K{number:023}").parse().unwrap(),
        side: Side::Home,
        peer: peer.parse().unwrap(),
        user: "agent.1@example.org".parse().unwrap(),
        visiting_phone: format!("SEP{number:012X}").parse().unwrap(),
        base_device: None,
        begun_at: at(i64::from(number)),
        ended_at: None,
        told: false,
    }
}

fn pool(size: u32) -> Option<(BaseDevice, u32)> {
    Some((BaseDevice::new(1).unwrap(), size))
}

async fn begin(store: &impl FederationStore, half: Half, device: Option<(BaseDevice, u32)>) -> Half {
    match store.begin_half(half, device).await.unwrap() {
        Begun::Begun(half) => half,
        other => panic!("{other:?}"),
    }
}

fn all() -> HalfQuery {
    HalfQuery { limit: 1000, ..HalfQuery::default() }
}

/// Settings of every kind come back as they were set, by kind and name.
pub async fn settings_are_kept_as_they_were_set(store: Arc<impl FederationStore>) {
    assert!(store.settings().await.unwrap().is_empty());
    let geolocation = Geolocation {
        name: "Berlin 4".parse().unwrap(),
        civic: Field::ALL.map(|field| (field, field.name().to_owned())).into(),
        adjunct_search_space: "adjunct".into(),
        local_route_group: "gateways".into(),
    };
    let filter = GeolocationFilter { name: "f".parse().unwrap(), fields: [Field::Country].into() };
    let parameters = FederationParameters {
        base_devices: 7,
        security_mode: SecurityMode::Mixed,
        reconcile_interval: Duration::from_millis(1500),
        ..FederationParameters::default()
    };
    let settings = [
        remote("b"),
        remote("a"),
        Setting::Geolocation(geolocation),
        Setting::GeolocationFilter(filter),
        Setting::Parameters(parameters),
        invitation(),
    ];
    for setting in settings.clone() {
        assert_eq!(store.set_setting(setting, From::Nothing).await.unwrap(), Changed::Made(1));
    }
    let kept: Vec<_> = store.settings().await.unwrap().into_iter().map(|stored| stored.setting).collect();
    let [b, a, geolocation, filter, parameters, invitation] = settings;
    assert_eq!(kept, [a, b, geolocation, filter, parameters, invitation]);
}

/// A change from another version is not made, and names the present one.
pub async fn a_setting_is_changed_from_its_version_alone(store: Arc<impl FederationStore>) {
    let set = async |from| store.set_setting(remote("a"), from).await.unwrap();
    assert_eq!(set(From::Something).await, Changed::Moved(0));
    assert_eq!(set(From::Version(1)).await, Changed::Moved(0));
    assert_eq!(set(From::Nothing).await, Changed::Made(1));
    assert_eq!(set(From::Nothing).await, Changed::Moved(1));
    assert_eq!(set(From::Version(1)).await, Changed::Made(2));
    assert_eq!(set(From::Version(1)).await, Changed::Moved(2));
    assert_eq!(set(From::Something).await, Changed::Made(3));
    assert_eq!(set(From::Any).await, Changed::Made(4));
    let remove = async |from| store.remove_setting(SettingKind::RemoteCluster, "a", from).await.unwrap();
    assert_eq!(remove(From::Version(1)).await, Changed::Moved(4));
    assert_eq!(remove(From::Version(4)).await, Changed::Made(0));
    assert_eq!(remove(From::Any).await, Changed::Moved(0));
    assert_eq!(set(From::Any).await, Changed::Made(1));
}

/// Of changes from one version, one is made.
pub async fn of_8_changes_of_a_setting_from_one_version_one_is_made(store: Arc<impl FederationStore>) {
    store.set_setting(remote("a"), From::Nothing).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.set_setting(remote("a"), From::Version(1)).await.unwrap() });
    }
    let made = tasks.join_all().await.into_iter().filter(|done| *done == Changed::Made(2)).count();
    assert_eq!(made, 1);
}

/// Halves of both sides come back as they were begun.
pub async fn xc_3_every_field_of_a_half_is_kept(store: Arc<impl FederationStore>) {
    let visiting = Half { side: Side::Visiting, ..half(1, "a") };
    assert_eq!(begin(&*store, visiting.clone(), None).await, visiting);
    let home = begin(&*store, half(2, "b"), pool(3)).await;
    assert_eq!(home.base_device, Some(1));
    assert_eq!(store.half(&visiting.session).await.unwrap(), Some(visiting));
    assert_eq!(store.half(&home.session).await.unwrap(), Some(home));
    assert_eq!(store.half(&half(3, "a").session).await.unwrap(), None);
}

/// An id is taken once, even after its half has ended.
pub async fn a_half_whose_id_is_known_is_not_begun_again(store: Arc<impl FederationStore>) {
    let first = begin(&*store, half(1, "a"), pool(3)).await;
    let known = Begun::Known(first.clone());
    assert_eq!(store.begin_half(half(1, "b"), pool(3)).await.unwrap(), known);
    store.end_half(&first.session, at(9), false).await.unwrap();
    let again = store.begin_half(half(1, "a"), None).await.unwrap();
    assert_eq!(again, Begun::Known(Half { ended_at: Some(at(9)), ..first }));
    assert_eq!(store.base_devices_held().await.unwrap(), 0);
}

/// No base device is held by two.
pub async fn xc_3_of_16_logins_for_5_base_devices_5_get_one_each(store: Arc<impl FederationStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.begin_half(half(number, "a"), pool(5)).await.unwrap() });
    }
    let mut devices: Vec<_> = Vec::new();
    for begun in tasks.join_all().await {
        match begun {
            Begun::Begun(half) => devices.push(half.base_device.unwrap()),
            Begun::PoolEmpty => {}
            Begun::Known(half) => panic!("{half:?}"),
        }
    }
    devices.sort_unstable();
    assert_eq!(devices, [1, 2, 3, 4, 5]);
    assert_eq!(store.base_devices_held().await.unwrap(), 5);
    assert_eq!(store.halves(&all()).await.unwrap().len(), 5);
}

/// An ended half gives its base device back; the first choice is taken where it is free.
pub async fn xc_3_a_base_device_is_free_again_when_its_half_has_ended(store: Arc<impl FederationStore>) {
    let first = begin(&*store, half(1, "a"), pool(1)).await;
    assert_eq!(store.begin_half(half(2, "a"), pool(1)).await.unwrap(), Begun::PoolEmpty);
    assert_eq!(store.half(&half(2, "a").session).await.unwrap(), None);
    store.end_half(&first.session, at(5), true).await.unwrap();
    assert_eq!(begin(&*store, half(3, "a"), pool(1)).await.base_device, Some(1));
    let chosen = Some((BaseDevice::new(4).unwrap(), 9));
    assert_eq!(begin(&*store, half(4, "a"), chosen).await.base_device, Some(4));
    assert!(begin(&*store, half(5, "a"), chosen).await.base_device.is_some_and(|device| device != 4));
}

/// Ending again changes no time, and whoever says that the peer knows is believed.
pub async fn xc_4_an_ended_half_keeps_its_time_and_is_told_once_anybody_says_so(
    store: Arc<impl FederationStore>,
) {
    let first = begin(&*store, half(1, "a"), None).await;
    let end = async |seconds, told| store.end_half(&first.session, at(seconds), told).await.unwrap();
    assert_eq!(end(5, false).await, Some(first.clone()));
    assert_eq!(end(6, true).await, Some(Half { ended_at: Some(at(5)), ..first.clone() }));
    let told = Half { ended_at: Some(at(5)), told: true, ..first.clone() };
    assert_eq!(end(7, false).await, Some(told.clone()));
    assert_eq!(store.half(&first.session).await.unwrap(), Some(told));
    assert_eq!(store.end_half(&half(2, "a").session, at(5), false).await.unwrap(), None);
}

/// Pages are in the order of ids, and only of what was asked for.
pub async fn halves_are_paged_by_peer_and_by_whether_they_are_live(store: Arc<impl FederationStore>) {
    for number in 1..=6 {
        let peer = if number % 2 == 0 { "a" } else { "b" };
        begin(&*store, half(number, peer), None).await;
    }
    store.end_half(&half(1, "b").session, at(9), false).await.unwrap();
    store.end_half(&half(2, "a").session, at(9), true).await.unwrap();
    let numbers = async |query: HalfQuery| -> Vec<String> {
        let found = store.halves(&query).await.unwrap();
        found
            .into_iter()
            .map(|half| half.session.as_str().trim_start_matches(['0', '1', 'K']).into())
            .collect()
    };
    let peer = |peer: &str| Some(peer.parse().unwrap());
    assert_eq!(numbers(HalfQuery { live: Some(true), ..all() }).await, ["3", "4", "5", "6"]);
    assert_eq!(numbers(HalfQuery { live: Some(false), ..all() }).await, [""]);
    assert_eq!(numbers(HalfQuery { peer: peer("a"), ..all() }).await, ["2", "4", "6"]);
    assert_eq!(numbers(HalfQuery { peer: peer("c"), ..all() }).await, [""; 0]);
    let after = Some(half(2, "a").session);
    assert_eq!(numbers(HalfQuery { after, limit: 2, ..HalfQuery::default() }).await, ["3", "4"]);
}

/// What the peer has not heard of is kept.
pub async fn ended_halves_are_forgotten_when_the_other_side_knows(store: Arc<impl FederationStore>) {
    for number in 1..=4 {
        begin(&*store, half(number, "a"), None).await;
    }
    store.end_half(&half(1, "a").session, at(10), true).await.unwrap();
    store.end_half(&half(2, "a").session, at(20), true).await.unwrap();
    store.end_half(&half(3, "a").session, at(10), false).await.unwrap();
    store.forget_halves(at(20)).await.unwrap();
    let left: Vec<_> = store.halves(&all()).await.unwrap().into_iter().map(|half| half.session).collect();
    assert_eq!(left, [2, 3, 4].map(|number| half(number, "a").session));
}
