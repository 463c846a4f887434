//! Sessions by phone and by profile, and where numbers ring.

use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::watch_sessions_response::Message;

use crate::harness::*;
use crate::watches::told;

/// A phone that stands for another cluster's.
const BASE_DEVICE: &str = "SEP02E3CC000001";

fn as_profile(user: &str, phone: &str, profile: &str) -> wire::LoginRequest {
    wire::LoginRequest { profile: profile.into(), ..by_token(user, phone) }
}

async fn following(
    client: &mut Sessions,
    request: wire::WatchSessionsRequest,
) -> tonic::Streaming<wire::WatchSessionsResponse> {
    client.watch_sessions(request).await.unwrap().into_inner()
}

fn by_profile(profile: &str) -> wire::WatchSessionsRequest {
    wire::WatchSessionsRequest { profile: profile.into(), ..Default::default() }
}

#[tokio::test]
async fn ev_4_an_application_follows_a_profile_to_where_it_is_worn() {
    let cluster = cluster().await;
    cluster.administrator().login(as_profile("agent7", PHONE, "sales")).await.unwrap();
    cluster.administrator().login(as_profile("agent8", OTHER, "support")).await.unwrap();
    let mut recorder = cluster.as_("recorder", PrincipalKind::Application);
    let mut watching = following(&mut recorder, by_profile("sales")).await;
    assert!(matches!(told(&mut watching).await.0, Message::Snapshot(session) if session.phone == PHONE));
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    cluster.administrator().logout(logout(OTHER)).await.unwrap();
    cluster.administrator().logout(logout(PHONE)).await.unwrap();
    cluster.administrator().login(as_profile("agent9", OTHER, "sales")).await.unwrap();
    let (message, token) = told(&mut watching).await;
    assert!(matches!(message, Message::LoggedOut(ended) if ended.session.as_ref().unwrap().phone == PHONE));
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(session) if session.phone == OTHER));

    let again = wire::WatchSessionsRequest { resume_token: token, ..by_profile("sales") };
    let mut resumed = following(&mut recorder, again).await;
    assert!(matches!(told(&mut resumed).await.0, Message::LoggedIn(session) if session.user_id == "agent9"));
}

#[tokio::test]
async fn ev_2_a_watch_of_a_phone_tells_of_that_phone_alone() {
    let cluster = cluster().await;
    let request = wire::WatchSessionsRequest { phone: "00:0d:ed:ab:35:66".into(), ..Default::default() };
    let mut watching = following(&mut cluster.administrator(), request).await;
    told(&mut watching).await;
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(session) if session.user_id == "agent7"));
}

#[tokio::test]
async fn ev_2_filters_go_together_and_an_agent_sees_his_own_of_them() {
    let cluster = cluster().await;
    cluster.administrator().login(as_profile("agent7", PHONE, "sales")).await.unwrap();
    let whole = wire::WatchSessionsRequest {
        user_id: "agent7".into(),
        phone: PHONE.into(),
        profile: "sales".into(),
        ..Default::default()
    };
    for (client, request, found) in [
        (cluster.administrator(), whole.clone(), true),
        (cluster.agent("agent7"), by_profile("sales"), true),
        (cluster.agent("agent8"), by_profile("sales"), false),
        (
            cluster.administrator(),
            wire::WatchSessionsRequest { profile: "support".into(), ..whole.clone() },
            false,
        ),
        (cluster.administrator(), wire::WatchSessionsRequest { phone: OTHER.into(), ..whole.clone() }, false),
    ] {
        let mut client = client;
        let first = told(&mut following(&mut client, request).await).await.0;
        assert_eq!(matches!(first, Message::Snapshot(_)), found, "{first:?}");
    }
    let refused = cluster.agent("agent8").watch_sessions(whole).await;
    assert_eq!(reason(refused), ErrorReason::ScopeMissing);
    let malformed =
        wire::WatchSessionsRequest { phone: "desk".into(), profile: " ".into(), ..Default::default() };
    assert_eq!(reason(cluster.administrator().watch_sessions(malformed).await), ErrorReason::InvalidRequest);
}

#[tokio::test]
async fn ev_2_a_snapshot_of_many_pages_tells_each_session_once_and_as_it_is() {
    let cluster = cluster().await;
    let mut phones = Vec::new();
    for n in 0..1203 {
        let phone = format!("SEP03000000{n:04}");
        cluster.administrator().login(by_token(&format!("user{n}"), &phone)).await.unwrap();
        phones.push(phone);
    }
    let acknowledge = wire::AcknowledgePhoneRequest { phone: phones[700].clone(), generation: 1 };
    cluster.phones().acknowledge_phone(acknowledge).await.unwrap();
    let mut watching = watch(&mut cluster.administrator(), "").await;
    cluster.administrator().logout(logout(&phones[1202])).await.unwrap();
    let mut seen = Vec::new();
    let mut active = Vec::new();
    while let Message::Snapshot(session) = told(&mut watching).await.0 {
        if session.state() == wire::SessionState::Active {
            active.push(session.phone.clone());
        }
        seen.push(session.phone);
    }
    assert_eq!(seen, phones);
    assert_eq!(active, [phones[700].as_str()]);
    assert!(
        matches!(told(&mut watching).await.0, Message::LoggedOut(_)),
        "after the snapshot it was live in"
    );
}

