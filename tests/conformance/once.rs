//! The same request id: one answer, and it happens once (LI-11).

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use roamline_domain::parameters::OccupiedPhone;
use roamline_proto::error::ErrorReason;
use roamline_proto::session as wire;

use crate::backend::Backend;
use crate::cluster::{Cluster, Told, login, logout, next, reason, split, told};

const AT_ONCE: usize = 16;

fn login_as(id: &str, user: usize, phone: usize) -> wire::LoginRequest {
    wire::LoginRequest { request_id: id.into(), ..login(user, phone) }
}

pub(crate) async fn li_11_a_login_that_is_sent_sixteen_times_at_once_happens_once<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let mut watching = cluster.watch_from_now(0).await;
    for round in 0..3 {
        let request = login_as(&format!("r{round}"), 0, 0);
        let answers = join_all((0..AT_ONCE).map(|number| {
            let (mut client, request) = (cluster.administrator(number), request.clone());
            async move { client.login(request).await }
        }));
        let (answers, refused) = split(answers.await);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "it is made once");
        let ids = answers.iter().map(|answer| answer.session.as_ref().unwrap().session_id.as_str());
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 1, "and all hear of that one");
        assert!(matches!(told(&next(&mut watching).await), Told::In { .. }));
        cluster.administrator(round).logout(logout(0)).await.unwrap();
        assert!(matches!(told(&next(&mut watching).await), Told::Out { .. }), "nothing else happened");
    }
}

pub(crate) async fn li_11_a_logout_that_is_sent_sixteen_times_at_once_happens_once<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    for round in 0..3 {
        let session = cluster.log_in(round, 0, 0).await;
        let request = wire::LogoutRequest { request_id: format!("r{round}"), ..logout(0) };
        let answers = join_all((0..AT_ONCE).map(|number| {
            let (mut client, request) = (cluster.administrator(number), request.clone());
            async move { client.logout(request).await }
        }));
        let (answers, refused) = split(answers.await);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "it is made once");
        for answer in answers {
            let ended = answer.ended_session.unwrap().session.unwrap();
            assert_eq!(ended.session_id, session.session_id);
        }
    }
}

pub(crate) async fn li_11_of_two_requests_with_one_id_one_is_told_that_it_is_used<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    for round in 0..4 {
        let id = format!("r{round}");
        let (mut one, mut other) = (cluster.administrator(0), cluster.administrator(1));
        let (one, other) = tokio::join!(one.login(login_as(&id, 0, 0)), other.login(login_as(&id, 1, 1)));
        let (made, refused) = split(vec![one, other]);
        assert_eq!(made.len(), 1);
        assert_eq!(refused[0].reason, ErrorReason::RequestIdReused, "{}", refused[0].message);
        let sessions = cluster.sessions().await;
        assert_eq!(sessions.len(), 1);
        let phone = usize::from(sessions[0].user_id != crate::site::user_name(0));
        cluster.administrator(round).logout(logout(phone)).await.unwrap();
    }
}

pub(crate) async fn li_11_an_answer_is_remembered_for_ten_minutes_by_every_replica<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let first = cluster.administrator(0).login(login_as("r", 0, 0)).await.unwrap().into_inner();
    cluster.administrator(1).logout(logout(0)).await.unwrap();
    // Somebody else is there now: that the repeat would be refused is no matter, since it is not made again.
    cluster.set(|parameters| parameters.occupied_phone = OccupiedPhone::Refuse);
    cluster.log_in(0, 1, 0).await;
    cluster.advance(Duration::from_secs(599));
    for replica in 0..2 {
        let again = cluster.administrator(replica).login(login_as("r", 0, 0)).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!(again.session, first.session);
    }
    cluster.restart().await;
    assert!(cluster.administrator(0).login(login_as("r", 0, 0)).await.unwrap().into_inner().replayed);
    cluster.advance(Duration::from_secs(2));
    let later = cluster.administrator(1).login(login_as("r", 0, 0)).await.unwrap_err();
    assert_eq!(reason(&later), ErrorReason::PhoneOccupied, "it is a request of its own then");
}

pub(crate) async fn li_11_a_refusal_is_not_remembered<B: Backend>(cluster: &mut Cluster<B>) {
    cluster.set(|parameters| parameters.occupied_phone = OccupiedPhone::Refuse);
    cluster.log_in(0, 1, 0).await;
    let refused = cluster.administrator(0).login(login_as("r", 0, 0)).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::PhoneOccupied);
    cluster.administrator(1).logout(logout(0)).await.unwrap();
    let made = cluster.administrator(1).login(login_as("r", 0, 0)).await.unwrap().into_inner();
    assert!(!made.replayed);
}
