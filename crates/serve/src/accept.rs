//! The door of the API: accepts connections, whatever goes wrong with single ones or for want of file descriptors, shakes
//! hands where there is TLS, and keeps to the number of connections and of handshakes.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::pause;
use crate::connection::Connection;
use crate::inventory::{ACCEPT_FAILURES, HANDSHAKES};
use crate::places::{Places, Seat};
use crate::tls::Tls;

/// How long to wait after an accept that failed for want of something (file descriptors, memory).
const BACK_OFF: Duration = Duration::from_millis(50);

/// The connections that come in at one port.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<Tls>,
    places: Places,
    cut: CancellationToken,
    handshakes: JoinSet<Option<Connection>>,
    /// Handshakes in the order of their beginning.
    begun: VecDeque<AbortHandle>,
    /// Whether the last accept failed for want of something.
    short: bool,
}

impl Door {
    /// `cut` breaks all connections.
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<Tls>,
        places: Places,
        cut: CancellationToken,
    ) -> Self {
        let (handshakes, begun) = (JoinSet::new(), VecDeque::new());
        Self { listener, tls, places, cut, handshakes, begun, short: false }
    }

    /// The connections, without end.
    pub(crate) fn incoming(self) -> impl Stream<Item = io::Result<Connection>> {
        futures::stream::unfold(self, |mut door| async move { Some((Ok(door.next().await), door)) })
    }

    async fn next(&mut self) -> Connection {
        loop {
            let stream = tokio::select! {
                stream = accept(&self.listener, &mut self.short) => stream,
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(connection)) => return connection,
                    _ => continue,
                }
            };
            let Some(seat) = self.places.take(&self.cut) else { continue };
            match self.tls.clone() {
                None => return Connection::plain(stream, seat),
                Some(tls) => self.shake_hands(stream, seat, &tls),
            }
        }
    }

    fn shake_hands(&mut self, stream: TcpStream, seat: Seat, tls: &Tls) {
        self.begun.retain(|handshake| !handshake.is_finished());
        if self.begun.len() >= tls.max_handshakes()
            && let Some(oldest) = self.begun.pop_front()
        {
            HANDSHAKES.add(1, &[("result", "crowded")]);
            oldest.abort();
        }
        let (acceptor, within) = (tls.acceptor(), tls.handshake_timeout());
        self.begun.push_back(self.handshakes.spawn(async move {
            let closing = seat.closing();
            let (result, connection) = tokio::select! {
                done = tokio::time::timeout(within, acceptor.accept(stream)) => match done {
                    Ok(Ok(stream)) => ("ok", Some(Connection::secure(stream, seat))),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a TLS handshake failed");
                        ("failed", None)
                    }
                    Err(_) => ("late", None),
                },
                () = closing.cancelled() => ("crowded", None),
            };
            HANDSHAKES.add(1, &[("result", result)]);
            connection
        }));
    }
}

async fn accept(listener: &TcpListener, short: &mut bool) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if std::mem::take(short) {
                    tracing::warn!("connections are accepted again");
                }
                // Without it answers are late, and that is all.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                ACCEPT_FAILURES.add(1, &[]);
                if !std::mem::replace(short, true) {
                    tracing::error!(%error, "no connection can be accepted now");
                }
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
