//! What is read of live sessions.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roamline_domain::deadline::PendingLogout;
use roamline_domain::phone_state::{Actions, Configuration, HookState, LogoutReason, PhoneState};

use super::fixture::{acd_line, agent, at, change, log_in, log_out, phone, user};
use crate::{About, Guard, SessionStore, Snapshot};

fn names(phones: &[PhoneState]) -> Vec<&str> {
    phones.iter().map(|state| state.phone.as_str()).collect()
}

fn expected(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|number| phone(*number).to_string()).collect()
}

/// A phone without a record is [`PhoneState::new`], and guards that never moved are at 0.
pub async fn a_phone_without_a_record_is_new_at_epoch_0(store: Arc<impl SessionStore>) {
    let loaded = store.load(&agent(1).on_line(1).about(1)).await.unwrap();
    assert_eq!(loaded.held.phone, PhoneState::new(phone(1)));
    assert!(loaded.held.others.is_empty());
    let guards = vec![(Guard::User(user(1)), 0), (Guard::AcdLine(acd_line(1)), 0)];
    assert_eq!(loaded.guards, guards);
    assert_eq!(store.phone(&phone(1)).await.unwrap(), None);
}

/// Every other phone with a session of that user is loaded.
pub async fn load_gives_the_users_other_phones_and_no_ones_else(store: Arc<impl SessionStore>) {
    for (number, who) in [(3, 1), (1, 1), (2, 2), (4, 1), (5, 1)] {
        log_in(&store, number, &agent(who)).await;
    }
    log_out(&store, 4).await;
    let held = store.load(&agent(1).about(3)).await.unwrap().held;
    assert_eq!(held.phone.phone, phone(3));
    assert_eq!(names(&held.others), expected(&[1, 5]));
}

/// Every other phone that wears the ACD line is loaded, whoever wears it.
pub async fn load_gives_the_other_phones_that_wear_the_acd_line(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1).on_line(7)).await;
    log_in(&store, 2, &agent(2).on_line(8)).await;
    log_in(&store, 3, &agent(3)).await;
    let held = store.load(&agent(4).on_line(7).about(4)).await.unwrap().held;
    assert_eq!(names(&held.others), expected(&[1]));
    log_out(&store, 1).await;
    assert!(store.load(&agent(4).on_line(7).about(4)).await.unwrap().held.others.is_empty());
}

/// A session that goes on with another ACD line is found by that one, and not by the one before.
pub async fn load_follows_a_session_to_another_acd_line(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1).on_line(7)).await;
    for line in [Some(acd_line(8)), None] {
        let read = store.load(&About::phone(phone(1))).await.unwrap();
        let mut state = read.held.phone.clone();
        state.epoch += 1;
        state.session.as_mut().unwrap().acd_line.clone_from(&line);
        store.commit(change(read, state)).await.unwrap();
        for number in 7..=8 {
            let others = store.load(&agent(2).on_line(number).about(2)).await.unwrap().held.others;
            assert_eq!(others.len(), usize::from(line == Some(acd_line(number))), "{number}");
        }
        let his = store.load(&agent(1).about(2)).await.unwrap().held.others;
        assert_eq!(names(&his), expected(&[1]), "he is where he was");
    }
}

/// A phone that matters for two reasons is there once.
pub async fn load_gives_no_phone_twice(store: Arc<impl SessionStore>) {
    let who = agent(1).on_line(1);
    log_in(&store, 2, &who).await;
    let held = store.load(&who.about(1)).await.unwrap().held;
    assert_eq!(names(&held.others), expected(&[2]));
}

/// What was not asked for is not loaded.
pub async fn load_about_one_phone_gives_that_alone(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1)).await;
    log_in(&store, 2, &agent(1)).await;
    let loaded = store.load(&About::phone(phone(1))).await.unwrap();
    assert_eq!(loaded.held.phone.session.unwrap().user, user(1));
    assert!(loaded.held.others.is_empty() && loaded.guards.is_empty());
}

