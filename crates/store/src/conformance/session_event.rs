//! What others are told: in order, without gaps, and consistent with snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roamline_domain::PhoneName;
use roamline_domain::phone_state::{Actor, RefreshedSession, Session, SessionEvent};
use tokio::task::JoinSet;

use super::fixture::{Agent, agent, at, change, log_in, log_out, phone, reply, since};
use crate::{About, EventsError, Keep, SessionStore, Snapshot, StoredEvent};

fn places(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.sequence).collect()
}

/// Or the last place before, where there was nothing to tell.
pub async fn a_commit_returns_the_place_of_its_last_event(store: Arc<impl SessionStore>) {
    let read = store.load(&About::phone(phone(9))).await.unwrap();
    let mut silent = agent(9).login(read);
    silent.events.clear();
    assert_eq!(store.commit(silent).await.unwrap(), 0);
    let login = agent(1).login(store.load(&agent(1).about(1)).await.unwrap());
    assert_eq!(store.commit(login).await.unwrap(), 1);
    let takeover = agent(2).login(store.load(&agent(2).about(1)).await.unwrap());
    assert_eq!(takeover.events.len(), 2);
    assert_eq!(store.commit(takeover).await.unwrap(), 3);
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    let state = read.held.phone.acknowledged(1).unwrap().unwrap();
    let mut answered = change(read, state);
    answered.reply = Some(reply("r", 100));
    assert_eq!(store.commit(answered).await.unwrap(), 3);
}

/// From 1, and in the order within a commit.
pub async fn events_have_places_from_1_without_gaps_in_the_order_of_commits(store: Arc<impl SessionStore>) {
    let mut told = log_in(&store, 1, &agent(1)).await.events;
    told.extend(log_in(&store, 1, &agent(2)).await.events);
    told.extend(log_out(&store, 1).await.events);
    assert!(matches!(told[1], SessionEvent::LoggedOut(_)) && matches!(told[2], SessionEvent::LoggedIn(_)));
    let events = store.events(0, 100).await.unwrap().events;
    assert_eq!(places(&events), vec![1, 2, 3, 4]);
    assert_eq!(events.into_iter().map(|event| event.event).collect::<Vec<_>>(), told);
}

/// Sessions, their ends, and who refreshed them (EV-1) come back as they were told.
pub async fn events_keep_every_field(store: Arc<impl SessionStore>) {
    let login = log_in(&store, 1, &agent(1).on_line(1).lasting(Duration::new(60, 5))).await;
    let mut logout = super::fixture::logout(store.load(&About::phone(phone(1))).await.unwrap());
    logout.events.push(SessionEvent::Redressed(phone(1)));
    let actor = Actor { name: "admin".into(), source: "::1".into(), ..Actor::default() };
    let session = login.events[0].session().unwrap().clone();
    logout.events.push(SessionEvent::Refreshed(RefreshedSession { session, actor }));
    store.commit(logout.clone()).await.unwrap();
    let events = store.events(0, 10).await.unwrap().events;
    let event = |sequence, at, event: &SessionEvent| StoredEvent { sequence, at, event: event.clone() };
    let expected = vec![
        event(1, login.at, &login.events[0]),
        event(2, logout.at, &logout.events[0]),
        event(3, logout.at, &logout.events[1]),
        event(4, logout.at, &logout.events[2]),
    ];
    assert_eq!(events, expected);
}

/// A page ends at the limit, the next begins after it.
pub async fn events_are_paged_from_any_place(store: Arc<impl SessionStore>) {
    for number in 1..=7 {
        log_in(&store, number, &agent(number)).await;
    }
    assert_eq!(places(&store.events(0, 3).await.unwrap().events), vec![1, 2, 3]);
    assert_eq!(places(&store.events(3, 3).await.unwrap().events), vec![4, 5, 6]);
    assert_eq!(places(&store.events(6, 3).await.unwrap().events), vec![7]);
}

/// Empty, not an error; in an empty store too.
pub async fn there_are_no_events_after_the_last(store: Arc<impl SessionStore>) {
    assert!(store.events(0, 10).await.unwrap().events.is_empty());
    log_in(&store, 1, &agent(1)).await;
    assert!(store.events(1, 10).await.unwrap().events.is_empty());
}

