//! What the admin port of a process tells: whether it is alive and ready, its release and tables, its Redis, and its
//! numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tonic::codegen::Bytes;

use super::measured::measured;
use super::metrics::Samples;
use super::{Check, clocks};
use crate::clock;
use crate::exit::Failure;

/// How long a page may take.
const WITHIN: Duration = Duration::from_secs(5);
/// No page is longer.
const LONGEST: usize = 16 << 20;

/// A page: its status and its text, or why there is none.
pub(crate) type Page = Result<(u16, String), String>;

/// What a process answered.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: String,
    /// When it had told the time.
    pub(crate) asked_at: Timestamp,
    /// By path.
    pub(crate) pages: BTreeMap<&'static str, Page>,
}

/// The pages of every admin port.
pub(crate) const PAGES: [&str; 4] = ["/livez", "/readyz", ABOUT, "/metrics"];
/// What it is, and its clock.
const ABOUT: &str = "/about";

/// What stands at `/about`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    service: String,
    version: String,
    cluster_id: String,
    now: Timestamp,
    store: Store,
    sessions: Option<Live>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    place: String,
    is_embedded: bool,
    schema: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Live {
    place: String,
    mode: String,
    replicas_waited_for: u32,
    server: Option<Server>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    version: String,
    append_only: bool,
    replicas: u32,
    /// Nothing where an older release says nothing of it.
    #[serde(default)]
    replicas_needed: u32,
    used_memory: u64,
    max_memory: u64,
}

/// Asks them all for all their pages.
///
/// # Errors
/// When one of the addresses is none.
pub(crate) async fn ask_all(addresses: &[String]) -> Result<Vec<Process>, Failure> {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let mut processes = Vec::with_capacity(addresses.len());
    for address in addresses {
        let address = address.trim_end_matches('/').to_owned();
        let (mut pages, mut asked_at) = (BTreeMap::new(), clock::now());
        for path in PAGES {
            let wrong = || {
                Failure::usage(format!(
                    "{address:?} is no address of an admin port: write it as http://HOST:7401"
                ))
            };
            let uri: Uri = format!("{address}{path}").parse().map_err(|_| wrong())?;
            if uri.scheme_str() != Some("http") {
                return Err(wrong());
            }
            let page = tokio::time::timeout(WITHIN, page(&client, uri)).await;
            if path == ABOUT {
                asked_at = clock::now();
            }
            pages.insert(
                path,
                page.unwrap_or_else(|_| Err(format!("no answer within {} s", WITHIN.as_secs()))),
            );
        }
        processes.push(Process { address, asked_at, pages });
    }
    Ok(processes)
}

