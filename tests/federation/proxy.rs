//! The network between two clusters: a TCP proxy whose faults a test sets as it goes. Nothing that goes through is changed:
//! what is not delivered is held, or its connection is cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Chunks on their way each way of a connection.
const ON_THE_WAY: usize = 256;
/// Over TLS, what is shorter carries no request and no answer, but a ping, a window or an acknowledgement.
const SHORTEST_MESSAGE: usize = 80;

/// What is wrong with the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Connections are closed, and so are new ones.
    Closed,
    /// Everything arrives that much later, in order.
    Late(Duration),
    /// Nothing arrives, and nobody is told: connections stay half-open. What was sent arrives when that is over, where
    /// the connection still stands.
    Silent,
    /// As [`Fault::Silent`], but that way everything arrives.
    Only(Way),
    /// Requests arrive and are answered, and the connection is cut in the place of the answer, so that the caller asks
    /// again. It is so for connections that stand when it begins; new ones go through.
    AnswersLost,
}

/// A way through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the caller.
    There,
    /// To the caller.
    Back,
}

impl Fault {
    fn holds(self, way: Way) -> bool {
        match self {
            Self::Silent => true,
            Self::Only(open) => open != way,
            _ => false,
        }
    }

    fn late(self) -> Duration {
        match self {
            Self::Late(time) => time,
            _ => Duration::ZERO,
        }
    }
}

/// A proxy in front of one address. It and its connections end when the value is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Fault>,
    answers_lost: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy on a free port of loopback.
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let network = watch::Sender::new(Fault::None);
        let answers_lost = Arc::<AtomicU64>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, network.subscribe(), Arc::clone(&answers_lost)));
        Self { address, network, answers_lost, _tasks: tasks }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, that is wrong.
    pub(crate) fn set(&self, fault: Fault) {
        self.network.send_replace(fault);
    }

    /// Answers that were lost so far.
    pub(crate) fn answers_lost(&self) -> u64 {
        self.answers_lost.load(Ordering::Relaxed)
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    network: watch::Receiver<Fault>,
    answers_lost: Arc<AtomicU64>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((caller, _)) = listener.accept().await else { return };
        let fault = *network.borrow();
        if fault != Fault::Closed {
            let link = Link { network: network.clone(), answers_lost: Arc::clone(&answers_lost) };
            connections.spawn(link.carry(caller, target));
        }
    }
}

/// One connection.
#[derive(Clone)]
struct Link {
    network: watch::Receiver<Fault>,
    answers_lost: Arc<AtomicU64>,
}

impl Link {
    /// Until either side ends it, or the network does.
    async fn carry(mut self, caller: TcpStream, target: SocketAddr) {
        let begun = *self.network.borrow_and_update();
        if begun.holds(Way::There) && self.network.wait_for(|fault| !fault.holds(Way::There)).await.is_err() {
            return;
        }
        let Ok(callee) = TcpStream::connect(target).await else { return };
        let _ = (caller.set_nodelay(true), callee.set_nodelay(true));
        let ((from_caller, to_caller), (from_callee, to_callee)) = (caller.into_split(), callee.into_split());
        // One that comes while answers are lost goes through for as long as that lasts.
        let spared = begun == Fault::AnswersLost;
        let mut network = self.network.clone();
        let closed = async {
            let _ = network.wait_for(|fault| *fault == Fault::Closed).await;
        };
        tokio::select! {
            () = self.clone().one_way(Way::There, from_caller, to_callee, spared) => {}
            () = self.clone().one_way(Way::Back, from_callee, to_caller, spared) => {}
            () = closed => {}
        }
    }

    /// Carries one way until it ends; the other way ends with it.
    async fn one_way(self, way: Way, mut from: OwnedReadHalf, to: OwnedWriteHalf, spared: bool) {
        let (sender, receiver) = mpsc::channel(ON_THE_WAY);
        let reading = async move {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(length @ 1..) = from.read(&mut buffer).await {
                if sender.send((Instant::now(), buffer[..length].to_vec())).await.is_err() {
                    break;
                }
            }
            // What is on its way is delivered before the end is.
            drop(sender);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = reading => {}
            () = self.deliver(way, receiver, to, spared) => {}
        }
    }