#[tokio::test]
async fn sessions_of_a_profile_are_listed_page_by_page() {
    let cluster = cluster().await;
    let mut phones = Vec::new();
    for n in 0..25 {
        let phone = format!("SEP0300000000{n:02}");
        let profile = if n % 2 == 0 { "sales" } else { "support" };
        cluster.administrator().login(as_profile(&format!("user{n}"), &phone, profile)).await.unwrap();
        if n % 2 == 0 {
            phones.push(phone);
        }
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListSessionsRequest {
            page_size: 5,
            page_token: token,
            profile: "sales".into(),
            ..Default::default()
        };
        let page = cluster.administrator().list_sessions(request).await.unwrap().into_inner();
        assert!(page.sessions.len() <= 5);
        seen.extend(page.sessions.into_iter().map(|session| session.phone));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, phones);
}

async fn locate(cluster: &Cluster, line: &str) -> Result<wire::LocateNumberResponse, tonic::Status> {
    let request = wire::LocateNumberRequest { line: line.into() };
    Ok(cluster.administrator().locate_number(request).await?.into_inner())
}

#[tokio::test]
async fn lo_10_a_number_rings_where_sessions_wear_it_and_else_in_voice_mail() {
    let cluster = cluster().await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    told(&mut watching).await;
    assert!(locate(&cluster, "2101").await.unwrap().voice_mail);
    for (user, phone) in [("agent7", PHONE), ("agent8", OTHER)] {
        cluster.administrator().login(by_token(user, phone)).await.unwrap();
        told(&mut watching).await;
    }
    let found = locate(&cluster, "2101").await.unwrap();
    let places: Vec<_> =
        found.places.iter().map(|place| (place.phone.as_str(), place.user_id.as_str())).collect();
    assert_eq!(places, [(PHONE, "agent7"), (OTHER, "agent8")]);
    assert!(!found.voice_mail);
    assert!(found.places.iter().all(|place| !place.session_id.is_empty()));
    for phone in [PHONE, OTHER] {
        cluster.administrator().logout(logout(phone)).await.unwrap();
        told(&mut watching).await;
    }
    let found = locate(&cluster, "2101").await.unwrap();
    assert!(found.voice_mail && found.places.is_empty());
}

#[tokio::test]
async fn lo_10_a_number_that_is_no_line_is_not_found() {
    let cluster = cluster().await;
    told(&mut watch(&mut cluster.administrator(), "").await).await;
    cluster.say(|script| script.no_line = Some(Refusal::new(ErrorReason::ResourceNotFound, "scripted")));
    assert_eq!(reason(locate(&cluster, "2199").await), ErrorReason::ResourceNotFound);
    assert_eq!(reason(locate(&cluster, "two one").await), ErrorReason::InvalidRequest);
    let request = wire::LocateNumberRequest { line: "2199".into() };
    assert_eq!(reason(cluster.agent("agent7").locate_number(request).await), ErrorReason::ScopeMissing);
}

#[tokio::test]
async fn lo_10_a_number_of_a_visitors_home_is_not_the_number_of_a_line_here() {
    let cluster = cluster().await;
    let mut watching = watch(&mut cluster.administrator(), "").await;
    told(&mut watching).await;
    cluster.say(|script| script.home = Some("berlin"));
    cluster.administrator().login(by_token("visitor7", PHONE)).await.unwrap();
    told(&mut watching).await;
    let found = locate(&cluster, "2101").await.unwrap();
    assert!(found.voice_mail && found.places.is_empty(), "{found:?}");
    // Nor is there such a line here for his sake.
    cluster.say(|script| script.no_line = Some(Refusal::new(ErrorReason::ResourceNotFound, "scripted")));
    assert_eq!(reason(locate(&cluster, "2101").await), ErrorReason::ResourceNotFound);
    cluster.say(|script| (script.home, script.no_line) = (None, None));
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    told(&mut watching).await;
    let at = |found: wire::LocateNumberResponse| -> Vec<String> {
        found.places.into_iter().map(|place| place.phone).collect()
    };
    assert_eq!(at(locate(&cluster, "2101").await.unwrap()), [OTHER]);
    // One of ours elsewhere is on a base device, where his number rings.
    cluster.administrator().logout(logout(OTHER)).await.unwrap();
    told(&mut watching).await;
    cluster.say(|script| script.home = Some("here"));
    cluster.administrator().login(by_token("agent8", BASE_DEVICE)).await.unwrap();
    told(&mut watching).await;
    assert_eq!(at(locate(&cluster, "2101").await.unwrap()), [BASE_DEVICE]);
}
