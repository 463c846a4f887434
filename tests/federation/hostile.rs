//! A peer that means harm: it is refused, and honest peers are served (XC-10).

use rcgen::date_time_ymd;
use roamline_proto::auth::{Credential, credential};
use roamline_proto::emcc::{
    FindHomeRequest, HelloRequest, ReconcileRequest, RemoteLoginRequest, RemoteLogoutRequest,
    RemoteRefreshRequest, RemoteRenderRequest, VisitingPhone,
};
use roamline_proto::error::ErrorReason::*;
use roamline_proto::profile::PhoneProtocol;
use roamline_serve::Ids;
use tokio::task::JoinSet;

use crate::world::{Authority, World, pin, reason};

fn login(visiting: &str, session: &str, user: &str) -> RemoteLoginRequest {
    RemoteLoginRequest {
        visiting_cluster: visiting.into(),
        session_id: session.into(),
        user_id: user.into(),
        credential: pin(),
        phone: Some(VisitingPhone {
            name: "SEP020000ABCDEF".into(),
            model: "8851".into(),
            protocol: PhoneProtocol::Sip.into(),
            ..VisitingPhone::default()
        }),
        version: 1,
        ..RemoteLoginRequest::default()
    }
}

fn new_id() -> String {
    Ids::new().session_id(roamline_serve::Clock::system().now())
}

