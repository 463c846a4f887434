//! `roamline up`: every service in one process, on one port, over one embedded store. They speak gRPC to each other
//! here as anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use roamline_auth::Auth;
use roamline_profile::Profile;
use roamline_proto::auth::PrincipalKind;
use roamline_serve::{Api, Clock, Ids, Listeners, Process, Readiness, Tasks, serve};
use roamline_session::{GrpcPeers, Session};
use roamline_store_sql::{SqlStore, SqliteOptions, Synchronous};
use roamline_token::{Bearer, ServiceToken, scopes_of};
use tonic::transport::Endpoint;

use crate::cli::UpOptions;
use crate::config::{Config, Durability};
use crate::data_dir::{self, DataDir};
use crate::{administrator, demo, report};

/// How long the process may act as an administrator of itself while it begins.
const BEGINNING: Duration = Duration::from_secs(300);

/// Runs until the process is told to stop.
///
/// # Errors
/// When it cannot begin: the directory is in use or cannot be written, an address is taken, the store is broken.
pub(crate) async fn run(options: UpOptions, config: Config) -> anyhow::Result<()> {
    let path = match &options.data {
        Some(path) => path.clone(),
        None => data_dir::default_path()?,
    };
    let data = DataDir::take(&path)?;
    let listeners = Listeners::bind(options.listen, options.admin_listen).await?;
    let (api_addr, admin_addr) = (listeners.api_addr(), listeners.admin_addr());
    if !api_addr.ip().is_loopback() {
        tracing::warn!(%api_addr, "the API is served without TLS beyond this machine: PINs and tokens can be read");
    }

    let synchronous = match config.store.durability {
        Durability::Full => Synchronous::Full,
        Durability::Normal => Synchronous::Normal,
    };
    let cluster = options.cluster_id.clone();
    let store = SqlStore::open_sqlite(&data.database(), cluster.clone(), SqliteOptions { synchronous })
        .await
        .context("the store cannot be opened")?;
    let store = Arc::new(store);

    let (clock, tasks, readiness) = (Clock::system(), Tasks::new(), Readiness::new());
    let starting = readiness.hold("starting");
    let server = format!("http://{}", reachable(api_addr));
    let channel =
        Endpoint::from_shared(server.clone()).context("the API's address is no address")?.connect_lazy();

    let auth = Auth::build(&config.auth, store.clone(), &cluster, clock.clone(), Ids::new())
        .await
        .context("the auth service cannot begin")?;
    administrator::ensure(&data, &auth, &server).await?;
    let bearer = Bearer::service(ServiceToken::new(auth.signer(), "session", clock.reader()));
    let peers = Arc::new(GrpcPeers::new(channel.clone(), channel.clone(), &bearer));
    let session =
        Session::start(config.session.clone(), store.clone(), peers, clock.clone(), Ids::new(), &tasks);

    let mut api = Api::new();
    auth.add_to(&mut api);
    Profile::new(store.clone(), clock.clone()).add_to(&mut api);
    session.add_to(&mut api);

    let verifier = Arc::new(auth.verifier());
    let process =
        Process { verifier, clock: clock.clone(), readiness: readiness.clone(), tasks: tasks.clone() };
    let serving = serve(listeners, api, process, &config.server, stop_signal());
    let beginning = async {
        let kind = PrincipalKind::Administrator;
        let own = auth.signer().sign("roamline-up", kind, scopes_of(kind), clock.now(), BEGINNING)?;
        let site = demo::Directory::new(channel.clone(), &own.token);
        if options.demo {
            demo::load_if_empty(&site).await.context("the demo site cannot be loaded")?;
        }
        drop(starting);
        let addresses =
            report::Addresses { api: server.clone(), admin: format!("http://{}", reachable(admin_addr)) };
        report::print(&site, &addresses, data.path(), options.demo).await
    };
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(Into::into),
        begun = beginning => begun?,
    }
    serving.await?;
    tracing::info!("stopped");
    Ok(())
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
