//! One stream for many phones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session as wire;
use roamline_proto::session::watch_phones_request::Message as ToServer;
use roamline_proto::session::watch_phones_response::Message as ToAdapter;
use roamline_proto::session::{HookState, SessionState};
use roamline_store::SessionStore;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::harness::*;

/// A call control on one stream.
pub(crate) struct Adapter {
    say: Option<mpsc::UnboundedSender<wire::WatchPhonesRequest>>,
    told: tonic::Streaming<wire::WatchPhonesResponse>,
}

impl Adapter {
    pub(crate) async fn open(cluster: &Cluster) -> Self {
        let (say, said) = mpsc::unbounded_channel();
        let said = stream::unfold(said, |mut said| async move { Some((said.recv().await?, said)) });
        let told = cluster.phones().watch_phones(said).await.unwrap().into_inner();
        Self { say: Some(say), told }
    }

    pub(crate) fn say(&self, message: ToServer) {
        let request = wire::WatchPhonesRequest { message: Some(message) };
        self.say.as_ref().unwrap().send(request).unwrap();
    }

    pub(crate) fn watch(&self, phones: &[String]) {
        self.say(ToServer::Watch(wire::PhoneNames { phones: phones.to_vec() }));
    }

    fn acknowledge(&self, update: &wire::PhoneUpdate) {
        let phone = update.phone.clone();
        self.say(ToServer::Acknowledge(wire::AcknowledgePhoneRequest {
            phone,
            generation: update.generation,
        }));
    }

    fn report(&self, phone: &str, hook_state: HookState) {
        let hook_state = hook_state.into();
        self.say(ToServer::Report(wire::ReportPhoneRequest {
            phone: phone.into(),
            hook_state,
            ..Default::default()
        }));
    }

    async fn next(&mut self) -> ToAdapter {
        next(&mut self.told).await.expect("the stream goes on").expect("no refusal").message.unwrap()
    }
}

pub(crate) async fn update(adapter: &mut Adapter) -> wire::PhoneUpdate {
    match adapter.next().await {
        ToAdapter::Update(update) => update,
        other => panic!("no update: {other:?}"),
    }
}

async fn refusal(adapter: &mut Adapter) -> (String, ErrorReason) {
    match adapter.next().await {
        ToAdapter::Refusal(refusal) => (refusal.phone.clone(), refusal.reason()),
        other => panic!("no refusal: {other:?}"),
    }
}

fn phones(number: usize) -> Vec<String> {
    (0..number).map(|n| format!("SEP04{n:010}")).collect()
}

#[tokio::test]
async fn ev_3_a_call_control_serves_two_thousand_phones_on_one_stream() {
    let cluster = cluster().await;
    let all = phones(2100);
    let (watched, unwatched) = all.split_at(2000);
    let mut adapter = Adapter::open(&cluster).await;
    let began = Instant::now();
    adapter.watch(watched);
    let mut told = BTreeSet::new();
    while told.len() < watched.len() {
        let idle = update(&mut adapter).await;
        assert!(idle.session.is_none());
        adapter.acknowledge(&idle);
        assert!(told.insert(idle.phone), "each is told of once");
    }
    println!("{} phones were told of and acknowledged in {:?}", watched.len(), began.elapsed());

    let begin = |phone: &String| {
        let (mut client, request) = (cluster.administrator(), by_token(&phone.to_lowercase(), phone));
        async move { client.login(request).await.unwrap() }
    };
    let users = watched.iter().step_by(4).chain(unwatched);
    stream::iter(users).for_each_concurrent(16, |phone| async move { drop(begin(phone).await) }).await;
    let mut worn = BTreeSet::new();
    while worn.len() < 500 {
        let update = update(&mut adapter).await;
        assert_eq!(update.session.as_ref().unwrap().user_id, update.phone.to_lowercase());
        assert!(update.actions.as_ref().unwrap().restart);
        adapter.acknowledge(&update);
        assert!(watched.contains(&update.phone), "none of a phone that it does not serve");
        worn.insert(update.phone);
    }

    // The end of what the adapter says is the end of the stream, once all of it is done.
    adapter.say = None;
    assert!(next(&mut adapter.told).await.is_none());
    let mut states = BTreeMap::new();
    for state in cluster.store.list(None, None, 1000).await.unwrap() {
        *states
            .entry((watched.contains(&state.phone.to_string()), state.session_is_applied()))
            .or_insert(0) += 1;
    }
    assert_eq!(states, BTreeMap::from([((false, false), 100), ((true, true), 500)]));
}