/// What is committed is what is read, field by field.
pub async fn every_field_of_a_phone_is_kept(store: Arc<impl SessionStore>) {
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    let mut state = agent(1).on_line(1).lasting(Duration::from_secs(90)).login(read.clone()).states.remove(0);
    state.generation = 41;
    state.acknowledged = 40;
    state.actions = Actions { restart: true, reset: false, clear_call_history: true, cancel_call_back: true };
    state.hook = HookState::OffHook;
    state.last_user = Some(user(9));
    let session = state.session.as_mut().unwrap();
    session.since = at(0) + SignedDuration::from_nanos(123_456_789);
    session.idle_limit = Some(Duration::from_secs(600));
    session.daily_logout_at = Some(at(7_200));
    let reason = LogoutReason::Idle;
    session.pending_logout = Some(PendingLogout { reason, due_at: at(5), until: at(6) });
    session.lines = vec!["2101".parse().unwrap(), "+49*30#@office".parse().unwrap()];
    store.commit(change(read, state.clone())).await.unwrap();
    assert_eq!(store.phone(&phone(1)).await.unwrap(), Some(state.clone()));
    assert_eq!(store.load(&About::phone(phone(1))).await.unwrap().held.phone, state);

    let bare = PhoneState { epoch: 2, ..PhoneState::new(phone(1)) };
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    store.commit(change(read, bare.clone())).await.unwrap();
    assert_eq!(store.phone(&phone(1)).await.unwrap(), Some(bare));
}

/// Nothing reads what is in a rendering.
pub async fn large_configurations_are_kept_byte_by_byte(store: Arc<impl SessionStore>) {
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    let mut state = agent(1).login(read.clone()).states.remove(0);
    state.wears = Configuration((0..256 * 1024_u32).map(|n| (n % 251) as u8).collect());
    state.session.as_mut().unwrap().logout_configuration = Configuration(vec![0; 70_000].into());
    store.commit(change(read, state.clone())).await.unwrap();
    assert_eq!(store.phone(&phone(1)).await.unwrap(), Some(state));
}

/// A live session is found with its phone; one that has ended is not.
pub async fn a_session_is_found_by_its_id_until_it_ends(store: Arc<impl SessionStore>) {
    let first = log_in(&store, 1, &agent(1)).await.states.remove(0);
    let id = first.session.clone().unwrap().id;
    assert_eq!(store.session(&id).await.unwrap(), Some(first));
    log_in(&store, 1, &agent(2)).await;
    assert_eq!(store.session(&id).await.unwrap(), None, "taken over");
    let second = store.phone(&phone(1)).await.unwrap().unwrap().session.unwrap().id;
    assert!(store.session(&second).await.unwrap().is_some());
    log_out(&store, 1).await;
    assert_eq!(store.session(&second).await.unwrap(), None, "logged out");
}

/// A phone without a session has a record, and is in no list.
pub async fn list_has_phones_with_a_session_in_the_order_of_their_names(store: Arc<impl SessionStore>) {
    assert!(store.list(None, None, 10).await.unwrap().is_empty());
    assert_eq!(store.count().await.unwrap(), 0);
    for number in [30, 2, 100, 1] {
        log_in(&store, number, &agent(number)).await;
    }
    log_out(&store, 2).await;
    assert!(store.phone(&phone(2)).await.unwrap().is_some());
    assert_eq!(names(&store.list(None, None, 10).await.unwrap()), expected(&[1, 30, 100]));
    assert_eq!(store.count().await.unwrap(), 3);
}

/// `after` begins where a page ended.
pub async fn list_is_paged_without_loss_or_repeat(store: Arc<impl SessionStore>) {
    for number in 1..=7 {
        log_in(&store, number, &agent(number)).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(None, after.as_ref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.phone.clone());
        seen.extend(page);
    }
    assert_eq!(names(&seen), expected(&[1, 2, 3, 4, 5, 6, 7]));
    assert!(store.list(None, None, 0).await.unwrap().is_empty());
}

/// A user's phones, paged like all others.
pub async fn list_of_one_user_has_his_phones_alone(store: Arc<impl SessionStore>) {
    for number in 1..=6 {
        log_in(&store, number, &agent(number % 2)).await;
    }
    let his = store.list(Some(&user(0)), None, 10).await.unwrap();
    assert_eq!(names(&his), expected(&[2, 4, 6]));
    let rest = store.list(Some(&user(0)), Some(&phone(3)), 1).await.unwrap();
    assert_eq!(names(&rest), expected(&[4]));
    assert!(store.list(Some(&user(9)), None, 10).await.unwrap().is_empty());
}

/// A snapshot of all, of one user, and of an empty store.
pub async fn a_snapshot_has_phones_with_a_session_and_the_place_of_the_last_event(
    store: Arc<impl SessionStore>,
) {
    assert_eq!(store.snapshot(None).await.unwrap(), Snapshot::default());
    for number in [3, 1, 2] {
        log_in(&store, number, &agent(number)).await;
    }
    log_out(&store, 2).await;
    let all = store.snapshot(None).await.unwrap();
    assert_eq!((all.sequence, names(&all.phones)), (4, names(&store.list(None, None, 9).await.unwrap())));
    assert_eq!(names(&all.phones), expected(&[1, 3]));
    let his = store.snapshot(Some(&user(3))).await.unwrap();
    assert_eq!((his.sequence, names(&his.phones).len()), (4, 1));
}

