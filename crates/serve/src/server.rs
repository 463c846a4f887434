//! Serves an [`Api`] from bind to the last connection: one port for gRPC, gRPC-web, health and reflection, and one for
//! probes and metrics.
//!
//! The end has stages: not ready and not serving; a drain delay in which load balancers look away; streams and tasks
//! are told; a grace in which calls finish; then whatever is left is cut.

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use http::header::{HeaderName, HeaderValue};
use roamline_token::{CallerLayer, Verifier, take_tokens_looked_at};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService, health_reporter};
use tonic_web::GrpcWebLayer;
use tower::Layer;
use tower::util::MapRequestLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::accept::Door;
use crate::admin;
use crate::allow::{AllowError, AllowLayer};
use crate::api::Api;
use crate::call_metrics::CallMetricsLayer;
use crate::clock::{Clock, pause};
use crate::connection::Peer;
use crate::inventory::{BUILD, READY, TOKENS};
use crate::listeners::Listeners;
use crate::open_calls::OpenCallsLayer;
use crate::places::Places;
use crate::readiness::Readiness;
use crate::serve_config::ServeConfig;
use crate::strangers::StrangersLayer;
use crate::tasks::Tasks;
use crate::tls::{Tls, TlsError};
use crate::undecodable::UndecodableLayer;

/// How often the tokens are counted that were looked at.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How long a connection that was cut gets to be dropped.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// What a process has one of.
#[derive(Clone)]
pub struct Process {
    /// Believes tokens.
    pub verifier: Arc<Verifier>,
    /// Tells the time.
    pub clock: Clock,
    /// Says when the process may be used.
    pub readiness: Readiness,
    /// Ends with the process.
    pub tasks: Tasks,
}

/// What a process has before it has services.
#[derive(Clone)]
pub struct Outset {
    /// Tells the time.
    pub clock: Clock,
    /// Says when the process may be used.
    pub readiness: Readiness,
    /// Ends with the process.
    pub tasks: Tasks,
}

