//! How changes to live sessions are made: whole, once, and only from what still holds.

use std::sync::Arc;

use roamline_domain::phone_state::HookState;
use tokio::task::JoinSet;

use super::fixture::{
    acd_line, agent, assert_moved, at, change, everything, guards, log_in, log_out, logout, phone, reply,
    request_id, since, user,
};
use crate::{About, Commit, CommitError, Guard, SessionStore};

/// Commits all of these at once; the number that was made. All others were moved.
async fn race(store: &Arc<impl SessionStore>, commits: Vec<Commit>) -> usize {
    let mut tasks = JoinSet::new();
    for commit in commits {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.commit(commit).await });
    }
    let mut made = 0;
    for result in tasks.join_all().await {
        match result {
            Ok(_) => made += 1,
            Err(CommitError::Moved) => {}
            Err(CommitError::Store(error)) => panic!("{error:?}"),
        }
    }
    made
}

/// Epochs grow by one with each commit.
pub async fn each_commit_is_read_back_one_epoch_on(store: Arc<impl SessionStore>) {
    for epoch in 1..=3 {
        let committed = log_in(&store, 1, &agent(1)).await;
        let read = store.load(&agent(1).about(1)).await.unwrap().held.phone;
        assert_eq!(read, committed.states[0]);
        assert_eq!(read.epoch, epoch);
    }
}

/// The user's and the ACD line's guards grow at login and at logout.
pub async fn guards_move_when_a_session_begins_and_when_it_ends(store: Arc<impl SessionStore>) {
    let who = agent(1).on_line(1);
    let never = guards(&store, &who).await;
    log_in(&store, 1, &who).await;
    let began = guards(&store, &who).await;
    log_out(&store, 1).await;
    let ended = guards(&store, &who).await;
    for place in 0..2 {
        assert!(never[place].1 < began[place].1, "{:?}", began[place].0);
        assert!(began[place].1 < ended[place].1, "{:?}", ended[place].0);
    }
    assert_eq!(guards(&store, &agent(2).on_line(2)).await[0].1, 0, "nobody else's");
}

/// A takeover ends one session and begins another.
pub async fn guards_of_both_users_move_at_a_takeover(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1).on_line(1)).await;
    let before = guards(&store, &agent(1).on_line(1)).await;
    log_in(&store, 1, &agent(2).on_line(2)).await;
    let after = guards(&store, &agent(1).on_line(1)).await;
    assert!(before[0].1 < after[0].1 && before[1].1 < after[1].1);
    let (his, lines) = (Guard::User(user(2)), Guard::AcdLine(acd_line(2)));
    assert_eq!(guards(&store, &agent(2).on_line(2)).await, vec![(his, 1), (lines, 1)]);
}

/// An acknowledgement or a handset moves no guard: they are not what guards are about.
pub async fn guards_rest_when_no_session_begins_or_ends(store: Arc<impl SessionStore>) {
    let who = agent(1).on_line(1);
    log_in(&store, 1, &who).await;
    let before = guards(&store, &who).await;
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    let lifted = read.held.phone.with_hook(HookState::OffHook, at(1)).unwrap();
    store.commit(change(read, lifted)).await.unwrap();
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    let done = read.held.phone.acknowledged(1).unwrap().unwrap();
    store.commit(change(read, done)).await.unwrap();
    assert_eq!(guards(&store, &who).await, before);
}

/// A store may forget a guard when there is no such session any more; what was decided from it before is moved all the
/// same, and it goes on beyond what it was.
pub async fn a_guard_that_nobody_holds_fences_after_a_trim(store: Arc<impl SessionStore>) {
    let who = agent(1).on_line(1);
    let before = who.login(store.load(&who.about(2)).await.unwrap());
    log_in(&store, 1, &who).await;
    let during = agent(1).login(store.load(&agent(1).about(3)).await.unwrap());
    let began = guards(&store, &who).await;
    log_in(&store, 4, &agent(4)).await;
    log_out(&store, 1).await;
    store.trim(at(0), since(at(0))).await.unwrap();
    for stale in [before, during] {
        assert_moved(&store, stale).await;
    }
    let after = guards(&store, &who).await;
    assert!((0..2).all(|place| began[place].1 < after[place].1), "{began:?} {after:?}");
    log_in(&store, 2, &who).await;
    let again = guards(&store, &who).await;
    assert!((0..2).all(|place| after[place].1 < again[place].1), "{after:?} {again:?}");
    assert_eq!(store.load(&who.about(3)).await.unwrap().held.others.len(), 1);
    assert_eq!(
        store.load(&agent(4).about(3)).await.unwrap().held.others.len(),
        1,
        "who is there is not forgotten"
    );
}

/// States, guards, events and reply all stay.
pub async fn a_stale_phone_is_moved_and_nothing_changes(store: Arc<impl SessionStore>) {
    let mut stale = agent(2).login(store.load(&agent(2).about(1)).await.unwrap());
    stale.reply = Some(reply("r", 100));
    log_in(&store, 1, &agent(1)).await;
    assert_moved(&store, stale).await;

    let stale = logout(store.load(&About::phone(phone(1))).await.unwrap());
    log_out(&store, 1).await;
    assert_moved(&store, stale).await;
}

