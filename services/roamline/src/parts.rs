//! Each service put on its stores and on the services that it calls, whether those are in this process or in others.

use std::sync::Arc;

use anyhow::Context;
use roamline_auth::{Auth, GrpcPolicy, TokenThrottle};
use roamline_domain::{ClusterId, UserId};
use roamline_emcc::{Emcc, Local, Neighbours, Trust};
use roamline_profile::{GrpcCredentials, GrpcSessions, Profile};
use roamline_serve::{Api, Ids, Outset, Way};
use roamline_session::{GrpcPeers, Session};
use roamline_token::{Bearer, ServiceToken, Verifier};

use crate::config::Config;
use crate::life::Start;
use crate::stores::Stores;

/// The auth service. It is added to an API with [`Auth::add_to`].
///
/// # Errors
/// When its configuration asks for what cannot be, or the store fails.
pub(crate) async fn auth(
    config: &Config,
    stores: &Stores,
    cluster: &ClusterId,
    Outset { clock, .. }: &Outset,
) -> anyhow::Result<Auth> {
    Auth::build(&config.auth, stores.measured(), cluster, clock.clone(), Ids::new())
        .await
        .context("the auth service cannot begin")
}

/// The tokens of a service in the process that signs them.
pub(crate) fn signed(auth: &Auth, service: &str, Outset { clock, .. }: &Outset) -> Bearer {
    Bearer::service(ServiceToken::new(auth.signer(), service, clock.reader()))
}

/// Lets the auth service obey the credential policy that the profile service keeps.
pub(crate) fn obey_policy(auth: &Auth, profile: Way, bearer: &Bearer, Outset { tasks, .. }: &Outset) {
    auth.follow(Arc::new(GrpcPolicy::new(profile, bearer)), tasks);
}

/// Believes tokens of the issuers outside of the cluster, too, that the configuration names.
///
/// # Errors
/// When they are configured in a way that cannot be.
pub(crate) fn believing_outside(
    verifier: Verifier,
    config: &Config,
    Outset { clock, tasks, .. }: &Outset,
) -> anyhow::Result<Verifier> {
    if config.sso.issuers.is_empty() {
        return Ok(verifier);
    }
    let user_id = |name: &str| name.to_ascii_lowercase().parse::<UserId>().ok().map(String::from);
    let limit = Arc::new(TokenThrottle::new(&config.auth.throttle));
    let verifier = verifier.with_outside(&config.sso, user_id, limit).context("sso")?;
    let (following, stopping) = (verifier.follow_outside(clock.reader()), tasks.stopping());
    tasks.spawn("keys and files of issuers", async move {
        let _: Option<()> = stopping.run_until_cancelled(following).await;
    });
    Ok(verifier)
}

/// The profile service, which asks the session service who wears what, and has the auth service delete the credentials of
/// users who are deleted.
pub(crate) fn add_profile(
    api: &mut Api,
    stores: &Stores,
    (session, auth): (Way, Way),
    bearer: Bearer,
    Outset { clock, tasks, .. }: &Outset,
) {
    let credentials = Arc::new(GrpcCredentials::new(auth, bearer.clone()));
    let sessions = Arc::new(GrpcSessions::new(session, bearer));
    let profile = Profile::new(stores.measured(), clock.clone());
    let profile = profile.with_sessions(sessions).with_credentials(credentials);
    profile.clone().add_to(api);
    tasks.spawn("forgotten imports", async move {
        if let Err(error) = profile.discard_forgotten_imports().await {
            tracing::warn!(cause = &error as &dyn std::error::Error, "forgotten imports were not discarded");
        }
    });
}

/// The emcc service, which speaks with other clusters.
pub(crate) fn add_emcc(
    api: &mut Api,
    config: &Config,
    stores: &Stores,
    cluster: &ClusterId,
    others: (Local, Neighbours),
    Start { outset: Outset { clock, tasks, .. }, peers, .. }: &Start,
) {
    let (config, store) = (&config.emcc, stores.database.clone());
    let (own, peers) = (cluster.clone(), peers.clone());
    let trust = Trust::start(config, own, store.clone(), clock.clone(), Ids::new(), peers, tasks);
    trust.add_to(api);
    let time = (clock.clone(), Ids::new());
    Emcc::start(config.clone(), cluster.clone(), store, others, &trust, time, tasks).add_to(api);
}

/// The session service, which asks the profile service what a phone wears, and the auth service whose a credential is.
pub(crate) fn add_session(
    api: &mut Api,
    config: &Config,
    stores: &Stores,
    (profile, auth, emcc): (Way, Way, Option<Way>),
    bearer: &Bearer,
    Outset { clock, tasks, .. }: &Outset,
) {
    let peers = GrpcPeers::new(profile, auth, bearer);
    let peers = Arc::new(match emcc {
        Some(emcc) => peers.roaming(emcc, bearer),
        None => peers,
    });
    let session =
        Session::start(config.session.clone(), stores.of_sessions(), peers, clock.clone(), Ids::new(), tasks);
    session.add_to(api);
}
