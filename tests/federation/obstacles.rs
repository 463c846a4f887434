//! Every obstacle to a cross-cluster login, each with its reason and the EM API's code (XC-6, XC-8, XC-9).

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{NewCredential, PrincipalKind, SetCredentialsRequest};
use roamline_proto::emcc::{
    CreateRemoteClusterRequest, FederationParameters, FindHomeClusterRequest, PeerState, RemoteCluster,
    RemoteServices, SecurityMode, TestRemoteClusterRequest,
};
use roamline_proto::error::ErrorReason::{self, *};
use roamline_proto::profile::{Phone, ServiceParameters, resource};

use crate::world::{Cluster, World, parameters, pin, reason, spiffe, until};

/// Waits until a login is refused for that reason; nothing is left of it. What was made until the clusters knew better may
/// end by itself.
async fn refused(at: &Cluster, user: &str, phone: u32, expected: ErrorReason, code: i32) {
    let phone = at.phone(phone);
    until(&format!("{expected:?}"), async || match at.login(user, &phone).await {
        Ok(made) => {
            let ended = at.logout(&made.session.unwrap().session_id).await;
            assert!(ended.is_ok() || ended.is_err_and(|status| reason(&status).0 == SessionNotFound));
            false
        }
        Err(status) => reason(&status) == (expected, Some(code)),
    })
    .await;
    at.is_empty().await;
}

