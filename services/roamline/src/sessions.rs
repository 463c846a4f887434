//! Where live sessions are kept, if that is Redis: which servers the configuration means, and how the process comes by
//! them.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use roamline_domain::ClusterId;
use roamline_serve::Readiness;
use roamline_serve::inventory::REDIS;
use roamline_store_redis::{Durability, OpenError, RedisOptions, RedisServers, RedisStore, RedisTls};
use secrecy::ExposeSecret;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{RedisConfig, RedisTlsConfig, Secret, SentinelConfig};
use crate::waiting::Waiting;

/// How often servers that cannot be used yet are looked at again.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// A Redis that may not be usable yet. It shows as its address without a password.
pub(crate) struct Sessions {
    options: RedisOptions,
    name: String,
}

impl fmt::Display for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Sessions {
    /// The one that the configuration means, if it means any.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a file that it names cannot be read.
    pub(crate) fn new(config: &RedisConfig) -> anyhow::Result<Option<Self>> {
        let Some((servers, name)) = servers(config)? else {
            let rest = RedisConfig { command_timeout: config.command_timeout, ..RedisConfig::default() };
            ensure!(
                *config == rest,
                "redis: there are settings, and none of url, url_file, sentinel.urls and cluster says which server"
            );
            return Ok(None);
        };
        let durability = &config.durability;
        ensure!(!config.command_timeout.is_zero(), "redis.command_timeout is 0");
        ensure!(
            durability.replicas == 0 || !durability.timeout.is_zero(),
            "redis.durability.timeout is 0, and replicas are waited for"
        );
        let options = RedisOptions {
            servers,
            username: named(&config.username),
            password: config.password.or_in("redis.password", &config.password_file)?,
            tls: tls(&config.tls)?,
            durability: Durability { replicas: durability.replicas, timeout: durability.timeout },
            command_timeout: config.command_timeout,
        };
        Ok(Some(Self { options, name }))
    }

    /// What the servers are: `standalone`, `sentinel` or `cluster`.
    pub(crate) fn mode(&self) -> &'static str {
        match self.options.servers {
            RedisServers::Standalone { .. } => "standalone",
            RedisServers::Sentinel { .. } => "sentinel",
            RedisServers::Cluster { .. } => "cluster",
        }
    }

    /// How many replicas must have a change before it is acknowledged.
    pub(crate) fn replicas_waited_for(&self) -> u32 {
        self.options.durability.replicas
    }

    /// Waits until the servers can be used, for as long as that takes; `/readyz` says meanwhile what is waited for. Whether
    /// they hold anything is not looked at.
    ///
    /// # Errors
    /// When waiting would not help: the options cannot be understood.
    pub(crate) async fn open(
        &self,
        cluster: &ClusterId,
        readiness: &Readiness,
    ) -> anyhow::Result<RedisStore> {
        let mut waiting = Waiting::new(readiness);
        let mut ticks = interval(AGAIN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match RedisStore::open(cluster.clone(), self.options.clone()).await {
                Ok(store) => {
                    let mode = match &self.options.servers {
                        RedisServers::Standalone { .. } => "standalone",
                        RedisServers::Sentinel { .. } => "sentinel",
                        RedisServers::Cluster { .. } => "cluster",
                    };
                    let replicas = self.options.durability.replicas.to_string();
                    REDIS.set_for(1, &[("mode", mode), ("replicas", &replicas)]);
                    if waiting.over() {
                        tracing::info!(redis = %self, "the session store is open");
                    }
                    return Ok(store);
                }
                Err(error @ OpenError::Options(_)) => return Err(error).context("redis"),
                Err(error) => waiting.because(&said("session store", &error)),
            }
        }
    }
}

/// What is said of a store that cannot be used, with the causes.
pub(crate) fn said(store: &str, error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = format!("{store}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !said.contains(&cause_text) {
            said.push_str(": ");
            said.push_str(&cause_text);
        }
        source = cause.source();
    }
    said
}

