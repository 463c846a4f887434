//! The way to an issuer: directly, or through the HTTP proxy that the environment names, as it does for other programs.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// Connects to where an issuer is. Clones are alike.
#[derive(Clone)]
pub(super) struct Way {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Way {
    /// A connection comes about within that time. Of `proxies` those for HTTPS are used, by a tunnel: what is asked without
    /// TLS is on this machine, or where the operator says so.
    pub(super) fn new(within: Duration, proxies: Matcher) -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_connect_timeout(Some(within));
        Self { direct, proxies: Arc::new(proxies) }
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send>>;

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Connecting {
        let through = match to.scheme() == Some(&Scheme::HTTPS) {
            true => self.proxies.intercept(&to),
            false => None,
        };
        let Some(proxy) = through else {
            let connecting = self.direct.call(to);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        if proxy.uri().scheme() != Some(&Scheme::HTTP) {
            return Box::pin(ready(Err("the proxy of HTTPS_PROXY is not at an address with http://".into())));
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connecting = tunnel.call(to);
        Box::pin(
            async move { connecting.await.map_err(|error| format!("through the proxy: {error}").into()) },
        )
    }
}
