//! Teams: who is in which, and who looks after it, is the directory's to say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use roamline_domain::{RecordName, UserId};
use roamline_proto::refusal::Refusal;
use tokio::time::Instant;

use crate::Core;
use crate::believed::Believed;

/// Users that the directory is asked about at once.
const AT_ONCE: usize = 1000;

/// The teams of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teams {
    /// Those that he is in.
    pub of: Vec<RecordName>,
    /// Those that he looks after.
    pub supervised: Vec<RecordName>,
}

/// The teams of users, as the directory told them.
pub(crate) type Recalled = Believed<UserId, Arc<Teams>>;

impl Core {
    /// Those of the users who are in a team that the supervisor looks after, and he himself.
    pub(crate) async fn led_by(
        &self,
        supervisor: &UserId,
        users: Vec<&UserId>,
    ) -> Result<HashSet<UserId>, Refusal> {
        let asked: HashSet<&UserId> = users.into_iter().chain([supervisor]).collect();
        let known = self.teams(&asked).await?;
        let supervised: HashSet<&RecordName> =
            known.get(supervisor).into_iter().flat_map(|teams| &teams.supervised).collect();
        let is_led = |user: &UserId| {
            let in_one = |teams: &Arc<Teams>| teams.of.iter().any(|team| supervised.contains(team));
            user == supervisor || known.get(user).is_some_and(in_one)
        };
        Ok(asked.into_iter().filter(|user| is_led(user)).cloned().collect())
    }

    /// The teams of users, as the directory had them at most 2 s ago.
    async fn teams(&self, users: &HashSet<&UserId>) -> Result<HashMap<UserId, Arc<Teams>>, Refusal> {
        let now = Instant::now();
        let (mut known, missing) = self.recalled_teams.recall(users.iter().copied().cloned(), now);
        for some in missing.chunks(AT_ONCE) {
            let told = self.peers.teams(some).await?;
            let told: Vec<_> = some.iter().cloned().zip(told.into_iter().map(Arc::new)).collect();
            self.recalled_teams.note(&told, now);
            known.extend(told);
        }
        Ok(known)
    }
}
