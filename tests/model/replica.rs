//! A replica of the session service on a loopback port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roamline_proto::auth::JsonWebKey;
use roamline_proto::session::phone_link_service_client::PhoneLinkServiceClient;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_serve::{Api, Clock, Ids, Listeners, Process, Readiness, ServeConfig, Tasks, serve};
use roamline_session::{Session, SessionConfig, Stores};
use roamline_store::SessionStore;
use roamline_store::memory::MemoryStore;
use roamline_token::{Bearer, FetchError, KeySource, Signer, Verifier};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::directory::{Directory, InForce};
use crate::gate::{Fault, Gate};

pub(crate) type Sessions = SessionServiceClient<InterceptedService<Channel, Bearer>>;
pub(crate) type Phones = PhoneLinkServiceClient<InterceptedService<Channel, Bearer>>;

const CALL_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(5);

struct Published(JsonWebKey);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(vec![self.0.clone()])
    }
}

pub(crate) struct Replica {
    pub(crate) directory: Arc<Directory>,
    gate: Arc<Gate>,
    session: Session,
    tasks: Tasks,
    server: Tasks,
    channel: Channel,
}

impl Replica {
    /// One that has heard of the parameters and has sweeps that wait for the test.
    pub(crate) async fn start(
        store: Arc<dyn SessionStore>,
        fault: Option<Fault>,
        in_force: InForce,
        clock: Clock,
        signer: &Signer,
    ) -> Self {
        let key = Arc::new(Published(signer.public_key().clone()));
        let verifier = Verifier::new("roamline:test", "roamline:test", key);
        let (tasks, server) = (Tasks::new(), Tasks::new());
        let (directory, gate) = (Arc::new(Directory::new(in_force)), Arc::new(Gate::new(store, fault)));
        // Runs go on for years of the test's clock, and a watch from the beginning shall see all of it.
        let keep_events_for = Duration::from_secs(100 * 365 * 86_400);
        let session = Session::start(
            SessionConfig { keep_events_for, ..SessionConfig::default() },
            Stores { sessions: gate.clone(), audit: Arc::new(MemoryStore::new()) },
            directory.clone(),
            clock.clone(),
            Ids::new(),
            &tasks,
        );
        let mut api = Api::new();
        session.add_to(&mut api);
        let local = "127.0.0.1:0".parse().expect("an address");
        let listeners = Listeners::bind(local, local).await.expect("free ports");
        let address = format!("http://{}", listeners.api_addr());
        let verifier = Arc::new(verifier);
        let process = Process { verifier, clock, readiness: Readiness::new(), tasks: tasks.clone() };
        server.spawn("server", async move {
            let config = ServeConfig { grace_for: STOP_WITHIN, ..ServeConfig::default() };
            serve(listeners, api, process, &config, std::future::pending()).await.expect("it serves");
        });
        let endpoint = Endpoint::from_shared(address).expect("an address").timeout(CALL_WITHIN);
        directory.heard().await;
        Self { directory, gate, session, tasks, server, channel: endpoint.connect_lazy() }
    }

    /// Takes over changed daily times.
    pub(crate) async fn schedule(&self) {
        assert_eq!(self.session.sweep_once().await, 0, "nothing is due while the gate is shut");
    }

    /// Does what is due.
    pub(crate) async fn sweep(&self) {
        self.gate.set_open(true);
        self.session.sweep_once().await;
        self.gate.set_open(false);
    }

    pub(crate) fn sessions(&self, bearer: &Bearer) -> Sessions {
        SessionServiceClient::with_interceptor(self.channel.clone(), bearer.clone())
    }

    pub(crate) fn phones(&self, bearer: &Bearer) -> Phones {
        PhoneLinkServiceClient::with_interceptor(self.channel.clone(), bearer.clone())
    }

    /// Ends it, with everything that it has under way.
    pub(crate) async fn stop(self) {
        drop(self.channel);
        self.tasks.stop(STOP_WITHIN).await;
        self.server.stop(2 * STOP_WITHIN).await;
        assert!(self.tasks.healthy() && self.server.healthy(), "a task panicked");
    }
}
