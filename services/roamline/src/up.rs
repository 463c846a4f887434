//! `roamline up`: every service in one process, on one port, over one store: an embedded one, or a PostgreSQL database,
//! and a Redis for live sessions, that other such processes use, too. They speak gRPC to each other here as anywhere,
//! but through a pipe that nobody else can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use roamline_auth::{Auth, GrpcPolicy};
use roamline_profile::{GrpcSessions, Profile};
use roamline_proto::auth::PrincipalKind;
use roamline_serve::{Api, Clock, Ids, Listeners, Outset, Readiness, Tasks, serve_later};
use roamline_session::{GrpcPeers, Session};
use roamline_token::{Bearer, ServiceToken, Verifier, scopes_of};
use tokio::sync::oneshot;
use tokio::time::interval;

use crate::cli::UpOptions;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::report::Addresses;
use crate::stores::{Places, Stores};
use crate::{administrator, demo, report};

/// How long the process may act as an administrator of itself while it begins.
const BEGINNING: Duration = Duration::from_secs(300);
/// How often, and how many times, a data directory that others share is asked for.
const OWN_EVERY: Duration = Duration::from_millis(100);
const OWN_TRIES: u32 = 100;

/// Runs until the process is told to stop. The ports answer from the beginning; services come when the store is open.
///
/// # Errors
/// When it cannot begin: the directory is in use or cannot be written, an address is taken, the store is broken.
pub(crate) async fn run(options: &UpOptions, config: &Config, places: &Places) -> anyhow::Result<()> {
    let shared = places.store.is_embedded() && places.store.waits();
    let data = if shared { DataDir::share(&places.data)? } else { DataDir::take(&places.data)? };
    let listeners = Listeners::bind(options.listen, options.admin_listen).await?;
    let (api_addr, admin_addr, inside) = (listeners.api_addr(), listeners.admin_addr(), listeners.inside());
    let secure = config.server.tls.is_on();
    if !secure && !api_addr.ip().is_loopback() {
        tracing::warn!(%api_addr, "the API is served without TLS beyond this machine: PINs and tokens can be read");
    }

    let (clock, tasks, readiness) = (Clock::system(), Tasks::new(), Readiness::new());
    let outset = Outset { clock, readiness, tasks };
    let (begin, begun) = oneshot::channel();
    let begun = async {
        match begun.await {
            Ok(begun) => begun,
            // Why it does not begin is said by whoever should have.
            Err(_) => std::future::pending().await,
        }
    };
    let serving = serve_later(listeners, begun, outset.clone(), &config.server, stop_signal());
    let addresses = Addresses {
        api: format!("{}://{}", if secure { "https" } else { "http" }, reachable(api_addr)),
        admin: format!("http://{}", reachable(admin_addr)),
        inside,
    };
    let beginning = Box::pin(begin_with(options, config, places, data, &addresses, &outset, begin));
    tokio::pin!(serving);
    let _data = tokio::select! {
        // The ports answer before anything is waited for.
        biased;
        ended = &mut serving => return ended.map_err(Into::into),
        begun = beginning => begun?,
    };
    serving.await?;
    tracing::info!("stopped");
    Ok(())
}

/// Opens the stores, puts the services on it, hands them over, and says so. The data directory is the process's own then.
async fn begin_with(
    options: &UpOptions,
    config: &Config,
    places: &Places,
    mut data: DataDir,
    addresses: &Addresses,
    outset: &Outset,
    begin: oneshot::Sender<(Api, Arc<Verifier>)>,
) -> anyhow::Result<DataDir> {
    let Outset { clock, readiness, tasks } = outset;
    let starting = readiness.hold("starting");
    let cluster = &options.cluster_id;
    let stores = Stores::open(places, cluster, readiness).await?;
    let database = Arc::clone(&stores.database);
    own(&mut data).await?;

    let server = &addresses.api;
    let channel = addresses.inside.channel();
    let auth = Auth::build(&config.auth, database.clone(), cluster, clock.clone(), Ids::new())
        .await
        .context("the auth service cannot begin")?;
    administrator::ensure(&data, &auth, server).await?;
    let bearer = |service: &str| Bearer::service(ServiceToken::new(auth.signer(), service, clock.reader()));
    auth.follow(Arc::new(GrpcPolicy::new(channel.clone(), &bearer("auth"))), tasks);
    let peers = Arc::new(GrpcPeers::new(channel.clone(), channel.clone(), &bearer("session")));
    let session =
        Session::start(config.session.clone(), stores.of_sessions(), peers, clock.clone(), Ids::new(), tasks);

    let mut api = Api::new();
    auth.add_to(&mut api);
    let sessions = Arc::new(GrpcSessions::new(channel.clone(), bearer("profile")));
    let profile = Profile::new(database, clock.clone()).with_sessions(sessions);
    profile.clone().add_to(&mut api);
    tasks.spawn("forgotten imports", async move {
        if let Err(error) = profile.discard_forgotten_imports().await {
            tracing::warn!(cause = &error as &dyn std::error::Error, "forgotten imports were not discarded");
        }
    });
    session.add_to(&mut api);
    if begin.send((api, Arc::new(auth.verifier()))).is_err() {
        bail!("the process is stopping");
    }
    // Serving goes first: once it has had its turn, the services are reached.
    tokio::task::yield_now().await;

    // Signed when it is used: that the stores are begun may take long.
    let site = || {
        let kind = PrincipalKind::Administrator;
        let own = auth.signer().sign("roamline-up", kind, scopes_of(kind), clock.now(), BEGINNING)?;
        anyhow::Ok(demo::Directory::new(channel.clone(), &own.token))
    };
    if options.demo {
        demo::load_if_empty(&site()?).await.context("the demo site cannot be loaded")?;
    }
    stores.begun(readiness).await;
    stores.look_after(outset);
    drop(starting);
    let site = site()?;
    report::print(&site, addresses, places, data.path(), options.demo).await?;
    Ok(data)
}

/// Takes the directory for itself. Those who migrated have it, too, until they have ended.
async fn own(data: &mut DataDir) -> anyhow::Result<()> {
    let mut ticks = interval(OWN_EVERY);
    for _ in 0..OWN_TRIES {
        ticks.tick().await;
        if data.own().is_ok() {
            return Ok(());
        }
    }
    data.own()
}

/// The address by which a process on this machine reaches a listener.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Completes at SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be heard; the process ends only when it is killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
