//! The token of a service that runs apart: the auth service gives it out, and it is renewed long before it ends, so that
//! an outage of the auth service stops nobody who has one, and at once when it is refused, as its key may be revoked.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use roamline_proto::auth::IssueServiceTokenRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_serve::{Clock, Outset, Readiness, Tasks, Way, within};
use roamline_token::{Bearer, TokenError, Verifier};
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::cli::Role;
use crate::services::ServicesConfig;
use crate::waiting::Waiting;

/// How often a token that is due is asked for.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The token of the present. Clones share it.
#[derive(Clone)]
pub(crate) struct ServicePass {
    role: Role,
    auth: AuthServiceClient<Way>,
    config: Arc<ServicesConfig>,
    clock: Clock,
    present: Arc<ArcSwapOption<Issued>>,
    refused: Arc<Notify>,
}

struct Issued {
    token: String,
    /// When the next one is asked for: after half of its life.
    renew_at: Timestamp,
}

impl ServicePass {
    /// Gets the first one, for as long as that takes; `/readyz` says meanwhile what is waited for. `verifier` is one for
    /// the auth service, which the token is for.
    pub(crate) async fn first(
        role: Role,
        auth: Way,
        config: &ServicesConfig,
        verifier: &Verifier,
        Outset { clock, readiness, .. }: &Outset,
    ) -> Self {
        let pass = Self {
            role,
            auth: AuthServiceClient::new(auth),
            config: Arc::new(config.clone()),
            clock: clock.clone(),
            present: Arc::default(),
            refused: Arc::default(),
        };
        pass.wait(verifier, readiness).await;
        pass
    }

    async fn wait(&self, verifier: &Verifier, readiness: &Readiness) {
        let mut waiting = Waiting::new(readiness);
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let issued = match self.ask().await {
                Ok(issued) => issued,
                Err(reason) => {
                    waiting.because(&reason);
                    continue;
                }
            };
            match verifier.verify(&issued.token, self.clock.now()).await {
                Err(error @ TokenError::KeysUnavailable) => waiting.because(&format!("auth service: {error}")),
                Err(error) => waiting.because(&format!(
                    "auth service: it gives tokens that are not believed here ({error}); are cluster id and time the same?"
                )),
                Ok(_) => {
                    self.present.store(Some(Arc::new(issued)));
                    return;
                }
            }
        }
    }

    /// Sends it with each request.
    pub(crate) fn bearer(&self) -> Bearer {
        let present = Arc::clone(&self.present);
        Bearer::new(move || present.load().as_ref().map(|issued| issued.token.clone()))
    }

    /// Is to be told when it is refused.
    pub(crate) fn refused(&self) -> Arc<Notify> {
        Arc::clone(&self.refused)
    }

    /// Completes when it is due, or has been refused.
    async fn end(&self, ticks: &mut Interval) {
        while self.present.load().as_ref().is_some_and(|issued| self.clock.now() < issued.renew_at) {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.refused.notified() => return,
            }
        }
    }

    /// Renews it until the process stops.
    pub(crate) fn keep(self, tasks: &Tasks) {
        let stopping = tasks.stopping();
        let keeping = async move {
            let mut ticks = interval(ASK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = String::new();
            loop {
                ticks.tick().await;
                self.end(&mut ticks).await;
                ticks.reset();
                match self.ask().await {
                    Ok(issued) => {
                        self.present.store(Some(Arc::new(issued)));
                        if !std::mem::take(&mut told).is_empty() {
                            tracing::info!("the token of this service is renewed again");
                        }
                    }
                    Err(reason) if reason == told => {}
                    Err(reason) => {
                        tracing::warn!("the token of this service is not renewed: {reason}");
                        told = reason;
                    }
                }
            }
        };
        tasks.spawn("service token", async move {
            let _: Option<()> = stopping.run_until_cancelled(keeping).await;
        });
    }

    async fn ask(&self) -> Result<Issued, String> {
        let secret = self.config.secret().map_err(|error| format!("{error:#}"))?;
        let message = IssueServiceTokenRequest {
            service: self.role.name().into(),
            secret: secret.map(|secret| secret.expose_secret().to_owned()).unwrap_or_default(),
        };
        let request = within(ANSWER_WITHIN, message);
        let answer =
            tokio::time::timeout(ANSWER_WITHIN, self.auth.clone().issue_service_token(request)).await;
        let answer = answer.map_err(|_| format!("auth service: no answer within {ANSWER_WITHIN:?}"))?;
        let answer = answer.map_err(|status| {
            let code = status.code();
            format!(
                "auth service: it gives the {} service no token: {} ({code:?})",
                self.role.name(),
                status.message()
            )
        })?;
        let answer = answer.into_inner();
        let now = self.clock.now();
        let ends = answer.expire_time.and_then(|end| Timestamp::from_second(end.seconds).ok()).unwrap_or(now);
        let half = ends.duration_since(now) / 2;
        Ok(Issued { token: answer.access_token, renew_at: now.checked_add(half).unwrap_or(ends) })
    }
}