/// A token of another store is known as one.
pub async fn a_place_not_reached_is_ahead(store: Arc<impl SessionStore>) {
    assert!(matches!(store.events(1, 10).await, Err(EventsError::Ahead { after: 1 })));
    log_in(&store, 1, &agent(1)).await;
    for far in [2, u64::MAX] {
        assert!(matches!(store.events(far, 10).await, Err(EventsError::Ahead { after }) if after == far));
    }
}

/// However commits meet, each event has a place of its own.
pub async fn events_of_concurrent_commits_have_no_gap(store: Arc<impl SessionStore>) {
    log_in_concurrently(&store, 100).join_all().await;
    let events = store.events(0, 1_000).await.unwrap().events;
    assert_eq!(places(&events), (1..=100).collect::<Vec<_>>());
    let phones: std::collections::BTreeSet<_> = events.iter().map(|event| event.event.phone()).collect();
    assert_eq!(phones.len(), 100);
}

fn log_in_concurrently(store: &Arc<impl SessionStore>, phones: u32) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 1..=phones {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            log_in(&store, number, &agent(number)).await;
        });
    }
    tasks
}

/// A watcher that begins with a snapshot and goes on with events misses nothing and hears nothing twice.
pub async fn a_snapshot_and_the_events_after_it_give_the_present(store: Arc<impl SessionStore>) {
    let mut churn = JoinSet::new();
    for number in 1..=20 {
        let store = Arc::clone(&store);
        churn.spawn(async move {
            let who: Agent = agent(number);
            log_in(&store, number, &who).await;
            log_out(&store, number).await;
            log_in(&store, number, &who).await;
        });
    }
    let mut snapshots = vec![store.snapshot(None).await.unwrap()];
    while churn.join_next().await.is_some() {
        snapshots.push(store.snapshot(None).await.unwrap());
    }
    let present = live(&store.snapshot(None).await.unwrap());
    for snapshot in snapshots {
        let mut seen = live(&snapshot);
        for event in store.events(snapshot.sequence, 1_000).await.unwrap().events {
            match event.event {
                SessionEvent::LoggedIn(session) => {
                    assert!(seen.insert(session.phone.clone(), session).is_none(), "told twice");
                }
                SessionEvent::LoggedOut(ended) => {
                    assert_eq!(seen.remove(&ended.session.phone), Some(ended.session));
                }
                _ => {}
            }
        }
        assert_eq!(seen, present);
    }
}

fn live(snapshot: &Snapshot) -> BTreeMap<PhoneName, Session> {
    let sessions =
        snapshot.phones.iter().map(|state| (state.phone.clone(), state.session.as_ref().unwrap().told()));
    sessions.collect()
}

/// Who asks for what is gone is told so, and what is the oldest.
pub async fn trimmed_events_are_too_old(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1)).await;
    log_in(&store, 2, &agent(2)).await;
    log_out(&store, 1).await;
    log_out(&store, 2).await;
    store.trim(at(60), since(at(0))).await.unwrap();
    assert_eq!(places(&store.events(0, 10).await.unwrap().events), vec![1, 2, 3, 4], "kept since then");
    store.trim(at(60), since(at(60))).await.unwrap();
    for after in [0, 1] {
        let gone = store.events(after, 10).await;
        assert!(matches!(gone, Err(EventsError::TooOld { after: a, oldest: 3 }) if a == after), "{gone:?}");
    }
    assert_eq!(places(&store.events(2, 10).await.unwrap().events), vec![3, 4]);
}

/// Places go on where they were.
pub async fn trim_keeps_the_last_event_and_its_place(store: Arc<impl SessionStore>) {
    store.trim(at(1_000), since(at(1_000))).await.unwrap();
    for number in 1..=3 {
        log_in(&store, number, &agent(number)).await;
    }
    store.trim(at(1_000), since(at(1_000))).await.unwrap();
    assert_eq!(places(&store.events(2, 10).await.unwrap().events), vec![3]);
    assert_eq!(store.snapshot(None).await.unwrap().sequence, 3);
    log_in(&store, 4, &agent(4)).await;
    assert_eq!(places(&store.events(2, 10).await.unwrap().events), vec![3, 4]);
}

