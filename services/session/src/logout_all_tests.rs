//! Tests of the pace of a logout of many sessions, with time that stands still until it is waited for.

use async_trait::async_trait;
use futures::StreamExt;
use roamline_domain::LineName;
use roamline_domain::directory::UserLoginTime;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::{AgentStateGuard, ServiceParameters};
use roamline_domain::phone_state::{AgentState, Configuration};
use roamline_proto::auth::{Credential, PrincipalKind};
use roamline_serve::{Clock, Ids, Tasks};
use roamline_store::memory::MemoryStore;
use roamline_token::{Caller, scopes_of};
use tokio::time::Instant;

use super::*;
use crate::{LoginFacts, LogoutFacts, Peers, Prepared, SessionConfig, Stores, login};

/// A directory that knows every phone and user, and blocks logouts of agents who are at work.
struct Directory;

fn policy() -> ServiceParameters {
    ServiceParameters { agent_state_guard: AgentStateGuard::Block, ..ServiceParameters::default() }
}

#[async_trait]
impl Peers for Directory {
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        _profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal> {
        let prepared = Prepared {
            rendering: Rendering {
                profile: user_id.parse().unwrap(),
                configuration: Configuration(Vec::new()),
                reset: false,
                lines: Vec::new(),
                acd_line: None,
                primary_extension: None,
                idle_limit: None,
                logout_configuration: Configuration(Vec::new()),
            },
            contact_centre: None,
            findings: Vec::new(),
        };
        Ok(LoginFacts {
            phone: phone.clone(),
            user: user_id.parse().unwrap(),
            prepared: Ok(Box::new(prepared)),
            user_login_time: UserLoginTime::Cluster,
            policy: policy(),
            owner: None,
            refuse_off_hook: false,
        })
    }

    async fn prepare_logout(&self, _phone: &PhoneName) -> Result<LogoutFacts, Refusal> {
        Ok(LogoutFacts { configuration: Configuration(Vec::new()), policy: policy() })
    }

    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        Ok(policy())
    }

    async fn set_do_not_disturb(&self, _profile: &ProfileName, _on: bool) -> Result<(), Refusal> {
        Ok(())
    }

    async fn line_exists(&self, _line: &LineName) -> Result<(), Refusal> {
        Ok(())
    }

    async fn verify(&self, _user_id: &str, _credential: Credential) -> Result<(), Refusal> {
        Ok(())
    }
}

fn administrator() -> Asker {
    let kind = PrincipalKind::Administrator;
    let scopes = scopes_of(kind).iter().map(|scope| (*scope).to_owned()).collect();
    Asker::new(Caller { name: "admin".into(), kind, scopes, source: None }, false, "", "")
}

fn phone(number: u32) -> PhoneName {
    format!("SEP{number:012X}").parse().unwrap()
}

/// A service with so many sessions, of user0 and so on, and the tasks of its process.
async fn with_sessions(number: u32) -> (Arc<Core>, Tasks) {
    let (clock, _) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let store = Arc::new(MemoryStore::new());
    let stores = Stores { sessions: store.clone(), audit: store };
    let tasks = Tasks::new();
    let config = SessionConfig::default();
    let core = crate::Session::start(config, stores, Arc::new(Directory), clock, Ids::new(), &tasks).core;
    for number in 0..number {
        let asked = login::Asked {
            phone: phone(number),
            user_id: format!("user{number}"),
            credential: None,
            profile: None,
            duration: None,
            take_over: false,
            request: None,
            fingerprint: Vec::new(),
        };
        core.login(&asked, &administrator(), |_| Vec::new()).await.unwrap();
    }
    (core, tasks)
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

#[tokio::test(start_paused = true)]
async fn cc_9_and_lo_8_agents_at_work_are_left_alone_and_counted_unless_it_is_forced() {
    let (core, _tasks) = with_sessions(3).await;
    core.report_agent_state(&"user1".parse().unwrap(), AgentState::Talking).await.unwrap();
    let told: Vec<_> = run(&core, everybody(10), administrator()).await.unwrap().collect().await;
    let last = told.last().unwrap().as_ref().unwrap();
    assert_eq!((last.total, last.ended, last.busy), (3, 2, 1));
    let force = Asked { force: Some("fire drill".parse().unwrap()), ..everybody(10) };
    let told: Vec<_> = run(&core, force, administrator()).await.unwrap().collect().await;
    assert_eq!(told.last().unwrap().as_ref().unwrap().ended, 1);
    assert!(core.live(None, None).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lo_8_what_ended_meanwhile_is_counted_as_gone_and_a_session_that_came_is_left_alone() {
    let (core, _tasks) = with_sessions(2).await;
    let mut stream = Box::pin(run(&core, everybody(10), administrator()).await.unwrap());
    stream.next().await.unwrap().unwrap();
    let asked = login::Asked {
        phone: phone(0),
        user_id: "late".into(),
        credential: None,
        profile: None,
        duration: None,
        take_over: true,
        request: None,
        fingerprint: Vec::new(),
    };
    core.login(&asked, &administrator(), |_| Vec::new()).await.unwrap();
    let told: Vec<_> = stream.map(|told| told.unwrap()).collect().await;
    let last = told.last().unwrap();
    assert_eq!((last.total, last.ended, last.gone, last.done), (2, 1, 1, true));
    assert_eq!(core.live(None, None).await.unwrap()[0].0, phone(0));
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
    assert_eq!(core.live(None, None).await.unwrap().len(), 2);
}
