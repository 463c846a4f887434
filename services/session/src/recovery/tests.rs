//! Rebuilds that are killed, doubted and overtaken: each session of the trail is in the rebuilt store, or its end is in the
//! trail.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use roamline_domain::audit::{AuditKind, AuditRecord, EventMark};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::{LineName, PhoneName, ProfileName, SessionId};
use roamline_proto::auth::Credential;
use roamline_serve::{Clock, Ids, Tasks};
use roamline_store::conformance::through::Through;
use roamline_store::memory::MemoryStore;
use roamline_store::{AuditQuery, AuditStep, AuditStore, SessionStore};
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::timeout;

use super::*;
use crate::audit::Told;
use crate::sample::{self, administrator, phone};
use crate::{LoginFacts, LoginPlace, LogoutFacts, Peers, SessionConfig, Stores};

/// What happens to who begins the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// He is killed before it is done.
    Killed,
    /// It is done, and nobody says so.
    InDoubt,
    /// It is not done, and he is told so.
    Refused,
}

/// A session store that loses everything.
struct Losable {
    now: Mutex<Arc<MemoryStore>>,
    fault: Mutex<Fault>,
    /// What each begun it with who came so far.
    brought: Sender<Vec<Vec<PhoneState>>>,
    latest: Sender<Sequence>,
}

impl Losable {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::default(),
            fault: Mutex::new(Fault::None),
            brought: Sender::default(),
            latest: Sender::default(),
        })
    }

    fn lose(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        *self.now.lock().unwrap() = Arc::new(MemoryStore::lost());
    }

    /// The phones that it was begun with that time.
    async fn begun_with(&self, time: usize) -> Vec<PhoneState> {
        let mut brought = self.brought.subscribe();
        let enough = brought.wait_for(|brought| brought.len() > time);
        timeout(Duration::from_secs(600), enough).await.expect("it is begun").unwrap()[time].clone()
    }
}

#[async_trait]
impl Through for Losable {
    fn store(&self) -> Arc<dyn SessionStore> {
        Arc::clone(&self.now.lock().unwrap()) as _
    }

    async fn begin(&self, phones: Vec<PhoneState>, after: Sequence) -> Result<bool, StoreError> {
        self.brought.send_modify(|brought| brought.push(phones.clone()));
        let fault = std::mem::replace(&mut *self.fault.lock().unwrap(), Fault::None);
        let why = || "as the test wants it".into();
        match fault {
            Fault::Killed => std::future::pending().await,
            Fault::Refused => Err(StoreError::Unavailable(why())),
            Fault::None | Fault::InDoubt => {
                let begun = self.store().begin(phones, after).await?;
                if fault == Fault::None { Ok(begun) } else { Err(StoreError::InDoubt(why())) }
            }
        }
    }

    fn latest(&self) -> Receiver<Sequence> {
        self.latest.subscribe()
    }
}

/// A trail that can be held up: steps of events wait until somebody has read which sessions are live.
#[derive(Default)]
struct Late {
    inner: MemoryStore,
    holds: AtomicBool,
    held: Mutex<Option<AuditStep>>,
}

#[async_trait]
impl AuditStore for Late {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        AuditStore::place(&self.inner).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        let of_events = step.records.iter().any(|record| record.event.is_some());
        if of_events && self.holds.load(Ordering::SeqCst) {
            *self.held.lock().unwrap() = Some(step);
            return Err(AuditError::Moved);
        }
        self.inner.append(step).await
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
        self.inner.recorded(after, until).await
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        let live = self.inner.live(after, limit).await;
        let held = self.held.lock().unwrap().take();
        if let Some(step) = held {
            self.holds.store(false, Ordering::SeqCst);
            self.inner.append(step).await.expect("nobody was faster");
        }
        live
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.inner.live_among(sessions).await
    }
}

/// A directory that knows one user no more, once it is told so.
struct Forgetful {
    inner: Arc<dyn Peers>,
    forgotten: Mutex<Option<&'static str>>,
}

