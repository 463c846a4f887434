//! The place of the last event, as this process knows it: at once where it made the commit itself, and a moment later
//! where another process did, since it looks for those again and again. No process can miss one for good, whatever
//! happens to its connections.

use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_store::Sequence;
use sea_orm::DatabaseConnection;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::column::count;
use crate::committer;

/// The place is known to be reached. It never goes back.
pub(crate) fn reach(latest: &watch::Sender<Sequence>, last: Sequence) {
    latest.send_if_modified(|latest| std::mem::replace(latest, last.max(*latest)) < last);
}

/// Looks for the last event every so often, for ever. What cannot be read is looked for at the next time.
pub(crate) async fn follow(
    cluster: ClusterId,
    readers: DatabaseConnection,
    every: Duration,
    latest: watch::Sender<Sequence>,
) {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(last) = committer::last(&cluster, &readers).await
            && let Ok(last) = count(last)
        {
            reach(&latest, last);
        }
    }
}
