//! The service beside the rules: each operation is made on both, and what is answered, what is live and what is told
//! must be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use roamline_proto::auth::{Credential, PrincipalKind, credential};
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{self as wire, HookState};
use roamline_serve::{Clock, ManualClock};
use roamline_store::SessionStore;
use roamline_token::{Bearer, Signer, generate_key, scopes_of};
use tokio::runtime::Runtime;
use tonic::Streaming;

use crate::backend::{Backend, next_case};
use crate::directory::{InForce, policy};
use crate::replica::{Phones, Replica, Sessions};
use crate::rules::World;
use crate::site::{PASSWORD, PHONES, phone_name, user_name};
use crate::state::{Answer, Number, Told};
use crate::step::{By, Change, Login, Logout, Step, Target, Worn, any_step};
use crate::view::{answer_of, describe, expect, look, next, refused, watch};

/// Two days before clocks are put forward in Europe.
const START: &str = "2026-03-27T08:00:00Z";

/// How many operations of each kind were made, by the name of the backend.
pub(crate) static MADE: Mutex<BTreeMap<(&str, &str), u64>> = Mutex::new(BTreeMap::new());

/// The rules, as what runs are drawn from.
pub(crate) struct Rules;

impl ReferenceStateMachine for Rules {
    type State = World;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<World> {
        Just(World::new(START.parse().expect("an instant"))).boxed()
    }

    fn transitions(_state: &World) -> BoxedStrategy<Step> {
        any_step()
    }

    fn preconditions(state: &World, step: &Step) -> bool {
        state.decides(step)
    }

    fn apply(mut state: World, step: &Step) -> World {
        state.apply(step);
        state
    }
}

/// A cluster of two replicas.
pub(crate) struct Cluster<B> {
    runtime: Runtime,
    live: Option<Live<B>>,
}

/// Tokens by the names of their owners.
type Bearers = Mutex<BTreeMap<String, Bearer>>;

struct Live<B> {
    backend: B,
    /// Where one process opens it once.
    shared: Option<Arc<dyn SessionStore>>,
    replicas: Vec<Option<Replica>>,
    in_force: InForce,
    clock: Clock,
    hand: ManualClock,
    signer: Signer,
    bearers: Bearers,
    /// Ids by the numbers of sessions, and the last epoch of each phone.
    ids: Vec<String>,
    epochs: [u64; PHONES],
    watch: Watch,
    beginning: String,
}

/// A watch that is read now and then: by it, everything that is told is told once, and in order.
#[derive(Default)]
struct Watch {
    stream: Option<Streaming<wire::WatchSessionsResponse>>,
    resume: String,
    read: Vec<wire::WatchSessionsResponse>,
}

pub(crate) struct Beside<B>(PhantomData<B>);

impl<B: Backend> StateMachineTest for Beside<B> {
    type SystemUnderTest = Cluster<B>;
    type Reference = Rules;

    fn init_test(world: &World) -> Cluster<B> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let live = runtime.block_on(Live::<B>::start(world));
        Cluster { runtime, live: Some(live) }
    }

    fn apply(mut cluster: Cluster<B>, world: &World, step: Step) -> Cluster<B> {
        *MADE.lock().expect("nobody panics with it").entry((B::NAME, step.kind())).or_default() += 1;
        let live = cluster.live.as_mut().expect("it runs");
        cluster.runtime.block_on(async {
            let answer = live.make(world, &step).await;
            assert_eq!(answer, world.answer, "{}: the answer to {step:?}", B::NAME);
            live.compare_sessions(world).await;
        });
        cluster
    }

    fn teardown(mut cluster: Cluster<B>, world: World) {
        let live = cluster.live.take().expect("it runs");
        cluster.runtime.block_on(live.end(&world));
    }
}

impl<B: Backend> Live<B> {
    async fn start(world: &World) -> Self {
        let (clock, hand) = Clock::manual(world.now);
        let signer = Signer::new("roamline:test", "roamline:test", "k1", &generate_key().expect("a key"));
        let backend = B::of_case(next_case());
        let mut live = Self {
            backend,
            shared: None,
            replicas: vec![None, None],
            in_force: Arc::new(Mutex::new(policy(&world.parameters))),
            clock,
            hand,
            bearers: Bearers::default(),
            signer: signer.expect("a signer"),
            ids: Vec::new(),
            epochs: [0; PHONES],
            watch: Watch::default(),
            beginning: String::new(),
        };
        live.start_replicas(&[0, 1]).await;
        let phones = live.phones(0);
        for phone in 0..PHONES {
            look(phones.clone(), phone).await;
        }
        let mut stream = watch(live.sessions(0), "").await;
        live.beginning = next(&mut stream).await.resume_token;
        live.watch = Watch { stream: Some(stream), resume: live.beginning.clone(), read: Vec::new() };
        live
    }

