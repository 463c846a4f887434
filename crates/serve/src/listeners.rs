//! The two ports of a process, bound before anything else is done, so that a port that is taken is known at once, and the
//! way by which the process reaches itself.

use std::io;
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use crate::front::Front;
use crate::inside::Inside;
use crate::trust::PeerTrust;

/// The port for the API and the port for probes and metrics.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) api: TcpListener,
    pub(crate) admin: TcpListener,
    pub(crate) api_addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
    pub(crate) front: Front,
    pub(crate) peers: PeerTrust,
}

impl Listeners {
    /// Binds both; port 0 takes a free one. The process may have as many files open from then on as the system lets it.
    ///
    /// # Errors
    /// When one cannot be bound; the text names its address.
    pub async fn bind(listen: SocketAddr, admin: SocketAddr) -> io::Result<Self> {
        raise_file_limit();
        let (api, api_addr) = bind(listen).await?;
        let (admin, admin_addr) = bind(admin).await?;
        let (front, peers) = (Front::default(), PeerTrust::default());
        Ok(Self { api, admin, api_addr, admin_addr, front, peers })
    }

    /// Where the API listens.
    pub fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// The way by which the process calls its own API, whatever the ports need.
    pub fn inside(&self) -> Inside {
        Inside::new(&self.front)
    }

    /// Whose certificates are believed beside those of the configuration, where the port speaks TLS; nobody's yet.
    pub fn peers(&self) -> PeerTrust {
        self.peers.clone()
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

/// Every connection is an open file. The limit that programs begin with is low for the sake of those that use `select`.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays where it is");
    }
}
