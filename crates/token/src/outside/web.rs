//! Questions to issuers over HTTP: bounded in time and size, without redirects.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::codegen::Bytes;

use crate::key_box::FetchError;

/// No answer is longer.
const LONGEST: usize = 256 * 1024;
/// Connections to one issuer that are kept for the next question.
const KEPT: usize = 8;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Asks one issuer. Clones share their connections.
#[derive(Clone)]
pub(super) struct Web {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    within: Duration,
}

impl Web {
    /// Believes the authorities in that file, or those of the system where none is named. An answer takes `within` at most.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn new(ca_file: &Path, within: Duration) -> Result<Self, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = match ca_file.as_os_str().is_empty() {
            true => builder
                .with_native_roots()
                .map_err(|error| format!("the system's authorities cannot be read: {error}"))?,
            false => builder.with_root_certificates(authorities(ca_file)?),
        };
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(within));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT)
            .build(connector);
        Ok(Self { client, within })
    }

    /// What is at an address.
    pub(super) async fn get(&self, address: &Uri) -> Result<Bytes, FetchError> {
        let request = Request::get(address).header(ACCEPT, "application/json").body(Full::default());
        self.ask(address, request).await
    }

    /// What is answered to a form.
    pub(super) async fn post(
        &self,
        address: &Uri,
        authorization: HeaderValue,
        form: String,
    ) -> Result<Bytes, FetchError> {
        let request = Request::post(address)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form));
        self.ask(address, request).await
    }

    async fn ask(
        &self,
        address: &Uri,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<Bytes, FetchError> {
        let said = |what: String| FetchError(format!("{}: {what}", place(address)));
        let request = request.map_err(|error| said(error.to_string()))?;
        let answered = async {
            let answer = self.client.request(request).await.map_err(|error| said(chain(&error)))?;
            if answer.status() != StatusCode::OK {
                return Err(said(format!("answered with status {}", answer.status().as_u16())));
            }
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| said(error.to_string()))
        };
        let answer = timeout(self.within, answered).await;
        answer.unwrap_or_else(|_| Err(said(format!("no answer within {:?}", self.within))))
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    match roots.is_empty() {
        true => Err(format!("{} has no certificate", file.display())),
        false => Ok(roots),
    }
}

/// An address without what may be secret in it.
pub(super) fn place(address: &Uri) -> String {
    let (scheme, authority) = (address.scheme_str(), address.authority());
    format!(
        "{}://{}{}",
        scheme.unwrap_or_default(),
        authority.map_or("", http::uri::Authority::as_str),
        address.path()
    )
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