/// It is that of a snapshot, and of whatever is committed last.
pub async fn the_place_is_that_of_the_last_event(store: Arc<impl SessionStore>) {
    assert_eq!(store.place().await.unwrap(), 0);
    log_in(&store, 1, &agent(1)).await;
    let last = store.tell(vec![SessionEvent::Redressed(phone(7))], at(0)).await.unwrap();
    assert_eq!((last, store.place().await.unwrap()), (2, 2));
    store.trim(at(1_000), since(at(1_000))).await.unwrap();
    assert_eq!(store.place().await.unwrap(), 2);
    assert_eq!(store.snapshot(None).await.unwrap().sequence, 2);
}

/// An event that was decided early by its clock and committed late stays as long as those before it.
pub async fn trim_leaves_no_gap_where_clocks_disagree(store: Arc<impl SessionStore>) {
    for (number, decided) in [(1, 0), (2, 100), (3, 0), (4, 100)] {
        let mut commit = agent(number).login(store.load(&agent(number).about(number)).await.unwrap());
        commit.at = at(decided);
        store.commit(commit).await.unwrap();
    }
    store.trim(at(0), since(at(50))).await.unwrap();
    assert_eq!(places(&store.events(1, 10).await.unwrap().events), vec![2, 3, 4]);
    assert!(matches!(store.events(0, 10).await, Err(EventsError::TooOld { oldest: 2, .. })));
}

/// Whoever has not got them yet finds them, however old they are.
pub async fn trim_keeps_what_is_behind_nobody(store: Arc<impl SessionStore>) {
    for number in 1..=3 {
        log_in(&store, number, &agent(number)).await;
    }
    store.trim(at(1_000), Keep { since: at(1_000), after: 1 }).await.unwrap();
    assert_eq!(places(&store.events(1, 10).await.unwrap().events), vec![2, 3]);
    store.trim(at(1_000), Keep { since: at(0), after: 3 }).await.unwrap();
    assert_eq!(places(&store.events(1, 10).await.unwrap().events), vec![2, 3]);
}

/// They have the next places, as those of a commit.
pub async fn events_are_told_without_a_change(store: Arc<impl SessionStore>) {
    let login = log_in(&store, 1, &agent(1)).await;
    let before = store.snapshot(None).await.unwrap();
    let told = [SessionEvent::Redressed(phone(7)), SessionEvent::Redressed(phone(8))];
    assert_eq!(store.tell(told.to_vec(), at(70)).await.unwrap(), 3);
    let after = store.snapshot(None).await.unwrap();
    assert_eq!((after.phones, after.sequence), (before.phones, 3));
    assert_eq!(*store.latest().borrow(), 3);
    let events = store.events(0, 10).await.unwrap().events;
    assert_eq!(
        events.iter().map(|event| &event.event).collect::<Vec<_>>(),
        [&login.events[0], &told[0], &told[1]]
    );
    assert_eq!(events[2].at, at(70));
}

/// What is there is never begun anew.
pub async fn a_store_that_is_begun_is_not_begun_again(store: Arc<impl SessionStore>) {
    assert!(store.is_begun().await.unwrap());
    log_in(&store, 1, &agent(1)).await;
    let before = store.snapshot(None).await.unwrap();
    assert!(!store.begin(Vec::new(), 1_000).await.unwrap());
    assert_eq!(store.snapshot(None).await.unwrap(), before);
}

/// And not with a commit that tells nothing.
pub async fn latest_changes_with_each_event(store: Arc<impl SessionStore>) {
    let mut latest = store.latest();
    assert_eq!(*latest.borrow_and_update(), 0);
    log_in(&store, 1, &agent(1)).await;
    let wait = tokio::time::timeout(Duration::from_secs(30), latest.changed());
    wait.await.expect("latest changes").unwrap();
    assert_eq!(*latest.borrow_and_update(), 1);
    assert_eq!(*store.latest().borrow(), 1, "known to who comes later");

    let read = store.load(&About::phone(phone(1))).await.unwrap();
    let state = read.held.phone.acknowledged(1).unwrap().unwrap();
    store.commit(change(read, state)).await.unwrap();
    assert!(!latest.has_changed().unwrap());

    log_in_concurrently(&store, 20).join_all().await;
    assert_eq!(*latest.borrow_and_update(), 22, "one takeover and 19 more");
}
