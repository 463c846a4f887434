//! Commands about other clusters, and where phones stand.

use prost_types::{Duration, Timestamp};
use roamline_proto::emcc::{
    Capability, FederationParameters, Half, LinkLoss, PeerHealth, PeerState, RemoteCluster, RoamingSession,
};
use serde_json::Value;

use super::code;
use crate::fake::{Bench, stderr, stdout};

/// One cluster that answers and one that does not, and three sessions.
async fn bench() -> Bench {
    let bench = Bench::start().await;
    let mut federation = bench.fake.federation.lock().unwrap();
    let health = PeerHealth {
        state: PeerState::Up.into(),
        round_trip: Some(Duration { seconds: 0, nanos: 12_300_000 }),
        version: 1,
        capabilities: vec![Capability::UserFilter.into()],
        release: "0.6.0".into(),
        filter_users: 4711,
        certificate_expire_time: Some(Timestamp { seconds: 32_503_680_000, nanos: 0 }),
        ..PeerHealth::default()
    };
    let down = PeerHealth {
        state: PeerState::Down.into(),
        problem: "its certificate has expired".into(),
        ..PeerHealth::default()
    };
    federation.clusters = [("north", health), ("south", down)]
        .map(|(id, health)| RemoteCluster {
            cluster_id: id.into(),
            address: format!("https://{id}.example.org:7440"),
            spiffe_id: format!("spiffe://example.org/roamline/{id}"),
            health: Some(health),
            etag: "v1".into(),
            ..RemoteCluster::default()
        })
        .into();
    let session = |id: &str, half: Half, peer: &str| RoamingSession {
        session_id: id.into(),
        half: half.into(),
        peer: peer.into(),
        ..RoamingSession::default()
    };
    let ended = Some(Timestamp { seconds: 1, nanos: 0 });
    federation.sessions = vec![
        session("s1", Half::Home, "north"),
        session("s2", Half::Visiting, "north"),
        RoamingSession { end_time: ended, ..session("s3", Half::Home, "south") },
    ];
    drop(federation);
    bench
}