/// A phone that was read without being changed counts too.
pub async fn a_stale_other_phone_is_moved_and_nothing_changes(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1)).await;
    let read = store.load(&agent(1).about(2)).await.unwrap();
    let mut stale = agent(1).login(read.clone());
    stale.read.guards.clear();
    stale.reply = Some(reply("r", 100));
    let other = read.held.others[0].with_hook(HookState::OffHook, at(1)).unwrap();
    let lifted = store.load(&About::phone(phone(1))).await.unwrap();
    store.commit(change(lifted, other)).await.unwrap();
    assert_moved(&store, stale).await;
}

/// The user logged in elsewhere between load and commit.
pub async fn a_stale_guard_is_moved_and_nothing_changes(store: Arc<impl SessionStore>) {
    let mut stale = agent(1).login(store.load(&agent(1).about(1)).await.unwrap());
    stale.reply = Some(reply("r", 100));
    log_in(&store, 2, &agent(1)).await;
    assert_moved(&store, stale).await;

    let stale = agent(3).on_line(1).login(store.load(&agent(3).on_line(1).about(3)).await.unwrap());
    log_in(&store, 4, &agent(4).on_line(1)).await;
    assert_moved(&store, stale).await;
}

/// Nobody writes what he has not seen.
pub async fn a_state_that_was_not_read_is_moved_and_nothing_changes(store: Arc<impl SessionStore>) {
    log_in(&store, 2, &agent(2)).await;
    let unread = logout(store.load(&About::phone(phone(2))).await.unwrap());
    let read = store.load(&About::phone(phone(1))).await.unwrap();
    assert_moved(&store, Commit { read, ..unread }).await;
}

/// Neither the same epoch again nor one that skips.
pub async fn a_state_that_is_not_one_epoch_on_is_moved_and_nothing_changes(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1)).await;
    for epoch in [0, 1, 3, u64::MAX] {
        let mut commit = logout(store.load(&About::phone(phone(1))).await.unwrap());
        commit.states[0].epoch = epoch;
        assert_moved(&store, commit).await;
    }
    let mut twice = logout(store.load(&About::phone(phone(1))).await.unwrap());
    twice.states.push(twice.states[0].clone());
    assert_moved(&store, twice).await;
}

/// Exactly one, and what it committed is what holds.
pub async fn of_16_commits_from_the_same_versions_one_is_made(store: Arc<impl SessionStore>) {
    for epoch in 1..=4 {
        let read = store.load(&agent(1).about(1)).await.unwrap();
        let commit = agent(1).login(read);
        let events = u64::try_from(commit.events.len()).unwrap();
        let before = store.snapshot(None).await.unwrap().sequence;
        assert_eq!(race(&store, vec![commit; 16]).await, 1);
        assert_eq!(store.phone(&phone(1)).await.unwrap().unwrap().epoch, epoch);
        assert_eq!(store.snapshot(None).await.unwrap().sequence, before + events, "events of one");
    }
}

/// One user is on the phone, and the other's login left nothing.
pub async fn of_two_users_racing_for_a_phone_one_gets_it(store: Arc<impl SessionStore>) {
    let mut commits = Vec::new();
    for number in 1..=2 {
        let who = agent(number);
        commits.push(who.login(store.load(&who.about(1)).await.unwrap()));
    }
    assert_eq!(race(&store, commits).await, 1);
    let held = store.phone(&phone(1)).await.unwrap().unwrap().session.unwrap().user;
    let other = if held == user(1) { user(2) } else { user(1) };
    assert!(store.list(Some(&other), None, 10).await.unwrap().is_empty());
    assert_eq!(store.events(0, 10).await.unwrap().events.len(), 1);
}

/// LI-9: the user's guard sees what the phones' epochs cannot.
pub async fn a_user_racing_for_two_phones_gets_one(store: Arc<impl SessionStore>) {
    let mut commits = Vec::new();
    for number in 1..=16 {
        commits.push(agent(1).login(store.load(&agent(1).about(number)).await.unwrap()));
    }
    assert_eq!(race(&store, commits).await, 1);
    assert_eq!(store.list(Some(&user(1)), None, 100).await.unwrap().len(), 1);
}

/// CC-7: the line's guard sees what neither phones nor users can.
pub async fn an_acd_line_raced_for_is_worn_on_one_phone(store: Arc<impl SessionStore>) {
    let mut commits = Vec::new();
    for number in 1..=16 {
        let who = agent(number).on_line(1);
        commits.push(who.login(store.load(&who.about(number)).await.unwrap()));
    }
    assert_eq!(race(&store, commits).await, 1);
    assert_eq!(store.list(None, None, 100).await.unwrap().len(), 1);
}

