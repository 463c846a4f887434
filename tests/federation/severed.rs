//! Clusters that cannot reach each other, or only half: both go on, sessions end in time, and after it has healed both
//! agree (XC-4, XC-9).

use roamline_proto::emcc::PeerState;
use tokio::time::Instant;

use crate::proxy::{Fault, Proxy};
use crate::world::{Cluster, World};

/// Two clusters that reach each other through a proxy each.
pub(crate) async fn apart() -> (World, Proxy, Proxy) {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let port = |cluster: &Cluster| cluster.server.api.trim_start_matches("https://").parse().unwrap();
    let (to_berlin, to_paris) = (Proxy::start(port(berlin)).await, Proxy::start(port(paris)).await);
    paris.changes(paris.remote("berlin", &format!("https://{}", to_berlin.address()))).await;
    berlin.changes(berlin.remote("paris", &format!("https://{}", to_paris.address()))).await;
    for cluster in [berlin, paris] {
        cluster.sees_all_up().await;
    }
    (world, to_berlin, to_paris)
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_4_what_ended_in_a_partition_ends_on_the_other_side_after_it() {
    let (world, to_berlin, to_paris) = apart().await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    for (n, at) in [(0, paris), (1, berlin)] {
        let made = paris.login(&berlin.user(n), &paris.phone(n)).await.unwrap().session.unwrap();
        for proxy in [&to_berlin, &to_paris] {
            proxy.set(Fault::Silent);
        }
        paris.sees("berlin", PeerState::Down).await;
        berlin.sees("paris", PeerState::Down).await;
        // Both sides go on serving their own.
        let own = berlin.login(&berlin.user(2), &berlin.phone(0)).await.unwrap().session.unwrap();
        berlin.logout(&own.session_id).await.unwrap();
        at.logout(&made.session_id).await.unwrap();
        for proxy in [&to_berlin, &to_paris] {
            proxy.set(Fault::None);
        }
        let healed = Instant::now();
        paris.is_empty().await;
        berlin.is_empty().await;
        eprintln!("both agreed {:?} after the partition had healed", healed.elapsed());
    }
}