fn hello(cluster: &str, version: u32) -> HelloRequest {
    HelloRequest { cluster_id: cluster.into(), version, oldest_version: version, ..HelloRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_10_a_peer_acts_only_for_itself_its_phones_and_its_users() {
    let world = World::of(&["berlin", "paris", "rome"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let rome = world.authority.sign("rome", |_| {});
    let mut evil = berlin.federation(&rome);

    // It speaks for another cluster.
    let status = evil.hello(hello("paris", 1)).await.unwrap_err();
    assert_eq!(reason(&status), (ClusterIdMismatch, Some(44)));
    let status = evil.remote_login(login("paris", &new_id(), "berlin.0")).await.unwrap_err();
    assert_eq!(reason(&status), (ClusterIdMismatch, Some(44)));
    // Of another release that shares no version.
    let status = evil.hello(hello("rome", 9)).await.unwrap_err();
    assert_eq!(reason(&status), (PeerVersionUnsupported, Some(45)));
    let future = RemoteLoginRequest { version: 9, ..login("rome", &new_id(), "berlin.0") };
    let status = evil.remote_login(future).await.unwrap_err();
    assert_eq!(reason(&status), (PeerVersionUnsupported, Some(45)));
    // For a user of a third cluster.
    let status = evil.remote_login(login("rome", &new_id(), "paris.0")).await.unwrap_err();
    assert_eq!(reason(&status), (UserNotAtHome, Some(23)));
    let wrong = Credential { kind: Some(credential::Kind::Pin("11111".into())) };
    let guess = RemoteLoginRequest { credential: Some(wrong), ..login("rome", &new_id(), "berlin.0") };
    let status = evil.remote_login(guess).await.unwrap_err();
    assert_eq!(reason(&status), (CredentialRefused, Some(2)));

    // It cannot see or end a session of others.
    let made = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().session.unwrap();
    let ids = vec![made.session_id.clone()];
    evil.remote_logout(RemoteLogoutRequest { session_ids: ids.clone() }).await.unwrap();
    let known = evil.reconcile(ReconcileRequest { session_ids: ids.clone() }).await.unwrap().into_inner();
    assert_eq!(known.unknown_session_ids, ids);
    assert_eq!((berlin.live().await.len(), paris.live().await.len()), (1, 1));
    // Nor have it rendered for itself, or dressed.
    let phone = VisitingPhone { name: paris.phone(0), model: "8851".into(), ..VisitingPhone::default() };
    let render = RemoteRenderRequest { session_id: made.session_id.clone(), phone: Some(phone) };
    assert_eq!(reason(&evil.remote_render(render).await.unwrap_err()).0, SessionNotFound);
    let dress = RemoteRefreshRequest { session_id: made.session_id.clone() };
    assert_eq!(reason(&evil.remote_refresh(dress).await.unwrap_err()).0, SessionNotFound);
    // Nor take its id.
    let status = evil.remote_login(login("rome", &made.session_id, "berlin.1")).await.unwrap_err();
    assert_eq!(reason(&status), (SessionIdUsed, Some(4)));

    // A request that is repeated, before and after its session has ended, and one that is old.
    let id = new_id();
    evil.remote_login(login("rome", &id, "berlin.1")).await.unwrap();
    let status = evil.remote_login(login("rome", &id, "berlin.1")).await.unwrap_err();
    assert_eq!(reason(&status).0, SessionIdUsed);
    evil.remote_logout(RemoteLogoutRequest { session_ids: vec![id.clone()] }).await.unwrap();
    let status = evil.remote_login(login("rome", &id, "berlin.1")).await.unwrap_err();
    assert_eq!(reason(&status).0, SessionIdUsed);
    let old = login("rome", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "berlin.1");
    assert_eq!(reason(&evil.remote_login(old).await.unwrap_err()).0, SessionIdUsed);
    // An end that comes before its login.
    let id = new_id();
    evil.remote_logout(RemoteLogoutRequest { session_ids: vec![id.clone()] }).await.unwrap();
    let status = evil.remote_login(login("rome", &id, "berlin.1")).await.unwrap_err();
    assert_eq!(reason(&status).0, SessionIdUsed);

    paris.logout(&made.session_id).await.unwrap();
    berlin.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_10_who_is_no_peer_is_told_nothing() {
    let world = World::of(&["berlin", "paris"]).await;
    let berlin = &world["berlin"];
    let ask = FindHomeRequest { user_id: "berlin.0".into() };
    // No certificate.
    let mut anonymous =
        roamline_proto::emcc::federation_service_client::FederationServiceClient::new(berlin.channel());
    let status = anonymous.find_home(ask.clone()).await.unwrap_err();
    assert_eq!(reason(&status), (PeerNotProven, Some(35)));
    // A good certificate of a cluster that is none of ours.
    let stranger = world.authority.sign("nowhere", |_| {});
    let status = berlin.federation(&stranger).find_home(ask.clone()).await.unwrap_err();
    assert_eq!(reason(&status), (VisitingClusterUnknown, Some(35)));
    // Expired, and of another authority: no connection.
    let expired = world.authority.sign("paris", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    });
    let forged = Authority::new().sign("paris", |_| {});
    for bad in [expired, forged] {
        let status = berlin.federation(&bad).find_home(ask.clone()).await.unwrap_err();
        assert!(roamline_proto::refusal::Refusal::from_status(&status).is_none(), "{status:?}");
    }
    // All of it stands in the audit trail (EV-1).
    crate::world::until("the trail has who was refused", async || {
        let bodies = berlin.refused_peers().await;
        let has = |words: &[&str]| bodies.iter().any(|body| words.iter().all(|word| body.contains(word)));
        has(&["PEER_NOT_PROVEN", "FindHome", "127.0.0.1"])
            && has(&["VISITING_CLUSTER_UNKNOWN", "nowhere", "FindHome"])
            && has(&["PEER_NOT_PROVEN", "paris", "certificate"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_10_a_flood_of_one_peer_does_not_reach_another() {
    let world = World::of(&["berlin", "paris", "rome"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let rome = world.authority.sign("rome", |_| {});
    let mut flood = JoinSet::new();
    for _ in 0..crate::number(16, 64) {
        let mut evil = berlin.federation(&rome);
        flood.spawn(async move {
            loop {
                let _ = evil.remote_login(login("rome", &new_id(), "berlin.1")).await;
            }
        });
    }
    for _ in 0..5 {
        let made = paris.login(&berlin.user(0), &paris.phone(0)).await.expect("an honest peer is served");
        paris.logout(&made.session.unwrap().session_id).await.unwrap();
        crate::world::until("it has ended at home", async || {
            !berlin.live().await.iter().any(|session| session.user_id == "berlin.0")
        })
        .await;
    }
    flood.shutdown().await;
}
