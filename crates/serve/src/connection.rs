//! Accepted connections: they survive a shortage of file descriptors, one that says nothing is closed, and all of them
//! can be cut at once.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::clock::pause;

/// How long to wait after an accept that failed for want of something (file descriptors, memory).
const BACK_OFF: Duration = Duration::from_millis(50);
/// What a client says at least before it can be kept alive by its protocol: the preface of HTTP/2, or the shortest
/// request of HTTP/1.1.
const HELLO_BYTES: usize = 24;
/// How long it may take to say it.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// The connections of a listener, without end. `cut` breaks all of them.
pub(crate) fn incoming(
    listener: TcpListener,
    cut: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    futures::stream::unfold((listener, cut), |(listener, cut)| async move {
        let stream = accept(&listener).await;
        Some((Ok(Connection::new(stream, &cut)), (listener, cut)))
    })
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it answers are late, and that is all.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted now");
                pause(BACK_OFF).await;
            }
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// A connection that breaks when it is told to, or when its client is mute.
pub(crate) struct Connection {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    hello: Option<Hello>,
}

/// Until the first bytes are here.
struct Hello {
    missing: usize,
    late: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Connection {
    fn new(stream: TcpStream, cut: &CancellationToken) -> Self {
        let hello = Hello { missing: HELLO_BYTES, late: Box::pin(pause(HELLO_WITHIN)) };
        Self { stream, cut: Box::pin(cut.clone().cancelled_owned()), hello: Some(hello) }
    }

    /// Whether nothing more is to be read from it, and why.
    fn broken(&mut self, context: &mut Context<'_>) -> Option<io::ErrorKind> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Some(io::ErrorKind::ConnectionAborted);
        }
        let hello = self.hello.as_mut()?;
        hello.late.as_mut().poll(context).is_ready().then_some(io::ErrorKind::TimedOut)
    }

    fn heard(&mut self, bytes: usize) {
        self.hello = self.hello.take().and_then(|hello| {
            let missing = hello.missing.checked_sub(bytes).filter(|missing| *missing > 0)?;
            Some(Hello { missing, ..hello })
        });
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(kind) = self.broken(context) {
            return Poll::Ready(Err(kind.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (TcpStream, Connection, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let cut = CancellationToken::new();
        let server = Box::pin(incoming(listener, cut.clone())).next().await.unwrap().unwrap();
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
        cut.cancel();
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
