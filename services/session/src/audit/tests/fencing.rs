//! What a rebuild says in the trail before it begins, and who is kept out by it.

use roamline_domain::phone_state::{EndedSession, LogoutReason};
use roamline_store::OwnRecord;

use super::*;

/// A trail that has all but the last of three logins, and the step that would bring that one.
async fn late() -> (Arc<MemoryStore>, AuditPlace, AuditStep) {
    let (store, audit) = (store(), store());
    log_in(&store, 1, &agent(1)).await;
    log_in(&store, 2, &agent(2)).await;
    let place = fed(&store, &audit).await;
    log_in(&store, 3, &agent(3)).await;
    let feeder = feeder(&store, &audit);
    let newer = feeder.newer(&place).await.unwrap().expect("no cut");
    let late = feeder.step_of(&place, newer).await.unwrap();
    (audit, place, late)
}

fn nobody_ends() -> ToRebuild<'static> {
    ToRebuild { goes_on_after: 1_000, sessions: 2, ended: &[] }
}

#[tokio::test]
async fn ev_1_an_event_of_the_lost_store_that_comes_after_a_rebuild_has_begun_is_refused() {
    let (audit, place, late) = late().await;
    fence(&*audit, &place, &nobody_ends(), at(100)).await.unwrap();
    let refused = audit.append(late).await;
    assert!(matches!(refused, Err(AuditError::Moved)), "{refused:?}");
    let records = records(&audit).await;
    assert_whole(&records);
    assert_eq!(records.last().unwrap().kind, AuditKind::RebuildBegun);
    assert_eq!(json(records.last().unwrap())["rebuild"]["goes_on_after"], 1_000);
    assert_eq!(audit.live(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn ev_1_a_rebuild_does_not_begin_with_a_trail_that_has_gone_on() {
    let (audit, place, late) = late().await;
    audit.append(late).await.unwrap();
    let refused = fence(&*audit, &place, &nobody_ends(), at(100)).await;
    assert!(matches!(refused, Err(AuditError::Moved)), "{refused:?}");
    assert_eq!(audit.live(None, 10).await.unwrap().len(), 3, "what was brought is to be rebuilt, too");
}

#[tokio::test]
async fn ev_1_sessions_that_do_not_come_back_are_told_of_before_the_rebuild() {
    let (audit, place, _) = late().await;
    let session = audit.live(None, 1).await.unwrap().remove(0);
    let ended = EndedSession {
        session: session.clone(),
        reason: LogoutReason::Policy,
        at: at(100),
        actor: Actor::default(),
        epoch: 7,
        note: String::new(),
    };
    let told = ToRebuild { goes_on_after: 1_000, sessions: 1, ended: &[ended] };
    fence(&*audit, &place, &told, at(100)).await.unwrap();
    let records = records(&audit).await;
    assert_whole(&records);
    let kinds: Vec<_> = records.iter().skip(2).map(|record| record.kind).collect();
    assert_eq!(kinds, [AuditKind::Logout, AuditKind::RebuildBegun]);
    let logout = json(&records[2]);
    assert_eq!((&logout["reason"], &logout["session_id"]), (&"POLICY".into(), &session.id.as_str().into()));
    assert_eq!(audit.live_among(&[session.id]).await.unwrap(), []);
}

/// What a place says of the log is not moved by a rebuild that begins: it is known how far the trail had come.
#[tokio::test]
async fn a_rebuild_that_begins_and_does_not_end_leaves_the_place_in_the_log_as_it_was() {
    let (audit, place, _) = late().await;
    fence(&*audit, &place, &nobody_ends(), at(100)).await.unwrap();
    let fenced = AuditStore::place(&*audit).await.unwrap();
    assert_eq!((fenced.sequence, &fenced.fingerprint), (place.sequence, &place.fingerprint));
    assert!(fence::is_rebuilding(&*audit, &fenced, 0).await.unwrap());
    assert!(!fence::is_rebuilding(&*audit, &place, 0).await.unwrap());
}

/// A service tells the trail something that has nothing to do with the sessions' store.
async fn tell(audit: &MemoryStore, number: u64) {
    let record = OwnRecord {
        kind: AuditKind::PeerRefused,
        user: format!("peer{number}"),
        reason: "",
        actor: Actor::default(),
        details: (),
    };
    record.add_to(audit, at(100)).await.unwrap();
}

#[tokio::test]
async fn ev_1_what_services_tell_meanwhile_does_not_hide_that_a_rebuild_has_begun() {
    let (audit, place, _) = late().await;
    fence(&*audit, &place, &nobody_ends(), at(100)).await.unwrap();
    for number in 0..600 {
        tell(&audit, number).await;
    }
    let here = AuditStore::place(&*audit).await.unwrap();
    assert!(fence::is_rebuilding(&*audit, &here, 0).await.unwrap());
    assert!(
        !fence::is_rebuilding(&*audit, &here, here.number - 600).await.unwrap(),
        "that far it was looked"
    );
}

#[tokio::test]
async fn ev_1_what_services_tell_meanwhile_does_not_make_a_rebuild_begin_anew() {
    let (audit, place, _) = late().await;
    tell(&audit, 1).await;
    let here = fence::is_still(&*audit, &place).await.unwrap().expect("nothing of the sessions was told");
    assert_eq!((here.number, here.sequence), (place.number + 1, place.sequence));
    fence(&*audit, &here, &nobody_ends(), at(100)).await.unwrap();
    assert_eq!(fence::is_still(&*audit, &here).await.unwrap(), None, "another rebuild has begun");
}

/// The store that was thought to be lost is there again, with an event that the trail does not have yet.
#[tokio::test]
async fn ev_1_sessions_that_were_given_up_for_a_rebuild_that_was_not_needed_are_known_again() {
    let (store, audit) = (store(), store());
    log_in(&store, 1, &agent(1)).await;
    let place = fed(&store, &audit).await;
    let session = audit.live(None, 1).await.unwrap().remove(0);
    log_in(&store, 2, &agent(2)).await;
    let ended = EndedSession {
        session,
        reason: LogoutReason::Policy,
        at: at(100),
        actor: Actor::default(),
        epoch: 7,
        note: String::new(),
    };
    let told = ToRebuild { goes_on_after: 1_000, sessions: 0, ended: &[ended] };
    fence(&*audit, &place, &told, at(100)).await.unwrap();
    assert_eq!(audit.live(None, 10).await.unwrap(), []);
    fed(&store, &audit).await;
    assert_has_all(&store, &audit).await;
    let records = records(&audit).await;
    let kinds: Vec<_> = records.iter().map(|record| record.kind).collect();
    use AuditKind::{Login, Logout, RebuildBegun, StoreCut};
    assert_eq!(kinds, [Login, Logout, RebuildBegun, StoreCut, Login]);
    let log = &json(&records[3])["log"];
    assert_eq!((&log["found"], &log["lost"]), (&log["expected"], &0.into()));
}
