//! The admin port: `/livez`, `/readyz`, `/metrics`, in plain text.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics;
use crate::readiness::Readiness;
use crate::tasks::Tasks;

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, readiness: Readiness, tasks: Tasks) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez).with_state(tasks))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(exposition));
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
