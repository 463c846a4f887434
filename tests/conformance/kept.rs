//! What is there afterwards: after a refusal, page by page, until it is acknowledged, and after the replicas have gone.

use std::time::Duration;

use roamline_domain::parameters::{ClearCallLogs, MultipleLogin, OccupiedPhone};
use roamline_proto::auth::{Credential, credential};
use roamline_proto::error::ErrorReason;
use roamline_proto::session as wire;

use crate::backend::Backend;
use crate::cluster::{Cluster, Told, by_phone, login, logout, next, reason, told};
use crate::site::{PHONES, phone_name};

pub(crate) async fn li_10_a_login_that_is_refused_leaves_nothing_behind<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.set(|parameters| {
        parameters.occupied_phone = OccupiedPhone::Refuse;
        parameters.multiple_login = MultipleLogin::NotAllowed;
    });
    cluster.log_in(0, 2, 0).await;
    let before = cluster.sessions().await;
    let (held, idle) = (cluster.look(0, 0).await, cluster.look(0, 1).await);
    let mut watching = cluster.watch_from_now(1).await;
    let wrong = Credential { kind: Some(credential::Kind::Password("wrong".into())) };
    let too_long = prost_types::Duration { seconds: 7_201, nanos: 0 };
    let refused = [
        (login(0, 0), ErrorReason::PhoneOccupied),
        (login(2, 1), ErrorReason::LoggedInElsewhere),
        (login(3, 1), ErrorReason::LineInUse),
        (wire::LoginRequest { credential: Some(wrong), ..login(0, 1) }, ErrorReason::CredentialRefused),
        (wire::LoginRequest { duration: Some(too_long), ..login(2, 0) }, ErrorReason::DurationTooLong),
        (login(0, PHONES), ErrorReason::PhoneNotFound),
    ];
    for (number, (request, expected)) in refused.into_iter().enumerate() {
        let status = cluster.administrator(number).login(request).await.unwrap_err();
        assert_eq!(reason(&status), expected, "{}", status.message());
    }
    assert_eq!(cluster.sessions().await, before);
    assert_eq!(
        (cluster.look(1, 0).await, cluster.look(1, 1).await),
        (held, idle),
        "no phone was told anything"
    );
    let session = cluster.log_in(1, 0, 1).await;
    let expected = Told::In { phone: phone_name(1), session: session.session_id };
    assert_eq!(told(&next(&mut watching).await), expected, "and nobody else");
}

pub(crate) async fn list_sessions_is_paged_in_the_order_of_phones_without_loss_or_repeat<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.set(|parameters| parameters.multiple_login = MultipleLogin::Allowed);
    for phone in (0..PHONES).rev() {
        cluster.log_in(phone, phone % 2, phone).await;
    }
    let all = cluster.sessions().await;
    assert_eq!(
        all.iter().map(|s| s.phone.clone()).collect::<Vec<_>>(),
        (0..PHONES).map(phone_name).collect::<Vec<_>>()
    );
    for page_size in 1..=3 {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        for replica in 0.. {
            let request =
                wire::ListSessionsRequest { page_size, page_token: page_token.clone(), ..Default::default() };
            let page = cluster.administrator(replica).list_sessions(request).await.unwrap().into_inner();
            assert!(page.sessions.len() <= page_size as usize);
            found.extend(page.sessions);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, all, "in pages of {page_size}");
    }
    let his = wire::ListSessionsRequest { user_id: all[1].user_id.clone(), ..Default::default() };
    let his = cluster.administrator(1).list_sessions(his).await.unwrap().into_inner().sessions;
    assert_eq!(by_phone(&his), by_phone(&[all[1].clone(), all[3].clone()]));
}

pub(crate) async fn ev_3_what_a_phone_must_do_adds_up_until_it_acknowledges_the_newest<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.set(|parameters| parameters.clear_call_logs = ClearCallLogs::EveryLogout);
    let acknowledge = |generation| wire::AcknowledgePhoneRequest { phone: phone_name(0), generation };
    let idle = cluster.look(0, 0).await;
    cluster.phones(1).acknowledge_phone(acknowledge(idle.generation)).await.unwrap();
    assert_eq!(cluster.look(0, 0).await.actions.unwrap(), wire::PhoneActions::default());
    cluster.log_in(0, 0, 0).await;
    cluster.administrator(1).logout(logout(0)).await.unwrap();
    let session = cluster.log_in(0, 1, 0).await;
    let shall = cluster.look(1, 0).await;
    assert_eq!(shall.session.as_ref().unwrap().session_id, session.session_id);
    assert!(shall.generation >= idle.generation + 3 && shall.phone_epoch > idle.phone_epoch);
    let actions = shall.actions.unwrap();
    assert!(actions.restart && actions.clear_call_history && actions.cancel_call_back, "{actions:?}");

    let older = cluster.phones(0).acknowledge_phone(acknowledge(shall.generation - 1)).await.unwrap();
    assert_eq!(older.into_inner().generation, shall.generation, "there is a newer one");
    assert!(cluster.look(1, 0).await.actions.unwrap().restart, "what is left to do is left");
    let ahead = cluster.phones(1).acknowledge_phone(acknowledge(shall.generation + 1)).await.unwrap_err();
    assert_eq!(reason(&ahead), ErrorReason::GenerationUnknown);
    cluster.phones(1).acknowledge_phone(acknowledge(shall.generation)).await.unwrap();
    assert_eq!(cluster.look(0, 0).await.actions.unwrap(), wire::PhoneActions::default());
    assert_eq!(cluster.sessions().await[0].state(), wire::SessionState::Active);
}

pub(crate) async fn what_was_acknowledged_is_there_after_all_replicas_have_begun_anew<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.log_in(0, 0, 0).await;
    cluster.advance(Duration::from_millis(1));
    cluster.log_in(1, 4, 2).await;
    cluster.log_in(0, 2, 3).await;
    cluster.administrator(1).logout(logout(3)).await.unwrap();
    let before = cluster.sessions().await;
    let phones = [cluster.look(0, 0).await, cluster.look(1, 3).await];
    let now = cluster.now();
    cluster.restart().await;
    assert_eq!((cluster.sessions().await, cluster.now()), (before, now));
    assert_eq!([cluster.look(1, 0).await, cluster.look(0, 3).await], phones);
    let again = cluster.log_in(1, 2, 3).await;
    assert!(again.phone_epoch > phones[1].phone_epoch, "epochs go on where they were");
}
