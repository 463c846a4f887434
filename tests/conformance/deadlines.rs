//! Sessions that end by themselves: at their instant, and once.

use std::collections::BTreeMap;
use std::time::Duration;

use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{self as wire, HookState, LogoutReason};

use crate::backend::Backend;
use crate::cluster::{Cluster, Watching, login, next};
use crate::site::{PHONES, phone_name};

/// As fine as every store keeps a deadline, which it rounds up.
const MICROSECOND: Duration = Duration::from_micros(1);

fn lasting(user: usize, phone: usize, time: Duration) -> wire::LoginRequest {
    let duration = prost_types::Duration::try_from(time).unwrap();
    wire::LoginRequest { duration: Some(duration), ..login(user, phone) }
}

/// The next session that is told to have ended, and why.
async fn ended(watching: &mut Watching) -> (String, LogoutReason) {
    match next(watching).await.message.unwrap() {
        Message::LoggedOut(ended) => (ended.session.as_ref().unwrap().session_id.clone(), ended.reason()),
        other => panic!("nobody expects {other:?}"),
    }
}

pub(crate) async fn lo_5_a_session_ends_at_its_instant_and_once_whichever_replica_sweeps<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    let minute = Duration::from_secs(60);
    // One user of each ACD line.
    for (phone, user) in [(0, 0), (1, 1), (2, 2), (3, 4)] {
        cluster.administrator(phone).login(lasting(user, phone, minute)).await.unwrap();
    }
    let sessions = cluster.sessions().await;
    let mut watching = cluster.watch_from_now(0).await;
    cluster.advance(minute - MICROSECOND);
    cluster.sweep().await;
    assert_eq!(cluster.sessions().await.len(), PHONES, "not a microsecond before");
    cluster.advance(MICROSECOND);
    cluster.sweep().await;
    assert!(cluster.sessions().await.is_empty());
    let mut told = BTreeMap::new();
    for _ in &sessions {
        let (session, reason) = ended(&mut watching).await;
        assert_eq!(told.insert(session, reason), None, "each ends once");
    }
    let expected = sessions.into_iter().map(|session| (session.session_id, LogoutReason::MaximumTime));
    assert_eq!(told, expected.collect());
    cluster.sweep().await;
    cluster.log_in(0, 0, 0).await;
    assert!(
        matches!(next(&mut watching).await.message, Some(Message::LoggedIn(_))),
        "and nothing is told twice"
    );
}

pub(crate) async fn lo_5_what_fell_due_while_nobody_looked_ends_at_the_next_look<B: Backend>(
    cluster: &mut Cluster<B>,
) {
    cluster.administrator(0).login(lasting(0, 0, Duration::from_secs(60))).await.unwrap();
    cluster.administrator(1).login(lasting(4, 1, Duration::from_secs(7200))).await.unwrap();
    cluster.restart().await;
    cluster.advance(Duration::from_secs(3600));
    cluster.restart().await;
    let mut watching = cluster.watch_from_now(1).await;
    cluster.sweep().await;
    assert_eq!(ended(&mut watching).await.1, LogoutReason::MaximumTime);
    let left = cluster.sessions().await;
    assert_eq!(left.iter().map(|session| session.phone.as_str()).collect::<Vec<_>>(), [phone_name(1)]);
}

pub(crate) async fn lo_6_a_handset_that_goes_up_moves_the_deadline<B: Backend>(cluster: &mut Cluster<B>) {
    let limit = Duration::from_secs(600);
    cluster.log_in(0, 1, 0).await;
    let report = |hook_state: HookState| wire::ReportPhoneRequest {
        phone: phone_name(0),
        hook_state: hook_state.into(),
        ..Default::default()
    };
    cluster.advance(limit - MICROSECOND);
    cluster.phones(1).report_phone(report(HookState::OffHook)).await.unwrap();
    cluster.advance(limit);
    cluster.sweep().await;
    assert_eq!(cluster.sessions().await.len(), 1, "nobody is idle who talks");
    cluster.phones(0).report_phone(report(HookState::OnHook)).await.unwrap();
    cluster.advance(limit - MICROSECOND);
    cluster.sweep().await;
    assert_eq!(cluster.sessions().await.len(), 1);
    let mut watching = cluster.watch_from_now(0).await;
    cluster.advance(MICROSECOND);
    cluster.sweep().await;
    assert_eq!(ended(&mut watching).await.1, LogoutReason::Idle);
    assert!(cluster.sessions().await.is_empty());
}