    async fn start_replicas(&mut self, which: &[usize]) {
        for replica in which {
            let store = match &self.shared {
                Some(store) => store.clone(),
                None => self.backend.open().await,
            };
            if B::ONE_PROCESS {
                self.shared = Some(store.clone());
            }
            // Whoever is first begins it, where that is needed.
            store.begin(Vec::new(), 0).await.expect("it begins");
            let started =
                Replica::start(store, B::FAULT, self.in_force.clone(), self.clock.clone(), &self.signer)
                    .await;
            self.replicas[*replica] = Some(started);
        }
    }

    fn replica(&self, number: usize) -> &Replica {
        self.replicas[number].as_ref().expect("it runs")
    }

    /// Good for the whole run, whatever the clock does.
    fn bearer(&self, name: &str, kind: PrincipalKind) -> Bearer {
        let sign = || {
            let lifetime = Duration::from_secs(20 * 365 * 86_400);
            let from = START.parse::<Timestamp>().expect("an instant") - SignedDuration::from_hours(24);
            let signed = self.signer.sign(name, kind, scopes_of(kind), from, lifetime);
            Bearer::token(signed.expect("a token").token)
        };
        let mut bearers = self.bearers.lock().expect("nobody panics with it");
        bearers.entry(name.to_owned()).or_insert_with(sign).clone()
    }

    fn bearer_of(&self, by: By) -> Bearer {
        match by {
            By::Administrator => self.bearer("admin", PrincipalKind::Administrator),
            By::Application => self.bearer("desktop", PrincipalKind::Application),
            By::User(user) => self.bearer(&user_name(user), PrincipalKind::User),
            By::Credential(_) => Bearer::none(),
        }
    }

    fn sessions(&self, replica: usize) -> Sessions {
        self.replica(replica).sessions(&self.bearer_of(By::Administrator))
    }

    fn phones(&self, replica: usize) -> Phones {
        self.replica(replica).phones(&self.bearer("link", PrincipalKind::PhoneLink))
    }

    async fn make(&mut self, world: &World, step: &Step) -> Answer {
        match step {
            Step::Login { on, login, request } => self.login(*on, login, *request).await,
            Step::Logout { on, logout, request } => self.logout(*on, logout, *request).await,
            Step::Hook { on, phone, up } => {
                let state = if *up { HookState::OffHook } else { HookState::OnHook };
                let phone = phone_name(*phone);
                let report =
                    wire::ReportPhoneRequest { phone, hook_state: state.into(), ..Default::default() };
                answer_of(self.phones(*on).report_phone(report).await.map(|_| Answer::Done))
            }
            Step::Acknowledge { on, phone, worn } => {
                // The world is as it is afterwards: an acknowledgement gives no new state of wear.
                let newest = world.phones[*phone].newest;
                let generation = match worn {
                    Worn::Newest => newest,
                    Worn::OneOlder => newest - 1,
                    Worn::NeverGiven => newest + 1,
                };
                let request = wire::AcknowledgePhoneRequest { phone: phone_name(*phone), generation };
                let answer = self.phones(*on).acknowledge_phone(request).await;
                answer_of(answer.map(|a| Answer::Acknowledged { newest: a.into_inner().generation }))
            }
            Step::Agent { on, by, user, state } => {
                let (user_id, agent_state) = (user_name(*user), (*state).into());
                let request = wire::ReportAgentStateRequest { user_id, agent_state };
                let mut client = self.replica(*on).sessions(&self.bearer_of(*by));
                answer_of(client.report_agent_state(request).await.map(|_| Answer::Done))
            }
            Step::Clock(_) => {
                self.hand.set(world.now);
                Answer::Done
            }
            Step::Set(change) => {
                *self.in_force.lock().expect("nobody panics with it") = policy(&world.parameters);
                if let Change::Daily(_) = change {
                    let (one, two) = (self.replica(0), self.replica(1));
                    tokio::join!(one.directory.heard(), two.directory.heard());
                    one.schedule().await;
                    two.schedule().await;
                }
                Answer::Done
            }
            Step::Sweep { on } => {
                self.replica(*on).sweep().await;
                Answer::Done
            }
            Step::Restart { one } => {
                self.restart(one.map_or_else(|| vec![0, 1], |one| vec![one])).await;
                Answer::Done
            }
            Step::Resume { on } => {
                self.watch.stream = None;
                self.read_watch(*on, world).await;
                Answer::Done
            }
            Step::Look { on, phone } => {
                let update = look(self.phones(*on), *phone).await;
                self.compare_phone(world, *phone, &update);
                Answer::Done
            }
        }
    }

