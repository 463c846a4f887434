//! Whether a server can be used at all: asked when a store is opened, and in part at each new connection.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use roamline_domain::ClusterId;
use tokio::task::JoinSet;

use crate::error::OpenError;
use crate::link::{Keeper, Link, attach};
use crate::options::RedisOptions;
use crate::place::Places;
use crate::recalled::Recalled;
use crate::script::{FORMAT, Scripts};
use crate::server::{Kind, Servers};
use crate::writer::Writer;
use crate::{RedisStore, tail};

impl RedisStore {
    /// Connects to Redis and looks whether it can be used. The store need not be begun, and is not by this.
    ///
    /// # Errors
    /// What is wrong with the options, the servers, or what they hold.
    pub async fn open(cluster: ClusterId, options: RedisOptions) -> Result<Self, OpenError> {
        // Of two at once the first one holds; another library may have done it before.
        let _ = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider().install_default();
        let scripts = Arc::new(Scripts::new(&cluster));
        let places = Arc::new(Places::new());
        let servers = Servers::parse(&options, &scripts.events)?;
        let durability = options.durability;
        let keeper = Keeper::new(servers, Arc::clone(&scripts), Arc::clone(&places), durability);
        let link = keeper.link().await?;
        let server = link.node.to_string();
        examine(&link, &scripts, durability.is_asked()).await?;
        let born = attach(&link, &places).await.map_err(|error| OpenError::of(&server, error))?;

        let (links, keeping) = keeper.keep(link);
        let links = Arc::new(links);
        let mut tasks = JoinSet::new();
        tasks.spawn(keeping);
        tasks.spawn(tail::follow(Arc::clone(&links), scripts.events.clone(), Arc::clone(&places)));
        let writer = Writer::start(Arc::clone(&links), durability, &mut tasks);
        let born = std::sync::RwLock::new(born.map(Into::into));
        Ok(Self { scripts, links, places, writer, recalled: Recalled::new(), born, _tasks: tasks })
    }
}

/// What `INFO` says.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim()
}

/// Whether the server is of the kind and version that is needed, and a master; returns the id of its run.
pub(crate) async fn judge(
    server: &str,
    kind: &Kind,
    connection: &mut MultiplexedConnection,
) -> Result<String, OpenError> {
    let info: Result<String, RedisError> = redis::cmd("INFO").query_async(connection).await;
    let info = info.map_err(|error| OpenError::of(server, error))?;
    let server = server.to_owned();
    let version = field(&info, "redis_version").to_owned();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(2)) {
        return Err(OpenError::TooOld { server, version });
    }
    let (mode, expected) = match kind {
        Kind::Standalone => ("standalone", "a standalone server"),
        Kind::Sentinel { .. } => ("standalone", "a server behind Sentinel"),
        Kind::Cluster => ("cluster", "a node of a Redis Cluster"),
    };
    let found = field(&info, "redis_mode");
    if found != mode {
        let found = match found {
            "cluster" => "a node of a Redis Cluster".to_owned(),
            "sentinel" => "a sentinel".to_owned(),
            other => other.to_owned(),
        };
        return Err(OpenError::WrongKind { server, found, expected });
    }
    if field(&info, "role") != "master" {
        return Err(OpenError::ReadOnly { server });
    }
    let policy = field(&info, "maxmemory_policy");
    if policy != "noeviction" {
        return Err(OpenError::Evicts { server, policy: policy.to_owned() });
    }
    Ok(field(&info, "run_id").to_owned())
}

/// Whether the user may do all that is needed, and what is there is ours.
async fn examine(link: &Link, scripts: &Scripts, waits: bool) -> Result<(), OpenError> {
    let server = link.node.to_string();
    let failed = |error: RedisError| OpenError::of(&server, error);
    let probed = link.call(&scripts.probe.bare()).await.and_then(Value::extract_error).map_err(failed)?;
    let (_, mut lacking): (String, Vec<String>) =
        redis::from_redis_value(probed).map_err(|error| failed(error.into()))?;
    let mut read = redis::cmd("XREAD");
    read.arg("COUNT").arg(1).arg("STREAMS").arg(&scripts.events).arg("0-0");
    let mut last = redis::cmd("XREVRANGE");
    last.arg(&scripts.events).arg("+").arg("-").arg("COUNT").arg(1);
    let mut reads = vec![("xread", read), ("xrevrange", last)];
    if waits {
        let mut wait = redis::cmd("WAIT");
        wait.arg(0).arg(1);
        reads.push(("wait", wait));
    }
    for (name, cmd) in &reads {
        let answer = link.call(cmd).await.and_then(Value::extract_error);
        if answer.is_err_and(|error| error.code() == Some("NOPERM"))
            && !lacking.iter().any(|known| known == name)
        {
            lacking.push((*name).to_owned());
        }
    }
    if !lacking.is_empty() {
        return Err(OpenError::NotPermitted { server, commands: lacking });
    }

    let checked = link.call(&scripts.check.bare()).await.and_then(Value::extract_error).map_err(failed)?;
    let (_, types, format): (String, Vec<String>, Option<String>) =
        redis::from_redis_value(checked).map_err(|error| failed(error.into()))?;
    for (key, found) in scripts.check.keys.iter().zip(&types) {
        let expected = match key.rsplit(':').next().unwrap_or_default() {
            "live" | "deadlines" | "ends" | "gaps" => "zset",
            "events" => "stream",
            "touched" | "vacant" => "list",
            _ => "hash",
        };
        if found != "none" && found != expected {
            return Err(OpenError::Foreign { key: key.clone(), found: format!("a {found}") });
        }
    }
    match format {
        Some(format) if format != FORMAT => Err(OpenError::Format { found: format }),
        None if types.first().is_some_and(|meta| meta == "hash") => {
            let key = scripts.check.keys.first().cloned().unwrap_or_default();
            Err(OpenError::Foreign { key, found: "a hash without a format".into() })
        }
        _ => Ok(()),
    }
}
