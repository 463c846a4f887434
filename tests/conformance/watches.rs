//! Watches are complete: whoever watches, wherever, is told every change once, and all in one order (EV-2).

use std::collections::BTreeMap;

use futures::future::join_all;
use roamline_domain::parameters::{MultipleLogin, OccupiedPhone};
use roamline_proto::session::watch_sessions_response::Message;

use crate::backend::Backend;
use crate::cluster::{Cluster, Told, Watching, by_phone, follow, login, logout, next, told};
use crate::site::{PHONES, USERS};

/// Logins and logouts of each of those who are at it at once.
const ROUNDS: usize = 6;

/// On every phone somebody logs in and out, over and over, on both replicas; each change that is acknowledged is one
/// that must be told. Returns their number.
async fn work<B: Backend>(cluster: &Cluster<B>) -> usize {
    cluster.set(|parameters| {
        parameters.multiple_login = MultipleLogin::Allowed;
        parameters.occupied_phone = OccupiedPhone::Always;
    });
    let at_phone = |phone: usize| async move {
        let mut changes = 0;
        for round in 0..ROUNDS {
            // Users without an ACD line, who are in nobody's way.
            let made = cluster.administrator(phone + round).login(login(round % 2, phone)).await.unwrap();
            changes += 1 + made.into_inner().ended_sessions.len();
            // Some sessions are taken over, and the last one stays.
            if round % 3 == 1 {
                cluster.administrator(phone + round + 1).logout(logout(phone)).await.unwrap();
                changes += 1;
            }
        }
        changes
    };
    join_all((0..PHONES).map(at_phone)).await.into_iter().sum()
}

async fn read(watching: &mut Watching, number: usize) -> Vec<Told> {
    let mut read = Vec::new();
    while read.len() < number {
        read.push(told(&next(watching).await));
    }
    read
}

pub(crate) async fn ev_2_every_watch_is_told_every_change_once_and_in_one_order<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let mut watches = Vec::new();
    for replica in 0..4 {
        watches.push(cluster.watch_from_now(replica).await);
    }
    let changes = work(cluster).await;
    let first = read(&mut watches[0], changes).await;
    let mut live = BTreeMap::new();
    first.iter().for_each(|told| follow(&mut live, told));
    assert_eq!(live, by_phone(&cluster.sessions().await));
    for watching in &mut watches[1..] {
        assert_eq!(read(watching, changes).await, first);
    }
    // What comes next is what happens next.
    let last = cluster.log_in(1, 4, 0).await;
    for watching in &mut watches {
        let told = read(watching, 2).await;
        assert!(
            matches!(&told[..], [Told::Out { .. }, Told::In { session, .. }] if *session == last.session_id)
        );
    }
}

pub(crate) async fn ev_2_a_watch_that_resumes_anywhere_misses_nothing_and_repeats_nothing<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let mut watching = cluster.watch(0, "").await;
    let begun = next(&mut watching).await;
    assert!(matches!(begun.message, Some(Message::SnapshotDone(_))));
    let changes = work(cluster).await;
    let (mut all, mut tokens) = (Vec::new(), vec![begun.resume_token]);
    while all.len() < changes {
        let message = next(&mut watching).await;
        all.push(told(&message));
        tokens.push(message.resume_token);
    }
    for (number, token) in tokens.iter().enumerate().step_by(3) {
        let mut resumed = cluster.watch(number, token).await;
        assert_eq!(read(&mut resumed, changes - number).await, all[number..], "resumed after {number}");
    }
    cluster.restart().await;
    let half = changes / 2;
    let mut resumed = cluster.watch(1, &tokens[half]).await;
    assert_eq!(
        read(&mut resumed, changes - half).await,
        all[half..],
        "and after all replicas have begun anew"
    );
}

pub(crate) async fn ev_2_a_snapshot_and_what_follows_it_give_the_present<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    const { assert!(USERS > 2, "two of them work, and another marks the end") };
    let begin = async {
        let mut begun = Vec::new();
        for replica in 0..6 {
            begun.push(cluster.watch(replica, "").await);
        }
        begun
    };
    let (_, watches) = tokio::join!(work(cluster), begin);
    let end = cluster.log_in(0, 4, 0).await;
    let present = by_phone(&cluster.sessions().await);
    for mut watching in watches {
        let mut live = BTreeMap::new();
        let mut snapshot = true;
        loop {
            let message = next(&mut watching).await;
            match message.message.as_ref().unwrap() {
                Message::Snapshot(session) => {
                    live.insert(session.phone.clone(), session.session_id.clone());
                }
                Message::SnapshotDone(_) => snapshot = false,
                _ => {
                    assert!(!snapshot, "the snapshot comes first");
                    let told = told(&message);
                    follow(&mut live, &told);
                    if matches!(&told, Told::In { session, .. } if *session == end.session_id) {
                        break;
                    }
                }
            }
        }
        assert_eq!(live, present);
    }
}