    async fn deliver(
        mut self,
        way: Way,
        mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
        mut to: OwnedWriteHalf,
        mut spared: bool,
    ) {
        while let Some((sent, chunk)) = chunks.recv().await {
            if self.network.wait_for(|fault| !fault.holds(way)).await.is_err() {
                return;
            }
            let fault = *self.network.borrow_and_update();
            sleep_until(sent + fault.late()).await;
            spared &= fault == Fault::AnswersLost;
            if fault == Fault::AnswersLost && way == Way::Back && !spared {
                if chunk.len() < SHORTEST_MESSAGE {
                    // It is of no use without what follows, which is never delivered.
                    continue;
                }
                self.answers_lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    }
}

mod tests {
    use super::*;

    /// How long anything may take that takes a moment.
    const WITHIN: Duration = Duration::from_secs(30);
    /// How long it is looked whether something comes that must not.
    const A_MOMENT: Duration = Duration::from_millis(100);

    const REQUEST: [u8; 200] = [7; 200];

    /// A server that answers whatever it is sent with the same; the bytes that it was sent.
    async fn echo(tasks: &mut JoinSet<()>) -> (SocketAddr, watch::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, sees) = watch::channel(0);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = seen.clone();
                connections.spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        seen.send_modify(|all| *all += length);
                        if stream.write_all(&buffer[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (address, sees)
    }

    struct Bench {
        proxy: Proxy,
        seen: watch::Receiver<usize>,
        _tasks: JoinSet<()>,
    }

    impl Bench {
        async fn start() -> Self {
            let mut tasks = JoinSet::new();
            let (address, seen) = echo(&mut tasks).await;
            Self { proxy: Proxy::start(address).await, seen, _tasks: tasks }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.proxy.address()).await.unwrap()
        }

        async fn until_seen(&mut self, bytes: usize) {
            let seen = self.seen.wait_for(|all| *all >= bytes);
            tokio::time::timeout(WITHIN, seen).await.expect("it arrives").unwrap();
        }
    }

    /// Sends a request; true when the answer came, false when the connection has ended.
    async fn ask(stream: &mut TcpStream) -> bool {
        if stream.write_all(&REQUEST).await.is_err() {
            return false;
        }
        answered(stream).await
    }

    async fn answered(stream: &mut TcpStream) -> bool {
        let mut answer = [0; REQUEST.len()];
        tokio::time::timeout(WITHIN, stream.read_exact(&mut answer)).await.expect("in time").is_ok()
    }

    async fn comes_within_a_moment(stream: &mut TcpStream) -> bool {
        let mut byte = [0; 1];
        tokio::time::timeout(A_MOMENT, stream.peek(&mut byte)).await.is_ok()
    }

    #[tokio::test]
    async fn a_whole_network_carries_and_a_closed_one_ends_what_stands() {
        let bench = Bench::start().await;
        let mut stream = bench.connect().await;
        assert!(ask(&mut stream).await);
        bench.proxy.set(Fault::Closed);
        assert!(!answered(&mut stream).await, "what stood has ended");
        assert!(!ask(&mut bench.connect().await).await, "and what is new ends at once");
        bench.proxy.set(Fault::None);
        assert!(ask(&mut bench.connect().await).await);
    }

    #[tokio::test]
    async fn a_late_network_is_late_both_ways() {
        let bench = Bench::start().await;
        let mut stream = bench.connect().await;
        bench.proxy.set(Fault::Late(Duration::from_millis(50)));
        let begun = Instant::now();
        assert!(ask(&mut stream).await);
        assert!(begun.elapsed() >= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn a_silent_network_holds_what_was_sent_and_delivers_it_in_the_end() {
        let bench = Bench::start().await;
        let (mut stream, before) = (bench.connect().await, *bench.seen.borrow());
        bench.proxy.set(Fault::Silent);
        stream.write_all(&REQUEST).await.unwrap();
        assert!(!comes_within_a_moment(&mut stream).await);
        assert_eq!(*bench.seen.borrow(), before);
        bench.proxy.set(Fault::None);
        assert!(answered(&mut stream).await);
    }

    #[tokio::test]
    async fn one_way_requests_arrive_and_answers_do_not() {
        let mut bench = Bench::start().await;
        let mut stream = bench.connect().await;
        assert!(ask(&mut stream).await);
        bench.proxy.set(Fault::Only(Way::There));
        stream.write_all(&REQUEST).await.unwrap();
        bench.until_seen(2 * REQUEST.len()).await;
        assert!(!comes_within_a_moment(&mut stream).await);
        bench.proxy.set(Fault::Only(Way::Back));
        assert!(answered(&mut stream).await, "what was held comes");
        stream.write_all(&REQUEST).await.unwrap();
        assert!(!comes_within_a_moment(&mut stream).await);
        assert_eq!(*bench.seen.borrow(), 2 * REQUEST.len());
    }

    #[tokio::test]
    async fn a_lost_answer_is_of_a_request_that_has_arrived() {
        let mut bench = Bench::start().await;
        let mut stream = bench.connect().await;
        assert!(ask(&mut stream).await);
        bench.proxy.set(Fault::AnswersLost);
        assert!(!ask(&mut stream).await, "the connection is cut");
        bench.until_seen(2 * REQUEST.len()).await;
        assert_eq!(bench.proxy.answers_lost(), 1);
        let mut again = bench.connect().await;
        assert!(ask(&mut again).await, "the second time it comes through");
        bench.proxy.set(Fault::None);
        assert!(ask(&mut again).await);
        bench.proxy.set(Fault::AnswersLost);
        assert!(!ask(&mut again).await, "it stood before this began");
    }
}
