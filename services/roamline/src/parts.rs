//! Each service put on its stores and on the services that it calls, whether those are in this process or in others.

use std::sync::Arc;

use anyhow::Context;
use roamline_auth::{Auth, GrpcPolicy};
use roamline_domain::ClusterId;
use roamline_emcc::{Emcc, Local, Neighbours, Trust};
use roamline_profile::{GrpcSessions, Profile};
use roamline_serve::{Api, Ids, Outset};
use roamline_session::{GrpcPeers, Session};
use roamline_token::{Bearer, ServiceToken};
use tonic::transport::Channel;

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
    Auth::build(&config.auth, stores.database.clone(), cluster, clock.clone(), Ids::new())
        .await
        .context("the auth service cannot begin")
}

/// The tokens of a service in the process that signs them.
pub(crate) fn signed(auth: &Auth, service: &str, Outset { clock, .. }: &Outset) -> Bearer {
    Bearer::service(ServiceToken::new(auth.signer(), service, clock.reader()))
}

/// Lets the auth service obey the credential policy that the profile service keeps.
pub(crate) fn obey_policy(auth: &Auth, profile: Channel, bearer: &Bearer, Outset { tasks, .. }: &Outset) {
    auth.follow(Arc::new(GrpcPolicy::new(profile, bearer)), tasks);
}

/// The profile service, which asks the session service who wears what.
pub(crate) fn add_profile(
    api: &mut Api,
    stores: &Stores,
    session: Channel,
    bearer: Bearer,
    Outset { clock, tasks, .. }: &Outset,
) {
    let sessions = Arc::new(GrpcSessions::new(session, bearer));
    let profile = Profile::new(stores.database.clone(), clock.clone()).with_sessions(sessions);
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
    Trust::start(config, own, store.clone(), clock.clone(), Ids::new(), peers, tasks).add_to(api);
    Emcc::start(config.clone(), cluster.clone(), store, others, clock.clone(), Ids::new(), tasks).add_to(api);
}

/// The session service, which asks the profile service what a phone wears, and the auth service whose a credential is.
pub(crate) fn add_session(
    api: &mut Api,
    config: &Config,
    stores: &Stores,
    (profile, auth, emcc): (Channel, Channel, Option<Channel>),
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
