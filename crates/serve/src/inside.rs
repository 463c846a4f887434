//! Calls of a process to itself: through a pipe in its memory, which nobody else can reach, and which therefore needs
//! neither a port nor TLS.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::peer::PeerIdentity;

/// How much a pipe holds.
const PIPE_BYTES: usize = 64 * 1024;
/// Pipes that were laid and are not accepted yet.
const PIPES: usize = 64;

/// Connects to the API of its own process. Clones lead to the same.
#[derive(Clone, Debug)]
pub struct Inside(mpsc::Sender<Pipe>);

/// One end of a pipe, and whom the other end is believed to be.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) stream: DuplexStream,
    pub(crate) identity: Option<PeerIdentity>,
}

impl Inside {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Pipe>) {
        let (sender, receiver) = mpsc::channel(PIPES);
        (Self(sender), receiver)
    }

    /// A channel that connects when it is first used. Calls on it come from no address, and are not bound by the limits on
    /// connections from outside.
    pub fn channel(&self) -> Channel {
        self.laid(None)
    }

    /// As [`Inside::channel`], for another cluster of the same process, which is believed to be the one that a certificate
    /// with that SPIFFE id proves.
    pub fn channel_as(&self, spiffe_id: &str) -> Channel {
        self.laid(Some(PeerIdentity::Spiffe(spiffe_id.into())))
    }

    fn laid(&self, identity: Option<PeerIdentity>) -> Channel {
        let pipes = self.0.clone();
        Endpoint::from(Uri::from_static("http://inside")).connect_with_connector_lazy(service_fn(
            move |_: Uri| {
                let (pipes, identity) = (pipes.clone(), identity.clone());
                async move {
                    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                    let gone = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
                    pipes.send(Pipe { stream: theirs, identity }).await.map_err(gone)?;
                    Ok::<_, io::Error>(TokioIo::new(ours))
                }
            },
        ))
    }
}

/// The other ends of the pipes, as they are laid.
pub(crate) async fn next(pipes: &mut mpsc::Receiver<Pipe>) -> Pipe {
    match pipes.recv().await {
        Some(pipe) => pipe,
        None => std::future::pending().await,
    }
}
