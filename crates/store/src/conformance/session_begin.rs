//! How a store that can lose everything is begun. These cases are given one that is not begun.

use std::sync::Arc;

use roamline_domain::login::Held;
use roamline_domain::phone_state::PhoneState;

use super::fixture::{agent, assert_moved, at, log_in, log_out, logout, phone, since, user};
use crate::{About, CommitError, EventsError, Guard, Loaded, SessionStore, StoreError, has_record};

/// A phone with that agent logged in, as it was at an epoch.
fn told(number: u32, epoch: u64) -> PhoneState {
    let held = PhoneState { epoch, generation: epoch, ..PhoneState::new(phone(number)) };
    let read = Loaded {
        held: Held { phone: held, others: Vec::new() },
        guards: Vec::new(),
        history: Arc::default(),
    };
    agent(number).login(read).states.remove(0)
}

/// Nothing is read, and nothing changed.
pub async fn a_store_that_is_not_begun_is_lost(store: Arc<impl SessionStore>) {
    assert!(!store.is_begun().await.unwrap());
    let read = Loaded {
        held: Held { phone: PhoneState::new(phone(1)), others: Vec::new() },
        guards: Vec::new(),
        history: Arc::default(),
    };
    let refused = store.commit(agent(1).login(read)).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Lost))), "{refused:?}");
    assert!(matches!(store.load(&About::phone(phone(1))).await, Err(StoreError::Lost)));
    assert!(matches!(store.phone(&phone(1)).await, Err(StoreError::Lost)));
    assert!(matches!(store.tell(Vec::new(), at(0)).await, Err(StoreError::Lost)));
    assert!(matches!(store.list(None, None, 1).await, Err(StoreError::Lost)));
    assert!(matches!(store.snapshot(None).await, Err(StoreError::Lost)));
    assert!(matches!(store.place().await, Err(StoreError::Lost)));
    assert!(matches!(store.due(at(0), 1).await, Err(StoreError::Lost)));
    assert!(matches!(store.next_deadline().await, Err(StoreError::Lost)));
    assert!(matches!(store.events(0, 1).await, Err(EventsError::Store(StoreError::Lost))));
    assert!(matches!(store.reply(&"r".parse().unwrap(), at(0)).await, Err(StoreError::Lost)));
    assert!(matches!(store.trim(at(0), since(at(0))).await, Err(StoreError::Lost)));
}

/// Where nothing was before, nothing is beyond anything.
pub async fn a_new_store_begins_at_0(store: Arc<impl SessionStore>) {
    assert!(store.begin(Vec::new(), 0).await.unwrap());
    let loaded = store.load(&agent(1).about(1)).await.unwrap();
    assert_eq!(loaded.held.phone, PhoneState::new(phone(1)));
    assert_eq!(loaded.guards, [(Guard::User(user(1)), 0)]);
    assert_eq!(store.place().await.unwrap(), 0);
    assert!(!store.begin(Vec::new(), 5).await.unwrap(), "once");
}

/// With the phones as they are given, and events after the place.
pub async fn a_lost_store_goes_on_with_what_it_is_given(store: Arc<impl SessionStore>) {
    let given = [told(1, 40), told(2, 50)];
    assert!(store.begin(given.to_vec(), 1_000).await.unwrap());
    let snapshot = store.snapshot(None).await.unwrap();
    assert_eq!((snapshot.sequence, snapshot.phones.as_slice()), (1_000, given.as_slice()));
    assert!(matches!(store.events(999, 10).await, Err(EventsError::TooOld { oldest: 1_001, .. })));
    assert!(store.events(1_000, 10).await.unwrap().events.is_empty());
    log_out(&store, 1).await;
    assert_eq!(store.place().await.unwrap(), 1_001);
    assert_eq!(store.events(1_000, 10).await.unwrap().events.len(), 1);
}

/// A phone that is not among those that are given may have been told of any epoch and generation before.
pub async fn a_phone_without_a_record_is_beyond_all_that_a_lost_store_gave(store: Arc<impl SessionStore>) {
    assert!(store.begin(vec![told(1, 7_000)], 0).await.unwrap());
    let loaded = store.load(&agent(9).about(9)).await.unwrap();
    let fresh = &loaded.held.phone;
    assert!(fresh.epoch > 7_001 && fresh.generation == fresh.epoch, "{fresh:?}");
    assert_eq!(fresh.acknowledged(7_001).unwrap(), None, "what it acknowledges late says nothing");
    assert_eq!(store.phone(&phone(9)).await.unwrap(), None, "it has no record all the same");
    assert!(!has_record(fresh));
    for epoch in [0, 1, 7_000, 7_001] {
        let mut read = loaded.clone();
        read.held.phone = PhoneState { epoch, ..PhoneState::new(phone(9)) };
        assert_moved(&store, agent(9).login(read)).await;
    }
    let committed = log_in(&store, 9, &agent(9)).await;
    assert_eq!(committed.states[0].epoch, fresh.epoch + 1);
    assert!(has_record(&committed.states[0]));
    assert_eq!(store.phone(&phone(9)).await.unwrap().as_ref(), committed.states.first());
    log_out(&store, 9).await;
}

/// A guard of whoever has no session may have had any version before; and so may one of those who are given.
pub async fn a_guard_is_beyond_all_that_a_lost_store_gave(store: Arc<impl SessionStore>) {
    let given = told(1, 7_000);
    assert!(store.begin(vec![given.clone()], 0).await.unwrap());
    for number in [1, 9] {
        let loaded = store.load(&agent(number).about(9)).await.unwrap();
        assert!(loaded.guards[0].1 > 7_001, "{loaded:?}");
        for version in [0, 1, 2, 7_001] {
            let mut read = loaded.clone();
            read.guards[0].1 = version;
            assert_moved(&store, agent(number).login(read)).await;
        }
    }
    let stale = store.load(&agent(1).about(9)).await.unwrap();
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    store.commit(logout(read)).await.unwrap();
    assert_moved(&store, agent(1).login(stale)).await;
    log_in(&store, 9, &agent(1)).await;
}
