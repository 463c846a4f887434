//! The trail has each event once, whoever feeds it, and whatever becomes of the log.

mod fencing;
mod skipping;

use std::sync::Arc;

use async_trait::async_trait;
use roamline_domain::SessionId;
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark, Hash};
use roamline_domain::phone_state::{Actor, Asked, Refused, SessionEvent};
use roamline_store::conformance::fixture::{agent, at, log_in, log_out, phone, since};
use roamline_store::memory::MemoryStore;
use roamline_store::{AuditQuery, Sequence, SessionStore};
use serde_json::Value;
use tokio::task::{AbortHandle, JoinSet, yield_now};

use super::*;

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

fn feeder(store: &Arc<MemoryStore>, audit: &Arc<MemoryStore>) -> Feeder {
    Feeder::new(store.clone(), audit.clone())
}

async fn fed(store: &Arc<MemoryStore>, audit: &Arc<MemoryStore>) -> AuditPlace {
    let feeder = feeder(store, audit);
    let mut place = feeder.feed(at(500)).await.unwrap();
    loop {
        let next = feeder.feed(at(500)).await.unwrap();
        if next == place {
            return place;
        }
        place = next;
    }
}

#[tokio::test]
async fn ev_1_what_the_trail_does_not_have_is_counted_though_nothing_feeds_it() {
    let (store, audit) = (store(), Arc::new(MemoryStore::new()));
    let feeder = feeder(&store, &audit);
    assert_eq!(feeder.behind(*store.latest().borrow()), 0, "nobody has asked the trail yet");
    feeder.feed(at(500)).await.unwrap();
    for number in 0..3 {
        refuse(&store, number).await;
    }
    assert_eq!(feeder.behind(*store.latest().borrow()), 3);
    feeder.feed(at(500)).await.unwrap();
    assert_eq!(feeder.behind(*store.latest().borrow()), 0);
}

async fn records(audit: &MemoryStore) -> Vec<AuditRecord> {
    audit.records(&AuditQuery::default(), 0, u32::MAX).await.unwrap()
}

fn json(record: &AuditRecord) -> Value {
    serde_json::from_str(&record.body).unwrap()
}

async fn refuse(store: &MemoryStore, number: u64) {
    let refused = Refused {
        what: Asked::Login,
        phone: phone(7),
        user: format!("nobody{number}"),
        profile: String::new(),
        reason: "CREDENTIAL_REFUSED".into(),
        actor: Actor { name: "nobody".into(), ..Actor::default() },
        more: 0,
    };
    store.tell(vec![SessionEvent::Refused(refused)], at(10)).await.unwrap();
}

/// That records hang together, and that none tells of the same event as another.
fn assert_whole(records: &[AuditRecord]) {
    let mut hash = Hash::default();
    for (number, record) in (1..).zip(records) {
        hash = hash.then(&record.body);
        assert_eq!((record.number, record.hash), (number, hash));
        let body = json(record);
        assert_eq!(body["number"], number);
        let column = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((column("phone"), column("user")), (record.phone.clone(), record.user.clone()));
    }
    let mut marks: Vec<&EventMark> = records.iter().filter_map(|record| record.event.as_ref()).collect();
    let number = marks.len();
    marks.sort_by_key(|mark| (mark.sequence, mark.fingerprint.clone()));
    marks.dedup();
    assert_eq!(marks.len(), number, "an event is recorded once");
}

/// That the trail has every event of the log that it can have, and knows the sessions that are live.
async fn assert_has_all(store: &Arc<MemoryStore>, audit: &Arc<MemoryStore>) {
    let records = records(audit).await;
    assert_whole(&records);
    let oldest = match store.events(0, 1).await {
        Err(EventsError::TooOld { oldest, .. }) => oldest,
        _ => 1,
    };
    for event in store.events(oldest - 1, u32::MAX).await.unwrap().events {
        let mark = mark(&event);
        let recorded = records.iter().any(|record| record.event.as_ref() == Some(&mark));
        assert!(recorded || matches!(event.event, SessionEvent::Redressed(_)), "{mark:?} is not recorded");
    }
    let snapshot = store.snapshot(None).await.unwrap();
    let live: Vec<_> = snapshot.phones.into_iter().filter_map(|phone| phone.session).collect();
    let known = audit.live(None, u32::MAX).await.unwrap();
    assert_eq!(known, live.iter().map(Session::told).collect::<Vec<_>>());
}