async fn succeeds(at: &Cluster, user: &str) {
    until("the login succeeds", async || match at.login(user, &at.phone(0)).await {
        Ok(made) => {
            at.logout(&made.session.unwrap().session_id).await.unwrap();
            true
        }
        Err(_) => false,
    })
    .await;
    at.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_6_every_obstacle_has_its_reason_and_its_code() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let agent = berlin.user(0);

    refused(paris, &berlin.user(2), 0, CrossClusterUserNotEnabled, 31).await;
    refused(paris, &agent, 2, CrossClusterModelNotAllowed, 32).await;
    let set = async |change: fn(&mut FederationParameters)| {
        let mut changed = parameters();
        change(&mut changed);
        berlin.set(changed).await.unwrap();
    };
    set(|p| p.base_devices = 1).await;
    let held = paris.login(&berlin.user(1), &paris.phone(1)).await.unwrap().session.unwrap();
    let full = paris.login(&agent, &paris.phone(0)).await.unwrap_err();
    assert_eq!(reason(&full), (BaseDevicesExhausted, Some(33)));
    paris.logout(&held.session_id).await.unwrap();
    berlin.is_empty().await;
    set(|p| p.base_device_security = SecurityMode::Mixed.into()).await;
    refused(paris, &agent, 0, BaseDeviceSecurityMode, 43).await;
    set(|p| p.activated = false).await;
    until("its filter is gone, or its refusal is told", async || {
        match paris.login(&agent, &paris.phone(0)).await {
            Err(status) => matches!(reason(&status).0, CrossClusterNotAllowed | CredentialRefused),
            Ok(_) => false,
        }
    })
    .await;
    set(|_| {}).await;

    let unshared = RemoteServices::default();
    let address = paris.server.api.clone();
    let mut remote = berlin.remote("paris", &address);
    remote.services = Some(unshared);
    berlin.changes(remote).await;
    refused(paris, &agent, 0, CrossClusterNotAllowed, 38).await;
    berlin.changes(berlin.remote("paris", &address)).await;

    let mut secured = parameters();
    secured.security_mode = SecurityMode::Mixed.into();
    paris.set(secured).await.unwrap();
    refused(paris, &agent, 0, PeerSecurityModeUnsupported, 46).await;
    paris.set(parameters()).await.unwrap();

    let twin = Phone { name: paris.phone(0), model: "8851".into(), ..Phone::default() };
    berlin.apply(vec![resource::Kind::Phone(twin)]).await;
    refused(paris, &agent, 0, DeviceNameDuplicate, 37).await;

    let stale = NewCredential {
        name: agent.clone(),
        principal_kind: PrincipalKind::User.into(),
        credential: pin(),
        must_change: true,
        ..NewCredential::default()
    };
    let request = SetCredentialsRequest { credentials: vec![stale], validate_only: false };
    AuthServiceClient::new(berlin.link()).set_credentials(request).await.unwrap();
    refused(paris, &agent, 1, RemoteCredentialMustChange, 41).await;
    let second = berlin.user(1);
    let wrong = paris.login_with(&second, &paris.phone(1), None).await.unwrap_err();
    assert_eq!(reason(&wrong).0, TokenMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_8_without_sp_3_or_a_configuration_server_nothing_is_activated() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let bare = FederationParameters { configuration_server: String::new(), ..parameters() };
    let status = berlin.set(bare).await.unwrap_err();
    assert_eq!(reason(&status), (CrossClusterNotConfigured, Some(39)));
    let zero = ServiceParameters {
        inter_cluster_maximum_login_time: Some(prost_types::Duration::default()),
        ..ServiceParameters::default()
    };
    berlin.apply(vec![resource::Kind::ServiceParameters(zero)]).await;
    refused(paris, &berlin.user(0), 0, InterClusterTimeMissing, 211).await;
    let status = berlin.set(parameters()).await.unwrap_err();
    assert_eq!(reason(&status).0, InterClusterTimeMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_9_a_cluster_that_stops_answering_is_seen_in_seconds_and_comes_back_by_itself() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let begun = std::time::Instant::now();
    berlin.server.signal("STOP");
    paris.sees("berlin", PeerState::Down).await;
    eprintln!("a cluster that stopped was seen after {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    let status = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap_err();
    assert_eq!(reason(&status), (PeerUnavailable, Some(40)));
    eprintln!("a login failed fast, after {:?}", begun.elapsed());
    berlin.server.signal("CONT");
    paris.sees("berlin", PeerState::Up).await;
    succeeds(paris, &berlin.user(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_6_who_is_not_known_or_not_who_he_says_is_told_so() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let test = async |at: &Cluster, other: &str| {
        let request = TestRemoteClusterRequest { cluster_id: other.into() };
        at.administration().test_remote_cluster(request).await.map(|_| ())
    };
    test(paris, "berlin").await.unwrap();
    // 35: the home has no entry with the visitor's certificate.
    let mut other = berlin.remote("paris", &paris.server.api);
    other.spiffe_id = spiffe("elsewhere");
    berlin.changes(other).await;
    let status = test(paris, "berlin").await.unwrap_err();
    assert_eq!(reason(&status), (VisitingClusterUnknown, Some(35)));
    berlin.changes(berlin.remote("paris", &paris.server.api)).await;
    // 42: the cluster at the address is another one.
    paris.knows("madrid", &berlin.server.api).await;
    let status = test(paris, "madrid").await.unwrap_err();
    assert!(matches!(reason(&status), (ClusterIdInvalid, Some(42))), "{status:?}");
    // 36: nobody is asked where nobody is configured.
    let mut alone = paris.remote("berlin", &berlin.server.api);
    alone.services = Some(RemoteServices::default());
    paris.changes(alone).await;
    let mut madrid = paris.remote("madrid", &berlin.server.api);
    madrid.services = Some(RemoteServices::default());
    paris.changes(madrid).await;
    let request = FindHomeClusterRequest { user_id: "berlin.0".into() };
    let status = paris.administration().find_home_cluster(request).await.unwrap_err();
    assert_eq!(reason(&status), (NoRemoteCluster, Some(36)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_with_a_new_cluster_is_what_the_parameters_say_unless_somebody_says_more() {
    let world = World::of(&["berlin"]).await;
    let berlin = &world["berlin"];
    let added = async |id: &str, services: Option<RemoteServices>| {
        let remote = RemoteCluster { services, ..berlin.remote(id, "https://127.0.0.1:1") };
        let request = CreateRemoteClusterRequest { remote_cluster: Some(remote) };
        let made = berlin.administration().create_remote_cluster(request).await.unwrap().into_inner();
        made.remote_cluster.unwrap().services.unwrap()
    };
    assert_eq!(added("paris", None).await, RemoteServices::default());
    let all = FederationParameters { enable_all_services: true, ..parameters() };
    berlin.set(all).await.unwrap();
    let shared = added("rome", None).await;
    assert!(shared.emcc && shared.pstn_access && shared.rsvp_agent && shared.lbm && shared.uds);
    assert!(!shared.tftp, "cross-cluster logins do not take files from there");
    let few = RemoteServices { uds: true, ..RemoteServices::default() };
    assert_eq!(added("oslo", Some(few)).await, few);
}
