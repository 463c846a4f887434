//! Where a user is at home (XC-1): the filters of the peers say it without a call. Who is in no filter is asked of the peers
//! that have none, in parallel and with a deadline; what they answer is remembered for a short time, and those who want
//! to know at the same time ask once.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use roamline_domain::ClusterId;

use crate::Inner;
use crate::peers::Peer;

/// Users of whom it is remembered what the peers said.
const REMEMBERED: usize = 10_000;
/// Peers that are asked at once.
const AT_ONCE: usize = 256;

/// What the peers said a moment ago.
pub(crate) struct Found(Cache<String, (Arc<[ClusterId]>, Timestamp)>);

impl Default for Found {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

/// What came of a search.
pub(crate) struct Homes {
    /// Where he may be at home: as a rule one, which the login itself will ask.
    pub candidates: Vec<Arc<Peer>>,
    /// Peers that were asked over the network.
    pub asked: u32,
}

impl Inner {
    /// Where a user may be at home.
    pub(crate) async fn homes_of(&self, user: &str) -> Homes {
        let peers: Vec<_> =
            self.peers.load().values().filter(|peer| peer.remote.services.emcc).cloned().collect();
        let likely: Vec<_> =
            peers.iter().filter(|peer| peer.may_be_home(user) == Some(true)).cloned().collect();
        let unsaid = || peers.iter().filter(|peer| peer.may_be_home(user).is_none() && peer.is_up());
        let ask: Vec<_> = match likely.len() {
            1 => return Homes { candidates: likely, asked: 0 },
            0 => unsaid().cloned().collect(),
            // Before a credential is sent to one of several, they are asked.
            _ => likely.iter().filter(|peer| peer.is_up()).cloned().collect(),
        };
        if ask.is_empty() {
            return Homes { candidates: likely, asked: 0 };
        }
        let (homes, asked) = self.ask_or_recall(user, ask).await;
        let candidates = peers.into_iter().filter(|peer| homes.contains(&peer.remote.cluster)).collect();
        Homes { candidates, asked }
    }

    async fn ask_or_recall(&self, user: &str, peers: Vec<Arc<Peer>>) -> (Arc<[ClusterId]>, u32) {
        let now = self.clock.now();
        let fresh = |(_, until): &(Arc<[ClusterId]>, Timestamp)| *until > now;
        if self.found.0.peek(user).is_some_and(|known| !fresh(&known)) {
            self.found.0.remove(user);
        }
        let mut asked = 0;
        let known = self.found.0.get_or_insert_async(user, async {
            asked = u32::try_from(peers.len()).unwrap_or(u32::MAX);
            let (homes, all_answered) = self.ask(user, peers).await;
            // Who did not answer may be his home: that is no news to keep.
            let remember_for = if all_answered { self.config.remember_for } else { Duration::ZERO };
            let until = now.checked_add(remember_for).unwrap_or(now);
            Ok::<_, std::convert::Infallible>((homes, until))
        });
        let homes = match known.await {
            Ok((homes, _)) => homes,
            Err(never) => match never {},
        };
        (homes, asked)
    }

    /// Those that say he is at home there, and whether all have answered.
    async fn ask(&self, user: &str, peers: Vec<Arc<Peer>>) -> (Arc<[ClusterId]>, bool) {
        let within = self.config.answer_within();
        let answers = futures::stream::iter(peers).map(|peer| async move {
            let answer = match &peer.link {
                Ok(link) => link.is_home(user, within).await.ok(),
                Err(_) => None,
            };
            (peer.remote.cluster.clone(), answer)
        });
        let answers: Vec<(ClusterId, Option<bool>)> = answers.buffer_unordered(AT_ONCE).collect().await;
        let all_answered = answers.iter().all(|(_, answer)| answer.is_some());
        let homes = answers.into_iter().filter(|(_, answer)| *answer == Some(true));
        let mut homes: Vec<_> = homes.map(|(cluster, _)| cluster).collect();
        homes.sort();
        (homes.into(), all_answered)
    }
}
