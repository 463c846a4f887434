//! Which replicas of a service are called: those that its names stand for now, as far as their health says that they
//! serve. A replica that is about to end says that it does not, and is left before its connections are; one that is gone
//! is known by its connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic::transport::channel::Change;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Elsewhere, ElsewhereError, Pem};

/// How often names are looked up and files looked at, and how long an answer may take.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// How often a replica that cannot be asked is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How soon one is asked again whose connection broke, and how long it may take to say the first word.
const ASK_AGAIN: Duration = Duration::from_millis(20);
const SAY_WITHIN: Duration = Duration::from_secs(2);
/// Answers that wait to be heard.
const NEWS: usize = 64;

/// A replica: one address of one of the hosts, or all of a host's where they are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Replica {
    host: usize,
    at: Option<SocketAddr>,
}

/// A replica, and whether it serves.
type News = (Replica, bool);

/// What is known of a replica.
struct Known {
    /// Whether it serves; `None` before it has said so.
    serves: Option<bool>,
    watch: AbortHandle,
}

/// What was found when it was last looked: the addresses of each host that could be looked up, and the files.
struct Found {
    addresses: Vec<Option<Vec<SocketAddr>>>,
    pem: Option<Pem>,
}

/// The replicas, and those among them that are called.
pub(super) struct Members {
    elsewhere: Elsewhere,
    pem: Pem,
    changes: mpsc::Sender<Change<Replica, Endpoint>>,
    known: BTreeMap<Replica, Known>,
    called: BTreeSet<Replica>,
    /// Whether everybody is to be connected anew.
    anew: bool,
    looks: JoinSet<Found>,
    watches: JoinSet<()>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
}

impl Members {
    /// Every host by its name, as long as nothing else is known.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn begin(
        elsewhere: Elsewhere,
        pem: Pem,
        changes: mpsc::Sender<Change<Replica, Endpoint>>,
    ) -> Result<Self, ElsewhereError> {
        let mut members = Self {
            elsewhere,
            pem,
            changes,
            known: BTreeMap::new(),
            called: BTreeSet::new(),
            anew: false,
            looks: JoinSet::new(),
            watches: JoinSet::new(),
            news: mpsc::channel(NEWS),
        };
        for replica in members.wanted() {
            let endpoint = members.endpoint(replica)?;
            // There is room for the first ones.
            let _ = members.changes.try_send(Change::Insert(replica, endpoint));
            members.called.insert(replica);
        }
        Ok(members)
    }

    /// Follows them until the process stops. Who is called then stays so.
    pub(super) async fn follow(mut self, stopping: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let following = async {
            loop {
                tokio::select! {
                    _ = ticks.tick() => {
                        if self.looks.is_empty() {
                            self.looks.spawn(look(self.elsewhere.clone()));
                        }
                        continue;
                    }
                    Some(found) = self.looks.join_next() => match found {
                        Ok(found) => self.take(found),
                        Err(_) => continue,
                    },
                    Some((replica, serves)) = self.news.1.recv() => self.hear(replica, serves),
                    Some(_) = self.watches.join_next() => continue,
                }
                self.call().await;
            }
        };
        let _: Option<()> = stopping.run_until_cancelled(following).await;
    }

    /// Takes up what was found. A name that cannot be looked up stands for what it did.
    fn take(&mut self, Found { addresses, pem }: Found) {
        let mut found = BTreeSet::new();
        for (host, addresses) in addresses.into_iter().enumerate() {
            match addresses {
                Some(addresses) => {
                    found.extend(addresses.into_iter().map(|at| Replica { host, at: Some(at) }));
                }
                None => found.extend(self.known.keys().filter(|replica| replica.host == host)),
            }
        }
        if let Some(pem) = pem.filter(|pem| *pem != self.pem) {
            self.reload(pem);
        }
        self.known.retain(|replica, known| {
            let stays = found.contains(replica);
            if !stays {
                known.watch.abort();
            }
            stays
        });
        for replica in found {
            if !self.known.contains_key(&replica)
                && let Ok(endpoint) = self.endpoint(replica)
            {
                let watch = self.watches.spawn(watch(endpoint, replica, self.news.0.clone()));
                self.known.insert(replica, Known { serves: None, watch });
            }
        }
    }

    /// Where the files of TLS that have changed can be used, everything is connected anew with them.
    fn reload(&mut self, pem: Pem) {
        let usable =
            self.elsewhere.hosts.iter().all(|host| self.elsewhere.endpoint(host, None, &pem).is_ok());
        if usable {
            tracing::info!(service = %self.elsewhere, "the files of TLS have changed and are used");
            self.pem = pem;
            self.watches.abort_all();
            self.known.clear();
            self.anew = true;
        }
    }

    fn hear(&mut self, replica: Replica, serves: bool) {
        let Some(known) = self.known.get_mut(&replica) else { return };
        if known.serves.replace(serves) != Some(serves)
            && let Some(at) = replica.at
        {
            tracing::info!(service = %self.elsewhere, %at, serves, "a replica has changed");
        }
    }

    /// Who is to be called: whoever serves; or who has not said that he does not; or all; or the names.
    fn wanted(&self) -> BTreeSet<Replica> {
        let who = |fits: fn(Option<bool>) -> bool| -> BTreeSet<Replica> {
            self.known.iter().filter(|(_, known)| fits(known.serves)).map(|(replica, _)| *replica).collect()
        };
        let names = (0..self.elsewhere.hosts.len()).map(|host| Replica { host, at: None });
        [who(|serves| serves == Some(true)), who(|serves| serves.is_none()), who(|_| true)]
            .into_iter()
            .find(|found| !found.is_empty())
            .unwrap_or_else(|| names.collect())
    }

    /// Tells the channel who is called now. There is always somebody: a call waits for ever where there is nobody.
    async fn call(&mut self) {
        let wanted = self.wanted();
        let anew = std::mem::take(&mut self.anew);
        for replica in wanted.iter().copied() {
            if !anew && self.called.contains(&replica) {
                continue;
            }
            let Ok(endpoint) = self.endpoint(replica) else { continue };
            let _ = self.changes.send(Change::Insert(replica, endpoint)).await;
            self.called.insert(replica);
        }
        for replica in self.called.difference(&wanted).copied().collect::<Vec<_>>() {
            let _ = self.changes.send(Change::Remove(replica)).await;
            self.called.remove(&replica);
        }
    }

    fn endpoint(&self, Replica { host, at }: Replica) -> Result<Endpoint, ElsewhereError> {
        let Some(host) = self.elsewhere.hosts.get(host) else {
            return Err(ElsewhereError::Address(String::new()));
        };
        self.elsewhere.endpoint(host, at, &self.pem)
    }
}

