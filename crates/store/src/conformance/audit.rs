//! The audit trail: steps from a place, records that are found, sessions that are live by it.

use std::sync::Arc;

use jiff::Timestamp;
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark, Hash};
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, Session};
use tokio::task::JoinSet;

use super::fixture::{agent, at, phone};
use crate::{AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, Loaded};

const KINDS: [AuditKind; 15] = [
    AuditKind::Login,
    AuditKind::Logout,
    AuditKind::LoginRefused,
    AuditKind::LogoutRefused,
    AuditKind::LogoutPending,
    AuditKind::Refresh,
    AuditKind::StoreCut,
    AuditKind::StoreRebuilt,
    AuditKind::RebuildBegun,
    AuditKind::Pruned,
    AuditKind::LoginKept,
    AuditKind::RefreshTokenReused,
    AuditKind::PeerRefused,
    AuditKind::PeerChanged,
    AuditKind::SignInRefused,
];

fn session(agent_number: u32, phone_number: u32) -> Session {
    let held = Held { phone: PhoneState::new(phone(phone_number)), others: Vec::new() };
    let login = agent(agent_number).login(Loaded { held, guards: Vec::new(), history: Arc::default() });
    login.states[0].session.clone().unwrap().told()
}

/// A step that records one event for each body, by agent 1 at phone 1, one second after the other.
fn step(from: &AuditPlace, bodies: &[&str]) -> AuditStep {
    let mut to = from.clone();
    let mut records = Vec::new();
    for body in bodies {
        to = AuditPlace {
            sequence: to.sequence + 1,
            fingerprint: vec![0, 255, to.number as u8],
            number: to.number + 1,
            hash: to.hash.then(body),
        };
        records.push(AuditRecord {
            number: to.number,
            at: at(to.number as i64),
            kind: AuditKind::Login,
            phone: phone(1).to_string(),
            user: "agent1".into(),
            body: (*body).to_owned(),
            event: Some(EventMark { sequence: to.sequence, fingerprint: to.fingerprint.clone() }),
            hash: to.hash,
        });
    }
    AuditStep { from: from.clone(), to, records, live: Vec::new(), ended: Vec::new() }
}

async fn all(store: &Arc<impl AuditStore>) -> Vec<AuditRecord> {
    store.records(&AuditQuery::default(), 0, u32::MAX).await.unwrap()
}

async fn fed(store: &Arc<impl AuditStore>, change: impl Fn(&mut AuditRecord), number: usize) {
    let mut step = step(&store.place().await.unwrap(), &vec!["{}"; number]);
    step.records.iter_mut().for_each(change);
    store.append(step).await.unwrap();
}

async fn numbers(store: &Arc<impl AuditStore>, query: AuditQuery) -> Vec<u64> {
    let found = store.records(&query, 0, 100).await.unwrap();
    found.into_iter().map(|record| record.number).collect()
}

/// Nothing is there before the first step.
pub async fn ev_1_a_trail_that_was_never_fed_is_empty(store: Arc<impl AuditStore>) {
    assert_eq!(store.place().await.unwrap(), AuditPlace::default());
    assert!(all(&store).await.is_empty());
    assert!(store.live(None, 10).await.unwrap().is_empty());
    assert!(store.recorded(0, u64::MAX).await.unwrap().is_empty());
}

/// Every field of a record and of a place is kept.
pub async fn ev_1_a_step_is_read_back_as_it_was_made(store: Arc<impl AuditStore>) {
    let bodies = ["{\"a\":\"Zoë \\u0000 „x“\"}", "", "{}", "4", "5", "6", "7", "8", "9", "10", "11"];
    let mut made = step(&AuditPlace::default(), &bodies);
    for (record, kind) in made.records.iter_mut().zip(KINDS) {
        record.kind = kind;
    }
    made.records[1].event = None;
    made.records[2].phone = String::new();
    made.records[3].user = "Ünbekannt' \"; --".into();
    made.records[4].at = Timestamp::UNIX_EPOCH;
    made.live = vec![session(1, 1), session(2, 2)];
    store.append(made.clone()).await.unwrap();
    assert_eq!(all(&store).await, made.records);
    assert_eq!(store.place().await.unwrap(), made.to);
    assert_eq!(store.live(None, 10).await.unwrap(), made.live);
}