#[async_trait]
impl Peers for Forgetful {
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal> {
        if *self.forgotten.lock().unwrap() == Some(user_id) {
            return Err(Refusal::new(ErrorReason::UserNotFound, "no such user"));
        }
        self.inner.prepare_login(phone, user_id, profile).await
    }

    async fn prepare_logout(&self, phone: &PhoneName) -> Result<LogoutFacts, Refusal> {
        self.inner.prepare_logout(phone).await
    }

    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        self.inner.service_parameters().await
    }

    async fn set_do_not_disturb(&self, profile: &ProfileName, on: bool) -> Result<(), Refusal> {
        self.inner.set_do_not_disturb(profile, on).await
    }

    async fn line_exists(&self, line: &LineName) -> Result<(), Refusal> {
        self.inner.line_exists(line).await
    }

    async fn verify(&self, user_id: &str, credential: Credential, at: &LoginPlace) -> Result<(), Refusal> {
        self.inner.verify(user_id, credential, at).await
    }
}

/// Stores, and a directory, that any number of replicas may use.
struct Cluster {
    sessions: Arc<Losable>,
    audit: Arc<Late>,
    directory: Arc<Forgetful>,
}

impl Cluster {
    fn new() -> Self {
        let inner = Arc::clone(&sample::core().0.peers);
        let directory = Arc::new(Forgetful { inner, forgotten: Mutex::default() });
        Self { sessions: Losable::new(), audit: Arc::default(), directory }
    }

    fn replica(&self) -> (Arc<Core>, Tasks) {
        let (clock, _) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
        let stores = Stores { sessions: self.sessions.clone(), audit: self.audit.clone() };
        let (config, tasks) = (SessionConfig::default(), Tasks::new());
        let started =
            crate::Session::start(config, stores, self.directory.clone(), clock, Ids::new(), &tasks);
        (started.core, tasks)
    }

    async fn log_in(&self, core: &Core, number: u32) {
        let asked = sample::login(&format!("user{number}"), phone(number));
        core.login(&asked, &administrator(), |_| ()).await.unwrap();
    }

    /// Waits until the trail is as it must be.
    async fn until(&self, what: &str, is: impl Fn(&Late, &[AuditRecord]) -> bool) -> Vec<AuditRecord> {
        let mut look = interval(Duration::from_millis(50));
        let looking = async {
            loop {
                look.tick().await;
                let records = self.audit.records(&AuditQuery::default(), 0, u32::MAX).await.unwrap();
                if is(&self.audit, &records) {
                    return records;
                }
            }
        };
        timeout(Duration::from_secs(600), looking).await.unwrap_or_else(|_| panic!("{what}"))
    }

    /// Three who are logged in, as the trail knows, and one of them is forgotten by the directory.
    async fn of_three(&self) -> (Arc<Core>, Tasks) {
        let (core, tasks) = self.replica();
        for number in 1..=3 {
            self.log_in(&core, number).await;
        }
        self.until("the trail has three logins", |_, records| records.len() == 3).await;
        *self.directory.forgotten.lock().unwrap() = Some("user2");
        (core, tasks)
    }
}

fn of_kind(records: &[AuditRecord], kind: AuditKind) -> Vec<&AuditRecord> {
    records.iter().filter(|record| record.kind == kind).collect()
}

fn users(phones: &[PhoneState]) -> BTreeSet<&str> {
    phones.iter().filter_map(|phone| Some(phone.session.as_ref()?.user.as_str())).collect()
}

