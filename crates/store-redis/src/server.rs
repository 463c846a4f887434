//! Which server is the master now, and connections to it. Sentinels and nodes of a Redis Cluster are all asked, and
//! what most of them say holds, so that one that was cut off does not lead astray.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisResult, TlsCertificates, Value,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::OpenError;
use crate::options::{RedisOptions, RedisServers, RedisTls};
use crate::replicas::{Address, Candidates, replication};
use crate::sentinel;

/// Commands that may wait to be written to a connection.
const QUEUE: usize = 1024;

/// How soon servers answer who may not be there at all, while others wait for what they say.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Tcp { host: String, port: u16, tls: bool },
    Unix(std::path::PathBuf),
}

impl Node {
    /// As servers name each other.
    fn address(&self) -> Address {
        match self {
            Node::Tcp { host, port, .. } => format!("{host}:{port}"),
            Node::Unix(_) => Address::new(),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Node::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Node::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[derive(Clone, Default)]
struct Login {
    username: Option<String>,
    password: Option<SecretString>,
}

/// A server that was named in the options.
struct Seed {
    node: Node,
    login: Login,
    /// Kept between questions.
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// What the options say about servers.
pub(crate) struct Servers {
    kind: Kind,
    seeds: Vec<Seed>,
    login: Login,
    database: i64,
    tls: RedisTls,
    timeout: Duration,
    /// A key of the cluster, to find its slot by.
    key: String,
}

/// Where the slot of the cluster is in a Redis Cluster.
pub(crate) struct Slot {
    owner: Node,
    /// Those of its replicas that the cluster does not hold for failed.
    pub(crate) replicas: Vec<Address>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Standalone,
    Sentinel { master: String },
    Cluster,
}

impl Servers {
    pub(crate) fn parse(options: &RedisOptions, key: &str) -> Result<Self, OpenError> {
        let main = Login { username: options.username.clone(), password: options.password.clone() };
        let (kind, urls, login) = match &options.servers {
            RedisServers::Standalone { url } => (Kind::Standalone, std::slice::from_ref(url), main.clone()),
            RedisServers::Cluster { urls } => (Kind::Cluster, urls.as_slice(), main.clone()),
            RedisServers::Sentinel { urls, master, username, password } => {
                let login = Login { username: username.clone(), password: password.clone() };
                (Kind::Sentinel { master: master.clone() }, urls.as_slice(), login)
            }
        };
        let infos = urls.iter().map(|url| parse(url)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = infos.first() else {
            return Err(OpenError::Options("no Redis server is named".into()));
        };
        let database = first.redis_settings().db();
        if kind == Kind::Cluster && database != 0 {
            return Err(OpenError::Options("a Redis Cluster has the database 0 alone".into()));
        }
        let own_login =
            if kind == (Kind::Standalone) || kind == Kind::Cluster { login_in(first, &main) } else { main };
        let seed = |info: &ConnectionInfo| {
            Ok(Seed { node: node(info)?, login: login_in(info, &login), connection: Mutex::default() })
        };
        Ok(Self {
            seeds: infos.iter().map(seed).collect::<Result<_, OpenError>>()?,
            kind,
            login: own_login,
            database,
            tls: options.tls.clone().unwrap_or_default(),
            timeout: options.command_timeout.max(Duration::from_millis(10)),
            key: key.to_owned(),
        })
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The address of the master, as most of those who answer say; of sentinels, as more than half of all say: a few that
    /// are cut off with an old master are not believed. That it is one is for the caller to see.
    pub(crate) async fn master(&self) -> Result<Node, OpenError> {
        if self.kind == Kind::Standalone
            && let Some(seed) = self.seeds.first()
        {
            return Ok(seed.node.clone());
        }
        let answers = join_all(self.seeds.iter().map(|seed| self.ask(seed))).await;
        let mut votes: BTreeMap<&Node, usize> = BTreeMap::new();
        for node in answers.iter().filter_map(|answer| answer.as_ref().ok()).flatten() {
            *votes.entry(node).or_default() += 1;
        }
        let is_enough =
            |votes: usize| votes * 2 > self.seeds.len() || !matches!(self.kind, Kind::Sentinel { .. });
        if let Some((node, _)) =
            votes.into_iter().max_by_key(|(_, votes)| *votes).filter(|(_, v)| is_enough(*v))
        {
            return Ok(node.clone());
        }
        let mut errors: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        // What an operator must change comes before what may pass.
        let grave = errors.iter().position(|error| !matches!(error, OpenError::Unreachable { .. }));
        if errors.is_empty() {
            let none = match &self.kind {
                Kind::Sentinel { master } => {
                    format!("no master called {master:?} is known to most of the sentinels")
                }
                _ => "no node has the slot of the cluster".to_owned(),
            };
            return Err(OpenError::NoMaster(none));
        }
        Err(errors.swap_remove(grave.unwrap_or(0)))
    }

    /// What one of them says; `None` where it knows no master.
    async fn ask(&self, seed: &Seed) -> Result<Option<Node>, OpenError> {
        match &self.kind {
            Kind::Sentinel { master } => {
                self.question(seed, |connection| sentinel::master(connection, &seed.node, master)).await
            }
            _ => {
                let slot = self.question(seed, |connection| self.slot(connection, &seed.node)).await?;
                Ok(slot.map(|slot| slot.owner))
            }
        }
    }

    /// Whom the sentinels may promote, or have promoted, in place of that master; more than half of them must say.
    pub(crate) async fn watched(&self, used: &Node) -> Result<Candidates, OpenError> {
        let Kind::Sentinel { master } = &self.kind else { return Ok(Candidates::default()) };
        let ask = async |seed: &Seed| {
            let asking = self.question(seed, |connection| sentinel::servers(connection, master));
            let late =
                |_| Err(OpenError::of(&seed.node.to_string(), io::Error::from(ErrorKind::TimedOut).into()));
            timeout(AT_ONCE.min(self.timeout), asking).await.unwrap_or_else(late)
        };
        let answers = join_all(self.seeds.iter().map(ask)).await;
        let (reports, mut errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        if reports.len() * 2 > self.seeds.len() {
            let reports: Vec<_> = reports.into_iter().filter_map(Result::ok).collect();
            return Ok(Candidates::beside(&used.address(), &reports));
        }
        match errors.pop() {
            Some(Err(error)) => Err(error),
            _ => Ok(Candidates::default()),
        }
    }

    /// Asks one of them, on the connection that is kept between questions.
    async fn question<T, F>(
        &self,
        seed: &Seed,
        ask: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, OpenError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let server = seed.node.to_string();
        let mut kept = seed.connection.lock().await;
        let connection = match kept.take() {
            Some(connection) => connection,
            None => self.connect_as(&seed.node, &seed.login, 0).await?,
        };
        match ask(connection.clone()).await {
            Ok(answer) => {
                *kept = Some(connection);
                Ok(answer)
            }
            Err(error) if error.code() == Some("ERR") => {
                let (expected, found) = match self.kind {
                    Kind::Sentinel { .. } => ("a sentinel", "none"),
                    _ => ("a node of a Redis Cluster", "none"),
                };
                Err(OpenError::WrongKind { server, found: found.into(), expected })
            }
            Err(error) => Err(OpenError::of(&server, error)),
        }
    }

    /// Who has the slot of the cluster, by the word of a node.
    pub(crate) async fn slot(
        &self,
        mut connection: MultiplexedConnection,
        asked: &Node,
    ) -> RedisResult<Option<Slot>> {
        let mut slot = redis::cmd("CLUSTER");
        let slot: i64 = slot.arg("KEYSLOT").arg(&self.key).query_async(&mut connection).await?;
        let mut ranges = redis::cmd("CLUSTER");
        let ranges: Vec<Vec<Value>> = ranges.arg("SLOTS").query_async(&mut connection).await?;
        for range in ranges {
            let [Value::Int(from), Value::Int(to), nodes @ ..] = range.as_slice() else { continue };
            if !(from..=to).contains(&&slot) {
                continue;
            }
            let mut nodes = nodes.iter().map(|node| match node {
                Value::Array(parts) => match parts.as_slice() {
                    [host, Value::Int(port), ..] => {
                        let host: Option<String> = redis::from_redis_value_ref(host)?;
                        Ok(Some((host.unwrap_or_default(), *port)))
                    }
                    _ => Ok(None),
                },
                _ => Ok(None),
            });
            let Some((host, port)) = nodes.next().transpose()?.flatten() else { continue };
            let replicas: RedisResult<Vec<_>> = nodes.collect();
            let replicas = replicas?.into_iter().flatten().map(|(host, port)| format!("{host}:{port}"));
            return Ok(Some(Slot { owner: beside(asked, host, port), replicas: replicas.collect() }));
        }
        Ok(None)
    }

    /// A connection to the master at that address.
    pub(crate) async fn connect(&self, node: &Node) -> Result<MultiplexedConnection, OpenError> {
        self.connect_as(node, &self.login, self.database).await
    }

    /// What the server at an address that the sentinels name says of its replication, if it answers at once.
    pub(crate) async fn beside(&self, used: &Node, address: &Address) -> Option<String> {
        let (host, port) = address.rsplit_once(':')?;
        let other = beside(used, host.to_owned(), port.parse().ok()?);
        let asking = async { replication(self.connect(&other).await.ok()?).await.ok() };
        timeout(AT_ONCE.min(self.timeout), asking).await.ok().flatten()
    }

    async fn connect_as(
        &self,
        node: &Node,
        login: &Login,
        database: i64,
    ) -> Result<MultiplexedConnection, OpenError> {
        let failed = |source| OpenError::of(&node.to_string(), source);
        let client = self.client(node, login, database).await?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_pipeline_buffer_size(QUEUE);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        // The crate bounds each part of it.
        match timeout(self.timeout, connecting).await {
            Ok(connected) => connected.map_err(failed),
            Err(_elapsed) => Err(failed(io::Error::from(ErrorKind::TimedOut).into())),
        }
    }

    async fn client(&self, node: &Node, login: &Login, database: i64) -> Result<Client, OpenError> {
        let failed = |source| OpenError::of(&node.to_string(), source);
        let address = match node {
            Node::Tcp { host, port, tls: false } => ConnectionAddr::Tcp(host.clone(), *port),
            Node::Tcp { host, port, tls: true } => {
                ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
            }
            Node::Unix(path) => ConnectionAddr::Unix(path.clone()),
        };
        let mut settings =
            redis::RedisConnectionInfo::default().set_db(database).set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &login.password {
            settings = settings.set_password(password.expose_secret());
        }
        let info = address.into_connection_info().map_err(failed)?.set_redis_settings(settings);
        match node {
            Node::Tcp { tls: true, .. } => {
                Client::build_with_tls(info, self.certificates().await?).map_err(failed)
            }
            _ => Client::open(info).map_err(failed),
        }
    }

    async fn certificates(&self) -> Result<TlsCertificates, OpenError> {
        let root_cert = match &self.tls.authority {
            Some(file) => Some(read(file).await?),
            None => None,
        };
        let client_tls = match &self.tls.client {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate).await?, client_key: read(key).await? })
            }
            None => None,
        };
        Ok(TlsCertificates { client_tls, root_cert })
    }
}

async fn read(file: &Path) -> Result<Vec<u8>, OpenError> {
    let read = tokio::fs::read(file).await;
    read.map_err(|source| OpenError::File { file: file.display().to_string(), source })
}

/// The address that a server names; with TLS where it was reached with TLS itself.
pub(crate) fn beside(asked: &Node, named: String, port: i64) -> Node {
    let (own, tls) = match asked {
        Node::Tcp { host, tls, .. } => (host.clone(), *tls),
        Node::Unix(_) => ("127.0.0.1".to_owned(), false),
    };
    let host = if named.is_empty() || named == "?" { own } else { named };
    Node::Tcp { host, port: u16::try_from(port).unwrap_or_default(), tls }
}

/// No error of it repeats the URL, which may hold a password.
fn parse(url: &str) -> Result<ConnectionInfo, OpenError> {
    let info = url.into_connection_info();
    info.map_err(|error| OpenError::Options(format!("not a URL of a Redis server: {}", error.category())))
}

fn node(info: &ConnectionInfo) -> Result<Node, OpenError> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => Ok(Node::Tcp { host: host.clone(), port: *port, tls: false }),
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            Err(OpenError::Options("a server whose certificate is not checked is not used".into()))
        }
        ConnectionAddr::TcpTls { host, port, .. } => {
            Ok(Node::Tcp { host: host.clone(), port: *port, tls: true })
        }
        ConnectionAddr::Unix(path) => Ok(Node::Unix(path.clone())),
        _ => Err(OpenError::Options("the URL is of a kind that is not known".into())),
    }
}

/// The options' login, or the URL's.
fn login_in(info: &ConnectionInfo, login: &Login) -> Login {
    let settings = info.redis_settings();
    Login {
        username: login.username.clone().or_else(|| settings.username().map(str::to_owned)),
        password: login.password.clone().or_else(|| settings.password().map(SecretString::from)),
    }
}
