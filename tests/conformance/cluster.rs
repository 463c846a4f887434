//! A cluster of two replicas on one store, as its clients see it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use roamline_domain::parameters::ServiceParameters;
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{self as wire, watch_phone_response};
use roamline_serve::{Clock, ManualClock};
use roamline_store::SessionStore;
use roamline_token::{Bearer, Signer, generate_key, scopes_of};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::backend::{Backend, next_case};
use crate::directory::InForce;
use crate::replica::{Phones, Replica, Sessions};
use crate::site::{PHONES, phone_name, user_name};

pub(crate) const WITHIN: Duration = Duration::from_secs(20);
const START: &str = "2026-03-02T08:00:00Z";

pub(crate) type Watching = Streaming<wire::WatchSessionsResponse>;

pub(crate) struct Cluster<B> {
    backend: B,
    /// Where one process opens it once.
    shared: Option<Arc<dyn SessionStore>>,
    replicas: Vec<Replica>,
    in_force: InForce,
    clock: Clock,
    hand: ManualClock,
    signer: Signer,
}

impl<B: Backend> Cluster<B> {
    pub(crate) async fn start() -> Self {
        let (clock, hand) = Clock::manual(START.parse().unwrap());
        let signer = Signer::new("roamline:test", "roamline:test", "k1", &generate_key().unwrap()).unwrap();
        let mut cluster = Self {
            backend: B::of_case(next_case()),
            shared: None,
            replicas: Vec::new(),
            in_force: Arc::new(Mutex::new(ServiceParameters::default())),
            clock,
            hand,
            signer,
        };
        cluster.start_replicas().await;
        // A phone that was never linked has no record: all of them are told what they shall be.
        for phone in 0..PHONES {
            cluster.look(0, phone).await;
        }
        cluster
    }

    async fn start_replicas(&mut self) {
        let (one, two) = (self.open().await, self.open().await);
        let start = |store| {
            let (in_force, clock) = (self.in_force.clone(), self.clock.clone());
            Replica::start(store, None, in_force, clock, &self.signer)
        };
        let (one, two) = tokio::join!(start(one), start(two));
        self.replicas = vec![one, two];
    }

    async fn open(&mut self) -> Arc<dyn SessionStore> {
        let store = match &self.shared {
            Some(store) => store.clone(),
            None => self.backend.open().await,
        };
        if B::ONE_PROCESS {
            self.shared = Some(store.clone());
        }
        // Whoever is first begins it, where that is needed.
        store.begin(Vec::new(), 0).await.unwrap();
        store
    }

    /// Ends both replicas, and begins both anew on what the store has kept.
    pub(crate) async fn restart(&mut self) {
        self.end_replicas().await;
        // What is in memory alone ends with its last owner, and is not meant to be kept.
        if B::NAME != "memory" {
            self.shared = None;
        }
        self.start_replicas().await;
    }

    async fn end_replicas(&mut self) {
        for replica in self.replicas.drain(..) {
            replica.stop().await;
        }
    }

    pub(crate) async fn stop(mut self) {
        self.end_replicas().await;
    }

    /// Sets parameters; they hold for the next login.
    pub(crate) fn set(&self, change: impl FnOnce(&mut ServiceParameters)) {
        change(&mut self.in_force.lock().unwrap());
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Both replicas do at the same time what is due.
    pub(crate) async fn sweep(&self) {
        tokio::join!(self.replicas[0].sweep(), self.replicas[1].sweep());
    }

    fn bearer(&self, name: &str, kind: PrincipalKind) -> Bearer {
        let from = START.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24);
        let lifetime = Duration::from_secs(365 * 86_400);
        Bearer::token(self.signer.sign(name, kind, scopes_of(kind), from, lifetime).unwrap().token)
    }

    /// An administrator who calls that replica, counted on and on.
    pub(crate) fn administrator(&self, replica: usize) -> Sessions {
        let bearer = self.bearer("admin", PrincipalKind::Administrator);
        self.replicas[replica % self.replicas.len()].sessions(&bearer)
    }

    pub(crate) fn phones(&self, replica: usize) -> Phones {
        let bearer = self.bearer("link", PrincipalKind::PhoneLink);
        self.replicas[replica % self.replicas.len()].phones(&bearer)
    }

    /// Logs a user in; must be taken.
    pub(crate) async fn log_in(&self, replica: usize, user: usize, phone: usize) -> wire::Session {
        let answer = self.administrator(replica).login(login(user, phone)).await;
        answer.unwrap().into_inner().session.unwrap()
    }

