//! The filter of the users that this cluster is home to, made anew from the directory at an interval (XC-1).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use roamline_domain::emcc::user_filter::{SALT_BYTES, UserFilter};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Inner;

/// How often it is looked whether the filter is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The filter of the present, and whose it is.
pub(crate) struct OwnFilter {
    pub etag: String,
    pub filter: UserFilter,
    users: BTreeSet<String>,
}

/// Makes it without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let every = inner.config.filter_every();
    let mut ticks = interval(every.min(LOOK_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Instant> = None;
    loop {
        ticks.tick().await;
        // Nobody is told of it before.
        if !inner.recalled.load().parameters.activated {
            continue;
        }
        // A directory that is being furnished is looked at again soon.
        let is_empty = inner.own_filter.load().as_ref().is_none_or(|own| own.users.is_empty());
        if !is_empty && last.is_some_and(|last| last.elapsed() < every) {
            continue;
        }
        last = Some(Instant::now());
        match inner.local.user_ids().await {
            Ok(users) => inner.keep_filter(users),
            Err(refused) => {
                tracing::warn!(reason = refused.message, "the users at home cannot be listed");
            }
        }
    }
}

impl Inner {
    /// Makes a filter of these users, with a salt of its own, unless the one that is there is theirs.
    fn keep_filter(&self, users: BTreeSet<String>) {
        if self.own_filter.load().as_ref().is_some_and(|own| own.users == users) {
            return;
        }
        let mut salt = [0; SALT_BYTES];
        if rand::fill(&mut salt).is_err() {
            tracing::error!("the system gives no randomness; the filter of our users stays as it was");
            return;
        }
        let ids: Vec<&str> = users.iter().map(String::as_str).collect();
        let filter = UserFilter::of(salt, ids.into_iter());
        let etag = self.ids.opaque();
        self.own_filter.store(Some(Arc::new(OwnFilter { etag, filter, users })));
    }
}
