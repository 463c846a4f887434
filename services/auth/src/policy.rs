//! The credential policy as the profile service keeps it: asked for again and again, so that a change takes effect
//! within two seconds (SP-14, SP-21). Where it cannot be had the last one known holds, before the first the default.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roamline_domain::credential::CredentialPolicy;
use roamline_serve::Tasks;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Service;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(400);
/// How long an answer may take; with the time between two questions, what holds is less than a second old.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Questions without an answer after which that is told.
const TOLD_AFTER: u32 = 5;

/// The policy cannot be had now; the text says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyUnknown(pub String);

/// Where the credential policy is kept.
#[async_trait]
pub trait PolicySource: Send + Sync + 'static {
    /// The policy as it is now.
    ///
    /// # Errors
    /// It cannot be had now.
    async fn policy(&self) -> Result<CredentialPolicy, PolicyUnknown>;
}

/// Follows the policy until the process stops.
pub(crate) async fn follow(service: Arc<Service>, source: Arc<dyn PolicySource>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let mut tick = interval(ASK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0_u32;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        let answer = timeout(ANSWER_WITHIN, source.policy()).await;
        match answer.unwrap_or_else(|_| Err(PolicyUnknown("no answer in time".into()))) {
            Ok(policy) => {
                if policy != **service.policy.load() {
                    tracing::info!(?policy, "the credential policy has changed");
                    service.policy.store(Arc::new(policy));
                }
                unanswered = 0;
            }
            Err(error) => {
                unanswered = unanswered.saturating_add(1);
                if unanswered == TOLD_AFTER {
                    tracing::warn!(%error, "the credential policy cannot be read; the last one known holds");
                }
            }
        }
    }
}
