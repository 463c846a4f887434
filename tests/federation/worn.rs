//! What a phone wears while an agent of another cluster is at it, and how it follows his profile (XC-7, DP-10).

use roamline_proto::emcc::{
    FederationParameters, GeolocationFilter, LinkLoss, PeerState, PstnSearchSpace,
    SetGeolocationFilterRequest,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::{
    DeviceSettings, Line, LineSearchSpaces, ProfileLine, UserDeviceProfile, resource,
};
use roamline_proto::session::refresh_session_request::Target;
use roamline_proto::session::{LocateNumberRequest, RefreshSessionRequest, RefreshSessionResponse, Session};
use tonic::Status;

use crate::world::{Cluster, World, parameters, reason, until};

#[tokio::test(flavor = "multi_thread")]
async fn xc_7_calls_go_by_adjunct_line_and_emcc_search_space_and_leave_by_the_visiting_gateways() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let countries =
        GeolocationFilter { name: "countries".into(), fields: vec!["country".into()], ..Default::default() };
    let request = SetGeolocationFilterRequest { geolocation_filter: Some(countries) };
    berlin.administration().set_geolocation_filter(request).await.unwrap();
    let at_home = FederationParameters {
        geolocation_filter: "countries".into(),
        region_link_loss: LinkLoss::Lossy.into(),
        region_audio_kbps: 64,
        region_video_kbps: Some(512),
        ..parameters()
    };
    berlin.set(at_home).await.unwrap();
    let visited = FederationParameters { pstn_search_space: PstnSearchSpace::Phone.into(), ..parameters() };
    paris.set(visited).await.unwrap();
    let line = Line { name: "2000".into(), calling_search_space: "staff".into(), ..Default::default() };
    berlin.apply(vec![resource::Kind::Line(line)]).await;

    let worn = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().configuration.unwrap();
    let roaming = worn.cross_cluster.unwrap();
    assert_eq!(roaming.roaming_device_pool, "desks", "the country is all that counts");
    assert_eq!(roaming.search_spaces, ["berlin-emergency", "roaming"]);
    let search_spaces = ["berlin-emergency", "staff", "roaming"].map(str::to_owned).to_vec();
    assert_eq!(roaming.line_search_spaces, [LineSearchSpaces { line: "2000".into(), search_spaces }]);
    assert_eq!(roaming.local_route_group, "paris-gateways");
    assert_eq!(worn.emergency_numbers, ["115", "112", "116"]);
    assert_eq!((roaming.audio_kbps, roaming.video_kbps, roaming.links_are_lossy), (64, 512, true));
    assert!(roaming.pstn_by_phone, "as the visiting side has it");
    until("the visiting side is warned of a region that differs", async || {
        let health = paris.remotes().await.into_iter().find_map(|remote| remote.health).unwrap();
        health.state() == PeerState::Up && health.warning.contains("audio 64, video 512, link loss lossy")
    })
    .await;
}

async fn refresh(at: &Cluster, session: &str) -> Result<RefreshSessionResponse, Status> {
    let target = Some(Target::SessionId(session.into()));
    Ok(at.sessions().refresh_session(RefreshSessionRequest { target }).await?.into_inner())
}

/// The profile of an agent has these lines from now on.
async fn changes(home: &Cluster, user: &str, lines: &[&str]) {
    let lines = lines.iter().map(|line| ProfileLine { lines: vec![(*line).into()], ..Default::default() });
    let settings = Some(DeviceSettings { lines: lines.collect(), ..Default::default() });
    let profile = UserDeviceProfile {
        name: user.into(),
        settings,
        cross_cluster_calling_search_space: "roaming".into(),
        ..Default::default()
    };
    home.apply(vec![resource::Kind::UserDeviceProfile(profile)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dp_10_a_session_at_another_clusters_phone_is_brought_up_to_date_from_either_side() {
    let world = World::of(&["berlin", "paris", "rome"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let agent = berlin.user(0);
    let session = paris.login(&agent, &paris.phone(0)).await.unwrap().session.unwrap().session_id;
    let worn = async |lines: &[&str]| {
        for cluster in [berlin, paris] {
            let live: Vec<Session> = cluster.live().await;
            assert_eq!((live.len(), live[0].session_id.as_str()), (1, session.as_str()));
            assert_eq!(live[0].lines, lines, "at {}", cluster.id);
        }
    };
    assert!(!refresh(berlin, &session).await.unwrap().changed, "nothing has changed");
    assert!(!refresh(paris, &session).await.unwrap().changed, "nothing has changed");
    changes(berlin, &agent, &["2000", "2001"]).await;
    worn(&["2000"]).await;
    assert!(refresh(berlin, &session).await.unwrap().changed);
    worn(&["2000", "2001"]).await;
    changes(berlin, &agent, &["2001"]).await;
    let done = refresh(paris, &session).await.unwrap();
    assert!(done.changed);
    worn(&["2001"]).await;
    let dressed = done.configuration.unwrap();
    assert_eq!((dressed.phone.as_str(), dressed.user_id.as_str()), (paris.phone(0).as_str(), agent.as_str()));
    assert_eq!(dressed.cross_cluster.unwrap().home_cluster, "berlin");
    assert_eq!(dressed.emergency_numbers.first().map(String::as_str), Some("115"));

    // Where the other side cannot be reached, nothing changes.
    changes(berlin, &agent, &["2000"]).await;
    paris.server.signal("STOP");
    berlin.sees("paris", PeerState::Down).await;
    let refused = refresh(berlin, &session).await.unwrap_err();
    paris.server.signal("CONT");
    assert_eq!(reason(&refused), (ErrorReason::PeerUnavailable, Some(40)));
    worn(&["2001"]).await;
    paris.logout(&session).await.unwrap();
    berlin.is_empty().await;
    paris.is_empty().await;
    let gone = refresh(berlin, &session).await.unwrap_err();
    assert_eq!(reason(&gone).0, ErrorReason::SessionNotFound);
}

/// The phones at which that number of a cluster rings; none is voice mail.
async fn rings(at: &Cluster, line: &str) -> Vec<String> {
    let found = at.sessions().locate_number(LocateNumberRequest { line: line.into() }).await;
    let found = found.expect("the number is a line of that cluster").into_inner();
    assert_eq!(found.voice_mail, found.places.is_empty());
    found.places.into_iter().map(|place| place.phone).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lo_10_a_number_is_where_its_own_clusters_agent_is_and_not_at_a_visitors_phone() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    // Both clusters have a line 2000.
    let made = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap();
    let base_device = made.configuration.unwrap().cross_cluster.unwrap().base_device;
    until("the home has heard of it", async || rings(berlin, "2000").await == [base_device.clone()]).await;
    let own = paris.login(&paris.user(0), &paris.phone(1)).await.unwrap().session.unwrap();
    until("the visited cluster has heard of both", async || {
        rings(paris, "2000").await == [paris.phone(1)] && paris.live().await.len() == 2
    })
    .await;
    paris.logout(&own.session_id).await.unwrap();
    until("only the visitor is left", async || rings(paris, "2000").await.is_empty()).await;
    assert_eq!(rings(berlin, "2000").await, [base_device]);
}