fn cuts(records: &[AuditRecord]) -> Vec<Value> {
    let cuts =
        records.iter().filter(|record| matches!(record.kind, AuditKind::StoreCut | AuditKind::StoreRebuilt));
    cuts.map(|record| json(record)["log"].clone()).collect()
}

#[tokio::test]
async fn ev_1_each_login_and_logout_and_refusal_is_a_record_that_says_everything() {
    let (store, audit) = (store(), store());
    log_in(&store, 1, &agent(1).lasting(Duration::from_secs(60)).idle_for(Duration::from_secs(30))).await;
    store.tell(vec![SessionEvent::Redressed(phone(3))], at(1)).await.unwrap();
    log_in(&store, 1, &agent(2)).await;
    log_out(&store, 1).await;
    refuse(&store, 1).await;
    assert_eq!(fed(&store, &audit).await.sequence, *store.latest().borrow());

    let records = records(&audit).await;
    let kinds: Vec<_> = records.iter().map(|record| record.kind).collect();
    use AuditKind::{Login, LoginRefused, Logout};
    assert_eq!(kinds, [Login, Logout, Login, Logout, LoginRefused]);
    let login = json(&records[0]);
    assert_eq!(login["version"], 1);
    assert_eq!(login["time"], "2023-11-14T22:13:20.000000000Z");
    assert_eq!((&login["user"], &login["phone"]), (&"agent1".into(), &phone(1).as_str().into()));
    assert_eq!((&login["profile"], &login["actor"]["source"]), (&"agents".into(), &"127.0.0.1".into()));
    assert_eq!(login["deadlines"]["maximum_time"], "2023-11-14T22:14:20Z");
    assert_eq!(login["deadlines"]["idle_seconds"], 30);
    let session: Session = serde_json::from_value(login["session"].clone()).unwrap();
    assert_eq!(session.user, agent(1).user);
    let taken_over = json(&records[1]);
    assert_eq!(
        (&taken_over["reason"], &taken_over["session_id"]),
        (&"NEXT_USER".into(), &login["session_id"])
    );
    let logout = json(&records[3]);
    assert_eq!((&logout["reason"], &logout["duration_seconds"]), (&"USER".into(), &60.0.into()));
    let refused = json(&records[4]);
    assert_eq!((&refused["reason"], &refused["user"]), (&"CREDENTIAL_REFUSED".into(), &"nobody1".into()));
    assert_has_all(&store, &audit).await;
}

#[tokio::test]
async fn a_name_that_no_database_takes_does_not_stop_the_trail() {
    let (store, audit) = (store(), store());
    let user = format!("a\0{}", "ü".repeat(5_000));
    let refused = Refused { what: Asked::Logout, user, ..refused_by_default() };
    store.tell(vec![SessionEvent::Refused(refused)], at(0)).await.unwrap();
    fed(&store, &audit).await;
    let records = records(&audit).await;
    assert_eq!(records[0].kind, AuditKind::LogoutRefused);
    assert_eq!(records[0].user.chars().count(), 200);
    assert!(records[0].user.starts_with("a\u{fffd}ü"));
    assert_whole(&records);
}

fn refused_by_default() -> Refused {
    Refused {
        what: Asked::Login,
        phone: phone(1),
        user: String::new(),
        profile: String::new(),
        reason: String::new(),
        actor: Actor::default(),
        more: 0,
    }
}

/// An audit store that others come between at every step.
struct Slow {
    inner: Arc<MemoryStore>,
    dice: AtomicU64,
}

