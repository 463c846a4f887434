//! The filter of the users that this cluster is home to, made anew from the directory at an interval (XC-1).

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::rand;
use roamline_domain::emcc::user_filter::{SALT_BYTES, UserFilter};
use tokio::time::{MissedTickBehavior, interval};

use crate::Inner;

/// The filter of the present, and whose it is.
pub(crate) struct OwnFilter {
    pub etag: String,
    pub filter: UserFilter,
    users: BTreeSet<String>,
}

/// Makes it without end.
pub(crate) async fn run(inner: &Arc<Inner>) {
    let mut ticks = interval(inner.config.filter_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
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
