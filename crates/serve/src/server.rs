//! Serves an [`Api`] from bind to the last connection: one port for gRPC, gRPC-web, health and reflection, and one for
//! probes and metrics.
//!
//! The end has stages: not ready and not serving; a drain delay in which load balancers look away; streams and tasks
//! are told; a grace in which calls finish; then whatever is left is cut.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use http::header::{HeaderName, HeaderValue};
use roamline_token::{CallerLayer, Verifier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService, health_reporter};
use tonic_web::GrpcWebLayer;
use tower::Layer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::admin;
use crate::api::Api;
use crate::call_metrics::CallMetricsLayer;
use crate::clock::{Clock, pause};
use crate::connection::incoming;
use crate::front::Front;
use crate::listeners::Listeners;
use crate::readiness::Readiness;
use crate::tasks::Tasks;

/// Calls at once on one connection.
const MAX_STREAMS: u32 = 1024;
/// Streams that a connection may have reset before it is closed.
const MAX_RESETS: usize = 1024;
/// All headers of a request together.
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// How long a connection that was cut gets to be dropped.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// How a process serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Web origins that may call with gRPC-web: `https://console.example.org`, or `*` alone for all.
    pub cors_origins: Vec<String>,
    /// How long the process still serves after it has said that it will not.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub drain_for: Duration,
    /// How long calls, streams and tasks get to finish.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub grace_for: Duration,
    /// How often an idle connection is asked whether it is alive.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub keepalive_every: Duration,
    /// How old a connection gets before its client is asked to open another; 0 is without limit.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub max_connection_age: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            drain_for: Duration::ZERO,
            grace_for: Duration::from_secs(10),
            keepalive_every: Duration::from_secs(30),
            max_connection_age: Duration::ZERO,
        }
    }
}

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
    let (reporter, service) = health_reporter();
    let health = Health { reporter, names: OnceLock::new() };
    let front = Front::default();
    let starting = readiness.hold("the services have not begun yet");
    let open = async |(api, verifier): (Api, Arc<Verifier>)| {
        let _ = health.names.set(api.names.clone());
        front.open(CallerLayer::new(verifier, clock.reader()).layer(with_reflection(api)?));
        drop(starting);
        health.set(readiness.is_ready()).await;
        Ok::<_, ServeError>(())
    };
    let mut begun = std::pin::pin!(begun);
    let mut opening = std::pin::pin!(async { open(begun.as_mut().await).await });
    health.set(false).await;
    let opened = opening.as_mut().now_or_never().transpose()?.is_some();
    let opening = async {
        if !opened {
            opening.await?;
        }
        std::future::pending::<Result<Infallible, ServeError>>().await
    };

    let (stopping, cut) = (tasks.stopping(), CancellationToken::new());
    tracing::info!(api = %listeners.api_addr(), admin = %listeners.admin_addr(), "serving");
    let serving = builder(config)
        .layer(cors(&config.cors_origins)?)
        .layer(GrpcWebLayer::new())
        .layer(CallMetricsLayer)
        .add_routes(Routes::new(service).into_axum_router().fallback_service(front.clone()).into())
        .serve_with_incoming_shutdown(
            incoming(listeners.api, cut.clone()),
            stopping.clone().cancelled_owned(),
        );
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
        ended = end_in_time(serving, &stopping, &cut, config.grace_for) => ended.map_err(ServeError::Api)?,
        failed = admin::serve(listeners.admin, readiness.clone(), tasks.clone()) => failed.map_err(ServeError::Admin)?,
        failed = opening => { failed?; }
        () = health.follow(&readiness) => {}
        () = announcing => {}
    }
    tasks.stop(config.grace_for).await;
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
    let mut serving = std::pin::pin!(serving);
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

/// What `grpc.health.v1` says of each service and of the whole.
struct Health {
    reporter: HealthReporter,
    /// Of the services, once they are there.
    names: OnceLock<Vec<&'static str>>,
}

impl Health {
    async fn set(&self, ready: bool) {
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

fn builder(config: &ServeConfig) -> Server {
    let server = Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_local_error_reset_streams(Some(MAX_RESETS))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(config.keepalive_every).filter(|every| !every.is_zero()));
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