    async fn login(&mut self, on: usize, login: &Login, request: Option<u8>) -> Answer {
        let credential = match login.by {
            By::Credential(right) => {
                let password = if right { PASSWORD } else { "wrong" };
                Some(Credential { kind: Some(credential::Kind::Password(password.into())) })
            }
            _ => None,
        };
        let request = wire::LoginRequest {
            phone: phone_name(login.phone),
            user_id: user_name(login.user),
            credential,
            duration: login
                .asks
                .map(|seconds| prost_types::Duration { seconds: seconds.cast_signed(), nanos: 0 }),
            take_over: login.take_over,
            request_id: request.map(|id| format!("request-{id}")).unwrap_or_default(),
            ..Default::default()
        };
        let answer = self.replica(on).sessions(&self.bearer_of(login.by)).login(request).await;
        let made = match answer {
            Ok(made) => made.into_inner(),
            Err(status) => return refused(&status),
        };
        let session = made.session.expect("a login makes a session");
        if !made.replayed {
            assert!(!self.ids.contains(&session.session_id), "an id is used twice");
            self.ids.push(session.session_id.clone());
            let epoch = &mut self.epochs[login.phone];
            assert!(session.phone_epoch > *epoch, "the epoch of a phone grows");
            *epoch = session.phone_epoch;
        }
        let ended = made.ended_sessions.iter();
        let ended = ended.map(|ended| (self.number(ended.session.as_ref()), ended.reason())).collect();
        Answer::LoggedIn { session: self.number(Some(&session)), ended, replayed: made.replayed }
    }

