//! The two ports of a process, bound before anything else is done, so that a port that is taken is known at once.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// The port for the API and the port for probes and metrics.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) api: TcpListener,
    pub(crate) admin: TcpListener,
    api_addr: SocketAddr,
    admin_addr: SocketAddr,
}

impl Listeners {
    /// Binds both; port 0 takes a free one.
    ///
    /// # Errors
    /// When one cannot be bound; the text names its address.
    pub async fn bind(listen: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        let (api, api_addr) = bind(listen).await?;
        let (admin, admin_addr) = bind(admin).await?;
        Ok(Self { api, admin, api_addr, admin_addr })
    }

    /// Where the API listens.
    pub fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// Where probes and metrics are answered.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }
}

async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(named)?;
    let bound = listener.local_addr().map_err(named)?;
    Ok((listener, bound))
}
