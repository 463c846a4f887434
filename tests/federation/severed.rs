//! Clusters that cannot reach each other, or only half: both go on, sessions end in time, and after it has healed both
//! agree (XC-4, XC-9).

use roamline_proto::emcc::PeerState;
use tokio::time::Instant;

use crate::process::start;
use crate::proxy::{Fault, Proxy};
use crate::world::{Cluster, HASTY, World, until};

/// Two clusters that reach each other through a proxy each.
pub(crate) async fn apart() -> (World, Proxy, Proxy) {
    let world = World::with(&["berlin", "paris"], HASTY).await;
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

/// Kills a cluster's process.
fn killed(cluster: Cluster) -> impl FnOnce() -> Cluster {
    let Cluster { id, site, server, admin, ca } = cluster;
    let address = server.api.trim_start_matches("https://").to_owned();
    server.kill();
    move || {
        let server = start(site.up_on(&address)).expect("the cluster starts again");
        Cluster { id, site, server, admin, ca }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_4_a_side_that_was_killed_has_its_halves_again_and_hears_what_ended_meanwhile() {
    // The certificates are files of the authority.
    let World { authority: _authority, mut clusters } = World::of(&["berlin", "paris"]).await;
    let mut of = |id: &str| clusters.remove(id).unwrap();
    let (mut berlin, mut paris) = (of("berlin"), of("paris"));
    let first = paris.login(&berlin.user(0), &paris.phone(0)).await.unwrap().session.unwrap().session_id;
    let second = paris.login(&berlin.user(1), &paris.phone(1)).await.unwrap().session.unwrap().session_id;
    let agree = async |berlin: &Cluster, paris: &Cluster| {
        until("both have the one that has not ended", async || {
            let mut agreed = berlin.halves().await.1 == 1;
            for cluster in [berlin, paris] {
                let live = cluster.live().await;
                agreed &= live.len() == 1 && live[0].session_id == second;
            }
            agreed
        })
        .await;
    };
    // The home is lost, and a session ends without it.
    let again = killed(berlin);
    paris.logout(&first).await.unwrap();
    berlin = again();
    agree(&berlin, &paris).await;
    // The visiting side is lost, and its phone goes on being held for the one who is at it.
    paris = killed(paris)();
    agree(&berlin, &paris).await;
    // It is lost once more, and the last session ends without it.
    let again = killed(paris);
    berlin.logout(&second).await.unwrap();
    paris = again();
    paris.is_empty().await;
    berlin.is_empty().await;
}