/// A process that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An origin that no header can carry.
    #[error("{0:?} is not a web origin")]
    Origin(String),
    /// The certificate cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The allow list cannot be kept.
    #[error(transparent)]
    Allow(#[from] AllowError),
    /// The contract's descriptors are broken.
    #[error("reflection cannot be set up")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The API cannot be served.
    #[error("the API cannot be served")]
    Api(#[source] tonic::transport::Error),
    /// The admin port cannot be served.
    #[error("the admin port cannot be served")]
    Admin(#[source] std::io::Error),
}

/// Serves until `shutdown` completes or the process's tasks are stopped, then ends in stages, after at most the drain
/// delay, twice the grace and two seconds.
///
/// # Errors
/// When it cannot begin, or a port fails.
pub async fn serve(
    listeners: Listeners,
    api: Api,
    process: Process,
    config: &ServeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let Process { verifier, clock, readiness, tasks } = process;
    let begun = std::future::ready((api, verifier));
    serve_later(listeners, begun, Outset { clock, readiness, tasks }, config, shutdown).await
}

/// As [`serve`], but the services, and who believes their tokens, come when `begun` completes. Until then the process is
/// alive and not ready: its health is not-serving, and every call is refused as unavailable.
///
/// # Errors
/// When it cannot begin, or a port fails.
pub async fn serve_later(
    listeners: Listeners,
    begun: impl Future<Output = (Api, Arc<Verifier>)> + Send,
    outset: Outset,
    config: &ServeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let Outset { clock, readiness, tasks } = outset;
    let allow = AllowLayer::new(&config.tls)?;
    BUILD.set_for(1, &[("version", env!("CARGO_PKG_VERSION"))]);
    let (tls, reload) = Tls::load(&config.tls, listeners.peers, clock.now())?.unzip();
    let reloading = async {
        match reload {
            Some(reload) => reload.follow(&clock).await,
            None => std::future::pending().await,
        }
    };
    let (reporter, service) = health_reporter();
    let health = Health { reporter, names: OnceLock::new() };
    let (front, pages) = (listeners.front, Arc::new(OnceLock::new()));
    let starting = readiness.hold("the services have not begun yet");
    let open = async |(api, verifier): (Api, Arc<Verifier>)| {
        let _ = health.names.set(api.names.clone());
        let _ = pages.set(api.pages.clone());
        front.open(CallerLayer::new(verifier, clock.reader()).layer(with_reflection(api)?));
        drop(starting);
        health.set(readiness.is_ready()).await;
        Ok::<_, ServeError>(())
    };
    let mut begun = pin!(begun);
    let mut opening = pin!(async { open(begun.as_mut().await).await });
    health.set(false).await;
    let opened = opening.as_mut().now_or_never().transpose()?.is_some();
    let opening = async {
        if !opened {
            opening.await?;
        }
        std::future::pending::<Result<Infallible, ServeError>>().await
    };

    let (stopping, cut) = (tasks.stopping(), CancellationToken::new());
    let places = Places::new(config.max_connections.get() as usize);
    let door = Door::new(listeners.api, tls, places.clone(), cut.clone());
    let routes: Routes = Routes::new(service).into_axum_router().fallback_service(front.clone()).into();
    tracing::info!(api = %listeners.api_addr, admin = %listeners.admin_addr, tls = config.tls.is_on(), "serving");
    let serving = builder(config)
        .layer(cors(&config.cors_origins)?)
        .layer(GrpcWebLayer::new())
        .layer(MapRequestLayer::new(Peer::introduce::<Body>))
        .layer(CallMetricsLayer)
        .layer(StrangersLayer::new(config, stopping.clone()))
        .layer(allow)
        .layer(OpenCallsLayer::new(config.max_open_calls))
        .layer(UndecodableLayer)
        .add_routes(routes)
        .serve_with_incoming_shutdown(door.incoming(), stopping.clone().cancelled_owned());
    let announcing = async {
        tokio::select! {
            () = shutdown => {}
            () = stopping.cancelled() => {}
        }
        tracing::info!("stopping");
        let _hold = readiness.hold("the process is stopping");
        health.set(false).await;
        pause(config.drain_for).await;
        stopping.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = Box::pin(end_in_time(serving, &stopping, &cut, config.grace_for)) => ended.map_err(ServeError::Api)?,
        failed = admin::serve(listeners.admin, readiness.clone(), tasks.clone(), Arc::clone(&pages)) => failed.map_err(ServeError::Admin)?,
        failed = opening => { failed?; }
        () = places.sweep(config) => {}
        () = count_tokens() => {}
        () = reloading => {}
        () = health.follow(&readiness) => {}
        () = announcing => {}
    }
    // What is still at work may need the services until its end.
    tasks.stop(config.grace_for).await;
    cut.cancel();
    tracing::info!("stopped");
    Ok(())
}

/// Waits for the last connection, but not longer than `grace` once the process stops: a client that is mute or keeps
/// a stream open would hold it for ever.
async fn end_in_time(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    stopping: &CancellationToken,
    cut: &CancellationToken,
    grace: Duration,
) -> Result<(), tonic::transport::Error> {
    let mut serving = pin!(serving);
    let deadline = async {
        stopping.cancelled().await;
        pause(grace).await;
    };
    tokio::select! {
        ended = &mut serving => return ended,
        () = deadline => tracing::warn!("connections that are still open are cut"),
    }
    cut.cancel();
    tokio::time::timeout(CUT_WITHIN, serving).await.unwrap_or(Ok(()))
}

/// Counts the tokens that were looked at, without end.
async fn count_tokens() {
    let mut ticks = interval(COUNT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (hits, misses) = take_tokens_looked_at();
        TOKENS.add(hits, &[("cache", "hit")]);
        TOKENS.add(misses, &[("cache", "miss")]);
    }
}

/// What `grpc.health.v1` says of each service and of the whole.
struct Health {
    reporter: HealthReporter,
    /// Of the services, once they are there.
    names: OnceLock<Vec<&'static str>>,
}

impl Health {
    async fn set(&self, ready: bool) {
        READY.set(i64::from(ready));
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in self.names.get().into_iter().flatten().chain(&[""]) {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Says what readiness says, without end.
    async fn follow(&self, readiness: &Readiness) {
        let mut ready = readiness.watch();
        while ready.changed().await.is_ok() {
            let now = *ready.borrow_and_update();
            self.set(now).await;
        }
    }
}

fn with_reflection(mut api: Api) -> Result<Routes, ServeError> {
    let health = <HealthServer<HealthService> as NamedService>::NAME;
    let names: Vec<_> = api.names.iter().copied().chain([health]).collect();
    let described = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(roamline_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        names.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    api.add(described().build_v1().map_err(ServeError::Reflection)?);
    api.add(described().build_v1alpha().map_err(ServeError::Reflection)?);
    Ok(api.routes.routes())
}

/// tonic counts the grace of an old connection from its beginning and says nothing before it is over, so that is left to
/// [`Places::sweep`]; it has no limits on connections, nor on their idleness, which are kept there, too.
fn builder(config: &ServeConfig) -> Server {
    let number = |number: NonZeroU32| Some(number.get() as usize);
    let server = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(config.max_concurrent_streams.get())
        .http2_max_pending_accept_reset_streams(number(config.max_pending_accept_reset_streams))
        .http2_max_local_error_reset_streams(number(config.max_local_error_reset_streams))
        .http2_max_header_list_size(config.max_header_bytes.get())
        .http2_keepalive_interval(Some(config.keepalive_every).filter(|every| !every.is_zero()))
        .http2_keepalive_timeout(Some(config.keepalive_timeout));
    if config.max_connection_age.is_zero() {
        server
    } else {
        server.max_connection_age(config.max_connection_age)
    }
}

fn cors(origins: &[String]) -> Result<CorsLayer, ServeError> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let values = origins
            .iter()
            .map(|origin| HeaderValue::from_str(origin).map_err(|_| ServeError::Origin(origin.clone())));
        AllowOrigin::list(values.collect::<Result<Vec<_>, _>>()?)
    };
    let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin"].map(HeaderName::from_static);
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([http::Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed))
}