async fn json(bench: &Bench, arguments: &[&str]) -> Value {
    let output = bench.run(&[arguments, &["-o", "json"]].concat()).await;
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[tokio::test]
async fn xc_9_a_list_and_a_status_say_who_answers_and_why_not() {
    let bench = bench().await;
    let list = stdout(&bench.run(&["peer", "list"]).await);
    for word in ["north", "12.3 ms", "4711", "its certificate has expired"] {
        assert!(list.contains(word), "{word} in {list}");
    }
    let status = json(&bench, &["peer", "status"]).await;
    assert_eq!((&status["clusterId"], &status["baseDevicesUsed"]), (&"here".into(), &2.into()));
    assert_eq!(status["peers"][0]["ourUsersThere"], 1);
    assert_eq!(status["peers"][0]["theirUsersHere"], 1);
    assert_eq!(status["peers"][1]["ourUsersThere"], 0, "what has ended is nobody there");
    let shown = stdout(&bench.run(&["peer", "status"]).await);
    assert!(shown.contains("1 of 2") && shown.contains("2 of 0"), "{shown}");
    let one = stdout(&bench.run(&["peer", "status", "north"]).await);
    assert!(one.contains("those of the configuration") && one.contains("spiffe://"), "{one}");
    let missing = bench.run(&["peer", "status", "nroth"]).await;
    assert_eq!(code(&missing), Some(3));
    assert!(stderr(&missing).contains("did you mean `north`"), "{}", stderr(&missing));
}

#[tokio::test]
async fn xc_9_a_test_ends_with_whether_the_cluster_answers() {
    let bench = bench().await;
    let up = bench.run(&["peer", "test", "north"]).await;
    assert_eq!(code(&up), Some(0), "{}", stderr(&up));
    assert!(stdout(&up).contains("cluster north answers in 12.3 ms: release 0.6.0, version 1, user-filter"));
    let down = bench.run(&["peer", "test", "south"]).await;
    assert_eq!(code(&down), Some(6));
    assert!(stderr(&down).contains("its certificate has expired") && stdout(&down).is_empty());
    let told = bench.run(&["peer", "test", "south", "-o", "json"]).await;
    assert_eq!(code(&told), Some(6));
    assert!(stdout(&told).contains("PEER_STATE_DOWN"));
    assert_eq!(code(&bench.run(&["peer", "test", "west"]).await), Some(3));
}

#[tokio::test]
async fn xc_1_a_user_is_found_at_home_or_nowhere() {
    let bench = bench().await;
    let found = bench.run(&["peer", "find", "north7"]).await;
    assert_eq!(stdout(&found), "north7 is at home in cluster north (1 cluster was asked)\n");
    let nowhere = bench.run(&["peer", "find", "ghost"]).await;
    assert_eq!(code(&nowhere), Some(3));
    assert!(stderr(&nowhere).contains("(0 clusters were asked)"), "{}", stderr(&nowhere));
}

#[tokio::test]
async fn sessions_across_clusters_are_listed_from_all_pages() {
    let bench = bench().await;
    let all = json(&bench, &["peer", "sessions"]).await;
    assert_eq!(all["roamingSessions"].as_array().unwrap().len(), 3);
    let south = stdout(&bench.run(&["peer", "sessions", "--peer", "south"]).await);
    assert!(south.contains("s3") && !south.contains("s1"), "{south}");
}

#[tokio::test]
async fn dp_20_a_cluster_is_added_changed_in_what_is_said_and_removed() {
    let bench = bench().await;
    let bundle = bench.home.path().join("ca.pem");
    std::fs::write(&bundle, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let create = ["peer", "create", "west", "--address", "https://west:7440"];
    assert_eq!(code(&bench.run(&create).await), Some(2), "the id in its certificate is missing");
    let id = ["--spiffe-id", "spiffe://example.org/roamline/west"];
    json(&bench, &[&create[..], &id].concat()).await;
    let stored = || bench.fake.federation.lock().unwrap().clusters.last().unwrap().clone();
    assert_eq!((stored().services, stored().trust_bundle.as_str()), (None, ""), "the server chooses");
    bench.fake.federation.lock().unwrap().clusters.last_mut().unwrap().etag = "v1".into();
    let shares =
        ["--service", "emcc", "--service", "pstn-access", "--trust-bundle", bundle.to_str().unwrap()];
    json(&bench, &[&["peer", "update", "west"][..], &shares].concat()).await;
    let services = stored().services.unwrap();
    assert!(services.emcc && services.pstn_access && !services.tftp);
    assert_eq!(stored().address, "https://west:7440", "what is not said stays");
    let shown = stdout(&bench.run(&["peer", "status", "west"]).await);
    assert!(shown.contains("1 authority of its own") && !shown.contains("BEGIN"), "{shown}");
    json(&bench, &["peer", "update", "west", "--no-services", "--no-trust-bundle"]).await;
    assert_eq!((stored().services, stored().trust_bundle.as_str()), (Some(Default::default()), ""));
    for wrong in [&["--no-services", "--service", "emcc"][..], &[], &["--trust-bundle", "/no/such/file"]] {
        assert_eq!(
            code(&bench.run(&[&["peer", "update", "west"], wrong].concat()).await),
            Some(2),
            "{wrong:?}"
        );
    }
    assert_eq!(code(&bench.run(&["peer", "delete", "west"]).await), Some(0));
    assert_eq!(code(&bench.run(&["peer", "delete", "west"]).await), Some(3));
}

#[tokio::test]
async fn parameters_of_federation_keep_what_is_not_named() {
    let bench = bench().await;
    let refused = bench.run(&["peer", "parameters", "set", "activated=true"]).await;
    assert_eq!(code(&refused), Some(5));
    assert!(stderr(&refused).contains("configuration_server=HOST"), "{}", stderr(&refused));
    let stored = || bench.fake.federation.lock().unwrap().parameters.clone();
    bench.fake.federation.lock().unwrap().parameters =
        FederationParameters { base_devices: 200, region_video_kbps: Some(1000), ..Default::default() };
    let changes = [
        "activated=true",
        "configuration_server=tftp.example.org",
        "region_link_loss=lossy",
        "region_video_kbps=",
    ];
    let changed =
        json(&bench, &[&["peer", "parameters", "set", "reconcile_interval=1m"][..], &changes].concat()).await;
    assert_eq!(changed["federationParameters"]["baseDevices"], 200);
    assert_eq!(stored().region_link_loss(), LinkLoss::Lossy);
    assert_eq!((stored().region_video_kbps, stored().reconcile_interval.unwrap().seconds), (None, 60));
    let shown = stdout(&bench.run(&["peer", "parameters", "get"]).await);
    assert!(shown.contains("reconcileInterval") && shown.contains("1m"), "{shown}");
    let wrong = bench.run(&["peer", "parameters", "set", "speed=1"]).await;
    assert_eq!(code(&wrong), Some(2));
    assert!(stderr(&wrong).contains("base_devices"), "{}", stderr(&wrong));
}

#[tokio::test]
async fn xc_3_geolocations_and_filters_are_set_and_deleted() {
    let bench = bench().await;
    let zurich = ["geolocation", "set", "zurich"];
    json(&bench, &[&zurich[..], &["country=CH", "community_name=Zürich", "floor=3"]].concat()).await;
    json(&bench, &[&zurich[..], &["floor=", "local_route_group=zh"]].concat()).await;
    let one = json(&bench, &["geolocation", "get", "zurich"]).await;
    assert_eq!(
        (&one["country"], &one["floor"], &one["localRouteGroup"]),
        (&"CH".into(), &"".into(), &"zh".into())
    );
    let list = stdout(&bench.run(&["geolocation", "list"]).await);
    assert!(list.contains("CH Zürich"), "{list}");
    json(&bench, &["geolocation-filter", "set", "towns", "country", "community_name"]).await;
    let list = stdout(&bench.run(&["geolocation-filter", "list"]).await);
    assert!(list.contains("country community_name"), "{list}");
    for wrong in [&["name=x"][..], &["colour=red"], &[]] {
        assert_eq!(code(&bench.run(&[&zurich[..], wrong].concat()).await), Some(2), "{wrong:?}");
    }
    for kind in [["geolocation", "zurich"], ["geolocation-filter", "towns"]] {
        let delete = [kind[0], "delete", kind[1]];
        assert_eq!(code(&bench.run(&delete).await), Some(0));
        assert_eq!(code(&bench.run(&delete).await), Some(3));
    }
    assert_eq!(code(&bench.run(&["geolocation", "get", "zurich"]).await), Some(3));
}