/// The longest overdue first, at most the limit.
pub async fn due_has_the_longest_overdue_first_at_most_the_limit(store: Arc<impl SessionStore>) {
    for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 40), (5, 5)] {
        log_in(&store, number, &agent(number).lasting(Duration::from_secs(seconds))).await;
    }
    log_out(&store, 5).await;
    assert!(store.due(at(9), 10).await.unwrap().is_empty());
    assert_eq!(store.due(at(30), 10).await.unwrap(), vec![phone(2), phone(3), phone(1)]);
    assert_eq!(store.due(at(1_000), 2).await.unwrap(), vec![phone(2), phone(3)]);
}

/// LO-5: on time, never early, and found by the deadline that the store itself names.
pub async fn a_session_is_due_at_its_instant_and_not_a_nanosecond_before(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1).lasting(Duration::from_secs(10))).await;
    assert!(store.due(at(10) - SignedDuration::from_nanos(1), 10).await.unwrap().is_empty());
    assert_eq!(store.due(at(10), 10).await.unwrap(), vec![phone(1)]);
    log_out(&store, 1).await;

    let odd = Duration::new(10, 1_501);
    let expires_at = log_in(&store, 1, &agent(1).lasting(odd)).await.states[0].session.clone().unwrap();
    let deadline = store.next_deadline().await.unwrap().unwrap();
    assert!(deadline >= expires_at.expires_at.unwrap(), "a sweep at the deadline finds the session due");
    assert_eq!(store.due(deadline, 10).await.unwrap(), vec![phone(1)]);
}

/// The earliest of all, also when it lies in the past; `None` when none expires.
pub async fn the_next_deadline_is_the_earliest_even_when_it_has_passed(store: Arc<impl SessionStore>) {
    assert_eq!(store.next_deadline().await.unwrap(), None);
    log_in(&store, 1, &agent(1).lasting(Duration::from_secs(30))).await;
    log_in(&store, 2, &agent(2).lasting(Duration::from_secs(20))).await;
    log_in(&store, 3, &agent(3)).await;
    assert_eq!(store.next_deadline().await.unwrap(), Some(at(20)));
    log_out(&store, 2).await;
    assert_eq!(store.next_deadline().await.unwrap(), Some(at(30)));
    log_out(&store, 1).await;
    assert_eq!(store.next_deadline().await.unwrap(), None);
}

/// LO-6, LO-7: what is due follows the handset, and every other change of what a session ends by.
pub async fn a_deadline_moves_with_what_the_session_ends_by(store: Arc<impl SessionStore>) {
    let minute = Duration::from_secs(60);
    let mut state = log_in(&store, 1, &agent(1).lasting(10 * minute).idle_for(minute)).await.states.remove(0);
    assert_eq!(store.next_deadline().await.unwrap(), Some(at(60)));
    for (hook, now, deadline) in [(HookState::OffHook, 30, 600), (HookState::OnHook, 90, 150)] {
        let read = store.load(&About::phone(phone(1))).await.unwrap();
        state = state.with_hook(hook, at(now)).unwrap();
        store.commit(change(read, state.clone())).await.unwrap();
        assert_eq!(store.next_deadline().await.unwrap(), Some(at(deadline)));
    }
    assert!(store.due(at(149), 10).await.unwrap().is_empty());
    assert_eq!(store.due(at(150), 10).await.unwrap(), vec![phone(1)]);

    let read = store.load(&About::phone(phone(1))).await.unwrap();
    state.epoch += 1;
    state.session.as_mut().unwrap().daily_logout_at = Some(at(120));
    store.commit(change(read, state)).await.unwrap();
    assert_eq!(store.due(at(120), 10).await.unwrap(), vec![phone(1)]);
}

/// `None` is without limit.
pub async fn a_session_without_limit_is_never_due(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1)).await;
    assert!(store.due(Timestamp::MAX, 10).await.unwrap().is_empty());
}

/// The farthest instant there is can be stored and read.
pub async fn a_deadline_at_the_end_of_time_is_kept(store: Arc<impl SessionStore>) {
    let state = log_in(&store, 1, &agent(1).lasting(Duration::from_secs(1 << 40))).await.states.remove(0);
    assert_eq!(state.session.as_ref().unwrap().expires_at, Some(Timestamp::MAX));
    assert_eq!(store.phone(&phone(1)).await.unwrap(), Some(state));
    assert!(store.next_deadline().await.unwrap().is_some());
    assert_eq!(store.due(Timestamp::MAX, 10).await.unwrap(), vec![phone(1)]);
}