    async fn logout(&mut self, on: usize, logout: &Logout, request: Option<u8>) -> Answer {
        use wire::logout_request::Target as Wire;
        let target = match logout.target {
            Target::Phone(phone) => Wire::Phone(phone_name(phone)),
            Target::Session(back) => Wire::SessionId(self.ids[self.ids.len() - 1 - back].clone()),
            Target::Nothing => Wire::SessionId("01ARZ3NDEKTSV4RRFFQ69G5FAV".into()),
        };
        let phone_epoch = match logout.target {
            Target::Phone(phone) if logout.is_late => self.epochs[phone].saturating_sub(1).max(1),
            _ => 0,
        };
        let request = wire::LogoutRequest {
            target: Some(target),
            force: logout.force,
            note: if logout.force { "the shift is over".into() } else { String::new() },
            phone_epoch,
            request_id: request.map(|id| format!("request-{id}")).unwrap_or_default(),
            ..Default::default()
        };
        match self.replica(on).sessions(&self.bearer_of(logout.by)).logout(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                let ended = answer.ended_session.expect("a logout ends a session");
                let session = self.number(ended.session.as_ref());
                Answer::LoggedOut { session, reason: ended.reason(), replayed: answer.replayed }
            }
            Err(status) => refused(&status),
        }
    }

    async fn restart(&mut self, which: Vec<usize>) {
        let both = which.len() == 2;
        // A watch that must be resumed goes on anew; the others see nothing of it.
        self.watch.stream = None;
        for replica in &which {
            self.replicas[*replica].take().expect("it runs").stop().await;
        }
        if both && B::NAME != "memory" {
            self.shared = None;
        }
        self.start_replicas(&which).await;
        for replica in &which {
            self.replica(*replica).schedule().await;
        }
        self.replica(which[0]).sweep().await;
    }

    fn number(&self, session: Option<&wire::Session>) -> Number {
        let id = &session.expect("a session").session_id;
        self.ids.iter().position(|known| known == id).unwrap_or_else(|| panic!("{id} was never made"))
    }

    async fn compare_sessions(&self, world: &World) {
        let request = wire::ListSessionsRequest::default();
        let listed =
            self.sessions(self.ids.len() % 2).list_sessions(request).await.expect("a list").into_inner();
        let found: Vec<_> = listed.sessions.iter().map(|session| self.number(Some(session))).collect();
        let expected: Vec<_> = world.live().map(|(number, _)| number).collect();
        assert_eq!(found, expected, "live sessions in the order of their phones");
        for (wire, (number, session)) in listed.sessions.iter().zip(world.live()) {
            assert_eq!(describe(wire), expect(world, session), "session {number}");
        }
    }

    fn compare_phone(&self, world: &World, number: usize, update: &wire::PhoneUpdate) {
        let phone = &world.phones[number];
        let holds = update.session.as_ref().map(|session| self.number(Some(session)));
        assert_eq!(holds, phone.holds, "who is on phone {number}");
        assert_eq!(update.generation, phone.newest, "the state of wear of phone {number}");
        let last = phone.last_user.map(user_name).unwrap_or_default();
        assert_eq!(update.last_user_id, last, "the last user of phone {number}");
        let actions = update.actions.as_ref().expect("what is to be done");
        assert_eq!(
            (actions.restart, actions.clear_call_history, actions.cancel_call_back),
            (phone.todo.restart, phone.todo.clear, phone.todo.cancel),
            "what phone {number} must do"
        );
    }

    /// Reads on until everything that was told has been seen, with a new stream where there is none.
    async fn read_watch(&mut self, on: usize, world: &World) {
        let expected = world.told.iter().map(Vec::len).sum::<usize>();
        if self.watch.stream.is_none() {
            self.watch.stream = Some(watch(self.sessions(on), &self.watch.resume).await);
        }
        while self.watch.read.len() < expected {
            let message = next(self.watch.stream.as_mut().expect("a stream")).await;
            self.watch.resume = message.resume_token.clone();
            if !matches!(message.message, Some(Message::Heartbeat(_))) {
                self.watch.read.push(message);
            }
        }
        self.compare_told(world, &self.watch.read);
    }

    fn compare_told(&self, world: &World, read: &[wire::WatchSessionsResponse]) {
        let mut read = read.iter().map(|message| match &message.message {
            Some(Message::LoggedIn(session)) => Told::LoggedIn(self.number(Some(session))),
            Some(Message::LoggedOut(ended)) => {
                Told::LoggedOut(self.number(ended.session.as_ref()), ended.reason())
            }
            Some(Message::LogoutPending(session)) => Told::LogoutPending(self.number(Some(session))),
            other => panic!("nobody expects {other:?}"),
        });
        for batch in &world.told {
            let found: Vec<_> = read.by_ref().take(batch.len()).collect();
            let is_login = |told: &Told| matches!(told, Told::LoggedIn(_));
            assert_eq!(found.last().filter(|t| is_login(t)), batch.last().filter(|t| is_login(t)));
            let (found, batch): (BTreeSet<_>, BTreeSet<_>) = (found.iter().collect(), batch.iter().collect());
            assert_eq!(found, batch, "what is told of one operation");
        }
        assert_eq!(read.next(), None, "told and not expected");
    }

    /// At the end: phones, deadlines, what is told to a watch from the beginning by each replica, and a snapshot.
    async fn end(mut self, world: &World) {
        for phone in 0..PHONES {
            let update = look(self.phones(phone % 2), phone).await;
            self.compare_phone(world, phone, &update);
        }
        self.read_watch(0, world).await;
        for replica in 0..2 {
            self.watch = Watch { resume: self.beginning.clone(), ..Watch::default() };
            self.read_watch(replica, world).await;
            let mut stream = watch(self.sessions(replica), "").await;
            for (_, session) in world.live() {
                let Some(Message::Snapshot(seen)) = next(&mut stream).await.message else {
                    panic!("a snapshot has every live session")
                };
                assert_eq!(describe(&seen), expect(world, session));
            }
            assert!(matches!(next(&mut stream).await.message, Some(Message::SnapshotDone(_))));
            self.watch = Watch::default();
        }
        for replica in self.replicas.into_iter().flatten() {
            replica.stop().await;
        }
    }
}
