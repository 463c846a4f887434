//! The life of a server process: its ports answer first, its services come when they have what they need, and all ends
//! when somebody says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::bail;
use roamline_serve::{Api, Clock, Listeners, Outset, PeerTrust, Readiness, ServeConfig, Tasks, serve_later};
use roamline_token::Verifier;
use tokio::sync::oneshot;

use crate::report::Addresses;

/// A process whose ports answer and whose services are still missing.
pub(crate) struct Start {
    /// Where it listens.
    pub addresses: Addresses,
    /// What it has before it has services.
    pub outset: Outset,
    /// The other clusters whose certificates the port believes.
    pub peers: PeerTrust,
    begin: oneshot::Sender<(Api, Arc<Verifier>)>,
}

/// A process that serves.
pub(crate) struct Serving {
    /// Where it listens.
    pub addresses: Addresses,
    /// What it had from the beginning.
    pub outset: Outset,
}

impl Start {
    /// Hands the services over; they are reached when this returns.
    ///
    /// # Errors
    /// When the process is stopping already.
    pub(crate) async fn serve(self, api: Api, verifier: Verifier) -> anyhow::Result<Serving> {
        if self.begin.send((api, Arc::new(verifier))).is_err() {
            bail!("the process is stopping");
        }
        // Serving goes first: once it has had its turn, the services are reached.
        tokio::task::yield_now().await;
        Ok(Serving { addresses: self.addresses, outset: self.outset })
    }
}

/// Lives until the process is told to stop. What `begin` returns is kept until then.
///
/// # Errors
/// When it cannot begin, or a port fails.
pub(crate) async fn live<T, F>(
    listeners: Listeners,
    config: &ServeConfig,
    begin: impl FnOnce(Start) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let (api_addr, admin_addr, inside) = (listeners.api_addr(), listeners.admin_addr(), listeners.inside());
    let peers = listeners.peers();
    let secure = config.tls.is_on();
    if !secure && !api_addr.ip().is_loopback() {
        tracing::warn!(%api_addr, "the API is served without TLS beyond this machine: PINs and tokens can be read");
    }
    let outset = Outset { clock: Clock::system(), tasks: Tasks::new(), readiness: Readiness::new() };
    let (sender, begun) = oneshot::channel();
    let begun = async {
        match begun.await {
            Ok(begun) => begun,
            // Why it does not begin is said by whoever should have.
            Err(_) => std::future::pending().await,
        }
    };
    let serving = serve_later(listeners, begun, outset.clone(), config, stop_signal());
    let addresses = Addresses {
        api: format!("{}://{}", if secure { "https" } else { "http" }, reachable(api_addr)),
        admin: format!("http://{}", reachable(admin_addr)),
        inside,
    };
    let beginning = Box::pin(begin(Start { addresses, outset, peers, begin: sender }));
    tokio::pin!(serving);
    let _kept = tokio::select! {
        // The ports answer before anything is waited for.
        biased;
        ended = &mut serving => return ended.map_err(Into::into),
        begun = beginning => begun?,
    };
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