impl Slow {
    fn roll(&self, sides: u64) -> u64 {
        let rolled =
            |seed: u64| seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let seed = self.dice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| Some(rolled(seed)));
        (seed.unwrap_or_default() >> 33) % sides
    }

    async fn wait(&self) {
        for _ in 0..self.roll(4) {
            yield_now().await;
        }
    }
}

#[async_trait]
impl AuditStore for Slow {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        self.wait().await;
        AuditStore::place(&*self.inner).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.wait().await;
        let made = self.inner.append(step).await;
        self.wait().await;
        made
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.inner.prune(step, until).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.records(query, after, limit).await
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        self.wait().await;
        self.inner.recorded(after, until).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.inner.live(after, limit).await
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.inner.live_among(sessions).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_1_of_3_feeders_that_are_killed_at_random_each_of_10000_events_is_recorded_once() {
    const EVENTS: u64 = 10_000;
    let (store, audit) = (store(), store());
    let slow = Arc::new(Slow { inner: audit.clone(), dice: AtomicU64::new(7) });
    let mut tasks = JoinSet::new();
    let mut begin = || -> AbortHandle {
        let feeder = Feeder::new(store.clone(), slow.clone());
        tasks.spawn(async move {
            loop {
                feeder.feed(at(500)).await.unwrap();
                yield_now().await;
            }
        })
    };
    let mut feeders = [begin(), begin(), begin()];
    let (mut made, mut killed) = (0, 0);
    while made < EVENTS {
        let number = slow.roll(50) as u32 + 1;
        match slow.roll(3) {
            0 => refuse(&store, made).await,
            1 if store.phone(&phone(number)).await.unwrap().is_some_and(|phone| phone.session.is_some()) => {
                drop(log_out(&store, number).await);
            }
            _ => drop(log_in(&store, number, &agent(number + slow.roll(2) as u32)).await),
        }
        made = *store.latest().borrow();
        if slow.roll(40) == 0 {
            let one = slow.roll(3) as usize;
            feeders[one].abort();
            feeders[one] = begin();
            killed += 1;
        }
        if slow.roll(8) == 0 {
            yield_now().await;
        }
    }
    feeders.iter().for_each(AbortHandle::abort);
    while tasks.join_next().await.is_some() {}
    fed(&store, &audit).await;
    let records = records(&audit).await;
    assert_whole(&records);
    let log = store.events(0, u32::MAX).await.unwrap().events;
    let told: Vec<_> = log.iter().map(|event| Some(mark(event))).collect();
    assert_eq!(records.into_iter().map(|record| record.event).collect::<Vec<_>>(), told, "in order");
    assert_has_all(&store, &audit).await;
    assert!(killed > 50, "{killed}");
}

/// Two stores with the same log of six events: agents 1 to 4 are logged in, agent 1 out, somebody was refused.
async fn twins() -> [Arc<MemoryStore>; 2] {
    let twins = [store(), store()];
    for store in &twins {
        for number in 1..=4 {
            log_in(store, number, &agent(number)).await;
        }
        log_out(store, 1).await;
        refuse(store, 1).await;
    }
    twins
}

#[tokio::test]
async fn ev_1_a_log_that_lost_its_end_is_told_of_and_goes_on() {
    let [lost, kept] = twins().await;
    let audit = store();
    log_in(&lost, 5, &agent(5)).await;
    log_out(&lost, 2).await;
    fed(&lost, &audit).await;

    let place = fed(&kept, &audit).await;
    assert_eq!((place.sequence, place.number), (6, 9));
    let told = cuts(&records(&audit).await);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["expected"]["place"], &told[0]["goes_on_after"]), (&8.into(), &6.into()));
    assert_eq!((&told[0]["lost"], &told[0]["unknown"]), (&2.into(), &0.into()));
    assert_eq!(told[0]["sessions_lost"][0]["user"], "agent5");
    assert_eq!(told[0]["sessions_found_number"], 1, "agent 2 is still logged in");
    assert_has_all(&kept, &audit).await;

    log_in(&kept, 6, &agent(6)).await;
    log_out(&kept, 3).await;
    fed(&kept, &audit).await;
    assert_eq!(cuts(&records(&audit).await).len(), 1);
    assert_has_all(&kept, &audit).await;
}