/// The servers, and what they are called where people read it.
fn servers(config: &RedisConfig) -> anyhow::Result<Option<(RedisServers, String)>> {
    let SentinelConfig { urls, master, .. } = &config.sentinel;
    let url = config.url.or_in("redis.url", &config.url_file)?;
    let ways = [
        ("url", url.is_some()),
        ("sentinel", config.sentinel != SentinelConfig::default()),
        ("cluster", !config.cluster.is_empty()),
    ];
    let set: Vec<_> = ways.into_iter().filter_map(|(way, is_set)| is_set.then_some(way)).collect();
    ensure!(set.len() < 2, "redis.{} exclude each other", set.join(" and redis."));
    if let Some(url) = url {
        let place = "redis.url";
        let (scheme, user, rest) = parts(place, url.expose_secret())?;
        fits_tls(place, scheme, &config.tls)?;
        let has_own = !config.username.is_empty() || has_password(&config.password, &config.password_file);
        ensure!(
            user.is_none() || !has_own,
            "{place} names a user or a password, and redis.username or redis.password does, too"
        );
        let name = format!("Redis at {rest}");
        return Ok(Some((RedisServers::Standalone { url: url.expose_secret().to_owned() }, name)));
    }
    if config.sentinel != SentinelConfig::default() {
        ensure!(!urls.is_empty(), "redis.sentinel.urls is empty");
        ensure!(!master.is_empty(), "redis.sentinel.master is empty");
        let places = bare("redis.sentinel.urls", urls, &config.tls)?;
        let name = format!("Redis {master} behind the sentinels at {places}");
        let servers = RedisServers::Sentinel {
            urls: urls.clone(),
            master: master.clone(),
            username: named(&config.sentinel.username),
            password: config
                .sentinel
                .password
                .or_in("redis.sentinel.password", &config.sentinel.password_file)?,
        };
        return Ok(Some((servers, name)));
    }
    if config.cluster.is_empty() {
        return Ok(None);
    }
    let places = bare("redis.cluster", &config.cluster, &config.tls)?;
    let name = format!("Redis Cluster at {places}");
    Ok(Some((RedisServers::Cluster { urls: config.cluster.clone() }, name)))
}

/// Scheme, user and password if there are any, and the rest of an address.
fn parts<'a>(place: &str, url: &'a str) -> anyhow::Result<(&'a str, Option<&'a str>, &'a str)> {
    let Some((scheme @ ("redis" | "rediss"), rest)) = url.split_once("://") else {
        bail!("{place} is not an address such as redis://host:6379 or rediss://host:6379");
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    ensure!(!rest.trim_matches('/').is_empty(), "{place} names no host");
    Ok((scheme, user, rest))
}

/// Several addresses as one text; they are printed, and name no user.
fn bare(place: &str, urls: &[String], tls: &RedisTlsConfig) -> anyhow::Result<String> {
    let mut schemes = Vec::new();
    let mut rests = Vec::new();
    for url in urls {
        let (scheme, user, rest) = parts(place, url)?;
        ensure!(user.is_none(), "{place} names a user or a password; they are settings of their own");
        schemes.push(scheme);
        rests.push(rest);
    }
    schemes.dedup();
    ensure!(schemes.len() == 1, "{place} has both redis:// and rediss://");
    schemes.into_iter().try_for_each(|scheme| fits_tls(place, scheme, tls))?;
    Ok(rests.join(", "))
}

fn fits_tls(place: &str, scheme: &str, tls: &RedisTlsConfig) -> anyhow::Result<()> {
    ensure!(
        scheme == "rediss" || *tls == RedisTlsConfig::default(),
        "redis.tls is set, and {place} is without TLS; begin it with rediss://"
    );
    Ok(())
}

fn tls(config: &RedisTlsConfig) -> anyhow::Result<Option<RedisTls>> {
    let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
    let (certificate, key) = (given(&config.certificate_file), given(&config.key_file));
    ensure!(
        certificate.is_some() == key.is_some(),
        "redis.tls.certificate_file and redis.tls.key_file belong together, and one is missing"
    );
    for file in [given(&config.ca_file), certificate.clone(), key.clone()].into_iter().flatten() {
        std::fs::read(&file).with_context(|| format!("redis.tls: {} cannot be read", file.display()))?;
    }
    if *config == RedisTlsConfig::default() {
        return Ok(None);
    }
    Ok(Some(RedisTls { authority: given(&config.ca_file), client: certificate.zip(key) }))
}

fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn has_password(text: &Secret, file: &Path) -> bool {
    !text.expose().is_empty() || !file.as_os_str().is_empty()
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
