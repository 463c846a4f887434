//! Tests of the pace of a logout of many sessions, with time that stands still until it is waited for.

use futures::StreamExt;
use roamline_domain::phone_state::{AgentState, Asked as AskedFor, Refused, SessionEvent};
use roamline_proto::auth::PrincipalKind;
use roamline_serve::Tasks;
use roamline_token::scopes_of;
use tokio::time::Instant;

use super::*;
use crate::sample::{self, administrator, phone};

/// A service with so many sessions, of user0 and so on, and the tasks of its process.
async fn with_sessions(number: u32) -> (Arc<Core>, Tasks) {
    let (core, tasks) = sample::core();
    for number in 0..number {
        let asked = sample::login(&format!("user{number}"), phone(number));
        core.login(&asked, &administrator(), |_| ()).await.unwrap();
    }
    (core, tasks)
}

async fn refusals(core: &Core) -> Vec<Refused> {
    let events = core.store.events(0, 10_000).await.unwrap().events.into_iter();
    let refused = events.filter_map(|event| match event.event {
        SessionEvent::Refused(refused) => Some(refused),
        _ => None,
    });
    refused.collect()
}

fn everybody(rate: u32) -> Asked {
    Asked { user: None, profile: None, rate, force: None }
}

#[tokio::test(start_paused = true)]
async fn lo_8_phones_do_not_restart_faster_than_was_asked_for() {
    for rate in [1, 10, 1000] {
        let (core, _tasks) = with_sessions(25).await;
        let mut stream = Box::pin(run(&core, everybody(rate), administrator()).await.unwrap());
        let mut turns = Vec::new();
        let mut last = Progress::default();
        while let Some(told) = stream.next().await {
            last = told.unwrap();
            if last.turn.is_some() {
                turns.push(Instant::now());
            }
        }
        assert_eq!((last.total, last.ended, last.done, turns.len()), (25, 25, true, 25));
        let step = Duration::from_secs(1) / rate;
        assert!(turns.windows(2).all(|pair| pair[1] - pair[0] >= step), "{rate} a second");
        let taken = turns[24] - turns[0];
        assert!(taken <= step * 24 + Duration::from_millis(100), "{rate} a second took {taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lo_8_it_stops_when_nobody_reads_it_and_the_same_call_goes_on_with_the_rest() {
    let (core, _tasks) = with_sessions(5).await;
    let mut stream = Box::pin(run(&core, everybody(10), administrator()).await.unwrap());
    for ended in 0..=2 {
        assert_eq!(stream.next().await.unwrap().unwrap().ended, ended);
    }
    let Err(refused) = run(&core, everybody(10), administrator()).await.map(|_| ()) else {
        panic!("two at once")
    };
    assert_eq!(refused.reason, ErrorReason::LogoutAllRunning);
    assert_eq!(refused.metadata["startedBy"], "admin");
    drop(stream);
    tokio::time::advance(Duration::from_secs(60)).await;
    let rest = run(&core, everybody(10), administrator()).await.unwrap();
    let told: Vec<_> = rest.map(|told| told.unwrap()).collect().await;
    assert_eq!((told[0].total, told.last().unwrap().ended), (3, 3));
}

/// A user of that name, who may end nobody's sessions but his own.
fn user(name: &str) -> Asker {
    let kind = PrincipalKind::User;
    let scopes = scopes_of(kind).iter().map(|scope| (*scope).to_owned());
    let scopes = std::sync::Arc::new(scopes.collect());
    Asker::new(Caller { name: name.into(), kind, scopes, source: None }, false, "", "")
}

#[tokio::test(start_paused = true)]
async fn lo_8_who_may_not_end_everybodys_sessions_locks_out_no_administrator_and_is_told_no_names() {
    let (core, _tasks) = with_sessions(3).await;
    let mut own = Box::pin(run(&core, everybody(1), user("user1")).await.unwrap());
    assert_eq!(own.next().await.unwrap().unwrap().total, 1);
    let mut all = Box::pin(run(&core, everybody(10), administrator()).await.unwrap());
    assert_eq!(all.next().await.unwrap().unwrap().total, 3);
    let refused = run(&core, everybody(1), user("user2")).await.err().unwrap();
    assert_eq!(refused.reason, ErrorReason::LogoutAllRunning);
    assert_eq!(refused.metadata.get("startedBy"), None);
    drop(own);
    assert!(run(&core, everybody(1), user("user2")).await.is_ok());
    let others = Asked { user: Some("user1".parse().unwrap()), ..everybody(1) };
    let refused = run(&core, others, user("user2")).await.err().unwrap();
    assert_eq!(refused.reason, ErrorReason::ScopeMissing);
    let refused = run(&core, everybody(10), administrator()).await.err().unwrap();
    assert_eq!(refused.metadata["startedBy"], "admin");
}

#[tokio::test(start_paused = true)]
async fn cc_9_and_lo_8_agents_at_work_are_left_alone_and_counted_unless_it_is_forced() {
    let (core, _tasks) = with_sessions(3).await;
    core.report_agent_state(&"user1".parse().unwrap(), AgentState::Talking, None).await.unwrap();
    let told: Vec<_> = run(&core, everybody(10), administrator()).await.unwrap().collect().await;
    let last = told.last().unwrap().as_ref().unwrap();
    assert_eq!((last.total, last.ended, last.busy), (3, 2, 1));
    let [refused] = refusals(&core).await.try_into().expect("EV-1: the one that was refused is told of");
    assert_eq!((refused.what, refused.phone, refused.user.as_str()), (AskedFor::Logout, phone(1), "user1"));
    assert_eq!((refused.reason.as_str(), refused.actor.name.as_str()), ("AGENT_BUSY", "admin"));
    let force = Asked { force: Some("fire drill".parse().unwrap()), ..everybody(10) };
    let told: Vec<_> = run(&core, force, administrator()).await.unwrap().collect().await;
    assert_eq!(told.last().unwrap().as_ref().unwrap().ended, 1);
    assert!(core.live(&Within::default(), None).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn ev_1_every_refusal_of_a_logout_of_many_sessions_is_told_of_by_itself() {
    let (core, _tasks) = with_sessions(120).await;
    for number in 0..120 {
        let user = format!("user{number}").parse().unwrap();
        core.report_agent_state(&user, AgentState::Ready, None).await.unwrap();
    }
    let told: Vec<_> = run(&core, everybody(1000), administrator()).await.unwrap().collect().await;
    assert_eq!(told.last().unwrap().as_ref().unwrap().busy, 120);
    let refused = refusals(&core).await;
    assert!(refused.iter().all(|refused| refused.more == 0));
    let phones: Vec<_> = refused.into_iter().map(|refused| refused.phone).collect();
    assert_eq!(phones, (0..120).map(phone).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn lo_8_what_ended_meanwhile_is_counted_as_gone_and_a_session_that_came_is_left_alone() {
    let (core, _tasks) = with_sessions(2).await;
    let mut stream = Box::pin(run(&core, everybody(10), administrator()).await.unwrap());
    stream.next().await.unwrap().unwrap();
    core.login(&sample::login("late", phone(0)), &administrator(), |_| ()).await.unwrap();
    let told: Vec<_> = stream.map(|told| told.unwrap()).collect().await;
    let last = told.last().unwrap();
    assert_eq!((last.total, last.ended, last.gone, last.done), (2, 1, 1, true));
    assert_eq!(core.live(&Within::default(), None).await.unwrap()[0].0, phone(0));
}

#[tokio::test(start_paused = true)]
async fn lo_8_it_ends_when_the_process_stops() {
    let (core, tasks) = with_sessions(3).await;
    let mut stream = Box::pin(run(&core, everybody(1), administrator()).await.unwrap());
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    tasks.stop(Duration::from_secs(5)).await;
    let told = stream.next().await.unwrap().unwrap_err();
    assert_eq!(told.reason, ErrorReason::ServiceUnavailable);
    assert!(stream.next().await.is_none());
    assert_eq!(core.live(&Within::default(), None).await.unwrap().len(), 2);
}