#[tokio::test]
async fn ev_1_a_log_that_filled_its_places_anew_is_recorded_from_where_it_parted() {
    let [lost, kept] = twins().await;
    let audit = store();
    log_in(&lost, 5, &agent(5)).await;
    log_out(&lost, 2).await;
    fed(&lost, &audit).await;
    log_in(&kept, 6, &agent(6)).await;
    log_out(&kept, 3).await;
    refuse(&kept, 2).await;

    fed(&kept, &audit).await;
    let records = records(&audit).await;
    let told = cuts(&records);
    assert_eq!((told.len(), &told[0]["goes_on_after"], &told[0]["lost"]), (1, &6.into(), &2.into()));
    assert_eq!(told[0]["found"]["place"], 8);
    assert_eq!(records.len(), 8 + 1 + 3);
    assert_has_all(&kept, &audit).await;
}

/// A process that still reads a master which has been replaced sees a shorter log, and says so; the others go on.
#[tokio::test]
async fn ev_1_who_reads_a_log_of_yesterday_makes_nobody_record_twice() {
    let [new, old] = twins().await;
    let audit = store();
    for number in 5..=9 {
        log_in(&new, number, &agent(number)).await;
        log_out(&new, number - 3).await;
    }
    fed(&new, &audit).await;
    fed(&old, &audit).await;
    log_in(&old, 12, &agent(12)).await;
    fed(&old, &audit).await;
    fed(&new, &audit).await;
    log_in(&new, 13, &agent(13)).await;
    fed(&new, &audit).await;
    assert_eq!(cuts(&records(&audit).await).len(), 2);
    assert_has_all(&new, &audit).await;
}

#[tokio::test]
async fn ev_1_events_that_are_gone_before_they_were_recorded_are_counted() {
    let [store, _] = twins().await;
    let audit = self::store();
    fed(&store, &audit).await;
    for number in 1..=5 {
        refuse(&store, number).await;
    }
    log_in(&store, 9, &agent(9)).await;
    store.trim(at(9), since(at(100))).await.unwrap();
    fed(&store, &audit).await;
    let told = cuts(&records(&audit).await);
    assert_eq!((told.len(), &told[0]["unknown"], &told[0]["lost"]), (1, &5.into(), &0.into()));
    assert_has_all(&store, &audit).await;
}

#[tokio::test]
async fn the_event_at_the_place_may_be_forgotten() {
    let [store, _] = twins().await;
    let audit = self::store();
    fed(&store, &audit).await;
    refuse(&store, 9).await;
    store.trim(at(9), since(at(100))).await.unwrap();
    fed(&store, &audit).await;
    assert!(cuts(&records(&audit).await).is_empty());
    assert_has_all(&store, &audit).await;
}

#[tokio::test]
async fn ev_1_a_log_that_parted_many_pages_ago_is_followed_from_there() {
    let [lost, kept] = twins().await;
    let audit = store();
    for number in 0..300 {
        refuse(&lost, number).await;
        refuse(&kept, number).await;
    }
    for number in 0..1_700 {
        refuse(&lost, 10_000 + number).await;
        refuse(&kept, 20_000 + number).await;
    }
    fed(&lost, &audit).await;
    fed(&kept, &audit).await;
    let told = cuts(&records(&audit).await);
    assert_eq!((told.len(), &told[0]["goes_on_after"]), (1, &306.into()));
    assert_has_all(&kept, &audit).await;
}

#[tokio::test]
async fn ev_1_steps_of_many_events_leave_nothing_out() {
    let (store, audit) = (store(), store());
    for number in 0..1_001 {
        refuse(&store, number).await;
    }
    assert_eq!(fed(&store, &audit).await.number, 1_001);
    assert_has_all(&store, &audit).await;
}
