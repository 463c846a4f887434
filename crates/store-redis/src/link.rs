//! The connections to the master, and the one task that makes them: when they are lost, or the server says that it is
//! the wrong one, it looks for the master until it has one, and all others wait for what it finds. No connection of one
//! link outlives the others, so that a link never mixes two servers or two lives of one.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};
use roamline_store::{PLACES_SKIPPED, StoreError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use crate::error::{NoLink, OpenError, unavailable};
use crate::open;
use crate::options::Durability;
use crate::place::Places;
use crate::replicas::Replicas;
use crate::script::Scripts;
use crate::server::{Kind, Node, Servers};

/// Between two attempts to find a master, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// How often the sentinels are asked whether the master is another, and who may take over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Connections to one master.
pub(crate) struct Link {
    reads: MultiplexedConnection,
    writes: MultiplexedConnection,
    tail: MultiplexedConnection,
    pub(crate) node: Node,
    /// No other link of this process has it.
    pub(crate) number: u64,
    /// Of the server's process.
    pub(crate) run: String,
    /// How many replicas must have a change.
    needed: AtomicU32,
    scripts: Arc<Scripts>,
    is_broken: AtomicBool,
    wake: Arc<Notify>,
}

impl Link {
    /// How many replicas must have a change before it is acknowledged.
    pub(crate) fn needed(&self) -> u32 {
        self.needed.load(Ordering::Relaxed)
    }

    /// It is used no more, and another one is looked for.
    pub(crate) fn fail(&self) {
        if !self.is_broken.swap(true, Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Whether the master is another, and who may take over, is looked up now, and it is used until then.
    pub(crate) fn look(&self) {
        self.wake.notify_one();
    }

    fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed)
    }

    pub(crate) fn writes(&self) -> MultiplexedConnection {
        self.writes.clone()
    }

    /// For commands that wait for long.
    pub(crate) fn tail(&self) -> MultiplexedConnection {
        self.tail.clone()
    }

    /// Calls a script without waiting for replicas. An error of the server stands in the value.
    pub(crate) async fn call(&self, cmd: &Cmd) -> RedisResult<Value> {
        let answer = self.reads.clone().send_packed_command(cmd).await;
        match answer {
            Ok(Value::ServerError(error)) if error.code() == "NOSCRIPT" => {
                self.load_scripts().await?;
                self.reads.clone().send_packed_command(cmd).await
            }
            answer => answer,
        }
    }

    /// Somebody may have flushed them.
    pub(crate) async fn load_scripts(&self) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for script in self.scripts.all() {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(&script.text).ignore();
        }
        pipeline.exec_async(&mut self.reads.clone()).await
    }
}

#[derive(Clone)]
struct State {
    /// Grows with each attempt to find a master.
    attempts: u64,
    link: Result<Arc<Link>, Arc<OpenError>>,
}

/// How everybody gets the link.
pub(crate) struct Links {
    state: watch::Receiver<State>,
    timeout: Duration,
}

impl Links {
    /// The link; while there is none, what the next attempt finds.
    pub(crate) async fn up(&self) -> Result<Arc<Link>, StoreError> {
        let seen = {
            let state = self.state.borrow();
            match &state.link {
                Ok(link) if link.is_usable() => return Ok(Arc::clone(link)),
                _ => state.attempts,
            }
        };
        let mut state = self.state.clone();
        let is_news = |state: &State| match &state.link {
            Ok(link) => link.is_usable(),
            Err(_) => state.attempts > seen,
        };
        match timeout(self.timeout, state.wait_for(is_news)).await {
            Ok(Ok(found)) => match &found.link {
                Ok(link) => Ok(Arc::clone(link)),
                Err(why) => Err(unavailable(NoLink(Arc::clone(why)))),
            },
            Ok(Err(_closed)) => Err(unavailable("the store is being closed")),
            Err(_elapsed) => Err(unavailable("no server was found in time")),
        }
    }

    /// The number of the link that can be used now; `None` while there is none.
    pub(crate) fn number(&self) -> Option<u64> {
        let state = self.state.borrow();
        state.link.as_ref().ok().filter(|link| link.is_usable()).map(|link| link.number)
    }

    /// Waits until the link is there; for ever, if need be.
    pub(crate) async fn wait(&self) -> Option<Arc<Link>> {
        let mut state = self.state.clone();
        let up = state.wait_for(|state| state.link.as_ref().is_ok_and(|link| link.is_usable())).await.ok()?;
        up.link.as_ref().ok().map(Arc::clone)
    }
}