    /// All live sessions, as each replica lists them.
    pub(crate) async fn sessions(&self) -> Vec<wire::Session> {
        let list = |replica: usize| {
            let mut client = self.administrator(replica);
            async move { client.list_sessions(wire::ListSessionsRequest::default()).await.unwrap() }
        };
        let (one, other) = (list(0).await.into_inner().sessions, list(1).await.into_inner().sessions);
        assert_eq!(one, other, "the replicas agree");
        one
    }

    pub(crate) async fn watch(&self, replica: usize, resume: &str) -> Watching {
        let request = wire::WatchSessionsRequest { resume_token: resume.into(), ..Default::default() };
        self.administrator(replica).watch_sessions(request).await.unwrap().into_inner()
    }

    /// A watch of what happens from now on.
    pub(crate) async fn watch_from_now(&self, replica: usize) -> Watching {
        let mut watching = self.watch(replica, "").await;
        while !matches!(next(&mut watching).await.message.unwrap(), Message::SnapshotDone(_)) {}
        watching
    }

    /// What a phone shall be now.
    pub(crate) async fn look(&self, replica: usize, phone: usize) -> wire::PhoneUpdate {
        let request = wire::WatchPhoneRequest { phone: phone_name(phone) };
        let mut stream = self.phones(replica).watch_phone(request).await.unwrap().into_inner();
        match timeout(WITHIN, stream.next()).await.expect("in time").unwrap().unwrap().message {
            Some(watch_phone_response::Message::Update(update)) => update,
            other => panic!("{other:?} is no present state"),
        }
    }
}

/// The next message of a watch that is no heartbeat.
pub(crate) async fn next(watching: &mut Watching) -> wire::WatchSessionsResponse {
    let told = async {
        loop {
            let message = watching.next().await.expect("the watch goes on").expect("no refusal");
            if !matches!(message.message, Some(Message::Heartbeat(_))) {
                return message;
            }
        }
    };
    timeout(WITHIN, told).await.expect("in time")
}

/// What was told, in short.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    In { phone: String, session: String },
    Out { phone: String, session: String },
}

pub(crate) fn told(message: &wire::WatchSessionsResponse) -> Told {
    let (session, is_in) = match message.message.as_ref().unwrap() {
        Message::LoggedIn(session) => (session, true),
        Message::LoggedOut(ended) => (ended.session.as_ref().unwrap(), false),
        other => panic!("nobody expects {other:?}"),
    };
    let (phone, session) = (session.phone.clone(), session.session_id.clone());
    if is_in { Told::In { phone, session } } else { Told::Out { phone, session } }
}

/// Who is where, after what was told: on each phone one session, each ended once, and before the next begins.
pub(crate) fn follow(live: &mut BTreeMap<String, String>, told: &Told) {
    match told {
        Told::In { phone, session } => {
            assert_eq!(live.insert(phone.clone(), session.clone()), None, "{phone} holds one session");
        }
        Told::Out { phone, session } => assert_eq!(live.remove(phone).as_ref(), Some(session)),
    }
}

/// As [`follow`] knows them.
pub(crate) fn by_phone(sessions: &[wire::Session]) -> BTreeMap<String, String> {
    sessions.iter().map(|session| (session.phone.clone(), session.session_id.clone())).collect()
}

pub(crate) fn login(user: usize, phone: usize) -> wire::LoginRequest {
    wire::LoginRequest { phone: phone_name(phone), user_id: user_name(user), ..Default::default() }
}

pub(crate) fn logout(phone: usize) -> wire::LogoutRequest {
    wire::LogoutRequest {
        target: Some(wire::logout_request::Target::Phone(phone_name(phone))),
        ..Default::default()
    }
}

pub(crate) fn refusal(status: &Status) -> Refusal {
    Refusal::from_status(status).unwrap_or_else(|| panic!("not a refusal of ours: {status:?}"))
}

pub(crate) fn reason(status: &Status) -> ErrorReason {
    refusal(status).reason
}

/// Those that were made, and why the others were refused.
pub(crate) fn split<T>(answers: Vec<Result<tonic::Response<T>, Status>>) -> (Vec<T>, Vec<Refusal>) {
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let made = made.into_iter().filter_map(Result::ok).map(tonic::Response::into_inner).collect();
    let refused = refused.iter().filter_map(|answer| answer.as_ref().err()).map(refusal).collect();
    (made, refused)
}