async fn page(client: &Client<HttpConnector, Empty<Bytes>>, uri: Uri) -> Page {
    let request = Request::get(uri).body(Empty::new()).map_err(|error| error.to_string())?;
    let answer = client.request(request).await.map_err(|error| innermost(&error))?;
    let status = answer.status().as_u16();
    let body =
        Limited::new(answer.into_body(), LONGEST).collect().await.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// All that they told.
pub(super) fn checks(processes: &[Process], now: Timestamp) -> Vec<Check> {
    if processes.is_empty() {
        let todo = "name the admin port of each process: --admin http://HOST:7401 (on Kubernetes through kubectl port-forward)";
        let found =
            "releases, tables, Redis, certificates and the audit trail are known to the processes alone";
        return vec![Check::not_checked("process", "all", found, todo)];
    }
    let abouts: Vec<Option<About>> = processes.iter().map(Process::about).collect();
    let mut checks: Vec<Check> = Vec::new();
    for (process, about) in processes.iter().zip(&abouts) {
        checks.extend(process.checks(about.as_ref(), now));
    }
    checks.extend(alike(&abouts.iter().flatten().collect::<Vec<_>>()));
    checks
}

impl Process {
    fn about(&self) -> Option<About> {
        let (_, text) = self.pages.get(ABOUT)?.as_ref().ok()?;
        serde_json::from_str(text).ok()
    }

    fn checks(&self, about: Option<&About>, now: Timestamp) -> Vec<Check> {
        let place =
            about.map_or_else(|| self.address.clone(), |about| format!("{} {}", about.service, self.address));
        let mut checks = self.life(&place);
        if !self.pages.get("/livez").is_some_and(Result::is_ok) {
            return checks;
        }
        checks.extend(match about {
            Some(about) => self.told(&place, about),
            None => vec![self.untold(&place)],
        });
        match self.pages.get("/metrics") {
            Some(Ok((200, text))) => checks.extend(measured(&place, &Samples::read(text), now)),
            _ => {
                let (found, todo) = ("its /metrics cannot be read", "its log says why");
                checks.push(Check::not_checked("certificate", &place, found, todo));
            }
        }
        checks
    }

    /// What it says that it is.
    fn told(&self, place: &str, about: &About) -> Vec<Check> {
        let Store { place: database, schema, is_embedded } = &about.store;
        let kind = if *is_embedded { "embedded, one process alone" } else { "shared" };
        let store = format!("{database}, {kind}, made for tables at {schema}");
        let own =
            [clocks(place, about.now, self.asked_at, SignedDuration::ZERO), Check::ok("store", place, store)];
        own.into_iter().chain(about.sessions.as_ref().map(|live| redis(place, live))).collect()
    }

    /// Why it does not say what it is.
    fn untold(&self, place: &str) -> Check {
        if matches!(self.pages.get("/readyz"), Some(Ok((200, _)))) {
            let todo = "use the roamctl of its release";
            return Check::not_checked("redis", place, "its /about cannot be read", todo);
        }
        let found = "it has not begun, so it does not say what it is";
        Check::not_checked("redis", place, found, "mend what it is not ready for, and ask again")
    }

    /// Whether it is alive and ready.
    fn life(&self, place: &str) -> Vec<Check> {
        let said = |path| self.pages.get(path).cloned().unwrap_or_else(|| Err("not asked".to_owned()));
        match (said("/livez"), said("/readyz")) {
            (Err(problem), _) | (_, Err(problem)) => {
                let todo = "see that the process runs, and that this is its admin port";
                vec![Check::failed("process", place, problem, todo)]
            }
            (Ok((200, _)), Ok((200, _))) => vec![Check::ok("process", place, "alive and ready")],
            (Ok((200, _)), Ok((_, reasons))) => {
                reasons.lines().map(|reason| unready(place, reason)).collect()
            }
            (Ok((_, text)), _) => {
                vec![Check::failed("process", place, text.trim(), "restart it, and send us its log")]
            }
        }
    }
}

/// What to do about a reason why a process is not ready.
fn unready(place: &str, reason: &str) -> Check {
    let (what, todo) = if reason.starts_with("session store") {
        (
            "redis",
            "see that Redis runs, can be reached from there, takes changes, and is a master (docs/redis.md)",
        )
    } else if reason.starts_with("store") {
        (
            "store",
            "see that PostgreSQL runs and can be reached from there; tables are brought up to date by roamline migrate",
        )
    } else if reason.contains("token") {
        (
            "process",
            "see that the auth service runs, and that both have the same secret or it knows the certificate (docs/services.md)",
        )
    } else {
        ("process", "wait a moment; its log says more")
    };
    Check::failed(what, place, format!("not ready: {reason}"), todo)
}

fn redis(place: &str, live: &Live) -> Check {
    let Some(server) = &live.server else {
        let found = format!("{} does not say what it is", live.place);
        return Check::failed(
            "redis",
            place,
            found,
            "see that Redis runs, and can be reached from there (docs/redis.md)",
        );
    };
    let Server { version, append_only, replicas, used_memory, max_memory, .. } = server;
    let kept = if *append_only { "append-only file" } else { "no append-only file" };
    let waits = live.replicas_waited_for.max(server.replicas_needed);
    let found = format!("{} {version}, {kept}, {replicas} replicas, {waits} of them waited for", live.mode);
    if waits > *replicas {
        let todo = "start the replicas that are missing, and see that the master reaches those that the sentinels see: \
                    no login can be acknowledged (docs/redis.md)";
        return Check::failed("redis", place, found, todo);
    }
    if *max_memory > 0 && *used_memory > max_memory / 10 * 9 {
        let todo = "raise maxmemory: a Redis that is full takes no logins";
        return Check::warning("redis", place, format!("{found}, memory nearly used up"), todo);
    }
    if !append_only && waits == 0 {
        let todo = "set appendonly yes, or redis.durability.replicas: live sessions come back from the audit trail only if it is lost";
        return Check::warning("redis", place, found, todo);
    }
    Check::ok("redis", place, found)
}

/// That processes of one cluster are of one release, with tables to match, and all of one cluster.
fn alike(abouts: &[&About]) -> Vec<Check> {
    let distinct = |of: fn(&About) -> &str| {
        let mut all: Vec<&str> = abouts.iter().map(|about| of(about)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let mut checks = Vec::new();
    let own = env!("CARGO_PKG_VERSION");
    let versions = distinct(|about| &about.version);
    checks.extend(match versions.as_slice() {
        [] => None,
        [one] if *one == own => Some(Check::ok("release", "all", own)),
        [one] => Some(Check::warning(
            "release",
            "all",
            format!("{one}, and roamctl {own}"),
            "use the roamctl of that release",
        )),
        several => {
            let todo = "finish the upgrade: a mixture is meant for as long as it takes";
            Some(Check::warning("release", "all", several.join(", "), todo))
        }
    });
    if let several @ [_, _, ..] = distinct(|about| &about.store.schema).as_slice() {
        let todo = "finish the upgrade: processes of the old release end when they are restarted";
        checks.push(Check::warning("store", "all", format!("tables at {}", several.join(", ")), todo));
    }
    if let several @ [_, _, ..] = distinct(|about| &about.cluster_id).as_slice() {
        let todo = "give all of them the same --cluster-id, or ask those of one cluster";
        checks.push(Check::failed("cluster", "all", several.join(", "), todo));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn live(append_only: bool, replicas: u32, replicas_waited_for: u32) -> Live {
        let (version, replicas_needed) = ("7.0.15".into(), 0);
        let server =
            Server { version, append_only, replicas, replicas_needed, used_memory: 1, max_memory: 100 };
        Live { place: "Redis".into(), mode: "standalone".into(), replicas_waited_for, server: Some(server) }
    }

    #[test]
    fn a_redis_that_would_lose_what_it_has_acknowledged_is_told() {
        let state = |live: Live| redis("here", &live).state;
        assert_eq!(state(live(true, 0, 0)), State::Ok);
        assert_eq!(state(live(false, 2, 1)), State::Ok);
        assert_eq!(state(live(false, 2, 0)), State::Warning);
        assert_eq!(state(live(true, 1, 2)), State::Failed);
        let mut both = live(true, 1, 1);
        both.server.as_mut().unwrap().replicas_needed = 2;
        assert_eq!(state(both), State::Failed, "one that may take over is not connected");
        assert_eq!(state(Live { server: None, ..live(true, 0, 0) }), State::Failed);
    }

    #[test]
    fn each_reason_why_a_process_is_not_ready_has_its_advice() {
        let page = |status, text: &str| Ok((status, text.to_owned()));
        let pages = [
            ("/livez", page(200, "ok\n")),
            ("/readyz", page(503, "session store: it is read-only\nstarting\n")),
        ];
        let process = Process {
            address: "http://a".into(),
            asked_at: Timestamp::UNIX_EPOCH,
            pages: pages.into_iter().collect(),
        };
        let checks = process.checks(None, Timestamp::UNIX_EPOCH);
        let said: Vec<_> = checks.iter().map(|check| (check.what, check.state)).collect();
        assert_eq!(
            said,
            [
                ("redis", State::Failed),
                ("process", State::Failed),
                ("redis", State::NotChecked),
                ("certificate", State::NotChecked)
            ]
        );
    }

    #[test]
    fn processes_of_several_releases_tables_and_clusters_are_told() {
        let about = |version: &str, schema: &str, cluster: &str| About {
            service: "auth".into(),
            version: version.into(),
            cluster_id: cluster.into(),
            now: Timestamp::UNIX_EPOCH,
            store: Store { place: "p".into(), is_embedded: false, schema: schema.into() },
            sessions: None,
        };
        let own = env!("CARGO_PKG_VERSION");
        let (one, other) = (about(own, "m1", "a"), about("9.9.9", "m2", "b"));
        assert_eq!(alike(&[&one]), [Check::ok("release", "all", own)]);
        let states: Vec<_> = alike(&[&one, &other]).iter().map(|check| (check.what, check.state)).collect();
        let told = [("release", State::Warning), ("store", State::Warning), ("cluster", State::Failed)];
        assert_eq!(states, told);
    }
}