/// Who makes the links.
pub(crate) struct Keeper {
    pub(crate) servers: Servers,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) places: Arc<Places>,
    pub(crate) durability: Durability,
    /// As they were last seen.
    replicas: Mutex<Replicas>,
    wake: Arc<Notify>,
    /// Links that were made.
    made: AtomicU64,
}

impl Keeper {
    pub(crate) fn new(
        servers: Servers,
        scripts: Arc<Scripts>,
        places: Arc<Places>,
        durability: Durability,
    ) -> Self {
        let (replicas, wake, made) = (Mutex::default(), Arc::default(), AtomicU64::new(0));
        Self { servers, scripts, places, durability, replicas, wake, made }
    }

    /// Keeps a link, beginning with this one.
    pub(crate) fn keep(self, first: Link) -> (Links, impl Future<Output = ()> + Send + 'static) {
        let (sender, state) = watch::channel(State { attempts: 0, link: Ok(Arc::new(first)) });
        let links = Links { state, timeout: self.servers.timeout() };
        (links, self.run(sender))
    }

    async fn run(self, state: watch::Sender<State>) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let is_watched = matches!(self.servers.kind(), Kind::Sentinel { .. });
        let looks = is_watched || self.durability.is_asked();
        loop {
            let is_woken = tokio::select! {
                () = self.wake.notified() => true,
                _ = look.tick(), if looks => false,
                () = state.closed() => return,
            };
            let current = state.borrow().link.clone();
            let stays = match current {
                Ok(link) if link.is_usable() => {
                    let asks = is_woken || is_watched;
                    let stays =
                        !asks || self.servers.master().await.map_or(true, |master| master == link.node);
                    if stays {
                        self.look_at_replicas(&link).await;
                    }
                    stays
                }
                _ => false,
            };
            if !stays {
                self.find(&state).await;
            }
        }
    }

    /// Tries until there is a link, or nobody could use it.
    async fn find(&self, state: &watch::Sender<State>) {
        let mut backoff = BACKOFF.0;
        while !state.is_closed() {
            let began = Instant::now();
            let link = self.link().await.map(Arc::new).map_err(Arc::new);
            let is_up = link.is_ok();
            state.send_modify(|state| *state = State { attempts: state.attempts + 1, link });
            if is_up {
                return;
            }
            // Not before its time, and at once where nobody waits any more.
            let _ = timeout_at(began + backoff, state.closed()).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// Sees how many replicas must have a change from now on. While that cannot be seen, none is taken for down.
    async fn look_at_replicas(&self, link: &Link) {
        if self.durability.is_asked() {
            let seen = Replicas::of(&self.servers, &link.node, &link.reads).await;
            link.needed.store(self.needed(seen.ok()), Ordering::Relaxed);
        }
    }

    fn needed(&self, seen: Option<Replicas>) -> u32 {
        let mut known = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Some(seen) => {
                *known = seen;
                known.needed(self.durability.replicas)
            }
            None => known.needed_blindly(self.durability.replicas),
        }
    }

    /// Connects to the master, and brings the places of events up to what is known here.
    pub(crate) async fn link(&self) -> Result<Link, OpenError> {
        let node = self.servers.master().await?;
        let server = node.to_string();
        let failed = |source: RedisError| OpenError::of(&server, source);
        let reads = self.servers.connect(&node).await?;
        let run = open::judge(&server, self.servers.kind(), &mut reads.clone()).await?;
        let mut tail = self.servers.connect(&node).await?;
        tail.set_response_timeout(crate::tail::BLOCK + self.servers.timeout());
        let mut writes = reads.clone();
        let mut needed = 0;
        if self.durability.is_asked() {
            writes = self.servers.connect(&node).await?;
            writes.set_response_timeout(self.durability.timeout + self.servers.timeout());
            needed = self.needed(Some(Replicas::of(&self.servers, &node, &reads).await?));
        }
        let link = Link {
            reads,
            writes,
            tail,
            node,
            number: self.made.fetch_add(1, Ordering::Relaxed),
            run,
            needed: AtomicU32::new(needed),
            scripts: Arc::clone(&self.scripts),
            is_broken: AtomicBool::new(false),
            wake: Arc::clone(&self.wake),
        };
        link.load_scripts().await.map_err(failed)?;
        attach(&link, &self.places).await.map_err(failed)?;
        Ok(link)
    }
}

/// Brings the places of events beyond all that this process has seen, where the server is another than before. Returns
/// who began the store.
pub(crate) async fn attach(link: &Link, places: &Places) -> RedisResult<Option<String>> {
    let mut attach = link.scripts.attach.call(places.seen());
    attach.arg(&link.run).arg(PLACES_SKIPPED);
    let (_, born): (String, Option<String>) =
        redis::from_redis_value(link.call(&attach).await?.extract_error()?)?;
    Ok(born)
}
