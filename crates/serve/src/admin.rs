//! The admin port: `/livez`, `/readyz`, `/metrics`, in plain text, and the pages of services.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics;
use crate::readiness::Readiness;
use crate::tasks::Tasks;

/// Pages that services add, by their paths.
#[derive(Clone, Default)]
pub(crate) struct Pages(BTreeMap<&'static str, Arc<dyn Fn() -> String + Send + Sync>>);

impl Pages {
    pub(crate) fn add(&mut self, path: &'static str, text: impl Fn() -> String + Send + Sync + 'static) {
        self.0.insert(path, Arc::new(text));
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Answers until it is dropped. The pages come with the services.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    tasks: Tasks,
    pages: Arc<OnceLock<Pages>>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez).with_state(tasks))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(exposition))
        .fallback_service(get(page).with_state(pages));
    axum::serve(listener, router).await
}

async fn livez(State(tasks): State<Tasks>) -> (StatusCode, &'static str) {
    if tasks.healthy() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "a task panicked\n")
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let reasons = readiness.reasons();
    if reasons.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(|reason| format!("{reason}\n")).collect())
    }
}

async fn page(
    State(pages): State<Arc<OnceLock<Pages>>>,
    uri: Uri,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    match pages.get().and_then(|pages| pages.0.get(uri.path())) {
        Some(text) => (StatusCode::OK, [("content-type", "application/json")], text()),
        None => (StatusCode::NOT_FOUND, [("content-type", "text/plain")], String::new()),
    }
}

async fn exposition() -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let header = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
    match metrics::text() {
        Ok(text) => (StatusCode::OK, header, text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written out");
            (StatusCode::INTERNAL_SERVER_ERROR, header, String::new())
        }
    }
}