#[tokio::test]
async fn ev_3_an_adapter_that_comes_back_to_another_replica_is_told_the_present_state() {
    let mut before = cluster().await;
    let names = phones(20);
    let mut adapter = Adapter::open(&before).await;
    adapter.watch(&names);
    for _ in &names {
        let idle = update(&mut adapter).await;
        adapter.acknowledge(&idle);
    }
    before.administrator().login(by_token("agent7", &names[3])).await.unwrap();
    let worn = update(&mut adapter).await;
    before.stop.take().unwrap().send(()).unwrap();
    let status = next(&mut adapter.told).await.unwrap().unwrap_err();
    assert_eq!(Refusal::from_status(&status).unwrap().reason, ErrorReason::ServiceUnavailable);

    let (script, clock, hand) = (before.script.clone(), before.clock.clone(), before.hand.clone());
    let after = replica(before.store.clone(), script, clock, hand).await;
    after.administrator().login(by_token("agent8", &names[4])).await.unwrap();
    let mut adapter = Adapter::open(&after).await;
    adapter.watch(&names);
    let mut users = BTreeMap::new();
    for _ in &names {
        let update = update(&mut adapter).await;
        if let Some(session) = update.session {
            users.insert(
                session.user_id,
                (update.phone.clone(), update.generation, update.actions.unwrap().restart),
            );
        }
    }
    let expected = [
        ("agent7".to_owned(), (names[3].clone(), worn.generation, true)),
        ("agent8".to_owned(), (names[4].clone(), 2, true)),
    ];
    assert_eq!(users, BTreeMap::from(expected), "what was not acknowledged is asked for again");
}

#[tokio::test]
async fn ev_3_an_adapter_follows_logins_that_another_replica_makes() {
    let one = cluster().await;
    let (script, clock, hand) = (one.script.clone(), one.clock.clone(), one.hand.clone());
    let other = replica(one.store.clone(), script, clock, hand).await;
    let mut adapter = Adapter::open(&one).await;
    adapter.watch(&[PHONE.into()]);
    update(&mut adapter).await;
    other.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let worn = update(&mut adapter).await;
    assert_eq!(worn.session.as_ref().unwrap().user_id, "agent7");
    let mut watching = watch(&mut other.administrator(), "").await;
    crate::watches::told(&mut watching).await;
    adapter.acknowledge(&worn);
    // The adapter hears nothing of its acknowledgement; the end of the stream tells that it was done.
    adapter.say = None;
    assert!(next(&mut adapter.told).await.is_none());
    assert_eq!(other.sessions().await[0].state(), SessionState::Active);
}

#[tokio::test]
async fn what_is_refused_of_one_phone_does_not_end_the_stream() {
    let cluster = cluster().await;
    let mut adapter = Adapter::open(&cluster).await;
    adapter.watch(&["desk".into(), PHONE.into()]);
    assert_eq!(refusal(&mut adapter).await, ("desk".into(), ErrorReason::InvalidRequest));
    let idle = update(&mut adapter).await;
    let ahead = wire::PhoneUpdate { generation: 9, ..idle.clone() };
    adapter.acknowledge(&ahead);
    assert_eq!(refusal(&mut adapter).await, (PHONE.into(), ErrorReason::GenerationUnknown));
    adapter.report(PHONE, HookState::Unspecified);
    assert_eq!(refusal(&mut adapter).await, (PHONE.into(), ErrorReason::InvalidRequest));
    adapter.report(OTHER, HookState::OffHook);
    assert_eq!(refusal(&mut adapter).await, (OTHER.into(), ErrorReason::PhoneNotFound));
    cluster.say(|script| script.logout = Some(Refusal::new(ErrorReason::PhoneNotFound, "scripted")));
    adapter.watch(&["00-12-da-8a-c4-3d".into()]);
    assert_eq!(refusal(&mut adapter).await, ("00-12-da-8a-c4-3d".into(), ErrorReason::PhoneNotFound));
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    assert_eq!(update(&mut adapter).await.session.unwrap().user_id, "agent7");
}

#[tokio::test]
async fn a_message_that_says_nothing_or_names_too_many_ends_the_stream() {
    let cluster = cluster().await;
    for message in [
        None,
        Some(ToServer::Watch(wire::PhoneNames::default())),
        Some(ToServer::Watch(wire::PhoneNames { phones: phones(10_001) })),
    ] {
        let said = stream::iter([wire::WatchPhonesRequest { message }]).chain(stream::pending());
        let mut told = cluster.phones().watch_phones(said).await.unwrap().into_inner();
        assert_eq!(reason(next(&mut told).await.unwrap()), ErrorReason::InvalidRequest);
    }
}

#[tokio::test]
async fn a_stream_serves_ten_thousand_phones_at_most() {
    let cluster = cluster().await;
    let mut adapter = Adapter::open(&cluster).await;
    adapter.watch(&phones(10_000));
    let mut told = 0;
    while told < 10_000 {
        update(&mut adapter).await;
        told += 1;
    }
    adapter.watch(&[PHONE.into()]);
    assert_eq!(refusal(&mut adapter).await, (PHONE.into(), ErrorReason::InvalidRequest));
    adapter.say(ToServer::Unwatch(wire::PhoneNames { phones: phones(1) }));
    adapter.watch(&[PHONE.into()]);
    assert_eq!(update(&mut adapter).await.phone, PHONE);
}