/// Looks up the names, and reads the files.
async fn look(elsewhere: Elsewhere) -> Found {
    let mut addresses = Vec::with_capacity(elsewhere.hosts.len());
    for host in &elsewhere.hosts {
        let looked = timeout(LOOK_WITHIN, tokio::net::lookup_host((host.name.as_str(), host.port))).await;
        addresses.push(looked.ok().and_then(Result::ok).map(Iterator::collect));
    }
    let read = tokio::task::spawn_blocking(move || Pem::read(&elsewhere.tls)).await;
    Found { addresses, pem: read.ok().and_then(Result::ok) }
}

/// Tells whether a replica serves, whenever that changes, without end.
async fn watch(endpoint: Endpoint, replica: Replica, news: mpsc::Sender<News>) {
    let mut client = HealthClient::new(endpoint.timeout(SAY_WITHIN).connect_lazy());
    let mut pace = interval(ASK_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let serves = match client.watch(HealthCheckRequest::default()).await {
            Ok(answer) => {
                let mut said = answer.into_inner();
                let ended = loop {
                    match said.message().await {
                        Ok(Some(status)) => {
                            let _ = news.send((replica, status.status() == ServingStatus::Serving)).await;
                        }
                        Ok(None) => break None,
                        Err(status) => break Some(status.code()),
                    }
                };
                ask_soon(&mut pace, ended);
                continue;
            }
            // It is there, and does not say how it is.
            Err(status) => is_there(status.code()),
        };
        let _ = news.send((replica, serves)).await;
    }
}

fn is_there(code: Code) -> bool {
    matches!(code, Code::Unimplemented | Code::ResourceExhausted)
}

/// A connection that broke is a sign; a watch that was taken back is none.
fn ask_soon(pace: &mut Interval, ended: Option<Code>) {
    if !ended.is_some_and(is_there) {
        pace.reset_after(ASK_AGAIN);
    }
}
