//! How long a login at another cluster's phone takes, beside one at home.

use std::time::Duration;

use roamline_proto::session::LoginRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use tokio::time::Instant;

use crate::number;
use crate::told::{answered, done};
use crate::world::{Cluster, World, pin};

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Means of its parts, as both sides tell them.
fn tell_where_the_time_goes(home: &Cluster, visited: &Cluster) {
    let there = done(visited, "rpc_client_call_duration_seconds", "FederationService/RemoteLogin\"").mean();
    let here = answered(home, "FederationService", "RemoteLogin").mean();
    eprintln!(
        "of one across clusters, in the mean: {there:?} until the home has answered, {here:?} of it in the home, whose credential \
         {:?} and rendering {:?} are asked for at once, and whose half then begins in {:?}",
        answered(home, "AuthService", "VerifyCredential").mean(),
        answered(home, "RenderingService", "PrepareRoaming").mean(),
        answered(home, "RoamingSessionService", "BeginHomeHalf").mean(),
    );
}

/// The one does what the other does twice, once at each side, with a round trip in between.
#[tokio::test(flavor = "multi_thread")]
async fn xc_3_a_login_elsewhere_takes_three_local_ones_and_a_round_trip_at_most() {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let mut client = SessionServiceClient::new(paris.channel());
    let (mut local, mut across) = (Vec::new(), Vec::new());
    for _ in 0..number(20, 300) {
        for (times, user) in [(&mut local, paris.user(0)), (&mut across, berlin.user(0))] {
            let request = LoginRequest {
                user_id: user,
                phone: paris.phone(0),
                credential: pin(),
                ..Default::default()
            };
            let begun = Instant::now();
            let made = client.login(request).await.unwrap().into_inner();
            times.push(begun.elapsed());
            paris.logout(&made.session.unwrap().session_id).await.unwrap();
        }
        berlin.is_empty().await;
    }
    let trip = paris.remotes().await.into_iter().find_map(|remote| remote.health?.round_trip);
    let trip = Duration::try_from(trip.unwrap()).unwrap();
    let (local, across) = (median(&mut local), median(&mut across));
    let ratio = across.as_secs_f64() / local.as_secs_f64();
    eprintln!(
        "median of a local login {local:?}, of one across clusters {across:?} ({ratio:.1} times), round trip {trip:?}"
    );
    tell_where_the_time_goes(berlin, paris);
    // The figures of a build that is not optimised are told, and not judged.
    if !cfg!(debug_assertions) {
        assert!(across <= local * 3 + trip, "{across:?} beside {local:?} and {trip:?}");
    }
}