/// Nothing that is not about the same thing is in each other's way.
pub async fn commits_about_different_phones_are_all_made(store: Arc<impl SessionStore>) {
    let mut commits = Vec::new();
    for number in 1..=200 {
        let who = agent(number).on_line(number);
        commits.push(who.login(store.load(&who.about(number)).await.unwrap()));
    }
    assert_eq!(race(&store, commits).await, 200);
    assert_eq!(store.list(None, None, 1_000).await.unwrap().len(), 200);
}

/// A backend that makes several commits in one step must keep them apart.
pub async fn a_moved_commit_does_not_hold_up_those_beside_it(store: Arc<impl SessionStore>) {
    let stale = agent(1).login(store.load(&agent(1).about(1)).await.unwrap());
    log_in(&store, 1, &agent(2)).await;
    let mut commits = Vec::new();
    for number in 3..=40 {
        commits.push(stale.clone());
        commits.push(agent(number).login(store.load(&agent(number).about(number)).await.unwrap()));
    }
    assert_eq!(race(&store, commits).await, 38);
    assert_eq!(store.phone(&phone(1)).await.unwrap().unwrap().session.unwrap().user, user(2));
    assert_eq!(store.events(0, 100).await.unwrap().events.len(), 39);
}

/// LI-11: until its instant, and not at it.
pub async fn a_reply_is_remembered_until_it_expires(store: Arc<impl SessionStore>) {
    assert_eq!(store.reply(&request_id("r"), at(0)).await.unwrap(), None);
    let mut commit = agent(1).login(store.load(&agent(1).about(1)).await.unwrap());
    commit.reply = Some(reply("r", 100));
    store.commit(commit).await.unwrap();
    assert_eq!(store.reply(&request_id("r"), at(99)).await.unwrap(), Some(reply("r", 100)));
    assert_eq!(store.reply(&request_id("r"), at(100)).await.unwrap(), None);
    assert_eq!(store.reply(&request_id("R"), at(0)).await.unwrap(), None, "ids differ by case");
}

/// Of two requests with one id, one is made, whatever they are about.
pub async fn a_request_id_that_was_answered_is_moved_and_nothing_changes(store: Arc<impl SessionStore>) {
    let mut commits = Vec::new();
    for number in 1..=4 {
        let mut commit = agent(number).login(store.load(&agent(number).about(number)).await.unwrap());
        commit.reply = Some(reply("r", 100));
        commits.push(commit);
    }
    assert_eq!(race(&store, commits.clone()).await, 1);
    for commit in commits {
        assert_moved(&store, commit).await;
    }
}

/// An id may be used again after its time.
pub async fn an_expired_reply_may_be_given_anew(store: Arc<impl SessionStore>) {
    let mut commit = agent(1).login(store.load(&agent(1).about(1)).await.unwrap());
    commit.reply = Some(reply("r", 60));
    store.commit(commit).await.unwrap();
    let mut later = logout(store.load(&About::phone(phone(1))).await.unwrap());
    later.reply = Some(reply("r", 200));
    store.commit(later).await.unwrap();
    assert_eq!(store.reply(&request_id("r"), at(100)).await.unwrap(), Some(reply("r", 200)));
}

/// What has not expired is remembered on.
pub async fn trim_forgets_expired_replies_alone(store: Arc<impl SessionStore>) {
    for (number, (id, expires)) in (1..).zip([("r", 50), ("s", 51)]) {
        let mut commit = agent(number).login(store.load(&agent(number).about(number)).await.unwrap());
        commit.reply = Some(reply(id, expires));
        store.commit(commit).await.unwrap();
    }
    let before = everything(&store).await;
    assert!(store.reply(&request_id("r"), at(0)).await.unwrap().is_some());
    store.trim(at(50), since(at(0))).await.unwrap();
    assert_eq!(store.reply(&request_id("r"), at(0)).await.unwrap(), None);
    assert_eq!(store.reply(&request_id("s"), at(0)).await.unwrap(), Some(reply("s", 51)));
    assert_ne!(everything(&store).await, before, "the reply alone");
    assert_eq!(store.events(0, 10).await.unwrap().events.len(), 2);
}

/// Whoever logs in with the line that a session has just taken over finds it moved, and so with the one it gave up.
pub async fn guards_move_when_a_session_goes_on_with_another_acd_line(store: Arc<impl SessionStore>) {
    log_in(&store, 1, &agent(1).on_line(1)).await;
    let rival = agent(2).on_line(2);
    let rivals = rival.login(store.load(&rival.about(2)).await.unwrap());
    let read = store.load(&agent(1).on_line(2).about(1)).await.unwrap();
    let mut state = read.held.phone.clone();
    state.epoch += 1;
    state.session.as_mut().unwrap().acd_line = Some(acd_line(2));
    store.commit(change(read, state)).await.unwrap();
    assert_moved(&store, rivals).await;
    let wearing = store.load(&rival.about(2)).await.unwrap();
    assert_eq!(wearing.held.others.len(), 1, "it is found by the line it wears now");
    let former = store.load(&agent(3).on_line(1).about(3)).await.unwrap();
    assert!(former.held.others.is_empty());
}