/// Each field of the place is compared.
pub async fn ev_1_a_step_from_another_place_is_moved_and_changes_nothing(store: Arc<impl AuditStore>) {
    let mut first = step(&AuditPlace::default(), &["1", "2"]);
    first.live = vec![session(1, 1)];
    store.append(first.clone()).await.unwrap();
    let place = first.to.clone();
    let others = [
        AuditPlace::default(),
        AuditPlace { sequence: place.sequence + 1, ..place.clone() },
        AuditPlace { fingerprint: Vec::new(), ..place.clone() },
        AuditPlace { number: place.number - 1, ..place.clone() },
        AuditPlace { hash: Hash::default(), ..place.clone() },
    ];
    for other in others {
        let mut next = step(&place, &["3"]);
        next.from = other;
        next.ended = vec![session(1, 1).id];
        next.live = vec![session(2, 2)];
        let refused = store.append(next).await;
        assert!(matches!(refused, Err(AuditError::Moved)), "{refused:?}");
        assert_eq!(all(&store).await, first.records);
        assert_eq!(store.place().await.unwrap(), place);
        assert_eq!(store.live(None, 10).await.unwrap(), first.live);
    }
    store.append(step(&place, &["3"])).await.unwrap();
}

/// As every replica does: read the place, make a step from it, and read it again where another was faster.
pub async fn ev_1_what_16_processes_feed_is_recorded_once(store: Arc<impl AuditStore>) {
    const EVENTS: u64 = 200;
    let feed = |feeder: usize| {
        let store = Arc::clone(&store);
        async move {
            let mut made = 0;
            loop {
                let place = store.place().await.unwrap();
                let left = EVENTS - place.sequence;
                if left == 0 {
                    return made;
                }
                let bodies: Vec<_> = (1..=left.min(1 + feeder as u64 % 3))
                    .map(|offset| (place.sequence + offset).to_string())
                    .collect();
                let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
                match store.append(step(&place, &bodies)).await {
                    Ok(()) => made += bodies.len() as u64,
                    Err(AuditError::Moved) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    };
    let feeders: JoinSet<u64> = (0..16).map(feed).collect();
    let made: u64 = feeders.join_all().await.into_iter().sum();
    assert_eq!(made, EVENTS);
    let mut hash = Hash::default();
    for (number, record) in (1..).zip(all(&store).await) {
        hash = hash.then(&record.body);
        assert_eq!((record.number, record.body, record.hash), (number, number.to_string(), hash));
    }
    assert_eq!(store.place().await.unwrap().hash, hash);
}

/// By one of them, and by all at once.
pub async fn records_are_found_by_user_phone_kind_and_time(store: Arc<impl AuditStore>) {
    let change = |record: &mut AuditRecord| {
        record.user = format!("agent{}", record.number % 2);
        record.phone = phone(record.number as u32 % 3).to_string();
        record.kind = KINDS[record.number as usize % 4];
    };
    fed(&store, change, 12).await;
    let any = AuditQuery::default;
    assert_eq!(
        numbers(&store, AuditQuery { user: Some("agent1".into()), ..any() }).await,
        [1, 3, 5, 7, 9, 11]
    );
    assert_eq!(numbers(&store, AuditQuery { user: Some("agent".into()), ..any() }).await, [0_u64; 0]);
    assert_eq!(numbers(&store, AuditQuery { phone: Some(phone(2)), ..any() }).await, [2, 5, 8, 11]);
    assert_eq!(numbers(&store, AuditQuery { kinds: vec![KINDS[0]], ..any() }).await, [4, 8, 12]);
    assert_eq!(
        numbers(&store, AuditQuery { kinds: vec![KINDS[0], KINDS[3]], ..any() }).await,
        [3, 4, 7, 8, 11, 12]
    );
    assert_eq!(numbers(&store, AuditQuery { from: Some(at(10)), ..any() }).await, [10, 11, 12]);
    assert_eq!(numbers(&store, AuditQuery { until: Some(at(3)), ..any() }).await, [1, 2]);
    assert_eq!(numbers(&store, AuditQuery { from: Some(at(13)), ..any() }).await, [0_u64; 0]);
    let both = AuditQuery {
        user: Some("agent1".into()),
        phone: Some(phone(2)),
        kinds: vec![KINDS[1], KINDS[3]],
        from: Some(at(5)),
        until: Some(at(11)),
    };
    assert_eq!(numbers(&store, both).await, [5]);
}

/// Numbers need not follow time.
pub async fn records_of_clocks_that_disagree_are_all_found(store: Arc<impl AuditStore>) {
    let change = |record: &mut AuditRecord| record.at = at([50, 10, 40, 20, 30][record.number as usize % 5]);
    fed(&store, change, 5).await;
    let of =
        |from, until| AuditQuery { from: Some(at(from)), until: Some(at(until)), ..AuditQuery::default() };
    assert_eq!(numbers(&store, of(10, 11)).await, [1]);
    assert_eq!(numbers(&store, of(20, 41)).await, [2, 3, 4]);
    assert_eq!(numbers(&store, of(50, 51)).await, [5]);
    assert_eq!(numbers(&store, of(10, 51)).await, [1, 2, 3, 4, 5]);
}

/// Whatever is asked for, and from any number on.
pub async fn records_are_paged_in_the_order_of_their_numbers(store: Arc<impl AuditStore>) {
    fed(&store, |record| record.user = format!("agent{}", record.number % 2), 9).await;
    for query in [AuditQuery::default(), AuditQuery { from: Some(at(0)), ..AuditQuery::default() }] {
        let (mut after, mut seen) = (0, Vec::new());
        while let Some(last) = {
            let page = store.records(&query, after, 2).await.unwrap();
            assert!(page.len() <= 2);
            seen.extend(page.iter().map(|record| record.number));
            page.last().map(|record| record.number)
        } {
            after = last;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    let of_one = AuditQuery { user: Some("agent0".into()), ..AuditQuery::default() };
    let page = store.records(&of_one, 4, 10).await.unwrap();
    assert_eq!(page.iter().map(|record| record.number).collect::<Vec<_>>(), [6, 8]);
    assert!(store.records(&of_one, u64::MAX, 10).await.unwrap().is_empty());
}

/// Two of one place, too, as after a loss of the log.
pub async fn events_that_are_recorded_are_found_by_their_places(store: Arc<impl AuditStore>) {
    fed(&store, |_| {}, 4).await;
    let place = store.place().await.unwrap();
    let mut again = step(&AuditPlace { sequence: 2, ..place.clone() }, &["other 3"]);
    again.from = place;
    again.records[0].event = Some(EventMark { sequence: 3, fingerprint: vec![9] });
    store.append(again).await.unwrap();
    let mut found: Vec<_> = store.recorded(1, 3).await.unwrap();
    assert!(found.is_sorted_by_key(|mark| mark.sequence));
    found.sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
    let places: Vec<_> = found.iter().map(|mark| (mark.sequence, mark.fingerprint.clone())).collect();
    assert_eq!(places, [(2, vec![0, 255, 1]), (3, vec![0, 255, 2]), (3, vec![9])]);
    assert!(store.recorded(4, u64::MAX).await.unwrap().is_empty());
}

/// Or until another is on its phone.
pub async fn a_session_is_live_in_the_trail_until_it_ends(store: Arc<impl AuditStore>) {
    let mut first = step(&AuditPlace::default(), &["1"]);
    first.live = vec![session(1, 1), session(2, 2), session(3, 3)];
    store.append(first.clone()).await.unwrap();

    let mut second = step(&first.to, &["2"]);
    let next = Session { id: "00000000000100000000000009".parse().unwrap(), ..session(4, 1) };
    second.live = vec![next.clone()];
    second.ended = vec![session(2, 2).id, "99999999999900000000000009".parse().unwrap()];
    store.append(second.clone()).await.unwrap();
    assert_eq!(store.live(None, 10).await.unwrap(), [next.clone(), session(3, 3)]);

    let mut third = step(&second.to, &[]);
    third.ended = vec![session(1, 1).id, session(3, 3).id];
    third.live = vec![session(3, 3)];
    third.to.sequence += 1;
    store.append(third.clone()).await.unwrap();
    assert_eq!(store.live(None, 10).await.unwrap(), [next, session(3, 3)]);
    assert_eq!(store.place().await.unwrap(), third.to);
}

/// Without loss or repeat.
pub async fn sessions_that_are_live_in_the_trail_are_paged_by_phone(store: Arc<impl AuditStore>) {
    let mut step = step(&AuditPlace::default(), &["1"]);
    step.live = (1..=7).rev().map(|number| session(number, number)).collect();
    store.append(step).await.unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.live(after.as_ref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.phone.clone());
        seen.extend(page.into_iter().map(|session| session.phone));
    }
    assert_eq!(seen, (1..=7).map(phone).collect::<Vec<_>>());
}

/// Whatever asks for them, and the others stay as they were.
pub async fn ev_1_the_oldest_records_are_deleted_by_a_step(store: Arc<impl AuditStore>) {
    fed(&store, |record| record.user = format!("agent{}", record.number % 2), 9).await;
    let before = all(&store).await;
    let mut pruning = step(&store.place().await.unwrap(), &["pruned"]);
    pruning.records[0].event = None;
    pruning.to.sequence = pruning.from.sequence;
    pruning.live = vec![session(1, 1)];
    store.prune(pruning.clone(), 4).await.unwrap();
    let kept = [&before[4..], &pruning.records].concat();
    assert_eq!(all(&store).await, kept);
    assert_eq!(store.place().await.unwrap(), pruning.to);
    assert_eq!(store.live(None, 10).await.unwrap(), pruning.live);
    let of_one = AuditQuery { user: Some("agent0".into()), ..AuditQuery::default() };
    assert_eq!(numbers(&store, of_one).await, [6, 8]);
    assert_eq!(numbers(&store, AuditQuery { from: Some(at(0)), ..AuditQuery::default() }).await[0], 5);
    assert_eq!(store.recorded(0, 6).await.unwrap().len(), 2);

    // Nothing is left but what the step brings.
    let last = step(&pruning.to, &["pruned again"]);
    store.prune(last.clone(), u64::MAX).await.unwrap();
    assert_eq!(all(&store).await, last.records);
    assert_eq!(store.live(None, 10).await.unwrap(), pruning.live);
}

/// From a place where the trail does not stand.
pub async fn ev_1_a_step_that_moved_deletes_nothing(store: Arc<impl AuditStore>) {
    fed(&store, |_| {}, 3).await;
    let before = all(&store).await;
    let place = store.place().await.unwrap();
    for moved in [AuditPlace::default(), AuditPlace { number: 2, ..place.clone() }] {
        let refused = store.prune(step(&moved, &["pruned"]), 2).await;
        assert!(matches!(refused, Err(AuditError::Moved)), "{refused:?}");
        assert_eq!(all(&store).await, before);
        assert_eq!(store.place().await.unwrap(), place);
    }
}

/// Of 8 that delete from one place.
pub async fn ev_1_of_many_that_prune_one_does(store: Arc<impl AuditStore>) {
    fed(&store, |_| {}, 20).await;
    let place = store.place().await.unwrap();
    let prune = |number: u64| {
        let (store, step) = (Arc::clone(&store), step(&place, &["pruned"]));
        async move { store.prune(step, number).await.is_ok() }
    };
    let pruners: JoinSet<bool> = (5..13).map(prune).collect();
    let made = pruners.join_all().await.into_iter().filter(|made| *made).count();
    let left = all(&store).await;
    let first = left[0].number;
    assert_eq!((made, left.len() as u64), (1, 21 - (first - 1)));
    assert!((6..14).contains(&first), "{first}");
}

/// Whether they are live, and none other.
pub async fn sessions_are_found_among_those_that_are_live_in_the_trail(store: Arc<impl AuditStore>) {
    let mut step = step(&AuditPlace::default(), &["1"]);
    step.live = (1..=1_100).map(|number| session(number, number)).collect();
    store.append(step.clone()).await.unwrap();
    let asked: Vec<_> = [3, 2_000, 1, 700].map(|number| session(number, number).id).into();
    let found = store.live_among(&asked).await.unwrap();
    assert_eq!(found, [session(1, 1), session(3, 3), session(700, 700)]);
    assert!(store.live_among(&[]).await.unwrap().is_empty());
    let all: Vec<_> = step.live.iter().rev().map(|session| session.id.clone()).collect();
    assert_eq!(store.live_among(&all).await.unwrap(), store.live(None, 2_000).await.unwrap());
}

/// Of many records, sessions and bytes.
pub async fn a_large_step_of_the_trail_is_one_step(store: Arc<impl AuditStore>) {
    let large = format!("{{\"x\":\"{}\"}}", "ü".repeat(1 << 19));
    let mut bodies = vec!["{}"; 1_500];
    bodies[700] = &large;
    let mut step = step(&AuditPlace::default(), &bodies);
    step.live = (1..=1_200).map(|number| session(number, number)).collect();
    step.ended = (5_001..=6_200).map(|number| session(number, number).id).collect();
    store.append(step.clone()).await.unwrap();
    assert_eq!(all(&store).await, step.records);
    assert_eq!(store.live(None, 10_000).await.unwrap().len(), 1_200);
}
