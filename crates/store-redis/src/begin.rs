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
use crate::record::{array, bytes, number};
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

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The server's time in milliseconds, where it is told.
    Done(u64),
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
                    step => return Ok(matches!(step, Step::Done(_))),
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
        let now = match step(self.read(&take).await?)? {
            Step::Done(now) => now,
            Step::Begun => {
                self.adopt(&link).await?;
                return Ok(Step::Begun);
            }
            Step::Taken => return Ok(Step::Taken),
        };
        let after = after.max(self.places.seen());
        let floor = floor(phones, after, now);
        for some in phones.chunks(STEP) {
            let stage = stage(self.scripts.stage.call(&mark), some, floor);
            let staged = self.read(&stage.map_err(corrupt("a phone to begin with"))?).await?;
            if !matches!(step(staged)?, Step::Done(_)) {
                return Ok(Step::Taken);
            }
        }
        let mut finish = self.scripts.finish.call(&mark);
        finish.arg(after).arg(&link.run).arg(FORMAT).arg(floor);
        let finished = step(self.writer.call(finish).await?)?;
        if finished != Step::Taken {
            self.adopt(&link).await?;
        }
        Ok(finished)
    }
}

/// What epochs and versions of guards that the store does not know begin at, so that none is what it was before a loss:
/// no store gives a thousand of one phone in each second of its life, and the place grows with every loss. The time is
/// added to the place alone, as phones may have been given theirs with it. 0 where there was nothing before.
fn floor(phones: &[PhoneState], after: Sequence, now: u64) -> u64 {
    let known = phones.iter().map(|state| state.epoch.max(state.generation)).max().unwrap_or(0).max(after);
    if known == 0 { 0 } else { known.saturating_add(1).max(after.saturating_add(now)) }
}

fn stage(mut cmd: Cmd, phones: &[PhoneState], floor: u64) -> Result<Cmd, crate::error::Cause> {
    cmd.arg(TAKEN_MS);
    let mut holders = BTreeMap::new();
    for state in phones {
        commit::state_changes(&mut cmd, &mut holders, None, state)?;
    }
    for holder in holders.values_mut() {
        holder.moves = floor.saturating_add(1);
    }
    commit::write_holders(&mut cmd, &holders);
    Ok(cmd)
}

fn step(answer: Value) -> Result<Step, StoreError> {
    let mut parts = array(Some(answer)).unwrap_or_default().into_iter();
    match parts.next().and_then(bytes).as_deref() {
        Some(b"ok") => Ok(Step::Done(number(parts.next()).unwrap_or(0))),
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

#[cfg(test)]
mod tests {
    use roamline_store::PLACES_SKIPPED;

    use super::*;

    #[test]
    fn epochs_begin_beyond_those_of_the_store_before_at_every_loss() {
        let given = |epoch| [PhoneState { epoch, ..PhoneState::new("SEP000000000001".parse().unwrap()) }];
        assert_eq!(floor(&[], 0, 1_000), 0, "nothing was before");
        // A rebuilt phone is beyond the place and the time already; the next loss finds nobody logged in.
        let first = floor(&given(50_000 + 1_000_000), 50_000, 1_000_000);
        let of_another_phone = first + 2;
        let second = floor(&[], 50_000 + PLACES_SKIPPED, 1_000_001);
        assert!(second > of_another_phone, "{second} after {of_another_phone}");
    }
}
