//! The gRPC services of a process, gathered before they are served.

use std::convert::Infallible;

use axum::response::IntoResponse;
use http::Request;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tower::Service;

use crate::admin::Pages;

/// The largest message that a service should take: `XServer::new(..).max_decoding_message_size(MAX_REQUEST_BYTES)`.
/// The limit is each service's own, and four times as much where it does not set one.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Services and their names. Health and reflection are added when they are served.
#[derive(Clone, Debug, Default)]
pub struct Api {
    pub(crate) routes: RoutesBuilder,
    pub(crate) names: Vec<&'static str>,
    pub(crate) pages: Pages,
}

impl Api {
    /// No service yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a generated server.
    pub fn add<S>(&mut self, service: S) -> &mut Self
    where
        S: Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes.add_service(service);
        self.names.push(S::NAME);
        self
    }

    /// Adds a page to the admin port, in JSON: what `text` gives at each request.
    pub fn add_page(
        &mut self,
        path: &'static str,
        text: impl Fn() -> String + Send + Sync + 'static,
    ) -> &mut Self {
        self.pages.add(path, text);
        self
    }
}
