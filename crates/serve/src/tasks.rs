//! The tasks of a process: named, told when to stop, waited for, and missed when they panic.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a task that was cut off gets to be dropped.
const CUT_WITHIN: Duration = Duration::from_secs(1);

/// All tasks of one process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    cut: CancellationToken,
    panicked: Arc<AtomicBool>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task. It should end soon after [`Tasks::stopping`] is cancelled; a panic makes the process unhealthy.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (cut, panicked) = (self.cut.clone(), Arc::clone(&self.panicked));
        self.tracker.spawn(async move {
            tokio::select! {
                ended = AssertUnwindSafe(task).catch_unwind() => {
                    if ended.is_err() {
                        tracing::error!(task = name, "task panicked");
                        panicked.store(true, Ordering::Relaxed);
                    }
                }
                () = cut.cancelled() => tracing::warn!(task = name, "task did not stop in time"),
            }
        });
    }

    /// Cancelled when the process stops: streams and loops end on it.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// False once a task has panicked.
    pub fn healthy(&self) -> bool {
        !self.panicked.load(Ordering::Relaxed)
    }

    /// Tells every task to stop, waits for `grace`, then cuts off those that have not.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            self.cut.cancel();
            if tokio::time::timeout(CUT_WITHIN, self.tracker.wait()).await.is_err() {
                tracing::error!(left = self.tracker.len(), "tasks are blocked and left behind");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_makes_the_process_unhealthy_and_stops_nothing_else() {
        let tasks = Tasks::new();
        let stopping = tasks.stopping();
        tasks.spawn("steady", async move { stopping.cancelled().await });
        assert!(tasks.healthy());
        tasks.spawn("broken", async { panic!("on purpose") });
        tasks.stop(Duration::from_secs(5)).await;
        assert!(!tasks.healthy());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_cut_off() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending());
        tasks.stop(Duration::from_secs(5)).await;
        assert_eq!(tasks.tracker.len(), 0);
    }
}
