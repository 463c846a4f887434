//! Many ask at once for what one can have.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use roamline_domain::parameters::{MultipleLogin, OccupiedPhone};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::{self as wire, LogoutReason};
use tonic::{Response, Status};

use crate::backend::Backend;
use crate::cluster::{Cluster, by_phone, follow, login, logout, next, reason, split, told};
use crate::site::{PHONES, USERS, user_name};

type Answers = Vec<Result<Response<wire::LoginResponse>, Status>>;

/// Sends all of them at once, to the replicas in turn.
async fn at_once<B: Backend>(cluster: &Cluster<B>, requests: Vec<wire::LoginRequest>) -> Answers {
    let requests = requests.into_iter().enumerate();
    join_all(requests.map(|(number, request)| {
        let mut client = cluster.administrator(number);
        async move { client.login(request).await }
    }))
    .await
}

pub(crate) async fn of_all_who_log_in_to_one_phone_at_once_one_is_let_in<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.set(|parameters| parameters.occupied_phone = OccupiedPhone::Refuse);
    for phone in 0..PHONES {
        // Each user asks once: one who asks again has himself logged out, and takes his own place.
        let (made, refused) =
            split(at_once(cluster, (0..USERS).map(|user| login(user, phone)).collect()).await);
        assert_eq!(made.len(), 1);
        let winner = made[0].session.as_ref().unwrap();
        for refused in refused {
            assert_eq!(refused.reason, ErrorReason::PhoneOccupied, "{}", refused.message);
            assert_eq!(refused.metadata["userId"], winner.user_id, "it says who holds the phone");
        }
        let sessions = cluster.sessions().await;
        assert_eq!(sessions.len(), 1);
        assert_eq!(sessions[0].session_id, winner.session_id);
        cluster.administrator(1).logout(logout(phone)).await.unwrap();
    }
}

pub(crate) async fn li_9_a_user_who_logs_in_at_four_phones_at_once_gets_one<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.set(|parameters| parameters.multiple_login = MultipleLogin::NotAllowed);
    for user in 0..USERS {
        let (made, refused) =
            split(at_once(cluster, (0..PHONES).map(|phone| login(user, phone)).collect()).await);
        assert_eq!((made.len(), refused.len()), (1, PHONES - 1));
        let winner = made[0].session.as_ref().unwrap();
        for refused in refused {
            assert_eq!(refused.reason, ErrorReason::LoggedInElsewhere, "{}", refused.message);
            assert_eq!(refused.metadata["phone"], winner.phone, "it says where he is");
        }
        let sessions = cluster.sessions().await;
        assert_eq!(sessions.len(), 1);
        let target = wire::logout_request::Target::SessionId(winner.session_id.clone());
        let logout = wire::LogoutRequest { target: Some(target), ..Default::default() };
        cluster.administrator(user).logout(logout).await.unwrap();
    }
}

pub(crate) async fn li_9_with_auto_logout_every_session_but_the_last_ends_once<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.set(|parameters| parameters.multiple_login = MultipleLogin::AutoLogout);
    let mut watching = cluster.watch_from_now(1).await;
    let requests = (0..4 * PHONES).map(|number| login(0, number % PHONES)).collect();
    let (made, refused) = split(at_once(cluster, requests).await);
    assert_eq!((made.len(), refused.len()), (4 * PHONES, 0));
    let ids: BTreeSet<_> =
        made.iter().map(|made| made.session.as_ref().unwrap().session_id.clone()).collect();
    assert_eq!(ids.len(), made.len(), "an id is used once");
    let mut ended = BTreeSet::new();
    for out in made.iter().flat_map(|made| &made.ended_sessions) {
        let is_right = [LogoutReason::LoggedInElsewhere, LogoutReason::User].contains(&out.reason());
        assert!(is_right, "{:?}", out.reason());
        assert!(ended.insert(out.session.as_ref().unwrap().session_id.clone()), "each ends for one login");
    }
    let sessions = cluster.sessions().await;
    assert_eq!(sessions.len(), 1);
    let left: Vec<_> = ids.difference(&ended).collect();
    assert_eq!(left, [&sessions[0].session_id]);
    let mut live = BTreeMap::new();
    for _ in 0..ids.len() + ended.len() {
        follow(&mut live, &told(&next(&mut watching).await));
        assert!(live.len() <= 1, "he is nowhere twice, at no moment");
    }
    assert_eq!(live, by_phone(&sessions));
}

pub(crate) async fn cc_7_an_acd_line_that_is_raced_for_is_worn_on_one_phone<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    // Of the site's users, these two have one ACD line.
    for round in 0..4 {
        let requests = vec![login(2, round % PHONES), login(3, (round + 1) % PHONES)];
        let (made, refused) = split(at_once(cluster, requests).await);
        assert_eq!(made.len(), 1);
        assert_eq!(refused[0].reason, ErrorReason::LineInUse, "{}", refused[0].message);
        let winner = made[0].session.as_ref().unwrap();
        assert_eq!(
            (&refused[0].metadata["userId"], &refused[0].metadata["phone"]),
            (&winner.user_id, &winner.phone)
        );
        let place = if winner.user_id == user_name(2) { round % PHONES } else { (round + 1) % PHONES };
        cluster.administrator(round).logout(logout(place)).await.unwrap();
    }
}

pub(crate) async fn sp_13_of_those_who_take_a_phone_over_at_once_each_ends_the_one_before<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let mut watching = cluster.watch_from_now(0).await;
    let requests = (0..USERS).map(|user| wire::LoginRequest { take_over: true, ..login(user, 0) }).collect();
    let (made, refused) = split(at_once(cluster, requests).await);
    assert_eq!((made.len(), refused.len()), (USERS, 0));
    let ended: usize = made.iter().map(|made| made.ended_sessions.len()).sum();
    assert_eq!(ended, USERS - 1);
    let epochs: BTreeSet<_> = made.iter().map(|made| made.session.as_ref().unwrap().phone_epoch).collect();
    assert_eq!(epochs.len(), USERS, "each has an epoch of its own");
    let mut live = BTreeMap::new();
    for _ in 0..made.len() + ended {
        follow(&mut live, &told(&next(&mut watching).await));
    }
    assert_eq!(live, by_phone(&cluster.sessions().await));
}

pub(crate) async fn of_sixteen_logouts_of_one_session_at_once_one_is_made<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.log_in(0, 0, 0).await;
    let answers = join_all((0..16).map(|number| {
        let mut client = cluster.administrator(number);
        async move { client.logout(logout(0)).await }
    }));
    let (made, refused) = split(answers.await);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|refused| refused.reason == ErrorReason::NotLoggedIn));
    assert!(cluster.sessions().await.is_empty());
}

pub(crate) async fn the_epoch_of_a_phone_grows_and_a_logout_from_before_the_session_is_stale<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let mut last = 0;
    for round in 0..4 {
        let session = cluster.log_in(round, 0, 0).await;
        assert!(session.phone_epoch > last);
        if last > 0 {
            let late = wire::LogoutRequest { phone_epoch: last, ..logout(0) };
            let refused = cluster.administrator(round + 1).logout(late).await.unwrap_err();
            assert_eq!(reason(&refused), ErrorReason::PhoneEpochStale);
        }
        let known = wire::LogoutRequest { phone_epoch: session.phone_epoch, ..logout(0) };
        let out = cluster.administrator(round + 1).logout(known).await.unwrap().into_inner();
        let ended = out.ended_session.unwrap();
        assert!(ended.phone_epoch > session.phone_epoch);
        assert_eq!(ended.session.unwrap().session_id, session.session_id);
        last = ended.phone_epoch;
    }
}
