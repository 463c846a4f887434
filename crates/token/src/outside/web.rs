//! Questions to issuers over HTTP: bounded in time and size, without redirects. Whose certificates are believed may change
//! while the process runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tonic::codegen::Bytes;

use super::followed::{Followed, Follows};
use super::way::Way;
use crate::key_box::FetchError;

/// No answer is longer.
const LONGEST: usize = 256 * 1024;
/// Connections to one issuer that are kept for the next question.
const KEPT: usize = 8;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Asks by one way, believing the same authorities.
type Asks = Client<HttpsConnector<Way>, Full<Bytes>>;

/// Asks one issuer. Clones share their connections.
#[derive(Clone)]
pub(super) struct Web {
    asks: Arc<Followed<Asks>>,
    within: Duration,
}

impl Web {
    /// Believes the authorities in that file as it changes, or those that the system has now where none is named. An answer
    /// takes `within` at most.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn new(ca_file: &Path, within: Duration) -> Result<Self, String> {
        Self::by(Way::new(within, Matcher::from_env()), ca_file, within)
    }

    fn by(way: Way, ca_file: &Path, within: Duration) -> Result<Self, String> {
        let asks = match ca_file.as_os_str().is_empty() {
            true => {
                let config = tls()?
                    .with_native_roots()
                    .map_err(|error| format!("the system's authorities cannot be read: {error}"))?;
                Followed::fixed(client(way, config.with_no_client_auth()))
            }
            false => Followed::of(ca_file, move |pem| {
                let config = tls()?.with_root_certificates(authorities(pem)?);
                Ok(client(way.clone(), config.with_no_client_auth()))
            })?,
        };
        Ok(Self { asks: Arc::new(asks), within })
    }

    /// The file with the authorities, to be looked after.
    pub(super) fn file(&self) -> Arc<dyn Follows> {
        Arc::clone(&self.asks) as Arc<dyn Follows>
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
            let answer = self.asks.present().request(request).await.map_err(|error| said(chain(&error)))?;
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

fn tls() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn client(way: Way, tls: ClientConfig) -> Asks {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(way);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(KEPT_FOR)
        .pool_max_idle_per_host(KEPT)
        .build(connector)
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let unusable = |error: &dyn std::fmt::Display| format!("has a certificate that cannot be used: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    match roots.is_empty() {
        true => Err("has no certificate".to_owned()),
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

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
