//! Load, decide, commit: the one way in which live state changes. What this process has committed last is not loaded: the
//! first attempt is made from what is recalled, and holds if the commit is made.

use jiff::Timestamp;
use roamline_domain::RequestId;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{About, Commit, CommitError, Loaded, Reply};

use crate::{Core, refusal};

/// How often a decision is taken anew when others are faster. Each round means that somebody else's commit was made,
/// so that under any load somebody gets on.
const ROUNDS: usize = 64;

/// What a decision changes.
#[derive(Default)]
pub(crate) struct Decided<T> {
    pub states: Vec<PhoneState>,
    pub events: Vec<SessionEvent>,
    pub reply: Option<Reply>,
    pub outcome: T,
}

impl<T> Decided<T> {
    fn changes(&self) -> bool {
        !self.states.is_empty() || self.reply.is_some()
    }
}

impl Core {
    /// Takes a decision on what is live and commits it. `decide` may be called several times and has no effects of
    /// its own. A decision that changes nothing is not committed.
    pub(crate) async fn decide<T>(
        &self,
        about: &About,
        now: Timestamp,
        mut decide: impl FnMut(&Loaded) -> Result<Decided<T>, Refusal>,
    ) -> Result<T, Refusal> {
        let mut recalled = self.store.recall(about);
        for _ in 0..ROUNDS {
            let is_recalled = recalled.is_some();
            let loaded = match recalled.take() {
                Some(recalled) => recalled,
                None => self.store.load(about).await.map_err(|error| refusal::store(&error))?,
            };
            let decided = decide(&loaded);
            let changes = decided.as_ref().is_ok_and(Decided::changes);
            // What is recalled may be old, and only a commit proves that it is not.
            if is_recalled && !changes {
                continue;
            }
            let decided = decided?;
            if !changes {
                return Ok(decided.outcome);
            }
            let request = decided.reply.as_ref().map(|reply| reply.request.clone());
            let commit = Commit {
                read: loaded,
                states: decided.states,
                events: decided.events,
                reply: decided.reply,
                at: now,
            };
            match self.store.commit(commit).await {
                Ok(_) => return Ok(decided.outcome),
                Err(CommitError::Moved) => self.refuse_if_answered(request.as_ref(), now).await?,
                Err(CommitError::Store(error)) => return Err(refusal::store(&error)),
            }
        }
        tracing::warn!(phone = %about.phone, "a decision was overtaken {ROUNDS} times");
        Err(refusal::overtaken())
    }

    /// A request that has been answered meanwhile is not decided again: its answer is to be looked up (LI-11).
    async fn refuse_if_answered(&self, request: Option<&RequestId>, now: Timestamp) -> Result<(), Refusal> {
        let Some(request) = request else { return Ok(()) };
        match self.store.reply(request, now).await.map_err(|error| refusal::store(&error))? {
            Some(_) => Err(Refusal::new(ErrorReason::StoreUnavailable, "the request was answered meanwhile")),
            None => Ok(()),
        }
    }
}
