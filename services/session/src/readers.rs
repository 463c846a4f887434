//! Slow readers. A stream whose reader takes nothing is not even asked for its next message, so it cannot notice that
//! by itself: one task looks at all open streams, and ends those that nobody asked for too long.
//!
//! Every stream has something to say at least every heartbeat. What an ended one held is given back at once; its reader
//! is told why as soon as he reads on.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::SLOW_READERS;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Core;

/// Between two looks at the open streams.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The open streams of this process.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Vec<Weak<dyn Open>>>);

trait Open: Send + Sync {
    /// Ends the stream if nobody has asked for a message since then; says whether it did.
    fn end_unless_asked_since(&self, since: Instant) -> bool;
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Refusal>> + Send>>;

struct Slot<T> {
    messages: Option<Messages<T>>,
    asked_at: Instant,
    /// Whether the reader has still to be told that the stream was ended.
    cut_off: bool,
}

/// A stream that is ended when its reader is too slow.
pub(crate) struct Guarded<T>(Arc<Mutex<Slot<T>>>);

impl Readers {
    /// Watches over a stream.
    pub(crate) fn guard<T: 'static>(
        &self,
        messages: impl Stream<Item = Result<T, Refusal>> + Send + 'static,
    ) -> Guarded<T> {
        let messages: Messages<T> = Box::pin(messages);
        let slot = Slot { messages: Some(messages), asked_at: Instant::now(), cut_off: false };
        let slot = Arc::new(Mutex::new(slot));
        let open: Weak<dyn Open> = Arc::<Mutex<Slot<T>>>::downgrade(&slot);
        lock(&self.0).push(open);
        Guarded(slot)
    }

    /// Ends streams that nobody asked since then; returns how many.
    fn end_unless_asked_since(&self, since: Instant) -> u64 {
        let mut ended = 0;
        let mut open = lock(&self.0);
        open.retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            let end = slot.end_unless_asked_since(since);
            ended += u64::from(end);
            !end
        });
        ended
    }
}

impl<T> Open for Mutex<Slot<T>> {
    fn end_unless_asked_since(&self, since: Instant) -> bool {
        let mut slot = lock(self);
        if slot.asked_at >= since {
            return false;
        }
        slot.cut_off = slot.messages.is_some();
        let messages = slot.messages.take();
        drop(slot);
        messages.is_some()
    }
}

impl<T> Stream for Guarded<T> {
    type Item = Result<T, Refusal>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut slot = lock(&self.0);
        let slot = &mut *slot;
        slot.asked_at = Instant::now();
        match &mut slot.messages {
            Some(messages) => messages.as_mut().poll_next(context),
            None if std::mem::take(&mut slot.cut_off) => Poll::Ready(Some(Err(too_slow()))),
            None => Poll::Ready(None),
        }
    }
}

/// Ends the streams of slow readers until the process stops.
pub(crate) async fn run(core: Arc<Core>) {
    let stopping = core.tasks.stopping();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let patience = core.config.heartbeat() + core.config.drop_slow_reader_after();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Some(since) = Instant::now().checked_sub(patience) else { continue };
        let ended = core.readers.end_unless_asked_since(since);
        if ended > 0 {
            tracing::warn!(streams = ended, "readers took nothing for too long; their streams were ended");
            SLOW_READERS.add(ended, &[]);
        }
    }
}

fn too_slow() -> Refusal {
    let text = "nothing was read from this stream for too long, and it was ended: go on with the last resume token, or watch again";
    Refusal::new(ErrorReason::ServiceUnavailable, text).with("service", "session").with("reader", "slow")
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::stream::{StreamExt, pending};

    use super::*;

    #[tokio::test]
    async fn a_stream_that_nobody_asks_gives_back_what_it_holds_and_says_why_once() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let readers = Readers::default();
        let silent = pending::<Result<(), Refusal>>().inspect(move |_| drop(Arc::clone(&inside)));
        let mut stream = readers.guard(silent);
        let long_ago = Instant::now() - Duration::from_secs(1);
        assert_eq!(readers.end_unless_asked_since(long_ago), 0);
        let soon = Instant::now() + Duration::from_secs(1);
        assert_eq!(readers.end_unless_asked_since(soon), 1);
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(readers.end_unless_asked_since(soon), 0, "it is ended once");
        assert_eq!(stream.next().await.unwrap().unwrap_err().reason, ErrorReason::ServiceUnavailable);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_is_forgotten() {
        let readers = Readers::default();
        drop(readers.guard(pending::<Result<(), Refusal>>()));
        assert_eq!(readers.end_unless_asked_since(Instant::now() + Duration::from_secs(1)), 0);
        assert!(lock(&readers.0).is_empty());
    }
}
