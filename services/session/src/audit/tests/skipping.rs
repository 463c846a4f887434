//! Logs that skip places, so that none is given twice, as those of Redis do.

use roamline_domain::UserId;
use roamline_store::conformance::through::Through;
use roamline_store::{EventPage, Snapshot};

use super::*;

/// A log that has skipped places, as Redis does when its server is another: after `kept` comes `goes_on`.
struct Skipping {
    inner: Arc<MemoryStore>,
    kept: Sequence,
    goes_on: Sequence,
}

impl Skipping {
    /// The places of events after the kept ones, shifted.
    fn shifted(&self, sequence: Sequence) -> Sequence {
        if sequence > self.kept { sequence - self.kept - 1 + self.goes_on } else { sequence }
    }
}

#[async_trait]
impl Through for Skipping {
    fn store(&self) -> Arc<dyn SessionStore> {
        self.inner.clone()
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        let snapshot = self.inner.snapshot(user).await?;
        let sequence = self.shifted(snapshot.sequence).max(self.goes_on - 1);
        Ok(Snapshot { sequence, ..snapshot })
    }

    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        let last = Through::snapshot(self, None).await?.sequence;
        if after > last {
            return Err(EventsError::Ahead { after });
        }
        let all = self.inner.events(0, u32::MAX).await;
        let all = match all {
            Err(EventsError::TooOld { oldest, .. }) => self.inner.events(oldest - 1, u32::MAX).await?.events,
            read => read?.events,
        };
        let shift = |event: StoredEvent| StoredEvent { sequence: self.shifted(event.sequence), ..event };
        let all: Vec<_> = all.into_iter().map(shift).collect();
        let oldest = all.first().map_or(last + 1, |first| first.sequence);
        if after + 1 < oldest {
            return Err(EventsError::TooOld { after, oldest });
        }
        if after > self.kept && after < self.goes_on - 1 {
            return Err(EventsError::TooOld { after, oldest: self.goes_on - 1 });
        }
        let newer = all.into_iter().filter(|event| event.sequence > after);
        Ok(EventPage { events: newer.take(limit as usize).collect() })
    }
}

async fn fed_skipping(store: &Arc<MemoryStore>, goes_on: Sequence, audit: &Arc<MemoryStore>) -> AuditPlace {
    let skipping = Skipping { inner: store.clone(), kept: 6, goes_on };
    let feeder = Feeder::new(Arc::new(skipping), audit.clone());
    for _ in 0..5 {
        feeder.feed(at(500)).await.unwrap();
    }
    feeder.feed(at(500)).await.unwrap()
}

#[tokio::test]
async fn ev_1_a_log_that_skips_places_and_lost_nothing_is_followed_without_a_word() {
    let [store, _] = twins().await;
    let audit = self::store();
    fed(&store, &audit).await;
    assert_eq!(fed_skipping(&store, 1_000_007, &audit).await.sequence, 6);
    log_in(&store, 8, &agent(8)).await;
    assert_eq!(fed_skipping(&store, 1_000_007, &audit).await.sequence, 1_000_007);
    let records = records(&audit).await;
    assert_eq!((records.len(), cuts(&records).len()), (7, 0));
    assert_whole(&records);
}

#[tokio::test]
async fn ev_1_a_log_that_skips_places_because_it_lost_its_end_is_told_of_once() {
    for lost_number in [1, 2, 700, 1_300] {
        let [lost, kept] = twins().await;
        let audit = store();
        for number in 0..lost_number {
            refuse(&lost, number).await;
        }
        fed(&lost, &audit).await;
        let goes_on = 6 + lost_number + 1_000_001;
        assert_eq!(fed_skipping(&kept, goes_on, &audit).await.sequence, 6, "nothing is new");
        log_in(&kept, 8, &agent(8)).await;
        assert_eq!(fed_skipping(&kept, goes_on, &audit).await.sequence, goes_on);
        let records = records(&audit).await;
        let told = cuts(&records);
        assert_eq!((told.len(), &told[0]["lost"]), (1, &lost_number.into()), "{told:?}");
        assert_eq!(records.len() as u64, 6 + lost_number + 1 + 1);
        assert_whole(&records);
    }
}

/// The end that was lost lies behind places that were skipped before, and so does what both have.
#[tokio::test]
async fn ev_1_an_end_that_is_lost_behind_skipped_places_does_not_take_what_is_before_it() {
    let (twin, other) = (store(), store());
    let audit = store();
    let goes_on = 1_000_007;
    for store in [&twin, &other] {
        for number in 1..=8 {
            log_in(store, number, &agent(number)).await;
        }
    }
    refuse(&twin, 1).await;
    let lost = fed_skipping(&twin, goes_on, &audit).await;
    assert_eq!(lost.sequence, goes_on + 2);
    log_in(&other, 9, &agent(9)).await;
    fed_skipping(&other, goes_on, &audit).await;
    let records = records(&audit).await;
    let told = cuts(&records);
    assert_eq!(
        (told.len(), &told[0]["lost"], &told[0]["goes_on_after"]),
        (1, &1.into(), &(goes_on + 1).into())
    );
    assert_whole(&records);
}

#[tokio::test]
async fn ev_1_a_store_that_was_rebuilt_from_the_trail_is_told_of() {
    let [lost, _] = twins().await;
    let audit = store();
    let place = fed(&lost, &audit).await;
    let goes_on = 1_000;
    let told = ToRebuild { goes_on_after: goes_on - 1, sessions: 3, ended: &[] };
    fence(&*audit, &place, &told, at(400)).await.unwrap();
    let rebuilt = store();
    for number in 2..=4 {
        log_in(&rebuilt, number, &agent(number)).await;
    }
    rebuilt.trim(at(9), since(at(100))).await.unwrap();
    let skipping = Skipping { inner: rebuilt.clone(), kept: 2, goes_on };
    let feeder = Feeder::new(Arc::new(skipping), audit.clone());
    for _ in 0..5 {
        feeder.feed(at(500)).await.unwrap();
    }
    let records = records(&audit).await;
    let kinds: Vec<_> = records.iter().skip(6).map(|record| record.kind).collect();
    assert_eq!(kinds, [AuditKind::RebuildBegun, AuditKind::StoreRebuilt, AuditKind::Login]);
    assert_eq!(json(&records[6])["rebuild"]["sessions_number"], 3);
    assert_eq!(json(&records[7])["log"].get("unknown"), None);
    assert_whole(&records);
}