#[tokio::test]
async fn ev_3_a_phone_that_is_served_no_longer_is_not_told_of() {
    let cluster = cluster().await;
    let mut adapter = Adapter::open(&cluster).await;
    adapter.watch(&[PHONE.into(), OTHER.into()]);
    update(&mut adapter).await;
    update(&mut adapter).await;
    adapter.say(ToServer::Unwatch(wire::PhoneNames { phones: vec![PHONE.into()] }));
    // A refusal shows that everything before it was heard.
    adapter.watch(&["desk".into()]);
    refusal(&mut adapter).await;
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    cluster.administrator().login(by_token("agent8", OTHER)).await.unwrap();
    assert_eq!(update(&mut adapter).await.session.unwrap().user_id, "agent8");
    adapter.watch(&[PHONE.into()]);
    assert_eq!(update(&mut adapter).await.session.unwrap().user_id, "agent7");
}

#[tokio::test]
async fn what_is_said_of_a_phone_is_done_in_the_order_in_which_it_was_said() {
    let cluster = cluster().await;
    let adapter = Adapter::open(&cluster).await;
    adapter.watch(&[PHONE.into()]);
    for _ in 0..50 {
        adapter.report(PHONE, HookState::OnHook);
        adapter.report(PHONE, HookState::OffHook);
    }
    let Adapter { say, mut told } = adapter;
    drop(say);
    while let Some(message) = next(&mut told).await {
        assert!(matches!(message.unwrap().message, Some(ToAdapter::Update(_))), "a report may come at once");
    }
    let state = cluster.store.phone(&PHONE.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(state.hook, roamline_domain::phone_state::HookState::OffHook);
}

#[tokio::test]
async fn a_report_from_before_a_session_began_or_ended_is_stale() {
    let cluster = cluster().await;
    let mut adapter = Adapter::open(&cluster).await;
    adapter.watch(&[PHONE.into()]);
    let idle = update(&mut adapter).await;
    let report = |phone_epoch| wire::ReportPhoneRequest {
        phone: PHONE.into(),
        hook_state: HookState::OnHook.into(),
        phone_epoch,
        ..Default::default()
    };
    cluster.phones().report_phone(report(idle.phone_epoch)).await.unwrap();
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let worn = update(&mut adapter).await;
    let refused = cluster.phones().report_phone(report(idle.phone_epoch)).await;
    assert_eq!(metadata(refused)["phoneEpoch"], worn.phone_epoch.to_string());
    cluster.phones().report_phone(report(worn.phone_epoch)).await.unwrap();
    cluster.administrator().logout(logout(PHONE)).await.unwrap();
    let out = update(&mut adapter).await;
    let refused = cluster.phones().report_phone(report(worn.phone_epoch)).await;
    assert_eq!(reason(refused), ErrorReason::PhoneEpochStale);
    cluster.phones().report_phone(report(out.phone_epoch)).await.unwrap();
    cluster.phones().report_phone(report(0)).await.unwrap();
}

#[tokio::test]
async fn a_report_from_before_a_session_ended_is_stale_on_a_replica_that_did_not_see_it_end() {
    let before = cluster().await;
    let mut adapter = Adapter::open(&before).await;
    adapter.watch(&[PHONE.into()]);
    update(&mut adapter).await;
    before.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let worn = update(&mut adapter).await;
    before.administrator().logout(logout(PHONE)).await.unwrap();
    let out = update(&mut adapter).await;

    let (script, clock, hand) = (before.script.clone(), before.clock.clone(), before.hand.clone());
    let after = replica(before.store.clone(), script, clock, hand).await;
    let report = |phone_epoch, hook_state: HookState| wire::ReportPhoneRequest {
        phone: PHONE.into(),
        hook_state: hook_state.into(),
        phone_epoch,
        ..Default::default()
    };
    let late = after.phones().report_phone(report(worn.phone_epoch, HookState::OffHook)).await;
    assert_eq!(reason(late), ErrorReason::PhoneEpochStale);
    for hook in [HookState::OffHook, HookState::OnHook, HookState::OffHook] {
        after.phones().report_phone(report(out.phone_epoch, hook)).await.unwrap();
    }
    after.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    let late = after.phones().report_phone(report(out.phone_epoch, HookState::OnHook)).await;
    assert_eq!(reason(late), ErrorReason::PhoneEpochStale);
}

#[tokio::test]
async fn ev_3_a_silent_stream_shows_that_it_is_alive() {
    let (clock, hand) = roamline_serve::Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let store = std::sync::Arc::new(roamline_store::memory::MemoryStore::new());
    let stores = roamline_session::Stores { sessions: store.clone(), audit: store };
    let config =
        roamline_session::SessionConfig { heartbeat_every: Duration::from_secs(1), ..Default::default() };
    let cluster = replica_over(stores, config, Scripted::default(), clock, hand).await;
    let mut adapter = Adapter::open(&cluster).await;
    let heartbeat = timeout(Duration::from_secs(5), adapter.next()).await.expect("in time");
    assert!(matches!(heartbeat, ToAdapter::Heartbeat(_)));
}
