//! `roamline serve ROLE`: one service in a process of its own, with its own ports. It keeps what it keeps in PostgreSQL,
//! live sessions in Redis, and calls the other services over the network.

use std::sync::Arc;

use anyhow::{Context, ensure};
use roamline_emcc::{Local, Neighbours};
use roamline_serve::{Api, Listeners, Outset, Way};
use roamline_token::{RemoteKeys, RemoteRevocations, Verifier};

use crate::cli::{Role, ServeOptions};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::life::{Start, live};
use crate::service_pass::ServicePass;
use crate::services::{Called, way};
use crate::sessions::Sessions;
use crate::stores::{Places, Stores};
use crate::{about, administrator, parts, report};

/// What a role keeps, and whom it calls.
///
/// # Errors
/// When the configuration does not say where something is that the role needs.
pub(crate) fn needs(role: Role, config: &Config, places: Places) -> anyhow::Result<(Places, Called)> {
    ensure!(
        !places.store.is_embedded(),
        "store.url is not set: services that run apart keep everything in one PostgreSQL; SQLite is for `roamline up`"
    );
    let called = Called::by(role, &config.services)?;
    if role == Role::Auth {
        config.administrator.password()?;
    }
    let sessions = match role {
        Role::Auth | Role::Profile | Role::Emcc => None,
        Role::Session => {
            let sessions = Sessions::new(&config.redis)?;
            Some(sessions.context(
                "redis.url, redis.sentinel and redis.cluster are not set: the session service keeps live sessions in Redis",
            )?)
        }
    };
    Ok((Places { sessions, ..places }, called))
}

/// Runs until the process is told to stop. The ports answer from the beginning; the service comes when its stores are open
/// and the auth service has given it a token.
///
/// # Errors
/// When it cannot begin: an address is taken, the data directory cannot be written, a store is broken.
pub(crate) async fn run(
    options: &ServeOptions,
    config: &Config,
    places: &Places,
    called: &Called,
) -> anyhow::Result<()> {
    // The administrator's file is written there, and nothing else.
    let writes = options.role == Role::Auth && config.administrator.password()?.is_none();
    let data = writes.then(|| DataDir::take(&places.data)).transpose()?;
    let listeners = Listeners::bind(options.listen(), options.admin_listen()).await?;
    let begin = |start| begin(options, config, places, called, data, start);
    Box::pin(live(listeners, &config.server, begin)).await
}

async fn begin(
    options: &ServeOptions,
    config: &Config,
    places: &Places,
    called: &Called,
    data: Option<DataDir>,
    start: Start,
) -> anyhow::Result<Option<DataDir>> {
    let readiness = start.outset.readiness.clone();
    let starting = readiness.hold("starting");
    let stores = Stores::open(places, &options.cluster_id, &readiness).await?;
    let part = Part { options, config, stores: &stores, start: &start };
    let (mut api, verifier) = match called {
        Called::Auth { profile } => {
            let profile = way(Role::Profile, profile, &start.outset.tasks)?;
            part.auth(data.as_ref(), profile).await?
        }
        Called::Profile { auth, session } => {
            let auth = way(Role::Auth, auth, &start.outset.tasks)?;
            let session = way(Role::Session, session, &start.outset.tasks)?;
            part.profile(auth, session).await
        }
        Called::Session { auth, profile, emcc } => {
            let auth = way(Role::Auth, auth, &start.outset.tasks)?;
            let profile = way(Role::Profile, profile, &start.outset.tasks)?;
            let emcc = emcc.as_ref().map(|emcc| way(Role::Emcc, emcc, &start.outset.tasks));
            part.session(auth, profile, emcc.transpose()?).await
        }
        Called::Emcc { auth, profile, session } => {
            let auth = way(Role::Auth, auth, &start.outset.tasks)?;
            let profile = way(Role::Profile, profile, &start.outset.tasks)?;
            let session = way(Role::Session, session, &start.outset.tasks)?;
            part.emcc(auth, profile, session).await
        }
    };
    about::add_page(&mut api, options.role.name(), &options.cluster_id, places, &stores, &start.outset);
    let verifier = parts::believing_outside(verifier, config, &start.outset)?;
    let serving = start.serve(api, verifier).await?;
    stores.begun(&readiness).await;
    stores.look_after(&serving.outset);
    drop(starting);
    report::print_role(options.role, &serving.addresses, places);
    Ok(data)
}

/// What a service is made of.
struct Part<'a> {
    options: &'a ServeOptions,
    config: &'a Config,
    stores: &'a Stores,
    start: &'a Start,
}

impl Part<'_> {
    async fn auth(&self, data: Option<&DataDir>, profile: Way) -> anyhow::Result<(Api, Verifier)> {
        let outset = &self.start.outset;
        let auth = parts::auth(self.config, self.stores, &self.options.cluster_id, outset).await?;
        let config = &self.config.administrator;
        administrator::provide(config, data, &auth, &self.start.addresses.api).await?;
        let bearer = parts::signed(&auth, Role::Auth.name(), outset);
        parts::obey_policy(&auth, profile, &bearer, outset);
        let mut api = Api::new();
        auth.add_to(&mut api);
        Ok((api, auth.verifier()))
    }

    async fn profile(&self, auth: Way, session: Way) -> (Api, Verifier) {
        let (verifier, pass) = self.pass(auth.clone()).await;
        let (mut api, both) = (Api::new(), (session, auth));
        parts::add_profile(&mut api, self.stores, both, pass.bearer(), &self.start.outset);
        pass.keep(&self.start.outset.tasks);
        (api, verifier)
    }

    async fn session(&self, auth: Way, profile: Way, emcc: Option<Way>) -> (Api, Verifier) {
        let (verifier, pass) = self.pass(auth.clone()).await;
        let (mut api, called) = (Api::new(), (profile, auth, emcc));
        parts::add_session(&mut api, self.config, self.stores, called, &pass.bearer(), &self.start.outset);
        pass.keep(&self.start.outset.tasks);
        (api, verifier)
    }

    async fn emcc(&self, auth: Way, profile: Way, session: Way) -> (Api, Verifier) {
        let (verifier, pass) = self.pass(auth.clone()).await;
        let (mut api, cluster) = (Api::new(), &self.options.cluster_id);
        let local = Local::new(profile, auth, session, &pass.bearer());
        let others = (local, Neighbours::default());
        parts::add_emcc(&mut api, self.config, self.stores, cluster, others, self.start);
        pass.keep(&self.start.outset.tasks);
        (api, verifier)
    }

    /// Who believes tokens, and the service's own.
    async fn pass(&self, auth: Way) -> (Verifier, ServicePass) {
        let (role, Outset { clock, tasks, .. }) = (self.options.role, &self.start.outset);
        let issuer = roamline_auth::issuer(&self.options.cluster_id);
        let keys = Arc::new(RemoteKeys::new(auth.clone()));
        let believing = |service| {
            Verifier::new(&issuer, &issuer, keys.clone())
                .of_service(service)
                .with_leeway(self.config.auth.tokens.leeway)
        };
        let as_auth = believing(Role::Auth.name());
        let config = &self.config.services;
        let pass = ServicePass::first(role, auth.clone(), config, &as_auth, &self.start.outset).await;
        let verifier = believing(role.name());
        let revocations = Arc::new(RemoteRevocations::new(auth, pass.bearer()).telling(pass.refused()));
        let (following, stopping) = (verifier.follow(revocations, clock.reader()), tasks.stopping());
        tasks.spawn("revoked tokens", async move {
            let _: Option<()> = stopping.run_until_cancelled(following).await;
        });
        (verifier, pass)
    }
}
