//! `roamline up`: every service in one process, on one port, over one store: an embedded one, or a PostgreSQL database,
//! and a Redis for live sessions, that other such processes use, too. They send each other the messages of their contract
//! here as anywhere, but without a connection.

use std::time::Duration;

use anyhow::Context;
use roamline_emcc::Local;
use roamline_proto::auth::PrincipalKind;
use roamline_serve::{Api, Listeners, Way};
use roamline_token::scopes_of;
use tokio::time::interval;

use crate::cli::UpOptions;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::life::{Start, live};
use crate::neighbours::{self, Neighbourhood};
use crate::stores::{Places, Stores};
use crate::{about, administrator, demo, parts, report};

/// How long the process may act as an administrator of itself while it begins.
const BEGINNING: Duration = Duration::from_secs(300);
/// How often, and how many times, a data directory that others share is asked for.
const OWN_EVERY: Duration = Duration::from_millis(100);
const OWN_TRIES: u32 = 100;

/// Runs until the process is told to stop. The ports answer from the beginning; services come when the store is open.
///
/// # Errors
/// When it cannot begin: the directory is in use or cannot be written, an address is taken, the store is broken.
pub(crate) async fn run(options: &UpOptions, config: &Config, places: &Places) -> anyhow::Result<()> {
    if options.clusters > 1 {
        return Box::pin(neighbours::run(options, config, places)).await;
    }
    let shared = places.store.is_embedded() && places.store.waits();
    let data = if shared { DataDir::share(&places.data)? } else { DataDir::take(&places.data)? };
    let listeners = Listeners::bind(options.listen, options.admin_listen).await?;
    let alone = Neighbourhood::default();
    let begin = |start| begin(options, config, places, &alone, data, start);
    Box::pin(live(listeners, &config.server, begin)).await
}

/// Opens the stores, puts the services on it, hands them over, and says so. The data directory is the process's own then.
pub(crate) async fn begin(
    options: &UpOptions,
    config: &Config,
    places: &Places,
    near: &Neighbourhood,
    mut data: DataDir,
    start: Start,
) -> anyhow::Result<DataDir> {
    let Start { addresses, outset, .. } = &start;
    let (readiness, clock) = (outset.readiness.clone(), outset.clock.clone());
    let starting = readiness.hold("starting");
    let stores = Stores::open(places, &options.cluster_id, &readiness).await?;
    own(&mut data).await?;

    let way = Way::from(addresses.inside.clone());
    let auth = parts::auth(config, &stores, &options.cluster_id, outset).await?;
    administrator::provide(&config.administrator, Some(&data), &auth, &addresses.api).await?;
    let bearer = |service: &str| parts::signed(&auth, service, outset);
    parts::obey_policy(&auth, way.clone(), &bearer("auth"), outset);
    let mut api = Api::new();
    let called = (way.clone(), way.clone(), Some(way.clone()));
    parts::add_session(&mut api, config, &stores, called, &bearer("session"), outset);
    let local = Local::new(way.clone(), way.clone(), way.clone(), &bearer("emcc"));
    parts::add_emcc(&mut api, config, &stores, &options.cluster_id, (local, near.ways()), &start);
    auth.add_to(&mut api);
    parts::add_profile(&mut api, &stores, (way.clone(), way.clone()), bearer("profile"), outset);
    about::add_page(&mut api, "up", &options.cluster_id, places, &stores, outset);
    let verifier = parts::believing_outside(auth.verifier(), config, outset)?;
    let serving = start.serve(api, verifier).await?;

    // Signed when it is used: that the stores are begun may take long.
    let site = || {
        let kind = PrincipalKind::Administrator;
        let own = auth.signer().sign("roamline-up", kind, scopes_of(kind), clock.now(), BEGINNING)?;
        anyhow::Ok(demo::Directory::new(way.clone(), &own.token))
    };
    if options.demo {
        demo::load_if_empty(&site()?, near.own).await.context("the demo site cannot be loaded")?;
        near.introduce(&site()?).await.context("the clusters cannot be made known to each other")?;
    }
    stores.begun(&readiness).await;
    stores.look_after(&serving.outset);
    drop(starting);
    let site = site()?;
    report::print(&site, &serving.addresses, places, data.path(), options.demo).await?;
    Ok(data)
}

/// Takes the directory for itself. Those who migrated have it, too, until they have ended.
async fn own(data: &mut DataDir) -> anyhow::Result<()> {
    let mut ticks = interval(OWN_EVERY);
    for _ in 0..OWN_TRIES {
        ticks.tick().await;
        if data.own().is_ok() {
            return Ok(());
        }
    }
    data.own()
}