/// That user 2's end is told of once, by that many rebuilds, and the others are in the store.
async fn assert_told(cluster: &Cluster, rebuilds: usize) {
    let brought = cluster.sessions.begun_with(rebuilds - 1).await;
    assert_eq!(users(&brought), ["user1", "user3"].into());
    let over = |_: &Late, records: &[AuditRecord]| !of_kind(records, AuditKind::StoreRebuilt).is_empty();
    let records = cluster.until("the trail tells of the rebuild", over).await;
    let logouts: Vec<_> = of_kind(&records, AuditKind::Logout);
    assert_eq!(logouts.len(), 1, "{records:?}");
    assert_eq!((logouts[0].user.as_str(), Told::by(&logouts[0].body).reason.as_str()), ("user2", "POLICY"));
    assert_eq!(of_kind(&records, AuditKind::RebuildBegun).len(), rebuilds);
    assert_eq!(of_kind(&records, AuditKind::StoreRebuilt).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn ev_1_the_end_of_a_session_that_cannot_come_back_is_told_of_though_the_rebuilder_is_killed() {
    let cluster = Cluster::new();
    let (_core, tasks) = cluster.of_three().await;
    cluster.sessions.lose(Fault::Killed);
    let brought = cluster.sessions.begun_with(0).await;
    assert_eq!(users(&brought), ["user1", "user3"].into());
    assert_eq!(brought.len(), 3, "the phone of the other is told what it wears with nobody logged in");
    tasks.stop(Duration::ZERO).await;
    let (_next, _tasks) = cluster.replica();
    assert_told(&cluster, 2).await;
}

#[tokio::test(start_paused = true)]
async fn ev_1_the_end_of_a_session_that_cannot_come_back_is_told_of_though_nobody_says_that_it_is_rebuilt() {
    let cluster = Cluster::new();
    let (_core, _tasks) = cluster.of_three().await;
    cluster.sessions.lose(Fault::InDoubt);
    assert_told(&cluster, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_let_itself_be_begun_is_not_tried_all_the_time() {
    let cluster = Cluster::new();
    let (_core, _tasks) = cluster.of_three().await;
    cluster.sessions.lose(Fault::Refused);
    cluster.sessions.begun_with(0).await;
    let refused = tokio::time::Instant::now();
    assert_told(&cluster, 2).await;
    assert!(refused.elapsed() >= TRY_EVERY, "{:?}", refused.elapsed());
}

/// Another replica has read it before the loss, and brings it while the trail is read.
#[tokio::test(start_paused = true)]
async fn ev_1_a_login_that_comes_late_into_the_trail_is_rebuilt_or_refused_and_never_in_between() {
    let cluster = Cluster::new();
    let (core, _tasks) = cluster.of_three().await;
    cluster.audit.holds.store(true, Ordering::SeqCst);
    cluster.log_in(&core, 4).await;
    cluster.until("the step is held up", |audit, _| audit.held.lock().unwrap().is_some()).await;
    cluster.sessions.lose(Fault::None);
    let brought = cluster.sessions.begun_with(0).await;
    assert_eq!(users(&brought), ["user1", "user3", "user4"].into());
    let over = |_: &Late, records: &[AuditRecord]| !of_kind(records, AuditKind::StoreRebuilt).is_empty();
    let records = cluster.until("the trail tells of the rebuild", over).await;
    let kinds: Vec<_> = records.iter().skip(3).map(|record| record.kind).collect();
    use AuditKind::{Login, Logout, RebuildBegun, StoreRebuilt};
    assert_eq!(kinds, [Login, Logout, RebuildBegun, StoreRebuilt]);
}

#[test]
fn epochs_after_a_loss_are_beyond_all_that_were_given_out_whatever_the_clock_says() {
    let now: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
    let millis = u64::try_from(now.as_millisecond()).unwrap();
    assert_eq!(floor(&[], 500, now), 500 + millis);
    let told = |epoch: u64, generation: u64| Session { epoch, generation, ..restored::sample() };
    assert_eq!(floor(&[told(7, 9), told(8, 2)], 500, now), 500 + millis);
    let later = 3 * millis;
    assert_eq!(floor(&[told(7, 9), told(later, 2)], 500, now), later + JUMP);
    assert_eq!(floor(&[told(7, later)], 500, Timestamp::UNIX_EPOCH), later + JUMP);
}
