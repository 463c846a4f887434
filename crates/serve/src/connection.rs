//! Accepted connections, plain or over TLS: one that says nothing is closed, and each can be closed from
//! outside. One without a call sees the end of its stream then, one with calls an error.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::clock::pause;
use crate::peer::PeerIdentity;
use crate::places::{Place, Seat, Visit};
use crate::strangers::kind_of;

/// What a client says at least before it can be kept alive by its protocol: the preface of HTTP/2, or the shortest
/// request of HTTP/1.1.
const HELLO_BYTES: usize = 24;
/// How long it may take to say it.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// A connection that breaks when it is told to, or when its client is mute.
pub(crate) struct Connection {
    stream: Stream,
    peer: Peer,
    _seat: Seat,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    hello: Option<Hello>,
    has_written: bool,
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Until the first bytes are here.
struct Hello {
    missing: usize,
    late: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Who is at the other end.
#[derive(Clone)]
pub(crate) struct Peer {
    address: Option<TcpConnectInfo>,
    identity: Option<PeerIdentity>,
    place: Arc<Place>,
}

impl Peer {
    /// Leaves in a request where it comes from, and whom the certificate of its connection names.
    pub(crate) fn introduce<B>(mut request: Request<B>) -> Request<B> {
        let extensions = request.extensions_mut();
        if let Some(peer) = extensions.get::<Self>().cloned() {
            peer.address.map(|address| extensions.insert(address));
            peer.identity.map(|identity| extensions.insert(identity));
        }
        request
    }

    /// The connection of a request has a call until this is dropped.
    pub(crate) fn visit<B>(request: &Request<B>) -> Option<Visit> {
        request.extensions().get::<Self>().map(|peer| peer.place.visit(kind_of(request)))
    }

    /// Streams of health and reflection on the connection of a request, this one among them.
    pub(crate) fn public_streams<B>(request: &Request<B>) -> usize {
        request.extensions().get::<Self>().map_or(0, |peer| peer.place.public_streams())
    }
}

impl Connection {
    /// Without TLS.
    pub(crate) fn plain(stream: TcpStream, seat: Seat) -> Self {
        let address = Some(stream.connect_info());
        Self::new(Stream::Plain(stream), address, None, seat)
    }

    /// With TLS; the handshake is done.
    pub(crate) fn secure(stream: TlsStream<TcpStream>, seat: Seat) -> Self {
        let (tcp, session) = stream.get_ref();
        let address = Some(tcp.connect_info());
        let identity = session.peer_certificates().and_then(|chain| PeerIdentity::of(chain.first()?));
        Self::new(Stream::Secure(Box::new(stream)), address, identity, seat)
    }

    fn new(
        stream: Stream,
        address: Option<TcpConnectInfo>,
        identity: Option<PeerIdentity>,
        seat: Seat,
    ) -> Self {
        let peer = Peer { address, identity, place: Arc::clone(seat.place()) };
        let closing = Box::pin(seat.closing().cancelled_owned());
        let hello = Hello { missing: HELLO_BYTES, late: Box::pin(pause(HELLO_WITHIN)) };
        Self { stream, peer, _seat: seat, closing, hello: Some(hello), has_written: false }
    }

    fn is_mute(&mut self, context: &mut Context<'_>) -> bool {
        self.hello.as_mut().is_some_and(|hello| hello.late.as_mut().poll(context).is_ready())
    }

    fn is_closing(&mut self, context: &mut Context<'_>) -> bool {
        self.closing.as_mut().poll(context).is_ready()
    }

    fn heard(&mut self, bytes: usize) {
        self.hello = self.hello.take().and_then(|hello| {
            let missing = hello.missing.checked_sub(bytes).filter(|missing| *missing > 0)?;
            Some(Hello { missing, ..hello })
        });
    }

    /// What was written or not. One that cannot be written to does not hold up its own end.
    fn written<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_pending() && self.is_closing(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        result
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Calls the same of whichever stream it is.
macro_rules! on {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &mut $stream {
            Stream::Plain($inner) => $call,
            Stream::Secure($inner) => $call,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_closing(context) {
            let idle = self.peer.place.quiet_since().is_some();
            let broken = || Err(io::ErrorKind::ConnectionAborted.into());
            return Poll::Ready(if idle { Ok(()) } else { broken() });
        }
        if self.is_mute(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = on!(self.stream, stream => Pin::new(stream).poll_read(context, buffer));
        self.heard(buffer.filled().len().saturating_sub(before));
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_written = true;
        let result = on!(self.stream, stream => Pin::new(stream).poll_write(context, bytes));
        self.written(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = on!(self.stream, stream => Pin::new(stream).poll_flush(context));
        self.written(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = on!(self.stream, stream => Pin::new(stream).poll_shutdown(context));
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.has_written = true;
        let result = on!(self.stream, stream => Pin::new(stream).poll_write_vectored(context, slices));
        self.written(context, result)
    }

    /// Not before the first byte, when HTTP/2 decides how it writes: who takes several slices at once is given each message
    /// of 256 bytes by itself, and who does not those of up to 1 KiB together, as most of our answers are. Each would be
    /// a system call, and a record of TLS, of its own. What is larger is written at once with what comes before it.
    fn is_write_vectored(&self) -> bool {
        self.has_written
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::accept::Door;
    use crate::places::{Kind, Places};

    async fn pair() -> (TcpStream, Connection, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let cut = CancellationToken::new();
        let door = Door::new(listener, None, Places::new(8), cut.clone());
        let server = Box::pin(door.incoming()).next().await.unwrap().unwrap();
        (client, server, cut)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_mute_is_not_waited_for() {
        let (mut client, mut server, _) = pair().await;
        client.write_all(&[b'x'; HELLO_BYTES - 1]).await.unwrap();
        let mut heard = Vec::new();
        let error = server.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_has_spoken_is_kept_until_it_is_cut() {
        let (mut client, mut server, cut) = pair().await;
        client.write_all(&[b'x'; HELLO_BYTES]).await.unwrap();
        server.read_exact(&mut [0; HELLO_BYTES]).await.unwrap();
        assert!(server.hello.is_none());
        let visit = server.peer.place.visit(Kind::Known);
        cut.cancel();
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        drop(visit);
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_does_not_hold_up_the_end() {
        let (client, mut server, cut) = pair().await;
        let writing = async {
            loop {
                if let Err(error) = server.write_all(&[0; 65536]).await {
                    return error.kind();
                }
            }
        };
        let cutting = async {
            tokio::task::yield_now().await;
            cut.cancel();
        };
        assert_eq!(tokio::join!(writing, cutting).0, io::ErrorKind::ConnectionAborted);
        drop(client);
    }
}
