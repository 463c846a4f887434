//! Beginning a store: phones are put beside what is there, in steps that nobody waits long for, and all of it takes
//! effect with the last one. Whoever is at it says so in a key that ends by itself; what a process leaves half made,
//! the next one clears.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Cmd, Value};
use roamline_domain::phone_state::PhoneState;
use roamline_store::{Sequence, StoreError};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::error::{corrupt, strange, unavailable};
use crate::record::{array, bytes};
use crate::script::FORMAT;
use crate::{RedisStore, commit};

/// For how long a step keeps others away: a process that is silent for so long is taken for dead.
const TAKEN_MS: u64 = 10_000;
/// For how long others are waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether they are done.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Phones in one step.
const STEP: usize = 100;
/// Versions of guards begin this far beyond the places of events, so that none is what it was before the loss.
const GUARDS: u64 = 1_000_000;

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    /// The store is begun.
    Begun,
    /// Another process is at it.
    Taken,
}

impl RedisStore {
    pub(crate) async fn begin_with(
        &self,
        phones: Vec<PhoneState>,
        after: Sequence,
    ) -> Result<bool, StoreError> {
        let begun = timeout(PATIENCE, async {
            let mut look = interval(LOOK_EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                match self.try_begin(&phones, after).await? {
                    Step::Taken => {}
                    step => return Ok(step == Step::Done),
                }
            }
        });
        begun.await.unwrap_or_else(|_| Err(unavailable("another process does not finish to begin the store")))
    }

    async fn try_begin(&self, phones: &[PhoneState], after: Sequence) -> Result<Step, StoreError> {
        let link = self.links.up().await?;
        let mark = mark()?;
        let mut take = self.scripts.take.call(&mark);
        take.arg(TAKEN_MS);
        match step(self.read(&take).await?)? {
            Step::Done => {}
            Step::Begun => {
                self.adopt(&link).await?;
                return Ok(Step::Begun);
            }
            Step::Taken => return Ok(Step::Taken),
        }
        let after = after.max(self.places.seen());
        for some in phones.chunks(STEP) {
            let stage = stage(self.scripts.stage.call(&mark), some, after);
            let staged = self.read(&stage.map_err(corrupt("a phone to begin with"))?).await?;
            if step(staged)? != Step::Done {
                return Ok(Step::Taken);
            }
        }
        let mut finish = self.scripts.finish.call(&mark);
        finish.arg(after).arg(&link.run).arg(FORMAT);
        let finished = step(self.writer.call(finish).await?)?;
        if finished != Step::Taken {
            self.adopt(&link).await?;
        }
        Ok(finished)
    }
}

fn stage(mut cmd: Cmd, phones: &[PhoneState], after: Sequence) -> Result<Cmd, crate::error::Cause> {
    cmd.arg(TAKEN_MS);
    let mut holders = BTreeMap::new();
    for state in phones {
        commit::state_changes(&mut cmd, &mut holders, None, state.clone())?;
    }
    for holder in holders.values_mut() {
        holder.moves = after + GUARDS;
    }
    commit::write_holders(&mut cmd, &holders);
    Ok(cmd)
}

fn step(answer: Value) -> Result<Step, StoreError> {
    let word = array(Some(answer)).and_then(|parts| bytes(parts.into_iter().next()?));
    match word.as_deref() {
        Some(b"ok") => Ok(Step::Done),
        Some(b"begun") => Ok(Step::Begun),
        Some(b"taken") => Ok(Step::Taken),
        _ => Err(strange("the beginning")),
    }
}

/// What tells this beginning from every other.
fn mark() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| unavailable("there is no randomness"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
