//! What an auth service does by the clock: it takes note of revocations and keys of other replicas, makes the next key the
//! current one when it is time, and drops what has expired.

use std::sync::Arc;
use std::time::Duration;

use roamline_serve::Tasks;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Service;
use crate::error::{AuthError, BuildError};
use crate::keys::{Rotated, Rotation};

/// Between two looks at revocations, so that they are known well within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long the store may take over revocations, and over keys; a look that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Looks between two at the keys.
const KEYS_EVERY: u32 = 3;
/// Looks between two clearances: ten minutes.
const TRIM_EVERY: u32 = 1_500;
/// Looks that fail one after the other before that is told.
const TOLD_AFTER: u32 = 5;

/// Works until the process stops.
pub(crate) async fn run(service: Arc<Service>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut failed) = (0_u32, 0_u32);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        match service.look(looks).await {
            Ok(()) => failed = 0,
            Err(error) => {
                failed = failed.saturating_add(1);
                if failed == TOLD_AFTER {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(
                        cause,
                        "revocations and signing keys cannot be read; those last known hold"
                    );
                }
            }
        }
        looks = looks.wrapping_add(1);
    }
}

impl Service {
    async fn look(&self, looks: u32) -> Result<(), AuthError> {
        let caught_up = in_time(self.catch_up()).await;
        let keys = match looks.is_multiple_of(KEYS_EVERY) {
            true => in_time(self.look_after_keys()).await,
            false => Ok(()),
        };
        if looks.is_multiple_of(TRIM_EVERY) {
            self.store.trim_tokens(self.clock.now()).await?;
        }
        caught_up.and(keys)
    }

    /// Takes the keys as they are, and rotates them if that is due, or if the current one is revoked: a rotation was not
    /// finished then, and as long as that key signs nobody is believed. Of all replicas one does.
    pub(crate) async fn look_after_keys(&self) -> Result<(), AuthError> {
        self.keys.reload(&*self.store).await.map_err(keys_failed)?;
        let now = self.clock.now();
        let current = self.keys.current().map_err(keys_failed)?;
        let compromised = self.revocations.refuse_key(&current);
        if compromised || self.keys.is_due(self.config.tokens.key_lives_for, now) {
            let rotation = Rotation { now, previous_for: self.tokens_live_for(), compromised };
            let rotated = self.keys.rotate(&*self.store, &current, rotation, &self.ids).await;
            let rotated = rotated.map_err(keys_failed)?;
            if let Some(Rotated { current, .. }) = rotated {
                tracing::info!(
                    kid = current,
                    compromised,
                    "the next key signs tokens now, as the one before it is old or revoked"
                );
            }
        }
        Ok(())
    }

    /// Rotates the keys before it is time. What a compromised one has signed is refused before anything else is done; where
    /// the rotation fails after that, [`Service::look_after_keys`] of any replica does it.
    pub(crate) async fn rotate_keys(&self, compromised: bool) -> Result<Rotated, AuthError> {
        self.keys.reload(&*self.store).await.map_err(keys_failed)?;
        let previous = self.keys.current().map_err(keys_failed)?;
        if compromised {
            self.revoke_key(&previous).await?;
        }
        let rotation = Rotation { now: self.clock.now(), previous_for: self.tokens_live_for(), compromised };
        let rotated = self.keys.rotate(&*self.store, &previous, rotation, &self.ids).await;
        let rotated = rotated.map_err(keys_failed)?;
        let rotated = match rotated {
            Some(rotated) => rotated,
            // A look was faster, and has done what is wanted.
            None if compromised => {
                let held = self.keys.held().map_err(keys_failed)?;
                if held.current == previous {
                    return Err(AuthError::Contended);
                }
                held
            }
            // Another replica was faster: the key that the caller wanted to be rid of may be the current one no more.
            None => return Err(AuthError::Contended),
        };
        tracing::warn!(previous, current = rotated.current, compromised, "signing keys rotated");
        Ok(rotated)
    }
}

async fn in_time(work: impl Future<Output = Result<(), AuthError>>) -> Result<(), AuthError> {
    timeout(ANSWER_WITHIN, work).await.unwrap_or(Err(AuthError::Fault("the store has not answered in time")))
}

fn keys_failed(error: BuildError) -> AuthError {
    match error {
        BuildError::Store(error) => AuthError::Store(error),
        error => {
            tracing::error!(cause = &error as &dyn std::error::Error, "signing keys cannot be used");
            AuthError::Fault("signing keys cannot be used")
        }
    }
}
